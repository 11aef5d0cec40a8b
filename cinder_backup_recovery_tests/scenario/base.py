# SPDX-License-Identifier: Apache-2.0

"""Base of the recoveries: backups with their records."""

import dataclasses
from typing import Any

from cinder_backup_recovery_tests import base
from cinder_backup_recovery_tests import record as backup_record
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.content import layout as content_layout
from cinder_backup_recovery_tests.rows import base as rows_base
from cinder_backup_recovery_tests.scenario import backups


@dataclasses.dataclass(frozen=True)
class Link(backups.Made):
    """One backup, with its record and view before its row is lost."""

    record: backup_record.BackupRecord


class RecoveryScenario(backups.BackupScenario[Link], base.BackupRecoveryTest):
    """Base of the recoveries."""

    @classmethod
    def link(cls, what: str, layout: content_layout.Layout,
             backup_id: str, volume: dict[str, Any] | None = None) -> Link:
        """Export the record of a backup that is finished.

        :param volume: the properties of its volume at that moment, where they
            are others now
        """
        record = cls.class_resources.export_record(backup_id)
        cls.check_driver(record)
        view = cls.cloud.show(clients.BACKUP, backup_id)
        return Link(what, layout, view, volume or
                    cls.properties(view['volume_id']), record)

    def import_all(self, links: list[Link]) -> None:
        """Import the records of lost backups, and check their fields.

        :param links: the backups, a parent before its children
        """
        for link in links:
            self.resources.import_record(link.record)
        for link in links:
            self.assert_recovered(link.view, link.record)

    def lose_and_import(self, links: list[Link],
                        kind: str = rows_base.HARD) -> None:
        """Delete the rows of backups, and import their records.

        :param links: the backups, a parent before its children
        """
        self.lose_rows([link.record for link in links], kind)
        self.import_all(links)
