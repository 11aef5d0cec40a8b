# SPDX-License-Identifier: Apache-2.0
"""The program that shows that each faulty driver is found."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from unittest import mock

from cinder import exception
import fixtures
import testtools

from mutants import __main__ as program
from mutants import catalogue
from mutants import contract
from mutants import histories
from mutants import matrix
from reference_drivers import default
from tests import programs

_ROOT = pathlib.Path(__file__).parents[2]
SNAPSHOT = 'backup_of_a_snapshot'
DELETE = 'delete_removes_a_backup_and_no_other'


class HarmlessDriver(default.DefaultBackupDriver):
    """Has no defect, so that nothing can find one."""


class EndlessDriver(default.DefaultBackupDriver):
    """Never answers."""

    def export_record(self, backup):
        while True:
            time.sleep(1)


class DyingDriver(default.DefaultBackupDriver):
    """Takes the process with it."""

    def export_record(self, backup):
        sys.stderr.write('here it ends\n')
        sys.stderr.flush()
        os._exit(7)


class NoisyDriver(default.DefaultBackupDriver):
    """Fails, with a text of two lines."""

    def export_record(self, backup):
        raise exception.InvalidBackup(reason='first\nsecond')


def mutant(cls, *meant):
    return catalogue.Mutant(f'{__name__}.{cls.__name__}', cls.__doc__, meant)


class MutantsTest(testtools.TestCase):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.enterClassContext(contract.running())

    def run_program(self, mutants, *arguments):
        """Exit code and output, with these mutants and no others."""
        with mock.patch.object(catalogue, 'drivers', return_value=mutants), \
                mock.patch.object(contract, 'checks',
                                  return_value=[SNAPSHOT, DELETE]):
            return programs.call(program.main, *arguments)

    def test_each_check_is_meant_for_a_mutant(self):
        meant = {check for one in catalogue.drivers() for check in one.meant}
        self.assertEqual(set(contract.checks()), meant)

    def test_a_survivor_and_an_idle_check(self):
        """Neither goes unnoticed."""
        code, out, _ = self.run_program([mutant(HarmlessDriver, SNAPSHOT)])
        self.assertEqual(1, code)
        self.assertIn(f'HarmlessDriver survived {SNAPSHOT}', out)
        self.assertIn(f'{DELETE} kills no mutant', out)

    def test_checks_that_find_all(self):
        one = mutant(NoisyDriver, SNAPSHOT, DELETE)
        code, out, _ = self.run_program([one])
        self.assertEqual(0, code, out)
        self.assertIn('1 mutants, 0 survived, 0 idle checks', out)

    def test_a_false_alarm(self):
        """Checks that find a defect where there is none prove nothing."""
        one = mutant(NoisyDriver, SNAPSHOT, DELETE)
        with mock.patch.object(contract, 'UNHARMED', one.path):
            code, out, _ = self.run_program([one])
        self.assertEqual(1, code)
        self.assertIn(f'{SNAPSHOT} failed without a defect: second', out)

    def test_a_mutant_that_hangs_or_dies(self):
        """The other checks are run all the same."""
        for cls, limit, how, reason in (
                (EndlessDriver, 3, 'hung', 'no answer within 3 s'),
                (DyingDriver, 300, 'crashed', 'here it ends')):
            found = list(contract.run(mutant(cls), [SNAPSHOT, DELETE],
                                     limit))
            self.assertEqual([(SNAPSHOT, how), (DELETE, how)],
                             [(one.check, one.how) for one in found])
            self.assertIn(reason, found[0].reason)

    def test_stopped(self):
        """Told to stop, it leaves neither files nor processes."""
        directory = self.useFixture(fixtures.TempDir()).path
        process = subprocess.Popen(
            [sys.executable, '-W', 'ignore', '-m', 'mutants'],
            env={**os.environ, 'TMPDIR': directory}, cwd=_ROOT,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        deadline = time.monotonic() + 120
        while not any(name.startswith('mutant-')
                      for name in os.listdir(directory)):
            self.assertIsNone(process.poll())
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=600)
        self.assertEqual(2, process.returncode, err)
        self.assertEqual('stopped', err.splitlines()[-1])
        self.assertEqual([], os.listdir(directory))
        # Its session has no process any more.
        self.assertRaises(ProcessLookupError, os.killpg, process.pid, 0)

    def test_results_are_read_again(self):
        """The documentation makes its tables of them."""
        path = pathlib.Path(self.useFixture(fixtures.TempDir()).path, 'json')
        one = mutant(NoisyDriver, SNAPSHOT, DELETE)
        code, _, _ = self.run_program([one], '--json', str(path))
        self.assertEqual(0, code)
        made = matrix.Matrix.from_dict(json.loads(path.read_text()))
        self.assertEqual([], matrix.findings(made))
        self.assertIn(f'**{SNAPSHOT}**, **{DELETE}**', matrix.rst(made))

    def test_histories(self):
        """They find a driver for which none of them was made."""
        path = pathlib.Path(self.useFixture(fixtures.TempDir()).path, 'json')
        words = ('histories', '--histories', '8', '--json', str(path))
        code, out, err = self.run_program([
            mutant(NoisyDriver, SNAPSHOT), mutant(DyingDriver, SNAPSHOT)],
            *words)
        self.assertEqual((1, ''), (code, err), out)
        unharmed, noisy, dying = histories.from_dict(
            json.loads(path.read_text()))
        self.assertEqual((8, True), (unharmed.histories, unharmed.good))
        self.assertEqual(('accepted', 'export', 1), (
            noisy.promise, noisy.key, noisy.histories))
        self.assertIn('history 1 crashed', dying.trouble)
        code, out, _ = self.run_program([mutant(HarmlessDriver, SNAPSHOT)],
                                        *words)
        self.assertEqual(1, code)
        self.assertIn('HarmlessDriver: not found by 8 histories', out)

    def test_wrong_words(self):
        for words, said in ((('--regex', 'nothing-like-it'), 'has such a'),
                            (('--json', '/nowhere/json'), 'not a directory'),
                            (('--regex', '('), 'not a regular expression'),
                            (('--limit', '0'), 'not a duration'),
                            (('--unknown',), 'unrecognized arguments')):
            code, out, err = self.run_program(
                [mutant(HarmlessDriver, SNAPSHOT)], *words)
            self.assertEqual((3, ''), (code, out))
            self.assertIn(said, err)
            self.assertEqual(1, err.count('\n'))

    def test_list(self):
        code, out, _ = self.run_program(
            [mutant(HarmlessDriver, SNAPSHOT)], '--list')
        self.assertEqual(0, code)
        self.assertIn('Has no defect', out)

    def test_a_check_that_was_not_meant(self):
        """It is no excuse for the one that was."""
        one = mutant(HarmlessDriver, SNAPSHOT)
        made = matrix.Matrix([one], [SNAPSHOT, DELETE], {one.name: [
            matrix.Outcome(SNAPSHOT, 'passed'),
            matrix.Outcome(DELETE, 'failed')]})
        self.assertEqual([(one, [SNAPSHOT])], made.survivors())
        self.assertIn('  !  x', matrix.text(made))
