# SPDX-License-Identifier: Apache-2.0

"""Recovery of encrypted volumes, which need their keys to be read."""

from tempest import config
from tempest.lib import decorators
from tempest.lib import exceptions as lib_exc

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import features
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.scenario import backups
from cinder_backup_recovery_tests.scenario import encrypted

CONF = config.CONF


class EncryptedChainTest(encrypted.EncryptedScenario):
    """A chain of an encrypted volume, which is gone with its key."""

    needed_features = (*encrypted.EncryptedScenario.needed_features,
                       'incremental')
    rewrites_content = True

    @classmethod
    def resource_setup(cls) -> None:
        """Make a full and an incremental backup, and delete the volume."""
        super().resource_setup()
        cls.chain = cls.make_pair()
        cls.history = tuple(link.layout for link in cls.chain)
        volume_id = cls.chain[0].view['volume_id']
        cls.key_id = cls.key_of(clients.VOLUME, volume_id)
        cls.class_resources.remove(clients.VOLUME, volume_id)

    @decorators.idempotent_id('48d286fa-f5d4-4e61-80a6-712764cacdb1')
    def test_restored_to_new_volume(self) -> None:
        """Each imported backup is restored to a volume that its key opens.

        If it fails, an operator who lost the database restores encrypted
        volumes that no user can read.
        """
        if CONF.cinder_backup_recovery_feature_enabled.separate_keys:
            self.assert_key(self.key_id, False, 'the deleted volume')
        self.lose_and_import(self.chain)
        for link in self.chain:
            volume_id = self.create_from(link)
            self.assert_readable(volume_id, link)
            self.resources.remove(clients.VOLUME, volume_id)

    @decorators.idempotent_id('fe27ca94-97d9-4613-89ea-d8990539be9a')
    @features.needs('restore_to_existing_volume')
    def test_restored_onto_existing_volume(self) -> None:
        """A restore replaces the content of an encrypted volume and its key.

        If it fails, the volume has the data of one key and the id of another,
        and no user can read it; or the key of the old content is left for
        good.
        """
        foreign = self.layout(backups.FOREIGN)
        target_id = self.content.create_volume(foreign)
        old = self.key_of(clients.VOLUME, target_id)
        newest = self.chain[-1]
        self.lose_and_import([newest])
        self.restore_and_compare(newest, onto=target_id,
                                 history=(*self.history, foreign))
        if CONF.cinder_backup_recovery_feature_enabled.separate_keys:
            self.assert_key(old, False, 'the replaced content')
            self.assertNotEqual(
                self.key_of(clients.BACKUP, newest.backup_id),
                self.key_of(clients.VOLUME, target_id),
                'the backup and the restored volume have one key, which goes '
                'with the first of them that is deleted')

    @decorators.idempotent_id('dd5a6e6b-73ce-4c47-89eb-da566aaa5230')
    def test_restored_without_a_type(self) -> None:
        """A restore without a type gives a readable volume, or names the type.

        ``cinder backup-restore`` makes a volume of the default type.
        If it fails, a user of that command reads that the restore has failed,
        and not which type the volume must have.
        """
        newest = self.chain[-1]
        self.lose_and_import([newest])
        with self.known_defect(
                'encrypted-restore-without-type',
                looks=lambda exc: isinstance(exc, AssertionError)):
            try:
                volume_id = self.resources.restore(newest.backup_id)
            except exceptions.ResourceFailed as refused:
                self.assertIn(
                    self.volume_type(), str(refused),
                    f'the restore of encrypted backup {newest.backup_id} '
                    f'fails, and does not name the type that a volume must '
                    f'have for it')
            else:
                self.assert_readable(volume_id, newest)


class EncryptedKeysTest(encrypted.EncryptedScenario):
    """The ends of keys, of which each belongs to one volume or backup."""

    needed_features = (*encrypted.EncryptedScenario.needed_features,
                       'separate_keys')

    @classmethod
    def full_backups(cls) -> int:
        """Return one for each test."""
        return 2

    @decorators.idempotent_id('55d72da0-c6fd-4bad-a5fc-520add6867ec')
    def test_deleted_with_its_key(self) -> None:
        """An imported backup that is deleted takes its key, and no other.

        Only the key that the record names may be left, which another site may
        have. If it fails, keys of deleted data are left in the key manager
        without a limit, or those of other volumes go.
        """
        link, before = self.take_full()
        kept = self.resources.create_volume(size=link.view['size'])['id']
        recorded = link.record.fields['encryption_key_id']
        self.addCleanup(self.keys.delete, recorded)
        self.lose_and_import([link])
        key_id = self.key_of(clients.BACKUP, link.backup_id)
        self.assert_key(key_id, True, 'the imported backup')
        self.class_resources.remove(clients.BACKUP, link.backup_id)
        self.assert_key(key_id, False, 'the deleted backup')
        self.assert_key(self.key_of(clients.VOLUME, kept), True,
                        'another volume')
        self.resources.remove(clients.VOLUME, kept)
        self.assert_keys(before, recorded)

    @decorators.attr(type=['negative'])
    @decorators.idempotent_id('2f4113d3-ea01-45f1-8507-221d672229bc')
    def test_record_with_the_key_of_a_volume(self) -> None:
        """A record that names the key of a volume does not delete that key.

        An administrator imports a wrong record, and deletes the backup. If it
        fails, the key of a volume that is in use goes with it: the volume is
        still called available, and can never be read again.
        """
        layout = self.layout(backups.FOREIGN)
        volume_id = self.content.create_volume(layout)
        key_id = self.key_of(clients.VOLUME, volume_id)
        link, _ = self.take_full()
        # The true one is not deleted with the edited row.
        self.addCleanup(self.keys.delete,
                        link.record.fields['encryption_key_id'])
        self.lose_rows([link.record])
        with self.story.step(f'import {link.backup_id} with the key of '
                             f'volume {volume_id}, and delete it'):
            try:
                self.cloud.import_record(
                    link.record.edited(encryption_key_id=key_id))
            except lib_exc.BadRequest as refused:
                self.story.note(f'it is refused: {refused}')
                return
            self.resources.wait(
                clients.BACKUP, link.backup_id, ('available', 'error'),
                timeout=self.patience.backup)
            self.class_resources.remove(clients.BACKUP, link.backup_id)
        with self.known_defect('record-takes-key-of-another-volume'):
            self.assert_key(key_id, True, f'volume {volume_id}')
        self.assert_content(volume_id, layout,
                            'the volume whose key the record named')
