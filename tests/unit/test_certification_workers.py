# SPDX-License-Identifier: Apache-2.0
"""Workers that end together."""

import datetime
import importlib
import io
import itertools
import json
import pathlib
import re

import fixtures
import subunit
import testtools

from cinder_backup_recovery_tests.certification.run import workers
from cinder_backup_recovery_tests.certification.verdict import tiers
from cinder_backup_recovery_tests.scenario import encrypted

PACKAGE = 'cinder_backup_recovery_tests'
SECONDS = {'m.A': 100.0, 'm.B': 60.0, 'm.C': 50.0, 'n.D': 10.0}


def ids(*names):
    return [f'{PACKAGE}.{name}[id-0]' for name in names]


class ShareTest(testtools.TestCase):

    def share(self, *names, count=2, seconds=SECONDS):
        return [[one.removeprefix(f'{PACKAGE}.') for one in some] for some in
                workers.share(ids(*names), count, seconds)]

    def test_longest_first(self):
        self.assertEqual(
            [['m.A', 'n.D'], ['m.B', 'm.C']],
            self.share('m.A.test_1', 'm.A.test_2', 'm.B.test_1',
                       'm.C.test_1', 'n.D.test_1'))

    def test_a_class_is_not_torn(self):
        self.assertEqual([['m.A']], self.share('m.A.test_1', 'm.A.test_2'))

    def test_one_that_was_never_measured_is_like_others(self):
        """It takes 55 seconds, the mean: more than C, less than B."""
        self.assertEqual([['m.A'], ['m.B'], ['new.E', 'm.C']], self.share(
            'm.A.test_1', 'new.E.test_1', 'm.B.test_1', 'm.C.test_1',
            count=3))
        self.assertEqual([['m.A'], ['m.B']], self.share(
            'm.A.test_1', 'm.B.test_1', seconds={}))

    def test_those_that_wait_for_one_another(self):
        """One worker has them all: a second one would be idle."""
        self.assertEqual(
            [['n.KeyManagerF', 'm.AnEncryptedE', 'm.C'],
             ['m.A', 'm.B', 'n.D']],
            self.share('m.A.test_1', 'm.B.test_1', 'm.C.test_1', 'n.D.test_1',
                       'm.AnEncryptedE.test_1', 'n.KeyManagerF.test_1',
                       seconds={**SECONDS, 'm.AnEncryptedE': 55.0,
                                'n.KeyManagerF': 60.0}))

    def test_classes_that_share_the_key_manager(self):
        """They have the names by which they are found."""
        suite = {name.rpartition('.')[0] for tier in tiers.load().tiers
                 for names in tier.tests.values() for name in names}
        found = set()
        for name in suite:
            module, _, cls = name.rpartition('.')
            loaded = importlib.import_module(f'{PACKAGE}.{module}')
            if issubclass(getattr(loaded, cls), encrypted.EncryptedVolumes):
                found.add(name)
        self.assertEqual(5, len(found))
        self.assertEqual(found, {
            name for name in suite if workers._TAKE_TURNS.search(name)})

    def test_file_for_stestr(self):
        """Each test is one worker's, however alike their names are."""
        tests = ids('m.A.test_1', 'm.AB.test_1', 'm.A_B.test_1', 'xm.A.test_1')
        path = pathlib.Path(self.useFixture(fixtures.TempDir()).path, 'file')
        workers.write(path, workers.share(tests, 2, {}))
        found = [[t for t in tests if any(
            re.search(one, t) for one in entry['worker'])]
            for entry in json.loads(path.read_text())]
        self.assertEqual(sorted(tests), sorted(itertools.chain(*found)))
        self.assertEqual([2, 2], [len(one) for one in found])


class MeasuredTest(testtools.TestCase):

    def test_classes_are_of_the_suite(self):
        """One that is not has been renamed: measure again."""
        suite = {name.rpartition('.')[0] for tier in tiers.load().tiers
                 for names in tier.tests.values() for name in names}
        self.assertEqual(set(), set(workers.measured()) - suite)

    def test_set_up_is_of_the_class_that_comes(self):
        output = io.BytesIO()
        stream = subunit.StreamResultToBytes(output)

        def status(worker, test, status, seconds):
            stream.status(
                f'{PACKAGE}.{test}', status, test_tags={worker, 'other'},
                timestamp=datetime.datetime(
                    2026, 1, 1, tzinfo=datetime.UTC) +
                datetime.timedelta(seconds=seconds))

        # A, whose set-up is not known, then 5 s of set-up and 2 s of B.
        status('worker-0', 'm.A.test_1', 'inprogress', 10)
        status('worker-1', 'm.C.test_1', 'inprogress', 11)
        status('worker-0', 'm.A.test_1', 'success', 13)
        status('worker-0', 'm.B.test_1', 'inprogress', 18)
        status('worker-0', 'm.B.test_1', 'fail', 20)
        # Those that come later, alone, are shared out apart.
        status('worker-0', 'm.A.test_2[id-0,serial]', 'inprogress', 20)
        status('worker-0', 'm.A.test_2[id-0,serial]', 'success', 90)
        status('worker-1', 'm.C.test_1', 'success', 15)
        # Skipped as a whole, and in part.
        status('worker-1', 'm.D.test_1', 'skip', 16)
        status('worker-1', 'm.D.test_2', 'skip', 17)
        status('worker-1', 'm.C.test_2', 'skip', 18)
        output.seek(0)
        self.assertEqual({'m.A': 3.0, 'm.B': 7.0, 'm.C': 5.0},
                         workers.durations(output))

    def test_skipped_classes_keep_their_share(self):
        self.assertEqual(
            {'m.A': 4.0, 'm.B': 6.0, 'm.New': 1.0, 'm.Skipped': 15.0},
            workers.renewed({'m.A': 10.0, 'm.B': 10.0, 'm.Skipped': 30.0},
                            {'m.A': 4.0, 'm.B': 6.0, 'm.New': 1.0}))

    def test_nothing_was_known(self):
        self.assertEqual({'m.A': 4.0}, workers.renewed({}, {'m.A': 4.0}))
