# SPDX-License-Identifier: Apache-2.0

"""Encrypted volumes, with the real cryptsetup."""

import io
import os
from unittest import mock

import fixtures
import testtools

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.cloud import keys
from cinder_backup_recovery_tests.cloud import ledger
from cinder_backup_recovery_tests.cloud import resources
from cinder_backup_recovery_tests.content import access
from cinder_backup_recovery_tests.content import attachments
from cinder_backup_recovery_tests.content import compare
from cinder_backup_recovery_tests.content import encrypted
from cinder_backup_recovery_tests.content import layout
from cinder_backup_recovery_tests.content import luks
from tests.unit import fake_cloud

MIB = 1024 * 1024
_SIZE = 4 * MIB


def _require():
    try:
        luks.require()
    except exceptions.InvalidConfiguration as missing:
        raise testtools.TestCase.skipException(str(missing)) from None


class LuksTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        _require()
        self.header = luks.make_header('right')
        self.raw = io.BytesIO(self.header + bytes(_SIZE))

    def device(self):
        return luks.Device(self.raw, luks.open_header(self.header, 'right'))

    def test_only_its_passphrase_opens_it(self):
        self.assertEqual(32, len(luks.open_header(self.header, 'right')))
        self.assertIsNone(luks.open_header(self.header, 'wrong'))
        exc = self.assertRaises(exceptions.ContentMismatch, luks.open_header,
                                bytes(luks.HEADER), 'right')
        self.assertIn('no header of LUKS', str(exc))

    def test_no_passphrase_in_arguments(self):
        """The list of processes is for all users of a machine."""
        with mock.patch('subprocess.run',
                        return_value=mock.Mock(returncode=2)) as run:
            luks.open_header(self.header, 'right')
        self.assertNotIn('right', ' '.join(run.call_args.args[0]))
        self.assertEqual('right', run.call_args.kwargs['input'])

    def test_layout_is_written_and_read_back(self):
        whole = layout.Layout.scattered(1, _SIZE, (32768, MIB), MIB)
        whole = whole.overwrite(MIB, 4096).zero(MIB + 512, 1024)
        whole.write_to(self.device())
        comparison = compare.compare(whole, self.device())
        comparison.raise_if_different('device')
        # And nothing of it in clear.
        raw = self.raw.getvalue()[luks.HEADER:]
        self.assertNotIn(whole.read(0, 64), raw)
        # Zeros that were written are noise; a hole stays one.
        self.assertTrue(raw[MIB + 512:MIB + 1536].strip(b'\0'))
        hole = 7 * MIB // 2
        self.assertFalse(raw[hole:hole + 4096].strip(b'\0'))

    def test_a_bit_and_a_sector_in_another_place(self):
        whole = layout.Layout(1, _SIZE, (layout.Extent(0, 4096, 1),))
        whole.write_to(self.device())
        raw = bytearray(self.raw.getvalue())
        raw[luks.HEADER + 700] ^= 1
        raw[luks.HEADER + 2048:luks.HEADER + 2560] = (
            raw[luks.HEADER + 1024:luks.HEADER + 1536])
        self.raw = io.BytesIO(bytes(raw))
        found = compare.compare(whole, self.device())
        self.assertEqual({512, 2048},
                         {one.offset for one in found.differences})

    def test_positions_off_a_sector(self):
        device = self.device()
        device.write(bytes(range(256)) * 4)
        device.seek(500)
        self.assertEqual((bytes(range(256)) * 4)[500:530], device.read(30))
        self.assertEqual(530, device.tell())
        self.assertRaises(ValueError, device.write, bytes(512))
        device.seek(_SIZE)
        self.assertRaises(ValueError, device.write, bytes(512))
        self.assertEqual(b'', device.read(1))

    def test_without_cryptsetup(self):
        with mock.patch('shutil.which', return_value=None):
            exc = self.assertRaises(exceptions.InvalidConfiguration,
                                    luks.require)
        self.assertIn('apt-get install cryptsetup-bin', str(exc))


