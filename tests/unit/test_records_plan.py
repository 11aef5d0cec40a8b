# SPDX-License-Identifier: Apache-2.0

"""Plans: what is imported, what is not and why.

``tests/functional/test_records.py`` has a real cloud.
"""

import json
import pathlib

import ddt
import fixtures
import testtools

from backup_recovery import books
from backup_recovery import clouds
from backup_recovery import exceptions
from backup_recovery import planning
from backup_recovery import plans
from backup_recovery import records
from tests import records_cases as cases


class Cloud:
    """A cloud with two projects, in which the user has a role."""

    place = {'auth_url': 'http://keystone/v3', 'region': 'RegionOne'}

    def __init__(self, *existing):
        self.existing = existing
        self.known = {cases.RED: ('red', True), cases.BLUE: ('blue', True)}
        self.roles = set(self.known)

    def require_administrator(self):
        pass

    def backups(self):
        return self.existing

    def project(self, project):
        return self.known.get(project)

    def has_role(self, project):
        return project in self.roles

    def quotas(self, project, names=clouds.OF_BACKUPS):
        return {'backups': clouds.Quota(10, 4),
                'backup_gigabytes': clouds.Quota(-1, 7)}


class PlanCase(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.directory = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path)
        self.full = cases.record()
        self.child = cases.record(parent_id=self.full.id, size=3)
        self.grandchild = cases.record(parent_id=self.child.id)
        self.chain = self.full, self.child, self.grandchild
        self.cloud = Cloud()

    def make(self, *found, **arguments):
        path = self.directory / 'records'
        records.write(path, found or self.chain)
        self.book = books.Book(path).load()
        self.plan = planning.make(self.cloud, self.book, **arguments)
        return self.plan

    def whys(self, *found, **arguments):
        """The reason by each record, in the order of the records."""
        plan = self.make(*found, **arguments)
        whys = {item.id: item.why if item.action == plans.LEAVE else
                plans.IMPORT for item in plan.items}
        self.assertEqual(len(whys), len(plan.items))
        return [whys[one.id] for one in found or self.chain]


