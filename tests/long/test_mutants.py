# SPDX-License-Identifier: Apache-2.0

"""Each faulty driver is found by what is meant to find it."""

import testtools

from mutants import catalogue
from mutants import contract


class MutantsTest(testtools.TestCase):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.enterClassContext(contract.running())

    def test_each_is_killed(self):
        """By the first check that is meant for it; the command runs all."""
        survived = []
        for one in catalogue.drivers():
            outcome, = contract.run(one, one.meant[:1])
            if not outcome.killed:
                survived.append((one.name, outcome.check, outcome.how))
        self.assertEqual([], survived)
