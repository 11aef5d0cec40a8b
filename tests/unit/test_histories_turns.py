# SPDX-License-Identifier: Apache-2.0

"""Threads that take turns."""

import testtools

from reference_drivers.histories import turns


class TurnsTest(testtools.TestCase):
    def order(self, seed, count=3, length=5):
        """The order in which threads went through their points."""
        taken = turns.Turns()
        seen = []

        def call(name):
            for _ in range(length):
                taken.switch()
                seen.append(name)
            return name

        results = taken.run([lambda name=name: call(name)
                             for name in range(count)], seed)
        self.assertEqual(list(range(count)), results)
        self.assertEqual(count * length, len(seen))
        return tuple(seen)

    def test_order_is_the_seed_s(self):
        orders = {seed: self.order(seed) for seed in range(30)}
        self.assertEqual(orders, {seed: self.order(seed)
                                  for seed in range(30)})
        self.assertGreater(len(set(orders.values())), 20)

    def test_each_pair_meets_in_both_orders(self):
        """Of two requests with one point each."""
        self.assertEqual({(0, 1), (1, 0)}, {
            self.order(seed, count=2, length=1) for seed in range(20)})

    def test_thread_of_its_own_has_no_turn(self):
        turns.Turns().switch()

    def test_error_of_one(self):
        """It is raised when the other one has come to its end."""
        taken = turns.Turns()
        done = []

        def fails():
            taken.switch()
            raise turns.Stuck('test')

        def goes_on():
            for _ in range(9):
                taken.switch()
            done.append(True)

        for seed in range(10):
            self.assertRaises(turns.Stuck, taken.run, [fails, goes_on], seed)
        self.assertEqual(10, len(done))
