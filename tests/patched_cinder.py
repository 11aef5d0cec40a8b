# SPDX-License-Identifier: Apache-2.0

"""Cinder without the defects that histories have found.

Each patch is named after its defect, and shows what a fix has to do. They
belong to the tests: a cloud is never patched.
"""

import contextlib
import copy
import functools
from unittest import mock
import uuid

from cinder import context as cinder_context
from cinder import exception
from cinder import objects
from cinder.backup import api
from cinder.backup import manager
from oslo_config import cfg


def _around(owner, name):
    """Replace a method by one that gets the original one."""
    def decorate(function):
        original = getattr(owner, name)

        @functools.wraps(original)
        def wrapper(*args, **kwargs):
            return function(original, *args, **kwargs)

        return mock.patch.object(owner, name, wrapper)
    return decorate


def _admin():
    return cinder_context.get_admin_context()


def incremental_without_service(cloud):
    """Only a backup that is available is a candidate for the parent."""
    @_around(objects.BackupList, 'get_all_by_volume')
    def patch(original, *args, **kwargs):
        found = original(*args, **kwargs)
        found.objects = [one for one in found.objects
                         if one.status == 'available']
        return found
    return patch


def _locked(name):
    """A request that no other one meets, as under a lock."""
    def make(cloud):
        @_around(api.API, name)
        def patch(original, *args, **kwargs):
            with cloud.turns.held():
                return original(*args, **kwargs)
        return patch
    return make


def deletes_at_once(cloud):
    """Its status is asked for under a lock."""
    @_around(api.API, 'delete')
    def patch(original, self, context, backup, force=False):
        with cloud.turns.held():
            backup.refresh()
            return original(self, context, backup, force)
    return patch


def deletion_of_parent(cloud):
    """Children of all projects count."""
    @_around(api.API, 'delete')
    def patch(original, self, context, backup, force=False):
        if len(objects.BackupList.get_all(
                _admin(), filters={'parent_id': backup.id})):
            raise exception.InvalidBackup(reason='it has children')
        return original(self, context, backup, force)
    return patch


def dependents_drift(cloud):
    """The rows of the children are counted."""
    def count(self):
        return bool(len(objects.BackupList.get_all(
            _admin(), filters={'parent_id': self.id})))
    return mock.patch.object(objects.Backup, 'has_dependent_backups',
                             property(count))


def _imported(change):
    """The row of an import gets more of the record."""
    @_around(api.API, '_get_import_backup')
    def patch(original, self, context, url):
        backup = original(self, context, url)
        change(backup, objects.Backup.decode_record(url))
        backup.save()
        return backup
    return patch


def import_failed_keeps_quota(cloud):
    """The row has the size that was reserved."""
    def change(backup, record):
        backup.size = record['size']
    return _imported(change)


def import_keeps_fail_reason(cloud):
    """What became of another import is forgotten."""
    def change(backup, record):
        backup.fail_reason = None
    return _imported(change)


def import_killed_stays_creating(cloud):
    """The row has a host, which looks for it when it starts."""
    def change(backup, record):
        backup.host = cfg.CONF.host
    return _imported(change)


def import_gives_to_importer(cloud):
    """The backup, and its quota, are those of the project in the record."""
    @_around(api.API, '_get_import_backup')
    def patch(original, self, context, url):
        record = objects.Backup.decode_record(url)
        owner = copy.copy(context)
        owner.project_id = record.get('project_id') or context.project_id
        owner.user_id = record.get('user_id') or context.user_id
        return original(self, owner, url)
    return patch


def _checked(wrong):
    """A record is refused before a row is made."""
    @_around(api.API, '_get_import_backup')
    def patch(original, self, context, url):
        record = objects.Backup.decode_record(url)
        if wrong(record):
            raise exception.InvalidBackup(reason='the record is wrong')
        return original(self, context, url)
    return patch


def import_id_not_uuid(cloud):
    """An id is a UUID."""
    def wrong(record):
        value = record.get('id')
        if not isinstance(value, str):
            return False
        try:
            return str(uuid.UUID(value)) != value
        except ValueError:
            return True
    return _checked(wrong)


def import_id_without_text(cloud):
    """An id is text."""
    return _checked(lambda record: not isinstance(record.get('id'), str))


def import_negative_size(cloud):
    """A size is a number above zero."""
    def wrong(record):
        size = record.get('size')
        return isinstance(size, int) and size <= 0
    return _checked(wrong)


def import_stays_creating(cloud):
    """Each field has the type of its column."""
    def wrong(record):
        # What the manager leaves out of the row.
        skipped = ('name', 'user_id', 'project_id', 'deleted_at', 'deleted',
                   'fail_reason', 'status', 'id', 'driver_info')
        try:
            backup = objects.Backup(_admin())
            for name, value in record.items():
                if name not in skipped:
                    setattr(backup, name, value)
            backup.obj_get_changes()
            int(record['size'])
        except (ValueError, TypeError, AttributeError, KeyError,
                exception.CinderException):
            return True
        return False
    return _checked(wrong)


def restore_without_reason(cloud):
    """A backup says why its last restore failed."""
    @_around(manager.BackupManager, 'restore_backup')
    def patch(original, self, context, backup, *args, **kwargs):
        try:
            return original(self, context, backup, *args, **kwargs)
        except Exception as error:
            backup.fail_reason = str(error)[:255]
            backup.save()
            raise
    return patch


def delete_killed_keeps_quota(cloud):
    """The row and the quota are changed in one transaction."""
    @_around(objects.Backup, 'destroy')
    def patch(original, self):
        cloud.lives_on()
        return original(self)
    return patch


def import_killed_loses_data(cloud):
    """What a record says and the status are saved at once."""
    @_around(objects.Backup, 'save')
    def patch(original, self):
        # Only an import changes both.
        both = {'host', 'service_metadata'} <= self.obj_what_changed()
        original(self)
        if both:
            cloud.lives_on()
    return patch


#: By the name of the defect.
PATCHES = {
    'backups-at-once': _locked('create'),
    'import-twice-at-once': _locked('_get_import_backup'),
    'restores-at-once': _locked('restore'),
    **{one.__name__.replace('_', '-'): one for one in (
        delete_killed_keeps_quota, deletes_at_once, deletion_of_parent,
        dependents_drift,
        import_failed_keeps_quota, import_gives_to_importer,
        import_id_not_uuid, import_id_without_text, import_keeps_fail_reason,
        import_killed_loses_data, import_killed_stays_creating,
        import_negative_size,
        import_stays_creating, incremental_without_service,
        restore_without_reason)},
}


@contextlib.contextmanager
def patched(cloud, *names):
    """Patch some defects away, for a cloud in this process."""
    with contextlib.ExitStack() as stack:
        for name in names:
            stack.enter_context(PATCHES[name](cloud))
        yield
