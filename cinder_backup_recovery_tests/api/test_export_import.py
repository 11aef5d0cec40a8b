# SPDX-License-Identifier: Apache-2.0

"""The export and import calls, one at a time."""

from tempest.lib import decorators
from tempest.lib import exceptions as lib_exc

from cinder_backup_recovery_tests import features
from cinder_backup_recovery_tests.api import base
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.rows import base as rows_base


class ExportImportTest(base.RecordTest):
    """The answers of the two calls, and the state that they keep."""

    credentials = ['project_admin', 'project_member']

    @classmethod
    def setup_clients(cls) -> None:
        """Wrap the clients of a user of the same project, too."""
        super().setup_clients()
        cls.member = clients.CloudApi(cls.os_project_member)

    @classmethod
    def resource_setup(cls) -> None:
        """Make a volume and back it up."""
        super().resource_setup()
        cls.content_before = cls.layout(seed=1)
        volume_id = cls.class_content.create_volume(cls.content_before)
        cls.backup = cls.class_resources.create_backup(
            volume_id, description='a description to be kept',
            metadata={'kept': 'until the disaster'})
        cls.backup_id = cls.backup['id']
        # For the clean-up, whatever a test does to the row.
        cls.record = cls.class_resources.export_record(cls.backup_id)
        cls.check_driver(cls.record)

    def _show(self) -> dict:
        return self.cloud.show(clients.BACKUP, self.backup_id)

    @decorators.idempotent_id('f9eb667b-7938-48e9-b3d1-d5d4a0e603e2')
    def test_export_agrees_with_api(self) -> None:
        """An exported record agrees with the API's view of the backup.

        If it fails, the record that an administrator keeps for a disaster
        describes another backup, or none that can be imported.
        """
        self.assert_described(self.resources.export_record(self.backup_id),
                              id=self.backup_id)

    @decorators.idempotent_id('d622a894-0436-4fad-aa0c-e4938069bbde')
    def test_export_twice_is_the_same_and_changes_nothing(self) -> None:
        """Exporting is safe to repeat.

        If it fails, a nightly export of all records gives another string
        each night, or harms the backups that it is to save.
        """
        before = self._show()
        first = self.resources.export_record(self.backup_id)
        second = self.resources.export_record(self.backup_id)
        self.assertEqual(first.backup_service, second.backup_service)
        # Cinder writes the time of an export into the row.
        self.assertEqual(*({name: value for name, value
                            in record.fields.items() if name != 'updated_at'}
                           for record in (first, second)))
        self.assert_same_backup(before, self._show())
        # And before the class has exported it: what an export does to a row
        # may be the same each time.
        self.assert_same_backup(self.backup, self._show())

    @decorators.idempotent_id('7d6283e1-0854-4458-bef5-11195c892564')
    @features.needs('row_loss_hard')
    def test_import_after_row_loss(self) -> None:
        """An import makes the backup again that the record describes.

        If it fails, users find a backup with another name, of another
        volume or in another project than the one that they made.
        """
        before = self._show()
        record = self.resources.export_record(self.backup_id)
        self.lose_rows([record])
        answer = self.cloud.import_record(record)
        self.assertEqual(self.backup_id, answer['id'])
        self.resources.wait_for_backup(self.backup_id)
        self.assert_recovered(before, record)
        self.assertEqual(
            rows_base.LIVE, self.rows.state(clients.BACKUP, self.backup_id))

    @decorators.idempotent_id('af29f34c-fa17-4044-a26f-931aea24f14b')
    def test_import_of_live_backup_is_refused(self) -> None:
        """A record of a backup that exists does it no harm.

        If it fails, an administrator who imports one record too many
        destroys a backup that nothing was wrong with (LP 1965847).
        """
        before = self._show()
        record = self.resources.export_record(self.backup_id)
        refused = self.assertRaises(lib_exc.BadRequest,
                                    self.cloud.import_record, record)
        self.assertIn('already exists', str(refused))
        self.assert_recovered(before, record)
        restored = self.resources.restore(self.backup_id)
        self.assert_content(restored, self.content_before,
                            f'backup {self.backup_id}, restored after its '
                            f'second import was refused')

    @decorators.attr(type=['negative'])
    @decorators.idempotent_id('d143ccdf-0ec0-4fda-ace7-5a8778b0346f')
    def test_export_by_member_is_refused(self) -> None:
        """A record shows where data lies, and is for administrators.

        If it fails, any user of a project reads the layout of the backup
        storage out of records.
        """
        self.assertRaises(lib_exc.Forbidden,
                          self.member.export_record, self.backup_id)

    @decorators.attr(type=['negative'])
    @decorators.idempotent_id('699baa7b-2f81-4851-b7b4-5d9fa310b870')
    def test_import_by_member_is_refused(self) -> None:
        """Only administrators make backups out of records.

        If it fails, any user reads the backups of every other project by
        importing a record that names them.
        """
        before = self._show()
        self.assertRaises(lib_exc.Forbidden,
                          self.member.import_record, self.record)
        self.assert_same_backup(before, self._show())
