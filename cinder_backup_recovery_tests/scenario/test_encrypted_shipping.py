# SPDX-License-Identifier: Apache-2.0

"""Recovery of encrypted volumes at another site.

It has the key manager of the first site, or its own, to which the keys are
brought.
"""

import contextlib
import dataclasses

from tempest import config
from tempest.lib import decorators

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import features
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.cloud import keys
from cinder_backup_recovery_tests.scenario import base
from cinder_backup_recovery_tests.scenario import encrypted
from cinder_backup_recovery_tests.scenario import test_shipping

CONF = config.CONF


class ShippedEncryptedTest(encrypted.EncryptedScenario,
                           test_shipping.ShippingScenario):
    """A backup of an encrypted volume is imported at another site."""

    needed_features = ('encrypted_volumes',
                       *test_shipping.ShippingScenario.needed_features)

    # The key manager of the other site, if it is another one.
    brought: keys.Barbican | None = None

    @classmethod
    def full_backups(cls) -> int:
        """Return one for each test; two of them use the same one."""
        able = CONF.cinder_backup_recovery_feature_enabled
        return 1 + able.second_store * (able.separate_keys +
                                        able.second_key_manager)

    @classmethod
    def setup_clients(cls) -> None:
        """Find the key manager of the other site, too."""
        super().setup_clients()
        if CONF.cinder_backup_recovery_feature_enabled.second_key_manager:
            cls.brought = keys.barbican_in(
                CONF.cinder_backup_recovery.second_region,
                cls.os_project_admin)

    def setUp(self) -> None:
        """Use encrypted volumes at the other site, too."""
        super().setUp()
        self.content_there = self.encrypted_content(self.resources_there,
                                                    self.brought)
        self.number_there = self.brought.count() if self.brought else 0

    def assert_keys(self, before: int, *recorded: str) -> None:
        """Count the keys of the project at both sites."""
        super().assert_keys(before, *recorded)
        if self.brought:
            self.assertEqual(self.number_there, self.brought.count(),
                             'keys are left or lost at the other site')

    def may_take_key_of_other(self) -> contextlib.AbstractContextManager[None]:
        """Expect the defect of sites that have one key manager."""
        return (contextlib.nullcontext() if self.brought else
                self.known_defect('copy-takes-key-of-original'))

    def import_there(self, link: base.Link) -> None:
        """Bring the key to a site that has another key manager, and import.

        The record names the key that was made there, as an operator's would.
        """
        if self.brought:
            with self.story.step('bring its key to the other site'):
                key_id = self.brought.store(self.keys.key(
                    link.record.fields['encryption_key_id']))
                self.addCleanup(self.brought.delete, key_id)
            link = dataclasses.replace(
                link, record=link.record.edited(encryption_key_id=key_id))
        super().import_there(link)
        if self.brought:
            key_there = self.there.show(
                clients.BACKUP, link.backup_id)['encryption_key_id']
            if key_there != key_id:
                # The driver has made the import a key of its own.
                self.brought.delete(key_id)

    @decorators.idempotent_id('b6469e44-9087-414b-b964-a1a35af2902f')
    @features.needs('restore_to_existing_volume')
    def test_restored_at_the_other_site(self) -> None:
        """A volume of an equal type at the other site takes the data.

        The types of two sites have names and parameters in common, and never
        their ids. If it fails, a site that burns down takes the encrypted
        volumes of its users with it, though their backups, records and keys
        were kept elsewhere.
        """
        link, _ = self.take_full()
        self.ship([link])
        volume = self.resources_there.create_volume(size=link.view['size'])
        with self.known_defect(
                'encrypted-restore-at-another-site',
                looks=lambda exc: isinstance(exc, exceptions.ResourceFailed)):
            self.restore_there(link, onto=volume['id'])

    @decorators.idempotent_id('0f9d3f0a-6a0e-4c55-9d6b-5a5f3c1d2e77')
    @features.needs('second_key_manager', 'second_store',
                    'restore_to_existing_volume')
    def test_without_its_key(self) -> None:
        """A site that lacks the key says so, and costs the first site nothing.

        If it fails, an operator who has shipped the backups, and not their
        keys, learns on the day of the fire that none of them can be read.
        """
        link, before = self.take_full()
        self.copy(link)
        reason = self.refused_there(link)
        if CONF.cinder_backup_recovery_feature_enabled.import_verify:
            self.assertIsNotNone(
                reason, f'backup {link.backup_id} is available at the other '
                        f'site, but its key is not there')
            self.assertIn(link.record.fields['encryption_key_id'],
                          str(reason))
        if reason is None:
            # Of a driver that reads nothing before a restore.
            target = self.resources_there.create_volume(
                size=link.view['size'])
            self.assertRaises(exceptions.ResourceFailed,
                              self.resources_there.restore,
                              link.backup_id, target['id'])
            self.resources_there.remove(clients.VOLUME, target['id'])
        self.resources_there.remove(clients.BACKUP, link.backup_id)
        volume_id = self.create_from(link)
        self.assert_readable(volume_id, link)
        self.resources.remove(clients.VOLUME, volume_id)
        self.class_resources.remove(clients.BACKUP, link.backup_id)
        self.assert_keys(before)

    @decorators.idempotent_id('ead90707-4771-4b2a-8991-ef13b368c85e')
    @features.needs('second_store', 'separate_keys')
    def test_copy_deleted(self) -> None:
        """The original backup is readable after its copy was deleted.

        If it fails, an operator who tidies up the other site destroys the
        only key of a backup that is still called available here.
        """
        link, before = self.take_full()
        self.copy(link)
        self.import_there(link)
        self.resources_there.remove(clients.BACKUP, link.backup_id)
        with self.may_take_key_of_other():
            self.assert_key(self.key_of(clients.BACKUP, link.backup_id), True,
                            f'backup {link.backup_id}, whose copy was deleted')
        volume_id = self.create_from(link)
        self.assert_readable(volume_id, link)
        self.resources.remove(clients.VOLUME, volume_id)
        self.assert_keys(before + 1)
        # It is whole, and another test can take it.
        self.fulls.append(link)

    @decorators.idempotent_id('fea1cca4-55cd-4693-ae1d-0309f888ef41')
    @features.needs('second_store', 'separate_keys')
    def test_original_deleted(self) -> None:
        """The copy is readable after the original was deleted.

        If it fails, the end of a retention time at one site destroys what the
        other one keeps for longer.
        """
        link, before = self.take_full()
        self.copy(link)
        self.import_there(link)
        self.class_resources.remove(clients.BACKUP, link.backup_id)
        copied = self.there.show(clients.BACKUP, link.backup_id)
        with self.may_take_key_of_other():
            self.assert_key(copied['encryption_key_id'], True,
                            f'the copy of backup {link.backup_id}, which was '
                            f'deleted', self.brought)
        with self.known_defect(
                'encrypted-restore-at-another-site',
                looks=lambda exc: isinstance(exc, exceptions.ResourceFailed)):
            volume = self.resources_there.create_volume(
                size=link.view['size'], backup_id=link.backup_id)
        self.assert_content(
            volume['id'], link.layout,
            f'{link.what} {link.backup_id}, made into a volume at the other '
            f'site', content=self.content_there)
        self.resources_there.remove(clients.VOLUME, volume['id'])
        self.resources_there.remove(clients.BACKUP, link.backup_id)
        self.assert_keys(before)
