# SPDX-License-Identifier: Apache-2.0

"""Recovery of backups whose rows are gone from Cinder's database."""

import itertools

from tempest.lib import decorators
from tempest.lib import exceptions as lib_exc

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import features
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.rows import base as rows_base
from cinder_backup_recovery_tests.scenario import backups
from cinder_backup_recovery_tests.scenario import base
from cinder_backup_recovery_tests.scenario import sources


class FullBackupRowLossTest(sources.SourceLossScenario):
    """A full backup loses its row and comes back from its record."""

    @classmethod
    def resource_setup(cls) -> None:
        """Make a volume, back it up and export the record."""
        super().resource_setup()
        layout = cls.layout(backups.OURS)
        cls.volume_id = cls.class_content.create_volume(
            layout, **backups.DESCRIBED)
        backup_id = cls.make_backup(
            cls.volume_id, description='a description to be kept',
            metadata={'kept': 'until the disaster'})
        cls.full = cls.link('full backup', layout, backup_id)

    @decorators.idempotent_id('2f10d1e7-16f6-45d9-8b5b-d94d67a7e3d0')
    @features.needs('row_loss_hard')
    def test_hard_loss_restored_to_new_volume(self) -> None:
        """A deleted row costs no data.

        If it fails, an administrator who lost the database has exported
        records that do not bring the users' volumes back.
        """
        self.lose_and_import([self.full])
        self.restore_and_compare(self.full)

    @decorators.idempotent_id('1ca49073-730f-4a0f-a66b-d83f0be119c2')
    @features.needs('row_loss_hard', 'restore_to_existing_volume')
    def test_hard_loss_restored_onto_existing_volume(self) -> None:
        """A restore replaces the whole old content of a volume.

        If it fails, a user who restores an imported backup onto a volume finds
        bytes in it that were never backed up, possibly of another user,
        between its own ones.
        """
        foreign = self.foreign_layout(backups.FOREIGN)
        target_id = self.content.create_volume(foreign)
        self.lose_and_import([self.full])
        self.restore_and_compare(self.full, onto=target_id,
                                 history=(foreign,))

    @decorators.idempotent_id('9caa61ce-9031-4439-8b31-4ce4539eb748')
    @features.needs('row_loss_soft')
    def test_soft_loss_restored_to_new_volume(self) -> None:
        """A row that is marked deleted is revived by an import.

        If it fails, a backup that was removed from the database by
        mistake, while its data stayed on the storage, is lost for its user.
        """
        self.lose_and_import([self.full], rows_base.SOFT)
        self.restore_and_compare(self.full)

    @decorators.idempotent_id('6c0b6b53-0f0e-4b6e-8d1c-0f3f5d4f2b1a')
    @features.needs('row_loss_hard', 'source_row_loss')
    def test_hard_loss_of_source_volume(self) -> None:
        """A backup is recovered without the row of its source volume.

        If it fails, an operator who loses the table of the volumes with that
        of the backups has records that cannot be imported or restored.
        """
        with self.lost_sources(rows_base.HARD, self.volume_id):
            self.lose_and_import([self.full])
            self.restore_and_compare(self.full)

    @decorators.idempotent_id('c7d9b0a4-5a5f-4a55-9f3e-6b4c1c9a7d24')
    @features.needs('row_loss_soft', 'source_row_loss')
    def test_soft_loss_of_source_volume(self) -> None:
        """A source volume that counts as deleted keeps no backup lost.

        If it fails, a project that was removed by mistake, with the rows
        of all that it had, does not come back from its records.
        """
        with self.lost_sources(rows_base.SOFT, self.volume_id):
            self.lose_and_import([self.full], rows_base.SOFT)
            self.restore_and_compare(self.full)


