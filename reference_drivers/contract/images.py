# SPDX-License-Identifier: Apache-2.0

"""Volumes of one GiB, as sparse files or as images of RBD.

For drivers that are not chunked, and for such that take a volume in Ceph
another way than a file. It needs the modules ``rados`` and ``rbd``.
"""

from collections.abc import Collection
import contextlib
import json
import os
import time
from typing import Any

from os_brick.initiator import linuxrbd
from oslo_utils import importutils

from reference_drivers.contract import environment

rados: Any = importutils.try_import('rados')
rbd: Any = importutils.try_import('rbd')

GIB = 1 << 30
BLOCK = 4 << 20
#: Of a device that is copied as a whole; more than any content has here, so
#: that it ends in zeros.
SMALL = 4 * BLOCK

Content = bytes | dict[int, bytes]


def extents(content: Content) -> dict[int, bytes]:
    """A content as extents by their offsets."""
    return {0: content} if isinstance(content, bytes) else content


def blocks(content: Content) -> dict[int, bytes]:
    """The blocks of a volume that are not zero."""
    found: dict[int, bytearray] = {}
    for offset, data in extents(content).items():
        for start in range(offset // BLOCK * BLOCK, offset + len(data),
                           BLOCK):
            block = found.setdefault(start, bytearray(BLOCK))
            low = max(start, offset)
            high = min(start + BLOCK, offset + len(data))
            block[low - start:high - start] = data[low - offset:
                                                   high - offset]
    return {start: bytes(block) for start, block in sorted(found.items())
            if block.count(0) != BLOCK}