class MakeTest(PlanCase):
    def test_all(self):
        """Parents go first, whatever the file's order."""
        plan = self.make(self.grandchild, self.child, self.full)
        self.assertEqual([one.id for one in self.chain],
                         [item.id for item in plan.imports])
        self.assertEqual([plans.Project(cases.RED, 'red', 3, 5, {
            'backups': {'limit': 10, 'used': 4, 'needed': 7},
            'backup_gigabytes': {'limit': -1, 'used': 7, 'needed': 12}})],
            plan.projects)

    def test_existing(self):
        self.cloud.existing = [cases.backup(self.full)]
        self.assertEqual([plans.EXISTS, plans.IMPORT, plans.IMPORT],
                         self.whys())

    def test_another_project_has_it(self):
        self.cloud.existing = [cases.backup(self.full,
                                            project_id=cases.BLUE)]
        self.assertEqual([plans.ELSEWHERE, plans.IMPORT, plans.IMPORT],
                         self.whys())

    def test_another_backup_has_its_id(self):
        for name, value in ('volume_id', 'x'), ('size', 7):
            self.cloud.existing = [cases.backup(self.full, **{name: value})]
            self.assertEqual(plans.DIFFERS, self.whys()[0])

    def test_rows_of_imports(self):
        """They are not backups yet: they are imported, and so is a child."""
        for status, why in (('error', plans.FAILED),
                            ('creating', plans.UNFINISHED)):
            self.cloud.existing = [cases.backup(
                self.full, status, volume_id=clouds._PLACEHOLDER,
                container=None)]
            self.assertEqual([plans.IMPORT] * 3, self.whys())
            self.assertEqual(why, self.plan.items[0].why)

    def test_row_that_names_data_is_no_rest_of_an_import(self):
        self.cloud.existing = [cases.backup(
            self.full, 'error', volume_id=clouds._PLACEHOLDER)]
        self.assertEqual(plans.DIFFERS, self.whys()[0])

    def test_missing_parent(self):
        self.assertEqual([plans.NO_PARENT] * 2,
                         self.whys(self.child, self.grandchild))

    def test_circle(self):
        one = cases.record()
        two = cases.record(parent_id=one.id)
        one = cases.record(one.id, parent_id=two.id)
        below = cases.record(parent_id=one.id)
        self.assertEqual(
            [plans.CIRCLE] * 3 + [plans.IMPORT],
            self.whys(below, one, two, self.full))

    def test_gone_ones_were_deleted_unless_they_were_lost(self):
        deleted = cases.record(gone='2026-11-28T03:00:00Z')
        lost = cases.record(gone='2026-11-29T03:00:00Z')
        found = deleted, lost, self.full
        self.assertEqual([plans.GONE, plans.GONE, plans.IMPORT],
                         self.whys(*found))
        self.assertEqual([plans.GONE, plans.IMPORT, plans.IMPORT],
                         self.whys(*found, lost_since='2026-11-29'))

    def test_projects(self):
        other = cases.record(project=cases.BLUE)
        found = *self.chain, other
        self.cloud.roles.remove(cases.RED)
        self.assertEqual([plans.NO_ROLE] * 3 + [plans.IMPORT],
                         self.whys(*found))
        self.cloud.known[cases.RED] = 'red', False
        self.assertEqual(plans.DISABLED, self.whys(*found)[0])
        del self.cloud.known[cases.RED]
        self.assertEqual(plans.NO_PROJECT, self.whys(*found)[0])
        names = planning.Names({cases.RED: cases.BLUE}, {cases.SERVICE: 'x'})
        self.assertEqual([plans.IMPORT] * 4, self.whys(*found, names=names))
        self.assertEqual({(cases.BLUE, 'x')}, {
            (item.project, item.service) for item in self.plan.items})
        self.assertEqual(4, self.plan.projects[0].imports)


class ScanTest(PlanCase):
    """Findings of a scan."""

    def test_classes(self):
        """None but complete ones, unless it is asked for."""
        damaged = cases.record(scan='damaged')
        child = cases.record(scan='complete', parent_id=damaged.id)
        deleted = cases.record(scan='deleted')
        found = cases.record(scan='complete'), damaged, child, deleted
        self.assertEqual(
            [plans.IMPORT, plans.DAMAGED, plans.NO_PARENT, plans.DELETED],
            self.whys(*found))
        self.assertEqual([plans.IMPORT] * 4, self.whys(*found, damaged=True))

    def test_owner(self):
        """It is named, or written into the plan."""
        # Of the same time, the plan would have them by their random ids.
        one = cases.record(scan='complete', project='',
                           created_at='2026-11-28T02:00:00Z')
        other = self.full
        self.assertEqual([plans.NO_OWNER, plans.IMPORT], self.whys(one, other))
        path = self.directory / 'plan'
        self.plan.write(path)
        self.assertEqual('', plans.read(path).items[0].project)
        lines = path.read_text()
        path.write_text(lines.replace('"leave"', '"import"'))
        self.assertRaises(exceptions.BadFile, plans.read, path)
        path.write_text(lines.replace('"leave"', '"import"').replace(
            '"project": ""', f'"project": "{cases.BLUE}"'))
        self.assertEqual([cases.BLUE, cases.RED], [
            item.project for item in plans.read(path).imports])
        self.assertEqual([plans.IMPORT] * 2, self.whys(
            one, other, names=planning.Names({'': cases.BLUE})))
        self.assertEqual({cases.BLUE, cases.RED},
                         {item.project for item in self.plan.imports})

    def test_existing(self):
        """The cloud knows the owner, and what is being made."""
        one = cases.record(scan='complete')
        made, left = (cases.remains('unfinished', cases.record().id)
                      for _ in range(2))
        self.cloud.existing = [
            cases.backup(one, project_id=cases.BLUE),
            cases.backup(cases.record(made.id), 'creating')]
        plan = self.make(one, made, left)
        self.assertEqual([plans.EXISTS], [item.why for item in plan.items])
        self.assertEqual([left], plan.remains)

    def test_with_export(self):
        """An export has more fields, and a scan knows what is there."""
        scans = [cases.record(one.id, scan=scan, project=cases.BLUE)
                 for one, scan in ((self.full, 'complete'),
                                   (self.child, 'damaged'))]
        rest = [cases.remains('deleted', self.grandchild.id),
                cases.remains('copy', self.full.id),
                cases.remains('foreign')]
        for found in ([*self.chain, *scans, *rest],
                      [*rest, *scans, *self.chain]):
            plan = self.make(*found)
            self.assertEqual([], self.book.problems)
            self.assertEqual(rest[2:], plan.remains)
            self.assertEqual(
                [(self.full.id, None), (self.child.id, plans.DAMAGED),
                 (self.grandchild.id, plans.DELETED)],
                [(item.id, item.why) for item in plan.items])
            self.assertEqual({cases.RED},
                             {item.project for item in plan.items})
            self.assertEqual(self.full.digest, plan.items[0].record)


