# SPDX-License-Identifier: Apache-2.0

"""Ways to certify: a cloud that is started, an existing one, no cloud."""

from collections.abc import Iterable
from collections.abc import Sequence
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
from typing import Any

from cinder_backup_recovery_tests.certification.profile import profiles
from cinder_backup_recovery_tests.certification.run import local_cloud
from cinder_backup_recovery_tests.certification.run import runner
from cinder_backup_recovery_tests.certification.run import stream
from cinder_backup_recovery_tests.certification.run import tempest_settings
from cinder_backup_recovery_tests.certification.verdict import results
from cinder_backup_recovery_tests.certification.verdict import tiers
from cinder_backup_recovery_tests.cloud import locks

_PREFLIGHT = 'cinder_backup_recovery_tests.certification.run.preflight'
_CLEANUP = 'cinder_backup_recovery_tests.cmd.cleanup'
_CONTRACT = 'reference_drivers.contract'
_HISTORIES = 'reference_drivers.histories.contract'
_CONTRACT_KEYS = ('driver.config_files', 'driver.python', 'driver.store',
                  'driver.chunk_option', 'driver.block_option')
_HISTORIES_KEYS = ('run.histories*',)
_LOCAL_KEYS = ('run.local_*',)


class Way:
    """A way to certify a driver.

    :ivar name: the verb of the program
    :ivar quick: a pattern of the test that validates a set-up
    :ivar without: the services whose tests are not required
    :ivar unused: patterns of the profile's keys that it does not use
    :ivar used: patterns of keys among them that it uses
    :ivar misleading: those of them that name something else to be tested
    """

    name = ''
    quick = (r'test_row_loss\.FullBackupRowLossTest\.'
             r'test_hard_loss_restored_to_new_volume(?!\w)')
    without: tuple[str, ...] = ('nova',)
    unused: tuple[str, ...] = ()
    used: tuple[str, ...] = ()
    misleading: tuple[str, ...] = ()

    def __init__(self, profile: profiles.Profile):
        self.profile = profile
        #: The configuration, for the report: files by name.
        self.files: dict[str, pathlib.Path] = {}
        #: Variables of the tested cloud, with secrets.
        self.variables: dict[str, str] = {}
        #: Releases of the tested services.
        self.versions: dict[str, str] = {}
        #: The directory of files that are removed at the end.
        self.temporary = pathlib.Path()

    @property
    def denied(self) -> frozenset[str]:
        """The capabilities that its certification does not require."""
        return self.profile.denied

    @property
    def about(self) -> str:
        """A remark on the number of tests."""
        return (f'{self.profile.get("run.concurrency")} workers; those that '
                f'need a Nova are left out')

    def check(self) -> list[str]:
        """Check whether a run can start, and create nothing.

        :returns: the passed checks, one line each
        :raises ProfileError: with the first one that failed
        """
        raise NotImplementedError

    def required(self) -> list[str]:
        """The ids of all tests, found before anything is started."""
        # Without the configuration of any other cloud.
        path = self.temporary / 'listed.conf'
        tempest_settings.write(path, *self._listed())
        return runner.list_tests(
            self.temporary / 'stestr',
            runner.environment(tempest_settings.variables(path),
                               self.temporary))

    def _listed(self) -> list[tempest_settings.Sections]:
        """The options on which it depends which tests there are."""
        return [tempest_settings.of_histories(self.profile)]

    def start(self, run: locks.Owner) -> None:
        """Prepare the cloud for the tests of this run."""

    def run(self, selected: Sequence[str], pattern: str | None,
            recorder: stream.Recorder) -> runner.Streams:
        """Make the run.

        :param selected: the ids of the tests
        :param pattern: the one that selected them, None for all
        :param recorder: keeps the stream of their results
        """
        raise NotImplementedError

    def contradictions(self, outcome: Iterable[results.Result]) -> list[str]:
        """The capabilities that the driver has and its profile denies."""
        return sorted({name for one in outcome
                       for name in one.facts.contradictions})

    def end(self, logs: pathlib.Path) -> list[str]:
        """Remove all that this has made, but keep logs in a directory.

        :returns: errors, one line each
        """
        self.discard()
        return []

    @property
    def root(self) -> pathlib.Path:
        """The directory of all that it makes on this machine."""
        return self.temporary

    def discard(self) -> None:
        """Remove the temporary files."""
        shutil.rmtree(self.temporary, ignore_errors=True)

    def _suite(self, selected: Sequence[str], recorder: stream.Recorder,
               workers: int | None = None) -> runner.Streams:
        return runner.Run(
            self.temporary / 'stestr',
            runner.environment(self.variables, self.temporary), selected,
            workers or self.profile.get('run.concurrency'), recorder)


