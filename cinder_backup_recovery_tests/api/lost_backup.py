# SPDX-License-Identifier: Apache-2.0

"""Base of the tests that import in the place of a backup without a row."""

from tempest import config

from cinder_backup_recovery_tests import config as recovery_config
from cinder_backup_recovery_tests.api import base
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.cloud import waiters

CONF = config.CONF


class LostBackupTest(base.RecordTest):
    """Base: one backup for the class, whose row each test finds lost."""

    needed_features = ('row_loss_hard',)

    @classmethod
    def resource_setup(cls) -> None:
        """Make a backup, export its record and lose its row."""
        super().resource_setup()
        cls.content_before = cls.layout(seed=1)
        cls.volume_id = cls.class_content.create_volume(cls.content_before)
        cls.backup_id = cls.make_backup()
        cls.record = cls.class_resources.export_record(cls.backup_id)
        cls.check_driver(cls.record)
        cls.view = cls.cloud.show(clients.BACKUP, cls.backup_id)
        cls.lose(cls.backup_id)

    def setUp(self) -> None:
        """Lose the row again, however the test ends."""
        super().setUp()
        self.addCleanup(self._lose_again)

    def _lose_again(self) -> None:
        # One that was deleted is no loss: its data is gone, too.
        if self.ledger.owns(clients.BACKUP, self.backup_id):
            self.lose(self.backup_id)

    @classmethod
    def make_backup(cls) -> str:
        """Back the volume of the class up."""
        return cls.class_resources.create_backup(
            cls.volume_id, description='a description to be kept',
            metadata={'kept': 'until the disaster'})['id']

    @classmethod
    def lose(cls, backup_id: str) -> None:
        """Delete a row that an import has made.

        Not by a request: the driver would delete the data that a wrong row
        names.
        """
        cls.rows.lose_if_live(backup_id, cls.project_id)

    def remove_failed_import(self) -> None:
        """Delete a row in error by a request, as an administrator would."""
        self.cloud.delete(clients.BACKUP, self.backup_id)
        waiters.wait_for_deletion(self.cloud, clients.BACKUP, self.backup_id,
                                  self.patience)

    @property
    def verifies(self) -> bool:
        """Return True if the driver reads the storage on import."""
        return CONF.cinder_backup_recovery_feature_enabled.import_verify

    @staticmethod
    def is_declared(defect: str) -> bool:
        """Return True if the configuration names a defect."""
        return defect in recovery_config.declared_defects(CONF)
