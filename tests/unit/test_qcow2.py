# SPDX-License-Identifier: Apache-2.0

import io
import json
import pathlib
import shutil
import struct
import subprocess
import zlib

import ddt
import fixtures
import testtools

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.content import layout
from cinder_backup_recovery_tests.content import qcow2

MIB = 1024 * 1024
GIB = 1024 * MIB
CLUSTER = qcow2.CLUSTER


def image(made, length=None):
    """The file of an image."""
    return io.BufferedReader(qcow2.Image(
        made, made.size_bytes if length is None else length)).read()


def content(data):
    """The content of an image."""
    return b''.join(qcow2.read([data[:1000], data[1000:]]))


@ddt.ddt
class ImageTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.scattered = layout.Layout.scattered(7, 64 * MIB)

    @ddt.data(512, CLUSTER, CLUSTER + 512, 4 * MIB + 1024, 64 * MIB)
    def test_reads_as_its_layout(self, length):
        data = image(self.scattered, length)
        self.assertEqual(self.scattered.read(0, length), content(data))
        self.assertEqual(
            len(data), len(qcow2.Image(self.scattered, length)))

    def test_holes_and_zeros_take_no_room(self):
        made = layout.Layout(1, 3 * GIB).overwrite(0, 512).overwrite(
            2 * GIB, 512).overwrite(GIB, 8 * MIB).zero(GIB, 8 * MIB)
        # A header, its two tables of counts, L1, two of L2 and the data.
        self.assertEqual(8 * CLUSTER, len(image(made)))

    def test_of_nothing(self):
        self.assertEqual(bytes(MIB), content(image(layout.Layout(1, MIB))))

    def test_every_cluster_is_counted_once(self):
        # More data than one block of counts is for, of which none is made.
        made = layout.Layout(1, 3 * GIB).overwrite(0, 3 * GIB)
        file = qcow2.Image(made, made.size_bytes)
        head = file.read(CLUSTER)
        place, clusters = struct.unpack_from('>QI', head, 48)
        self.assertEqual((CLUSTER, 1), (place, clusters))
        table = file.read(CLUSTER)
        blocks = [number for number in struct.unpack('>8192Q', table)
                  if number]
        self.assertEqual([2 * CLUSTER, 3 * CLUSTER], blocks)
        counts = b''.join(file.read(CLUSTER) for _ in blocks)
        number = len(file) // CLUSTER
        self.assertEqual(b'\0\1' * number, counts[:2 * number])
        self.assertEqual(b'', counts[2 * number:].strip(b'\0'))

    def test_qemu_reads_it(self):
        path, raw = self._paths('image', 'raw')
        path.write_bytes(image(self.scattered))
        self._qemu('check', '-f', 'qcow2', path)
        told = json.loads(self._qemu('info', '--output=json', path))
        self.assertEqual(('qcow2', 64 * MIB),
                         (told['format'], told['virtual-size']))
        self._qemu('convert', '-f', 'qcow2', '-O', 'raw', path, raw)
        self.assertTrue(
            self.scattered.read(0, 64 * MIB) == raw.read_bytes())

    @ddt.data((), ('-c',), ('-o', 'cluster_size=4096'),
              ('-c', '-o', 'compat=0.10,cluster_size=2M'))
    def test_of_qemu(self, options):
        raw, path = self._paths('raw', 'image')
        # Of words, so that it is compressed; of random bytes it is not.
        for fill in (layout.TEXT, layout.RANDOM):
            made = layout.Layout.scattered(7, 24 * MIB, fill=fill)
            raw.write_bytes(made.read(0, 24 * MIB))
            self._qemu('convert', *options, '-f', 'raw', '-O', 'qcow2', raw,
                       path)
            self.assertTrue(
                made.read(0, 24 * MIB) == content(path.read_bytes()))

    def _paths(self, *names):
        place = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        return [place / name for name in names]

    def _qemu(self, *arguments):
        if shutil.which('qemu-img') is None:
            self.skipTest('qemu-img is not installed')
        return subprocess.run(
            ['qemu-img', *map(str, arguments)], check=True,
            capture_output=True, timeout=120).stdout


@ddt.ddt
class ReadTest(testtools.TestCase):
    """Files that Cinder or Glance got wrong, or that are something else."""

    def setUp(self):
        super().setUp()
        self.layout = layout.Layout(1, MIB).overwrite(2 * CLUSTER, CLUSTER)
        self.data = bytearray(image(self.layout))
        self.l2 = len(self.data) - 2 * CLUSTER

    def _refused(self, data, text):
        error = self.assertRaises(exceptions.ContentMismatch, content,
                                  bytes(data))
        self.assertIn(text, str(error))
        self.assertNotIn('\n', str(error))

    def test_nothing(self):
        self._refused(b'', 'the image ends at 0')

    def test_raw(self):
        self._refused(bytes(MIB), 'is not qcow2')

    @ddt.data((4, 4), (8, 1), (32, 1), (20, 8), (20, 22))
    @ddt.unpack
    def test_what_is_not_of_this_kind(self, place, value):
        # The version, a backing file, encryption, the size of a cluster.
        width = '>Q' if place == 8 else '>I'
        struct.pack_into(width, self.data, place, value)
        self._refused(self.data, 'is not qcow2 without a backing file')

    def test_unknown_features(self):
        struct.pack_into('>I', self.data, 4, 3)
        self.assertEqual(self.layout.read(0, MIB), content(self.data))
        struct.pack_into('>Q', self.data, 72, 1 << 3)
        self._refused(self.data, 'further features')

    def test_a_cut_file(self):
        self._refused(self.data[:-1], f'the image ends at '
                                      f'{len(self.data) - 1}, within the')

    def test_tables_that_are_too_few(self):
        struct.pack_into('>Q', self.data, 24, 3 * GIB)
        self._refused(self.data, 'and 1 tables for')

    def test_cluster_of_zeros(self):
        entry, = struct.unpack_from('>Q', self.data, self.l2 + 16)
        struct.pack_into('>Q', self.data, self.l2 + 16, entry | 1)
        self.assertEqual(bytes(MIB), content(self.data))

    def test_compressed_cluster(self):
        self._compress(b'word' * (CLUSTER // 4))
        self.assertEqual(bytes(2 * CLUSTER) + b'word' * (CLUSTER // 4),
                         content(self.data)[:3 * CLUSTER])

    def test_compressed_cluster_that_is_short(self):
        self._compress(b'word')
        self._refused(self.data, f'of 4 bytes, not {CLUSTER}')

    def test_compressed_cluster_that_is_none(self):
        self._compress(bytes(CLUSTER))
        self.data[-CLUSTER:] = b'\xff' * CLUSTER
        self._refused(self.data, 'cannot be decompressed')

    def _compress(self, data):
        maker = zlib.compressobj(wbits=-12)
        made = maker.compress(data) + maker.flush()
        place = len(self.data) - CLUSTER
        self.data[place:] = made
        sectors = (len(made) - 1) // 512
        struct.pack_into('>Q', self.data, self.l2 + 16,
                         1 << 62 | sectors << 54 | place)
