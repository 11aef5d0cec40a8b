# SPDX-License-Identifier: Apache-2.0

"""The digest of a backup's content.

It costs the data and not the size: a plain SHA-256 of the volume would have
to be fed the zeros of all its holes. Blocks of zeros do not count, whether
they are written or holes.

A digest has two forms. ``parts:`` is what is made now: the blocks of the
volume are dealt to eight parts, and each has a sum of its own, so that one
part of a large backup can be verified at a time. All of it has room in the
row of the backup. ``sha256:``, one sum over all blocks in order, is what
records of version 1 have.
"""

import base64
from collections.abc import Callable
from collections.abc import Iterator
import hashlib
import time
from typing import Any

from reference_drivers.ceph import names as naming
from reference_drivers.ceph import pool as pools
from reference_drivers.verification import errors
from reference_drivers.verification import hashing
from reference_drivers.verification import restored
from reference_drivers.verification import running

# Made once: every block is compared with it.
_ZEROS = bytes(pools.BLOCK)


def is_zero(data: bytes) -> bool:
    """Check whether a block has nothing but zeros."""
    return data == (_ZEROS if len(data) == pools.BLOCK else bytes(len(data)))


def block_sums(blocks: list[bytes]) -> list[bytes | None]:
    """The sums of blocks.

    :returns: the SHA-256 of each, None for one that is all zeros
    """
    found: list[bytes | None] = [None] * len(blocks)
    of_data = [number for number, block in enumerate(blocks)
               if not is_zero(block)]
    made = hashing.each([blocks[number] for number in of_data])
    for number, digest in zip(of_data, made, strict=True):
        found[number] = digest
    return found


def block_sum(data: bytes) -> bytes | None:
    """The sum of one block."""
    return block_sums([data])[0]


class Digest:
    """Sums up a content from the sums of its blocks, in their order.

    :param size: bytes of the image
    """

    def __init__(self, size: int):
        header = f'rbd-blocks {pools.BLOCK} {size}\n'.encode()
        self._whole = hashlib.sha256(header)
        self._parts = [hashlib.sha256(header + bytes([number]))
                       for number in range(naming.PARTS)]

    def add(self, offset: int, block: bytes | None) -> None:
        """Add a block."""
        if block is None:
            return
        both = offset.to_bytes(8, 'big') + block
        self._whole.update(both)
        self._parts[part_of(offset)].update(both)

    @property
    def whole(self) -> str:
        """The form of records of version 1."""
        return f'sha256:{self._whole.hexdigest()}'

    @property
    def parts(self) -> str:
        """The form with a sum for each part."""
        return 'parts:' + ''.join(
            base64.urlsafe_b64encode(one.digest()).decode()[:naming.PART_LENGTH]
            for one in self._parts)

    def differs(self, wanted: str, numbers: Any = range(naming.PARTS)) -> bool:
        """Compare."""
        if wanted.startswith('sha256:'):
            return wanted != self.whole
        found, start = self.parts, len('parts:')
        return any(wanted[begin:begin + naming.PART_LENGTH] !=
                   found[begin:begin + naming.PART_LENGTH]
                   for begin in (start + number * naming.PART_LENGTH
                                 for number in numbers))


def part_of(offset: int) -> int:
    """The part to which a block belongs."""
    return offset // pools.BLOCK % naming.PARTS


def select(wanted: str | None, offsets: list[int],
           part: tuple[int, int] = (1, 1), budget: int | None = None
           ) -> list[int]:
    """Choose what parts of a large backup to read.

    :param wanted: the digest that it is compared with; one of version 1
        needs all
    :param part: n and t: the n-th of t shares; all t together are all
    :param budget: how many bytes to read at most, but at least one part
    """
    numbers = list(range(naming.PARTS))
    if wanted is None or wanted.startswith('sha256:'):
        return numbers
    number, total = part
    numbers = (numbers[number - 1::total] if total <= naming.PARTS else
               [(number - 1) % naming.PARTS])
    if budget is None:
        return numbers
    chosen: list[int] = []
    for one in numbers:
        budget -= pools.BLOCK * sum(part_of(offset) == one
                                    for offset in offsets)
        if budget < 0 and chosen:
            break
        chosen.append(one)
    return chosen


