# SPDX-License-Identifier: Apache-2.0


from tempest.lib import exceptions as lib_exc

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.cloud import safe_delete
from tests.unit import fake_cloud


class SafeDeleteTestCase(fake_cloud.CloudCase):
    def setUp(self):
        super().setUp()
        self.safe_delete = safe_delete.SafeDelete(self.cloud, self.ledger,
                                                  fake_cloud.PATIENCE)

    def add(self, kind, *args, **kwargs):
        resource_id = self.cloud.add(kind, *args, **kwargs)
        self.ledger.add(kind, resource_id)
        return resource_id

    def assert_gone(self, kind, resource_id):
        self.assertNotIn((kind, resource_id), self.cloud.resources)
        self.assertNotIn(resource_id, [
            entry.resource_id for entry in self.ledger.entries()])


class RemoveTest(SafeDeleteTestCase):
    def test_foreign(self):
        volume_id = self.cloud.add(clients.VOLUME)
        self.assertRaises(exceptions.NotInLedger, self.safe_delete.remove,
                          clients.VOLUME, volume_id)
        self.assertEqual([], self.cloud.requests)

    def test_each_kind(self):
        for kind in (clients.VOLUME, clients.BACKUP, clients.SNAPSHOT,
                     clients.IMAGE, clients.ATTACHMENT):
            resource_id = self.add(kind, volume_id='v')
            self.assertEqual('removed',
                             self.safe_delete.remove(kind, resource_id))
            self.assert_gone(kind, resource_id)

    def test_parent_whose_child_has_just_gone(self):
        parent_id = self.add(clients.BACKUP)
        left = [True] * 3
        show = self.cloud.show
        delete = self.cloud.delete

        def shown(kind, resource_id):
            return {**show(kind, resource_id),
                    'has_dependent_backups': bool(left and left.pop())}

        def deleted(kind, resource_id):
            if left:
                raise lib_exc.BadRequest('Incremental backups exist')
            delete(kind, resource_id)

        self.cloud.show = shown
        self.cloud.delete = deleted
        self.assertEqual('removed',
                         self.safe_delete.remove(clients.BACKUP, parent_id))
        self.assert_gone(clients.BACKUP, parent_id)

    def test_parent_whose_child_stays(self):
        self.cloud.refuse['delete'] = lib_exc.BadRequest(
            'Incremental backups exist')
        parent_id = self.add(clients.BACKUP, has_dependent_backups=True)
        self.safe_delete.patience = fake_cloud.IMPATIENCE
        self.assertRaises(lib_exc.BadRequest, self.safe_delete.remove,
                          clients.BACKUP, parent_id)

    def test_gone_already(self):
        self.ledger.add(clients.VOLUME, 'v')
        self.assertEqual('was gone already',
                         self.safe_delete.remove(clients.VOLUME, 'v'))
        self.assertEqual([], self.ledger.entries())

    def test_a_lost_row_is_imported_and_deleted(self):
        self.ledger.add(clients.BACKUP, 'b')
        self.safe_delete.remember_record('b', self.cloud.export_record('b'))
        self.assertIn('imported again',
                      self.safe_delete.remove(clients.BACKUP, 'b'))
        self.assertEqual([('import', 'b'), ('delete', clients.BACKUP, 'b')],
                         self.cloud.requests)
        self.assertEqual([], self.ledger.entries())

    def test_a_failed_import_is_imported_again_and_deleted(self):
        """Its row says nothing of the data, which would stay indefinitely."""
        self.safe_delete.patience = fake_cloud.IMPATIENCE
        for status in ('error', 'creating'):
            backup_id = self.add(clients.BACKUP, status, container=None)
            self.safe_delete.remember_record(
                backup_id, self.cloud.export_record(backup_id))
            self.assertIn('imported again', self.safe_delete.remove(
                clients.BACKUP, backup_id))
            self.assertEqual(
                [('delete', clients.BACKUP, backup_id),
                 ('import', backup_id),
                 ('delete', clients.BACKUP, backup_id)],
                self.cloud.requests[-3:])
            self.assert_gone(clients.BACKUP, backup_id)

    def test_a_failed_backup_is_not_imported(self):
        backup_id = self.add(clients.BACKUP, 'error', container='there')
        self.safe_delete.remember_record(
            backup_id, self.cloud.export_record(backup_id))
        self.safe_delete.remove(clients.BACKUP, backup_id)
        self.assertEqual([('delete', clients.BACKUP, backup_id)],
                         self.cloud.requests)

    def test_a_lost_row_that_cannot_be_imported_stays_listed(self):
        self.ledger.add(clients.BACKUP, 'b')
        self.safe_delete.remember_record('b', self.cloud.export_record('b'))
        self.cloud.refuse['import'] = lib_exc.OverLimit('quota')
        self.assertRaises(lib_exc.OverLimit, self.safe_delete.remove,
                          clients.BACKUP, 'b')
        self.assertEqual(2, len(self.ledger.entries()))

    def test_a_deleted_backup_is_not_imported_again(self):
        backup_id = self.add(clients.BACKUP)
        self.safe_delete.remember_record(
            backup_id, self.cloud.export_record(backup_id))
        self.safe_delete.remove(clients.BACKUP, backup_id)
        self.safe_delete.remove(clients.BACKUP, backup_id)
        self.assertNotIn(('import', backup_id), self.cloud.requests)
        self.assertEqual([], self.ledger.entries())

    def test_waits_for_what_is_under_way(self):
        backup_id = self.add(clients.BACKUP, ['creating', 'available'])
        self.safe_delete.remove(clients.BACKUP, backup_id)
        self.assert_gone(clients.BACKUP, backup_id)
        self.assertEqual([('delete', clients.BACKUP, backup_id)],
                         self.cloud.requests)

    def test_what_hangs_is_set_to_error(self):
        backup_id = self.add(clients.BACKUP, 'creating')
        self.safe_delete.patience = fake_cloud.IMPATIENCE
        self.safe_delete.remove(clients.BACKUP, backup_id)
        self.assertEqual([('reset', clients.BACKUP, backup_id),
                          ('delete', clients.BACKUP, backup_id)],
                         self.cloud.requests)

    def test_errors_are_removed(self):
        for kind, status in ((clients.VOLUME, 'error_restoring'),
                             (clients.VOLUME, 'error'),
                             (clients.BACKUP, 'error')):
            resource_id = self.add(kind, status)
            self.safe_delete.remove(kind, resource_id)
            self.assert_gone(kind, resource_id)

    def test_attachments_go_first(self):
        volume_id = self.add(clients.VOLUME, ['in-use', 'available'])
        attachment_id = self.cloud.add(clients.ATTACHMENT, 'attached',
                                       volume_id=volume_id,
                                       after_delete=[None])
        self.safe_delete.remove(clients.VOLUME, volume_id)
        self.assertEqual([('delete', clients.ATTACHMENT, attachment_id),
                          ('delete', clients.VOLUME, volume_id)],
                         self.cloud.requests)

    def test_deletion_under_way(self):
        volume_id = self.add(clients.VOLUME, ['deleting', 'deleting', None])
        self.assertEqual('was gone already',
                         self.safe_delete.remove(clients.VOLUME, volume_id))

    def test_failed_deletion_stays_listed(self):
        backup_id = self.add(clients.BACKUP,
                             after_delete=['deleting', 'error'],
                             fail_reason='the storage is gone')
        exc = self.assertRaises(exceptions.ResourceFailed,
                                self.safe_delete.remove, clients.BACKUP,
                                backup_id)
        self.assertIn('the storage is gone', str(exc))
        self.assertEqual([backup_id], [
            entry.resource_id for entry in self.ledger.entries()])


class IntendedTest(SafeDeleteTestCase):
    def _remove(self):
        entry, = self.ledger.entries()
        return self.safe_delete.remove_intended(entry)

    def test_found_by_its_name(self):
        self.ledger.intend(clients.VOLUME, 'the-name')
        self.cloud.add(clients.VOLUME, name='the-name')
        other_id = self.cloud.add(clients.VOLUME, name='the-name-2')
        self.assertEqual('removed', self._remove())
        self.assertEqual([(clients.VOLUME, other_id)],
                         list(self.cloud.resources))
        self.assertEqual([], self.ledger.entries())

    def test_never_made(self):
        self.ledger.intend(clients.BACKUP, 'the-name')
        self.assertEqual('was never made', self._remove())
        self.assertEqual([], self.ledger.entries())

    def test_an_attachment_goes_with_its_volume(self):
        self.ledger.intend(clients.ATTACHMENT, 'the-name', volume_id='v')
        self.assertEqual('was never made', self._remove())
