# SPDX-License-Identifier: Apache-2.0
"""The tests that a configuration asks for: of files, and random ones."""

import json
import pathlib
import unittest
from unittest import mock

import testtools

from backup_model import history
from backup_model import known
from cinder_backup_recovery_tests.certification.verdict import tiers
from cinder_backup_recovery_tests.scenario import histories
from cinder_backup_recovery_tests.scenario import history_engine
from cinder_backup_recovery_tests.scenario import test_histories
from cinder_backup_recovery_tests.scenario import test_history_files
from tests.unit import test_config

# It needs a storage that is away.
_NOT_ON_CLOUDS = {'storage-is-exact-away-delete-leaves'}

_FILES = [str(known.CORPUS / f'{name}.json') for name in (
    'nothing-needed-is-taken-live-child', 'answered-at-once-import',
    'work-ends-killed-import-creating')]


class MadeTest(testtools.TestCase):
    def made(self, **options):
        """The ids of the tests that options add."""
        conf = test_config.make_conf(**{
            f'cinder_backup_recovery.{name}': value
            for name, value in options.items()})
        self.enterContext(mock.patch.object(test_history_files, 'CONF', conf))
        for owner in (test_history_files.HistoryFileTest,
                      test_history_files.KillingHistoryFileTest,
                      test_history_files.RandomHistoryTest):
            before = set(vars(owner))
            self.addCleanup(lambda owner=owner, before=before: [
                delattr(owner, name) for name in set(vars(owner)) - before])
        tests = test_history_files.load_tests(
            unittest.defaultTestLoader, unittest.TestSuite(), None)
        return [one.id().removeprefix('cinder_backup_recovery_tests.')
                for one in tests]

    def test_none(self):
        self.assertEqual([], self.made())

    def test_files(self):
        """Those that kill the service are alone, as others that do."""
        module = 'scenario.test_history_files'
        found = self.made(history_files=_FILES)
        self.assertEqual([
            f'{module}.HistoryFileTest.test_01_nothing_needed_is_taken_live_'
            f'child',
            f'{module}.HistoryFileTest.test_02_answered_at_once_import',
            f'{module}.KillingHistoryFileTest.test_03_work_ends_killed_'
            f'import_creating'],
            [one.partition('[')[0] for one in found])
        self.assertEqual([False, False, True],
                         ['serial' in one for one in found])
        # They are of no tier, and no tier lacks them.
        self.assertEqual([], tiers.load().unknown(found))

    def test_unreadable_file(self):
        """It is a test, so that the check of the options is read."""
        self.assertEqual(1, len(self.made(history_files=['/no/such.json'])))

    def test_random_ones(self):
        found = self.made(history_count=2)
        self.assertEqual(2, len(found))
        self.assertEqual([], tiers.load().unknown(found))


class StaysTest(testtools.TestCase):
    def stays(self, name, *defects):
        with mock.patch.object(
                histories.recovery_config, 'declared_defects',
                return_value=frozenset(defects)):
            return [histories.stays(step) for step in history.read(
                known.CORPUS / f'{name}.json')][-1]

    def test_declared(self):
        for name, defect, statuses, drifts in (
                ('work-ends-import-creating', 'import-stays-creating',
                 {'creating'}, False),
                ('work-ends-killed-import-creating',
                 'import-killed-stays-creating', {'creating'}, True),
                ('work-ends-at-once-create-backup-volume-backing-up',
                 'backups-at-once', {'volume backing-up'}, False),
                ('usage-is-that-of-rows-at-once-delete-backups',
                 'deletes-at-once', set(), True),
                ('usage-is-that-of-rows-at-once-delete-backups',
                 'dependents-drift', set(), True),
                # It may be slow, and ends.
                ('reached-by-the-same-import', 'import-stays-creating',
                 set(), False)):
            found = self.stays(name, defect)
            self.assertEqual((statuses, drifts),
                             (found.statuses, found.drifts), name)
            self.assertEqual(history_engine.Stays(set()), self.stays(name))

    def test_nothing_was_asked_of_cinder(self):
        """Rows that the tests remove change nothing later."""
        step = history.Step('lose rows', '', {'backups': ['b1']})
        self.assertTrue(histories.stays(step).drifts)


class OutcomesTest(testtools.TestCase):
    def test_of_this_corpus(self):
        """Run tools/history_outcomes.py after a change of the corpus."""
        document = json.loads((
            pathlib.Path(__file__).parents[2] /
            'doc/source/results/histories-29.0.0.json').read_text())
        self.assertEqual({path.stem: json.loads(path.read_text())['defect']
                          for path in known.CORPUS.glob('*.json')
                          if path.stem not in _NOT_ON_CLOUDS},
                         document['histories'])
        for one in document['drivers']:
            for where in ('in process', 'cloud'):
                self.assertEqual(document['histories'].keys(),
                                 one[where].keys(), (one['driver'], where))
            # A cloud shows no more and no less than one process.
            self.assertEqual(one['in process'], one['cloud'])


class CorpusTest(testtools.TestCase):
    def test_each_has_a_test(self):
        """A history that is added to the corpus gets a test on clouds."""
        source = pathlib.Path(test_histories.__file__).read_text()
        for path in known.CORPUS.glob('*.json'):
            self.assertEqual(path.stem not in _NOT_ON_CLOUDS,
                             f"'{path.stem}'" in source, path.stem)
            self.assertTrue(json.loads(path.read_text())['defect'])
