# SPDX-License-Identifier: Apache-2.0

"""The content of volumes through Glance, for clouds where no more is open."""

from collections.abc import Iterator
import contextlib
import io
from typing import Any

from tempest.lib import exceptions as lib_exc

from cinder_backup_recovery_tests import connecting
from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import facts
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.cloud import resources as test_resources
from cinder_backup_recovery_tests.cloud import waiters
from cinder_backup_recovery_tests.content import access
from cinder_backup_recovery_tests.content import layout as content_layout
from cinder_backup_recovery_tests.content import qcow2

# Images end at a multiple of it; every driver's sectors divide it.
ROUND = 1024 * 1024
CHUNK = 1024 * 1024


class Head(io.RawIOBase):
    """The first bytes of a file, as a file to upload."""

    def __init__(self, data: io.RawIOBase, length: int) -> None:
        super().__init__()
        self._data = data
        self._left = length

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read as much as there is room for."""
        piece = self._data.read(min(len(buffer), self._left)) or b''
        buffer[:len(piece)] = piece
        self._left -= len(piece)
        return len(piece)


class ImageContent(access.VolumeContent):
    """Volumes from images, os-reimage and volumes to images.

    :param disk_format: of the images, raw or qcow2
    """

    def __init__(self, resources: test_resources.Resources,
                 disk_format: str = connecting.RAW) -> None:
        super().__init__(resources)
        self.disk_format = disk_format

    def create_volume(self, layout: content_layout.Layout,
                      **kwargs: Any) -> str:
        """Create a volume from an image of a layout."""
        with self._image(layout) as image_id:
            volume = self.resources.create_volume(
                size=access.gigabytes(layout), imageRef=image_id, **kwargs)
        return volume['id']

    def rewrite(self, volume_id: str, layout: content_layout.Layout,
                since: int = 0) -> None:
        """Write an image of a layout into an existing volume.

        :param since: not used: an image is always the whole content
        """
        resources = self.resources
        resources.ledger.require(clients.VOLUME, [volume_id])
        with resources.story.step(
                f'write generation {layout.generation} into volume '
                f'{volume_id}', facts.WRITE), \
                self._image(layout) as image_id:
            # The status is downloading before the request is answered.
            resources.api.reimage(volume_id, image_id)
            waiters.wait_for_status(
                resources.api, clients.VOLUME, volume_id, 'available',
                resources.patience)

    @contextlib.contextmanager
    def read(self, volume_id: str) -> Iterator[Iterator[bytes]]:
        """Upload a volume to an image and read that, piece by piece."""
        resources = self.resources
        image = resources.upload_volume(volume_id, self.disk_format)
        response = resources.api.images.show_image_file(
            image['id'], chunked=True)
        try:
            # urllib3 raises when the connection ends before the length
            # that Glance announced.
            pieces = response.stream(CHUNK)
            yield (qcow2.read(pieces) if self.disk_format == connecting.QCOW2
                   else pieces)
        finally:
            response.close()
            response.release_conn()
            resources.remove(clients.IMAGE, image['id'])

    @contextlib.contextmanager
    def _image(self, layout: content_layout.Layout) -> Iterator[str]:
        """Create an image that ends past the last written byte."""
        end = max(access.written_end(layout), 1)
        length = min(-(-end // ROUND) * ROUND, layout.size_bytes)
        with layout.open() as whole:
            data: io.RawIOBase = Head(whole, length)
            if self.disk_format == connecting.QCOW2:
                data = image_file = qcow2.Image(layout, length)
                length = len(image_file)
            image = self.resources.create_image(
                io.BufferedReader(data, CHUNK), self.disk_format)
        if image['size'] != length:
            raise exceptions.ContentMismatch(
                f'image {image["id"]} has {image["size"]} bytes after the '
                f'upload of {length}')
        yield image['id']
        # Where volumes are clones of images the image must stay as long as
        # the volume; the clean-up, which comes later, removes both.
        with contextlib.suppress(lib_exc.Conflict):
            self.resources.remove(clients.IMAGE, image['id'])