class Environment(environment.Environment):
    """Cinder whose volumes are sparse files, or images in a pool.

    :param conf: path of the cluster's ceph.conf, with a key of client.admin
    :param user: the user of volume and backup drivers
    :param as_images: whether volumes are images
    :param pools: of the volumes, and of the backups
    """

    def __init__(self, driver: str, options: dict[Any, Any], conf: str,
                 user: str, as_images: bool,
                 pools: tuple[str, str] = ('volumes', 'backups')):
        super().__init__(driver, options)
        self.conf = conf
        self.user = user
        self.as_images = as_images
        self.pools = pools
        self._written: dict[str, int] = {}

    def _setUp(self) -> None:
        super()._setUp()
        self.client = rados.Rados(conffile=self.conf, name='client.admin')
        self.client.connect()
        self.addCleanup(self.client.shutdown)
        self.volumes, self.backups = (self.client.open_ioctx(one)
                                      for one in self.pools)
        for ioctx in (self.volumes, self.backups):
            self.addCleanup(ioctx.close)
            # A full copy fills its image, and a pool in memory is small.
            self.addCleanup(self._remove_images, ioctx, self._written)

    def _remove_images(self, ioctx: Any, volumes: Collection[str]) -> None:
        """Remove the images of some volumes, and of their backups."""
        for name in rbd.RBD().list(ioctx):
            if name[len('volume-'):][:36] not in volumes:
                continue
            with rbd.Image(ioctx, name) as image:
                self._end_others(image)
                for one in list(image.list_snaps()):
                    image.remove_snap(one['name'])
            rbd.RBD().remove(ioctx, name)

    def _end_others(self, image: Any) -> None:
        """Evict clients that could not close an image.

        The cluster waits half a minute for a client that ended while the
        cluster did not answer.
        """
        own = self.client.get_addrs().rpartition('/')[2]
        deadline = time.monotonic() + 60
        while others := [
                one['addr'] for one in image.watchers_list()
                if one['addr'].rpartition('/')[2] != own]:
            if time.monotonic() > deadline:
                raise AssertionError(
                    f'{others} still hold a watch on an image')
            for address in others:
                code, _, text = self.client.mon_command(json.dumps({
                    'prefix': 'osd blocklist', 'blocklistop': 'add',
                    'addr': address}), b'')
                if code:
                    raise AssertionError(text)
            self.client.wait_for_latest_osdmap()

    def image(self, volume_id: str) -> Any:
        """A volume's image, open."""
        return rbd.Image(self.volumes, f'volume-{volume_id}')

    def write_volume(self, volume_id: str, content: Content) -> None:
        data = extents(content)
        before = self._written.get(volume_id)
        self._written[volume_id] = max(
            (offset + len(one) for offset, one in data.items()), default=0)
        if not self.as_images:
            # A device ends where it ends, and zeros are copied.
            with open(self.path(volume_id), 'wb') as stream:
                stream.truncate(max(SMALL, self._written[volume_id]))
                for offset, one in data.items():
                    stream.seek(offset)
                    stream.write(one)
            return
        with contextlib.suppress(rbd.ImageExists):
            rbd.RBD().create(self.volumes, f'volume-{volume_id}', GIB)
        with self.image(volume_id) as image:
            # The old content is discarded, as with a file.
            if before:
                image.discard(0, GIB)
            for offset, one in data.items():
                image.write(one, offset)

    def read_blocks(self, volume_id: str) -> dict[int, bytes]:
        """The blocks of a volume that are not zero."""
        found = {}
        with contextlib.ExitStack() as stack:
            if self.as_images:
                image = stack.enter_context(self.image(volume_id))
                read, starts = image.read, self._of_image(image)
            else:
                stream = stack.enter_context(open(self.path(volume_id),
                                                  'rb'))
                starts = self._of_file(stream.fileno())

                def read(start: int, length: int) -> bytes:
                    stream.seek(start)
                    return stream.read(length)

            for start in starts:
                data = read(start, min(BLOCK, GIB - start))
                if data.count(0) != len(data):
                    found[start] = data.ljust(BLOCK, b'\0')
        return found

    @staticmethod
    def _of_image(image: Any) -> list[int]:
        """Where an image may have data."""
        starts: set[int] = set()

        def add(offset: int, length: int, exists: bool) -> None:
            starts.update(range(offset // BLOCK * BLOCK, offset + length,
                                BLOCK))

        image.diff_iterate(0, image.size(), None, add, True, True)
        return sorted(starts)

    @staticmethod
    def _of_file(number: int) -> list[int]:
        """Where a file may have data."""
        starts: set[int] = set()
        end = 0
        while True:
            try:
                begin = os.lseek(number, end, os.SEEK_DATA)
            except OSError:
                return sorted(starts)
            end = os.lseek(number, begin, os.SEEK_HOLE)
            starts.update(range(begin // BLOCK * BLOCK, end, BLOCK))

    def read_volume(self, volume_id: str) -> bytes:
        """A volume to its last byte that is not zero.

        And at least as much as was written to it last.
        """
        found = self.read_blocks(volume_id)
        parts = [found.get(start, bytes(BLOCK)) for start in
                 range(0, max(found, default=-BLOCK) + BLOCK, BLOCK)]
        data = b''.join(parts).rstrip(b'\0')
        return data.ljust(self._written.get(volume_id, 0), b'\0')

    def restore(self, backup_id: str, volume: Any = None) -> bytes:
        """Restore a backup; the target is removed when it was read.

        A driver may fill it with zeros, and all clients of a cluster that is
        full wait without a limit. After an error it stays: the cluster may
        not answer.
        """
        before = set(self._written)
        restored = super().restore(backup_id, volume)
        targets = self._written.keys() - before
        if volume is not None:
            targets.add(volume.id)
        if self.as_images:
            self._remove_images(self.volumes, targets)
        else:
            for one in targets:
                os.unlink(self.path(one))
        return restored

    def device(self, volume_id: str) -> Any:
        if not self.as_images:
            return super().device(volume_id)
        # As os-brick's connector does it.
        client = linuxrbd.RBDClient(self.user, self.pools[0],
                                    conffile=self.conf, rados=rados, rbd=rbd)
        volume = linuxrbd.RBDVolume(client, f'volume-{volume_id}')
        return linuxrbd.RBDVolumeIOWrapper(linuxrbd.RBDImageMetadata(
            volume, self.pools[0], self.user, self.conf))

    def attached(self, volume_id: str) -> Any:
        if not self.as_images:
            return self.path(volume_id)
        return self.device(volume_id)
