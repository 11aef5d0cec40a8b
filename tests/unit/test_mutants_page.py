# SPDX-License-Identifier: Apache-2.0
"""The page of the mutants tells of those that there are."""

import json
import pathlib

import testtools

from mutants import catalogue
from mutants import contract
from mutants import matrix
from mutants.clouds import tests as tempest_tests

_RESULTS = pathlib.Path(__file__).parents[2] / 'doc' / 'source' / 'results'


class PageTest(testtools.TestCase):

    name: str

    def setUp(self):
        super().setUp()
        self.made = matrix.Matrix.from_dict(json.loads(
            (_RESULTS / f'{self.name}.json').read_text()))


class MutantsPageTest(PageTest):

    name = 'mutants'

    def test_results_are_of_these_mutants(self):
        """Run "python -m mutants" with --json after a change."""
        self.assertEqual(catalogue.drivers(), self.made.mutants)
        self.assertEqual(contract.checks(), self.made.checks)

    def test_results_are_good(self):
        self.assertEqual([], matrix.findings(self.made))


class CloudMutantsPageTest(PageTest):

    name = 'cloud-mutants'

    def test_results_are_of_these_mutants(self):
        """Run "python -m mutants clouds" with --json after a change."""
        self.assertEqual(catalogue.clouds(), self.made.mutants)
        listed = {*self.made.checks, *self.made.others}
        self.assertEqual(set(), listed - set(tempest_tests.cases()))

    def test_results_are_good(self):
        self.assertEqual([], matrix.findings(self.made))
