# SPDX-License-Identifier: Apache-2.0

"""The reference driver for NFS, on a share that is really mounted.

Not found by a runner that looks for tests: they need root and a kernel with
an NFS client. ``test_nfs`` runs them where both are.
"""

import collections
import os
import shutil
import subprocess
import tempfile
import time
from unittest import mock

from cinder import exception
from os_brick import privileged
import testtools

from backup_stores import filesystem
from benchmarks import chunks
from local_cloud.servers import nfs_server
from reference_drivers.contract import base
from reference_drivers.contract import trust
from reference_drivers.verification import errors
from reference_drivers.verification import running
from tests import leftovers
from tests import open_files
from tests import salvage_cases

# This process is root already.
privileged.default.set_client_mode(False)


class Share:
    """A server for each class, a mount for each test."""

    driver = 'reference_drivers.nfs.NFSBackupDriver'

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = nfs_server.Server(
            os.path.join(tempfile.mkdtemp(), 'server'),
            ('backups', 'others'))
        cls.server.start()
        cls.addClassCleanup(cls.server.stop)
        cls.options = {
            'backup_share': cls.server.source('backups'),
            'backup_mount_options': cls.server.mount_options,
            'backup_enable_progress_timer': False,
        }

    def make_objects(self):
        self.root = self.cinder.driver().backup_path
        self.addCleanup(self.unmount)
        with open('/proc/self/mountinfo') as stream:
            self.assertIn(f'{self.root} rw', stream.read())
        return filesystem.Directory(self.root)

    def unmount(self):
        """Unmount what the driver has mounted, whatever uses it.

        Nothing may: the kernel keeps such a mount, and the next to close a
        file of it waits for a server that may be gone by then.
        """
        left = open_files.below(self.root)
        subprocess.run(['umount', '-f', '-l', self.root], check=True)
        self.assertEqual([], left)


class NFSContractTest(Share, trust.TrustContract, testtools.TestCase):
    """The whole contract."""

    many = 500
    # What the others do to the bytes does not concern the mount.
    compressions = ('none', 'zstd')


class NFSRequestsTest(Share, leftovers.Scanned, salvage_cases.Salvaged):
    """The requests to the server, as the kernel's client counts them."""

    def setUp(self):
        super().setUp()
        self.cinder.configure(
            # By default the client trusts a listing's lengths for three
            # seconds, which a slow machine needs for the listing alone: it
            # requests each of them again then.
            backup_mount_options=f'{self.server.mount_options},actimeo=600')

    def test_requests_do_not_grow_with_the_chunks(self):
        """But for the pages of the listing and the parts of the metadata."""
        others = set()
        for count in (10, 3000):
            backup = chunks.create_backup(
                self.cinder, count, str(self.server.path('backups')))
            self.unmount()
            driver = self.cinder.driver()
            before = self.operations()
            report = driver.verify(backup, 'presence')
            asked = self.operations() - before
            self.assertEqual(([], count), (report.problems,
                                           len(report.chain[0].chunks)))
            growing = asked.pop('READDIR') + asked.pop('READ')
            self.assertLess(growing, 4 + count / 1000)
            others.add(asked.total())
        self.assertEqual(1, len(others), others)
        self.assertLess(others.pop(), 20)

    def operations(self):
        """The number of requests by operation, of this mount."""
        with open('/proc/self/mountstats') as stream:
            mounted, = (text for text in stream.read().split('device ')
                        if f' mounted on {self.root} with ' in text)
        _, _, lines = mounted.partition('per-op statistics\n')
        return collections.Counter({
            name.strip(): int(numbers.split()[0]) for name, numbers in (
                line.split(':') for line in lines.splitlines() if line)})


