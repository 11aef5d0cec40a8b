# SPDX-License-Identifier: Apache-2.0

"""The report of a plan, from its journal."""

import json
import pathlib

import fixtures
import testtools

from backup_recovery import journals
from backup_recovery import main
from backup_recovery import plans
from backup_recovery import records
from tests import programs
from tests import records_cases as cases

_PROOF = {'anchored': True, 'extents': [], 'extents_omitted': 0,
          'bytes_read': 1 << 30, 'seconds': 2.5}
_PLACE = {'auth_url': 'http://127.0.0.1:9', 'region': 'RegionOne'}


class ReportTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.root = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.path = self.root / 'plan'
        self.report = self.root / 'report.json'

    def make(self, *actions, name='monday'):
        """A plan of backups, each with an action and a reason."""
        found = [cases.record(display_name=name) for _ in actions]
        records.write(self.root / 'records', found)
        plan = plans.Plan(_PLACE, self.root / 'records', projects=[
            plans.Project(cases.RED, 'red', 1, 1, {})])
        plan.items = [plans.Item(
            action, why, one.id, cases.RED, None, name, 1, 'v',
            '2026-11-29T02:00:00Z', cases.SERVICE, one.digest)
            for one, (action, why) in zip(found, actions, strict=True)]
        plan.write(self.path)
        return [one.id for one in found]

    def write(self, *entries):
        """Write entries into the journal."""
        with journals.Journal(self.root / 'plan.journal') as journal:
            for event, backup, facts in entries:
                journal.write(event, backup=backup, **facts)

    def program(self, *words):
        """Run the program."""
        code, out, _ = programs.call(main.main, 'report', self.path,
                                     self.report, '-f', 'json', *words)
        return code, json.loads(out) if out else None

    def states(self):
        code, _ = self.program()
        found = json.loads(self.report.read_text())
        return code, {one['id']: (one['state'], one['why'])
                      for one in found['backups']}

    def test_each_state(self):
        """A backup is in the last state that it has reached."""
        (proved, differs, restored, imported, there, failed, again, planned,
         left) = self.make(
            *[(plans.IMPORT, None)] * 4, (plans.LEAVE, plans.EXISTS),
            *[(plans.IMPORT, None)] * 3, (plans.LEAVE, plans.NO_OWNER))
        self.write(
            *(('imported', one, {}) for one in (
                proved, differs, restored, failed, again)),
            ('exists', imported, {}),
            *(('complete', one, {'volume': f'v-{one}'})
              for one in (proved, differs, restored)),
            ('proved', proved, {'volume': f'v-{proved}', **_PROOF}),
            ('differs', differs, {'volume': f'v-{differs}', **_PROOF}),
            # Of a volume that was dropped since.
            ('proved', restored, {'volume': 'other', **_PROOF}),
            ('failed', failed, {'reason': 'no host'}),
            ('failed', again, {'reason': 'no host'}),
            ('complete', again, {'volume': 'v'}))
        code, found = self.states()
        self.assertEqual((1, {
            proved: ('proved', None), differs: ('differs', None),
            restored: ('restored', None), imported: ('imported', None),
            there: ('imported', None), failed: ('failed', 'no host'),
            again: ('restored', None), planned: ('planned', None),
            left: ('left out', plans.REASONS[plans.NO_OWNER])}),
            (code, found))

    def test_restored_again(self):
        """The proof of a volume is not one of the next."""
        one, = self.make((plans.IMPORT, None))
        self.write(('imported', one, {}), ('complete', one, {'volume': 'a'}),
                   ('proved', one, {'volume': 'a', **_PROOF}),
                   ('dropped', one, {'volume': 'a'}))
        self.assertEqual((0, {one: ('imported', None)}), self.states())
        self.write(('complete', one, {'volume': 'b'}))
        self.assertEqual((0, {one: ('restored', None)}), self.states())
        self.assertIsNone(json.loads(
            self.report.read_text())['backups'][0]['proof'])

    def test_page(self):
        """Nothing of a user's text is a part of the page's language."""
        one, = self.make((plans.IMPORT, None), name='<script>x</script>')
        self.write(('failed', one, {'reason': '<b>&'}))
        self.assertEqual(1, self.program()[0])
        page = self.report.with_suffix('.html').read_text()
        self.assertIn('not complete', page)
        self.assertIn('&lt;script&gt;', page)
        self.assertIn('&lt;b&gt;&amp;', page)
        self.assertNotIn('<script', page)

    def test_checked(self):
        """A report that was edited, or is of another journal, is named."""
        one, = self.make((plans.IMPORT, None))
        self.write(('failed', one, {'reason': 'no host'}))
        self.program()
        self.assertEqual((0, {'differences': []}), self.program('--check'))
        text = self.report.read_text()
        self.report.write_text(text.replace('"failed"', '"proved"'))
        self.assertEqual(
            (1, {'differences': ['states', 'backups']}),
            self.program('--check'))
        self.report.write_text(text)
        self.write(('imported', one, {}))
        code, found = self.program('--check')
        self.assertEqual(1, code)
        self.assertIn('journal', found['differences'])

    def test_bad_files(self):
        """Each ends in one line, and nothing is written."""
        self.make((plans.IMPORT, None))
        for content in '', '{}', '[' * 10 ** 6, '{"report": 2}':
            self.report.write_text(content)
            self.assertEqual((3, None), self.program('--check'))
        self.report = self.root / 'report.html'
        self.assertEqual((3, None), self.program())
        self.assertFalse(self.report.exists())
        self.report = self.root / 'none' / 'report.json'
        self.assertEqual((3, None), self.program())
