# SPDX-License-Identifier: Apache-2.0

"""The comparison of the reference driver with Cinder's own."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from unittest import mock
import uuid

from cinder import objects
from cinder.backup import chunkeddriver
from cinder.backup.drivers import posix
import ddt
import fixtures
import psutil
import testtools
from testtools import matchers

from reference_drivers import hooks
from reference_drivers.verification import errors
from tests import programs
from tests.cross_drivers import __main__ as program
from tests.cross_drivers import cases
from tests.cross_drivers import processes
from tests.cross_drivers import recovering

_SEED = 20


class RandomTest(testtools.TestCase):
    """A small part of the comparison, the same each time.

    If it fails, a user cannot recover with one driver what the other has
    backed up; "make cross-drivers" finds a simpler case.
    """

    def test_each_recovers_the_other_ones_backups(self):
        recovered = set()
        for number in range(12):
            case = cases.make(_SEED, number)
            recovering.recover(case)
            recovered.add(case.restorer)
        self.assertEqual(set(cases.OTHER), recovered)


def _decoded(backup_url):
    return {**_DECODE(backup_url), 'snapshot_id': str(uuid.uuid4())}


_DECODE = objects.Backup.decode_record
#: Where each is, what is there instead, and what the comparison says.
_FAULTS = {
    # As Cinder before 2026.2 did.
    'zeros left out': (
        chunkeddriver, '_write_volume',
        lambda new, *args: chunkeddriver._write_nonzero(*args),
        'Difference: backup [0-9]+ of the chain, restored by cinder'),
    'nothing written': (
        hooks.VerifyMixin, '_write_chunk', staticmethod(lambda *args: None),
        'Difference: backup [0-9]+ of the chain, restored by reference'),
    'import refused': (
        hooks.VerifyMixin, '_check_size', staticmethod(
            mock.Mock(side_effect=errors.WrongRecord('no', 'size'))),
        'WrongRecord: .*no'),
    'wrong field imported': (
        objects.Backup, 'decode_record', staticmethod(_decoded),
        'Difference: the import makes snapshot_id'),
    'chunks not deleted': (
        posix.PosixBackupDriver, 'delete_object', lambda *args: None,
        'Difference: a deletion leaves'),
}


@ddt.ddt
class FaultTest(testtools.TestCase):
    """Each planted fault is found.

    If it fails, a difference between the drivers is overlooked.
    """

    @ddt.data(*_FAULTS)
    def test_found_and_simplified(self, name):
        where, attribute, fault, expected = _FAULTS[name]
        self.useFixture(fixtures.MockPatchObject(where, attribute, fault))
        number = next(number for number, case in enumerate(
            cases.make(_SEED, number) for number in range(80))
            if len(case.backups) == 3 and
            processes.attempt(case)[1] is not None)
        status, found, _ = programs.call(program.main, '--seed', _SEED,
                                         '--case', number)
        self.assertEqual(program.DIFFERENT, status)
        self.assertThat(found, matchers.MatchesRegex(
            f'(?s).*DIFFERENT: case {number} of seed {_SEED}: .*'
            f'simplest found: {expected}.*--seed {_SEED} --case {number}\n'))
        simplest, = (json.loads(line) for line in found.splitlines()[3:]
                     if line.startswith('{'))
        self.assertLess(len(simplest['backups']), 3)

    def test_result_of_a_process(self):
        """It ends the comparison, which runs the case again."""
        self.useFixture(fixtures.MockPatchObject(
            processes, 'workers', lambda *args: contextlib.nullcontext()))
        self.useFixture(fixtures.MockPatchObject(
            processes, 'results', lambda *args: iter([
                None, (0, [], None), (1, [], 'Difference: a byte')])))
        self.useFixture(fixtures.MockPatchObject(
            processes, 'attempt', lambda case: ([], 'Difference: a byte')))
        status, out, _ = programs.call(program.main, '--seed', 5)
        self.assertEqual(program.DIFFERENT, status)
        self.assertIn('--seed 5 --case 1', out)


class ProgramTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        # By which its processes are found.
        self.mark = uuid.uuid4().hex
        self.directory = self.useFixture(fixtures.TempDir()).path
        self.useFixture(fixtures.Timeout(600, gentle=True))

    def start(self, *arguments):
        process = subprocess.Popen(
            [sys.executable, '-m', 'tests.cross_drivers', *arguments],
            cwd=pathlib.Path(__file__).parents[2], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, 'MARK': self.mark, 'TMPDIR': self.directory,
                 'PYTHONWARNINGS': 'ignore'})
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def marked(self):
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if (process.environ().get('MARK') == self.mark and
                        process.status() != psutil.STATUS_ZOMBIE):
                    found.append(process)
        return found

    def assert_nothing_left(self):
        while self.marked():
            time.sleep(0.1)
        self.assertEqual([], os.listdir(self.directory))

    def test_in_two_processes(self):
        process = self.start('--backups', '2', '--seed', '1',
                             '--processes', '2')
        out, err = process.communicate()
        self.assertEqual((program.SAME, ''), (process.returncode, err))
        for made, restored in cases.OTHER.items():
            self.assertThat(out, matchers.MatchesRegex(
                f'(?s).*[0-9]+ backups of {made} were recovered by '
                f'{restored}\n'))
        self.assertIn('no difference', out)
        self.assert_nothing_left()

    def test_interrupted(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            process = self.start('--processes', '2')
            # It, what multiprocessing has beside it, and two that work.
            while not len(os.listdir(self.directory)) or not any(
                    os.scandir(os.path.join(
                        self.directory, os.listdir(self.directory)[0]))):
                self.assertIsNone(process.poll())
                time.sleep(0.1)
            process.send_signal(number)
            _, err = process.communicate()
            self.assertEqual((program.INTERRUPTED, 'interrupted\n'),
                             (process.returncode, err))
            self.assert_nothing_left()

    def test_process_that_dies(self):
        """No case may be counted that has no result."""
        process = self.start('--processes', '2')
        while not (working := [one for one in self.marked()
                               if 'spawn_main' in str(one.cmdline())]):
            self.assertIsNone(process.poll())
            time.sleep(0.1)
        for one in working:
            one.kill()
        _, err = process.communicate()
        self.assertEqual(program.FAILED, process.returncode)
        self.assertIn('a process has ended', err)
        self.assert_nothing_left()

    def test_wrong_arguments(self):
        for arguments, reason in (
                (['--case', '1'], '--case needs the --seed'),
                (['--backups', '0'], '--backups must be at least 1'),
                (['--processes', '0'], '--processes must be at least 1'),
                (['--seed', 'x'], 'argument --seed: invalid int value')):
            status, _, err = programs.call(program.main, *arguments)
            self.assertEqual(program.FAILED, status)
            self.assertIn(f'error: {reason}', err)
