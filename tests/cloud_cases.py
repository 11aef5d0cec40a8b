# SPDX-License-Identifier: Apache-2.0

"""Base classes and helpers for tests of the real local cloud."""

import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import fixtures
import psutil
import testtools

from local_cloud.machine import cloud_state
from local_cloud.machine import daemons

_ROOT = pathlib.Path(__file__).parents[1]
PROGRAM = (sys.executable, '-m', 'local_cloud')
CERTIFY = (sys.executable, '-m',
           'cinder_backup_recovery_tests.certification.main')
# Every one of them builds its template, in its own state directory.
PROGRAM_WITHOUT_TEMPLATE = (
    sys.executable, '-c', 'import sys\n'
    'from local_cloud import main, template\n'
    'template.home = lambda: None\n'
    'sys.exit(main.main())')
# Of a busy machine; what is waited for comes long before.
PATIENCE = 600


def until(condition, what, patience=PATIENCE):
    """Wait for something to be observed."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f'not within {patience} s: {what}')
        time.sleep(0.005)


def recover(local, *tests):
    """Run tests of the suite in a cloud's own environment.

    :returns: the exit code, and what was printed, with the errors of a
        failure
    """
    done = subprocess.run(
        [sys.executable, '-m', 'testtools.run', *tests], cwd=_ROOT,
        env={**os.environ, **local.environment}, capture_output=True,
        text=True, timeout=900)
    return done.returncode, done.stdout + (
        done.stderr if done.returncode else '')


def left_of(processes):
    """Those that have not ended; a zombie waits for its parent only."""
    left = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                left.append(process)
    return left


class OneCloud:
    """Tests of the cloud that a class has."""

    def pids(self):
        """The process of each service."""
        return {name: service['pid'] for name, service in
                self.cloud.status()['services'].items()}

    def states(self):
        """The state of each service, in words."""
        return {name: service['state'] for name, service in
                self.cloud.status()['services'].items()}


class TwoSites:
    """Copies of a backup between the object stores of two sites.

    It has two objects, and its container another one with the name "another".
    """

    def copy(self, backup, here, there):
        """Copy it, and nothing else; returns its parts."""
        parts = here.parts(backup)
        self.assertEqual(
            ['container', 'object', 'object'], [one.kind for one in parts])
        self.assertEqual([], there.parts(backup))
        for part in parts:
            self.assertIsNone(there.state(part.kind, part.where))
            here.copy(part, there)
            self.assertEqual(here.state(part.kind, part.where),
                             there.state(part.kind, part.where))
        self.assertEqual(parts, there.parts(backup))
        self.assertIsNone(there.read(backup.container, 'another'))
        return parts

    def remove(self, backup, parts, here, there):
        """Remove it at each site; the other one still has it."""
        for part in reversed(parts):
            here.change(part.kind, part.where, None)
        self.assertEqual([], here.parts(backup))
        self.assertEqual(b'another' * 9,
                         here.read(backup.container, 'another'))
        self.assertEqual(parts, there.parts(backup))
        for part in reversed(parts):
            there.change(part.kind, part.where, None)
            there.change(part.kind, part.where, None)
        self.assertFalse(there.has_container(backup.container))


class StateCase(testtools.TestCase):
    """A test with the record of a cloud of which nothing runs."""

    def setUp(self):
        super().setUp()
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.state = cloud_state.State(directory.name)
        self.state.create()


class CloudCase(testtools.TestCase):
    """A test with a directory of its own for temporary files."""

    #: Seconds that one program may take.
    patience = PATIENCE

    def setUp(self):
        super().setUp()
        self.temporary = pathlib.Path(
            self.useFixture(fixtures.TempDir(rootdir='/tmp')).path)
        self.tmpdir = self.temporary / 't'
        self.tmpdir.mkdir()
        self.directory = self.temporary / 'cloud'
        self.environment = {
            name: value for name, value in os.environ.items()
            if not name.startswith(('OS_', 'LOCAL_CLOUD', 'TEMPEST'))}
        self.environment['TMPDIR'] = str(self.tmpdir)
        self.addCleanup(self._stop_what_is_left)

    def _stop_what_is_left(self):
        """A failed test must not burden the next one."""
        daemons.stop(self.processes())

    def call(self, *arguments, program=PROGRAM, **kwargs):
        """Call the program to its end."""
        return subprocess.run(
            [*program, *map(str, arguments)], env=self.environment,
            cwd=self.temporary, capture_output=True, text=True,
            stdin=subprocess.DEVNULL, timeout=self.patience, **kwargs)

    def on(self, *arguments, **kwargs):
        return self.call('--state-dir', self.directory, *arguments, **kwargs)

    def start(self, *arguments, program=PROGRAM):
        """Start the program, the leader of a foreground process group."""
        with open(self.temporary / 'output', 'ab') as output:
            process = subprocess.Popen(
                [*program, *map(str, arguments)], env=self.environment,
                cwd=self.temporary, stdin=subprocess.DEVNULL, stdout=output,
                stderr=output, process_group=0)
        self.addCleanup(process.wait)
        self.addCleanup(self._kill_group, process)
        return process

    @staticmethod
    def _kill_group(process):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)

    @property
    def output(self):
        """The output of started programs."""
        return (self.temporary / 'output').read_text(errors='replace')

    def processes(self):
        """Every process of any cloud below this test's directory."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                variables = process.environ()
                place = variables.get(cloud_state.ENVIRONMENT, '')
                if (cloud_state.PROCESS_MARK in variables and
                        place.startswith(str(self.temporary)) and
                        process.status() != psutil.STATUS_ZOMBIE):
                    found.append(process)
        return found

    def assert_nothing_left(self, ports=()):
        """No process, no port, no file."""
        self.assertEqual([], [p.cmdline() for p in self.processes()])
        listening = {c.laddr.port for c in psutil.net_connections('tcp')
                     if c.status == psutil.CONN_LISTEN}
        self.assertEqual(set(), set(ports) & listening)
        self.assertFalse(self.directory.exists())
        self.assertEqual([], [str(p) for p in self.tmpdir.rglob('*')])
