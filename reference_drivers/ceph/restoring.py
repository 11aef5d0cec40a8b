# SPDX-License-Identifier: Apache-2.0

"""Write a backup's content to a volume."""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import os
import stat
from typing import Any

from reference_drivers.ceph import digest as digests
from reference_drivers.ceph import names as naming
from reference_drivers.ceph import pool as pools
from reference_drivers.verification import errors
from reference_drivers.verification import running


def limit(volume_file: Any, timeout: float) -> None:
    """Let writing to a volume in Ceph end in an error when nothing answers.

    What a write waits for cannot be interrupted, and closing the volume
    would wait for it too. So its own client is told, the one that os-brick
    has opened. Other devices have no such limit: what is slow is no store
    that hangs.

    :param timeout: seconds for each request
    """
    volume = getattr(volume_file, 'rbd_image', None)
    client = getattr(getattr(volume, 'client', None), 'client', None)
    if client is not None and hasattr(client, 'conf_set'):
        client.conf_set('rados_osd_op_timeout',
                        str(max(1, round(timeout))))


class Writer:
    """Writes one backup to one volume.

    :param readers: how many blocks are read at the same time
    :param should_go_on: called after each block; raises to stop
    """

    def __init__(self, volume_file: Any, volume_is_new: bool, readers: int,
                 should_go_on: Callable[[], None]):
        self._file = volume_file
        self._new = volume_is_new
        self._readers = readers
        self._go_on = should_go_on
        # A file of librbd has no number to sync by, and needs none.
        self._number: int | None = None
        with contextlib.suppress(OSError):
            self._number = volume_file.fileno()
        self._regular = (self._number is not None and
                         stat.S_ISREG(os.fstat(self._number).st_mode))

    def write(self, pool: pools.Pool, image: Any, place: naming.Place,
              size: int, wanted: str | None) -> None:
        """Write all that the volume must have, and compare it meanwhile.

        :param wanted: the digest of its content, None to compare nothing
        :raises WrongContent: what was written is not what was backed up
        :raises Problem: the backup cannot be read, or the volume not written
        """
        found = digests.Digest(size)
        for offset, data, block in self._blocks(pool, image, place, size,
                                                wanted is not None):
            if data is not None:
                found.add(offset, block)
                self._put(pool, offset, data)
            elif not self._new:
                self._zeros(pool, offset, min(pools.BLOCK, size - offset))
            self._go_on()
        if wanted is not None and found.differs(wanted):
            raise errors.WrongContent(
                f'the content of {place.url} differs from its digest',
                place.image)
        if self._regular and not self._new and self._length() < size:
            self._file.truncate(size)
        self._file.flush()
        if self._number is not None:
            running.native(os.fsync, self._number)

    def _blocks(self, pool: pools.Pool, image: Any, place: naming.Place,
                size: int, sums: bool
                ) -> Iterator[tuple[int, bytes | None, bytes | None]]:
        """All blocks in order, with their sums; None for zeros.

        Not those that are holes, where the volume is new.
        """
        def use(blocks: list[bytes]
                ) -> list[tuple[bytes | None, bytes | None]]:
            return [(None, None) if digests.is_zero(data) else
                    (data, digests.block_sum(data) if sums else None)
                    for data in blocks]

        present = pool.blocks(image, place.image)
        start = 0
        for offset, (data, block) in pool.each(
                image, place.image, present, size, self._readers, use):
            if not self._new:
                for hole in range(start, offset, pools.BLOCK):
                    yield hole, None, None
            start = offset + pools.BLOCK
            yield offset, data, block
        if not self._new:
            for hole in range(start, size, pools.BLOCK):
                yield hole, None, None

    def _zeros(self, pool: pools.Pool, offset: int, length: int) -> None:
        # An image of RBD need not be filled to read as zeros. What is less
        # than a block may be too small for its granularity.
        volume = getattr(self._file, 'rbd_image', None)
        if self._regular and offset >= self._length():
            # Cinder opens a regular file so that it is empty. What is
            # beyond its end need not be filled either.
            return
        if volume is not None and length == pools.BLOCK:
            self._call(pool, offset, volume.discard, offset, length)
        else:
            self._put(pool, offset, bytes(length))

    def _length(self) -> int:
        self._file.flush()
        return os.fstat(self._file.fileno()).st_size

    def _put(self, pool: pools.Pool, offset: int, data: bytes) -> None:
        self._file.seek(offset)
        self._call(pool, offset, self._file.write, data)

    @staticmethod
    def _call(pool: pools.Pool, offset: int, function: Callable[..., Any],
              *args: Any) -> None:
        try:
            running.native(function, *args)
        except (pool.rados.Error, pool.rbd.Error) as err:
            if pool.is_timeout(err):
                raise errors.TimedOut(
                    f'the volume did not answer within {pool.timeout:g} s '
                    f'at {offset}', 'volume') from err
            raise errors.Unreadable(
                f'the volume cannot be written at {offset}: {err}',
                'volume') from err
