# SPDX-License-Identifier: Apache-2.0

"""Chunks that several threads compress and hash."""

import threading
from unittest import mock

from cinder.backup import chunkeddriver
from cinder.objects import fields
import testtools

from reference_drivers import options
from reference_drivers import parallel_chunks
from reference_drivers import zero_chunks
from reference_drivers.contract import base
from tests.functional import test_contract_default
from tests.functional import test_zero_chunks

_USUAL = chunkeddriver.ChunkedBackupDriver
_PATIENCE = 60


class ParallelChunksTest(test_contract_default.Directory, base.Contract,
                         testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.cinder.configure(backup_compression_algorithm='zlib')
        self.content = base.noise(2 * self.chunk) + base.text(
            5 * self.chunk + self.block)
        self.addCleanup(lambda: self.assertEqual([], [
            one for one in threading.enumerate()
            if one.name.startswith(parallel_chunks.THREADS)]))

    def threads(self, number):
        self.cinder.configure(**{
            f'{options.GROUP}__backup_threads': number})

    def patched(self, name, function, kind=_USUAL):
        """Have a method of Cinder's driver call a function before."""
        usual = getattr(kind, name)

        def call(*args, **kwargs):
            function(*args)
            return usual(*args, **kwargs)

        return mock.patch.object(kind, name, call)

    def test_two_at_a_time(self):
        """If it fails, a backup has one processor."""
        self.threads(2)
        # Neither goes on without the other.
        meeting = threading.Barrier(2)
        left = list(range(6))

        def meet(*args):
            if left:
                left.pop()
                meeting.wait(_PATIENCE)

        with self.patched('_prepare_output_data', meet):
            backup, = self.chain(self.content)
        self.assertEqual([], left)
        self.assert_restores(backup, self.content)

    def test_one_at_a_time(self):
        """As Cinder's driver does it, in the thread of the backup."""
        self.threads(1)
        found = set()
        with self.patched('_prepare_output_data', lambda *args: found.add(
                threading.current_thread())):
            backup, = self.chain(self.content)
        self.assertEqual({threading.current_thread()}, found)
        self.assert_restores(backup, self.content)

    def test_same_objects(self):
        """Of each number of threads, and of an incremental backup."""
        found = []
        contents = self.content, base.text(self.block) + self.content[
            self.block:3 * self.chunk] + base.noise(self.chunk) + self.content[
                4 * self.chunk:]
        for driver, number in ((test_zero_chunks.CINDER, 2),
                               (self.driver, 1), (self.driver, 2),
                               (self.driver, 7)):
            self.cinder.configure(backup_driver=driver)
            self.threads(number)
            found.append([test_zero_chunks.objects_of(self.objects, one)
                          for one in self.chain(*contents)])
        for one in found[1:]:
            self.assertEqual(found[0], one)

    def names(self, backup):
        return self.objects.list(*self.objects.locate(backup))

    def test_chunk_that_is_refused(self):
        """The backup ends in an error, and no later chunk is sent."""
        self.threads(3)
        sent = []

        def refuse(driver, container, name, **kwargs):
            sent.append(name.rpartition('-')[2])
            if len(sent) == 2:
                raise OSError(28, 'No space left on device')

        kind = type(self.cinder.driver())
        usual = kind._get_object_writer

        def writer(*args, **kwargs):
            refuse(*args, **kwargs)
            return usual(*args, **kwargs)

        with mock.patch.object(kind, '_get_object_writer', writer):
            self.assertRaises(OSError, self.chain, self.content)
        self.assertEqual(['00001', '00002'], sent)

    def test_cancelled(self):
        """No chunk is on the storage that was on its way."""
        self.threads(3)
        seen = []

        def cancel(*args):
            seen.append(args)
            if len(seen) == 5:
                row = self.cinder.backup(self.cinder.made[-1].id)
                row.status = fields.BackupStatus.DELETING
                row.save()

        with self.patched('_calculate_sha', cancel,
                          zero_chunks.ZeroChunksMixin):
            backup, = self.chain(self.content)
        self.assertEqual(5, len(seen))
        self.assertEqual([], self.names(backup))
