# SPDX-License-Identifier: Apache-2.0

"""The parts of the volume driver that no API shows well."""

import errno
import os
import pathlib
from unittest import mock

from cinder import exception
import fixtures
import testtools

from local_cloud.inside import volume_driver

KIB = 1024
MIB = 1024 ** 2


class SparseWriterTest(testtools.TestCase):
    SIZE = 16 * MIB

    def setUp(self):
        super().setUp()
        self.path = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path) / 'volume'
        with open(self.path, 'xb') as file:
            file.truncate(self.SIZE)

    def _write(self, *parts):
        writer = volume_driver.SparseWriter(str(self.path), self.SIZE)
        try:
            for part in parts:
                self.assertEqual(len(part), writer.write(part))
        finally:
            writer.close()

    def _allocated(self):
        return self.path.stat().st_blocks * 512

    def _assert_holds(self, content):
        self.assertTrue(content.ljust(self.SIZE, b'\0') ==
                        self.path.read_bytes())

    def test_parts_of_any_size(self):
        parts = [b'a' * 511, bytes(513), b'b', bytes(5 * MIB),
                 b'c' * (5 * MIB), b'']
        self._write(*parts)
        self._assert_holds(b''.join(parts))

    def test_zeros_take_no_room(self):
        self._write(bytes(self.SIZE))
        self.assertEqual(0, self._allocated())
        self._assert_holds(b'')

    def test_zeros_beside_data_take_no_room(self):
        self._write(b'x' * 64 * KIB, *[bytes(64 * KIB)] * 64,
                    b'x' * 64 * KIB)
        self.assertLessEqual(self._allocated(), 256 * KIB)

    def test_zeros_over_data(self):
        self.path.write_bytes(b'old' * (self.SIZE // 3))
        os.truncate(self.path, self.SIZE)
        self._write(bytes(MIB), b'new', bytes(5 * MIB))
        expected = bytes(MIB) + b'new' + bytes(5 * MIB)
        content = self.path.read_bytes()
        self.assertTrue(content.startswith(expected))
        self.assertTrue(b'old' in content[len(expected):])

    def test_zeros_over_islands_of_data(self):
        islands = range(0, self.SIZE, 2 * MIB)
        with open(self.path, 'r+b') as file:
            for place in islands:
                file.seek(place)
                file.write(b'x' * 4 * KIB)
        before = self._allocated()
        self._write(bytes(self.SIZE))
        self._assert_holds(b'')
        self.assertEqual(before, self._allocated())

    def test_exactly_full(self):
        self._write(b'x' * self.SIZE)
        self._assert_holds(b'x' * self.SIZE)

    def test_larger_than_the_volume(self):
        writer = volume_driver.SparseWriter(str(self.path), self.SIZE)
        self.addCleanup(writer.close)
        writer.write(b'x' * (self.SIZE - 1))
        for part in (b'yy', bytes(2)):
            self.assertRaises(exception.ImageUnacceptable, writer.write,
                              part)
        self.assertEqual(self.SIZE, self.path.stat().st_size)

    def test_writes_that_take_only_a_part(self):
        real = os.pwrite
        with mock.patch.object(
                os, 'pwrite', lambda descriptor, data, offset: real(
                    descriptor, data[:1000], offset)):
            self._write(b'x' * 10000)
        self._assert_holds(b'x' * 10000)

    def test_no_more_space(self):
        with mock.patch.object(os, 'pwrite', side_effect=OSError(
                errno.ENOSPC, 'No space left on device')):
            self.assertRaises(OSError, self._write, b'x')

    def test_a_file_system_that_knows_no_holes(self):
        """Then nothing may be taken for a hole."""
        with mock.patch.object(os, 'lseek', side_effect=OSError(
                errno.EINVAL, 'Invalid argument')):
            self.assertRaises(OSError, self._write, bytes(10))


class DriverTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.directory = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path)
        self.driver = volume_driver.SparseFileDriver(
            configuration=mock.Mock(
                sparse_file_directory=str(self.directory)))
        self.volume = self._resource('volume-1')

    def _resource(self, name):
        resource = mock.Mock(size=1)
        resource.name = name
        return resource

    def _files(self):
        return sorted(os.listdir(self.directory))

    def test_no_directory(self):
        self.driver.configuration.sparse_file_directory = '/no/such'
        self.assertRaises(exception.VolumeBackendAPIException,
                          self.driver.check_for_setup_error)

    def test_never_over_another_file(self):
        path = self.directory / 'volume-1'
        path.write_text('data')
        other = self._resource('volume-2')
        self.driver.create_volume(other)
        for create in (
                lambda: self.driver.create_volume(self.volume),
                lambda: self.driver.create_cloned_volume(self.volume, other),
                lambda: self.driver.create_volume_from_snapshot(
                    self.volume, other)):
            self.assertRaises(exception.VolumeBackendAPIException, create)
            self.assertEqual('data', path.read_text())

    def test_a_copy_that_fails_leaves_no_file(self):
        missing = self._resource('volume-none')
        for create in (self.driver.create_cloned_volume,
                       self.driver.create_volume_from_snapshot):
            error = self.assertRaises(exception.VolumeBackendAPIException,
                                      create, self.volume, missing)
            self.assertIn('No such file', str(error))
        self.assertEqual([], self._files())

    def test_an_image_that_breaks_off_leaves_no_file(self):
        service = mock.Mock()
        service.show.return_value = {'disk_format': 'raw'}

        def download(context, image_id, target):
            target.write(b'half')
            raise exception.ImageNotFound(image_id=image_id)

        service.download.side_effect = download
        self.assertRaises(
            exception.ImageNotFound, self.driver.clone_image, None,
            self.volume, None, {'id': 'i', 'disk_format': 'raw'}, service)
        self.assertEqual([], self._files())

    def test_a_revert_that_fails_changes_nothing(self):
        self.driver.create_volume(self.volume)
        with open(self.directory / 'volume-1', 'r+b') as file:
            file.write(b'data')
        self.assertRaises(
            exception.VolumeBackendAPIException,
            self.driver.revert_to_snapshot, None, self.volume,
            self._resource('snapshot-none'))
        self.assertEqual(['volume-1'], self._files())
        with open(self.directory / 'volume-1', 'rb') as file:
            self.assertEqual(b'data', file.read(4))

    def test_delete_of_what_a_killed_revert_left(self):
        self.driver.create_volume(self.volume)
        (self.directory / 'volume-1.revert').touch()
        self.driver.delete_volume(self.volume)
        self.driver.delete_volume(self.volume)
        self.assertEqual([], self._files())

    def test_a_file_that_a_client_cut(self):
        self.driver.create_volume(self.volume)
        path = self.directory / 'volume-1'
        os.truncate(path, 10)
        self.driver.terminate_connection(self.volume, None)
        self.assertEqual(1024 ** 3, path.stat().st_size)
