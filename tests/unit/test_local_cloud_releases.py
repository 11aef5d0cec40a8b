# SPDX-License-Identifier: Apache-2.0

"""A Cinder of another release, without a cloud."""

import fcntl
import io
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import time
from unittest import mock
import zipfile

import fixtures
import testtools

from local_cloud import console
from local_cloud import exceptions
from local_cloud import options
from local_cloud import releases
from local_cloud import sites
from local_cloud.machine import cloud_state
from local_cloud.services import cinder


def _wheel(directory, name, version):
    """The smallest wheel that pip installs."""
    about = f'{name}-{version}.dist-info'
    path = directory / f'{name}-{version}-py3-none-any.whl'
    with zipfile.ZipFile(path, 'w') as wheel:
        wheel.writestr(f'{about}/METADATA',
                       f'Metadata-Version: 2.1\nName: {name}\n'
                       f'Version: {version}\n')
        wheel.writestr(f'{about}/WHEEL',
                       'Wheel-Version: 1.0\nRoot-Is-Purelib: true\n'
                       'Tag: py3-none-any\n')
        wheel.writestr(f'{about}/RECORD', '')


class ReleasesCase(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.directory = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.state = cloud_state.State(self.directory / 'cloud')
        self.state.create()
        self.addCleanup(self.state.remove)
        self.said = io.StringIO()
        self.say = console.Console(self.said)

    def variable(self, name, value=None):
        self.useFixture(fixtures.EnvironmentVariable(
            name, None if value is None else str(value)))

    def run_another(self, version='28.0.0'):
        """Give the cloud a Cinder that is not the one here."""
        self.state.record['cinder'] = {
            'python': '/other/bin/python', 'prefix': '/other',
            'version': sys.version, 'packages': {'cinder': version}}


class WantedTest(ReleasesCase):

    def error(self, wanted):
        return str(self.assertRaises(exceptions.MissingPackage,
                                     releases.find, wanted, self.say))

    def test_the_one_that_is_installed(self):
        """Without the option, and by its name."""
        self.assertIsNone(releases.find(None, self.say))
        self.assertIsNone(releases.find('2026.2', self.say))
        self.assertEqual(sys.executable, releases.python(self.state))

    def test_no_such_release(self):
        error = self.error('2013.2')
        self.assertIn('2025.1, 2025.2, 2026.1, 2026.2', error)
        self.assertIn('--cinder /some/where/bin/python', error)

    def test_each_has_a_number(self):
        for name in releases.names():
            self.assertIn(name, releases.NUMBERS)

    def test_each_pins_its_number(self):
        """Constraints of another release would be found out by pip only."""
        for path in releases._CONSTRAINTS.iterdir():
            release = path.stem.removeprefix('cinder-')
            self.assertIn(f'\ncinder=={releases.NUMBERS[release]}.',
                          path.read_text())

    def test_a_python(self):
        """This one has all that is asked for."""
        found = releases.find(sys.executable, self.say)
        self.assertEqual(sys.executable, found['python'])
        self.assertEqual(sys.prefix, found['prefix'])
        self.state.record['cinder'] = found
        self.assertEqual(29, releases.number(self.state))

    def test_a_python_without_cinder(self):
        place = self.directory / 'bare'
        subprocess.run([sys.executable, '-m', 'venv', '--without-pip', place],
                       check=True)
        error = self.error(f'{place}/bin/python')
        self.assertIn(f'not installed in {place}: cinder, psutil', error)
        self.assertIn(f'{place}/bin/python -m pip install', error)
        # On native threads, its API wants a server too.
        packages, = (place / 'lib').glob('python*/site-packages')
        for name, version in ('psutil', '7.0.0'), ('cinder', '29.1.0'):
            _wheel(self.directory, name, version)
            with zipfile.ZipFile(self.directory / f'{name}-{version}-py3-'
                                 'none-any.whl') as wheel:
                wheel.extractall(packages)
        self.assertIn(f'not installed in {place}: cheroot;',
                      self.error(f'{place}/bin/python'))

    def test_no_python(self):
        for wanted in '/nowhere/bin/python', '/bin/true', '/etc/passwd':
            self.assertIn(f'--cinder {wanted} is not a Python',
                          self.error(wanted))


class InstallTest(ReleasesCase):
    """With pip itself, and wheels that have nothing in them."""

    def setUp(self):
        super().setUp()
        self.wheels = self.directory / 'wheels'
        self.wheels.mkdir()
        for name, version in (('cinder', '28.0.0'), ('cinder', '28.9.0'),
                              ('psutil', '7.0.0')):
            _wheel(self.wheels, name, version)
        constraints = self.directory / 'constraints'
        constraints.mkdir()
        (constraints / 'cinder-2026.1.txt').write_text('cinder==28.0.0\n')
        self.useFixture(fixtures.MonkeyPatch(
            'local_cloud.releases._CONSTRAINTS', constraints))
        self.cache = self.directory / 'cache'
        self.variable('XDG_CACHE_HOME', self.cache)
        self.variable('PIP_NO_INDEX', '1')
        self.variable('PIP_FIND_LINKS', self.wheels)
        # What tox sets for its own environment.
        wrong = self.directory / 'wrong'
        wrong.write_text('cinder==29.0.0\n')
        self.variable('PIP_CONSTRAINT', wrong)
        self.variable('PYTHONPATH', self.directory)
        (self.directory / 'sitecustomize.py').write_text(
            'raise SystemExit("of another virtualenv")\n')

    def find(self):
        return releases.find('2026.1', self.say)

    def left(self):
        return sorted(path.name for path in releases.home().iterdir()
                      if path.suffix != '.lock')

    def test_once(self):
        """With the versions that were tested; then it is only found."""
        found = self.find()
        self.assertEqual({'cinder': '28.0.0', 'psutil': '7.0.0'},
                         found['packages'])
        self.assertIn('installing Cinder 2026.1', self.said.getvalue())
        self.assertEqual([pathlib.Path(found['prefix']).name], self.left())
        for wheel in self.wheels.iterdir():
            wheel.unlink()
        self.said.truncate(0)
        self.said.seek(0)
        os.utime(found['prefix'], (0, 0))
        self.assertEqual(found, self.find())
        self.assertEqual('', self.said.getvalue())
        # In use, and so not to be pruned.
        self.assertNotEqual(0, os.stat(found['prefix']).st_mtime)

    def test_other_constraints_are_another_one(self):
        first = self.find()
        (self.directory / 'constraints' / 'cinder-2026.1.txt').write_text(
            'cinder==28.9.0\n')
        self.assertEqual('28.9.0', self.find()['packages']['cinder'])
        self.assertEqual(2, len(self.left()))
        # Which goes when it was not used for long.
        os.utime(first['prefix'], (0, 0))
        (self.directory / 'constraints' / 'cinder-2026.1.txt').write_text(
            'cinder<28.9.0\n')
        self.find()
        self.assertEqual(2, len(self.left()))
        self.assertFalse(os.path.exists(first['prefix']))

    def test_cannot_be_installed(self):
        """Nothing is left that would be taken for a Cinder."""
        for wheel in self.wheels.glob('psutil*'):
            wheel.unlink()
        error = str(self.assertRaises(exceptions.MissingPackage, self.find))
        self.assertIn('Cinder 2026.1 could not be installed', error)
        self.assertIn('No matching distribution found for psutil', error)
        self.assertIn('--cinder /some/where/bin/python', error)
        self.assertEqual(['.log'],
                         [pathlib.Path(name).suffix for name in self.left()])
        _wheel(self.wheels, 'psutil', '7.0.0')
        self.find()

    def test_cache_that_cannot_be_written(self):
        self.variable('XDG_CACHE_HOME', '/proc/nowhere')
        error = str(self.assertRaises(exceptions.MissingPackage, self.find))
        self.assertIn('set XDG_CACHE_HOME', error)

    def test_interrupted(self):
        """A half-made virtualenv is made anew, and no child goes on."""
        children, descriptors, environments = [], [], []

        def environment(process):
            # For a moment the new program has none yet.
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                text = pathlib.Path(
                    f'/proc/{process.pid}/environ').read_text()
                if text:
                    return text
            raise AssertionError(f'{process.args} has no environment')

        class Interrupted(subprocess.Popen):
            def wait(process, timeout=None):
                if '-m pip' in shlex.join(process.args) and not children:
                    children.append(process)
                    environments.append(environment(process))
                    descriptors.extend(
                        path.readlink().suffix for path in pathlib.Path(
                            f'/proc/{process.pid}/fd').iterdir())
                    raise KeyboardInterrupt
                return super().wait(timeout)

        with mock.patch.object(subprocess, 'Popen', Interrupted):
            self.assertRaises(KeyboardInterrupt, self.find)
        self.assertEqual(-signal.SIGKILL, children[0].returncode)
        # Nothing of it is left, nor what it had in its temporary directory.
        self.assertEqual(['.log'],
                         [pathlib.Path(name).suffix for name in self.left()])
        self.assertIn(f'TMPDIR={releases.home()}', environments[0])
        # No other one would begin while it runs, had its parent been killed.
        self.assertIn('.lock', descriptors)
        self.assertEqual('28.0.0', self.find()['packages']['cinder'])

    def test_while_another_one_installs(self):
        """Also where that one was killed and its pip lives on."""
        found = self.find()
        with open(f'{found["prefix"]}.lock', 'w') as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # Isolated, or the environment of these tests would end it.
            child = subprocess.Popen(
                [sys.executable, '-I', '-c', 'import sys; sys.stdin.read()'],
                stdin=subprocess.PIPE, pass_fds=[lock.fileno()])
        self.addCleanup(child.wait)
        self.addCleanup(child.stdin.close)

        class Says(console.Console):
            def say(self, text):
                super().say(text)
                child.stdin.close()

        self.say = Says(self.said)
        self.assertEqual(found, self.find())
        self.assertIn('waiting for another program', self.said.getvalue())


class RunningTest(ReleasesCase):
    """A cloud with another release of Cinder."""

    def setUp(self):
        super().setUp()
        self.state.record.update(
            backup='default', debug=False, volumes='files',
            ports={'keystone': 1, 'glance': 2, 'cinder': 3},
            passwords={'cinder': 'secret'},
            cinder_services=list(cinder.SERVICES))
        self.run_another()

    def test_commands(self):
        """Cinder's own, and only Cinder's."""
        service = cinder.Cinder(self.state)
        for command in (service.bootstrap_command(), service.command(7),
                        cinder.Cinder(self.state, sites.SECOND).command(7)):
            self.assertEqual('/other/bin/python', command[0])
        self.assertIn('/other/etc/cinder/api-paste.ini',
                      service.command(7))
        service.configure()
        self.assertIn('/other/etc/cinder/rootwrap.conf',
                      self.state.config('cinder').read_text())
        del self.state.record['cinder']
        self.assertEqual(sys.executable,
                         service.bootstrap_command()[0])
        self.assertNotIn('PYTHONPATH', cinder.Cinder(self.state).environment())

    def imported(self, *names):
        """Which of some packages its process would find."""
        program = ('from importlib import util; print([name for name in '
                   f'{names!r} if util.find_spec(name)])')
        place = self.directory / 'bare'
        subprocess.run([sys.executable, '-m', 'venv', '--without-pip', place],
                       check=True)
        return subprocess.run(
            [place / 'bin' / 'python', '-c', program], cwd='/',
            env=cinder.Cinder(self.state).environment(), check=True,
            capture_output=True, text=True).stdout.strip()

    def test_finds_no_more_than_it_wants(self):
        self.variable('PYTHONPATH')
        cinder.Cinder(self.state).configure()
        self.assertEqual(
            "['local_cloud', 'reference_drivers']",
            self.imported('local_cloud', 'reference_drivers', 'cinder',
                          'tempest', 'cinder_backup_recovery_tests'))

    def test_finds_what_the_caller_has_added(self):
        """A driver under test, say."""
        self.variable('PYTHONPATH', self.directory)
        (self.directory / 'their_driver.py').touch()
        self.state.record['backup'] = 'in-tree-posix'
        cinder.Cinder(self.state).configure()
        self.assertEqual(
            "['their_driver', 'local_cloud']",
            self.imported('their_driver', 'local_cloud', 'reference_drivers',
                          'cinder'))

    def test_finds_the_driver_of_the_other_cinder_backup(self):
        """Of one process, whichever of the two is Cinder's own."""
        for backup in 'in-tree-posix', 'default':
            self.state.record.update(backup=backup, second_backup=True)
            cinder.Cinder(self.state).configure()
            self.assertEqual(
                "['local_cloud', 'reference_drivers']",
                self.imported('local_cloud', 'reference_drivers', 'cinder'))

    def test_versions_and_releases(self):
        for version, name in (('26.3.0', '2025.1'), ('28.0.0', '2026.1'),
                              ('25.0.0', ''), ('99.0.0', 'master')):
            self.run_another(version)
            for site in sites.FIRST, sites.SECOND:
                self.assertEqual(version,
                                 cinder.Cinder(self.state, site).version())
            self.assertEqual(name, releases.name(self.state))
        del self.state.record['cinder']
        self.assertEqual('2026.2', releases.name(self.state))

    def differing(self, wanted, release):
        return [*options.Options(cinder=wanted).differing(
            self.state.record, release)]

    def test_another_one_is_refused(self):
        self.assertEqual([], self.differing(None, None))
        self.assertEqual([], self.differing('2026.1',
                                            self.state.record['cinder']))
        for wanted, release in (
                ('2026.2', None),
                ('2025.1', {**self.state.record['cinder'],
                            'python': '/third/bin/python'})):
            self.assertEqual(['--cinder'], self.differing(wanted, release))
        self.state.record['cinder'] = None
        self.assertEqual([], self.differing('2026.2', None))

    def test_its_virtualenv_is_gone(self):
        error = self.assertRaises(exceptions.MissingPackage, releases.check,
                                  self.state)
        self.assertIn('/other, which is gone', str(error))
        self.state.record['cinder'] = None
        releases.check(self.state)
