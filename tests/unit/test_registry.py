# SPDX-License-Identifier: Apache-2.0

"""The site of the reports of many drivers."""

from html import parser
import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest
from unittest import mock

import fixtures
import testtools
import yaml

from cinder_backup_recovery_tests.certification import main
from cinder_backup_recovery_tests.certification.registry import collect
from cinder_backup_recovery_tests.certification.registry import pages
from cinder_backup_recovery_tests.certification.registry import site
from cinder_backup_recovery_tests.certification.report import writer
from cinder_backup_recovery_tests.certification.verdict import document
from cinder_backup_recovery_tests.certification.verdict import tiers
from tests.unit import registries
from tests.unit import reports


class Page(parser.HTMLParser):
    """What a browser makes of a page.

    :ivar rows: the cells of each row of its tables
    :ivar links: the addresses that it leads to
    :ivar tags: the names of its elements
    :ivar sections: the text of each section, by its id
    """

    def __init__(self, path):
        super().__init__()
        self.rows, self.links, self.tags, self.sections = [], [], set(), {}
        self._cell = self._section = None
        self._label = False
        self.text = path.read_text()
        self.feed(self.text)
        self.close()

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.add(tag)
        self.handle_data(' ' if tag == 'br' else '')
        if tag == 'a':
            self.links.append(attrs['href'])
        elif tag == 'tr':
            self.rows.append([])
        elif tag in ('td', 'th'):
            self._cell = ''
        elif tag == 'section':
            self._section = attrs['id']
            self.sections[self._section] = ''
        # Shown where there is no head of the table, and over a picture.
        self._label = attrs.get('class') == 'label' or tag == 'title'

    def handle_endtag(self, tag):
        if tag in ('td', 'th'):
            self.rows[-1].append(' '.join(self._cell.split()))
            self._cell = None
        elif tag == 'section':
            self.sections[self._section] = ' '.join(
                self.sections[self._section].split())
            self._section = None
        self._label = False

    def handle_data(self, data):
        if self._label:
            return
        if self._cell is not None:
            self._cell += data
        if self._section:
            self.sections[self._section] += data


GOOD, BAD = reports.SmallReport(), reports.SmallReport(fails=True)


def setUpModule():
    for one in GOOD, BAD:
        one.setUp()
        unittest.addModuleCleanup(one.cleanUp)


