# SPDX-License-Identifier: Apache-2.0
"""Recovery at another site than the one that made the backups."""

from typing import Any

from tempest import config
from tempest.lib import decorators

from backup_stores import base as stores_base
from cinder_backup_recovery_tests import base as suite
from cinder_backup_recovery_tests import content
from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import features
from cinder_backup_recovery_tests import stores
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.cloud import regions
from cinder_backup_recovery_tests.cloud import safe_delete
from cinder_backup_recovery_tests.cloud import waiters
from cinder_backup_recovery_tests.scenario import backups
from cinder_backup_recovery_tests.scenario import base
from cinder_backup_recovery_tests.stores import copying
from cinder_backup_recovery_tests.stores import damaging

CONF = config.CONF

_OWNER = 'os-backup-project-attr:project_id'


class ShippingScenario(base.RecoveryScenario):
    """Backups of one Cinder, of which another one has the records only.

    Where each has a storage of backups of its own, the backups are copied
    from one to the other, and gone from the first with their rows and their
    source volume. Where both reach one storage, the first has only lost the
    rows, so that each stored backup belongs to one of them at any time.
    """

    needed_features: tuple[str, ...] = ('second_region', 'row_loss_hard')

    # Whose clients the other site sees.
    receiver = 'project_admin'

    copier: copying.Copier | None = None

    @classmethod
    def skip_checks(cls) -> None:
        """Skip where backups would have to be copied and cannot be."""
        super().skip_checks()
        name = CONF.cinder_backup_recovery.backup_store
        if (CONF.cinder_backup_recovery_feature_enabled.second_store and
                not stores.can_copy(name)):
            raise cls.skipException(
                f'{cls.__name__}: [cinder_backup_recovery] backup_store = '
                f'{name} cannot copy a backup to the storage of another site')

    @classmethod
    def setup_clients(cls) -> None:
        """Wrap the clients for the other region, too."""
        super().setup_clients()
        region = CONF.cinder_backup_recovery.second_region
        receiver = getattr(cls, f'os_{cls.receiver}')
        cls.there = clients.CloudApi(receiver, region)
        cls.ledger_there = regions.RegionLedger(cls.ledger, region)
        cls.addClassResourceCleanup(cls.ledger_there.close)
        if CONF.cinder_backup_recovery_feature_enabled.second_store:
            cls.copier = copying.make(CONF, cls.ledger, cls.os_project_admin,
                                      receiver)

    def setUp(self) -> None:
        """Create the helpers that register clean-ups at the other site."""
        super().setUp()
        self.resources_there = self._make_resources(
            self.addCleanup, self.story, self.there, self.ledger_there)
        self.content_there = content.make(CONF, self.resources_there)

    def copy(self, link: base.Link,
             without: tuple[stores_base.Part, ...] = ()) -> None:
        """Copy a backup to the other site's own storage.

        :param without: parts of it that are not copied
        """
        assert self.copier is not None  # noqa: S101 only where it is
        backup = stores_base.Backup.from_fields(link.record.fields)
        left_out = ''.join(f' without {part.title}' for part in without)
        self.addCleanup(self.copier.remove, backup)
        with self.story.step(f'copy {link.what} {link.backup_id} to the '
                             f'other site{left_out}'):
            self.copier.copy(backup, without)

    def ship(self, links: list[base.Link]) -> None:
        """Import records at the other site; the first loses all it has.

        :param links: the backups, a parent before its children
        """
        if self.copier:
            for link in links:
                self.copy(link)
        self.lose_rows([link.record for link in links])
        if self.copier:
            with self.story.step('the first site loses what it has stored'):
                self.copier.destroy([
                    stores_base.Backup.from_fields(link.record.fields)
                    for link in links])
        for link in links:
            self.import_there(link)
        for link in links:
            self._assert_shipped(link)

    def import_there(self, link: base.Link) -> None:
        """Import a record at the other site.

        :param link: the backup, whose row the first has lost where both
            share the storage
        """
        self.resources_there.adopt(link.record)
        self.resources_there.import_record(link.record)
        if not self.copier:
            # Only now: of what could not be shipped, the first still has to
            # free the data.
            for kind in (clients.BACKUP, safe_delete.RECORD):
                self.ledger.gone(kind, link.backup_id)

    def refused_there(self, link: base.Link) -> str | None:
        """Import a record that the other site cannot restore.

        :returns: the reason of the failed import, None if it did not fail
        """
        self.resources_there.adopt(link.record)
        with self.story.step(f'the other site imports {link.backup_id}'):
            self.there.import_record(link.record)
            view = self.resources_there.wait(
                clients.BACKUP, link.backup_id, ('available', 'error'),
                timeout=self.patience.backup)
        if view['status'] == 'available':
            return None
        reason = waiters.reasons(self.there, clients.BACKUP, link.backup_id,
                                 view)
        self.story.note(f'it ends in an error: {reason}')
        return reason

    def _assert_shipped(self, link: base.Link) -> None:
        found = self.there.show(clients.BACKUP, link.backup_id)
        expected: dict[str, Any] = {**link.view, _OWNER: self.there.project_id}
        self.assert_same_backup(expected, found)
        exported = self.resources_there.export_record(link.backup_id)
        self.assertEqual(
            suite.recorded(link.record), suite.recorded(exported),
            f'the record of backup {link.backup_id} is another one at the '
            f'other site')

    def restore_there(self, link: base.Link,
                      history: tuple[Any, ...] = (),
                      onto: str | None = None) -> None:
        """Restore at the other site and compare with the original.

        :param history: other contents by which a difference is named
        :param onto: an existing volume there; None makes a new one
        """
        volume_id = self.resources_there.restore(link.backup_id, onto)
        with self.zeros_restored(link, onto):
            self.assert_content(
                volume_id, link.layout,
                f'{link.what} {link.backup_id}, restored at the other site',
                history, self.content_there)
        if onto is None:
            self.resources_there.remove(clients.VOLUME, volume_id)


