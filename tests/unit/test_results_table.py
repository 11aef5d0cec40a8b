# SPDX-License-Identifier: Apache-2.0

"""The table of several runs, made from their reports."""

import collections
import json
import pathlib

import fixtures
import testtools

from cinder_backup_recovery_tests.certification.report import compact
from cinder_backup_recovery_tests.certification.report import table
from cinder_backup_recovery_tests.certification.run import suite
from tests import programs

_PACKAGE = 'cinder_backup_recovery_tests'
_LOSS = 'scenario.test_row_loss.FullBackupRowLossTest'
_DEFECT = {'name': 'x', 'what': 'it is', 'driver': False, 'seen': 'wrong'}
_DAMAGE = 'scenario.test_import_verify.DamagedBackupTest'


def test(cls, name, status='pass', reason=''):
    return {'id': f'{_PACKAGE}.{cls}.{name}[id-1,smoke]', 'status': status,
            'reason': reason, 'seconds': 1.0,
            'steps': [{'what': 'a step', 'seconds': 0.1}]}


def set_up(cls, status, reason, what='setUpClass'):
    return {'id': f'{what} ({_PACKAGE}.{cls})', 'status': status,
            'reason': reason, 'seconds': 0.0}


class SuiteTest(testtools.TestCase):
    def test_class_of(self):
        for test_id in (test(_LOSS, 'test_a')['id'],
                        set_up(_LOSS, 'skip', '')['id'],
                        set_up(_LOSS, 'fail', '', 'tearDownClass')['id']):
            self.assertEqual(_LOSS, suite.class_of(test_id))

    def test_describe(self):
        """By the docstring of the class, as it is in the source."""
        found = suite.describe(
            [test(_LOSS, 'test_a')['id'], test(_LOSS, 'test_b')['id'],
             test('api.test_quota.QuotaTest', 'test_c')['id'],
             test('api.test_quota.NoClass', 'test_c')['id'],
             'other.test_module.Class.test_d[id-2]'])
        self.assertEqual(
            {'proves': 'A full backup loses its row and comes back from its '
                       'record.', 'tests': 2}, found[_LOSS])
        # Of a docstring of two parts, the first.
        self.assertEqual("The quota of the test's own project.",
                         found['api.test_quota.QuotaTest']['proves'])
        for name in 'api.test_quota.NoClass', 'other.test_module.Class':
            self.assertEqual({'proves': '', 'tests': 1}, found[name])


class CompactTest(testtools.TestCase):
    def test_one_record_a_line(self):
        document = {'kit': '1', 'empty': [], 'suite': {'a': {'tests': 2}},
                    'tests': [{'id': 'b', 'of': [1, 2]}, {'id': 'c'}]}
        text = compact.dumps(document)
        self.assertEqual(document, json.loads(text))
        self.assertEqual(
            ['{', ' "kit": "1",', ' "empty": [],', ' "suite": {',
             '  "a": {"tests": 2}', ' },', ' "tests": [',
             '  {"id": "b", "of": [1, 2]},', '  {"id": "c"}', ' ]', '}'],
            text.splitlines())


class TableTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.directory = pathlib.Path(self.useFixture(fixtures.TempDir()).path)

    def report(self, *tests, backup='in-tree-posix', cinder='29.0.0',
               name=None, **other):
        path = self.directory / f'{name or backup + cinder}.json'
        path.write_text(json.dumps({
            'verdict': 'certified', 'exit_code': 0, 'reasons': [],
            'date': '2026-11-22T17:35:25+00:00', 'kit': '1.2.3',
            'machine': {}, 'backup': backup,
            'versions': {'cinder': cinder}, 'seconds': 6.5,
            'suite': {
                _LOSS: {'proves': 'A row is lost.', 'tests': 3},
                _DAMAGE: {'proves': 'Data is lost.', 'tests': 9}},
            'known_defects': [], 'tests': list(tests), **other}))
        return path

    def program(self, *arguments):
        return programs.call(table.main, *arguments)

    def made(self, *paths):
        code, out, err = self.program(*paths)
        self.assertEqual((0, ''), (code, err))
        self.assertLessEqual(max(map(len, out.splitlines())), 79)
        return out

    def cells(self, text):
        """The cells of each line of the table."""
        rows = []
        for line in text.partition('\n\n')[2].partition('\n\n')[0].split('\n'):
            if line.startswith('   * - '):
                rows.append([line[7:]])
            elif line.startswith('     - '):
                rows[-1].append(line[7:])
            else:
                self.assertTrue(line.startswith(' ' * 7), line)
                rows[-1][-1] += f' {line.strip()}'
        return rows

    def test_counts(self):
        """Each test once, also those that a set-up kept from running."""
        first = self.report(
            test(_LOSS, 'test_a'), test(_LOSS, 'test_b'),
            {**test(_LOSS, 'test_c', 'known', 'Traceback\nwrong'),
             'defect': _DEFECT},
            set_up(_DAMAGE, 'skip', '[features] import_verify is false'))
        second = self.report(
            test(_LOSS, 'test_a', 'fail', 'Traceback\nError: no `data`_\n'),
            test(_LOSS, 'test_b'),
            *(test(_DAMAGE, f'test_{n}') for n in range(9)),
            set_up(_DAMAGE, 'fail', 'Error: left over', 'tearDownClass'),
            backup='in-tree-swift')
        text = self.made(first, second)
        self.assertEqual([
            ['what is proved', 'in-tree-posix', 'in-tree-swift'],
            [f'Data is lost. ``{_DAMAGE}``', '9 skip', '9 pass, 1 fail'],
            [f'A row is lost. ``{_LOSS}``', '2 pass, 1 known',
             '1 pass, 1 fail, 1 not run'],
            ['all', '2 pass, 1 known, 9 skip',
             '10 pass, 2 fail, 1 not run'],
        ], self.cells(text))
        first, second = text.split('**in-tree-posix**')[1].split(
            '**in-tree-swift**')
        self.assertIn('Cinder 29.0.0, kit 1.2.3, 2026-11-22: certified.',
                      first)
        self.assertIn('* 1 known: ``known defect x: it is``', first)
        self.assertIn('* 9 skip: ``[features] import_verify is false``',
                      first)
        self.assertNotIn('fail', first)
        self.assertIn("* 1 fail: ``Error: no 'data'_`` "
                      '(``FullBackupRowLossTest.test_a``)', second)
        self.assertIn('DamagedBackupTest (tearDownClass)', second)

    def test_suite_that_has_grown(self):
        """A test that a run could not have is not one that it left out."""
        cells = self.cells(self.made(
            self.report(suite={_LOSS: {'proves': 'A row is lost.',
                                       'tests': 3}}),
            self.report(backup='in-tree-swift')))
        self.assertEqual(['not in its suite', '9 not run'], cells[1][1:])

    def test_releases(self):
        """Two of the same driver are told apart by Cinder's."""
        self.assertEqual(
            ['what is proved', 'default, Cinder 28.0.0',
             'default, Cinder 29.0.0'],
            self.cells(self.made(
                self.report(backup='default', cinder='28.0.0'),
                self.report(backup='default')))[0])

    def test_nothing_but_passes(self):
        self.assertIn('* nothing but passes',
                      self.made(self.report(test(_LOSS, 'test_a'))))

    def test_condensed(self):
        """It makes the same table again."""
        path = self.report(
            test(_LOSS, 'test_a', 'fail', 'Traceback\nError: no data\n\n'),
            {**test(_LOSS, 'test_b', 'known', 'Traceback\nwrong'),
             'defect': _DEFECT},
            test(_LOSS, 'test_c'),
            set_up(_DAMAGE, 'skip', 'not asked for'))
        target = self.directory / 'some' / 'place'
        code, out, err = self.program('--condense', target, path)
        self.assertEqual((0, ''), (code, err))
        condensed = target / 'in-tree-posix-29.0.0.json'
        self.assertEqual([condensed], list(target.iterdir()))
        self.assertEqual(out, self.made(condensed))
        text = condensed.read_text()
        for word in 'a step', 'Traceback', 'machine':
            self.assertNotIn(word, text)

    def test_documented(self):
        """Of the reports that the documentation has there is a table."""
        place = pathlib.Path(__file__).parents[2] / 'doc/source/results'
        paths = sorted(place.glob('in-tree-*.json'))
        self.assertEqual(5, len(self.cells(self.made(*paths))[0]))
        devstack = sorted(place.glob('devstack-*.json'))
        for path in [*paths, *devstack, place / 'gcs-29.0.0.json']:
            text = path.read_text()
            self.assertEqual(text, compact.dumps(json.loads(text)))
        page = place.with_name('contributor') / 'gate.rst'
        words = ' '.join(page.read_text().split())
        for path in devstack:
            found = json.loads(path.read_text())
            counts = collections.Counter(
                test['status'] for test in found['tests'])
            self.assertIn(path.name, words)
            self.assertIn(
                f'{found["verdict"]}: of {len(found["tests"])} tests '
                f'{counts["pass"]} pass, {counts["known"]} show one', words)
            self.assertIn(f'{counts["skip"]} are skipped', words)
            self.assertIn(f'{round(found["seconds"] / 60)} minutes', words)

    def test_errors(self):
        """One line that names the file."""
        good = self.report()
        for name, text in (('none', None), ('text', '{'), ('list', '[]'),
                           ('empty', '{}'),
                           ('status', good.read_text().replace(
                               '"tests": []',
                               '"tests": [{"id": "a", "status": "odd", '
                               '"reason": ""}]')),
                           ('old', good.read_text().replace(
                               '"suite"', '"sweet"'))):
            path = self.directory / name
            if text is not None:
                path.write_text(text)
            code, out, err = self.program(good, path)
            self.assertEqual((3, ''), (code, out), name)
            self.assertTrue(err.startswith(f'error: {path}'), err)
            self.assertEqual(1, err.count('\n'), err)
        for arguments in ((), (good, good),
                          (good, '--condense', '/proc/nowhere')):
            code, out, err = self.program(*arguments)
            self.assertEqual((3, ''), (code, out))
            self.assertEqual(1, err.count('\n'), err)
