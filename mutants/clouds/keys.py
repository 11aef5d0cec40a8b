# SPDX-License-Identifier: Apache-2.0
"""Clouds that do something wrong with the keys of encrypted volumes."""

from mutants import catalogue

_CHAIN = 'scenario.test_encrypted.EncryptedChainTest'
_ONTO = f'{_CHAIN}.test_restored_onto_existing_volume'
_MEMBER = 'scenario.test_tenant.TenantEncryptedTest'
_MEMBER_ONTO = f'{_MEMBER}.test_restored_onto_existing_volume'

_UTILS = 'cinder.volume.volume_utils'


@catalogue.defect(
    f'{_UTILS}:clone_encryption_key',
    f'{_CHAIN}.test_restored_to_new_volume', _ONTO,
    'scenario.test_database_loss.DatabaseLossTest.'
    'test_encrypted_backups_restored_from_their_records',
    f'{_MEMBER}.test_restored_to_new_volume', _MEMBER_ONTO)
def clones_no_key(original, context, key_manager, key_id):
    """A backup has the key of its volume, which goes with the volume."""
    return key_id


@catalogue.defect(
    f'{_UTILS}:delete_encryption_key', _ONTO, _MEMBER_ONTO,
    'scenario.test_encrypted.EncryptedKeysTest.test_deleted_with_its_key')
def leaves_keys(original, context, key_manager, key_id):
    """A deletion leaves the key."""


@catalogue.defect('cinder.backup.manager:BackupManager._run_restore', _ONTO,
                  _MEMBER_ONTO)
def restores_no_key(original, manager, context, backup, volume, is_new):
    """A volume has the data of a backup, and the key that it had before."""
    from cinder import objects
    before = volume.encryption_key_id
    original(manager, context, backup, volume, is_new)
    restored = objects.Volume.get_by_id(context, volume.id)
    restored.encryption_key_id = before
    restored.save()
