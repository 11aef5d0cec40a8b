# SPDX-License-Identifier: Apache-2.0

"""Backups of a plan restored, with the answers of a cloud that are rare.

``tests/functional/test_records.py`` has a real cloud, and kills.
"""

import ast
import dataclasses
import itertools
import json

import ddt
import fixtures
import testtools

from backup_recovery import clouds
from backup_recovery import exceptions
from backup_recovery import files
from backup_recovery import journals
from backup_recovery import restoring
from backup_recovery import volumes
from backup_recovery import work
from tests import records_cases as cases
from tests.unit import test_records_apply
from tests.unit import test_records_plan

_LOST = exceptions.CloudError('no answer')


class Session:
    """The part of a cloud that one project sees."""

    def __init__(self, cloud, project):
        self.cloud = cloud
        self.project = project

    def backup(self, backup_id):
        # As long as there are some, each look shows another state.
        states = self.cloud.states.get(backup_id)
        found = self.cloud.rows.get(backup_id)
        if states:
            found = cases.backup(self.cloud.by_id[backup_id], states.pop(0))
        return found

    def volume(self, volume_id):
        found = self.cloud.volumes.get(volume_id)
        if found is None:
            return None
        states = found['states']
        status = states.pop(0) if len(states) > 1 else states[0]
        if status is None:
            del self.cloud.volumes[volume_id]
            return None
        return {**found, 'status': status}

    def request(self, method, path, json=None, params=None, once=False):
        with self.cloud.lock:
            self.cloud.requests.append((method, path))
            return self._answer(method, path, json, params)

    def _answer(self, method, path, body, params):
        kind, volume_id, *rest = f'{path}//'.split('/')[1:4]
        if kind == 'messages':
            return {'messages': self.cloud.messages.get(
                params['resource_uuid'], [])}
        if method == 'GET':
            wanted = ast.literal_eval(params['metadata'])
            return {'volumes': [
                {'id': one} for one, found in self.cloud.volumes.items()
                if wanted.items() <= found['metadata'].items()]}
        if method == 'POST' and not volume_id:
            return self._create(body['volume'])
        found = self.cloud.volumes[volume_id]
        if rest == ['action']:
            found['states'] = [body['os-reset_status']['status']]
        elif rest == ['metadata']:
            found['metadata'].pop(path.rpartition('/')[2])
        else:
            found['states'] = ['deleting', None]
        return {}

    def _create(self, body):
        self.cloud.bodies.append(body)
        errors = self.cloud.errors.get(body['backup_id'], [])
        error, made = errors.pop(0) if errors else (None, True)
        if made:
            volume_id = f'volume-{next(self.cloud.numbers)}'
            self.cloud.volumes[volume_id] = {
                'id': volume_id, 'metadata': dict(body['metadata']),
                'states': list(self.cloud.course)}
        if error:
            raise error
        return {'volume': {'id': volume_id}}


class Cloud(test_records_apply.Cloud):
    """A cloud that restores.

    :ivar course: the states of a new volume
    :ivar states: those of backups, for the next looks
    :ivar errors: what the next requests for a backup raise, and whether they
        are carried out
    """

    def __init__(self, *found):
        super().__init__(*found)
        self.by_id = {one.id: one for one in found}
        self.rows = {one.id: cases.backup(one) for one in found}
        self.volumes, self.states, self.messages = {}, {}, {}
        self.course = ['creating', 'available']
        self.bodies = []
        self.numbers = itertools.count(1)
        self.limits = {'volumes': 2, 'gigabytes': -1}

    def session(self, project):
        if project not in self.roles:
            raise exceptions.NotAuthorized('no')
        return Session(self, project)

    def quotas(self, project, names=clouds.OF_BACKUPS):
        return {name: clouds.Quota(self.limits.get(name, -1), 0)
                for name in names}

    def set_quotas(self, project, limits):
        self.limits = {**self.limits, **limits}
        self.set_limits.append(limits)


