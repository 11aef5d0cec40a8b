# SPDX-License-Identifier: Apache-2.0

"""Backups of zeros, as Cinder's driver makes them."""

import io
import json
import os
import tempfile
from unittest import mock

from cinder.backup import chunkeddriver
import ddt
from oslo_config import fixture as config_fixture
import testtools

from reference_drivers import options
from reference_drivers import zero_chunks
from reference_drivers.contract import base
from tests.functional import ceph_cases
from tests.functional import test_contract_default

CINDER = 'cinder.backup.drivers.posix.PosixBackupDriver'
_DRIVERS = CINDER, 'reference_drivers.default.DefaultBackupDriver'


def objects_of(objects, backup):
    """The objects of a backup, by names without that of the backup."""
    container, prefix = objects.locate(backup)
    found = {}
    for name in objects.list(container, prefix):
        content = objects.read(container, name)
        kind = name.removeprefix(prefix)
        if kind == '_metadata':
            content = [sorted(one.items()) for each in json.loads(
                content)['objects'] for one in each.values()]
        elif kind == '_sha256file':
            content = json.loads(content)['sha256s']
        found[kind] = content
    return found


@ddt.ddt
class ZeroChunksTest(test_contract_default.Directory, base.Contract,
                     testtools.TestCase):
    def setUp(self):
        super().setUp()
        zero_chunks._results.clear()

    def contents(self):
        """Zeros before, between and after data, and a short last chunk."""
        zeros = bytes(2 * self.chunk)
        half = self.chunk // 2
        first = (zeros + base.text(self.chunk) + zeros + bytes(half) +
                 base.text(half) + bytes(self.block))
        return [first, zeros + base.noise(self.block) + first[
            2 * self.chunk + self.block:], bytes(len(first))]

    def stored(self, driver):
        """The objects of a chain, without the names of its backups."""
        self.cinder.configure(backup_driver=driver)
        return [objects_of(self.objects, one)
                for one in self.chain(*self.contents())]

    @ddt.data('zlib', 'bz2', 'none')
    def test_same_objects(self, algorithm):
        self.cinder.configure(backup_compression_algorithm=algorithm)
        usual, ours = map(self.stored, _DRIVERS)
        self.assertEqual(usual, ours)
        for backup, content in zip(self.chain(*self.contents()),
                                   self.contents(), strict=True):
            self.assert_restores(backup, content)

    def test_compressed_once(self):
        """If it fails, a backup of zeros takes several times as long."""
        self.cinder.configure(backup_compression_algorithm='zlib')
        usual = chunkeddriver.ChunkedBackupDriver._prepare_output_data
        with mock.patch.object(
                chunkeddriver.ChunkedBackupDriver, '_prepare_output_data',
                autospec=True, side_effect=usual) as prepared:
            for _ in range(2):
                self.chain(bytes(5 * self.chunk))
        self.assertEqual(1, prepared.call_count)

    @ddt.data(False, True)
    def test_same_objects_of_a_sparse_file(self, read_holes):
        """If it fails, a hole is where data was, or the other way round."""
        self.cinder.configure(**{
            f'{options.GROUP}__read_holes': read_holes})
        contents = self.contents()
        stored = []
        for driver in _DRIVERS:
            with mock.patch.object(self.cinder, 'write_volume', self._dig):
                stored.append(self.stored(driver))
        self.assertEqual(*stored)
        for backup, content in zip(self.chain(*contents), contents,
                                   strict=True):
            self.assert_restores(backup, content)

    def _dig(self, volume_id, content):
        """Write a volume, with a hole wherever there are zeros."""
        page = 4096
        with open(self.cinder.path(volume_id), 'wb') as stream:
            for start in range(0, len(content), page):
                piece = content[start:start + page]
                stream.seek(start)
                if piece.strip(b'\0'):
                    stream.write(piece)
            stream.truncate(len(content))

    def test_holes_are_not_read(self):
        """If it fails, a backup of a sparse volume takes as long as of all."""
        size = 1 << 20
        with tempfile.TemporaryFile() as file:
            for offset in 3 * size, 5 * size + size // 2:
                file.seek(offset)
                file.write(b'x')
            file.truncate(9 * size + 5)
            file.seek(0)
            with zero_chunks._sparse(file) as sparse:
                found = [sparse.read(size) for _ in range(10)]
                self.assertEqual(b'', sparse.read(size))
            file.seek(0)
            self.assertEqual(file.read(), b''.join(found))
            shared = [one is sparse.zeros for one in found]
            # A hole may be smaller than a chunk, and the end is one.
            self.assertEqual([True] * 3 + [False, True, False] + [True] * 3 +
                             [False], shared)

    def test_no_file_is_read_as_usual(self):
        stream = io.BytesIO(b'12345')
        with zero_chunks._sparse(stream) as found:
            self.assertIs(stream, found)
        reader, writer = os.pipe()
        with open(reader, 'rb') as stream, open(writer, 'wb'):
            with zero_chunks._sparse(stream) as found:
                self.assertIs(stream, found)

    def test_other_options(self):
        """A result for one algorithm is not used for another."""
        found = []
        for algorithm in 'zlib', 'bz2', 'zlib':
            self.cinder.configure(backup_compression_algorithm=algorithm)
            chunks = dict(self.stored(_DRIVERS[1])[0]['_metadata'][0])
            found.append(chunks['compression'])
        self.assertEqual(['zlib', 'bz2', 'zlib'], found)


