# SPDX-License-Identifier: Apache-2.0

import errno
import io
import os
import sys
from types import SimpleNamespace
from unittest import mock

import fixtures
import testtools

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.cloud import resources
from cinder_backup_recovery_tests.content import access
from cinder_backup_recovery_tests.content import attachments
from cinder_backup_recovery_tests.content import compare
from cinder_backup_recovery_tests.content import layout
from tests.unit import fake_cloud

MIB = 1024 * 1024


class AttachmentContentTest(fake_cloud.CloudCase):
    """With os-brick's own connector for files, on a sparse file."""

    def setUp(self):
        super().setUp()
        self.directory = self.useFixture(fixtures.TempDir()).path
        create = self.cloud.volumes.create_volume

        def create_file(**kwargs):
            volume = create(**kwargs)['volume']
            path = os.path.join(self.directory, volume['id'])
            with open(path, 'wb') as stream:
                stream.truncate(kwargs['size'] * access.GIB)
            self.cloud.resources[clients.VOLUME, volume['id']].update(
                connection_info={'driver_volume_type': 'local',
                                 'device_path': path})
            return {'volume': volume}

        self.cloud.volumes.create_volume = create_file
        self.content = attachments.AttachmentContent(
            resources.Resources(
                self.cloud, self.ledger, fake_cloud.PATIENCE,
                lambda *args: None, 'prefix'),
            attachments.Host(basic=True))
        self.layout = layout.Layout(
            seed=1, size_bytes=access.GIB,
            extents=(layout.Extent(4096, 512, 1),
                     layout.Extent(8 * MIB, MIB, 1),
                     layout.Extent(access.GIB - 512, 512, 1)))

    def _path(self, volume_id):
        return os.path.join(self.directory, volume_id)

    def _no_attachment_left(self):
        self.assertEqual([], [key for key in self.cloud.resources
                              if key[0] == clients.ATTACHMENT])
        self.assertEqual([], self.ledger.entries(clients.ATTACHMENT))

    def test_write_and_read_back(self):
        volume_id = self.content.create_volume(self.layout)
        self._no_attachment_left()
        self.assertLess(os.stat(self._path(volume_id)).st_blocks * 512,
                        4 * MIB)
        with self.content.read(volume_id) as stream:
            self.assertTrue(compare.compare(self.layout, stream).ok)
        self._no_attachment_left()
        self.assertIn('complete', [one[0] for one in self.cloud.requests])

    def test_rewrite_writes_only_what_is_new(self):
        volume_id = self.content.create_volume(self.layout)
        newer = self.layout.zero(8 * MIB, 4096).overwrite(64 * MIB, 512)
        with open(self._path(volume_id), 'r+b') as stream:
            stream.seek(4096)
            stream.write(b'\xff')
        self.content.rewrite(volume_id, newer,
                             since=self.layout.generation)
        with self.content.read(volume_id) as stream:
            found = compare.compare(newer, stream)
        self.assertEqual([(4096, 512)], [(one.offset, one.length)
                                         for one in found.differences])

    def test_a_volume_of_another_size(self):
        volume_id = self.content.create_volume(self.layout)
        os.truncate(self._path(volume_id), access.GIB - 512)
        exc = self.assertRaises(exceptions.ContentMismatch,
                                self.content.rewrite, volume_id, self.layout)
        self.assertIn('has 1073741312 bytes before', str(exc))
        self._no_attachment_left()

    def test_a_volume_that_grows(self):
        volume_id = self.content.create_volume(self.layout)

        def grow(device, since=0):
            device.seek(access.GIB)
            device.write(b'more')

        with mock.patch.object(layout.Layout, 'write_to',
                               lambda self, *args, **kwargs:
                               grow(*args, **kwargs)):
            exc = self.assertRaises(
                exceptions.ContentMismatch, self.content.rewrite, volume_id,
                self.layout)
        self.assertIn('has 1073741828 bytes after', str(exc))

    def test_reading_does_not_write(self):
        volume_id = self.content.create_volume(self.layout)
        with self.content.read(volume_id) as stream:
            self.assertRaises(OSError, stream.write, b'x')

    def test_holes_are_zeros_that_are_not_read(self):
        """Of a GiB with holes before, between and after its data."""
        volume_id = self.content.create_volume(self.layout)
        path = self._path(volume_id)
        os.truncate(path, access.GIB - MIB)
        os.truncate(path, access.GIB)
        with open(path, 'rb') as plain, open('/proc/self/io') as io_counts:
            def read():
                io_counts.seek(0)
                return int(io_counts.readline().split()[1])

            with self.content.read(volume_id) as stream:
                # Positions on the edge of a hole and within it.
                for size in (4096, 1, 4095, 7 * MIB, 3 * MIB, 600, 100 * MIB):
                    self.assertEqual(plain.read(size), stream.read(size))
                    self.assertEqual(plain.tell(), stream.tell())
                before = read()
                self.assertEqual(access.GIB - plain.tell(),
                                 sum(map(len, compare.in_blocks(stream, MIB))))
                self.assertLess(read() - before, MIB)
                self.assertEqual(b'', stream.read(1))
                stream.seek(access.GIB - 10)
                self.assertEqual(bytes(10), stream.read())

    def test_file_system_without_holes(self):
        volume_id = self.content.create_volume(self.layout)
        lseek = os.lseek

        def without(descriptor, position, whence):
            if whence == os.SEEK_DATA:
                raise OSError(errno.EINVAL, 'Invalid argument')
            return lseek(descriptor, position, whence)

        with (mock.patch('os.lseek', without),
              self.content.read(volume_id) as stream):
            self.assertTrue(compare.compare(self.layout, stream).ok)

    def test_detached_also_after_a_failure(self):
        volume_id = self.content.create_volume(self.layout)

        def read():
            with self.content.read(volume_id):
                raise KeyError

        self.assertRaises(KeyError, read)
        self._no_attachment_left()

    def test_no_connection_info(self):
        volume_id = self.content.create_volume(self.layout)
        self.cloud.resources[clients.VOLUME, volume_id][
            'connection_info'] = {}
        exc = self.assertRaises(exceptions.ResourceFailed,
                                self.content.rewrite, volume_id, self.layout)
        self.assertIn(f'how volume {volume_id} is connected', str(exc))
        self._no_attachment_left()

    def test_may_not_open(self):
        volume_id = self.content.create_volume(self.layout)
        denied = PermissionError(13, 'Permission denied', '/dev/vdx')
        with mock.patch('cinder_backup_recovery_tests.content.attachments.'
                        'open', side_effect=denied, create=True):
            exc = self.assertRaises(
                exceptions.InvalidConfiguration, self.content.rewrite,
                volume_id, self.layout)
        self.assertIn("'/dev/vdx' cannot be opened", str(exc))
        self.assertIn('content_access', str(exc))
        self._no_attachment_left()

    def test_written_through_to_the_storage(self):
        with mock.patch.object(attachments, '_sync') as sync:
            self.content.create_volume(self.layout)
        sync.assert_called_once()

    def test_failed_sync_is_an_error(self):
        with (open(os.path.join(self.directory, 'x'), 'wb') as device,
              mock.patch('os.fsync', side_effect=OSError(5, 'I/O error'))):
            self.assertRaises(OSError, attachments._sync, device)

    def test_not_a_file(self):
        device = mock.Mock(spec=io.RawIOBase)
        device.fileno.side_effect = OSError
        attachments._sync(device)
        with attachments._opened(device, True) as opened:
            self.assertIs(device, opened)


class HostTest(testtools.TestCase):
    def test_basic_needs_no_program(self):
        with mock.patch('subprocess.Popen', side_effect=AssertionError):
            properties = attachments.Host('192.0.2.1', basic=True
                                          ).properties()
        self.assertEqual('192.0.2.1', properties['ip'])
        self.assertIn('host', properties)

    def test_no_root_helper(self):
        host = attachments.Host(root_helper='/no/such/helper')
        brick = SimpleNamespace(get_connector_properties=mock.Mock(
            side_effect=FileNotFoundError('/no/such/helper')))
        self.useFixture(fixtures.MockPatchObject(
            attachments, '_os_brick', lambda: brick))
        exc = self.assertRaises(exceptions.InvalidConfiguration,
                                host.properties)
        self.assertIn('root_helper = /no/such/helper', str(exc))

    def test_os_brick_missing(self):
        with mock.patch.dict(sys.modules, {'os_brick': None}):
            exc = self.assertRaises(exceptions.InvalidConfiguration,
                                    attachments._os_brick)
        self.assertIn("pip install '.[attachment]'", str(exc))
        self.assertNotIn('\n', str(exc))
