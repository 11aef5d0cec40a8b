# SPDX-License-Identifier: Apache-2.0

"""The verdict of a certification, by its results."""

import testtools

from cinder_backup_recovery_tests import facts
from cinder_backup_recovery_tests.certification.verdict import results

PASS, KNOWN, SKIP, FAIL, ERROR = results.Status
PACKAGE = 'small_suite'


def result(name, status, reason='', **kwargs):
    return results.Result(f'{PACKAGE}.test_x.{name}', status, 1.0,
                          reason, **kwargs)


class JudgeTest(testtools.TestCase):
    REQUIRED = [f'{PACKAGE}.test_x.A.test_1[id-1]',
                f'{PACKAGE}.test_x.A.test_2[id-2]',
                f'{PACKAGE}.test_x.B.test_3[id-3]']
    GOOD = [result('A.test_1[id-1]', PASS), result('A.test_2[id-2]', PASS)]

    def _judge(self, *more, required=None, good=None, **kwargs):
        verdict = results.judge(
            self.REQUIRED if required is None else required,
            [*(self.GOOD if good is None else good), *more], **kwargs)
        return int(verdict.code), list(verdict.reasons)

    def test_certified(self):
        self.assertEqual((0, []), self._judge(result('B.test_3', PASS)))

    def test_nothing_required(self):
        self.assertEqual((3, ['no test was found']),
                         self._judge(required=[], good=[]))

    def test_nothing_ran(self):
        code, reasons = self._judge(good=[])
        self.assertEqual((2, ['3 of 3 tests did not run']), (code, reasons))

    def test_failed(self):
        self.assertEqual(
            (1, ['B.test_3 failed: AssertionError: stale']),
            self._judge(result('B.test_3', FAIL,
                               'Traceback:\n  ...\nAssertionError: stale\n')))

    def test_without_a_reason(self):
        self.assertEqual((1, ['B.test_3 failed: no reason was given']),
                         self._judge(result('B.test_3', FAIL)))

    def test_a_known_defect(self):
        """It is not the driver's, and is reported."""
        known = result('B.test_3', KNOWN, facts=facts.Facts(
            defect=facts.Defect('x', 'y', False, 'Traceback')))
        self.assertEqual((0, []), self._judge(known))
        self.assertEqual({'x': ['B.test_3']},
                         results.known([*self.GOOD, known]))

    def test_skipped(self):
        self.assertEqual((2, ['B.test_3 was skipped: no Nova']),
                         self._judge(result('B.test_3', SKIP, 'no Nova')))

    def test_missing(self):
        self.assertEqual((2, ['1 of 3 tests did not run']), self._judge())
        self.assertEqual(
            (f'{PACKAGE}.test_x.B.test_3',),
            results.judge(self.REQUIRED, self.GOOD).missing)

    def test_interrupted(self):
        code, reasons = self._judge(interrupted=True)
        self.assertEqual(2, code)
        self.assertEqual('the run was interrupted', reasons[0])

    def test_interrupted_after_the_last_test(self):
        self.assertEqual(
            (2, ['the run was interrupted']),
            self._judge(result('B.test_3', PASS), interrupted=True))

    def test_order(self):
        """Errors say least of the driver, then failures."""
        outcomes = [result('B.test_3', SKIP, 's'),
                    result('A.test_1', FAIL, 'f'),
                    result('A.test_2', ERROR, 'e')]
        self.assertEqual(
            (3, ['A.test_2: error: e', 'A.test_1 failed: f']),
            self._judge(*outcomes, good=[]))
        self.assertEqual((1, ['A.test_1 failed: f']),
                         self._judge(*outcomes[:2], good=[]))
        self.assertEqual(1, self._judge(*outcomes[:2], good=[],
                                        interrupted=True)[0])

    def test_a_set_up_stands_for_its_class_only(self):
        skipped = results.Result(f'setUpClass ({PACKAGE}.test_x.A)', SKIP,
                                 0.0, 'lacks it')
        self.assertEqual(
            (2, ['A (setUpClass) was skipped: lacks it',
                 '1 of 3 tests did not run']),
            self._judge(skipped, good=[]))

    def test_a_tear_down_does_not_stand_for_tests(self):
        torn = results.Result(f'tearDownClass ({PACKAGE}.test_x.B)', FAIL,
                              0.0, 'left it')
        self.assertEqual((1, ['B (tearDownClass) failed: left it']),
                         self._judge(torn))
        self.assertFalse(torn.covers(self.REQUIRED[2]))

    def test_a_wrong_configuration_once(self):
        wrong = [results.Result(
            f'setUpClass ({PACKAGE}.test_x.{name})', ERROR, 0.0, 'Traceback',
            facts.Facts(refusals=[facts.Refusal('X', 'no database', True)]))
            for name in 'AB']
        self.assertEqual((3, ['no database']), self._judge(*wrong, good=[]))

    def test_similar_names_of_classes(self):
        skipped = results.Result(f'setUpClass ({PACKAGE}.test_x.A)', SKIP,
                                 0.0)
        self.assertFalse(skipped.covers(f'{PACKAGE}.test_x.AB.test_1'))
