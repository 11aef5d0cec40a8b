# SPDX-License-Identifier: Apache-2.0

"""Recovery where Cinder has lost its whole database."""

from tempest import config
from tempest.lib import decorators

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import features
from cinder_backup_recovery_tests.cloud import at_once
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.content import luks
from cinder_backup_recovery_tests.rows import base as rows_base
from cinder_backup_recovery_tests.rows import whole
from cinder_backup_recovery_tests.scenario import backups
from cinder_backup_recovery_tests.scenario import base
from cinder_backup_recovery_tests.scenario import encrypted

CONF = config.CONF


# Alone: what other tests have would be lost, too.
@decorators.serial
class DatabaseLossTest(encrypted.KeysScenario[base.Link],
                       base.RecoveryScenario):
    """The database is gone, and every backup with it.

    It is lost once, with a chain of a plain volume and the backups of an
    encrypted one.
    """

    needed_features: tuple[str, ...] = ('whole_database_loss',)

    plain: list[base.Link]
    secret: list[base.Link]

    @classmethod
    def setup_clients(cls) -> None:
        """Check the program before anything is created."""
        super().setup_clients()
        group = CONF.cinder_backup_recovery
        cls.database = whole.WholeDatabase(
            group.database_loss_command, cls.cloud, cls.ledger,
            group.database_loss_timeout)
        cls.database.check()

    @classmethod
    def resource_setup(cls) -> None:
        """Make and export the backups, and lose the database."""
        super().resource_setup()
        if cls.has_keys():
            cls.plain, cls.secret = at_once.at_once(
                [cls._make_plain, cls._make_secret])
            cls.keys_before = cls.keys.count() - len(cls.secret)
        else:
            cls.plain = cls._make_plain()
        with cls.class_story.step('loss of the whole database'):
            cls.database.lose()

    @classmethod
    def _make_plain(cls) -> list[base.Link]:
        """Back up a volume, with changes in between, and remove it.

        Without its row it could not be removed.
        """
        if CONF.cinder_backup_recovery_feature_enabled.incremental:
            return cls.make_chain(remove_volume=True)[1]
        return [cls.make_full(cls.layout(backups.OURS))]

    @classmethod
    def _make_secret(cls) -> list[base.Link]:
        """Do so with an encrypted volume, with one change."""
        links = cls.make_pair(
            cls.encrypted_content(cls.class_resources),
            cls.size_bytes - luks.HEADER,
            volume_type=encrypted.encrypted_type())
        cls.class_resources.remove(clients.VOLUME, links[0].view['volume_id'])
        return links

    def import_lost(self, links: list[base.Link]) -> None:
        """Import the records into the new database."""
        for link in links:
            self.addCleanup(self._undo_loss, link.record)
        with self.story.step('no row of it is left, and the API answers 404'):
            self.assert_lost([link.backup_id for link in links],
                             rows_base.HARD)
        self.import_all(links)

    @decorators.attr(type=['serial'])
    @decorators.idempotent_id('bcb0e79d-e303-4c16-b6af-9677f0c9319d')
    def test_every_backup_restored_from_its_record(self) -> None:
        """A new, empty database and the exported records bring all back.

        If it fails, a site that has its records and its backup storage,
        and nothing else, has lost the volumes of its users.
        """
        self.import_lost(self.plain)
        for link in self.plain:
            self.restore_and_compare(
                link, history=tuple(one.layout for one in self.plain))

    @decorators.attr(type=['serial'])
    @decorators.idempotent_id('26b1c6c5-9dc4-4ebf-acba-0693d0a4635c')
    @features.needs('encrypted_volumes')
    def test_encrypted_backups_restored_from_their_records(self) -> None:
        """Records, storage and keys bring encrypted volumes back.

        The types of a new database have other ids than the lost ones. If it
        fails, the loss of a database is the loss of all encrypted volumes.
        """
        recorded = [link.record.fields['encryption_key_id']
                    for link in self.secret]
        for key_id in recorded:
            self.addCleanup(self.keys.delete, key_id)
        self.import_lost(self.secret)
        for link in self.secret:
            with self.known_defect(
                    'encrypted-restore-at-another-site',
                    looks=lambda exc: isinstance(
                        exc, exceptions.ResourceFailed)):
                volume_id = self.create_from(link)
            self.assert_readable(volume_id, link, tuple(
                one.layout for one in self.secret))
            self.resources.remove(clients.VOLUME, volume_id)
        for link in reversed(self.secret):
            self.class_resources.remove(clients.BACKUP, link.backup_id)
        if CONF.cinder_backup_recovery_feature_enabled.separate_keys:
            self.assert_keys(self.keys_before, *recorded)