class Local(Way):
    """A cloud that is started on this machine for the certification.

    :param command: the command line of the local cloud
    """

    name = 'local'
    unused = ('connect.*', 'driver.name', *_CONTRACT_KEYS, *_HISTORIES_KEYS)
    used = ('connect.history_*',)
    misleading = ('connect.cloud', 'connect.tempest_conf',
                  'connect.database_url', 'connect.database_password')

    def __init__(self, profile: profiles.Profile, command: str | None = None):
        super().__init__(profile)
        self._cloud = local_cloud.LocalCloud(command)
        self.temporary = self._cloud.temporary
        self.files = {name: self._cloud.configuration / name
                      for name in ('tempest.conf', 'cinder/cinder.conf')}

    @property
    def root(self) -> pathlib.Path:
        return self._cloud.directory.parent

    @property
    def _backup(self) -> str:
        return self.profile.get('run.local_backup', 'default')

    @property
    def denied(self) -> frozenset[str]:
        # A directory has no server that could hang, and if that of NFS hangs,
        # all of Cinder does.
        keys = {None: {'encrypted_volumes'},
                'barbican': {'second_key_manager'},
                'fixed': {'separate_keys', 'second_key_manager',
                          'key_manager_stop'}}
        return super().denied | keys.get(
            self.profile.get('run.local_key_manager'), set()) | (
            set() if self._backup.endswith(('swift', 's3', 'ceph')) else
            {'store_pause'})

    def start(self, run: locks.Owner) -> None:
        variables = self._cloud.up(
            self._backup, **{name: self.profile.get(f'run.local_{name}')
                             for name in ('cinder', 'database', 'bus',
                                          'key_manager')})
        self.versions = self._cloud.versions
        made = tempest_settings.of_file(
            pathlib.Path(variables['TEMPEST_CONFIG_DIR']) /
            variables['TEMPEST_CONFIG'])
        self._check_driver(made)
        more = tempest_settings.of_histories(self.profile)
        if self.profile.document['can'] or any(more.values()):
            # The capabilities in the profile are tested.
            path = self.temporary / 'tempest.conf'
            own = tempest_settings.of_profile(self.profile)
            tempest_settings.write(
                path, made,
                {name: own[name] for name in own if 'feature' in name}, more)
            variables.update(tempest_settings.variables(path))
            self.files['tempest.conf'] = path
        self.variables = variables

    def _check_driver(self, made: tempest_settings.Sections) -> None:
        """Refuse the profile of a driver that this cloud does not have."""
        wanted = self.profile.get('driver.class')
        driver, = made.get('cinder_backup_recovery', {}).get(
            'backup_driver', [wanted])
        if wanted not in (None, driver):
            raise profiles.ProfileError(
                f'driver.class is {wanted}, and the local cloud with --backup '
                f'{self._backup} has {driver}; choose another --backup, or '
                f'use "cloud" or "driver"')

    def run(self, selected: Sequence[str], pattern: str | None,
            recorder: stream.Recorder) -> runner.Streams:
        return self._suite(selected, recorder)

    def end(self, logs: pathlib.Path) -> list[str]:
        trouble = []
        for step in (lambda: self._cloud.copy_logs(logs), self._cloud.down):
            try:
                step()
            except local_cloud.CloudError as error:
                trouble.append(str(error))
        return trouble


class _Refused(profiles.ProfileError):
    """A program reported an error, and did nothing."""


class _Crash(profiles.ProfileError):
    """A program ended without a report of its own."""


class _Existing(Way):
    """A cloud or a driver that exists; only files are made for it."""

    def __init__(self, profile: profiles.Profile):
        super().__init__(profile)
        self.temporary = pathlib.Path(tempfile.mkdtemp(prefix='certify-'))

    def _program(self, *command: str) -> dict[str, Any]:
        """Run a program of this project to its end.

        :returns: the JSON object that it printed; empty if it printed nothing
        :raises _Refused: with the error that it reported
        :raises _Crash: it printed something else
        :raises ProfileError: it cannot be started
        """
        try:
            done = subprocess.run(
                command, env=runner.environment(self.variables,
                                                self.temporary),
                stdin=subprocess.DEVNULL, capture_output=True, text=True,
                errors='replace',
                # A Ctrl-C is for this program, which then tidies up.
                start_new_session=True)
        except OSError as error:
            raise profiles.ProfileError(
                f'{command[0]}: {error.strerror}') from None
        try:
            found = json.loads(done.stdout or '{}')
        except ValueError:
            found = {}
        if 'error' in found:
            raise _Refused(found['error'])
        if done.returncode != 0 and not found:
            lines = done.stderr.strip().splitlines() or ['no output']
            raise _Crash(f'{command[0]}: {lines[-1]}')
        return found