class ImageTest(ceph_cases.ClusterCase):
    """A volume in a real cluster, opened as Cinder does it."""

    size = 4 << 20

    def setUp(self):
        super().setUp()
        client = ceph_cases.rados.Rados(conffile=str(self.cluster.conf),
                                        name='client.admin')
        client.connect()
        self.addCleanup(client.shutdown)
        self.ioctx = client.open_ioctx(self.cluster.pools[0])
        self.addCleanup(self.ioctx.close)

    def opened(self, name):
        image = ceph_cases.rbd.Image(self.ioctx, name)
        file = ceph_cases.linuxrbd.RBDVolumeIOWrapper(
            ceph_cases.linuxrbd.RBDImageMetadata(image, '', '', ''))
        self.addCleanup(file.close)
        return image, file

    def read(self, name):
        """Read an image in its objects.

        :returns: for each of them, whether it was known as a hole
        """
        with self.opened(name)[1] as file:
            usual = file.read()
        with (self.opened(name)[1] as file,
              zero_chunks._sparse(file) as sparse):
            found = list(iter(lambda: sparse.read(self.size), b''))
            shared = [one is sparse.zeros for one in found]
        self.assertEqual(usual, b''.join(found))
        return shared

    def test_holes_are_not_read(self):
        """If it fails, a backup of 1 TiB takes as long as if it were full."""
        rbd = ceph_cases.rbd
        self.addCleanup(rbd.RBD().remove, self.ioctx, 'parent')
        rbd.RBD().create(self.ioctx, 'parent', 6 * self.size + 512, features=(
            rbd.RBD_FEATURE_LAYERING))
        image, _ = self.opened('parent')
        for offset in 0, 4 * self.size:
            image.write(b'of the parent', offset)
        self.assertEqual([False, True, True, True, False, True, False],
                         self.read('parent'))
        image.create_snap('snapshot')
        self.addCleanup(image.remove_snap, 'snapshot')
        image.protect_snap('snapshot')
        self.addCleanup(image.unprotect_snap, 'snapshot')
        rbd.RBD().clone(self.ioctx, 'parent', 'snapshot', self.ioctx, 'child',
                        rbd.RBD_FEATURE_LAYERING)
        self.addCleanup(rbd.RBD().remove, self.ioctx, 'child')
        with rbd.Image(self.ioctx, 'child') as child:
            child.write(b'own', 2 * self.size + 7)
            child.discard(4 * self.size, self.size)
        # What is discarded hides the parent's data.
        found = self.read('child')
        self.assertEqual([False, True, False, True], found[:4])
        self.assertEqual([True, False], found[5:])

    def test_read_holes(self):
        rbd = ceph_cases.rbd
        rbd.RBD().create(self.ioctx, 'image', self.size)
        self.addCleanup(rbd.RBD().remove, self.ioctx, 'image')
        config = self.useFixture(config_fixture.Config(zero_chunks.CONF))
        config.config(read_holes=True, group=options.GROUP)
        with (self.opened('image')[1] as file,
              zero_chunks._sparse(file) as found):
            self.assertIs(file, found)