class EncryptedContentTest(testtools.TestCase):
    """With os-brick's own connector for files, on a sparse file."""

    def setUp(self):
        super().setUp()
        _require()
        self.useFixture(fixtures.FakeLogger())
        directory = self.useFixture(fixtures.TempDir()).path
        self.cloud = fake_cloud.FakeCloud()
        self.path = os.path.join(directory, 'volume')
        create = self.cloud.volumes.create_volume

        def create_file(**kwargs):
            volume = create(**kwargs)['volume']
            with open(self.path, 'xb') as stream:
                stream.truncate(kwargs['size'] * access.GIB)
            self.cloud.resources[clients.VOLUME, volume['id']].update(
                encrypted=True, encryption_key_id='one',
                connection_info={'driver_volume_type': 'local',
                                 'device_path': self.path})
            return {'volume': volume}

        self.cloud.volumes.create_volume = create_file
        own = ledger.Ledger(self.useFixture(fixtures.TempDir()).path)
        self.addCleanup(own.close)
        self.keys = mock.Mock(**{'key.return_value': bytes(range(32))})
        self.content = encrypted.EncryptedContent(
            resources.Resources(self.cloud, own, fake_cloud.PATIENCE,
                                lambda *args: None, 'prefix'),
            attachments.Host(basic=True), self.keys, set())
        self.layout = layout.Layout(
            1, access.GIB - luks.HEADER, (layout.Extent(4096, MIB, 1),))
        self.volume_id = self.content.create_volume(self.layout)

    def read(self):
        with self.content.read(self.volume_id) as stream:
            return compare.compare(self.layout, stream)

    def problem(self):
        return str(self.assertRaises(exceptions.ContentMismatch, self.read))

    def damage(self, offset, data):
        with open(self.path, 'r+b') as stream:
            stream.seek(offset)
            stream.write(data)

    def test_read_with_the_key_of_the_volume(self):
        self.assertTrue(self.read().ok)
        self.keys.key.assert_called_with('one')
        with open(self.path, 'rb') as stream:
            self.assertEqual(b'LUKS\xba\xbe', stream.read(6))
        self.assertEqual(access.GIB, os.stat(self.path).st_size)
        self.assertLess(os.stat(self.path).st_blocks * 512, 4 * MIB)

    def test_rewritten_with_the_same_header(self):
        with open(self.path, 'rb') as stream:
            before = stream.read(luks.HEADER)
        newer = self.layout.overwrite(8192, 512)
        self.content.rewrite(self.volume_id, newer,
                             since=self.layout.generation)
        with open(self.path, 'rb') as stream:
            self.assertEqual(before, stream.read(luks.HEADER))
        self.layout = newer
        self.assertTrue(self.read().ok)

    def test_another_key(self):
        self.keys.key.return_value = bytes(32)
        self.assertIn(f'volume {self.volume_id} is not opened by its key one',
                      self.problem())

    def test_fixed_key_whose_id_is_not_shown(self):
        del self.cloud.resources[clients.VOLUME, self.volume_id][
            'encryption_key_id']
        self.keys.key.side_effect = keys.Fixed(bytes(range(32)).hex()).key
        self.assertTrue(self.read().ok)

    def test_key_that_is_gone(self):
        self.keys.key.side_effect = keys.Fixed('00').key
        self.assertIn('key one does not exist', self.problem())

    def test_volume_of_a_plain_type(self):
        self.cloud.resources[clients.VOLUME, self.volume_id].update(
            encrypted=False)
        self.assertIn('its type is not encrypted', self.problem())

    def test_a_byte_of_the_header_that_no_key_needs(self):
        self.damage(luks.HEADER - 1, b'x')
        self.assertIn('is not the one that was written', self.problem())

    def test_header_that_was_not_restored(self):
        self.damage(0, bytes(luks.HEADER))
        self.assertIn('no header of LUKS', self.problem())


class FixedKeyTest(testtools.TestCase):

    def test_one_key_for_all(self):
        fixed = keys.Fixed('0a' * 32)
        self.assertEqual(b'\n' * 32,
                         fixed.key('00000000-0000-0000-0000-000000000000'))
        self.assertFalse(fixed.exists('one'))
        fixed.delete('one')
        self.assertEqual(1, fixed.count())
        self.assertRaises(exceptions.InvalidConfiguration, keys.Fixed, 'x')
