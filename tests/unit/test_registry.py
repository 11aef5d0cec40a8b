# SPDX-License-Identifier: Apache-2.0

"""The site of a registry, of good reports and bad ones."""

import pathlib
import shutil

from cinder_backup_recovery_tests.certification.registry import collect
from cinder_backup_recovery_tests.certification.registry import pages
from cinder_backup_recovery_tests.certification.registry import site
from cinder_backup_recovery_tests.certification.verdict import document
from tests.unit import registries
from tests.unit import reports


def setUpModule():
    registries.set_up_module()


class TableTest(registries.RegistryCase):
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
            registries.Page(path).rows[1][3])

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
            for link in registries.Page(self.site / name).links:
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


class RefusedTest(registries.RegistryCase):
    """An unverified report is listed without a verdict, and fails a check."""

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


class HostileTest(registries.RegistryCase):
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
                                 registries.Page(self.site / name).tags, name)
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
