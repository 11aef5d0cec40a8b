# SPDX-License-Identifier: Apache-2.0

from tempest.lib import exceptions as lib_exc

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.cloud import resources
from cinder_backup_recovery_tests.cloud import safe_delete
from tests.unit import fake_cloud


class ResourcesTest(fake_cloud.CloudCase):
    def setUp(self):
        super().setUp()
        self.cleanups = []
        self.resources = resources.Resources(
            self.cloud, self.ledger, fake_cloud.PATIENCE,
            lambda *args: self.cleanups.append(args), 'prefix',
            {'volume_type': 'gold'})

    def clean_up(self):
        while self.cleanups:
            function, *args = self.cleanups.pop()
            function(*args)

    def test_names_differ_and_tell_the_run(self):
        first, second = (self.resources.name('volume') for _ in range(2))
        self.assertNotEqual(first, second)
        self.assertTrue(first.startswith(
            f'prefix-{resources.RUN_ID}-volume-'))

    def test_all_is_removed_in_reverse(self):
        volume = self.resources.create_volume(size=1)
        self.resources.create_snapshot(volume['id'])
        backup = self.resources.create_backup(volume['id'])
        self.assertEqual('available', backup['status'])
        self.clean_up()
        self.assertEqual({}, self.cloud.resources)
        self.assertEqual([], self.ledger.entries())
        self.assertEqual(
            [clients.BACKUP, clients.SNAPSHOT, clients.VOLUME],
            [request[1] for request in self.cloud.requests
             if request[0] == 'delete'])

    def test_defaults_of_volumes(self):
        self.resources.create_volume(size=1)
        self.assertEqual('gold', self.cloud.requests[0][1]['volume_type'])

    def test_clean_up_is_registered_before_the_wait(self):
        self.cloud.volumes.create_volume = lambda **kwargs: {'volume': {
            'id': self.cloud.add(clients.VOLUME, 'error')}}
        self.assertRaises(exceptions.ResourceFailed,
                          self.resources.create_volume, size=1)
        self.clean_up()
        self.assertEqual({}, self.cloud.resources)

    def test_listed_before_the_request_is_sent(self):
        seen = []
        self.cloud.volumes.create_volume = lambda **kwargs: (
            seen.extend(self.ledger.entries()) or 1 / 0)
        self.assertRaises(ZeroDivisionError, self.resources.create_volume,
                          size=1)
        self.assertEqual((clients.VOLUME, None, 'intended'), (
            seen[0].kind, seen[0].resource_id, seen[0].state))
        self.assertIn('-volume-', seen[0].name)

    def test_refused(self):
        self.cloud.refuse['create_volume'] = lib_exc.BadRequest()
        self.assertRaises(lib_exc.BadRequest, self.resources.create_volume,
                          size=1)
        self.assertEqual([], self.ledger.entries())
        self.assertEqual([], self.cleanups)

    def test_answer_never_seen(self):
        real = self.cloud.volumes.create_volume

        def create(**kwargs):
            real(**kwargs)
            raise lib_exc.ServerFault('the proxy gave up')

        self.cloud.volumes.create_volume = create
        self.assertRaises(lib_exc.ServerFault, self.resources.create_volume,
                          size=1)
        self.assertEqual(1, len(self.cloud.resources))
        self.clean_up()
        self.assertEqual({}, self.cloud.resources)
        self.assertEqual([], self.ledger.entries())

    def test_a_refused_restore_may_have_made_a_volume(self):
        def restore(backup_id, name):
            self.cloud.add(clients.VOLUME, 'error', name=name)
            raise lib_exc.BadRequest('Error while creating volume')

        self.cloud.backups.restore_backup = restore
        self.assertRaises(lib_exc.BadRequest, self.resources.restore, 'b')
        self.clean_up()
        self.assertEqual({}, self.cloud.resources)

    def test_restore_onto_foreign_volume(self):
        volume_id = self.cloud.add(clients.VOLUME)
        self.assertRaises(exceptions.NotInLedger, self.resources.restore,
                          'b', volume_id)
        self.assertEqual([], self.cloud.requests)

    def test_failed_restore_quotes_the_backup(self):
        backup_id = self.cloud.add(clients.BACKUP,
                                   fail_reason='chunk 7 is missing')
        self.cloud.backups.restore_backup = lambda *args, **kwargs: {
            'restore': {'volume_id': self.cloud.add(
                clients.VOLUME, ['restoring-backup', 'error_restoring'])}}
        exc = self.assertRaises(exceptions.ResourceFailed,
                                self.resources.restore, backup_id)
        self.assertIn('chunk 7 is missing', str(exc))
        self.clean_up()

    def test_removed_once(self):
        volume = self.resources.create_volume(size=1)
        self.resources.remove(clients.VOLUME, volume['id'])
        requests = len(self.cloud.requests)
        self.clean_up()
        self.assertEqual(requests, len(self.cloud.requests))

    def test_the_record_frees_a_backup_that_stays_lost(self):
        volume = self.resources.create_volume(size=1)
        backup = self.resources.create_backup(volume['id'])
        self.resources.export_record(backup['id'])
        del self.cloud.resources[clients.BACKUP, backup['id']]
        self.clean_up()
        self.assertIn(('import', backup['id']), self.cloud.requests)
        self.assertEqual({}, self.cloud.resources)
        self.assertEqual([], self.ledger.entries())

    def test_one_record_for_each_backup(self):
        volume = self.resources.create_volume(size=1)
        backup = self.resources.create_backup(volume['id'])
        for _ in range(3):
            self.resources.export_record(backup['id'])
        self.assertEqual(1, len(self.ledger.entries(safe_delete.RECORD)))

    def test_import_of_foreign_record(self):
        self.assertRaises(
            exceptions.NotInLedger, self.resources.import_record,
            self.cloud.export_record('00000000-0000-4000-8000-000000000000'))
        self.assertEqual([], self.cloud.requests)

    def test_import_that_does_nothing(self):
        volume = self.resources.create_volume(size=1)
        backup = self.resources.create_backup(volume['id'])
        record = self.resources.export_record(backup['id'])
        del self.cloud.resources[clients.BACKUP, backup['id']]
        self.cloud.import_record = lambda record: {}
        exc = self.assertRaises(exceptions.ResourceFailed,
                                self.resources.import_record, record)
        self.assertIn('was accepted, but the backup does not exist', str(exc))
