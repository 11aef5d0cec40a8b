# SPDX-License-Identifier: Apache-2.0
"""Clouds whose restore does something wrong."""

import contextlib

from mutants import catalogue

_FULL = 'scenario.test_row_loss.FullBackupRowLossTest'
_CHAIN = 'scenario.test_row_loss.ChainRowLossTest'
_CONTENTS = 'scenario.test_contents'
_DAMAGED = 'scenario.test_damaged_restore'
_SHIPPED = 'scenario.test_shipping'
_MEMBER = 'scenario.test_tenant.TenantFullTest'
_MEMBER_NEW = f'{_MEMBER}.test_restored_to_new_volume'
_MEMBER_EACH = ('scenario.test_tenant.TenantChainTest.'
                'test_each_restored_to_new_volume')
_MEMBER_SNAPSHOT = ('scenario.test_tenant.TenantSnapshotTest.'
                    'test_snapshot_restored')
_SNAPSHOT = (f'{_CONTENTS}.SnapshotBackupTest.'
             'test_restored_as_it_was_at_the_snapshot')
_PROJECT = ('scenario.test_row_loss.ProjectLossTest.'
            'test_all_restored_without_source_volumes')

_NEW = f'{_FULL}.test_hard_loss_restored_to_new_volume'
_EACH = f'{_CHAIN}.test_chain_restored_at_each_link'

_DRIVER = 'reference_drivers.hooks:VerifyMixin.restore'
_RUN = 'cinder.backup.manager:BackupManager._run_restore'

_GIB = 1024 ** 3


def _only(driver, wanted):
    """Have a driver, which lives for one restore, write some chunks only."""
    write = driver._write_chunk

    def write_some(watch, store, link, chunk, *rest):
        if wanted(link, chunk):
            write(watch, store, link, chunk, *rest)

    driver._write_chunk = write_some


@catalogue.defect(
    _RUN, _NEW, _MEMBER_NEW, _MEMBER_SNAPSHOT, _SNAPSHOT,
    'scenario.test_faults.KilledServiceTest.test_killed_during_export',
    'scenario.test_faults.KilledServiceTest.test_killed_during_import')
def writes_nothing(original, manager, *arguments):
    """A restore ends well and has written nothing."""


@catalogue.defect('cinder.volume.driver:BaseVD.get_backup_device',
                  _MEMBER_SNAPSHOT, _SNAPSHOT)
def backs_up_volume_of_snapshot(original, driver, context, backup):
    """A backup of a snapshot is one of the volume as it is now."""
    from cinder import objects
    if not backup.snapshot_id:
        return original(driver, context, backup)
    return objects.Volume.get_by_id(context, backup.volume_id), False


@catalogue.defect(
    _RUN, f'{_SHIPPED}.ShippedBackupTest.'
    'test_restored_to_a_volume_of_another_type')
def writes_to_own_type_only(original, manager, context, backup, volume,
                            is_new):
    """Of a volume of another type a restore only says that it is done."""
    from cinder.volume import volume_types
    if volume.volume_type_id == volume_types.get_default_volume_type(
            context)['id']:
        return original(manager, context, backup, volume, is_new)
    return None


@catalogue.defect('cinder.backup.driver:BackupMetadataAPI.put', _NEW,
                  _MEMBER_NEW)
def loses_properties(original, api, volume_id, metadata):
    """A restored volume has neither name nor properties."""


@catalogue.defect(_RUN, _NEW, _MEMBER_NEW)
def writes_onto_source(original, manager, context, backup, volume, is_new):
    """A restore writes onto the volume that the backup was made of."""
    from cinder import objects
    source = objects.Volume.get_by_id(context, backup.volume_id)
    return original(manager, context, backup, source, is_new)


@catalogue.defect(
    _DRIVER,
    'scenario.test_tenant.TenantLargerTest.test_restored_behind_the_first_gib',
    f'{_CONTENTS}.LargerVolumeTest.test_restored_behind_the_first_gib')
def writes_one_gib(original, driver, backup, *arguments):
    """A restore writes the first GiB of a volume only."""
    _only(driver, lambda link, chunk: chunk.offset < _GIB)
    original(driver, backup, *arguments)


@catalogue.defect(_DRIVER, _EACH, _MEMBER_EACH,
                  f'{_CHAIN}.test_chain_restored_onto_existing_volume')
def writes_last_link(original, driver, backup, *arguments):
    """A restore of an incremental backup writes what has changed only."""
    _only(driver, lambda link, chunk: link.backup_id == backup.id)
    original(driver, backup, *arguments)