@ddt.ddt
class FileTest(PlanCase):
    def setUp(self):
        super().setUp()
        self.path = self.directory / 'plan'
        self.make()
        self.plan.write(self.path)
        self.lines = self.path.read_text().splitlines()

    def test_same_again(self):
        self.assertEqual(self.plan, plans.read(self.path))

    def test_line_for_each_backup(self):
        self.assertEqual(1 + 1 + 3, len(self.lines))
        self.path.write_text('\n'.join(self.lines[:-1]))
        self.assertEqual(2, len(plans.read(self.path).imports))

    def test_edited_one_is_not_lost(self):
        error = self.assertRaises(exceptions.BadFile, self.plan.write,
                                  self.path)
        self.assertIn('exists', str(error))

    @ddt.data(
        ('x', 'not JSON'), ('{"id": 3}', 'required property'),
        ('{"plan": 1}', 'required property'),
        (None, 'a second line of a backup'))
    @ddt.unpack
    def test_wrong_line(self, line, reason):
        self.path.write_text('\n'.join([*self.lines, line or self.lines[-1]]))
        error = self.assertRaises(exceptions.BadFile, plans.read, self.path)
        self.assertTrue(str(error).startswith(f'{self.path}:6: '), error)
        self.assertIn(reason, str(error))

    @ddt.data(('action', 'forget'), ('project', '../x'), ('size', 'x'))
    @ddt.unpack
    def test_wrong_value(self, name, value):
        line = json.dumps(json.loads(self.lines[-1]) | {name: value})
        self.path.write_text('\n'.join([*self.lines[:-1], line]))
        error = self.assertRaises(exceptions.BadFile, plans.read, self.path)
        self.assertIn(f':5: {name}: ', str(error))

    def test_other_files(self):
        self.path.write_text('')
        self.assertRaises(exceptions.BadFile, plans.read, self.path)
        self.path.write_text(self.lines[-1])
        self.assertRaises(exceptions.BadFile, plans.read, self.path)


@ddt.ddt
class NamesTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.path = pathlib.Path(self.useFixture(
            fixtures.TempDir()).path) / 'map.yaml'

    def test_read(self):
        self.path.write_text('projects:\n  a: b\nservices: {}\n')
        self.assertEqual(planning.Names({'a': 'b'}, {}),
                         planning.Names.read(self.path))

    @ddt.data('', 'x', '[', 'project: {a: b}', 'projects: {1: b}',
              'projects: [a]')
    def test_wrong(self, text):
        self.path.write_text(text)
        self.assertRaises(exceptions.BadFile, planning.Names.read, self.path)
