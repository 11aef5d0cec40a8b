# SPDX-License-Identifier: Apache-2.0

"""The tiers of a certification, and what earns them."""

import dataclasses
import pathlib

import fixtures
import testtools

from cinder_backup_recovery_tests import facts
from cinder_backup_recovery_tests.certification.run import runner
from cinder_backup_recovery_tests.certification.verdict import manifest
from cinder_backup_recovery_tests.certification.verdict import results
from cinder_backup_recovery_tests.certification.verdict import tiers
from tests import programs

PASS, KNOWN, SKIP, FAIL, ERROR = results.Status


def uuid(number):
    return f'00000000-0000-4000-8000-{number:012}'


def test_id(name, number, attributes=''):
    return (f'cinder_backup_recovery_tests.m.{name}'
            f'[id-{uuid(number)}{attributes}]')


#: A suite of three classes, the first test of which has two sets of data.
SUITE = [test_id('A.test_1_x', 1), test_id('A.test_1_y', 1),
         test_id('A.test_2', 2, ',negative'),
         test_id('B.test_3', 3, ',serial'), test_id('C.test_4', 4)]


def tier(name, tests, required=False, essential=()):
    return tiers.Tier(name, f'Title of {name}', 'It proves.', required,
                        tuple(essential), tests)


def small():
    return tiers.Manifest((
        tier('low', {uuid(1): ('m.A.test_1_x', 'm.A.test_1_y'),
                      uuid(2): ('m.A.test_2',)}, True, ['row_loss_hard']),
        tier('high', {uuid(3): ('m.B.test_3',), uuid(4): ('m.C.test_4',)},
              essential=['import_verify'])))


def result(test, status=PASS, reason='', **found):
    return results.Result(test, status, 1.0, reason, facts.Facts(**found))


def known(test, driver=False):
    """A test that met a known defect."""
    return result(test, KNOWN, defect=facts.Defect('x', 'y', driver, 'z'))


def set_up(cls, status, reason='', what='setUpClass', **found):
    return result(f'{what} (cinder_backup_recovery_tests.m.{cls})', status,
                  reason, **found)


class ManifestTest(testtools.TestCase):
    def test_the_suite_is_in_it(self):
        """Each test is in a tier, and each that a tier names exists."""
        tests = manifest.suite()
        self.assertEqual([], manifest.differences(tiers.load(), tests))
        self.assertGreater(len(tests), 100)

    def test_tiers(self):
        """The tiers that the documents promise."""
        self.assertEqual(
            {'backup': True, 'restore': True, 'record': True,
             'recovery': True, 'verified': False, 'portable': False},
            {one.name: one.required for one in tiers.load().tiers})

    def test_tiers_of_a_way(self):
        """A report by a user is judged by what a user can show."""
        suite = tiers.load()
        self.assertEqual(
            ['backup', 'restore'],
            [one.name for one in tiers.of_way('tenant').tiers])
        for way in 'local', 'cloud', '':
            self.assertEqual(suite.digest, tiers.of_way(way).digest)
        self.assertEqual(tiers.load(tiers.CONTRACT).digest,
                         tiers.of_way('driver').digest)

    def test_in_no_tier(self):
        for test in (test_id('A.test_5', 5),
                     # As another test than the one that was looked at.
                     test_id('A.test_2', 5), test_id('A.test_9', 2),
                     'cinder_backup_recovery_tests.m.A.test_2'):
            self.assertEqual(
                [f'{tiers.plain(test)} is in no tier'],
                manifest.differences(small(), [*SUITE, test]))

    def test_gone(self):
        for gone in SUITE:
            name = tiers.plain(gone)
            of = small().tier_of(gone).name
            self.assertEqual(
                [f'{of} asks for {name}, which the suite does not have'],
                manifest.differences(
                    small(), [test for test in SUITE if test != gone]))

    def test_the_digest_is_of_what_it_says(self):
        self.assertEqual(small().digest, small().digest)
        changed = dataclasses.replace(small().tiers[0], required=False)
        self.assertNotEqual(
            small().digest,
            tiers.Manifest((changed, small().tiers[1])).digest)

    def test_refresh(self):
        """A new test goes where its class is, if that is one place."""
        suite = [*SUITE[:2], test_id('A.test_6', 6),
                 # Moved to another class, and still the same test.
                 test_id('A.test_3', 3), test_id('D.test_7', 7)]
        found, left = tiers.refresh(small(), suite)
        self.assertEqual(
            {uuid(1): ('m.A.test_1_x', 'm.A.test_1_y'),
             uuid(6): ('m.A.test_6',)}, found.tiers[0].tests)
        self.assertEqual({uuid(3): ('m.A.test_3',)}, found.tiers[1].tests)
        self.assertEqual([suite[-1]], left)

    def test_a_file_that_is_none(self):
        directory = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        path = directory / 'tiers.json'
        for text in ('', '[]', '{"tiers": [{"name": "low"}]}'):
            path.write_text(text)
            error = self.assertRaises(tiers.ManifestError, tiers.load, path)
            self.assertIn('is no manifest of tiers', str(error))
        self.assertRaises(tiers.ManifestError, tiers.load, directory)


class CommandTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        directory = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.useFixture(fixtures.MockPatchObject(
            tiers, 'PATH', directory / 'tiers.json'))
        tiers.PATH.write_text(tiers.json.dumps(small().as_document()))

    def program(self, tests, *arguments):
        with fixtures.MockPatchObject(manifest, 'suite', lambda: tests):
            code, out, err = programs.call(manifest.main, *arguments)
        return code, out + err

    def test_in_order(self):
        self.assertEqual((0, ''), self.program(SUITE))

    def test_put_right(self):
        suite = [*SUITE, test_id('A.test_6', 6)]
        code, out = self.program(suite)
        self.assertEqual(1, code)
        self.assertIn('m.A.test_6 is in no tier', out)
        self.assertEqual((0, ''), self.program(suite, '--write'))
        self.assertEqual((0, ''), self.program(suite))
        code, out = self.program([*suite, test_id('D.test_7', 7)], '--write')
        self.assertEqual(1, code)
        self.assertIn('m.D.test_7 is in no tier', out)

    def test_no_suite(self):
        def fail():
            raise runner.RunError('not listed')

        with fixtures.MockPatchObject(manifest, 'suite', fail):
            self.assertEqual((3, '', 'error: not listed\n'),
                             programs.call(manifest.main))


class EarnedTest(testtools.TestCase):
    def judge(self, *instead, without=(), suite=SUITE, **kwargs):
        """Everything passes but what is said."""
        outcome = [result(test) for test in SUITE
                   if not any(one.covers(test) for one in instead) and
                   tiers.plain(test) not in without]
        kwargs.setdefault('manifest', small())
        verdict = results.judge(suite, [*outcome, *instead], **kwargs)
        self.assertEqual(['low', 'high'],
                         [one.tier for one in verdict.earned])
        return (int(verdict.code), list(verdict.reasons),
                [one.state.value for one in verdict.earned])

    def test_earned(self):
        self.assertEqual((0, [], ['earned', 'earned']), self.judge())

    def test_a_known_defect_counts(self):
        self.assertEqual(
            (0, [], ['earned', 'earned']),
            self.judge(known(SUITE[3])))

    def test_a_defect_of_the_driver_does_not_count(self):
        """A restore of wrong bytes has not shown that volumes come back."""
        self.assertEqual(
            (2, ['B.test_3 met a defect of the driver itself: known defect '
                 'x: y'], ['earned', 'not shown']),
            self.judge(known(SUITE[3], driver=True)))

    def test_known_defects_alone_show_nothing(self):
        self.assertEqual(
            (2, ['no test of the tier high passed'],
             ['earned', 'not shown']),
            self.judge(*map(known, SUITE[3:])))

    def test_failed(self):
        for bad, word, expected in ((FAIL, 'failed', 1), (ERROR, 'error', 3)):
            for one in (result(SUITE[3], bad, 'why'),
                        set_up('B', bad, 'why'),
                        set_up('B', bad, 'why', 'tearDownClass'),
                        result('setUpModule (cinder_backup_recovery_tests.m)',
                               bad, 'why')):
                code, reasons, states = self.judge(one)
                self.assertEqual((expected, word), (code, states[1]), one)
                self.assertEqual(
                    word if 'Module' in one.test_id else 'earned', states[0])
                self.assertEqual(1, len(reasons))

    def test_filtered(self):
        code, reasons, states = self.judge(without=['m.A.test_1_y'])
        self.assertEqual((2, ['not shown', 'earned']), (code, states))
        self.assertEqual(['1 of 5 tests did not run'], reasons)

    def test_skipped(self):
        """No reason is good enough that the profile does not give."""
        for lacks in None, 'incremental':
            for one in result(SUITE[3], SKIP, lacks=lacks), set_up(
                    'B', SKIP, lacks=lacks):
                code, reasons, states = self.judge(
                    one, denied=['row_loss_soft'])
                self.assertEqual((2, ['earned', 'not shown']),
                                 (code, states))
                self.assertEqual(1, len(reasons))

    def test_explained(self):
        """Missing tests are named, and the rest counts."""
        for one in (result(SUITE[3], SKIP, lacks='incremental'),
                    set_up('B', SKIP, lacks='incremental')):
            self.assertEqual((0, [], ['earned', 'earned']),
                             self.judge(one, denied=['incremental']))
            verdict = results.judge(
                SUITE, [*map(result, SUITE[:3]), one, result(SUITE[4])],
                manifest=small(), denied=['incremental'])
            self.assertEqual([{}, {'incremental': 1}],
                             [one.without for one in verdict.earned])

    def test_explained_to_the_last(self):
        """A profile that denies everything has shown nothing."""
        self.assertEqual(
            (2, ['no test of the tier high passed'],
             ['earned', 'not shown']),
            self.judge(*(result(test, SKIP, lacks='incremental')
                         for test in SUITE[3:]), denied=['incremental']))

    def test_a_known_skip_needs_a_skip(self):
        code, _, states = self.judge(
            result(SUITE[3], FAIL, lacks='incremental'),
            denied=['incremental'])
        self.assertEqual((1, 'failed'), (code, states[1]))

    def test_not_claimed(self):
        self.assertEqual(
            (0, [], ['earned', 'not claimed']),
            self.judge(*(result(test, SKIP, lacks='import_verify')
                         for test in SUITE[3:]), denied=['import_verify']))

    def test_not_to_be_denied(self):
        code, reasons, states = self.judge(denied=['row_loss_hard'])
        self.assertEqual((2, ['not claimed', 'earned']), (code, states))
        self.assertEqual(['the profile denies tier low, which every '
                          'certification requires: row_loss_hard'], reasons)

    def test_denied_and_there(self):
        self.assertEqual(
            (2, ['the profile denies import_verify, which the driver plainly '
                 'has'], ['earned', 'earned']),
            self.judge(contradictions=['import_verify']))

    def test_a_deleted_test(self):
        """Taken out of the code, it is named."""
        self.assertEqual(
            (2, ['the suite has no m.C.test_4, which the tier high asks '
                 'for'], ['earned', 'not shown']),
            self.judge(suite=SUITE[:-1], without=['m.C.test_4']))

    def test_a_test_of_no_tier(self):
        more = test_id('A.test_6', 6)
        self.assertEqual(
            (2, ['m.A.test_6 is in no tier'], ['earned', 'earned']),
            self.judge(result(more), suite=[*SUITE, more]))

    def test_a_result_of_another_suite(self):
        self.assertEqual(
            (2, ['X.test_1 is not of the suite'], ['earned', 'earned']),
            self.judge(result('m.X.test_1')))

    def test_an_empty_tier(self):
        code, reasons, _ = self.judge(
            manifest=tiers.Manifest((tier('low', {}), tier('high', {}))),
            suite=SUITE)
        self.assertEqual(2, code)
        self.assertIn('no test of the tier low passed', reasons)
