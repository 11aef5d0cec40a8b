# SPDX-License-Identifier: Apache-2.0

from tempest.lib import exceptions as lib_exc
import testtools

from cinder_backup_recovery_tests import connecting
from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.cloud import resources
from cinder_backup_recovery_tests.content import access
from cinder_backup_recovery_tests.content import images
from cinder_backup_recovery_tests.content import layout
from cinder_backup_recovery_tests.content import qcow2
from tests.unit import fake_cloud

MIB = 1024 * 1024


class ImageContentTest(fake_cloud.CloudCase):
    #: Bytes of the image of the layout.
    length = MIB

    def setUp(self):
        super().setUp()
        self.content = images.ImageContent(resources.Resources(
            self.cloud, self.ledger, fake_cloud.PATIENCE,
            lambda *args: None, 'prefix'))
        self.layout = layout.Layout(
            seed=1, size_bytes=access.GIB,
            extents=(layout.Extent(4096, 512, 1),))

    def _images(self):
        return [key for key in self.cloud.resources
                if key[0] == clients.IMAGE]

    def test_create(self):
        volume_id = self.content.create_volume(self.layout, name='the-name')
        created, = (request[1] for request in self.cloud.requests
                    if request[0] == 'create_volume')
        self.assertEqual(1, created['size'])
        self.assertEqual('the-name', created['name'])
        self.assertEqual(self.layout.read(0, MIB),
                         self.cloud.files[volume_id])
        self.assertEqual([], self._images())

    def test_images_are_private(self):
        self.content.create_volume(self.layout)
        created, = (request[1] for request in self.cloud.requests
                    if request[0] == 'create_image')
        self.assertEqual(('raw', 'private'), (created['disk_format'],
                                              created['visibility']))

    def test_rewrite_covers_what_was_ever_written(self):
        # Not shorter than data that is to become zeros: what lies behind an
        # image keeps its content.
        volume_id = self.content.create_volume(
            self.layout.overwrite(7 * MIB, 4096))
        newer = self.layout.overwrite(7 * MIB, 4096).zero(7 * MIB, 4096)
        self.content.rewrite(volume_id, newer)
        self.assertEqual(newer.read(0, 8 * MIB),
                         self.cloud.files[volume_id])
        self.assertEqual(8 * MIB, len(self.cloud.files[volume_id]))
        self.assertEqual([], self._images())

    def test_rewrite_of_a_foreign_volume(self):
        volume_id = self.cloud.add(clients.VOLUME)
        self.assertRaises(exceptions.NotInLedger, self.content.rewrite,
                          volume_id, self.layout)
        self.assertEqual([], self.cloud.requests)

    def test_an_upload_that_was_cut(self):
        def store(image_id, data):
            self.cloud.resources[clients.IMAGE, image_id].update(
                status='active', size=len(data.read(512)))

        self.cloud.images.store_image_file = store
        exc = self.assertRaises(exceptions.ContentMismatch,
                                self.content.create_volume, self.layout)
        self.assertIn(f'has 512 bytes after the upload of {self.length}',
                      str(exc))

    def test_an_image_that_is_in_use_is_left_to_the_clean_up(self):
        self.cloud.refuse['delete'] = lib_exc.Conflict()
        self.content.create_volume(self.layout)
        self.assertEqual(1, len(self.ledger.entries(clients.IMAGE)))

    def test_read_streams_and_removes(self):
        volume_id = self.content.create_volume(self.layout)
        self.cloud.files[volume_id] = b'ab' * 3 * MIB
        with self.content.read(volume_id) as stream:
            pieces = list(stream)
        self.assertEqual([images.CHUNK] * 6, list(map(len, pieces)))
        self.assertEqual(b'ab' * 3 * MIB, b''.join(pieces))
        asked = [request[0] for request in self.cloud.requests]
        self.assertIn(True, [request[2] for request in self.cloud.requests
                             if request[0] == 'download'])
        self.assertIn('release_conn', asked)
        self.assertEqual([], self._images())

    def test_read_that_is_broken_off(self):
        volume_id = self.content.create_volume(self.layout)

        def read():
            with self.content.read(volume_id):
                raise KeyError

        self.assertRaises(KeyError, read)
        self.assertEqual('release_conn', self.cloud.requests[-2][0])
        self.assertEqual([], self._images())


class Qcow2ContentTest(ImageContentTest):
    """The same through images of qcow2, for what differs."""

    length = 393216

    def setUp(self):
        super().setUp()
        self.content.disk_format = connecting.QCOW2

    def _stored(self, volume_id):
        return b''.join(qcow2.read([self.cloud.files[volume_id]]))

    def test_create(self):
        volume_id = self.content.create_volume(self.layout)
        self.assertEqual(self.layout.read(0, MIB), self._stored(volume_id))
        self.assertEqual([], self._images())

    def test_images_are_private(self):
        volume_id = self.content.create_volume(self.layout)
        with self.content.read(volume_id):
            pass
        created, = (request[1] for request in self.cloud.requests
                    if request[0] == 'create_image')
        self.assertEqual(('qcow2', 'private'), (created['disk_format'],
                                                created['visibility']))
        uploaded, = (request[2] for request in self.cloud.requests
                     if request[0] == 'upload_volume')
        self.assertEqual('qcow2', uploaded['disk_format'])

    def test_rewrite_covers_what_was_ever_written(self):
        volume_id = self.content.create_volume(
            self.layout.overwrite(7 * MIB, 4096))
        newer = self.layout.overwrite(7 * MIB, 4096).zero(7 * MIB, 4096)
        self.content.rewrite(volume_id, newer)
        self.assertEqual(newer.read(0, 8 * MIB), self._stored(volume_id))

    def test_read_streams_and_removes(self):
        volume_id = self.content.create_volume(
            self.layout.overwrite(5 * MIB, 4096))
        with self.content.read(volume_id) as stream:
            pieces = list(stream)
        self.assertEqual([images.CHUNK] * 6, list(map(len, pieces)))
        self.assertEqual(
            self.layout.overwrite(5 * MIB, 4096).read(0, 6 * MIB),
            b''.join(pieces))
        self.assertEqual([], self._images())


class HeadTest(testtools.TestCase):
    def test_ends_where_it_is_told(self):
        whole = layout.Layout(
            seed=1, size_bytes=access.GIB,
            extents=(layout.Extent(0, 8192, 1),)).open()
        head = images.Head(whole, 5000)
        pieces = [head.read(4096), head.read(4096), head.read(4096)]
        self.assertEqual([4096, 904, 0], list(map(len, pieces)))


class SizesTest(testtools.TestCase):
    def test_only_whole_gib(self):
        self.assertEqual(2, access.gigabytes(
            layout.Layout(1, 2 * access.GIB)))
        for size in (512, access.GIB + 512):
            self.assertRaises(ValueError, access.gigabytes,
                              layout.Layout(1, size))

    def test_written_end_counts_zeros(self):
        self.assertEqual(0, access.written_end(layout.Layout(1, access.GIB)))
        self.assertEqual(2048, access.written_end(layout.Layout(
            1, access.GIB, (layout.Extent(0, 512, 1),
                            layout.Extent(1024, 1024, 2, layout.ZEROS)))))
