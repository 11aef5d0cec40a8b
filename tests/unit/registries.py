# SPDX-License-Identifier: Apache-2.0

"""A directory of reports, each made of one of a real run."""

from html import parser
import json
import pathlib
import unittest

import fixtures
import testtools

from cinder_backup_recovery_tests.certification import main
from cinder_backup_recovery_tests.certification.verdict import (
    document as document_,
)
from cinder_backup_recovery_tests.certification.verdict import tiers
from tests import programs
from tests.unit import reports

#: A name as no driver has one: markup, the end of a line, a path, and a
#: character that reverses what follows it.
HOSTILE = '<script>throw 1</script>\n../../"\' \u202eretsiger'


GOOD, BAD = reports.SmallReport(), reports.SmallReport(fails=True)


def set_up_module():
    """Run the small suite, once for all tests of a module."""
    for one in GOOD, BAD:
        one.setUp()
        unittest.addModuleCleanup(one.cleanUp)


class Directory(fixtures.Fixture):
    """A directory of reports, and the tiers that they are judged by."""

    def _setUp(self):
        root = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.path = root / 'reports'
        self.site = root / 'site'
        self.path.mkdir()
        # The small suite in each way.
        self.useFixture(fixtures.MockPatchObject(
            tiers, 'of_way', lambda way: reports.manifest()))

    def add(self, place, driver='acme', cinder='29.0.0', day='2026-11-01',
            fails=False, **fields):
        """Add a report that is verified.

        :param place: its directory
        :param fields: of results.json
        """
        (self.path / place).parent.mkdir(parents=True, exist_ok=True)
        directory = (BAD if fails else GOOD).copy(
            self.path / place)

        def edit(document):
            document.update(backup=driver, date=f'{day}T12:30:00+00:00',
                            **fields)
            document['versions'].update(cinder=cinder)
            document.update(document_.judgement(document,
                                                reports.manifest()))

        reports.change(directory, 'results.json', edit)
        reports.remake(directory)
        reports.sum_up(directory)
        return directory

    def run(self, *words):
        """Run the program on the directory.

        :returns: the exit status, the lines of stdout, and those of stderr
        """
        code, out, err = programs.call(main.main, 'registry', self.path,
                                       *words)
        return code, out.splitlines(), err.splitlines()

    def make(self, *words):
        """Make the site.

        :returns: as :meth:`run`
        """
        return self.run('--output', str(self.site), *words)

    def fill(self):
        """Add several drivers with several reports, and bad ones."""
        self.add('acme/1', day='2026-09-01', fails=True)
        self.add('acme/2', day='2026-10-01', cinder='9.10.0')
        self.add('acme/3', day='2026-11-01', kit='1.0.0', way='cloud')
        self.add('acme/4', day='2026-11-02', cinder='29.0.0', fails=True,
                 kit='1.0.0', commit='c0ffee')
        self.add('long', driver='vendor.drivers.backup.with.a.long.name.'
                                'VendorBackupDriver' * 2,
                 interrupted=True)
        self.add('hostile', driver=HOSTILE)
        changed = self.add('acme/changed')
        path = changed / 'logs' / 'cinder.log'
        path.write_text(path.read_text() + '.')
        self.add('acme/twice', day='2026-11-01', kit='1.0.0', way='cloud')
        (self.path / 'none').mkdir()
        (self.path / 'none' / 'results.json').write_text('no JSON')


class Page(parser.HTMLParser):
    """A page as a browser reads it.

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


class RegistryCase(testtools.TestCase):
    """A directory of reports, and the pages of its site."""

    def setUp(self):
        super().setUp()
        self.directory = self.useFixture(Directory())
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
