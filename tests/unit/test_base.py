# SPDX-License-Identifier: Apache-2.0

"""The base class of the suite's tests."""

import json
from unittest import mock

import fixtures
from oslo_concurrency import lockutils
import testtools
from testtools.testresult import doubles

from cinder_backup_recovery_tests import base
from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import facts
from cinder_backup_recovery_tests import features


class ClassProblemTest(testtools.TestCase):
    """A failed set-up of a class is a fact of each of its tests."""

    def setUp(self):
        super().setUp()
        self.useFixture(fixtures.MockPatchObject(
            lockutils, 'get_lock_path',
            return_value=self.useFixture(fixtures.TempDir()).path))

    def outcomes(self, problem):
        class Inner(base.BackupRecoveryTest):
            def test_1(self):
                raise AssertionError('ran without a set-up')

            def test_2(self):
                self.test_1()

        with mock.patch.object(Inner, 'skip_checks', side_effect=problem):
            Inner.setUpClass()
        # As unittest does, for which the set-up was well.
        Inner.tearDownClass()
        result = doubles.ExtendedTestResult()
        for name in 'test_1', 'test_2':
            Inner(name).run(result)
        return [(event[0], event[2], facts.Facts.of(json.loads(b''.join(
            event[2][facts.DETAIL].iter_bytes()))))
            for event in result._events if event[0].startswith('add')]

    def test_skip(self):
        for how, details, found in self.outcomes(features.skip('reimage')):
            self.assertEqual(('addSkip', 'reimage'), (how, found.lacks))
            self.assertIn('reimage is false', details['reason'].as_text())
            self.assertFalse([one for one in details if 'traceback' in one])

    def test_refusal(self):
        first, second = self.outcomes(exceptions.LedgerCorrupt('line\n2'))
        for how, _details, found in first, second:
            self.assertEqual(
                ('addError', [facts.Refusal('LedgerCorrupt', 'line\n2', True)]
                 ), (how, found.refusals))
        # The second one has not the places of the first one in it.
        self.assertEqual(*(len(one[1]['traceback'].as_text().splitlines())
                           for one in (first, second)))

    def test_failure(self):
        for how, _, found in self.outcomes(ValueError('no volume')):
            self.assertEqual(('addError', facts.Facts()), (how, found))