class RestoreCase(test_records_plan.PlanCase):
    def setUp(self):
        super().setUp()
        self.cloud = Cloud(*self.chain)
        self.options = work.Options(patience=30)
        self.path = self.directory / 'journal'
        self.useFixture(fixtures.MonkeyPatch(
            'backup_recovery.volumes._FIRST', 0.001))

    def restore(self, plan=None, everything=True, **wishes):
        with journals.Journal(self.path) as written:
            return restoring.Run(
                self.cloud, plan or self.make(), written, self.options,
                volumes.Wishes(**wishes), 2).run((), everything)

    def note(self, **entry):
        """Write an entry of the journal, of an earlier run."""
        with open(self.path, 'ab') as stream:
            stream.write(files.line(entry))

    def asked(self, known=()):
        self.note(event='asked', backup=self.full.id, mark='mark',
                  known=list(known))

    def only(self):
        """A plan of one backup."""
        plan = self.make()
        plan.items = [one for one in plan.items if one.id == self.full.id]
        return plan


class RestoreTest(RestoreCase):
    def test_all(self):
        """Each once; the second run changes nothing."""
        report = self.restore()
        self.assertEqual({one.id for one in self.chain},
                         set(report.restored))
        self.assertEqual(set(self.cloud.volumes),
                         set(report.restored.values()))
        self.assertEqual([], [one for one in self.cloud.volumes.values()
                              if one['metadata']])
        self.assertEqual([{'volumes': 3, 'gigabytes': -1},
                          {'volumes': 2, 'gigabytes': -1}],
                         self.cloud.set_limits)
        self.cloud.requests.clear()
        again = self.restore()
        self.assertEqual(({}, report.restored), (again.restored,
                                                 again.existing))
        self.assertEqual([], self.cloud.requests)

    def test_requests(self):
        self.restore(self.only())
        body, = self.cloud.bodies
        mark, = body.pop('metadata').values()
        self.assertEqual(36, len(mark))
        self.assertEqual({'backup_id': self.full.id, 'size': 1,
                          'name': f'restore_backup_{self.full.id}'}, body)

    def test_killed_before_the_answer(self):
        """The volume of the request is found, whatever has become of it."""
        for metadata in ({'cinder-backup-records': 'mark'},
                         {'src_backup_id': self.full.id}):
            self.path.unlink(missing_ok=True)
            self.cloud.volumes = {'other': {
                'id': 'other', 'metadata': {'src_backup_id': self.full.id},
                'states': ['available']}, 'found': {
                'id': 'found', 'metadata': metadata,
                'states': ['creating', 'available']}}
            self.asked(['other'])
            report = self.restore(self.only())
            self.assertEqual({self.full.id: 'found'}, report.restored)
            self.assertEqual([], self.cloud.bodies)

    def test_killed_while_its_mark_goes(self):
        """Then the backup is still being restored."""
        self.asked()
        states = ['restoring', 'restoring', 'available']
        self.cloud.states[self.full.id] = states
        session = self.cloud.session(cases.RED)
        look = session.backup

        def backup(me, backup_id):
            found = look(backup_id)
            if not states:
                self.cloud.volumes['found'] = {
                    'id': 'found', 'states': ['available'],
                    'metadata': {'src_backup_id': backup_id}}
            return found

        self.useFixture(fixtures.MonkeyPatch(
            'tests.unit.test_records_restore.Session.backup', backup))
        self.assertEqual({self.full.id: 'found'},
                         self.restore(self.only()).restored)
        self.assertEqual([], self.cloud.bodies)

    def test_killed_before_the_request(self):
        self.cloud.volumes = {'other': {
            'id': 'other', 'metadata': {'src_backup_id': self.full.id},
            'states': ['available']}}
        self.asked(['other'])
        report = self.restore(self.only())
        self.assertEqual({self.full.id: 'volume-1'}, report.restored)

    def test_lost_answers(self):
        """No second volume where the request was carried out."""
        for made, requests in (True, 1), (False, 2):
            for error in (_LOST, exceptions.Refused(504, 'late')):
                self.path.unlink(missing_ok=True)
                self.cloud.volumes.clear()
                self.cloud.bodies.clear()
                self.cloud.errors[self.full.id] = [(error, made)]
                self.restore(self.only())
                self.assertEqual((1, requests), (
                    len(self.cloud.volumes), len(self.cloud.bodies)))
        self.path.unlink()
        self.cloud.errors[self.full.id] = [(_LOST, False)] * 3
        self.assertRaises(exceptions.CloudError, self.restore, self.only())
        self.assertTrue(self.options.stop.is_set())

    def test_refused(self):
        """One is named, and the others are restored."""
        self.cloud.errors[self.full.id] = [
            (exceptions.Refused(413, 'too large'), False)]
        report = self.restore()
        self.assertEqual({self.full.id: 'the restore is refused: too large'},
                         report.failed)
        self.assertEqual(2, len(report.restored))
        # What is restored by hand is not what the next run looks for.
        self.cloud.volumes['own'] = {
            'id': 'own', 'metadata': {'src_backup_id': self.full.id},
            'states': ['available']}
        self.assertEqual({self.full.id: 'volume-3'}, self.restore().restored)

    def test_not_allowed(self):
        self.cloud.errors = {one.id: [(exceptions.Refused(403, 'no'), False)]
                             for one in self.chain}
        report = self.restore()
        self.assertIn('openstack role add', report.projects[cases.RED])
        self.assertEqual(3, len(report.failed))

    def test_backups_that_cannot_be_restored(self):
        self.cloud.rows[self.full.id] = cases.backup(
            self.full, project_id=cases.BLUE)
        self.cloud.rows[self.child.id] = cases.backup(self.child, 'error')
        plan = self.make()
        del self.cloud.rows[self.grandchild.id]
        plan.items = [dataclasses.replace(item, action='import', why=None)
                      for item in plan.items]
        failed = self.restore(plan).failed
        self.assertIn('belongs to project', failed[self.full.id])
        self.assertIn('in status error', failed[self.child.id])
        self.assertIn('apply the plan', failed[self.grandchild.id])
        self.assertEqual([], self.cloud.bodies)

    def test_restore_that_fails(self):
        """The reason is that of Cinder; the volume goes only when told."""
        self.cloud.course = ['creating', 'error_restoring']
        self.cloud.messages['volume-1'] = [{'user_message': 'no room.'}]
        reason = self.restore(self.only()).failed[self.full.id]
        self.assertIn('status error_restoring: no room; ', reason)
        self.cloud.course = ['creating', 'available']
        self.assertIn(self.full.id, self.restore(self.only()).failed)
        self.assertEqual(['volume-1'], list(self.cloud.volumes))
        self.options.retry = True
        self.assertEqual({self.full.id: 'volume-2'},
                         self.restore(self.only()).restored)
        self.assertEqual(['volume-2'], list(self.cloud.volumes))

    def test_service_that_died(self):
        """The volume stays in creating, and the backup becomes available.

        Also where another run has seen that.
        """
        self.useFixture(fixtures.MonkeyPatch(
            'backup_recovery.volumes._GRACE', 0.01))
        self.cloud.course = ['creating']
        # Before the request, while it is restored.
        self.cloud.states[self.full.id] = ['available', 'restoring']
        reason = self.restore(self.only()).failed[self.full.id]
        self.assertIn('cinder-backup was restarted', reason)
        self.useFixture(fixtures.MonkeyPatch(
            'backup_recovery.volumes._UNSEEN', 0.01))
        reason = self.restore(self.only()).failed[self.full.id]
        self.assertIn('cinder-backup was restarted', reason)
        self.cloud.volumes['volume-1']['states'] = ['creating']
        self.options.retry = True
        self.cloud.course = ['creating', 'available']
        self.cloud.states[self.full.id] = ['restoring']
        self.assertEqual({self.full.id: 'volume-2'},
                         self.restore(self.only()).restored)
        self.assertIn(('POST', '/volumes/volume-1/action'),
                      self.cloud.requests)

    def test_too_slow(self):
        self.options.patience = 0
        self.cloud.course = ['creating']
        reason = self.restore(self.only()).failed[self.full.id]
        self.assertIn('creating after 0 s; wait and run again', reason)
        self.cloud.volumes['volume-1']['states'] = ['available']
        self.assertEqual({self.full.id: 'volume-1'},
                         self.restore(self.only()).restored)

    def test_volume_that_was_deleted(self):
        """Nothing that a user has deleted comes back by itself."""
        self.restore(self.only())
        self.cloud.volumes.clear()
        reason = self.restore(self.only()).failed[self.full.id]
        self.assertIn('has been deleted since; run again with --retry',
                      reason)
        self.options.retry = True
        self.assertEqual({self.full.id: 'volume-2'},
                         self.restore(self.only()).restored)

    def test_interrupted(self):
        self.options.stop.set()
        report = self.restore()
        self.assertEqual((3, {}), (len(report.left), report.failed))

    def test_quotas_of_a_killed_import(self):
        """Both kinds are put back, each to what it was."""
        with journals.Journal(self.path) as written:
            written.raise_(cases.RED, {'backups': 10})
        self.restore()
        self.assertEqual({'backups': 10, 'volumes': 2, 'gigabytes': -1},
                         self.cloud.limits)

    def test_entries_of_an_apply(self):
        """The journal is that of the plan, whatever was done for it."""
        self.note(event='imported', at='x', backup=self.full.id, project='x')
        self.note(event='failed', at='x', backup=self.full.id, reason='x')
        self.assertEqual(3, len(self.restore().restored))
        events = [json.loads(line)['event'] for line in
                  self.path.read_text().splitlines()]
        self.assertEqual(3, events.count('complete'))


