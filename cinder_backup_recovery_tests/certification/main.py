# SPDX-License-Identifier: Apache-2.0

"""The program ``cinder-backup-certify``."""

import argparse
from collections.abc import Sequence
import json
import os
import pathlib
import re
import signal
import sys
import time
from typing import Any

from cinder_backup_recovery_tests.certification.profile import profiles
from cinder_backup_recovery_tests.certification.registry import collect
from cinder_backup_recovery_tests.certification.registry import command
from cinder_backup_recovery_tests.certification.report import redact
from cinder_backup_recovery_tests.certification.report import writer
from cinder_backup_recovery_tests.certification.run import local_cloud
from cinder_backup_recovery_tests.certification.run import progress
from cinder_backup_recovery_tests.certification.run import runner
from cinder_backup_recovery_tests.certification.run import ways
from cinder_backup_recovery_tests.certification.verdict import (
    document as document_,
)
from cinder_backup_recovery_tests.certification.verdict import results
from cinder_backup_recovery_tests.certification.verdict import tiers
from cinder_backup_recovery_tests.certification.verdict import verify_report
from cinder_backup_recovery_tests.cloud import locks
from cinder_backup_recovery_tests.cmd import programs

_DESCRIPTION = """\
Prove that volumes come back from exported backup records: run the whole
suite, and say what was shown.
"""

_EPILOG = """\
exit status: 0 certified; 1 a test failed; 2 not certifiable, something was
skipped, filtered or interrupted; 3 the kit, its set-up or its configuration
is wrong.
"""

# This one, also where it is called "__main__".
_MODULE = 'cinder_backup_recovery_tests.certification.main'
_WAYS: dict[str, type[ways.Way]] = {
    way.name: way for way in (ways.Local, ways.Cloud, ways.Tenant,
                              ways.Driver)}
# In the report directory while a run writes to it.
_LOCK = 'report.lock'


def _parser() -> argparse.ArgumentParser:
    parser = programs.Parser(
        prog='cinder-backup-certify', description=_DESCRIPTION,
        epilog=_EPILOG)
    verbs = parser.add_subparsers(dest='verb', required=True, metavar='VERB')
    local = verbs.add_parser(
        'local', help='start a cloud on this machine, certify it, take it '
                      'down', epilog=_EPILOG)
    local.add_argument('--backup',
                       help='the backup driver (default: default)')
    local.add_argument('--cinder', metavar='RELEASE',
                       help="the release of Cinder, 2026.1 say, or the Python "
                            "of a virtualenv that has one (default: the one "
                            "that is installed with the local cloud)")
    local.add_argument('--database',
                       help="what Cinder's database is on (default: sqlite)")
    local.add_argument('--bus',
                       help="what Cinder's services talk over (default: "
                            "memory)")
    local.add_argument('--key-manager',
                       help='where Cinder has the keys of encrypted volumes: '
                            'barbican or fixed (default: there are none, and '
                            'their tests are left out)')
    local.add_argument('--local-cloud-command', metavar='COMMAND',
                       help='how to call the local cloud, where it is '
                            'installed in another virtualenv')
    cloud = verbs.add_parser(
        'cloud', help='certify a cloud that is there', epilog=_EPILOG)
    tenant = verbs.add_parser(
        'tenant', help='test the backups of a user with the role member, '
                       'without an administrator and a database',
        epilog=_EPILOG)
    driver = verbs.add_parser(
        'driver', help='test a driver without a cloud, in seconds',
        epilog=_EPILOG)
    driver.add_argument('--histories', metavar='N',
                        help='how many histories are drawn at random '
                             '(default: 100)')
    driver.add_argument('--seed', metavar='N',
                        help='draw the histories of another run again')
    for verb in (local, cloud, tenant, driver):
        _add_common(verb)
    for verb in (cloud, tenant, driver):
        verb.add_argument('--check', action='store_true',
                          help='check whether a run can start, and create '
                               'nothing')
    verify_report.add_parser(verbs)
    command.add_parser(verbs)
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    """The options of every way; their defaults are the profile's."""
    shipped = ', '.join(profiles.shipped())
    parser.add_argument('--profile', metavar='FILE',
                        help=f'the profile of the driver: a file, or one of '
                             f'{shipped}')
    parser.add_argument('--set', action='append', default=[],
                        metavar='SECTION.KEY=VALUE',
                        help='set a key of the profile; wins over the '
                             'environment, which wins over the file')
    parser.add_argument('--mode', choices=('certified', 'quick'),
                        help='quick runs one recovery, to validate the '
                             'set-up, and never certifies (default: '
                             'certified)')
    parser.add_argument('--report-dir', metavar='DIRECTORY',
                        help='where the report goes (default: '
                             'certify-report)')
    parser.add_argument('--concurrency', metavar='N',
                        help='workers side by side (default: 2)')
    parser.add_argument('--regex', metavar='PATTERN',
                        help='run only these tests; never a certification')


