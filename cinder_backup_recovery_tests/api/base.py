# SPDX-License-Identifier: Apache-2.0

"""Base of the tests of the export and import calls."""

from cinder_backup_recovery_tests import base
from cinder_backup_recovery_tests import record as backup_record
from cinder_backup_recovery_tests.cloud import clients

# What a record calls what the API shows; both call the rest the same.
_SHOWN_AS = {
    'display_name': 'name',
    'display_description': 'description',
    'project_id': 'os-backup-project-attr:project_id',
}
_DESCRIBED = ('id', 'display_name', 'display_description', 'volume_id',
              'snapshot_id', 'size', 'object_count', 'container',
              'availability_zone', 'metadata', 'status', 'project_id',
              'user_id')


class RecordTest(base.BackupRecoveryTest):
    """Base of the tests of the export and import calls."""

    def assert_described(self, record: backup_record.BackupRecord,
                         **also: object) -> None:
        """Compare a record with the API's view of its backup.

        :param also: more expected fields
        """
        self.assertEqual([], backup_record.check(record))
        fields = record.fields
        shown = self.cloud.show(clients.BACKUP, fields['id'])
        expected = {**{name: shown[_SHOWN_AS.get(name, name)]
                       for name in _DESCRIBED}, **also}
        self.assertEqual(
            expected, {name: fields.get(name) for name in expected})
        self.assertEqual(
            {name: base.comparable(name, shown) for name in base.TIMES},
            {name: base.comparable(name, fields) for name in base.TIMES})
        self.assertIs(shown['is_incremental'], bool(fields.get('parent_id')))
