# SPDX-License-Identifier: Apache-2.0

"""Locks between real processes."""

import errno
import json
import os
import pathlib
import re
import select
import signal
import subprocess
import sys
import time
from unittest import mock

import fixtures
import testtools

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.cloud import locks

# Of a busy machine; what is waited for comes long before.
_PATIENCE = 60
# Holds something until its standard input ends.
_PROGRAM = """
import json, sys
from cinder_backup_recovery_tests.cloud import locks
what, path, run = sys.argv[1:]
held = (locks.Writer(path) if what == 'writer' else
        locks.key_manager(path, what == 'stops') if what in (
            'uses', 'stops') else
        locks.RunLock(path, json.loads(run)))
print('held', flush=True)
sys.stdin.read()
"""


class LocksTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.ledger = self.useFixture(fixtures.TempDir()).path
        self.run_lock = os.path.join(self.ledger, locks.RUN)
        self.run = {**locks.owner('certify-report'), 'ledger': self.ledger}

    def start(self, what, path):
        """Let another process request a lock."""
        process = subprocess.Popen(
            [sys.executable, '-c', _PROGRAM, what, path,
             json.dumps(self.run)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

        def end():
            process.kill()
            process.communicate()

        self.addCleanup(end)
        return process

    def hold(self, what, path):
        """Let another process hold a lock."""
        process = self.start(what, path)
        self.assert_held(process)
        return process

    def assert_held(self, process):
        """Wait until a process holds its lock."""
        self.assertNotEqual(([], [], []), select.select(
            [process.stdout], [], [], _PATIENCE))
        self.assertEqual('held\n', process.stdout.readline())

    def assert_waits(self, process):
        """Wait until a process waits for a lock, and not for others."""
        deadline = time.monotonic() + _PATIENCE
        waiting = re.compile(rf'-> FLOCK +\S+ +\S+ {process.pid} ')
        while not waiting.search(pathlib.Path('/proc/locks').read_text()):
            self.assertIsNone(process.poll())
            self.assertEqual(([], [], []), select.select(
                [process.stdout], [], [], 0.01), 'it did not wait')
            self.assertLess(time.monotonic(), deadline)

    def test_a_second_run_is_told_who_runs(self):
        self.hold('run', self.run_lock)
        for refused in (
                lambda: locks.RunLock(self.run_lock, locks.owner()),
                lambda: locks.refuse_held(self.run_lock),
                locks.cleaning(self.ledger).__enter__,
                locks.cleaning(self.ledger, 'another').__enter__):
            error = str(self.assertRaises(locks.InUse, refused))
            for part in (self.ledger, self.run['host'], self.run['since'],
                         str(self.run['pid']), self.run['report']):
                self.assertIn(part, error)
            self.assertNotIn('\n', error)
        self.assertEqual(self.run, locks.holder(self.run_lock))
        self.assertIs(True, locks.alive(self.run))

    def test_a_lock_ends_with_its_process(self):
        """Also by a kill, which leaves the file."""
        process = self.hold('run', self.run_lock)
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.assertTrue(os.path.exists(self.run_lock))
        self.assertIsNone(locks.holder(self.run_lock))
        locks.refuse_held(self.run_lock)
        self.assertIs(False, locks.alive(self.run))
        with locks.RunLock(self.run_lock, locks.owner()):
            self.assertIs(False, locks.alive(self.run))
        self.assertEqual([], os.listdir(self.ledger))

    def test_processes_share_a_ledger(self):
        """Those of stestr and Tempest, without a certification."""
        workers = [self.hold('writer', self.ledger) for _ in range(2)]
        locks.Writer(self.ledger).close()
        for process in workers:
            error = str(self.assertRaises(
                locks.InUse, locks.cleaning(self.ledger).__enter__))
            self.assertIn('tests that use the ledger', error)
            process.kill()
            process.wait()
        with locks.cleaning(self.ledger):
            pass

    def test_tests_that_stop_the_key_manager_have_it_alone(self):
        """Also after the kill of a process that uses it."""
        users = [self.hold('uses', self.ledger) for _ in range(2)]
        stops = self.start('stops', self.ledger)
        for user in users:
            self.assert_waits(stops)
            user.kill()
            user.wait()
        self.assert_held(stops)
        user = self.start('uses', self.ledger)
        self.assert_waits(user)
        # No class of another kind waits for them.
        locks.Writer(self.ledger).close()
        stops.communicate()
        self.assert_held(user)
        user.communicate()
        locks.key_manager(self.ledger, alone=True)()
        self.hold('stops', self.ledger)

    def test_no_process_begins_during_a_cleanup(self):
        with locks.cleaning(self.ledger):
            error = str(self.assertRaises(
                exceptions.InvalidConfiguration, locks.Writer, self.ledger))
            self.assertIn('is being cleaned up', error)
            self.assertRaises(locks.InUse, locks.RunLock, self.run_lock,
                              self.run)
            self.assertRaises(locks.InUse,
                              locks.cleaning(self.ledger).__enter__)
        locks.Writer(self.ledger).close()

    def test_the_cleanup_of_the_run_itself(self):
        self.hold('run', self.run_lock)
        with locks.cleaning(self.ledger, self.run['run']):
            self.assertEqual(self.run, locks.holder(self.run_lock))
        self.assertEqual(self.run, locks.holder(self.run_lock))

    def test_looking_creates_nothing(self):
        nowhere = os.path.join(self.ledger, 'x')
        self.assertIsNone(locks.holder(os.path.join(nowhere, locks.RUN)))
        self.assertEqual([], os.listdir(self.ledger))
        for other in ({'ledger': nowhere}, {'host': 'elsewhere'},
                      {'ledger': None}):
            self.assertIsNone(locks.alive({**self.run, **other}), other)

    def test_a_holder_that_has_not_named_itself_yet(self):
        self.run = {}
        self.hold('run', self.run_lock)
        error = str(self.assertRaises(
            locks.InUse, locks.refuse_held, self.run_lock))
        self.assertIn('unknown process', error)

    def test_a_file_that_was_removed(self):
        """The lock is then on another file than the next one locks."""
        with locks.RunLock(self.run_lock, self.run):
            os.unlink(self.run_lock)
            with locks.RunLock(self.run_lock, locks.owner()):
                pass

    def test_a_file_system_without_locks(self):
        with mock.patch('fcntl.flock', side_effect=OSError(
                errno.ENOLCK, 'No locks available')):
            for kind, refused in (
                    (locks.LockError, lambda: locks.RunLock(
                        self.run_lock, self.run)),
                    (exceptions.InvalidConfiguration,
                     lambda: locks.Writer(self.ledger))):
                error = str(self.assertRaises(kind, refused))
                self.assertIn('No locks available; choose', error)

    def test_a_full_disk(self):
        """A lock that could not be written is not held."""
        with mock.patch('os.pwrite', side_effect=OSError(errno.ENOSPC, 'x')):
            self.assertRaises(OSError, locks.RunLock, self.run_lock, self.run)
        self.assertEqual([], os.listdir(self.ledger))
        locks.RunLock(self.run_lock, self.run).release()

    def test_a_ledger_that_cannot_be_made(self):
        path = pathlib.Path(self.ledger) / 'file'
        path.touch()
        error = str(self.assertRaises(exceptions.InvalidConfiguration,
                                      locks.Writer, str(path / 'ledger')))
        self.assertIn('cannot be written', error)