class Cloud(_Existing):
    """An existing cloud, which the profile describes."""

    name = 'cloud'
    _preflight_words: tuple[str, ...] = ()
    unused: tuple[str, ...] = (*_CONTRACT_KEYS, *_HISTORIES_KEYS,
                               *_LOCAL_KEYS)

    def __init__(self, profile: profiles.Profile):
        super().__init__(profile)
        self._conf = self.temporary / 'tempest.conf'
        self.files = {'tempest.conf': self._conf}
        self.variables = tempest_settings.variables(self._conf)
        self._lock: locks.RunLock | None = None
        self._run = ''

    def _listed(self) -> list[tempest_settings.Sections]:
        path = self.profile.get('connect.tempest_conf')
        found = (tempest_settings.of_file(pathlib.Path(path).expanduser())
                 if path else {})
        group = found.get('cinder_backup_recovery', {})
        return [{'cinder_backup_recovery': {
            name: value for name, value in group.items()
            if name.startswith('history_')}}, *super()._listed()]

    def _base(self) -> tempest_settings.Sections:
        """The options of the cloud, without those of the profile."""
        path = self.profile.get('connect.tempest_conf')
        return (tempest_settings.of_file(pathlib.Path(path).expanduser())
                if path else
                tempest_settings.of_cloud(self.profile.get('connect.cloud')))

    def _configure(self) -> pathlib.Path:
        """Write Tempest's configuration.

        :returns: the directory of the ledger
        """
        base = self._base()
        # In a place that is found after a kill, unless it is configured.
        ledger = pathlib.Path(self.profile.get('run.report_dir')) / 'ledger'
        written = tempest_settings.write(
            self._conf,
            {'cinder_backup_recovery': {'ledger_dir': [
                str(ledger.absolute())]},
             'DEFAULT': {'log_file': [str(self.temporary / 'tempest.log')],
                         'use_stderr': ['false']},
             'oslo_concurrency': {'lock_path': [
                 str(self.temporary / 'locks')]}},
            base, tempest_settings.of_profile(self.profile),
            tempest_settings.of_histories(self.profile))
        return pathlib.Path(
            written['cinder_backup_recovery']['ledger_dir'][-1]).absolute()

    def _preflight(self, *words: str) -> list[str]:
        found = self._program(
            sys.executable, '-m', _PREFLIGHT, *self._preflight_words, *words)
        self.versions = found['versions']
        return found['found']

    def check(self) -> list[str]:
        locks.refuse_held(self._configure() / locks.RUN)
        return self._preflight()

    def start(self, run: locks.Owner) -> None:
        ledger = self._configure()
        ledger.mkdir(mode=0o700, parents=True, exist_ok=True)
        run = {**run, 'ledger': str(ledger)}
        self._lock = locks.RunLock(ledger / locks.RUN, run)
        self._run = run['run']
        try:
            found = self._preflight('--begin', json.dumps(run))
        except _Refused:
            # Nothing was made, and the rest of an earlier run is not removed.
            self._lock.release()
            self._lock = None
            raise
        for line in found:
            print(line, flush=True)

    def run(self, selected: Sequence[str], pattern: str | None,
            recorder: stream.Recorder) -> runner.Streams:
        return self._suite(selected, recorder)

    def end(self, logs: pathlib.Path) -> list[str]:
        trouble = []
        if self._lock:
            try:
                trouble = self._program(
                    sys.executable, '-m', _CLEANUP, '--json', '--run',
                    self._run, '--config-file', str(self._conf))['left']
            except profiles.ProfileError as error:
                trouble = [f'the tests\' resources could not be removed: '
                           f'{error}']
            self._lock.release()
        log = self.temporary / 'tempest.log'
        if log.exists():
            logs.mkdir(parents=True, exist_ok=True)
            shutil.copy(log, logs)
        return trouble + super().end(logs)


