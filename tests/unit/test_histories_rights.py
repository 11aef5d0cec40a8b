# SPDX-License-Identifier: Apache-2.0

"""The demands of the model of histories on rights, quotas and volumes."""

import dataclasses
from unittest import mock

import ddt
import fixtures
import testtools

from backup_model import engine as engines
from backup_model import history
from backup_model import moments
from backup_model import operations
from backup_model import promises
from backup_model import rights
from backup_model import world as worlds

_CREATE = {'backup': 'b2', 'volume': 'v1'}


def usage(backups=0, gigabytes=0):
    return {'backups': backups, 'backups reserved': 0,
            'backup_gigabytes': gigabytes, 'backup_gigabytes reserved': 0}


def view(status='available', used=None, **told):
    return engines.View(
        {'B1': {'status': 'available', 'size': 2, 'project': 'project-1',
                **told}},
        {'V1': status},
        {'project-1': used or usage(), 'project-2': usage()}, {})


def moment(operation, status=202, actor='member-1', before=None, after=None,
           limits=None, **arguments):
    world = worlds.World()
    world.volumes['v1'] = worlds.Volume('V1', 'project-1', (0,) * 6)
    world.backups['b1'] = worlds.Backup('B1', 'project-1', 'v1')
    world.records['r1'] = worlds.Record('b1', told={'size': 2})
    world.limits.update(limits or {})
    before = before or view()
    body = {'restore': {'volume_id': 'V1'}} if operation == 'restore' else {}
    return moments.Moment(
        world, history.Step(operation, actor, arguments),
        engines.Answer(status, body), before, after or before,
        target='b1', target_id='B1')


def keys(promise, one):
    return [key for key, _ in promise(one, None)]


