# SPDX-License-Identifier: Apache-2.0

import datetime

import testtools

from tests import time_shares


class SharesTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.shares = time_shares.Shares()

    def status(self, worker, test, status, seconds):
        self.shares.status(
            test, status, test_tags={worker}, timestamp=datetime.datetime(
                2026, 1, 1, tzinfo=datetime.UTC) +
            datetime.timedelta(seconds=seconds))

    def test_set_up_is_of_the_module_that_comes(self):
        self.status('worker-0', 'tests.unit.test_a.ATest.test_1',
                    'inprogress', 0)
        self.status('worker-1', 'tests.unit.test_c.CTest.test_1',
                    'inprogress', 0)
        self.status('worker-0', 'tests.unit.test_a.ATest.test_1',
                    'success', 10)
        # A set-up of 70 s that nothing says anything of, and 19 s of tests.
        self.status('worker-0', 'tests.unit.test_b.BTest.test_1[id-1]',
                    'inprogress', 80)
        self.status('worker-0', 'tests.unit.test_b.BTest.test_1[id-1]',
                    'fail', 99)
        self.status('worker-1', 'setUpClass (tests.unit.test_c.CTest)',
                    'fail', 0.5)
        self.assertEqual({'tests.unit.test_a': 10.0,
                          'tests.unit.test_b': 89.0,
                          'tests.unit.test_c': 0.5}, self.shares.modules)
        self.assertEqual([
            'Seconds, and the part of all, by module of tests:',
            '      89  89.4%  tests.unit.test_b',
            '      10  10.1%  tests.unit.test_a',
            '       0   0.5%  all others',
            'Seconds by worker: 99, 0'], list(time_shares.lines(self.shares)))

    def test_no_test_ran(self):
        self.assertEqual([], list(time_shares.lines(self.shares)))
