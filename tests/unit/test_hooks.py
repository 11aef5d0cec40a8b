# SPDX-License-Identifier: Apache-2.0

"""The hooks where the contract does not reach."""

import io
import threading
import time
from unittest import mock

from cinder import coordination
from cinder import exception
from cinder import objects
from eventlet import patcher
import testtools

from reference_drivers import default
from reference_drivers import hooks
from reference_drivers.contract import base
from reference_drivers.contract import environment
from reference_drivers.verification import errors
from reference_drivers.verification import store as stores
from reference_drivers.verification import streams

# Of the native threads that a driver's requests run in, also where eventlet
# has patched the module.
Event = patcher.original('threading').Event


class HooksTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.cinder = environment.Environment(
            'reference_drivers.default.DefaultBackupDriver', {
                'backup_file_size': 65536, 'backup_import_verify__level':
                'content', 'backup_enable_progress_timer': False})
        self.useFixture(self.cinder)
        self.backup = self.cinder.create_backup(
            self.cinder.create_volume(base.text(300000)))
        self.record = self.cinder.export(self.backup)
        self.cinder.lose_row(self.backup.id)

    def patch(self, name, value):
        patch = mock.patch.object(stores.PosixStore, name, value)
        patch.start()
        self.addCleanup(patch.stop)

    def refused(self, *words):
        err = self.assertRaises(exception.InvalidBackup,
                                self.cinder.import_record, self.record)
        row = self.cinder.backup(self.backup.id)
        for word in words:
            self.assertIn(word, row.fail_reason)
            self.assertIn(word, str(err))
        return row

    def while_reading(self, end, function, goes_on=True):
        """Call a function while the store is about to read an object.

        From a thread of its own: the native one that reads must not use the
        database, or whatever else has a lock that eventlet made green.
        """
        real = stores.PosixStore.pieces
        reading, gate = Event(), Event()
        self.addCleanup(gate.set)

        def pieces(store, container, name, extra_metadata=None):
            if name.endswith(end):
                reading.set()
                gate.wait(60)
            yield from real(store, container, name)

        def call():
            while not reading.is_set():
                time.sleep(0.01)
            function()
            if goes_on:
                gate.set()

        self.patch('pieces', pieces)
        thread = threading.Thread(target=call, daemon=True)
        thread.start()
        return thread

    def test_reason_fits_into_the_row(self):
        for length in (100, 200, 254, 255, 256, 1000):
            err = errors.Missing('x' * length, 'name', 'id')
            clipped = hooks.VerifyMixin._clipped(err)
            self.assertLessEqual(len(str(clipped)), 255)
            self.assertIs(errors.Missing, type(clipped))
            self.assertEqual('name', clipped.name)

    def test_store_that_hangs(self):
        gate = Event()
        self.addCleanup(gate.set)
        self.cinder.configure(backup_import_verify__timeout=1)
        for name in ('entries', 'pieces', 'check_available',
                     'check_location'):
            with mock.patch.object(stores.PosixStore, name,
                                   lambda *args, **kwargs: gate.wait(60)):
                begin = time.monotonic()
                row = self.refused('within 1 s')
                self.assertLess(time.monotonic() - begin, 100)
            self.assertEqual('error', row.status)
            self.cinder.lose_row(self.backup.id)

    def test_store_that_hangs_in_a_restore(self):
        self.cinder.import_record(self.record)
        self.cinder.configure(backup_import_verify__timeout=1)
        gate = Event()
        self.addCleanup(gate.set)
        real = stores.PosixStore.pieces

        def pieces(store, container, name, extra_metadata=None):
            if name.endswith('-00003'):
                gate.wait(60)
            yield from real(store, container, name)

        self.patch('pieces', pieces)
        volume = self.cinder.create_volume(b'old' * 100000)
        err = self.assertRaises(exception.InvalidBackup, self.cinder.restore,
                                self.backup.id, volume)
        self.assertIn('within 1 s: object', str(err))
        self.assertIn('-00003', str(err))
        # What comes too late is not written into what is given up.
        gate.clear()
        row = self.cinder.backup(self.backup.id)
        row.status = 'restoring'
        row.save()
        target = io.BytesIO()
        self.assertRaises(errors.TimedOut, self.cinder.driver().restore, row,
                          volume.id, target, False)
        before = target.getvalue()
        gate.set()
        time.sleep(0.5)
        self.assertEqual(before, target.getvalue())

    def test_volume_that_is_slow_is_no_store_that_hangs(self):
        self.cinder.import_record(self.record)
        self.cinder.configure(backup_import_verify__timeout=1)
        row = self.cinder.backup(self.backup.id)
        row.status = 'restoring'
        row.save()

        class Slow(io.BytesIO):

            pause = 1.5

            def flush(self):
                time.sleep(self.pause)
                self.pause = 0

        target = Slow()
        driver = self.cinder.driver()
        with mock.patch.object(driver, 'put_metadata'):
            driver.restore(row, self.cinder.create_volume().id, target,
                           False)
        self.assertEqual(base.text(300000), target.getvalue())

    def test_chunk_that_decompresses_slowly_is_no_store_that_hangs(self):
        self.cinder.import_record(self.record)
        self.cinder.configure(backup_import_verify__timeout=1,
                              backup_import_verify__level='content')
        real = streams.Zlib.finish
        pauses = [1.5, 1.5]

        def finish(stream):
            time.sleep(pauses.pop() if pauses else 0)
            return real(stream)

        with mock.patch.object(streams.Zlib, 'finish', finish):
            self.assertEqual(base.text(300000),
                             self.cinder.restore(self.backup.id))
            self.cinder.lose_row(self.backup.id)
            imported = self.cinder.import_record(self.record)
        self.assertEqual('available', imported.status)

    def test_store_that_hangs_in_a_delete(self):
        self.cinder.import_record(self.record)
        gate = Event()
        self.addCleanup(gate.set)
        self.cinder.configure(backup_import_verify__timeout=1)
        with mock.patch.object(default.DefaultBackupDriver, 'delete_object',
                               lambda *args: gate.wait(60)):
            err = self.assertRaises(errors.TimedOut, self.cinder.delete,
                                    self.backup.id)
        self.assertIn('within 1 s: object', str(err))
        # The row is kept, and with it the knowledge of what is left.
        self.assertEqual('error',
                         self.cinder.backup(self.backup.id).status)

    def test_delete_of_what_takes_long_to_list(self):
        self.cinder.import_record(self.record)
        self.cinder.configure(backup_import_verify__timeout=1)
        store = type(self.cinder.driver().get_store())
        real = store.entries

        def slow(*args):
            for one in real(*args):
                time.sleep(0.4)
                yield one

        with mock.patch.object(store, 'entries', slow):
            self.cinder.delete(self.backup.id)
        self.assertEqual([], list(
            self.cinder.driver().get_store().entries(
                self.backup.container, self.backup.service_metadata)))

    def test_verification_stops_with_the_service(self):
        # As Cinder's service does when it is told to stop; it then waits for
        # the import to end.
        thread = self.while_reading(
            '-00002', lambda: coordination.COORDINATOR.stop(), goes_on=False)
        row = self.refused('the service stops')
        self.assertEqual('error', row.status)
        thread.join()

    def test_verification_stops_with_the_backup(self):
        def delete():
            row = self.cinder.backup(self.backup.id)
            row.status = 'deleting'
            row.save()

        thread = self.while_reading('_sha256file', delete)
        self.refused('was stopped: the backup became deleting')
        thread.join()

    def test_a_good_import_leaves_nothing_behind(self):
        imported = self.cinder.import_record(self.record)
        self.assertEqual('available', imported.status)
        self.assertNotIn('update', vars(imported))
        self.assertEqual(base.text(300000),
                         self.cinder.restore(self.backup.id))

    def test_two_chunks_are_restored_at_a_time(self):
        """If it fails, a restore has one processor."""
        self.cinder.import_record(self.record)
        # Neither goes on without the other.
        meeting = patcher.original('threading').Barrier(2)
        left = list(range(4))
        real = stores.PosixStore.pieces

        def pieces(store, container, name, extra_metadata=None):
            if left and name[-5:].isdigit():
                left.pop()
                meeting.wait(60)
            yield from real(store, container, name)

        self.patch('pieces', pieces)
        self.assertEqual(base.text(300000),
                         self.cinder.restore(self.backup.id))
        self.assertEqual([], left)

    def test_chunk_that_was_replaced_is_not_read(self):
        """A chunk that a restore does not need may be damaged."""
        self.cinder.import_record(self.record)
        volume = objects.Volume.get_by_id(self.cinder.context,
                                          self.backup.volume_id)
        content = base.noise(65536) + base.text(300000)[65536:]
        self.cinder.write_volume(volume.id, content)
        child = self.cinder.create_backup(volume, self.cinder.backup(
            self.backup.id))
        store = self.cinder.driver().get_store()
        path = (f'{store.directory(self.backup.container)}/'
                f'{self.backup.service_metadata}-00001')
        size = environment.os.path.getsize(path)
        with open(path, 'wb') as stream:
            stream.write(bytes(size))
        self.assertEqual(content, self.cinder.restore(child.id))
        # Another one is named, and so is this one by whom it is needed.
        err = self.assertRaises(exception.InvalidBackup, self.cinder.restore,
                                self.backup.id)
        self.assertIn('-00001 is damaged', str(err))

    def test_restore_stops_with_the_backup_meanwhile(self):
        """Although a chunk is being read."""
        self.cinder.import_record(self.record)
        row = self.cinder.backup(self.backup.id)
        row.status = 'restoring'
        row.save()

        def change():
            other = self.cinder.backup(self.backup.id)
            other.status = 'error'
            other.save()

        thread = self.while_reading('-00003', change, goes_on=False)
        volume = self.cinder.create_volume()
        with open(self.cinder.path(volume.id), 'wb') as stream:
            self.assertRaises(exception.BackupRestoreCancel,
                              self.cinder.driver().restore, row, volume.id,
                              stream, True)
        thread.join()

    def test_restore_stops_with_the_backup(self):
        self.cinder.import_record(self.record)
        row = self.cinder.backup(self.backup.id)
        driver = self.cinder.driver()
        volume = self.cinder.create_volume()
        with open(self.cinder.path(volume.id), 'wb') as stream:
            self.assertRaises(exception.BackupRestoreCancel, driver.restore,
                              row, volume.id, stream, True)

    def test_no_record_of_what_could_not_be_restored(self):
        self.cinder.import_record(self.record)
        store = self.cinder.driver().get_store()
        path = store.directory(self.backup.container)
        environment.os.remove(
            f'{path}/{self.backup.service_metadata}-00003')
        err = self.assertRaises(exception.InvalidBackup, self.cinder.export,
                                self.cinder.backup(self.backup.id))
        self.assertIn('-00003 is missing', str(err))

    def test_container_outside_of_the_store(self):
        # Cinder's own driver makes and fills it.
        volume = self.cinder.create_volume(b'x')
        for container in ('../outside', f'{self.cinder.directory}/outside',
                          'a/../../outside'):
            self.assertRaises(errors.BadLocation, self.cinder.create_backup,
                              volume, container=container)
