# SPDX-License-Identifier: Apache-2.0

"""Histories as a part of the certification of a driver."""

import json
import os
import pathlib
from unittest import mock

import fixtures
import subunit
import testtools

from backup_model import drawing
from backup_model import history
from backup_model import known
from cinder_backup_recovery_tests.certification import main
from reference_drivers.contract import __main__ as program
from reference_drivers.contract import binding
from reference_drivers.histories import cloud
from reference_drivers.histories import contract
from tests import programs
from tests.functional import test_certify_driver as cases
from tests.functional import test_contract_program as plain

_ID = 'reference_drivers.histories.contract.HistoriesContract.test_'
KNOWN, RANDOM = f'{_ID}known_histories', f'{_ID}random_histories'
# All of the contract pass with it: there is one project in its tests.
_FAULTY = """
import sqlite_driver

class Forgetful(sqlite_driver.SqliteBackupDriver):
    '''Looks for a backup where the project of the request has its own.'''

    def delete_backup(self, backup):
        if backup.project_id == self.context.project_id:
            super().delete_backup(backup)
"""
_CREATE = (
    history.Step('create volume', 'admin-1',
                 {'volume': 'v1', 'content': [1, 0, 2, 1, 1, 2]}),
    history.Step('create backup', 'admin-1',
                 {'backup': 'b1', 'volume': 'v1'}))


class OnceDriver(plain.posix.PosixBackupDriver):
    """Cannot be reached, once."""

    failed = False

    def backup(self, backup, *args, **kwargs):
        # Not the one by which the binding is checked.
        if not OnceDriver.failed and backup.display_name != 'contract':
            OnceDriver.failed = True
            raise OSError('no answer')
        return super().backup(backup, *args, **kwargs)


class NoIncrementalDriver(plain.posix.PosixBackupDriver):
    """Makes full backups only."""

    def backup(self, backup, *args, **kwargs):
        if backup.parent_id:
            raise ValueError('it is incremental')
        return super().backup(backup, *args, **kwargs)


class CertifyHistoriesTest(cases.CertifyDriverCase):
    """From the profile of a vendor to the verdict."""

    def histories(self):
        return {one['id']: one['histories']
                for one in self.document()['tests']}

    def test_passed(self):
        """The run, the defects that were met, and how to run it again."""
        code, out, err = self.certify('--regex', 'Histories', '--histories',
                                      '4', '--seed', '4')
        self.assertEqual((2, ''), (code, err), out)
        self.assertIn('2 pass, 0 known, 0 skip, 0 fail', out)
        found = self.histories()
        self.assertEqual(
            (4, 4, 4, []), tuple(found[RANDOM][name] for name in (
                'seed', 'wanted', 'histories', 'causes')))
        self.assertGreater(found[RANDOM]['steps'], 4)
        self.assertIn('import-failed-keeps-quota', found[KNOWN]['defects'])
        self.assertIn('4 histories of seed 4 with ', out)
        text = (self.directory / 'report' / 'report.html').read_text()
        self.assertIn('4 histories of seed 4 with ', text)

    def test_a_fault_that_the_contract_does_not_see(self):
        (self.directory / 'faulty_driver.py').write_text(_FAULTY)
        self.useFixture(fixtures.EnvironmentVariable(
            'PYTHONPATH', os.pathsep.join([str(self.directory),
                                           os.environ['PYTHONPATH']])))
        faulty = {'driver__class': 'faulty_driver.Forgetful'}
        code, out, err = self.certify('--regex', 'known_hist|delete', **faulty)
        self.assertEqual((1, ''), (code, err), out)
        document = self.document()
        self.assertEqual({KNOWN}, {one['id'] for one in document['tests']
                                   if one['status'] == 'fail'})
        self.assertEqual(1, len(document['reasons']))
        self.assertIn('storage-is-exact: b1 is deleted',
                      document['reasons'][0])
        cause, = self.histories()[KNOWN]['causes']
        self.assertEqual(('storage-is-exact', 'delete leaves', 'driver', 3),
                         (cause['promise'], cause['key'], cause['whose'],
                          len(cause['story'])))
        report = self.directory / 'report'
        self.assertIn('admin-2 deletes backup b1',
                      (report / 'report.html').read_text())
        code, said, _ = programs.call(main.main, 'verify-report', report)
        self.assertEqual(0, code, said)
        # As the report says: the history is a file for the other program.
        path = self.directory / 'history.json'
        path.write_text(json.dumps(cause['history']))
        steps = history.read(path)
        self.assertEqual('admin-2', steps[-1].actor)

    def test_mistakes(self):
        for words, said in (
                (('--seed', 'x'), 'run.histories_seed must be a whole number'),
                (('--histories', '0'), 'run.histories: 0 is less than')):
            code, _, err = self.certify(*words)
            self.assertEqual((3, 1), (code, err.count('\n')), err)
            self.assertIn(said, err)