class ShippedChainTest(ShippingScenario):
    """A chain is restored by a Cinder that did not make it."""

    needed_features = (*ShippingScenario.needed_features, 'incremental')
    rewrites_content = True
    makes = backups.CHAIN

    @classmethod
    def resource_setup(cls) -> None:
        """Keep the contents of the chain."""
        super().resource_setup()
        cls.history = tuple(link.layout for link in cls.chain)

    @decorators.idempotent_id('493f5841-3a05-4734-ad7a-8dd65042f8ff')
    def test_each_link_restored_at_the_other_site(self) -> None:
        """Another Cinder restores the volume of each day.

        Then it removes the backups, and with them the copies on its storage.
        If it fails, a site that burns down takes the volumes of its users with
        it, though their backups and records were kept elsewhere.
        """
        self.ship(self.chain)
        for link in self.chain:
            self.restore_there(link, self.history)
        for link in reversed(self.chain):
            self.resources_there.remove(clients.BACKUP, link.backup_id)
            if self.copier:
                self.assertEqual([], self.copier.left(
                    stores_base.Backup.from_fields(link.record.fields)))


class ShippedBackupTest(ShippingScenario):
    """A backup of which the first site keeps what it has."""

    makes = backups.FULL

    @decorators.idempotent_id('46350b93-38ee-4fa2-9e52-2fdd3b1492e5')
    @features.needs('import_verify')
    def test_a_part_that_is_missing_there(self) -> None:
        """The other site reports missing parts, and imports complete backups.

        If it fails, an operator who copies backups for the day of a fire
        learns on that day that one file of them was forgotten.
        """
        if self.copier is None:
            self._missing_on_the_shared_storage()
            return
        backup = stores_base.Backup.from_fields(self.full.record.fields)
        parts = [part for part in self.copier.parts(backup)
                 if not part.is_container]
        # One of the middle, and those that are made first and last. Each
        # comes when the next one goes: a directory that was removed and is
        # there again under its name is for some servers not the same.
        for part in dict.fromkeys(
                (parts[0], parts[len(parts) // 2], *parts[-2:])):
            self.copy(self.full, (part,))
            self._assert_refused(part.label)
        self.copy(self.full)
        self.import_there(self.full)

    def _missing_on_the_shared_storage(self) -> None:
        name = CONF.cinder_backup_recovery.backup_store
        if not name:
            raise self.skipException(
                '[cinder_backup_recovery] backup_store is not set')
        store = stores.make(CONF, name, lambda: self.os_project_admin)
        backup = stores_base.Backup.from_fields(self.full.record.fields)
        damage = next((one for one in store.damages(backup)
                       if one.family == stores_base.DESCRIPTION_MISSING), None)
        if damage is None:
            raise self.skipException('backup_store has no such damage')
        self.lose_rows([self.full.record])
        with damaging.Damager(store, name, self.ledger, self.project_id
                              ).damaged(damage, backup, backup) as plan:
            self._assert_refused(*plan.names)
        # There it would be the other site's, and lost to the next test.
        self.import_all([self.full])

    def _assert_refused(self, *names: str) -> None:
        reason = self.refused_there(self.full)
        self.assertIsNotNone(
            reason, f'backup {self.full.backup_id} is available at the other '
                    f'site, but lacks {" or ".join(names)}')
        # Only the row: its data belongs to the copier.
        self.there.delete(clients.BACKUP, self.full.backup_id)
        waiters.wait_for_deletion(self.there, clients.BACKUP,
                                  self.full.backup_id, self.patience)
        for kind in (clients.BACKUP, safe_delete.RECORD):
            self.ledger_there.gone(kind, self.full.backup_id)
        self.assertTrue(
            any(name in str(reason) for name in names),
            f'the import of backup {self.full.backup_id} at the other site '
            f'ends in an error that does not name {" or ".join(names)}: '
            f'{reason}')

    @decorators.idempotent_id('ac69791d-3401-4055-b04e-ca8f4d1a1a08')
    @features.needs('restore_to_existing_volume')
    def test_restored_to_a_volume_of_another_type(self) -> None:
        """A volume of a type that the first site never had takes the data.

        If it fails, a backup is worth something only where the other site
        has the very volume types of the lost one.
        """
        link = self.full
        if self.copier:
            self.copy(link)
            self.import_there(link)
        else:
            # It goes for good.
            link = self.make_full(self.layout(backups.OURS))
            self.ship([link])
        name = self.resources_there.create_volume_type()
        volume = self.resources_there.create_volume(
            size=link.view['size'], volume_type=name)
        self.restore_there(link, onto=volume['id'])
        self.assertEqual(
            name, self.there.show(clients.VOLUME, volume['id'])['volume_type'],
            f'volume {volume["id"]} has another type since backup '
            f'{link.backup_id} was restored to it')


class ShippedToOtherProjectTest(ShippingScenario):
    """A backup is imported by a project that did not make it."""

    credentials = ['project_admin', 'project_alt_admin']
    receiver = 'project_alt_admin'
    makes = backups.FULL

    @decorators.idempotent_id('ea4cc971-e621-4eb0-9c7e-3d94b6f76c78')
    def test_another_project_at_the_other_site(self) -> None:
        """Projects need not be the same at both sites.

        Where a storage keeps projects apart, a copy goes to the one that is to
        have the backup; without a copy that project is refused, and does no
        harm. If it fails, records help only where the other site has the very
        projects of the lost one, under the same ids; or a stranger's import
        costs the owner the data.
        """
        if self.copier or (
                CONF.cinder_backup_recovery_feature_enabled.other_project):
            self.ship([self.full])
            self.restore_there(self.full)
            return
        self.lose_rows([self.full.record])
        if self.refused_there(self.full) is None:
            # Of a driver that reads nothing before a restore.
            self.assertRaises(exceptions.ResourceFailed,
                              self.resources_there.restore,
                              self.full.backup_id)
        self.resources_there.remove(clients.BACKUP, self.full.backup_id)
        self.import_all([self.full])
        self.restore_and_compare(self.full)