class Reader:
    """Reads images and sums them up.

    :param number: how many threads read; each keeps as many blocks as are
        hashed together
    :param should_stop: asked once a second; a reason to stop, or None
    :param progress: called with the bytes read and all bytes
    """

    def __init__(self, number: int = 2,
                 should_stop: Callable[[], str | None] | None = None,
                 progress: Callable[[int, int], None] | None = None):
        self._number = number
        self._stop = should_stop or (lambda: None)
        self._progress = progress or (lambda done, total: None)
        #: bytes that were read, and bytes that may be data
        self.read = 0
        self.total = 0

    def digest(self, pool: pools.Pool, image: Any, name: str,
               limit: int | None = None) -> Digest | None:
        """The digest of an image.

        :param limit: bytes of data above which it is not computed
        :returns: the digest, None above the limit
        :raises Problem: it cannot be read
        """
        size = pool.size(image, name)
        offsets = pool.blocks(image, name)
        if limit is not None and len(offsets) * pools.BLOCK > limit:
            return None
        return self._digest(pool, image, name, size, offsets)

    def differs(self, pool: pools.Pool, image: Any, name: str, wanted: str,
                part: tuple[int, int] = (1, 1), budget: int | None = None
                ) -> bool:
        """Compare an image, or a part of it, with its digest.

        :raises Problem: it cannot be read
        """
        size = pool.size(image, name)
        offsets = pool.blocks(image, name)
        numbers = select(wanted, offsets, part, budget)
        self.total = len(offsets) * pools.BLOCK
        found = self._digest(pool, image, name, size,
                             [offset for offset in offsets
                              if part_of(offset) in numbers])
        return found.differs(wanted, numbers)

    def _digest(self, pool: pools.Pool, image: Any, name: str, size: int,
                offsets: list[int]) -> Digest:
        found = Digest(size)
        asked = time.monotonic()
        self.read = 0

        def ask() -> None:
            nonlocal asked
            asked = time.monotonic()
            reason = self._stop()
            if reason:
                raise errors.Stopped(
                    f'the verification was stopped: {reason}')

        for offset, block in pool.each(image, name, offsets, size,
                                       self._number, block_sums,
                                       hashing.together(), ask):
            found.add(offset, block)
            self.read += min(pools.BLOCK, size - offset)
            self._progress(self.read, len(offsets) * pools.BLOCK)
            if time.monotonic() > asked + 1:
                ask()
        return found


def differing(volume: restored.Volume, size: int, wanted: str
              ) -> Iterator[restored.Extent]:
    """Compare a restored volume with the digest of its backup.

    :param size: bytes of the image
    :returns: the parts that differ, each with the blocks that it consists of
    """
    def use(start: int, end: int) -> tuple[int, bytes | None]:
        # As the image: after the end of the volume, there is nothing.
        return start, block_sum(volume.piece(start, end - start))

    found = Digest(size)
    for offset, block in volume.each(0, min(size, volume.size), pools.BLOCK,
                                     use):
        found.add(offset, block)
    if wanted.startswith('sha256:'):
        if found.differs(wanted):
            yield restored.Extent(restored.DIFFERS, 0, size)
    else:
        for number in range(naming.PARTS):
            if found.differs(wanted, [number]):
                yield restored.Extent(
                    restored.DIFFERS, number * pools.BLOCK, pools.BLOCK,
                    naming.PARTS * pools.BLOCK)
    yield from volume.missing(size)


class Copy:
    """A volume that is read, and what was read of it summed up.

    :param size: bytes of the image to which it is copied
    """

    def __init__(self, source: Any, size: int):
        self._source = source
        self._size = size
        self._digest = Digest(size)
        self._offset = 0
        self._rest = bytearray()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def read(self, length: int = -1) -> bytes:
        """Read on, without seeking."""
        data = self._source.read(length)
        view = memoryview(data)
        while view:
            if not self._rest and len(view) >= pools.BLOCK:
                self._add(bytes(view[:pools.BLOCK]))
                view = view[pools.BLOCK:]
                continue
            part = view[:pools.BLOCK - len(self._rest)]
            self._rest += part
            view = view[len(part):]
            if len(self._rest) == pools.BLOCK:
                self._add(bytes(self._rest))
                self._rest.clear()
        return data

    def _add(self, block: bytes) -> None:
        self._digest.add(self._offset, running.native(block_sum, block))
        self._offset += len(block)

    def finish(self) -> Digest:
        """The digest of the copy, which is zeros after the volume's end."""
        if self._rest:
            length = min(pools.BLOCK, self._size - self._offset)
            self._add(bytes(self._rest).ljust(length, b'\0'))
            self._rest.clear()
        return self._digest
