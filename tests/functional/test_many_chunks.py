# SPDX-License-Identifier: Apache-2.0

"""The requests and the memory of a verification of many chunks."""

import json
import tracemalloc

from cinder.backup.drivers import posix
import testtools

from benchmarks import chunks
from benchmarks import results
from benchmarks import steps
from reference_drivers.contract import environment
from reference_drivers.verification import store as stores

MIB = results.MIB


class CountingStore(stores.PosixStore):
    """Counts the listings, and the objects that are read."""

    listings = reads = 0

    def entries(self, *arguments):
        self.listings += 1
        return super().entries(*arguments)

    def pieces(self, *arguments):
        self.reads += 1
        return super().pieces(*arguments)


class DirectoryTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.cinder = self.useFixture(environment.Environment(
            'reference_drivers.default.DefaultBackupDriver',
            {'backup_enable_progress_timer': False}))

    def peak(self, step, *arguments):
        """The most bytes that Python allocated at a time in a step."""
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            step(*arguments)
            return tracemalloc.get_traced_memory()[1] - before
        finally:
            tracemalloc.stop()

    def as_cinder(self, backup):
        """Read what Cinder's own restore does before the first chunk."""
        driver = posix.PosixBackupDriver(self.cinder.context)
        metadata = driver._read_metadata(backup)
        found = sorted(driver._generate_object_names(backup))
        self.assertEqual(len(metadata['objects']) + 2, len(found))

    def verify(self, driver, backup):
        report = driver.verify(backup, 'presence')
        self.assertEqual([], report.problems)
        self.assertEqual(backup.object_count, len(report.chain[0].chunks))

    def test_presence_and_export(self):
        """Neither asks more often for more chunks."""
        for count in (10, 1000, 20_000):
            backup = chunks.create_backup(self.cinder, count)
            driver = self.cinder.driver()
            store = CountingStore(driver)
            driver.get_store = lambda store=store: store
            peak = self.peak(self.verify, driver, backup)
            # The metadata and the checksums.
            self.assertEqual((1, 2), (store.listings, store.reads))
            info = driver.export_record(backup)
            self.assertEqual((2, 4), (store.listings, store.reads))
            self.assertLess(len(json.dumps(info)), 4096)
            # A piece that is read, and the lists that Cinder has as well.
            self.assertLess(
                peak, self.peak(self.as_cinder, backup) + 1.5 * MIB)
            driver.delete_backup(backup)

    def test_memory_of_content(self):
        """It depends on the readers, and not on the number of chunks."""
        length, readers = 4 * MIB, 2
        self.cinder.configure(backup_compression_algorithm='zstd',
                              backup_file_size=length)
        peaks = []
        for count in (4, 16):
            volume = self.cinder.create_volume()
            steps.write_volume(self.cinder.path(volume.id), count * length)
            backup = self.cinder.create_backup(volume)
            driver = self.cinder.driver()

            def verify(driver=driver, backup=backup, read=count * length):
                report = driver.verify(backup, 'content', readers=readers)
                self.assertEqual(([], read), (report.problems, report.read))

            peaks.append(self.peak(verify))
        self.assertLess(peaks[0], readers * length)
        self.assertLess(peaks[1], 1.1 * peaks[0])