@catalogue.defect(_DRIVER, _EACH, _MEMBER_EACH)
def writes_first_link(original, driver, backup, *arguments):
    """A restore of an incremental backup writes the full one."""
    _only(driver, lambda link, chunk: not link.parent_id)
    original(driver, backup, *arguments)


@catalogue.defect(_DRIVER, _EACH, _MEMBER_EACH,
                  resembles='zeros-of-incremental, of the defects that are '
                            'known')
def skips_zeros_of_links(original, driver, backup, volume_id, file, is_new):
    """Zeros of an incremental backup are not written to a new volume."""
    write = driver._write_chain

    def write_each(backup, volume_id, chain, *target):
        for link in reversed(chain):
            write(backup, volume_id, [link], *target)

    driver._write_chain = write_each
    original(driver, backup, volume_id, file, is_new)


@catalogue.defect(
    _DRIVER, f'{_MEMBER}.test_restored_onto_existing_volume',
    f'{_FULL}.test_hard_loss_restored_onto_existing_volume',
    f'{_CONTENTS}.EmptyVolumeTest.test_zeros_restored_onto_existing_volume')
def leaves_what_was_there(original, driver, backup, volume_id, file, is_new):
    """A restore onto an existing volume leaves data where zeros belong."""
    original(driver, backup, volume_id, file, True)


@catalogue.defect(
    _DRIVER, f'{_MEMBER}.test_restored_onto_larger_volume',
    f'{_CONTENTS}.TextVolumeTest.test_restored_onto_larger_volume')
def writes_behind_end(original, driver, backup, volume_id, file, is_new):
    """A restore onto a larger volume clears what is behind the backup."""
    from cinder import objects
    original(driver, backup, volume_id, file, is_new)
    if objects.Volume.get_by_id(driver.context, volume_id
                                ).size > backup.size:
        file.seek(backup.size * _GIB)
        file.write(bytes(1024 ** 2))


@catalogue.defect(_DRIVER, f'{_CHAIN}.test_child_without_its_parents')
def needs_no_parents(original, driver, backup, *arguments):
    """An incremental backup without its parents is restored to nothing."""
    from reference_drivers.verification import errors
    try:
        original(driver, backup, *arguments)
    except errors.BrokenChain:
        return


@catalogue.defect(_RUN,
                  f'{_DAMAGED}.DamagedBackupRestoreTest.'
                  'test_damaged_after_import',
                  f'{_DAMAGED}.DamagedBackupRestoreTest.'
                  'test_incomplete_after_import',
                  f'{_DAMAGED}.DamagedParentRestoreTest.'
                  'test_parent_damaged_after_import')
def hides_failure(original, manager, *arguments):
    """A restore that has failed is called a success."""
    with contextlib.suppress(Exception):
        original(manager, *arguments)


@catalogue.defect(
    'cinder.backup.manager:BackupManager.'
    '_cleanup_incomplete_backup_operations',
    'scenario.test_faults.KilledServiceTest.test_killed_during_restore')
def takes_up_nothing(original, *arguments):
    """A cinder-backup that starts again leaves what it was about as it is."""


@catalogue.defect(
    'cinder.volume.flows.manager.create_volume:'
    'CreateVolumeFromSpecTask._create_from_backup',
    f'{_MEMBER}.test_volume_created_from_backup',
    f'{_CONTENTS}.TextVolumeTest.test_volume_created_from_backup')
def creates_empty_volume(original, task, context, volume, backup_id, **more):
    """A volume that is created from a backup is empty."""
    return task._create_raw_volume(context, volume, **more) or {}, True


@catalogue.defect('cinder.backup.api:API.restore', _PROJECT, _MEMBER_NEW,
                  f'{_FULL}.test_hard_loss_of_source_volume',
                  f'{_SHIPPED}.ShippedChainTest.'
                  'test_each_link_restored_at_the_other_site')
def needs_source_volume(original, api, context, backup_id, *arguments, **more):
    """A backup is not restored where its source volume is gone."""
    from cinder import objects
    objects.Volume.get_by_id(context, api.get(context, backup_id).volume_id)
    return original(api, context, backup_id, *arguments, **more)


@catalogue.defect('cinder.objects.backup:BackupList.get_all_by_volume',
                  f'{_CHAIN}.test_chain_goes_on',
                  'scenario.test_tenant.TenantLongChainTest.'
                  'test_newest_restored')
def builds_on_first(original, *arguments, **more):
    """An incremental backup builds on the first of three of its volume."""
    found = original(*arguments, **more)
    # With fewer the tests would have no chain to lose.
    if len(found.objects) > 2:
        found.objects = sorted(found.objects,
                               key=lambda one: one.created_at)[:1]
    return found
