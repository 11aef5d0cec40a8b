# SPDX-License-Identifier: Apache-2.0

import testtools

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.cloud import waiters
from tests.unit import fake_cloud


class WaitForStatusTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.cloud = fake_cloud.FakeCloud()

    def _wait(self, resource_id, kind=clients.BACKUP, wanted='available',
              patience=fake_cloud.PATIENCE, **kwargs):
        return waiters.wait_for_status(
            self.cloud, kind, resource_id, wanted, patience, **kwargs)

    def _fails(self, error, *args, **kwargs):
        return str(self.assertRaises(error, self._wait, *args, **kwargs))

    def test_waits(self):
        backup_id = self.cloud.add(clients.BACKUP,
                                   ['creating', 'creating', 'available'])
        self.assertEqual('available', self._wait(backup_id)['status'])

    def test_one_of_several(self):
        volume_id = self.cloud.add(clients.VOLUME, ['attaching', 'in-use'])
        self.assertEqual('in-use', self._wait(
            volume_id, clients.VOLUME, ('available', 'in-use'))['status'])

    def test_an_error_ends_it_at_once_with_reasons(self):
        backup_id = self.cloud.add(
            clients.BACKUP, ['creating', 'error', 'available'],
            fail_reason='the disk is full')
        self.cloud.said[backup_id] = ['Backup failed', 'Backup failed',
                                      'Driver failed']
        text = self._fails(exceptions.ResourceFailed, backup_id)
        self.assertIn(f'backup {backup_id} to be available', text)
        self.assertIn('it is error: fail_reason: the disk is full', text)
        self.assertEqual(1, text.count('message: Backup failed'))
        self.assertIn('message: Driver failed', text)
        self.assertIn('test_an_error_ends_it_at_once', text)

    def test_every_status_of_error(self):
        for status in ('error', 'error_restoring', 'error_deleting',
                       'error_extending'):
            volume_id = self.cloud.add(clients.VOLUME, status)
            self._fails(exceptions.ResourceFailed, volume_id, clients.VOLUME)

    def test_an_error_that_is_wanted(self):
        backup_id = self.cloud.add(clients.BACKUP, 'error')
        self._wait(backup_id, wanted=('available', 'error'))

    def test_no_reason(self):
        backup_id = self.cloud.add(clients.BACKUP, 'error')
        self.assertIn('Cinder gives no reason',
                      self._fails(exceptions.ResourceFailed, backup_id))

    def test_a_related_resource_knows_why(self):
        volume_id = self.cloud.add(clients.VOLUME, 'error_restoring')
        backup_id = self.cloud.add(clients.BACKUP,
                                   fail_reason='chunk 7 is missing')
        text = self._fails(
            exceptions.ResourceFailed, volume_id, clients.VOLUME,
            related=[(clients.BACKUP, backup_id), (clients.BACKUP, 'gone')])
        self.assertIn(f'backup {backup_id} is available: fail_reason: chunk '
                      f'7 is missing', text)
        self.assertIn('backup gone is gone', text)

    def test_gone(self):
        self.assertIn('but it is gone',
                      self._fails(exceptions.ResourceFailed, 'nothing'))

    def test_gone_is_an_end_that_is_wanted(self):
        wanted = ('available', 'error', waiters.GONE)
        self.assertEqual({'status': waiters.GONE},
                         self._wait('nothing', wanted=wanted))
        backup_id = self.cloud.add(clients.BACKUP, ['creating', None])
        self.assertEqual({'status': waiters.GONE},
                         self._wait(backup_id, wanted=wanted))

    def test_timeout_names_everything(self):
        backup_id = self.cloud.add(clients.BACKUP, 'creating')
        text = self._fails(exceptions.WaitTimeout, backup_id,
                           patience=fake_cloud.IMPATIENCE)
        self.assertIn('WaitForStatusTest:test_timeout_names_everything '
                      'waited 0 s', text)
        self.assertIn(f'backup {backup_id} to be available, but it is still '
                      f'creating', text)

    def test_own_timeout(self):
        backup_id = self.cloud.add(clients.BACKUP,
                                   ['creating'] * 200 + ['available'])
        self._wait(backup_id, patience=fake_cloud.IMPATIENCE, timeout=600)

    def test_asks_once_more_after_the_time_is_over(self):
        backup_id = self.cloud.add(clients.BACKUP, ['creating', 'available'])
        waiters.wait_for_status(
            self.cloud, clients.BACKUP, backup_id, 'available',
            waiters.Patience(interval=60, timeout=0.05))


class WaitUntilTest(testtools.TestCase):
    def test_waits(self):
        left = [3, 2, 1]

        def met():
            left.pop()
            return not left

        waiters.wait_until(met, 'something is left', fake_cloud.PATIENCE)
        self.assertEqual([], left)

    def test_timeout(self):
        self.assertIn(
            'WaitUntilTest:test_timeout waited 0 s, but something is left',
            str(self.assertRaises(
                exceptions.WaitTimeout, waiters.wait_until, lambda: False,
                'something is left', fake_cloud.IMPATIENCE)))


class PatienceTest(testtools.TestCase):
    def test_what_takes_long_is_asked_for_less_often(self):
        patience = waiters.Patience(interval=0.5)
        self.assertEqual(
            [0.5, 0.5, 2, 5, 5, 1, 0.01],
            [patience.pause(waited, 100) for waited in
             (0, 3, 20, 50, 90, 99, 101)])


class WaitForDeletionTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.cloud = fake_cloud.FakeCloud()

    def _wait(self, kind, resource_id, patience=fake_cloud.PATIENCE):
        waiters.wait_for_deletion(self.cloud, kind, resource_id, patience)

    def test_waits(self):
        volume_id = self.cloud.add(clients.VOLUME, ['deleting', None])
        self._wait(clients.VOLUME, volume_id)
        self._wait(clients.VOLUME, volume_id)

    def test_failed(self):
        for status in ('error_deleting', 'error', 'available'):
            backup_id = self.cloud.add(clients.BACKUP, ['deleting', status],
                                       fail_reason='the storage is gone')
            exc = self.assertRaises(exceptions.ResourceFailed, self._wait,
                                    clients.BACKUP, backup_id)
            self.assertIn(f'to be deleted, but it is {status}', str(exc))
            self.assertIn('the storage is gone', str(exc))

    def test_timeout(self):
        volume_id = self.cloud.add(clients.VOLUME, 'deleting')
        exc = self.assertRaises(exceptions.WaitTimeout, self._wait,
                                clients.VOLUME, volume_id,
                                fake_cloud.IMPATIENCE)
        self.assertIn('still deleting', str(exc))