def _profile(arguments: argparse.Namespace) -> profiles.Profile:
    """The profile, with what the command line says of it."""
    settings = list(arguments.set)
    for key, option in (('run.mode', 'mode'), ('run.report_dir', 'report_dir'),
                      ('run.concurrency', 'concurrency'),
                      ('run.histories', 'histories'),
                      ('run.histories_seed', 'seed'),
                      ('run.local_backup', 'backup'),
                      ('run.local_cinder', 'cinder'),
                      ('run.local_database', 'database'),
                      ('run.local_bus', 'bus'),
                      ('run.local_key_manager', 'key_manager')):
        value = getattr(arguments, option, None)
        if value is not None:
            # As it is, and not as YAML would read it: 2026.1 is no number.
            settings.append(f'{key}={value}' if value.isdigit() else
                            f'{key}={json.dumps(value)}')
    name: str | None = arguments.profile
    if name is None and arguments.verb == 'local':
        # Drivers of the local cloud are profiles of that name.
        backup: str = arguments.backup or 'default'
        name = backup if backup in profiles.shipped() else None
    return profiles.load(name, settings)


def _way(arguments: argparse.Namespace, profile: profiles.Profile
         ) -> ways.Way:
    if arguments.verb == 'local':
        return ways.Local(profile, arguments.local_cloud_command)
    return _WAYS[arguments.verb](profile)


def _select(way: ways.Way, pattern: str | None
            ) -> tuple[list[str], list[str]]:
    """Find the tests, before a cloud is started for them.

    :returns: all that a certification requires, and those that will run
    """
    required = way.required()
    selected = [t for t in required
                if not pattern or re.search(pattern, t)]
    if not selected:
        raise runner.RunError(f'--regex {pattern} matches none of the '
                              f'{len(required)} tests')
    print(f'{len(selected)} of {len(required)} tests, {way.about}',
          flush=True)
    return required, selected


def _certify(arguments: argparse.Namespace) -> results.ExitCode:
    pattern = arguments.regex
    if pattern:
        try:
            re.compile(pattern)
        except re.error as error:
            raise runner.RunError(f'--regex {pattern}: {error}') from error
    profile = _profile(arguments)
    way = _WAYS[arguments.verb]
    profile.refuse_unused(way.name, way.unused, way.misleading, way.used)
    quick = profile.get('run.mode') == 'quick'
    if quick and pattern:
        raise runner.RunError('--regex cannot be combined with quick, which '
                              'chooses the test itself; give only one')
    if getattr(arguments, 'check', False):
        return _check(_way(arguments, profile))
    directory = pathlib.Path(profile.get('run.report_dir'))
    owner = locks.owner(directory)
    with _reserved(directory, owner):
        return _run(arguments, profile, pattern, owner)


