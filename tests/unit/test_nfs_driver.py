# SPDX-License-Identifier: Apache-2.0

"""The NFS driver, where a file says what is mounted."""

import errno
import os
import threading
from unittest import mock

from cinder import exception
from eventlet import patcher
from os_brick.remotefs import remotefs
import testtools

from reference_drivers import nfs
from reference_drivers.contract import base
from reference_drivers.contract import environment
from reference_drivers.verification import errors

SHARE = 'nfs.example.org:/srv/backups'


class NFSTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.cinder = environment.Environment(
            'reference_drivers.nfs.NFSBackupDriver', {
                'backup_share': SHARE, 'backup_file_size': 131072,
                'backup_enable_progress_timer': False})
        self.useFixture(self.cinder)
        self.root = os.path.join(self.cinder.directory, 'a share')
        os.mkdir(self.root, 0o770)
        self.mounts = os.path.join(self.cinder.directory, 'mountinfo')
        self.mount()
        for target, name, value in (
                (remotefs.RemoteFsClient, 'mount', lambda *args: None),
                (remotefs.RemoteFsClient, 'get_mount_point',
                 lambda *args: self.root),
                (nfs.NFSStore, 'mounts', self.mounts)):
            patch = mock.patch.object(target, name, value)
            patch.start()
            self.addCleanup(patch.stop)

    def mount(self, *others, share=SHARE, kind='nfs4'):
        """Say what is mounted, as the kernel does."""
        path = self.root.replace(' ', r'\040')
        with open(self.mounts, 'w') as stream:
            stream.write('22 1 0:2 / / rw - ext4 /dev/root rw\n'
                         '23 22 0:3 /\n')
            if share:
                stream.write(f'99 22 0:51 / {path} rw,relatime shared:1 - '
                             f'{kind} {share} rw,vers=4.2\n')
            stream.writelines(others)

    def backup(self):
        volume = self.cinder.create_volume(base.text(300000))
        return self.cinder.create_backup(volume)

    def test_recovery(self):
        backup = self.backup()
        record = self.cinder.export(backup)
        info = backup.decode_record(record['backup_url'])['driver_info']
        self.assertEqual('nfs', info['driver'])
        self.assertEqual(
            f'nfs://nfs.example.org/srv/backups/{backup.container}/'
            f'{backup.service_metadata}', info['location'])
        self.cinder.lose_row(backup.id)
        self.cinder.import_record(record)
        self.assertEqual(base.text(300000), self.cinder.restore(backup.id))
        self.cinder.delete(backup.id)
        self.assertEqual([], os.listdir(os.path.join(self.root,
                                                     backup.container)))

    def test_share_that_is_not_mounted(self):
        backup = self.backup()
        record = self.cinder.export(backup)
        for mounts, what in (
                ({'share': None}, f'{SHARE} is not mounted'),
                ({'share': 'other.example.org:/srv/backups'},
                 'other.example.org:/srv/backups of type nfs4 is mounted'),
                ({'share': '/dev/sdb1', 'kind': 'ext4'}, '/dev/sdb1 of type'),
                ({'share': SHARE, 'kind': 'ext4'}, 'of type ext4')):
            self.mount(**mounts)
            for level in ('presence', 'content'):
                self.cinder.configure(backup_import_verify__level=level)
                self.cinder.lose_row(backup.id)
                err = self.assertRaises(exception.InvalidBackup,
                                        self.cinder.import_record, record)
                self.assertIn(what, str(err))
                self.assertIn(
                    what, self.cinder.backup(backup.id).fail_reason)
            self.mount()
            self.cinder.lose_row(backup.id)
            self.cinder.import_record(record)
            self.mount(**mounts)
            # A row whose objects cannot be reached must not be forgotten,
            # and no backup may go to the disk below.
            self.assertRaises(errors.Unreadable, self.cinder.delete,
                              backup.id)
            self.assertEqual('error', self.cinder.backup(backup.id).status)
            self.assertRaises(errors.Unreadable, self.backup)
            self.assertRaises(errors.Unreadable, self.cinder.restore,
                              backup.id)
            self.mount()
        self.assertEqual(base.text(300000), self.cinder.restore(backup.id))

    def test_the_topmost_mount_counts(self):
        path = self.root.replace(' ', r'\040')
        self.mount(f'100 99 0:52 / {path} rw - tmpfs none rw\n')
        self.assertEqual(('tmpfs', 'none'),
                         self.cinder.driver().get_store().mounted())

    def test_server_that_does_not_answer(self):
        """Neither looking at the directory nor mounting it ever ends."""
        self.cinder.configure(backup_import_verify__timeout=0.1)
        # A program is started by a thread like this one, which eventlet may
        # have made a green one, and files are looked at by a native one.
        real = os.open
        for target, name, module in (
                (remotefs.RemoteFsClient, 'mount', threading),
                (os, 'open', patcher.original('threading'))):
            goes_on = module.Event()
            self.addCleanup(goes_on.set)

            def hang(*args, target=target, on=goes_on):
                if target is not os or args[0] == self.root:
                    on.wait(60)
                return real(*args) if target is os else None

            with mock.patch.object(target, name, hang):
                err = self.assertRaises(errors.TimedOut, self.cinder.driver)
                self.assertIn(SHARE, str(err))

    def test_handle_that_is_stale(self):
        stale = OSError(errno.ESTALE, 'Stale file handle')
        with mock.patch('cinder.utils.get_file_gid', side_effect=stale):
            err = self.assertRaises(errors.Unreadable, self.cinder.driver)
        self.assertIn(f'share {SHARE} cannot be used', str(err))
        self.assertIn('Stale', str(err))

    def test_slash_at_the_end_of_a_share(self):
        self.mount(share=SHARE + '/')
        self.cinder.driver().get_store().check_available()