class SelectTest(RestoreCase):
    def select(self, plan=None, **arguments):
        existing = {one.id: one for one in self.cloud.backups()}
        found, self.newer = restoring.select(plan or self.make(), existing,
                                             **arguments)
        return [item.id for item in found]

    def of_one_volume(self, *moments):
        """Backups of one volume, made at these moments."""
        self.chain = [cases.record(volume_id=self.full.fields['volume_id'],
                                   created_at=f'{moment}Z')
                      for moment in moments]
        self.cloud = Cloud(*self.chain)
        return [one.id for one in self.chain]

    def test_newest(self):
        first, second, third = self.of_one_volume(
            '2026-11-01T00:00:00', '2026-11-03T00:00:00',
            '2026-11-02T00:00:00')
        self.assertEqual([second], self.select())
        self.assertEqual({first, second, third},
                         set(self.select(everything=True)))

    def test_newest_data(self):
        """The backup of an old snapshot is new, and its data is old."""
        old, new = self.of_one_volume('2026-11-01T00:00:00',
                                      '2026-11-03T00:00:00')
        for backup, moment in (old, '01'), (new, '00'):
            row = self.cloud.rows[backup]
            self.cloud.rows[backup] = clouds.Backup(
                row.id, row.status, None, row.facts,
                data_timestamp=f'2026-11-{moment}T00:00:00')
        self.assertEqual([old], self.select())

    def test_same_second(self):
        """A parent is older than its children."""
        volume = self.full.fields['volume_id']
        child = cases.record(parent_id=self.full.id, volume_id=volume)
        self.chain = child, self.full
        self.assertEqual([child.id], self.select())

    def test_newer_one_that_is_left_out(self):
        """It is named; one that was deleted is not."""
        old, new = self.of_one_volume('2026-11-01T00:00:00',
                                      '2026-11-03T00:00:00')
        plan = self.make()
        for why, newer in ('no-parent', {old: new}), ('gone', {}):
            plan.items = [
                dataclasses.replace(item, action='leave', why=why)
                if item.id == new else item for item in plan.items]
            self.assertEqual([old], self.select(plan))
            self.assertEqual(newer, self.newer)

    def test_projects(self):
        other = cases.record(project=cases.BLUE)
        self.chain = *self.chain, other
        self.cloud = Cloud(*self.chain)
        self.assertEqual([other.id], self.select(projects=[cases.BLUE]))
        self.assertRaises(exceptions.BadFile, self.select, projects=['c'])