class NFSDamageTest(Share, base.Contract, testtools.TestCase):
    """Faults of a share, and not of an object on it.

    Each is undone, and the same record imports and restores bit for bit.
    """

    #: Seconds that an error may take at most.
    patience = 30

    def setUp(self):
        super().setUp()
        # Before the clean-up that unmounts, or that would hang.
        self.addCleanup(self._server_answers)
        self.cinder.configure(
            # Attributes that the client remembers would hide for a while
            # that the server does not answer.
            backup_mount_options=f'{self.server.mount_options},actimeo=0')
        self.unmount()
        self.cinder.driver()
        self.contents = [base.text(3 * self.chunk)]
        self.contents.append(self.changed(self.contents[0], 1, 6))
        self.backups = self.chain(*self.contents)
        self.records = [self.cinder.export(one) for one in self.backups]

    def _server_answers(self):
        if self.server.process('nfs') is None:
            self.server.start()
        self.server.resume()

    def assert_refused(self, *names, levels=('presence', 'content')):
        """No import succeeds or hangs, and the reason names the damage."""
        backup, record = self.backups[1], self.records[1]
        for level in levels:
            self.cinder.configure(backup_import_verify__level=level)
            self.cinder.lose_row(backup.id)
            err = self.assert_soon(exception.InvalidBackup,
                                   self.cinder.import_record, record)
            row = self.cinder.backup(backup.id)
            self.assertEqual('error', row.status)
            self.assertIn(row.fail_reason, str(err))
            for name in names:
                self.assertIn(name, row.fail_reason)

    def assert_nothing_works(self, *names):
        """Nor does anything else that reaches for the storage."""
        # As it was when the damage came after the import.
        row = self.cinder.backup(self.backups[1].id)
        row.update({**{name: getattr(self.backups[1], name) for name in (
            'container', 'service_metadata', 'volume_id', 'parent_id',
            'size', 'object_count', 'service')}, 'status': 'available'})
        row.save()
        old = self.cinder.create_volume(b'old')
        for function, *arguments in (
                (self.cinder.restore, row.id, None),
                (self.cinder.restore, row.id, old),
                (self.cinder.export, row),
                (self.cinder.delete, row.id)):
            err = self.assert_soon(Exception, function, *arguments)
            for name in names:
                self.assertIn(name, str(err))
        # Or its objects would be forgotten.
        self.cinder.backup(row.id)

    def assert_soon(self, kind, function, *args):
        start = time.monotonic()
        err = self.assertRaises(kind, function, *args)
        self.assertNotIsInstance(err, AssertionError)
        self.assertLess(time.monotonic() - start, self.patience)
        return err

    def assert_no_answer(self):
        """All ends soon, with a word that the share does not answer."""
        self.cinder.configure(backup_import_verify__timeout=1)
        self.assert_refused('did not answer within 1 s', levels=('content',))
        self.assert_nothing_works('did not answer within 1 s')

    def assert_recovered(self):
        """The same records import and restore."""
        self.cinder.configure(backup_import_verify__timeout=60)
        self.cinder.configure(backup_import_verify__level='content')
        for backup in self.backups:
            self.cinder.lose_row(backup.id)
        for record in self.records:
            self.assertEqual('available',
                             self.cinder.import_record(record).status)
        # With the full one that it is based on.
        self.assert_restores(self.backups[1], self.contents[1])

    def keep_driver(self):
        """Let the manager use one driver, so that nothing is remounted.

        It mounts when a driver is made, once for each request; what happens
        then happens during the request.
        """
        driver = self.cinder.driver()
        patch = mock.patch.object(self.cinder.manager, 'service',
                                  lambda *args, **kwargs: driver)
        patch.start()
        self.addCleanup(patch.stop)

    def mount(self, *arguments):
        subprocess.run(['mount', *arguments, self.root], check=True)

    def test_unmounted_share_is_mounted_again(self):
        """As the driver of each request does."""
        self.unmount()
        self.assert_recovered()

    def test_share_unmounted_during_a_request(self):
        """The directory that is left is not an empty share."""
        self.keep_driver()
        self.unmount()
        self.assertEqual([], os.listdir(self.root))
        self.assert_refused('127.0.0.1:/backups is not mounted')
        self.assert_nothing_works('127.0.0.1:/backups is not mounted')
        self.assert_soon(Exception, self.chain, self.contents[0])
        self.assertEqual([], os.listdir(self.root))
        self.mount('-t', 'nfs', '-o', self.server.mount_options,
                   self.server.source('backups'))
        self.assert_recovered()

    def test_another_share_at_the_same_place(self):
        """Also one with the very same files."""
        for name, *arguments in (
                ('127.0.0.1:/others of type nfs4 is mounted', '-t', 'nfs',
                 '-o', self.server.mount_options,
                 self.server.source('others')),
                ('is mounted at', '--bind',
                 str(self.server.path('backups')))):
            self.unmount()
            self.mount(*arguments)
            self.assert_refused(name, 'instead of share 127.0.0.1:/backups')
            self.assert_nothing_works(
                name, 'instead of share 127.0.0.1:/backups')
            self.unmount()
            self.assert_recovered()

    def test_server_that_hangs(self):
        """It keeps its port open and answers nothing."""
        self.server.pause()
        self.assert_no_answer()
        self.server.resume()
        self.assert_recovered()

    def test_server_that_hangs_behind_what_the_kernel_has_kept(self):
        """Cinder's own look at the share must not be the first to hang.

        Under eventlet it would stop the whole service.
        """
        # As administrators mount it, and not like the other tests here.
        self.cinder.configure(
            backup_mount_options=self.server.mount_options)
        self.unmount()
        driver = self.cinder.driver()
        os.stat(self.root)
        self.server.pause()
        err = self.assertRaises(errors.TimedOut, running.within, 1, 'share',
                                driver._look, driver.backup_share)
        self.assertIn('did not answer within 1 s', str(err))

    def test_server_that_is_stopped(self):
        self.server.stop(keep=True)
        self.assert_no_answer()
        self.server.start()
        self.assert_recovered()

    def test_unmounted_and_the_server_hangs(self):
        """Mounting takes as long as the server does."""
        self.unmount()
        self.server.pause()
        self.assert_no_answer()
        self.server.resume()
        self.assert_recovered()

    def test_unmounted_and_the_server_is_stopped(self):
        """The client says so when it does not try for minutes."""
        self.cinder.configure(
            backup_mount_attempts=1,
            backup_mount_options=f'{self.server.mount_options},retry=0')
        self.unmount()
        self.server.stop(keep=True)
        self.assert_refused('127.0.0.1:/backups', levels=('content',))
        self.assert_nothing_works('127.0.0.1:/backups')
        self.server.start()
        self.assert_recovered()

    def test_stale_handle(self):
        """The directory of the mount is gone from the server."""
        path = self.server.path('backups')
        away = path.with_name('away')
        self.server.stop(keep=True)
        shutil.copytree(path, away)
        shutil.rmtree(path)
        path.mkdir(mode=0o770)
        self.server.start()
        self.assert_refused('127.0.0.1:/backups')
        self.assert_nothing_works('127.0.0.1:/backups')
        self.server.stop(keep=True)
        path.rmdir()
        away.rename(path)
        self.server.start()
        # The kernel keeps the old handle as long as it is mounted.
        self.unmount()
        self.assert_recovered()
