# SPDX-License-Identifier: Apache-2.0
"""Clouds that make, list or delete backups wrong."""


from mutants import catalogue

_REMOVED = 'scenario.test_removal.RemovalTest.test_deleted_from_the_storage'
_MEMBER = 'scenario.test_tenant.TenantBackupTest'
_DRIVER = 'reference_drivers.hooks:VerifyMixin.delete_backup'
_LIST = 'cinder.backup.api:API.get_all'


@catalogue.defect(_DRIVER, _REMOVED)
def leaves_objects(original, driver, backup):
    """A backup that is deleted stays on the storage."""


@catalogue.defect(_DRIVER, _REMOVED, f'{_MEMBER}.test_parent_is_kept')
def takes_parent_along(original, driver, backup):
    """With a backup its parent is removed from the storage."""
    original(driver, backup)
    if backup.parent:
        original(driver, backup.parent)


@catalogue.defect('reference_drivers.deletion:DeletionMixin._refuse_parent',
                  'scenario.test_removal.ParentRemovalTest.'
                  'test_parent_deleted_meanwhile')
def deletes_parents_of_lost(original, driver, *arguments):
    """A backup is deleted though the storage has one that builds on it."""


@catalogue.defect(_LIST, _REMOVED, f'{_MEMBER}.test_parent_is_kept')
def deletes_parents(original, api, context, search_opts=None, *arguments,
                    **more):
    """A backup is deleted though others build on it."""
    if search_opts and 'parent_id' in search_opts:
        return []
    return original(api, context, search_opts, *arguments, **more)


@catalogue.defect('cinder.backup.api:API.create',
                  f'{_MEMBER}.test_made_as_asked')
def drops_asked_description(original, api, context, name, description,
                            *arguments, **more):
    """A backup that is made has no description."""
    return original(api, context, name, None, *arguments, **more)


@catalogue.defect(_LIST, 'scenario.test_row_loss.ProjectLossTest.'
                         'test_all_restored_without_source_volumes',
                  'scenario.test_tenant.TenantFullTest.'
                  'test_restored_to_new_volume')
def lists_no_orphans(original, api, context, *arguments, **more):
    """A list of backups lacks those whose source volume is gone."""
    from cinder import exception
    from cinder import objects

    def has_source(backup):
        try:
            objects.Volume.get_by_id(context.elevated(), backup.volume_id)
        except exception.VolumeNotFound:
            return False
        return True

    found = original(api, context, *arguments, **more)
    found.objects = [one for one in found.objects if has_source(one)]
    return found


@catalogue.defect(
    'cinder.backup.manager:BackupManager.delete_backup',
    'api.test_bad_records.BadRecordTest.test_true_record_after_bad_one')
def keeps_failed_imports(original, manager, context, backup):
    """The row of an import that has failed cannot be deleted."""
    if not backup.service:
        backup.status = 'error_deleting'
        backup.save()
        return None
    return original(manager, context, backup)
