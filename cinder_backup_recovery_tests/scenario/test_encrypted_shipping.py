# SPDX-License-Identifier: Apache-2.0

"""Recovery of encrypted volumes at another site, with one key manager."""

from tempest.lib import decorators

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import features
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.scenario import base
from cinder_backup_recovery_tests.scenario import encrypted
from cinder_backup_recovery_tests.scenario import test_shipping


class ShippedEncryptedTest(encrypted.EncryptedScenario,
                           test_shipping.ShippingScenario):
    """A backup of an encrypted volume is imported at another site."""

    needed_features = ('encrypted_volumes',
                       *test_shipping.ShippingScenario.needed_features)

    def setUp(self) -> None:
        """Use encrypted volumes at the other site, too."""
        super().setUp()
        self.content_there = self.encrypted_content(self.resources_there)

    @decorators.idempotent_id('b6469e44-9087-414b-b964-a1a35af2902f')
    @features.needs('restore_to_existing_volume')
    def test_restored_at_the_other_site(self) -> None:
        """A volume of an equal type at the other site takes the data.

        The types of two sites have names and parameters in common, and never
        their ids. If it fails, a site that burns down takes the encrypted
        volumes of its users with it, though their backups, records and keys
        were kept elsewhere.
        """
        link = self.make_full(self.layout(base.OURS))
        self.ship([link])
        volume = self.resources_there.create_volume(size=link.view['size'])
        with self.known_defect(
                'encrypted-restore-at-another-site',
                looks=lambda exc: isinstance(exc, exceptions.ResourceFailed)):
            self.restore_there(link, onto=volume['id'])

    @decorators.idempotent_id('ead90707-4771-4b2a-8991-ef13b368c85e')
    @features.needs('second_store', 'separate_keys')
    def test_copy_deleted(self) -> None:
        """The original backup is readable after its copy was deleted.

        If it fails, an operator who tidies up the other site destroys the
        only key of a backup that is still called available here.
        """
        before = self.keys.count()
        link = self.make_full(self.layout(base.OURS))
        self.copy(link)
        self.import_there(link)
        self.resources_there.remove(clients.BACKUP, link.backup_id)
        with self.known_defect('copy-takes-key-of-original'):
            self.assert_key(self.key_of(clients.BACKUP, link.backup_id), True,
                            f'backup {link.backup_id}, whose copy was deleted')
        volume_id = self.create_from(link)
        self.assert_readable(volume_id, link)
        self.resources.remove(clients.VOLUME, volume_id)
        self.class_resources.remove(clients.BACKUP, link.backup_id)
        self.assert_keys(before)

    @decorators.idempotent_id('fea1cca4-55cd-4693-ae1d-0309f888ef41')
    @features.needs('second_store', 'separate_keys',
                    'restore_to_existing_volume')
    def test_original_deleted(self) -> None:
        """The copy is readable after the original was deleted.

        If it fails, the end of a retention time at one site destroys what the
        other one keeps for longer.
        """
        before = self.keys.count()
        link = self.make_full(self.layout(base.OURS))
        self.copy(link)
        self.import_there(link)
        self.class_resources.remove(clients.BACKUP, link.backup_id)
        copied = self.there.show(clients.BACKUP, link.backup_id)
        with self.known_defect('copy-takes-key-of-original'):
            self.assert_key(copied['encryption_key_id'], True,
                            f'the copy of backup {link.backup_id}, which was '
                            f'deleted')
        volume = self.resources_there.create_volume(size=link.view['size'])
        with self.known_defect(
                'encrypted-restore-at-another-site',
                looks=lambda exc: isinstance(exc, exceptions.ResourceFailed)):
            self.restore_there(link, onto=volume['id'])
        self.resources_there.remove(clients.VOLUME, volume['id'])
        self.resources_there.remove(clients.BACKUP, link.backup_id)
        self.assert_keys(before)
