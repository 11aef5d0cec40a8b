# SPDX-License-Identifier: Apache-2.0

"""Each faulty restore is found by a user with the role member."""

import testtools

from mutants import tenant
from mutants.clouds import tests


class TenantMutantsTest(testtools.TestCase):

    def test_each_is_killed(self):
        """By the first test that is meant for it; the command runs all."""
        survived = []
        with tests.running(member=True) as run:
            for one in tenant.mutants():
                outcome, = run(one, one.meant[:1], 600)
                if not outcome.killed:
                    survived.append((one.name, outcome.check, outcome.how,
                                     outcome.reason))
        self.assertEqual([], survived)
