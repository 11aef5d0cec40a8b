# SPDX-License-Identifier: Apache-2.0
"""Records of backups that have no data, to import many of them quickly."""

import uuid

from cinder_backup_recovery_tests import base
from cinder_backup_recovery_tests import record as backup_record
from cinder_backup_recovery_tests.cloud import clients


def make(test: base.BackupRecoveryTest, like: backup_record.BackupRecord
         ) -> backup_record.BackupRecord:
    """Make a record of a backup that no data belongs to.

    A driver that reads the storage finds nothing there, and its import
    ends in an error; others make the backup available.

    :param test: at its end a row of the backup is lost
    :param like: what the record says of the rest
    :returns: the record, whose id is in the ledger
    """
    backup_id = str(uuid.uuid4())
    test.ledger.add(clients.BACKUP, backup_id)
    test.addCleanup(test.ledger.gone, clients.BACKUP, backup_id)
    test.addCleanup(test.rows.lose_if_live, backup_id, test.project_id)
    return like.edited(
        id=backup_id, volume_id=str(uuid.uuid4()), container=None,
        service_metadata=None, object_count=0)