class Tenant(Cloud):
    """An existing cloud, with what a user with the role member can do."""

    name = 'tenant'
    _preflight_words = ('--tenant',)
    quick = (r'test_tenant\.TenantFullTest\.'
             r'test_restored_to_new_volume(?!\w)')
    unused = (*Cloud.unused, 'driver.*', 'connect.tempest_conf',
              'connect.database_*', 'connect.row_*', 'connect.history_*',
              'run.concurrency')

    def __init__(self, profile: profiles.Profile):
        super().__init__(profile)
        self._accounts = self.temporary / 'accounts.yaml'
        self.files[self._accounts.name] = self._accounts

    @property
    def denied(self) -> frozenset[str]:
        # Few users reach the storage, and read the keys of their volumes; the
        # report says that these are not tested.
        wanted = self.profile.document['can'].get('encrypted_volumes')
        return super().denied | (set() if wanted else {'encrypted_volumes'})

    @property
    def about(self) -> str:
        others = ', '.join(tier.name for tier in tiers.load().tiers
                           if tier.name not in tiers.OF_TENANT)
        return (f'by a user with the role member; for an administrator, and '
                f'not tried: {others}')

    def _base(self) -> tempest_settings.Sections:
        return tempest_settings.of_cloud(self.profile.get('connect.cloud'),
                                         self._accounts)

    def required(self) -> list[str]:
        manifest = tiers.of_way(self.name)
        return [one for one in super().required() if manifest.tier_of(one)]

    def run(self, selected: Sequence[str], pattern: str | None,
            recorder: stream.Recorder) -> runner.Streams:
        # Two workers would need two accounts.
        return self._suite(selected, recorder, 1)


class Driver(_Existing):
    """No cloud: contract and histories, in the virtualenv of Cinder.

    Each is a program: histories are the same again only where nothing else
    was done before in the process.
    """

    name = 'driver'
    quick = r'RecoveryContract\.test_backup_of_a_snapshot$'
    without = ()
    unused = ('connect.*', 'run.concurrency', *_LOCAL_KEYS)
    about = 'in one process'

    def __init__(self, profile: profiles.Profile):
        super().__init__(profile)
        self._tests: dict[str, list[str]] = {}
        self._capabilities: dict[str, bool] = {}
        self._inapplicable: frozenset[str] = frozenset()
        self.files = {path: pathlib.Path(path) for path in
                      self.profile.get('driver.config_files', ())}

    @property
    def denied(self) -> frozenset[str]:
        # A profile need not deny what no driver of this kind can have.
        return super().denied | self._inapplicable

    def _command(self, program: str, *words: str) -> list[str]:
        driver = self.profile.get('driver.class')
        if not driver:
            raise profiles.ProfileError(
                'driver.class is not set: name the class of the driver, as '
                'backup_driver of cinder.conf')
        command = [self.profile.get('driver.python', sys.executable), '-m',
                   program, '--driver', driver]
        for name in self.profile.get('driver.config_files', ()):
            command += ['--config-file', name]
        for option in ('store', 'chunk_option', 'block_option'):
            value = self.profile.get(f'driver.{option}')
            if value:
                command += [f'--{option.replace("_", "-")}', value]
        # The differences between profiles, as for a cloud.
        command += [f'--lacks={name}' for name in sorted(self.profile.denied)]
        level = self.profile.get('can.import_verify_level')
        if level:
            command.append(f'--verify-level={level}')
        if program == _HISTORIES:
            for key, option in (('histories', 'histories'),
                                ('histories_seconds', 'seconds'),
                                ('histories_seed', 'seed')):
                value = self.profile.get(f'run.{key}')
                if value is not None:
                    command.append(f'--{option}={value}')
        return [*command, *words]

    def _ask(self, program: str, *words: str) -> dict[str, Any]:
        command = self._command(program, *words)
        try:
            return self._program(*command)
        except _Crash as error:
            raise profiles.ProfileError(
                f"{error}; driver.python must name the Python of Cinder's "
                f"virtualenv, where \"pip install '.[drivers]'\" was run in a "
                f"clone of this project") from None

    def check(self) -> list[str]:
        self.required()
        self._ask(_CONTRACT, '--check')
        driver = self.profile.get('driver.class')
        return [f'{driver} is imported and set up by Cinder '
                f'{self.versions["cinder"]}']

    def required(self) -> list[str]:
        for program in (_CONTRACT, _HISTORIES):
            found = self._ask(program, '--describe')
            self._tests[program] = found['tests']
            self.versions = found['versions']
            self._capabilities = found['capabilities']
            self._inapplicable = frozenset(found['inapplicable'])
        return [one for tests in self._tests.values() for one in tests]

    def run(self, selected: Sequence[str], pattern: str | None,
            recorder: stream.Recorder) -> runner.Streams:
        commands = []
        for program, tests in self._tests.items():
            only = [f'--only={one}' for one in tests if one in selected]
            if only:
                commands.append(self._command(
                    program, *(only if pattern else ())))
        return runner.Streams(
            commands, runner.environment({}, self.temporary), recorder)

    def contradictions(self, outcome: Iterable[results.Result]) -> list[str]:
        return [name for name in sorted(self.profile.denied)
                if self._capabilities.get(name)]