@ddt.ddt
class WishesTest(testtools.TestCase):
    @ddt.data(
        ({}, {}, None, {}),
        ({}, {'volume_type': 'ssd', 'availability_zone': 'a'}, None,
         {'volume_type': 'ssd', 'availability_zone': 'a'}),
        ({}, {}, 'luks', {'volume_type': 'luks'}),
        ({'type': 'x', 'zone': 'y'}, {}, None,
         {'volume_type': 'x', 'availability_zone': 'y'}),
        ({'type': 'x'}, {}, 'luks', {'volume_type': 'luks'}),
        ({'types': {'luks': 'new'}, 'zones': {'a': 'b'}},
         {'availability_zone': 'a'}, 'luks',
         {'volume_type': 'new', 'availability_zone': 'b'}),
        ({'types': {'v': 'own', 'luks': 'new'}}, {}, 'luks',
         {'volume_type': 'own'}))
    @ddt.unpack
    def test_of(self, wishes, original, recorded, found):
        self.assertEqual(found, volumes.Wishes(**wishes).of(
            'v', original, recorded))

    def test_type_of_a_record(self):
        for info, found in (({'encryption': {'type': 'luks'}}, 'luks'),
                            ({'encryption': {}}, None), ({}, None),
                            (None, None), ({'encryption': 'x'}, None)):
            read = {1: cases.record(driver_info=info)}.get
            self.assertEqual(found, restoring._type(read, 1))
        self.assertIsNone(restoring._type({}.get, None))