def _reserved(directory: pathlib.Path, owner: locks.Owner) -> locks.RunLock:
    """Keep other runs from a report directory, whose files they would remove.

    :raises LockError: another run uses it
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return locks.RunLock(directory / _LOCK, owner)
    except OSError as error:
        raise writer.ReportError(
            f'the report cannot be written to {directory}: {error.strerror}'
        ) from error


def _run(arguments: argparse.Namespace, profile: profiles.Profile,
         pattern: str | None, owner: locks.Owner) -> results.ExitCode:
    quick = profile.get('run.mode') == 'quick'
    files = writer.Report(pathlib.Path(profile.get('run.report_dir')))
    files.redact.shorten(redact.places())
    files.redact.shorten({files.directory: '<report>'})
    files.show('profile', profile.document)
    start = time.monotonic()
    way = _way(arguments, profile)
    files.redact.shorten({way.root: '<temporary>'})
    pattern = way.quick if quick else pattern
    interrupted = False
    try:
        manifest: tiers.Manifest | None = tiers.of_way(way.name)
        required, selected = _select(way, pattern)
        way.start(owner)
        _learn(way, files)
        run = way.run(selected, pattern, files.recorder())
        shown = progress.Progress(selected)
        try:
            run(shown.started, shown.ended)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            shown.close()
        if interrupted:
            print('interrupted, tidying up', flush=True)
    finally:
        trouble = _end(way, files)
    if quick:
        manifest = None
    document = document_.build(
        required, [files.clean(result) for result in run.results], manifest, {
            'interrupted': interrupted, 'trouble': trouble,
            'denied': sorted(way.denied),
            'contradictions': way.contradictions(run.results),
            'quick': selected if quick else None, 'way': way.name,
            'backup': profile.get('run.local_backup', 'default')
            if way.name == 'local' else profile.name,
            'versions': way.versions, 'without': list(way.without),
            'configuration': files.configuration,
            'seconds': round(time.monotonic() - start, 1)})
    files.write(document, manifest)
    for line in progress.summary(document):
        print(line)
    print(f'{document["verdict"]} (exit status {document["exit_code"]}); '
          f'report: {files.page}')
    return results.ExitCode(document['exit_code'])


def _check(way: ways.Way) -> results.ExitCode:
    try:
        for line in way.check():
            print(line)
    finally:
        way.discard()
    print('all checks passed; ready to run')
    return results.ExitCode.CERTIFIED


def _learn(way: ways.Way, files: writer.Report) -> None:
    """Learn what is secret in what there is of a configuration."""
    files.learn(way.variables)
    for name, path in way.files.items():
        files.show_file(name, path)


def _end(way: ways.Way, files: writer.Report) -> list[str]:
    """Remove what was made, whatever else does not work."""
    # A second Ctrl-C must not leave half of it.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        # What did not start has written logs as well.
        _learn(way, files)
    finally:
        trouble = way.end(files.logs)
    try:
        files.clean_logs()
    except writer.ReportError as error:
        trouble.append(f'{error}; logs there have not been redacted and '
                       f'may contain secrets')
    for line in trouble:
        print(f'error: {files.redact.secrets(line)}', file=sys.stderr)
    return [files.redact(line) for line in trouble]


def _terminate(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program."""
    arguments = _parser().parse_args(argv)
    before = {}
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        before[number] = signal.getsignal(number)
        # What nohup has told to be ignored stays ignored.
        if before[number] is not signal.SIG_IGN:
            signal.signal(number, _terminate)
    try:
        if 'function' in arguments:
            return arguments.function(arguments)
        return _certify(arguments)
    except local_cloud.NeedsUML as needed:
        print('this host cannot run the cloud; restarting inside '
              'User-Mode Linux', flush=True)
        directory = pathlib.Path(_profile(arguments).get('run.report_dir'))
        again = [*needed.command, '--visible', str(directory),
                 '--', sys.executable, '-m', _MODULE,
                 *(sys.argv[1:] if argv is None else argv)]
    except (local_cloud.CloudError, runner.RunError, writer.ReportError,
            tiers.ManifestError, locks.LockError, profiles.ProfileError,
            verify_report.Unreadable, collect.RegistryError) as error:
        print(f'error: {redact.of_environment()(str(error))}',
              file=sys.stderr)
        return results.ExitCode.ERROR
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        return results.ExitCode.NOT_CERTIFIABLE
    except BrokenPipeError:
        # The reader has gone; what is still buffered has none.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return results.ExitCode.ERROR
    except OSError as error:
        # A full disk, for one, which is of no one step.
        print(f'error: {error}', file=sys.stderr)
        return results.ExitCode.ERROR
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    # Instead of this process, whose signals and exit status it has then.
    os.execvp(again[0], again)  # noqa: S606


if __name__ == '__main__':
    sys.exit(main())
