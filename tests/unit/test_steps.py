# SPDX-License-Identifier: Apache-2.0

"""The story of a test."""

import json
import traceback

import testtools

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import facts
from cinder_backup_recovery_tests import steps


class StoryTest(testtools.TestCase):

    def steps(self, told):
        return [(step.what, step.failed, step.set_up)
                for step in told.all_facts().steps]

    def test_steps_are_told_in_order(self):
        told = steps.Story()
        with told.step('lose'):
            pass
        with told.step('import', facts.IMPORT):
            pass
        self.assertEqual([('lose', False, False), ('import', False, False)],
                         self.steps(told))
        self.assertEqual(['', facts.IMPORT],
                         [step.kind for step in told.facts.steps])

    def test_failed_step_is_the_last_one(self):
        told = steps.Story()
        with testtools.ExpectedException(ValueError), told.step('restore'):
            raise ValueError
        self.assertEqual([('restore', True, False)], self.steps(told))
        self.assertRegex(told.details()['story'].as_text(),
                         r'^ +0\.0 s  restore: failed$')

    def test_story_of_the_class_comes_first(self):
        of_class = steps.Story()
        with of_class.step('back up'):
            pass
        of_class.facts.contradictions.append('import_verify')
        first, second = steps.Story(of_class), steps.Story(of_class)
        with first.step('lose'):
            pass
        self.assertEqual([('back up', False, True), ('lose', False, False)],
                         self.steps(first))
        self.assertEqual([('back up', False, True)], self.steps(second))
        self.assertEqual(['import_verify'], second.all_facts().contradictions)

    def test_attachments_have_what_is_told_later(self):
        """The same as text and as data."""
        told = steps.Story()
        details = told.details()
        with told.step('compare'):
            pass
        told.facts.defect = facts.Defect('x', 'y', True, 'line\n"2"')
        self.assertIn('compare', details['story'].as_text())
        read = facts.Facts.of(json.loads(b''.join(
            details[facts.DETAIL].iter_bytes())))
        self.assertEqual(told.all_facts(), read)


class FactsTest(testtools.TestCase):
    def test_of_others(self):
        """A vendor's suite hands over what it has."""
        self.assertEqual(facts.Facts(lacks='incremental'),
                         facts.Facts.of({'lacks': 'incremental', 'more': 1}))

    def test_another_form(self):
        for document in ({'steps': [{'that': 1}]}, {'steps': 5},
                         {'defect': ['x']}):
            self.assertRaises(TypeError, facts.Facts.of, document)

    def test_refusals(self):
        for exc in ValueError('x'), exceptions.ResourceFailed('x'):
            self.assertIsNone(facts.Refusal.of(exc))
        self.assertEqual(facts.Refusal('StoreFailed', 'x', False),
                         facts.Refusal.of(exceptions.StoreFailed('x')))
        self.assertTrue(facts.Refusal.of(
            exceptions.LedgerCorrupt('x')).configuration)

    def test_refusal_of_a_traceback(self):
        """Its last exception, of which the text may have more lines."""
        try:
            try:
                raise exceptions.StoreRefused('first')
            except exceptions.StoreRefused as exc:
                raise exceptions.NotInLedger('no:\n  two\nthree') from exc
        except exceptions.NotInLedger:
            text = traceback.format_exc()
        self.assertEqual('NotInLedger', facts.Refusal.of_traceback(text).error)
        try:
            raise exceptions.ContentMismatch('stale')
        except exceptions.ContentMismatch:
            self.assertIsNone(
                facts.Refusal.of_traceback(traceback.format_exc()))
        self.assertIsNone(facts.Refusal.of_traceback('no traceback'))