@ddt.ddt
class RightsTest(testtools.TestCase):
    @ddt.data(
        ('rename', {'backup': 'b1'}, ['rename']),
        ('delete', {'backup': 'b1'}, ['delete']),
        ('restore', {'backup': 'b1'}, ['restore']),
        ('create backup', _CREATE, ['create backup volume']))
    @ddt.unpack
    def test_strangers(self, operation, arguments, expected):
        for actor, status, found in (
                ('member-2', 202, expected), ('member-2', 404, []),
                ('admin-2', 202, []), ('member-1', 202, [])):
            self.assertEqual(found, keys(
                rights.strangers_are_refused,
                moment(operation, status, actor, **arguments)))

    @ddt.data((False, 'admin-2', ['import']), (False, 'admin-1', ['import']),
              (True, 'admin-2', []), (True, 'admin-1', ['import']))
    @ddt.unpack
    def test_import_by_another_project(self, apart, actor, found):
        """It finds nothing where the storage keeps the projects apart."""
        failed = view(fail_reason='no such container')
        failed.backups['B1']['status'] = 'error'
        one = moment('import', actor=actor, after=failed, record='r1',
                     before=engines.View({}, {}, {}, {}))
        one.world.records['r1'].whole = True
        one.world.backups['b1'].complete = True
        self.assertEqual(found, [key for key, _ in promises.accepted(
            one, mock.Mock(apart=apart))])

    @ddt.data((False, 'admin-2', ['delete leaves']),
              (True, 'admin-2', ['apart delete leaves']),
              (True, 'admin-1', ['delete leaves']))
    @ddt.unpack
    def test_delete_by_another_project(self, apart, actor, found):
        """Objects that it leaves are told apart: the cause is another one."""
        stored = {'o1': 'digest'}
        one = moment('delete', actor=actor, backup='b1',
                     before=dataclasses.replace(view(), stored=stored),
                     after=engines.View({}, {}, {}, stored))
        one.world.backups['b1'].keys = frozenset(stored)
        one.world.backups['b1'].deleted = True
        self.assertEqual(found, [key for key, _ in promises.storage_is_exact(
            one, mock.Mock(apart=apart))])

    def test_over_a_quota(self):
        for limit, found in ((0, ['create backup backups']), (1, []),
                             (-1, [])):
            self.assertEqual(found, keys(rights.quota_is_kept, moment(
                'create backup', after=view(used=usage(1, 1)),
                limits={('project-1', 'backups'): limit}, **_CREATE)))

    @ddt.data((1, 'create backup', _CREATE, ['create backup refused']),
              (0, 'create backup', _CREATE, []),
              (2, 'import', {'record': 'r1'}, ['import refused']),
              (1, 'import', {'record': 'r1'}, []))
    @ddt.unpack
    def test_within_a_quota(self, limit, operation, arguments, found):
        self.assertEqual(found, keys(rights.quota_is_kept, moment(
            operation, 413, limits={
                ('project-1', 'backup_gigabytes'): limit}, **arguments)))

    def test_quota_of_the_project_in_a_record(self):
        """An import may need that of the backup's project, too."""
        one = moment('import', 413, 'admin-1', limits={
            ('project-2', 'backups'): 0}, record='r1')
        self.assertEqual(['import refused'], keys(rights.quota_is_kept, one))
        one.world.backups['b1'].project = 'project-2'
        self.assertEqual([], keys(rights.quota_is_kept, one))

    @ddt.data(
        (202, view('in-use'), {}, ['create backup the volume is in use']),
        (400, view('in-use'), {}, []),
        (202, view('in-use'), {'force': True}, []),
        (400, view('in-use'), {'force': True}, ['create backup refused']),
        (400, view(), {}, ['create backup refused']),
        (413, view(), {}, []),
        (202, view('error'), {}, ['create backup the volume is not '
                                  'available']))
    @ddt.unpack
    def test_backup_of_a_volume(self, status, before, more, found):
        self.assertEqual(found, keys(rights.volumes_are_kept, moment(
            'create backup', status, before=before, **_CREATE, **more)))

    @ddt.data(
        (202, 2, ['restore the volume is too small']), (400, 2, []),
        (202, 1, []), (400, 1, ['restore refused']))
    @ddt.unpack
    def test_restore_onto_a_volume(self, status, size, found):
        self.assertEqual(found, keys(rights.volumes_are_kept, moment(
            'restore', status, before=view(size=size), backup='b1',
            volume='v1')))

    def test_status_of_a_volume(self):
        for status, found in (('available', ['import in-use available']),
                              ('in-use', []), ('backing-up', [])):
            self.assertEqual(found, keys(rights.volumes_are_kept, moment(
                'import', before=view('in-use'), after=view(status),
                record='r1')))


class ShipTest(testtools.TestCase):
    def test_other_site(self):
        """It knows the records, and has what their whole chains stored."""
        world = worlds.World()
        for name, parent in (('b1', ''), ('b2', 'b1'), ('b3', '')):
            world.backups[name] = worlds.Backup(
                name.upper(), 'project-1', parent=parent, complete=True,
                keys=frozenset({f'{name}-1', f'{name}-2'}))
        world.records['r2'] = worlds.Record('b2')
        world.damaged['b1'] = {worlds.Damage(engines.CHANGED, True)}
        step = history.Step('ship', 'admin-2', {'records': ['r2', 'r9']})
        there, objects = operations.ALL['ship'].there(world, step)
        self.assertEqual(['b1-1', 'b1-2', 'b2-1', 'b2-2'], objects)
        self.assertEqual(({'b1', 'b2'}, {'r2'}, world.damaged, {}), (
            set(there.backups), set(there.records), there.damaged,
            there.volumes))
        self.assertTrue(all(one.lost for one in there.backups.values()))
        self.assertFalse(world.backups['b1'].lost)