class ChainRowLossTest(base.RecoveryScenario):
    """Three backups that build on each other lose their rows."""

    needed_features = ('row_loss_hard', 'incremental')
    rewrites_content = True

    @classmethod
    def resource_setup(cls) -> None:
        """Make a chain of three backups and export the records."""
        super().resource_setup()
        cls.volume_id, cls.chain = cls.make_chain()
        cls.history = tuple(link.layout for link in cls.chain)

    @decorators.idempotent_id('72eda700-fcff-4379-bdca-89d566fd9084')
    def test_chain_restored_at_each_link(self) -> None:
        """Each backup of an imported chain gives the volume of its day.

        If it fails, users get a volume that mixes the states of several
        days: blocks that were changed or cleared since are stale.
        """
        self.lose_and_import(self.chain)
        for link in self.chain:
            self.restore_and_compare(link, history=self.history)

    @decorators.idempotent_id('17889372-8e64-40e1-9fb5-6db797ecf8ff')
    @features.needs('restore_to_existing_volume')
    def test_chain_restored_onto_existing_volume(self) -> None:
        """The newest backup of a chain replaces all that a volume held.

        If it fails, a user who restores an imported chain onto a volume
        finds bytes in it that were never backed up.
        """
        foreign = self.foreign_layout(backups.FOREIGN)
        target_id = self.content.create_volume(foreign)
        self.lose_and_import(self.chain)
        self.restore_and_compare(self.chain[-1], onto=target_id,
                                 history=(*self.history, foreign))

    @decorators.idempotent_id('91198c02-2efa-4060-a7ac-7786b2d9aa84')
    def test_any_rows_of_a_chain_lost(self) -> None:
        """Whichever backups of a chain lose their rows, each is recovered.

        Imported with the children first, and with the parents first. If it
        fails, a chain of which only some backups were lost falls apart, or an
        administrator has to know in which order records are imported.
        """
        numbers = range(len(self.chain))
        subsets = [[self.chain[number] for number in chosen]
                   for size in range(1, len(self.chain) + 1)
                   for chosen in itertools.combinations(numbers, size)]
        for lost in subsets:
            orders = [lost[::-1], lost] if len(lost) > 1 else [lost]
            for order in orders:
                self.lose_and_import(order)
                for link in self.chain:
                    self.assert_same_backup(link.view, self.cloud.show(
                        clients.BACKUP, link.backup_id))
        # All of it was imported, from the newest to the oldest.
        self.lose_and_import(self.chain[::-1])
        self.restore_and_compare(self.chain[-1], history=self.history)

    @decorators.idempotent_id('6227a996-d647-49bc-ab4f-f00ffa7b6b77')
    def test_child_without_its_parents(self) -> None:
        """An incremental backup without its parents is not restored in part.

        Where each backup depends on its parents, that is an error. Some
        storages, Ceph among them, hold the whole of each: then it is restored,
        and every byte of it.

        If it fails, a user who imports only the newest record gets a volume
        with most of its content missing, reported as a success.
        """
        newest = self.chain[-1]
        self.lose_rows([link.record for link in self.chain])
        self.resources.import_record(newest.record)
        try:
            volume_id = self.resources.restore(newest.backup_id)
        except (exceptions.ResourceFailed,
                lib_exc.RestClientException) as refused:
            self.story.note(f'it is refused: {refused}')
        else:
            self.assert_content(volume_id, newest.layout,
                                f'{newest.what}, restored alone',
                                self.history)
            self.resources.remove(clients.VOLUME, volume_id)
        self.resources.wait(
            clients.BACKUP, newest.backup_id, 'available',
            timeout=self.patience.restore)
        self.import_all(self.chain[:-1])
        self.restore_and_compare(newest, history=self.history)

    @decorators.idempotent_id('8fdce990-9f30-447a-a155-9a8067832856')
    def test_chain_goes_on(self) -> None:
        """The next incremental backup builds on the imported ones.

        If it fails, nightly backups after a recovery fail, or save the
        changes against something else than the volume's last backup.
        """
        self.lose_and_import(self.chain)
        newest = self.chain[-1].layout
        layout = newest.overwrite(17 * backups.MIB, backups.MIB // 4).zero(
            16 * backups.MIB, 4096)
        self.content.rewrite(self.volume_id, layout, since=newest.generation)
        # The next test starts from what the last link holds.
        self.addCleanup(self.content.rewrite, self.volume_id, newest,
                        since=0)
        backup = self.resources.create_backup(self.volume_id,
                                              incremental=True)
        self.assertIs(True, backup['is_incremental'])
        grown = self.link('backup after the recovery', layout, backup['id'])
        self.assertEqual(self.chain[-1].backup_id,
                         grown.record.fields['parent_id'])
        self.restore_and_compare(grown, history=self.history)


class ProjectLossTest(base.RecoveryScenario):
    """A project loses all of its backups, and its volumes are gone."""

    needed_features = ('row_loss_hard', 'incremental')
    rewrites_content = True
    makes = backups.CHAIN

    @classmethod
    def resource_setup(cls) -> None:
        """Make a chain and a backup of another volume, delete both volumes."""
        super().resource_setup()
        cls.other = cls.make_full(cls.layout(backups.FOREIGN),
                                  'another backup')

    @decorators.idempotent_id('c39f9f3d-2c83-44eb-bc75-d5e4f214b6c8')
    def test_all_restored_without_source_volumes(self) -> None:
        """All backups come back where neither rows nor volumes are left.

        Imported from the newest to the oldest. If it fails, backups save
        nothing in the very disaster that they are made for: the loss of the
        cloud with its volumes.
        """
        links = [*self.chain, self.other]
        ids = {link.backup_id for link in links}
        self.assertEqual(ids, ids & self._listed())
        self.lose_rows([link.record for link in links])
        with self.story.step('the project has no backup of them any more'):
            self.assertEqual(set(), ids & self._listed())
        self.import_all(links[::-1])
        self.assertEqual(ids, ids & self._listed())
        layouts = tuple(link.layout for link in links)
        for link in links:
            self.restore_and_compare(link, history=layouts)

    def _listed(self) -> set[str]:
        return {one['id'] for one in
                self.cloud.backups.list_backups()['backups']}
