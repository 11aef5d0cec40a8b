# SPDX-License-Identifier: Apache-2.0
"""The faulty clouds are what they say, and can be switched."""

import os
import pathlib
import tempfile
from unittest import mock

from cinder import objects
import fixtures
import testtools

from cinder_backup_recovery_tests import exceptions as suite_exceptions
from cinder_backup_recovery_tests import known_defects
from local_cloud import backups
from local_cloud import cloud as local_cloud
from local_cloud import exceptions
from mutants import __main__ as program
from mutants import catalogue
from mutants import matrix
from mutants.clouds import switch
from mutants.clouds import tests
from tests import programs


class Victim:
    """Stands in for a class of Cinder."""

    def greet(self, name):
        return f'hello {name}'

    @staticmethod
    def decode(text):
        return text.lower()


class CatalogueTest(testtools.TestCase):

    def test_tests_are_there(self):
        known = set(tests.cases())
        self.assertEqual([], [
            (one.name, check) for one in catalogue.clouds()
            for check in one.meant if check not in known])

    def test_each_is_meant_for_a_test(self):
        self.assertEqual([], [one.name for one in catalogue.clouds()
                              if not one.meant])

    def test_each_says_its_defect_in_one_sentence(self):
        for one in catalogue.clouds():
            self.assertRegex(one.defect, r'^[A-Z][^.]*\.$')

    def test_names_are_unique(self):
        names = [one.name for one in catalogue.clouds()]
        self.assertEqual(len(names), len(set(names)))

    def test_functions_are_in_this_cinder(self):
        objects.register_all()
        for one in catalogue.clouds():
            if not one.undeclared:
                owner, name = switch.place(one.target)
                self.assertTrue(callable(getattr(owner, name)))

    def test_known_defects_are_declared(self):
        """By a cloud of this Cinder, so that leaving them out says something.
        """
        declared = known_defects.declared(['all'], 'master', '')
        self.assertEqual([], [one.undeclared for one in catalogue.clouds()
                              if one.undeclared and
                              one.undeclared not in declared])

    def test_each_driver_has_a_profile_and_defects(self):
        profiles = {one.backup for one in catalogue.clouds()}
        self.assertEqual(profiles, set(catalogue.SWITCHED))
        self.assertLessEqual(profiles, set(backups.BACKENDS))

    def test_no_such_function(self):
        self.assertRaises(AttributeError, switch.place,
                          'cinder.backup.api:API.no_such_method')


class SwitchTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.path = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path) / 'defect'
        for name in ('greet', 'decode'):
            self.useFixture(fixtures.MonkeyPatch(
                f'{__name__}.Victim.{name}', vars(Victim)[name]))

    def defect(self, name, target, function):
        return catalogue.Mutant(
            f'mutants.{name}', 'It errs.', ('a',),
            target=f'{__name__}:{target}', function=function)

    def test_on_and_off(self):
        switch.install([
            self.defect('loud', 'Victim.greet', lambda original, victim, name:
                        original(victim, name).upper()),
            self.defect('mute', 'Victim.greet', lambda *_: ''),
            self.defect('wrong', 'Victim.decode',
                        lambda original, text: original(text)[1:])])
        said = (lambda: Victim().greet(name='you'),
                lambda: Victim.decode('ABC'), lambda: Victim().decode('ABC'))
        right = ['hello you', 'abc', 'abc']

        def ask():
            return [one() for one in said]

        # Without the variable a cloud has no defect, whatever is installed.
        self.useFixture(fixtures.EnvironmentVariable(switch.ENVIRONMENT))
        with switch.on(self.path, 'loud'):
            self.assertEqual(right, ask())
        self.useFixture(fixtures.EnvironmentVariable(
            switch.ENVIRONMENT, str(self.path)))
        self.assertEqual(right, ask())
        for name, wrong in (('loud', ['HELLO YOU', 'abc', 'abc']),
                            ('mute', ['', 'abc', 'abc']),
                            ('wrong', ['hello you', 'bc', 'bc']),
                            ('', right), ('unknown', right)):
            with switch.on(self.path, name):
                self.assertEqual(wrong, ask())
            self.assertEqual(right, ask())
        self.assertEqual([], list(self.path.parent.iterdir()))


class JoinedTest(testtools.TestCase):

    def test_what_was_not_run(self):
        """It is kept, unless it is another one now or is no more."""
        kept, changed, gone, run = (
            catalogue.Mutant(f'mutants.{name}', 'It errs.', (name,))
            for name in ('kept', 'changed', 'gone', 'run'))
        other = catalogue.Mutant(changed.path, 'It errs else.', changed.meant)
        checks = ['run', 'kept', 'changed', 'gone', 'idle']

        def made(*mutants):
            return matrix.Matrix(mutants, [one.meant[0] for one in mutants], {
                '': [matrix.Outcome(one.meant[0], 'passed')
                     for one in mutants],
                **{one.name: [matrix.Outcome(one.meant[0], 'failed')]
                   for one in mutants}})

        found = matrix.joined(made(kept, changed, gone), made(run),
                              [run, other, kept], checks)
        self.assertEqual([run, kept], found.mutants)
        self.assertEqual(['run', 'kept'], found.checks)
        self.assertEqual(['changed', 'gone', 'idle'], found.others)
        self.assertEqual({'run', 'kept', ''}, set(found.outcomes))
        self.assertEqual(['run', 'kept'],
                         [one.check for one in found.outcomes['']])
        self.assertTrue(found.good)


class JudgedTest(testtools.TestCase):

    def test_refusal(self):
        """The suite's refusals find no defect."""
        def judge(error):
            class Test(testtools.TestCase):
                def test(self):
                    raise error

            return matrix.Outcome('a', *tests.judged(Test('test'))).killed

        self.assertFalse(judge(suite_exceptions.NotInLedger('2 of others')))
        self.assertFalse(judge(suite_exceptions.InvalidConfiguration('no')))
        self.assertFalse(judge(suite_exceptions.StoreFailed('of\ntwo')))
        self.assertTrue(judge(suite_exceptions.ResourceFailed('error')))
        self.assertTrue(judge(AssertionError('NotInLedger')))


class ProgramTest(testtools.TestCase):

    def test_cloud_does_not_start(self):
        """It says so in a line, and leaves all as it was."""
        directory = self.useFixture(fixtures.TempDir()).path
        self.useFixture(fixtures.MonkeyPatch('tempfile.tempdir', directory))
        self.useFixture(fixtures.EnvironmentVariable('OS_CLOUD', 'another'))
        before = dict(os.environ), dict(backups.BACKENDS)

        def up(*_):
            self.assertNotIn('OS_CLOUD', os.environ)
            self.assertNotEqual(before[1], backups.BACKENDS)
            raise exceptions.ServiceFailed('cinder does not answer')

        with mock.patch.object(local_cloud.Cloud, 'start', side_effect=up):
            self.assertEqual(
                (3, '', 'error: cinder does not answer\n'), programs.call(
                    program.main, 'clouds', '--regex', 'loses_metadata'))
        self.assertEqual(before, (dict(os.environ), dict(backups.BACKENDS)))
        self.assertEqual([], os.listdir(tempfile.gettempdir()))