@ddt.ddt
class ToldTest(testtools.TestCase):
    @ddt.data((202, '', 'b1', True), (202, 'at once', 'b1', True),
              # The reason is of a restore that was asked for as well.
              (400, 'at once', 'b1', False), (202, 'at once', 'b2', False))
    @ddt.unpack
    def test_reason_of_an_import(self, status, together, target, found):
        one = dataclasses.replace(
            moment('import', status, before=view(fail_reason=None),
                   after=view(fail_reason='no', has_dependent_backups=False,
                              parent_id=None), record='r1'),
            together=together, target=target)
        made = one.world.backups['b1']
        made.complete, made.told, made.touched = True, {}, True
        self.assertEqual(['import fail_reason'] * found, keys(
            promises.told_as_it_is, one))

    def test_child_of_a_failed_import(self):
        """The row of the parent says nothing of its data."""
        world = moment('restore').world
        parent = world.backups['b1']
        parent.complete = True
        world.backups['b2'] = dataclasses.replace(parent, id='B2',
                                                  parent='b1')
        self.assertTrue(world.recoverable('b2'))
        parent.failed = True
        self.assertFalse(world.recoverable('b2'))


@ddt.ddt
class UsageTest(testtools.TestCase):
    @ddt.data((), ('restore',), ('import',))
    def test_request_that_is_blamed(self, *others):
        """A restore makes no backup; what meets an import may be of that."""
        name = 'usage-is-that-of-rows'
        self.useFixture(fixtures.MockPatchObject(
            promises, 'ALL', {name: promises.ALL[name]}))
        found = {}
        for operation in 'restore', 'import':
            one = dataclasses.replace(
                moment(operation, before=view(used=usage(1, 2)),
                       after=view(used=usage(1, 3)), backup='b1',
                       record='r1'),
                together='at once' if others else '', others=others)
            found[operation] = [
                broken.key for broken in promises.judge(one, None)]
        key = 'backup_gigabytes'
        meets = others == ('import',)
        self.assertEqual({
            'restore': [] if meets else [f'restore {key}'],
            'import': [f'at once import {key}' if meets else
                       f'import {key}']}, found)


class RefusalTest(testtools.TestCase):
    def test_usage_of_less_than_nothing(self):
        """It is counted anew by any request, and each other one stays."""
        for number, found in ((-1, []), (1, ['import usage'])):
            self.assertEqual(found, keys(
                promises.refusal_changes_nothing,
                moment('import', 400, before=view(used=usage(number, number)),
                       after=view(used=usage()), record='r1')))


@ddt.ddt
class IncrementTest(testtools.TestCase):
    @ddt.data(((0,) * 6, True), ((0,) * 12, False), ((), True))
    @ddt.unpack
    def test_of_a_volume_that_was_extended(self, content, found):
        """The backup of a snapshot may say a size that it has not."""
        one = dataclasses.replace(
            moment('create backup', backup='b2', volume='v1'),
            target='b2', target_id='B2')
        parent = one.world.backups['b1']
        parent.complete, parent.told = True, {'size': 2}
        parent.content = (0,) * 6
        one.world.backups['b2'] = worlds.Backup(
            'B2', 'project-1', 'v1', content=content, parent='b1',
            told={'size': 2, 'status': 'error', 'fail_reason': 'no'})
        self.assertEqual(['create backup'] * found,
                         keys(promises.accepted, one)[:1])


class CreatedTest(testtools.TestCase):
    def test_objects_of_two_made_at_once(self):
        """A backup that failed has none of those of the other one."""
        world = moment('create backup').world
        before = engines.View({}, {}, {}, {})
        after = engines.View(
            {one: {'status': 'available'} for one in ('B2', 'B3', 'B4')}, {},
            {}, {'c/backup_B3-1': 'x', 'c/backup_B3-2': 'x'})
        for name in 'b2', 'b3':
            operations.ALL['create backup'].learn(
                world, history.Step('create backup', 'admin-1', {
                    'backup': name, 'volume': 'v1'}),
                engines.Answer(202, {'backup': {'id': name.upper()}}),
                before, after)
        self.assertEqual(
            [frozenset(), frozenset(after.stored)],
            [world.backups[name].keys for name in ('b2', 'b3')])
