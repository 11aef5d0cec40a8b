# SPDX-License-Identifier: Apache-2.0

"""Plans carried out, with the answers of a cloud that are rare.

``tests/functional/test_records.py`` has a real cloud, and kills.
"""

import json
import threading

import fixtures

from backup_recovery import applying
from backup_recovery import clouds
from backup_recovery import exceptions
from backup_recovery import journals
from backup_recovery import work
from tests import records_cases as cases
from tests.unit import test_records_plan

_PART = {'volume_id': clouds._PLACEHOLDER, 'container': None}


class Session:
    """The part of a cloud that one project sees."""

    def __init__(self, cloud, project):
        self.cloud = cloud
        self.project = project

    def backup(self, backup_id):
        # What is being made is ready when it is looked at again.
        found = self.cloud.rows.get(backup_id)
        for change in self.cloud.later.pop(backup_id, ())[:1]:
            self.cloud.set(backup_id, *change)
        return found

    def request(self, method, path, json=None):
        with self.cloud.lock:
            self.cloud.requests.append((method, path))
            if method == 'DELETE':
                del self.cloud.rows[path.rpartition('/')[2]]
                return
            one = self.cloud.by_url[json['backup-record']['backup_url']]
            for error in self.cloud.errors.get(one.id, [])[:1]:
                del self.cloud.errors[one.id][0]
                raise error
            self.cloud.rows[one.id] = cases.backup(
                one, project_id=self.project)


class Cloud(test_records_plan.Cloud):
    """A cloud that imports.

    :ivar rows: the backups
    :ivar later: how a backup is after the next look
    :ivar errors: what the next imports of a backup raise
    """

    def __init__(self, *found):
        super().__init__()
        self.by_url = {one.backup_url: one for one in found}
        self.rows, self.later, self.errors = {}, {}, {}
        self.requests = []
        self.limits = {'backups': 10, 'backup_gigabytes': -1}
        self.set_limits = []
        self.lock = threading.Lock()

    def set(self, backup_id, row):
        if row is None:
            self.rows.pop(backup_id, None)
        else:
            self.rows[backup_id] = row

    def backups(self):
        return list(self.rows.values())

    def session(self, project):
        if project not in self.roles:
            raise exceptions.NotAuthorized('no')
        return Session(self, project)

    @property
    def admin(self):
        class Admin:
            user_id = 'me'
        return Admin

    def quotas(self, project, names=clouds.OF_BACKUPS):
        used = {'backups': len(self.rows) + 9, 'backup_gigabytes': 0}
        return {name: clouds.Quota(limit, used[name])
                for name, limit in self.limits.items()}

    def set_quotas(self, project, limits):
        self.limits = limits
        self.set_limits.append(limits['backups'])


