# SPDX-License-Identifier: Apache-2.0

"""RBD images as devices; a real one is in the tests of the local cloud."""

import io
import os
from types import SimpleNamespace
from unittest import mock

import fixtures
from os_brick.initiator import linuxrbd
import testtools

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.content import access
from cinder_backup_recovery_tests.content import attachments
from cinder_backup_recovery_tests.content import compare
from cinder_backup_recovery_tests.content import layout
from cinder_backup_recovery_tests.content import rbd

MIB = 1024 * 1024


class Image:
    """The methods that librbd's image has, and no more."""

    def __init__(self, size):
        self.content = bytearray(size)
        self.flushed = 0

    def size(self):
        return len(self.content)

    def read(self, offset, length):
        if offset + length > len(self.content):
            raise ValueError('librbd does not read past the end')
        return bytes(self.content[offset:offset + length])

    def write(self, data, offset):
        if not isinstance(data, bytes):
            raise TypeError('librbd takes bytes only')
        self.content[offset:offset + len(data)] = data
        self.flushed = 0
        return len(data)

    def flush(self):
        self.flushed += 1


class DeviceTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.image = Image(4 * MIB)

    def _device(self, write=True):
        return rbd.Device(self.image, write)

    def test_layout_is_written_and_read_back(self):
        whole = layout.Layout(
            seed=1, size_bytes=4 * MIB,
            extents=(layout.Extent(0, 512, 1),
                     layout.Extent(MIB, 2 * MIB, 1),
                     layout.Extent(4 * MIB - 512, 512, 1)))
        whole.write_to(self._device())
        self.assertNotEqual(0, self.image.flushed)
        self.assertTrue(compare.compare(whole, self._device(False)).ok)
        self.image.content[MIB] ^= 1
        self.assertFalse(compare.compare(whole, self._device(False)).ok)

    def test_positions(self):
        device = self._device()
        self.assertEqual(4 * MIB, device.seek(0, os.SEEK_END))
        self.assertEqual(b'', device.read(1))
        self.assertEqual(4 * MIB - 2, device.seek(-2, os.SEEK_CUR))
        self.assertEqual(b'\0\0', device.read(512))
        self.assertEqual(4 * MIB, device.tell())
        self.assertRaises(ValueError, device.seek, -1)

    def test_says_how_much_it_wrote(self):
        device = self._device()
        device.seek(5)
        self.assertEqual(3, device.write(memoryview(b'abc')))
        self.assertEqual(b'\0abc\0', bytes(self.image.content[4:9]))

    def test_nothing_behind_the_end(self):
        device = self._device()
        device.seek(4 * MIB - 1)
        self.assertRaises(OSError, device.write, b'ab')
        self.assertEqual(4 * MIB, len(self.image.content))
        self.assertEqual(4 * MIB, device.truncate(0))

    def test_reading_does_not_write(self):
        self.assertRaises(io.UnsupportedOperation,
                          self._device(False).write, b'a')

    def test_handle_of_os_brick_is_opened(self):
        handle = SimpleNamespace(rbd_image=self.image)
        with attachments._opened(handle, True) as device:
            self.assertEqual(1, device.write(b'a'))
            attachments._sync(device)

    def test_size_is_compared_with_the_layout(self):
        whole = layout.Layout(seed=1, size_bytes=access.GIB, extents=())
        exc = self.assertRaises(
            exceptions.ContentMismatch,
            attachments.AttachmentContent._check_size, 'x', self._device(),
            whole, 'before')
        self.assertIn('has 4194304 bytes before', str(exc))


class KeyTest(testtools.TestCase):

    INFO = {'driver_volume_type': 'rbd', 'name': 'pool/image',
            'cluster_name': 'ceph', 'auth_username': 'no-such-user'}

    def setUp(self):
        super().setUp()
        self.path = self.useFixture(fixtures.TempDir()).join('keyring')
        for name in ('rados', 'rbd'):
            self.useFixture(fixtures.MockPatchObject(
                linuxrbd, name, mock.Mock()))

    def test_key_of_the_configured_file(self):
        with open(self.path, 'w') as stream:
            stream.write('[client.x]')
        host = attachments.Host(rbd_keyring=self.path)
        self.assertEqual({**self.INFO, 'keyring': '[client.x]'},
                         host.complete(self.INFO))
        self.assertNotIn('keyring', self.INFO)

    def test_no_such_file(self):
        exc = self.assertRaises(exceptions.InvalidConfiguration,
                                rbd.with_key, self.INFO, self.path)
        self.assertIn(f'{self.path} cannot be read', str(exc))
        self.assertIn('rbd_keyring', str(exc))

    def test_no_file_where_os_brick_looks(self):
        exc = self.assertRaises(exceptions.InvalidConfiguration,
                                rbd.with_key, self.INFO, '')
        self.assertIn('/etc/ceph/ceph.client.no-such-user.keyring', str(exc))

    def test_cluster_without_users(self):
        info = {**self.INFO, 'auth_username': None}
        self.assertEqual(info, rbd.with_key(info, ''))

    def test_no_bindings(self):
        with mock.patch.object(linuxrbd, 'rbd', None):
            exc = self.assertRaises(exceptions.InvalidConfiguration,
                                    attachments.Host().complete, self.INFO)
        self.assertIn('python3-rbd', str(exc))

    def test_other_volumes_need_none(self):
        info = {'driver_volume_type': 'local'}
        with mock.patch.object(linuxrbd, 'rbd', None):
            self.assertIs(info, attachments.Host().complete(info))
