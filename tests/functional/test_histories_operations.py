# SPDX-License-Identifier: Apache-2.0

"""Operations of histories, each with a fault that it finds."""

import copy
from unittest import mock

from cinder import context as cinder_context
from cinder import objects
import ddt
from oslo_utils import importutils

from backup_model import history
from tests.functional import test_histories


def _wants_the_row_of_the_volume(original, self, backup, *args):
    """It is there when the volume was deleted, too."""
    objects.Volume.get_by_id(cinder_context.get_admin_context(
        read_deleted='yes'), backup.volume_id)
    return original(self, backup, *args)


class _Larger:
    """Volumes that are as large as anything."""

    def __init__(self, volumes):
        self.volumes = volumes

    def get(self, *args, **kwargs):
        found = copy.copy(self.volumes.get(*args, **kwargs))
        found.size = 99
        return found

    def create(self, *args, **kwargs):
        return self.volumes.create(*args, **kwargs)


def _does_not_look_at_the_size(original, self, *args, **kwargs):
    with mock.patch.object(self, 'volume_api', _Larger(self.volume_api)):
        return original(self, *args, **kwargs)


def _writes_past_the_end(original, self, backup, volume_id, volume_file, new):
    original(self, backup, volume_id, volume_file, new)
    if not new and objects.Volume.get_by_id(
            self.context, volume_id).size > backup.size:
        volume_file.seek(-1, 2)
        volume_file.write(b'!')


def _forces_always(original, self, context, *args):
    # As Cinder's API calls it.
    return original(self, context, *args[:6], True, *args[7:])


def _leaves_it_available(original, self, context, backup, volume, updates):
    volume.previous_status = 'available'
    return original(self, context, backup, volume, updates)


def _one_more(original, *args, **kwargs):
    return {name: limit if limit < 0 else limit + 1
            for name, limit in original(*args, **kwargs).items()}


def _one_less(original, *args, **kwargs):
    return {name: limit if limit < 0 else limit - 1
            for name, limit in original(*args, **kwargs).items()}


def _tries_again(original, self, *args):
    while True:
        try:
            return original(self, *args)
        except OSError:
            continue


def _lists(original, self, backup):
    while True:
        try:
            self.get_container_entries(backup.container, '')
        except OSError:
            continue
        return original(self, backup)


def _gives_backups_too(original, self, context, *args):
    done = original(self, context, *args)
    for one in objects.BackupList.get_all_by_volume(
            cinder_context.get_admin_context(), done['volume_id'],
            context.project_id):
        one.project_id = context.project_id
        one.save()
    return done


def _of_any_project(original, self, context, *args, **kwargs):
    return original(self, context.elevated(), *args, **kwargs)


_DRIVER = 'cinder.backup.drivers.posix.PosixBackupDriver'
_API = 'cinder.backup.api.API'
_MANAGER = 'cinder.backup.manager.BackupManager'
_QUOTA = 'cinder.quota.DbQuotaDriver'




def _step(operation, actor='', **arguments):
    return history.Step(operation, actor, arguments)


_ADMIN = 'admin-1'
_VOLUME = _step('create volume', _ADMIN, volume='v1',
                content=[1, 0, 2, 1, 1, 2])
_LARGE = _step('create volume', _ADMIN, volume='v2', content=[2] * 12)
_BACKUP = _step('create backup', _ADMIN, backup='b1', volume='v1')
_EXPORT = _step('export', _ADMIN, record='r1', backup='b1')
_ATTACH = _step('attach', volume='v1')


