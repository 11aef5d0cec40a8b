# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""The base of the scenarios that damage a backup on its storage."""

from typing import Any

from tempest import config

from backup_stores import base as stores_base
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
        cls.other = cls.make_full(cls.layout(base.FOREIGN), 'another backup')

    def damaged(self, damage: stores_base.Damage, victim: base.Link) -> Any:
        """Return a context in which a backup is damaged."""
        return self.damager.damaged(
            damage, stores_base.Backup.from_fields(victim.record.fields),
            stores_base.Backup.from_fields(self.other.record.fields))
