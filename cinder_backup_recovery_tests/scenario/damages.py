# SPDX-License-Identifier: Apache-2.0

"""The base of the scenarios that damage a backup on its storage."""

from typing import Any

from tempest import config

from backup_stores import base as stores_base
from cinder_backup_recovery_tests.scenario import backups
from cinder_backup_recovery_tests.scenario import base
from cinder_backup_recovery_tests.scenario import stores
from cinder_backup_recovery_tests.stores import damaging

CONF = config.CONF


class DamageScenario(stores.StoreScenario):
    """Base of the tests that damage a backup on its storage."""

    needed_features: tuple[str, ...] = ('row_loss_hard',)

    other: base.Link

    @classmethod
    def setup_clients(cls) -> None:
        """Make the damager of the storage."""
        super().setup_clients()
        cls.damager = damaging.Damager(
            cls.store, CONF.cinder_backup_recovery.backup_store, cls.ledger,
            cls.project_id)

    @classmethod
    def resource_setup(cls) -> None:
        """Make the backups of the class, and one of another content."""
        super().resource_setup()
        cls.other = cls.make_full(cls.layout(backups.FOREIGN),
                                  'another backup')

    def damaged(self, damage: stores_base.Damage, victim: base.Link) -> Any:
        """Return a context in which a backup is damaged."""
        return self.damager.damaged(
            damage, stores_base.Backup.from_fields(victim.record.fields),
            stores_base.Backup.from_fields(self.other.record.fields))
