# SPDX-License-Identifier: Apache-2.0
"""Requests that wait between two steps of Cinder."""

from concurrent import futures
import contextlib
import time
from unittest import mock
import uuid

from cinder import objects
from cinder import quota
from cinder.backup import api
from cinder.objects import backup as backup_objects

from local_cloud import faults
from local_cloud.inside import holding
from tests.unit import local_cloud_cases

objects.register_all()

from cinder.backup import manager  # noqa: E402 it wants the objects

BACKUP_ID = uuid.UUID('5d6a0c1e-93b7-4b9b-b0bb-6a4d1de07f2b')


class _Api(api.API):
    """Requests that have passed every check."""

    def __init__(self):
        pass


class HoldingTest(local_cloud_cases.LocalCloudTestCase):
    def setUp(self):
        super().setUp()
        self.state = self.make()
        # Long enough for all that a test does, and no hang where it fails.
        self.enterContext(mock.patch.object(holding, '_PATIENCE', 60))
        self.pool = futures.ThreadPoolExecutor(4)
        self.addCleanup(self.pool.shutdown)
        # Whatever a test leaves, no thread waits for it.
        for point in faults.POINTS:
            self.addCleanup(faults.release, self.state, point, BACKUP_ID)
        self.done = mock.Mock()
        originals = (
            *((manager.BackupManager, name) for name in (
                'export_record', 'import_record', 'create_backup',
                'continue_backup', 'delete_backup', 'restore_backup')),
            (backup_objects.BackupImport, 'create'),
            (backup_objects.Backup, 'destroy'),
            (backup_objects.Backup, 'save'),
            (quota.QuotaEngine, 'reserve'),
            (api.API, '_get_available_backup_service_host'))
        stack = self.enterContext(contextlib.ExitStack())
        for owner, name in originals:
            stack.enter_context(mock.patch.object(
                owner, name, getattr(self.done, name)))
        # What follows the last check of each.
        for name, last in (
                ('create', lambda: quota.QUOTAS.reserve(None)),
                ('delete',
                 lambda: _Api()._get_available_backup_service_host(None)),
                ('restore',
                 lambda: _Api()._get_available_backup_service_host(None))):
            stack.enter_context(mock.patch.object(
                api.API, name, lambda *arguments, last=last, **named: last()))
        # What the patches have put there is what install() wraps; both go.
        holding.install(str(self.state.holds))

    def manager(self, ours=True):
        found = mock.Mock(spec=manager.BackupManager)
        found._is_our_backup.return_value = ours
        return found

    def import_(self, backup_id=str(BACKUP_ID), ours=True):
        # A request over the bus names each argument but the context.
        manager.BackupManager.import_record(
            self.manager(ours), None,
            backup=mock.Mock(id=backup_id, status='creating'),
            backup_service='a.driver', backup_url='', backup_hosts=[])

    def import_and_save(self):
        """As an import does first with the record, then with the status."""
        def saves(found, context, backup, **named):
            backup_objects.Backup.save(backup)
            backup.status = 'available'
            backup_objects.Backup.save(backup)

        self.done.import_record.side_effect = saves
        self.import_()

    def held(self, point='import'):
        code, out, err = self.on('hold', 'count', point, str(BACKUP_ID))
        self.assertEqual((0, ''), (code, err))
        return int(out)

    def wait_for(self, number, point='import'):
        deadline = time.monotonic() + 30
        while self.held(point) < number:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    def test_held_until_released(self):
        self.on('hold', 'arm', 'import', str(BACKUP_ID))
        requests = [self.pool.submit(self.import_) for _ in range(2)]
        self.wait_for(2)
        self.assertEqual([], self.done.mock_calls)
        self.on('hold', 'release', 'import', str(BACKUP_ID))
        for request in requests:
            request.result(30)
        self.assertEqual(2, self.done.import_record.call_count)
        self.assertEqual(0, self.held())

    def test_only_the_first_goes_on(self):
        self.on('hold', 'arm', 'import', str(BACKUP_ID))
        requests = []
        for number in (1, 2):
            requests.append(self.pool.submit(self.import_))
            self.wait_for(number)
        self.on('hold', 'next', 'import', str(BACKUP_ID))
        requests[0].result(30)
        self.assertEqual(1, self.held())
        self.assertFalse(requests[1].done())
        # One that arrives now waits, too.
        requests.append(self.pool.submit(self.import_))
        self.wait_for(2)
        self.on('hold', 'release', 'import', str(BACKUP_ID))
        for request in requests:
            request.result(30)
        self.assertEqual((0, '', ''), self.on(
            'hold', 'next', 'import', str(BACKUP_ID)))

    def test_each_point(self):
        backup = mock.Mock(id=str(BACKUP_ID), volume_id=None)
        of_volume = mock.Mock(id=None, volume_id=str(BACKUP_ID))

        def by_manager(name, backup):
            return lambda: getattr(manager.BackupManager, name)(
                self.manager(), None, backup=backup)

        points = {
            'create-request': lambda: _Api().create(
                None, 'name', None, str(BACKUP_ID), None),
            'create': by_manager('create_backup', of_volume),
            'create-data': by_manager('continue_backup', of_volume),
            'delete-request': lambda: _Api().delete(None, backup),
            'delete': by_manager('delete_backup', backup),
            'delete-quota': lambda: backup_objects.Backup.destroy(backup),
            'restore-request': lambda: _Api().restore(
                None, backup_id=str(BACKUP_ID)),
            'restore': by_manager('restore_backup', backup),
            'export': by_manager('export_record', backup),
            'import': self.import_,
            'import-saved': self.import_and_save,
            'import-request': lambda: backup_objects.BackupImport.create(
                backup)}
        self.assertEqual(set(faults.POINTS), set(points))
        for point, send in points.items():
            faults.arm(self.state, point, BACKUP_ID)
            request = self.pool.submit(send)
            self.wait_for(1, point)
            faults.release(self.state, point, BACKUP_ID)
            request.result(30)

    def test_steps_of_other_requests(self):
        faults.arm(self.state, 'create-request', BACKUP_ID)
        faults.arm(self.state, 'delete-request', BACKUP_ID)
        quota.QUOTAS.reserve(None)
        _Api()._get_available_backup_service_host(None)
        _Api().restore(None, backup_id=str(BACKUP_ID))
        # One that has ended leaves nothing to the next one of its thread.
        faults.release(self.state, 'create-request', BACKUP_ID)
        _Api().create(None, 'name', None, str(BACKUP_ID), None)
        faults.arm(self.state, 'create-request', BACKUP_ID)
        quota.QUOTAS.reserve(None)
        self.assertEqual(0, self.held('create-request'))

    def test_saves_out_of_an_import(self):
        faults.arm(self.state, 'import-saved', BACKUP_ID)
        backup_objects.Backup.save(mock.Mock(id=str(BACKUP_ID),
                                             status='creating'))
        self.import_()
        backup_objects.Backup.save(mock.Mock(id=str(BACKUP_ID),
                                             status='creating'))
        self.assertEqual(2, self.done.save.call_count)
        self.assertEqual(0, self.held('import-saved'))

    def test_others_go_on(self):
        faults.arm(self.state, 'import', BACKUP_ID)
        faults.arm(self.state, 'export', BACKUP_ID)
        # Whatever is in a record: it must lead to no other directory.
        for backup_id in (str(uuid.uuid4()), 'no-uuid', '', '../import', None,
                          7, f'{BACKUP_ID}/../import.{BACKUP_ID}'):
            self.import_(backup_id)
        # It is forwarded to the host that has the driver.
        self.import_(ours=False)
        self.assertEqual(8, self.done.import_record.call_count)
        self.assertEqual(0, self.held())

    def test_nothing_is_armed(self):
        self.import_()
        self.assertEqual(1, self.done.import_record.call_count)
        self.assertEqual((0, '', ''), self.on(
            'hold', 'release', 'import', str(BACKUP_ID)))

    def test_left_by_a_killed_test(self):
        faults.arm(self.state, 'import', BACKUP_ID)
        with mock.patch.object(holding, '_PATIENCE', 0.05):
            self.import_()
        self.assertEqual(1, self.done.import_record.call_count)

    def test_ids_and_points_that_are_none(self):
        for words in (('arm', 'import', '../x'), ('arm', 'reset',
                      str(BACKUP_ID)), ('do', 'import', str(BACKUP_ID))):
            self.assertEqual(3, self.on('hold', *words)[0])