class ApplyTest(test_records_plan.PlanCase):
    def setUp(self):
        super().setUp()
        self.cloud = Cloud(*self.chain)
        self.options = work.Options(patience=30)
        self.journal = self.directory / 'journal'

    def apply(self, plan=None):
        with journals.Journal(self.journal) as written:
            return applying.Run(self.cloud, plan or self.make(), written,
                                self.options, 2).run()

    def imports(self):
        return self.cloud.requests.count(('POST', '/backups/import_record'))

    def test_all(self):
        plan = self.make()
        report = self.apply(plan)
        # Parents first, and the quota is raised and put back to the use.
        self.assertEqual([one.id for one in self.chain], report.imported)
        self.assertEqual([12, 12], self.cloud.set_limits)
        report = self.apply(plan)
        self.assertEqual([one.id for one in self.chain], report.existing)
        self.assertEqual(3, self.imports())

    def test_answer_that_was_lost(self):
        """The import was begun all the same; it is not a failure."""
        plan = self.make()
        self.cloud.errors = {self.full.id: [
            exceptions.Refused(400, 'Backup already exists in database')]}
        row = cases.backup(self.full)
        session = self.cloud.session
        self.cloud.session = lambda project: self.cloud.set(
            self.full.id, row) or session(project)
        self.assertEqual({}, self.apply(plan).failed)

    def test_slow_one_is_waited_for(self):
        plan = self.make()
        for status in 'creating', 'deleting':
            self.cloud.rows = {self.full.id: cases.backup(
                self.full, status, **_PART)}
            self.cloud.later = {self.full.id: [
                (cases.backup(self.full) if status == 'creating' else None,)]}
            self.assertEqual({}, self.apply(plan).failed)

    def test_too_slow(self):
        """The remedy depends on how far it has come."""
        self.options.patience = 0
        plan = self.make()
        for change, remedy in (_PART, '--retry'), ({}, '--state available'):
            self.cloud.rows = {self.full.id: cases.backup(
                self.full, 'creating', **change)}
            report = self.apply(plan)
            self.assertIn(remedy, report.failed[self.full.id])
            self.assertEqual(3, len(report.failed))
        # What names data is not deleted either.
        self.options.retry = True
        self.apply(plan)
        self.assertEqual([], self.cloud.requests)

    def test_failed_row_goes_only_when_told(self):
        plan = self.make()
        self.cloud.rows = {self.full.id: cases.backup(
            self.full, 'error', **_PART)}
        self.assertIn('--retry', self.apply(plan).failed[self.full.id])
        self.assertEqual([], self.cloud.requests)
        self.options.retry = True
        self.assertEqual({}, self.apply(plan).failed)
        self.assertEqual(('DELETE', f'/backups/{self.full.id}'),
                         self.cloud.requests[0])

    def test_second_failure(self):
        """A retry is one attempt, and says why it failed."""
        plan = self.make()
        self.options.retry = True
        row = cases.backup(self.full, 'error', **_PART)
        self.cloud.rows = {self.full.id: row}
        self.cloud.errors = {self.full.id: [exceptions.Refused(400, 'x')]}
        looks = []

        def backup(session, backup_id):
            # The row is gone after its deletion, and there again after that.
            looks.append(backup_id)
            return None if len(looks) == 1 else row

        self.useFixture(fixtures.MonkeyPatch(
            'tests.unit.test_records_apply.Session.backup', backup))
        self.assertIn(self.full.id, self.apply(plan).failed)
        self.assertEqual(1, [one[0] for one in self.cloud.requests].count(
            'DELETE'))

    def test_row_that_names_data_is_never_deleted(self):
        plan = self.make()
        self.options.retry = True
        for change in ({'volume_id': clouds._PLACEHOLDER},
                       {'container': None}, {'size': 7},
                       {**_PART, 'project_id': cases.BLUE}):
            self.cloud.rows = {self.full.id: cases.backup(
                self.full, 'error', **change)}
            self.apply(plan)
            self.assertNotIn('DELETE', [one[0] for one in
                                        self.cloud.requests], change)

    def test_role_that_may_not_import(self):
        other = cases.record(project=cases.BLUE)
        self.cloud.by_url[other.backup_url] = other
        self.cloud.errors = {one.id: [exceptions.Refused(403, 'no')]
                             for one in self.chain}
        report = self.apply(self.make(*self.chain, other))
        self.assertEqual([other.id], report.imported)
        self.assertIn('openstack role add', report.projects[cases.RED])
        self.assertEqual(3, len(report.failed))
        self.assertEqual(2, self.imports())

    def test_cloud_that_ends(self):
        """The quota is put back, and the run goes on later."""
        plan = self.make()
        self.cloud.errors = {self.child.id: [exceptions.CloudError('end')]}
        self.assertRaises(exceptions.CloudError, self.apply, plan)
        # What still waits does not go on.
        self.assertTrue(self.options.stop.is_set())
        self.assertEqual([12, 10], self.cloud.set_limits)
        self.options = work.Options(1800)
        report = self.apply(plan)
        self.assertEqual((1, 2), (len(report.existing),
                                  len(report.imported)))

    def test_quota_of_a_killed_run(self):
        with journals.Journal(self.journal) as written:
            written.raise_(cases.RED, self.cloud.limits)
            written.raise_(cases.BLUE, self.cloud.limits)
        # The kill has cut the last line off.
        with open(self.journal, 'a') as stream:
            stream.write('{"event": "rais')
        with journals.Journal(self.journal) as written:
            written.restore(cases.BLUE)
        self.cloud.limits = {'backups': 500, 'backup_gigabytes': 70}
        report = self.apply()
        self.assertEqual({'backups': 12, 'backup_gigabytes': -1},
                         self.cloud.limits)
        self.assertEqual(['backups'], [one.name for one in report.limits])
        self.cloud.set_limits.clear()
        self.apply()
        self.assertEqual([], self.cloud.set_limits)

    def test_interrupted(self):
        self.options.stop.set()
        report = self.apply()
        self.assertEqual([one.id for one in self.chain], report.left)
        self.assertEqual({}, report.failed)

    def test_edited_plans(self):
        """Lines are gone, or say something that cannot be."""
        plan = self.make()
        del plan.items[0]
        report = self.apply(plan)
        self.assertEqual({self.child.id, self.grandchild.id},
                         set(report.failed))
        self.assertIn(self.full.id, report.failed[self.child.id])

    def test_records_that_were_changed(self):
        plan = self.make()
        renamed = cases.record(self.child.id, display_name='renamed')
        self.make(self.full, renamed)
        report = self.apply(plan)
        self.assertEqual({self.child.id, self.grandchild.id},
                         set(report.failed))
        self.assertIn('make another plan', report.failed[self.child.id])

    def test_another_cloud(self):
        plan = self.make()
        self.cloud.place = {**self.cloud.place, 'region': 'RegionTwo'}
        self.assertRaises(exceptions.CloudError, self.apply, plan)

    def test_journal_says_when(self):
        self.apply()
        entries = [json.loads(line) for line in
                   self.journal.read_text().splitlines()]
        self.assertEqual(['raised', *['imported'] * 3, 'restored'],
                         [one['event'] for one in entries])