@ddt.ddt
class OperationsTest(test_histories.HistoriesCase):
    @ddt.data(
        (_DRIVER, 'restore', _wants_the_row_of_the_volume,
         ('restored-as-it-was', 'not'),
         _VOLUME, _BACKUP, _EXPORT, _step('lose database')),
        (_DRIVER, 'restore', _wants_the_row_of_the_volume,
         ('restored-as-it-was', 'not'),
         _VOLUME, _BACKUP, _EXPORT, _step('ship', _ADMIN, records=['r1'])),
        (_API, 'restore', _does_not_look_at_the_size,
         ('volumes-are-kept', 'restore the volume is too small'),
         _VOLUME, _LARGE,
         _step('create backup', _ADMIN, backup='b1', volume='v2'),
         _step('restore', _ADMIN, backup='b1', volume='v1')),
        (_DRIVER, 'restore', _writes_past_the_end,
         ('restored-as-it-was', 'past the end'),
         _VOLUME, _LARGE, _BACKUP,
         _step('restore', _ADMIN, backup='b1', volume='v2')),
        (_API, 'create', _forces_always,
         ('volumes-are-kept', 'create backup the volume is in use'),
         _VOLUME, _ATTACH, _BACKUP),
        (_MANAGER, '_finish_backup', _leaves_it_available,
         ('volumes-are-kept', 'create backup in-use available'),
         _VOLUME, _ATTACH, _step('create backup', _ADMIN, backup='b1',
                                 volume='v1', force=True)),
        (_QUOTA, '_get_quotas', _one_more,
         ('quota-is-kept', 'create backup backups'),
         _VOLUME, _step('set quota', _ADMIN, project='project-1',
                        resource='backups', limit=0), _BACKUP),
        (_QUOTA, '_get_quotas', _one_less,
         ('quota-is-kept', 'import refused'),
         _VOLUME, _BACKUP, _EXPORT, _step('lose rows', backups=['b1']),
         _step('set quota', _ADMIN, project='project-1',
               resource='backup_gigabytes', limit=1),
         _step('import', _ADMIN, record='r1')),
        (_DRIVER, 'backup', _tries_again,
         ('work-ends', 'create backup creating'),
         _VOLUME, _step('away', steps=[_BACKUP.to_data()], after=2)),
        (_DRIVER, 'export_record', _lists,
         ('answered', 'export'), _VOLUME, _BACKUP,
         _step('away', steps=[_EXPORT.to_data()], after=0)),
        ('cinder.transfer.api.API', 'accept', _gives_backups_too,
         ('reached-by-the-same', 'transfer'),
         _VOLUME, _BACKUP,
         _step('transfer', volume='v1', project='project-2')),
        (_API, 'restore', _of_any_project,
         ('strangers-are-refused', 'restore'),
         _VOLUME, _BACKUP, _step('restore', 'member-2', backup='b1')))
    @ddt.unpack
    def test_fault(self, owner, name, fault, cause, *steps):
        """A promise is broken by a fault, and is kept without it."""
        owner = importutils.import_class(owner)
        original = getattr(owner, name)

        def faulty(*args, **kwargs):
            return fault(original, *args, **kwargs)

        with mock.patch.object(owner, name, faulty):
            self.assertIn(cause, self.causes(steps))
        self.assertNotIn(cause, self.causes(steps))

    def causes(self, steps):
        return [one.cause for one in self.run_steps(steps)]

    def test_first_site_is_as_it_was(self):
        """The first site does not see the operations at the second one."""
        self.run_steps([_VOLUME, _BACKUP, _EXPORT])
        seen = []
        stored = self.cloud.view().stored
        with self.cloud.second_site(list(stored)[:1]):
            seen.append(self.cloud.view())
        self.assertEqual(({}, {}, 1), (
            seen[0].backups, seen[0].volumes, len(seen[0].stored)))
        self.assertEqual(stored, self.cloud.view().stored)
        self.assertEqual(1, len(self.cloud.view().backups))

    def test_requests_that_are_refused(self):
        """Cinder refuses what its state, its quota and its rights forbid."""
        refused = []
        original = type(self.cloud).request

        def request(*arguments):
            answer = original(*arguments)
            if not answer.accepted:
                refused.append(answer.status)
            return answer

        with mock.patch.object(type(self.cloud), 'request', request):
            self.assertEqual([], self.causes([
                _VOLUME, _LARGE, _ATTACH, _BACKUP,
                _step('detach', volume='v1'),
                _step('create backup', 'member-2', backup='b2', volume='v1'),
                _step('create backup', _ADMIN, backup='b3', volume='v2'),
                _step('restore', _ADMIN, backup='b3', volume='v1'),
                _step('set quota', _ADMIN, project='project-1',
                      resource='backup_gigabytes', limit=2), _BACKUP]))
        self.assertEqual([400, 404, 400, 413], refused)
