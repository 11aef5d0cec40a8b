# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Recovery at another site than the one that made the backups."""

from typing import Any

from tempest import config
from tempest.lib import decorators

from cinder_backup_recovery_tests import base as suite
from cinder_backup_recovery_tests import clients
from cinder_backup_recovery_tests import disposal
from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import regions
from cinder_backup_recovery_tests import waiters
from cinder_backup_recovery_tests.content import access
from cinder_backup_recovery_tests.scenario import base

CONF = config.CONF

_OWNER = 'os-backup-project-attr:project_id'


class ShippingScenario(base.RecoveryScenario):
    """Backups of one Cinder, of which another one has the records only.

    Both reach the storage of the backups. The first has lost their rows and
    has no source volume any more when the second imports them, so that each
    stored backup belongs to one of them at any time.
    """

    needed_features: tuple[str, ...] = ('second_region', 'row_loss_hard')

    # Whose clients the other site sees.
    receiver = 'project_admin'

    @classmethod
    def setup_clients(cls) -> None:
        """Wrap the clients for the other region, too."""
        super().setup_clients()
        region = CONF.cinder_backup_recovery.second_region
        cls.there = clients.CloudApi(getattr(cls, f'os_{cls.receiver}'),
                                     region)
        cls.ledger_there = regions.RegionLedger(cls.ledger, region)
        cls.addClassResourceCleanup(cls.ledger_there.close)

    def setUp(self) -> None:
        """Make what registers the clean-up at the other site."""
        super().setUp()
        self.resources_there = self._make_resources(
            self.addCleanup, self.story, self.there, self.ledger_there)
        self.content_there = access.make(CONF, self.resources_there)

    def ship(self, links: list[base.Link]) -> None:
        """Import records at the other site; the first loses the backups.

        :param links: the backups, a parent before its children
        """
        self.lose_rows([link.record for link in links])
        for link in links:
            self.resources_there.adopt(link.record)
            self.resources_there.import_record(link.record)
            # Only now: of what could not be shipped, the first still has to
            # free the data.
            for kind in (clients.BACKUP, disposal.RECORD):
                self.ledger.gone(kind, link.backup_id)
        for link in links:
            self._assert_shipped(link)

    def _assert_shipped(self, link: base.Link) -> None:
        found = self.there.show(clients.BACKUP, link.backup_id)
        expected: dict[str, Any] = {**link.view, _OWNER: self.there.project_id}
        self.assert_same_backup(expected, found)
        exported = self.resources_there.export_record(link.backup_id)
        self.assertEqual(
            {name: link.record.fields.get(name) for name in suite.RECORDED},
            {name: exported.fields.get(name) for name in suite.RECORDED},
            f'the record of backup {link.backup_id} is another one at the '
            f'other site')

    def restore_there(self, link: base.Link,
                      history: tuple[Any, ...] = ()) -> None:
        """Restore at the other site and compare with the original.

        :param link: the backup
        :param history: other contents by which a difference is named
        """
        volume_id = self.resources_there.restore(link.backup_id)
        self.assert_content(
            volume_id, link.layout,
            f'{link.what} {link.backup_id}, restored at the other site',
            history, self.content_there)
        self.resources_there.remove(clients.VOLUME, volume_id)


class ShippedChainTest(ShippingScenario):
    """A chain is restored where it was not made."""

    needed_features = (*ShippingScenario.needed_features, 'incremental')
    rewrites_content = True

    @classmethod
    def resource_setup(cls) -> None:
        """Make a chain of three backups and delete the source volume."""
        super().resource_setup()
        volume_id, cls.chain = cls.make_chain()
        cls.history = tuple(link.layout for link in cls.chain)
        cls.class_resources.remove(clients.VOLUME, volume_id)

    @decorators.idempotent_id('493f5841-3a05-4734-ad7a-8dd65042f8ff')
    def test_each_link_restored_at_the_other_site(self) -> None:
        """Another Cinder gives back the volume of each day.

        If it fails, a site that burns down takes the volumes of its users
        with it, though their backups and records were kept elsewhere.
        """
        self.ship(self.chain)
        for link in self.chain:
            self.restore_there(link, self.history)


class ShippedToOtherProjectTest(ShippingScenario):
    """A backup is imported by a project that did not make it."""

    credentials = ['project_admin', 'project_alt_admin']
    receiver = 'project_alt_admin'

    @classmethod
    def resource_setup(cls) -> None:
        """Make a volume, back it up, export the record, delete it."""
        super().resource_setup()
        cls.full = cls.make_full(cls.layout(base.OURS))

    @decorators.idempotent_id('ea4cc971-e621-4eb0-9c7e-3d94b6f76c78')
    def test_another_project_at_the_other_site(self) -> None:
        """Projects need not be the same at both sites.

        Where a storage keeps projects apart, the other one is told that it
        cannot have the backup, and does it no harm. If it fails, records
        help only where the other site has the very projects of the lost one,
        under the same ids; or a stranger's import costs the owner the data.
        """
        if CONF.cinder_backup_recovery_feature_enabled.other_project:
            self.ship([self.full])
            self.restore_there(self.full)
            return
        self.lose_rows([self.full.record])
        self._refused_there(self.full)
        self.import_all([self.full])
        self.restore_and_compare(self.full)

    def _refused_there(self, link: base.Link) -> None:
        self.resources_there.adopt(link.record)
        with self.story.step('the other project imports it, for nothing'):
            self.there.import_record(link.record)
            view = waiters.wait_for_status(
                self.there, clients.BACKUP, link.backup_id,
                ('available', 'error'), self.patience,
                timeout=self.patience.backup)
            if view['status'] == 'available':
                # Of a driver that looks at nothing before a restore.
                self.assertRaises(exceptions.ResourceFailed,
                                  self.resources_there.restore,
                                  link.backup_id)
        self.resources_there.remove(clients.BACKUP, link.backup_id)