class HistoriesContractTest(testtools.TestCase):
    """Whose fault a broken promise is."""

    def setUp(self):
        super().setUp()
        self.directory = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path)

    def run_program(self, driver, *words, only=RANDOM):
        """Status and facts of one test."""
        out = self.directory / 'stdout'
        stdout = os.dup(1)
        with open(out, 'wb') as stream:
            os.dup2(stream.fileno(), 1)
        try:
            code = program.main(
                ['--driver', driver, '--only', only, *words],
                contract.parser(), contract.tests)
        finally:
            os.dup2(stdout, 1)
            os.close(stdout)
        self.assertEqual(0, code)
        cases_ = []
        result = testtools.StreamToDict(cases_.append)
        result.startTestRun()
        with out.open('rb') as stream:
            subunit.ByteStreamToStreamResult(stream).run(result)
        result.stopTestRun()
        case, = cases_
        found = case['details']
        facts = json.loads(b''.join(found['facts'].iter_bytes())
                           ) if 'facts' in found else {}
        return case['status'], facts, found

    def drawn(self, *steps):
        self.useFixture(fixtures.MockPatchObject(
            drawing, 'drawn', return_value=list(steps)))

    def test_a_defect_of_cinder_that_has_no_name(self):
        """As a new release brings one: no driver fails for it."""
        self.useFixture(fixtures.MockPatchObject(
            known, 'causes', return_value={}))
        self.drawn(*_CREATE, history.Step('export', 'admin-1', {
            'record': 'r1', 'backup': 'b1'}), history.Step(
                'import', 'admin-1', {
                    'record': 'r1', 'field': 'id', 'value': []}))
        status, facts, _ = self.run_program(plain.POSIX, '--histories', '1')
        cause, = facts['histories']['causes']
        self.assertEqual(('success', 'answered', 'cinder', []), (
            status, cause['promise'], cause['whose'], facts['refusals']))

    def test_a_fault_that_does_not_come_again(self):
        """A storage that failed once under load is no false alarm."""
        OnceDriver.failed = False
        self.drawn(*_CREATE)
        status, facts, _ = self.run_program(
            f'{__name__}.OnceDriver', '--histories', '1')
        cause, = facts['histories']['causes']
        self.assertTrue(OnceDriver.failed)
        self.assertEqual(('success', 'accepted', 'not again'), (
            status, cause['promise'], cause['whose']))

    def test_the_kit_is_at_fault(self):
        """An engine that breaks is an error, and no failure of a driver."""
        self.drawn(*_CREATE)
        with mock.patch.object(cloud.Cloud, 'view',
                               side_effect=LookupError('no list')):
            status, facts, _ = self.run_program(plain.POSIX, '--histories',
                                                '1')
        self.assertEqual('fail', status)
        refusal, = facts['refusals']
        self.assertEqual(
            ('LookupError', 'the histories could not be run: no list'),
            (refusal['error'], refusal['message']))

    def test_time_is_over(self):
        """The number that ran is told; that of known ones is the same."""
        status, facts, _ = self.run_program(
            plain.DEFAULT, '--histories', '1000', '--seconds', '1')
        found = facts['histories']
        self.assertEqual(('success', 1000), (status, found['wanted']))
        self.assertTrue(0 < found['histories'] < 100)

    def test_no_store(self):
        """A storage that cannot be listed is skipped by its reason."""
        with mock.patch.dict(binding._STORES, clear=True):
            status, _, found = self.run_program(plain.POSIX)
        self.assertEqual(('skip', binding.LACKS_STORE),
                         (status, found['reason'].as_text()))

    def test_denied(self):
        """A driver is asked for nothing that its profile denies."""
        self.drawn(*_CREATE, history.Step('create backup', 'admin-1', {
            'backup': 'b2', 'volume': 'v1', 'incremental': True}))
        for words, expected in (((), 'fail'),
                                (('--lacks', 'incremental'), 'success')):
            status, *_ = self.run_program(
                f'{__name__}.NoIncrementalDriver', '--histories', '1', *words)
            self.assertEqual(expected, status)