class RegistryTestCase(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.directory = self.useFixture(registries.Directory(GOOD, BAD))
        self.site = self.directory.site

    def make(self, *words, code=0):
        got, out, err = self.directory.make(*words)
        self.assertEqual((code, []), (got, err), out)
        return out

    def page(self, name='index.html'):
        return Page(self.site / name)

    def data(self):
        return json.loads((self.site / 'registry.json').read_text())

    def files(self):
        return sorted(str(path.relative_to(self.site))
                      for path in self.site.rglob('*') if path.is_file())

    def assert_refused(self, said, *words):
        """One line of error, exit status 3."""
        code, out, err = self.directory.run(*words)
        self.assertEqual((3, 1), (code, len(err)), (out, err))
        self.assertTrue(err[0].startswith('error: '), err)
        self.assertIn(said, err[0])


class TableTest(RegistryTestCase):
    def test_cells(self):
        self.directory.add('one', fails=True, kit='1.2.3', commit='c0ffee')
        self.directory.add('two', driver='Bravo', cinder='28.0.0',
                           way='driver', kit='1.2.3', commit='')
        self.make()
        self.assertEqual([
            ['Driver', 'Cinder', 'Verdict', 'Tiers', 'Tested', 'Day', 'Kit',
             'Reports'],
            ['acme', '29.0.0', 'failed', 'record verified: failed', '',
             '2026-11-01', '1.2.3 (c0ffee)', '1'],
            ['Bravo', '28.0.0', 'certified', 'record verified',
             'in one process', '2026-11-01', '1.2.3', '1']], self.page().rows)

    def test_newest_of_each_release_and_way(self):
        """A verdict that is newer counts, also one that is worse."""
        for place, cinder, way, day, fails in (
                ('a', '9.0.0', 'cloud', '2026-01-01', False),
                ('b', '29.0.0', 'cloud', '2026-01-02', True),
                ('c', '29.0.0', 'cloud', '2026-01-03', False),
                ('d', '29.0.0', 'driver', '2026-01-04', True),
                ('e', '30.0.0', 'cloud', '2026-01-05', False),
                ('f', '30.0.0', 'cloud', '2026-01-06', True)):
            self.directory.add(place, cinder=cinder, way=way, day=day,
                               fails=fails)
        self.make()
        self.assertEqual(
            [['30.0.0', 'failed', 'on a cloud', '2026-01-06', '6'],
             ['29.0.0', 'failed', 'in one process', '2026-01-04', '6'],
             ['29.0.0', 'certified', 'on a cloud', '2026-01-03', '6'],
             ['9.0.0', 'certified', 'on a cloud', '2026-01-01', '6']],
            [[row[1], row[2], row[4], row[5], row[7]]
             for row in self.page().rows[1:]])

    def test_history(self):
        """All reports of the driver and none of another, newest first."""
        for day, fails in ('2026-03-01', True), ('2026-05-01', False):
            self.directory.add(day, day=day, fails=fails, kit='1', commit='')
        self.directory.add('other', driver='acme2')
        self.make()
        rows = self.page('drivers/acme.html').rows
        self.assertEqual(
            [['Day', 'Cinder', 'Verdict', 'Tiers', 'Tested', 'Tests', 'Kit',
              'Report'],
             ['2026-05-01', '29.0.0', 'certified', 'record verified', '',
              '3 pass, 1 known known defects: import-negative-size', '1',
              '2026-05-01']],
            rows[:2])
        self.assertEqual(['2026-03-01', '29.0.0'], rows[2][:2])
        self.assertRegex(rows[2][2], '^failed VerifyTest.test_maybe failed')
        self.assertEqual(3, len(rows))

    def test_tier_without_a_capability(self):
        row = collect.Row(
            'x', '0' * 64, 'x', '1', '', 'certified', '2026-01-01', '1', '',
            ({'name': 'verified', 'state': 'earned',
              'without': {'chunks': 2, 'store_pause': 1}},
             {'name': 'portable', 'state': 'not claimed', 'without': {}}),
            {'pass': 1}, (), ())
        self.site.mkdir()
        path = self.site / 'index.html'
        path.write_text(pages.index([row], []))
        self.assertEqual(
            'verified without chunks, store_pause portable: not claimed',
            Page(path).rows[1][3])

    def test_releases_by_their_numbers(self):
        numbers = ['29.10.0', '29.9.0', '29.0.0', '9.0.0', '3.71',
                   '0' * 5000]
        rows = [collect.Row('x', str(one), 'x', number, '', 'certified',
                            '2026', '', '', (), {}, (), ())
                for one, number in enumerate(reversed(numbers))]
        self.assertEqual(numbers, [row.cinder for row in pages.newest(rows)])

    def test_links(self):
        """Each leads to a page that is there, or to the source."""
        self.directory.fill()
        self.make('--source', 'https://example.com/tree/main/')
        found = set()
        for name in self.files():
            if not name.endswith('.html'):
                continue
            for link in Page(self.site / name).links:
                target, _, anchor = link.partition('#')
                if target.startswith('https:'):
                    found.add(target)
                    continue
                path = (self.site / name).parent / target if target else (
                    self.site / name)
                self.assertTrue(path.is_file(), f'{name}: {link}')
                if anchor:
                    self.assertIn(f'id="{anchor}"', path.read_text())
        self.assertEqual(
            {f'https://example.com/tree/main/{place}' for place in (
                'acme/1', 'acme/2', 'acme/3', 'acme/4', 'acme/changed',
                'acme/twice', 'hostile', 'long', 'none')}, found)

    def test_pages_of_reports(self):
        """Each is made from its results, and leads to its driver."""
        self.directory.add('one', fails=True)
        self.make()
        row, = self.data()['reports']
        page = self.page(row['page'])
        self.assertEqual('../drivers/acme.html', page.links[0])
        self.assertIn('VerifyTest.test_maybe', page.text)
        # The page of the report itself is a stranger's, and not published.
        self.assertNotEqual(page.text, (
            self.directory.path / 'one' / 'report.html').read_text())

    def test_data(self):
        self.directory.fill()
        self.make()
        data = self.data()
        self.assertEqual(
            [('acme/4', 'acme', 'failed', 'drivers/acme.html')],
            [(one['place'], one['driver'], one['verdict'],
              one['driver_page']) for one in data['reports'][:1]])
        self.assertEqual(
            {'acme/changed': 'acme', 'acme/twice': 'acme', 'none': ''},
            {one['place']: one['driver'] for one in data['refused']})

    def test_kit_that_checked(self):
        self.directory.add('one')
        self.make()
        for name in 'index.html', 'drivers/acme.html':
            self.assertIn(f'of the kit {document.version()}:',
                          self.page(name).text)

    def test_same_reports_same_site(self):
        self.directory.fill()
        self.make()
        before = {name: (self.site / name).read_bytes()
                  for name in self.files()}
        self.make()
        self.assertEqual(before, {name: (self.site / name).read_bytes()
                                  for name in self.files()})


class RefusedTest(RegistryTestCase):
    """What is not verified is listed without a verdict, and fails a check."""

    def assert_listed(self, place, reason, rows=0):
        out = self.make()
        self.assertTrue(any(
            line.startswith(f'{self.directory.path}/{place}: ') and
            reason in line for line in out), out)
        self.assertIn(f'{self.directory.path}/{place}: not counted', out)
        page = self.page()
        self.assertEqual(rows, max(0, len(page.rows) - 1))
        self.assertIn(place, page.sections['refused'])
        self.assertIn(reason, page.sections['refused'])
        self.assertEqual(rows, len(self.data()['reports']))
        self.assertNotIn(str(self.directory.path), page.text)
        code, again, err = self.directory.run('--check')
        self.assertEqual((1, []), (code, err))
        self.assertIn(f'{self.directory.path}/{place}: not counted', again)

    def test_a_changed_byte(self):
        """Of each file of a report."""
        directory = self.directory.add('one')
        for name in ('results.json', 'tiers.json', 'results.subunit',
                     'junit.xml', 'report.html', 'logs/cinder.log'):
            path = directory / name
            content = path.read_bytes()
            path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
            self.assert_listed('one', 'not JSON' if name == 'results.json'
                               else f'{name} is not the file')
            path.write_bytes(content)
        self.assertEqual(0, self.directory.run('--check')[0])

    def test_a_verdict_that_does_not_follow(self):
        directory = self.directory.add('one', fails=True)
        self.directory.add('two', driver='other')
        reports.change(directory, 'results.json', lambda document:
                       document.update(verdict='certified', exit_code=0))
        reports.remake(directory)
        reports.sum_up(directory)
        self.assert_listed('one', 'the report says certified', rows=1)
        self.assertNotIn('acme', [row[0] for row in self.page().rows])
        self.assertFalse((self.site / 'drivers' / 'acme.html').exists())

    def test_on_the_page_of_the_driver_that_it_names(self):
        self.directory.fill()
        self.make()
        refused = self.page('drivers/acme.html').sections['refused']
        self.assertIn('acme/changed', refused)
        self.assertIn('acme/twice', refused)
        self.assertNotIn('none', refused)
        self.assertNotIn('refused', self.page(
            collect.page_of(collect.line(registries.HOSTILE))).sections)

    def test_twice(self):
        self.directory.add('one')
        shutil.copytree(self.directory.path / 'one',
                        self.directory.path / 'two')
        self.assert_listed('two', 'the same results as one', rows=1)
        self.assertEqual(2, len(self.page('drivers/acme.html').rows))

    def test_not_a_report(self):
        for name, text, reason in (
                ('results.json', '[]', 'is not a results.json of'),
                ('results.json', '{"verdict": 1, "schema": 1}',
                 'has version 1 of the schema'),
                ('results.json', '[' * 100000, 'is not JSON'),
                ('results.json', '\x00', 'is not JSON'),
                ('report.html', '<p>certified</p>',
                 'results.json: No such file')):
            path = self.directory.path / 'none' / name
            path.parent.mkdir()
            path.write_text(text)
            self.assert_listed('none', reason)
            shutil.rmtree(path.parent)

    def test_links(self):
        """They would have other files of this machine read."""
        directory = self.directory.add('one')
        path = directory / 'logs' / 'more.log'
        path.symlink_to('/etc/passwd')
        self.assert_listed('one', 'logs/more.log is not a file but a link')
        path.unlink()
        target = directory / 'results.json'
        target.rename(self.directory.path / 'elsewhere')
        target.symlink_to(self.directory.path / 'elsewhere')
        self.assert_listed('one', 'results.json is not a file but a link')

    def test_hidden_and_linked_directories(self):
        """They are no reports of the registry."""
        self.directory.add('one')
        self.directory.add('.git/two')
        (self.directory.path / 'latest').symlink_to('one')
        self.assertEqual(2, len(self.make()))


class HostileTest(RegistryTestCase):
    """A report is a stranger's, each text in it, and its place."""

    def test_markup(self):
        texts = '<script>throw 1</script>', '"><img src=x onerror=x>'
        self.directory.add(
            texts[0], driver=registries.HOSTILE, cinder=texts[1],
            kit=texts[0], commit=texts[1], way=texts[0])
        bad = self.directory.add('bad', driver=texts[0])
        reports.change(bad, 'results.json', lambda document:
                       document.update(reasons=list(texts)))
        reports.sum_up(bad)
        self.make('--source', 'https://example.com')
        for name in self.files():
            if name.endswith('.html'):
                self.assertEqual(set(), {'script', 'img'} &
                                 Page(self.site / name).tags, name)
        self.assertEqual(
            ['<script>throw 1</script> ../../"\' \ufffdretsiger', texts[1],
             'certified', 'record verified', texts[0], '2026-11-01',
             f'{texts[0]} ({texts[1]})', '1'], self.page().rows[1])
        self.assertIn(texts[1], self.page().sections['refused'])

    def test_nothing_outside_of_the_site(self):
        before = set(self.site.parent.iterdir())
        for number, driver in enumerate((
                '../../../x', '/etc/x', '..', '.', '', 'a/b', 'C:\\x',
                'index', '\ufffd' * 500, 'a' * 5000, 'Acme', 'ACME')):
            self.directory.add(str(number), driver=driver)
        self.make()
        self.assertEqual(before | {self.site}, set(
            self.site.parent.iterdir()))
        self.assertEqual(
            {'drivers', 'reports', 'SHA256SUMS', 'index.html',
             'registry.json'}, {path.name for path in self.site.iterdir()})
        self.assertEqual(12, len(list((self.site / 'drivers').iterdir())))

    def test_one_page_a_driver(self):
        """No name is a way to the page of another driver."""
        self.assertEqual('drivers/in-tree-nfs.html',
                         collect.page_of('in-tree-nfs'))
        taken = collect.page_of('Acme')
        names = ['acme', 'Acme', 'acme ', 'acme!', '-acme', '.acme', '',
                 pathlib.PurePath(taken).stem, 'a' * 60, 'a' * 61]
        found = {collect.page_of(name) for name in names}
        self.assertEqual(len(names), len(found), found)
        for name in found:
            self.assertRegex(name, site._OURS)

    def test_one_line_of_output(self):
        """No text of a report starts a line, or has an escape in it."""
        self.directory.add('one', driver='x\n::error::x\x1b[2J\r')
        for line in self.make():
            self.assertTrue(line.startswith((str(self.directory.path),
                                             '1 report')), line)
            self.assertTrue(line.isprintable(), line)


class SiteTest(RegistryTestCase):
    """How files get to their places."""

    def test_files(self):
        self.directory.add('one')
        self.make()
        digest = self.data()['reports'][0]['digest'][:16]
        self.assertEqual(
            ['SHA256SUMS', 'drivers/acme.html', 'index.html',
             'registry.json', f'reports/{digest}.html'], self.files())

    def test_what_is_gone_goes_and_nothing_else(self):
        self.directory.add('one')
        self.directory.add('two', driver='gone')
        self.make()
        for name in 'CNAME', 'drivers/mine.html', '.git/config':
            (self.site / name).parent.mkdir(exist_ok=True)
            (self.site / name).write_text('mine')
        before = self.files()
        gone, = (one['page'] for one in self.data()['reports']
                 if one['driver'] == 'gone')
        shutil.rmtree(self.directory.path / 'two')
        self.make()
        self.assertEqual({'drivers/gone.html', gone},
                         set(before) - set(self.files()))
        for name in 'CNAME', 'drivers/mine.html', '.git/config':
            self.assertEqual('mine', (self.site / name).read_text())

    def assert_left_alone(self, said):
        before = {name: (self.site / name).read_bytes()
                  for name in self.files()}
        self.assert_refused(said, '--output', str(self.site))
        self.assertEqual(before, {name: (self.site / name).read_bytes()
                                  for name in self.files()})

    def test_files_of_others(self):
        """None of them is overwritten, and nothing else is written then."""
        self.directory.add('one')
        self.make()
        sums = self.site / 'SHA256SUMS'
        for name in 'index.html', 'drivers/acme.html':
            text = sums.read_text()
            sums.write_text(''.join(line for line in text.splitlines(True)
                                    if name not in line))
            self.assert_left_alone(f'{self.site / name} was not written by '
                                   f'this program')
            sums.write_text(text)

    def test_a_list_of_digests_of_others(self):
        """That of a report, and one that points elsewhere."""
        self.directory.add('one')
        mine = self.site.parent / 'mine'
        mine.touch()
        self.site.mkdir()
        for text in ('x', f'{"0" * 64}  results.json\n',
                     f'{"0" * 64}  ../mine\n', f'{"0" * 64}  {mine}\n',
                     f'{"0" * 64}  drivers/../../mine\n'):
            (self.site / 'SHA256SUMS').write_text(text)
            self.assert_left_alone('SHA256SUMS was not written by this')
            self.assertTrue(mine.exists())

    def test_a_link_to_another_directory(self):
        self.directory.add('one')
        mine = self.site.parent / 'mine'
        mine.mkdir()
        self.site.mkdir()
        (self.site / 'drivers').symlink_to(mine)
        self.assert_left_alone('drivers was not written by this program')
        self.assertEqual([], list(mine.iterdir()))

    def test_a_failure_leaves_the_old_site(self):
        """Until all of the new one is there."""
        self.directory.add('one')
        self.make()
        self.directory.add('two', driver='new')
        for name, target in (('a full disk', 'pathlib.Path.write_text'),
                             ('Ctrl-C', f'{pages.__name__}.index')):
            error = (KeyboardInterrupt() if name == 'Ctrl-C' else
                     OSError(28, 'No space left on device'))
            before = self.files()
            with mock.patch(target, side_effect=error):
                code, _, err = self.directory.make()
            self.assertEqual(
                (2, ['interrupted']) if name == 'Ctrl-C' else
                (3, [f'error: the site cannot be written to {self.site}: No '
                     f'space left on device']), (code, err))
            self.assertEqual(before, self.files())

    def test_killed_between_two_files(self):
        """Each address leads to a page, and the next run goes on."""
        self.directory.add('one')
        self.directory.add('two', driver='gone')
        self.make()
        shutil.rmtree(self.directory.path / 'two')
        self.directory.add('three', driver='new')
        replace, unlink = pathlib.Path.replace, pathlib.Path.unlink
        for last in range(20):
            left = [last]

            def counted(function, left=left):
                def run(*args, **kwargs):
                    if not left[0]:
                        raise SystemExit
                    left[0] -= 1
                    return function(*args, **kwargs)
                return run

            try:
                with mock.patch.multiple(
                        pathlib.Path, replace=counted(replace),
                        unlink=counted(unlink)):
                    self.make()
            except SystemExit:
                pass
            else:
                break
            # Each page that a visitor can come to.
            known, pages_ = set(), [self.site / 'index.html']
            while pages_:
                path = pages_.pop().resolve()
                if path not in known and path.suffix == '.html':
                    known.add(path)
                    self.assertTrue(path.exists(), f'{last}: {path}')
                    pages_ += [path.parent / link.partition('#')[0]
                               for link in Page(path).links]
            self.assertGreater(len(known), 3)
        self.assertGreater(last, 7)
        self.assertEqual({'acme', 'new'}, {
            one['driver'] for one in self.data()['reports']})
        self.assertEqual(7, len(self.files()))


class ProgramTest(RegistryTestCase):
    def test_check(self):
        """It writes nothing, and has what verify-report cannot check."""
        self.directory.add('one', kit='99.0.0')
        before = sorted(self.directory.path.rglob('*'))
        code, out, err = self.directory.run('--check')
        self.assertEqual((0, []), (code, err))
        place = f'{self.directory.path}/one'
        self.assertTrue(out[0].startswith(
            f'note: {place}: junit.xml and report.html were made by version '
            f'99.0.0'), out)
        self.assertEqual(
            [f'{place}: verified: acme, Cinder 29.0.0: certified; tiers '
             f'earned: record, verified',
             f'{self.directory.path}: 1 report verified, 0 not'], out[1:])
        self.assertEqual(before, sorted(self.directory.path.rglob('*')))

    def test_nothing_but_refused_ones(self):
        (self.directory.path / 'results.json').write_text('x')
        self.make()
        self.assertIn('No report was verified', self.page().text)

    def test_mistakes(self):
        self.assert_refused('has no report; put directories into it',
                            '--check')
        self.assert_refused('has no report', '--output', str(self.site))
        self.assertFalse(self.site.exists())
        self.directory.add('one')
        (self.site.parent / 'file').touch()
        for said, words in (
                ('the site cannot be written to',
                 ('--output', str(self.site.parent / 'file'))),
                ('the site cannot be written to', ('--output', '/proc/x'))):
            self.assert_refused(said, *words)
        self.directory.path = self.directory.path / 'nowhere'
        self.assert_refused('nowhere: No such file or directory', '--check')

    def test_usage(self):
        for words, said in (
                ((), 'one of the arguments --output --check is required'),
                (('--check', '--output', 'x'), 'not allowed with'),
                (('--check', '--source', 'javascript:x'),
                 'javascript:x is not an address of http or https')):
            with fixtures.MockPatch('sys.stderr') as err:
                error = self.assertRaises(
                    SystemExit, main.main, ['registry', 'x', *words])
            self.assertEqual(3, error.code)
            self.assertIn(said, ''.join(
                call.args[0] for call in err.mock.write.call_args_list))


class WorkflowTest(testtools.TestCase):
    """The template of the workflow, run as far as no service is needed."""

    def setUp(self):
        super().setUp()
        path = pathlib.Path(__file__).parents[2] / (
            'doc/source/examples/registry.yaml')
        # YAML takes the key "on" for a boolean.
        self.workflow = yaml.safe_load(path.read_text().replace(
            '\non:', '\n"on":'))
        self.root = pathlib.Path(self.useFixture(fixtures.TempDir()).path)

    def steps(self, event):
        """What is run in the repository for an event, line by line."""
        return [step['run'] for step in
                self.workflow['jobs']['registry']['steps'] if 'run' in step
                and step.get('if') in (None, f"github.event_name == '{event}'")
                and not step['run'].startswith('pip ')]

    def run_steps(self, event):
        steps = self.steps(event)
        self.assertEqual(1, len(steps), steps)
        return subprocess.run(
            ['bash', '-e', '-c', steps[0]], cwd=self.root, env={
                **os.environ, 'GITHUB_SERVER_URL': 'https://example.com',
                'GITHUB_REPOSITORY': 'o/registry', 'GITHUB_REF_NAME': 'main',
                'PATH': f'{pathlib.Path(sys.executable).parent}:'
                        f'{os.environ["PATH"]}'},
            capture_output=True, text=True, timeout=600)

    def report(self):
        """A report of the real suite's size, of which no test ran."""
        path = self.root / 'reports' / 'acme'
        made = writer.Report(path)
        made.recorder()
        manifest = tiers.load()
        made.write(document.build(
            [f'cinder_backup_recovery_tests.{name}[id-{uuid}]'
             for tier in manifest.tiers for uuid, names in tier.tests.items()
             for name in names], [], manifest,
            {'backup': 'acme', 'versions': {'cinder': '29.0.0'},
             'seconds': 1}), manifest)
        return path

    def test_events(self):
        self.assertEqual({'pull_request', 'push'}, set(self.workflow['on']))
        # A pull request is a stranger's: it may read, and nothing else.
        self.assertEqual({}, self.workflow['permissions'])
        jobs = self.workflow['jobs']
        self.assertEqual({'contents': 'read'},
                         jobs['registry']['permissions'])
        self.assertEqual("github.event_name == 'push'",
                         jobs['publish']['if'])

    def test_pull_request(self):
        """It passes with a report that is verified, and no other."""
        report = self.report()
        done = self.run_steps('pull_request')
        self.assertEqual((0, ''), (done.returncode, done.stderr), done.stdout)
        self.assertIn('reports/acme: verified: acme', done.stdout)
        self.assertEqual(['reports'], os.listdir(self.root))
        (report / 'junit.xml').write_text('')
        done = self.run_steps('pull_request')
        self.assertEqual(1, done.returncode)
        self.assertIn('reports/acme: junit.xml is not the file', done.stdout)

    def test_push(self):
        """The site is where the next step takes it from."""
        self.report()
        done = self.run_steps('push')
        self.assertEqual((0, ''), (done.returncode, done.stderr), done.stdout)
        upload, = (step for step in self.workflow['jobs']['registry']['steps']
                   if 'upload-pages' in step.get('uses', ''))
        page = Page(self.root / upload['with']['path'] / 'drivers/acme.html')
        self.assertIn('https://example.com/o/registry/tree/main/reports/acme',
                      page.links)
