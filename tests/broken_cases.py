# SPDX-License-Identifier: Apache-2.0

"""Broken tests, for the test of the runner."""

import os

import testtools


class BrokenTests(testtools.TestCase):
    """For the test of what runs these."""

    def test_ends_the_process(self):
        os._exit(0)

    def test_a_fails(self):
        self.fail('what was wrong inside')

    def test_a_is_skipped(self):
        self.skipTest('a reason to skip')


class NoTests(testtools.TestCase):
    """Has none."""
