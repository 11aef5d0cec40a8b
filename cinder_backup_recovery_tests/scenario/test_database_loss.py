# SPDX-License-Identifier: Apache-2.0

"""Recovery where Cinder has lost its whole database."""

from tempest import config
from tempest.lib import decorators

from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.rows import base as rows_base
from cinder_backup_recovery_tests.rows import whole
from cinder_backup_recovery_tests.scenario import backups
from cinder_backup_recovery_tests.scenario import base

CONF = config.CONF


class DatabaseLossScenario(base.RecoveryScenario):
    """The database is gone, and every backup with it."""

    needed_features: tuple[str, ...] = ('whole_database_loss',)

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
    def make_backups(cls) -> list[base.Link]:
        """Back up a volume, with changes in between, and export all."""
        if CONF.cinder_backup_recovery_feature_enabled.incremental:
            volume_id, links = cls.make_chain()
        else:
            layout = cls.layout(backups.OURS)
            volume_id = cls.class_content.create_volume(layout)
            links = [cls.link('full backup', layout,
                              cls.make_backup(volume_id))]
        # Without its row a volume could not be removed.
        cls.class_resources.remove(clients.VOLUME, volume_id)
        return links

    def lose_database_and_import(self, links: list[base.Link]) -> None:
        """Lose the database, and import the records into the new one."""
        for link in links:
            self.addCleanup(self._undo_loss, link.record)
        with self.story.step('loss of the whole database'):
            self.database.lose()
        with self.story.step('no row of it is left, and the API answers 404'):
            self.assert_lost([link.backup_id for link in links],
                             rows_base.HARD)
        self.import_all(links)


# Alone: what other tests have would be lost, too.
@decorators.serial
class DatabaseLossTest(DatabaseLossScenario):
    """A chain of a plain volume."""

    @decorators.attr(type=['serial'])
    @decorators.idempotent_id('bcb0e79d-e303-4c16-b6af-9677f0c9319d')
    def test_every_backup_restored_from_its_record(self) -> None:
        """A new, empty database and the exported records bring all back.

        If it fails, a site that has its records and its backup storage,
        and nothing else, has lost the volumes of its users.
        """
        links = self.make_backups()
        self.lose_database_and_import(links)
        for link in links:
            self.restore_and_compare(
                link, history=tuple(one.layout for one in links))
