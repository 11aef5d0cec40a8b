# SPDX-License-Identifier: Apache-2.0
"""The page of the mutants tells of those that there are."""

import json
import pathlib

import testtools

from mutants import catalogue
from mutants import contract
from mutants import histories
from mutants import matrix
from mutants import tenant
from mutants import unseen
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


class HistoryMutantsPageTest(testtools.TestCase):

    def test_results_are_of_these_mutants(self):
        """Run "python -m mutants histories" with --json after a change."""
        made = histories.from_dict(json.loads(
            (_RESULTS / 'history-mutants.json').read_text()))
        self.assertEqual(made, histories.joined(
            made, [], catalogue.drivers()))
        self.assertEqual([unseen.reason(one.name) for one in made],
                         [one.unseen for one in made])
        self.assertEqual([], [str(one) for one in made if one.trouble])

    def test_unharmed(self):
        """The driver without a defect is not found."""
        unharmed, *_ = histories.from_dict(json.loads(
            (_RESULTS / 'history-mutants.json').read_text()))
        self.assertEqual(('', ''), (unharmed.name, unharmed.promise))
        self.assertTrue(unharmed.good)

    def test_joined(self):
        """Results are kept of mutants that were not run, and not changed."""
        first, second, *_ = mutants = catalogue.drivers()
        old = [histories.Outcome('', '', 5),
               histories.Outcome(first.name, first.defect, 1, 'accepted'),
               histories.Outcome(second.name, 'another defect', 1)]
        new = [histories.Outcome('', '', 7)]
        self.assertEqual([new[0], old[1]],
                         histories.joined(old, new, mutants))

    def test_each_that_cannot_be_seen_exists(self):
        names = [name for some in unseen.REASONS.values() for name in some]
        self.assertEqual(len(set(names)), len(names))
        self.assertEqual(set(), set(names) - {
            one.name for one in catalogue.drivers()})

    def test_something_else(self):
        self.assertRaises(matrix.MatrixError, histories.from_dict, {})


class CloudMutantsPageTest(PageTest):

    name = 'cloud-mutants'

    def test_results_are_of_these_mutants(self):
        """Run "python -m mutants clouds" with --json after a change."""
        self.assertEqual(catalogue.clouds(), self.made.mutants)
        listed = {*self.made.checks, *self.made.others}
        self.assertEqual(set(), listed - set(tempest_tests.cases()))
        self.assertEqual({check for one in self.made.mutants
                          for check in one.meant}, set(self.made.checks))

    def test_results_are_good(self):
        self.assertEqual([], matrix.findings(self.made))


class TenantMutantsPageTest(PageTest):

    name = 'tenant-mutants'

    def test_results_are_of_these_mutants(self):
        """Run "python -m mutants tenant" with --json after a change."""
        self.assertEqual(tenant.mutants(), self.made.mutants)
        # Each test of tenant mode is meant for one.
        self.assertEqual(
            [one for one in tempest_tests.cases() if tenant.is_check(one)],
            self.made.checks)

    def test_results_are_good(self):
        self.assertEqual([], matrix.findings(self.made))

    def test_each_is_found_or_has_a_reason(self):
        """And none is both, twice, or does not exist."""
        unseen = [name for names in tenant.UNSEEN.values() for name in names]
        found = [name for names in tenant.FOUND_BY.values() for name in names]
        mutants = tenant.mutants()
        self.assertEqual([], [one.name for one in mutants if not one.meant])
        self.assertEqual(
            sorted(one.name for one in tenant.everything()),
            sorted([*unseen, *(one.name for one in mutants)]))
        self.assertEqual(
            sorted(found), sorted(one.name for one in mutants
                                  if not one.name.startswith('clouds.')))
