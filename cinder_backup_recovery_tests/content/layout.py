# SPDX-License-Identifier: Apache-2.0
"""A layout: the extents that a test writes into a volume.

A layout is a few numbers, and the content of the whole volume follows from
them: it is written, uploaded, hashed and compared without a copy of it on any
disk. What was never written reads as zeros, like a new volume.

Each write is a generation of its own, so that a restored volume tells the
data of an incremental backup from that of the full one below it.
"""

import bisect
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import functools
import hashlib
import os
import stat
from typing import Any
from typing import BinaryIO

from cinder_backup_recovery_tests.content import positions
from cinder_backup_recovery_tests.content import stamp

SECTOR = stamp.SECTOR
DATA = 'data'
ZEROS = 'zeros'
RANDOM = stamp.RANDOM
TEXT = stamp.TEXT

_BLOCK = 1024 * 1024


@dataclasses.dataclass(frozen=True)
class Extent:
    """Bytes ``offset`` to ``offset + length`` that a generation wrote.

    Offset and length are in bytes and multiples of 512. ``kind`` is ``data``
    or ``zeros``: a hole reads the same as zeros, but zeros must be written
    over the data of an older generation.
    """

    offset: int
    length: int
    generation: int
    kind: str = DATA

    @property
    def end(self) -> int:
        """Offset past the last byte."""
        return self.offset + self.length


@dataclasses.dataclass(frozen=True)
class Layout:
    """The whole content of a volume, made from a few numbers.

    :param seed: 64 bits that tell this layout from all others
    :param size_bytes: size of the volume, a multiple of 512
    :param extents: what was written, ordered, without overlaps
    :param fill: ``random``, which no compression makes smaller, or ``text``
    :raises ValueError: a number is out of its range, not a multiple of 512,
        or the extents are not in order
    """

    seed: int
    size_bytes: int
    extents: tuple[Extent, ...] = ()
    fill: str = RANDOM

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2 ** 64:
            raise ValueError(f'seed {self.seed} is not a number of 64 bits')
        if self.size_bytes < 0 or self.size_bytes % SECTOR:
            raise ValueError(f'size {self.size_bytes} is not a multiple of '
                             f'{SECTOR}')
        if self.fill not in stamp.MAGICS:
            raise ValueError(f'fill {self.fill!r} is not one of '
                             f'{", ".join(stamp.MAGICS)}')
        object.__setattr__(self, 'extents', tuple(self.extents))
        end = 0
        for extent in self.extents:
            _check_range(extent.offset, extent.length, self.size_bytes)
            if extent.offset < end:
                raise ValueError(f'{extent} begins before offset {end}, the '
                                 f'end of the one before')
            if not 0 < extent.generation < 2 ** 32:
                raise ValueError(f'{extent} has no generation of 32 bits '
                                 f'above 0')
            if extent.kind not in (DATA, ZEROS):
                raise ValueError(f'{extent} is neither data nor zeros')
            end = extent.end

    @classmethod
    def scattered(cls, seed: int, size_bytes: int,
                  boundaries: Iterable[int] = (32 * 1024, 1024 * 1024),
                  middle: int = 4 * 1024 * 1024,
                  fill: str = RANDOM) -> 'Layout':
        """Create data where drivers make mistakes, as generation 1.

        At the start, at the end up to the very last sector, over the first
        and over another boundary of each given block size by one sector on
        either side, and a run in the middle that starts and ends off any
        boundary. What does not fit into a small volume is left out.

        :param boundaries: sizes of blocks in bytes that a driver cuts the
            volume into: chunks, blocks of hashes, objects
        :param middle: bytes of the run in the middle
        """
        wanted = [(0, 3 * SECTOR), (size_bytes - 5 * SECTOR, 5 * SECTOR)]
        for boundary in boundaries:
            far = size_bytes * 3 // 8 // boundary * boundary
            wanted += [(edge - SECTOR, 2 * SECTOR)
                       for edge in (boundary, far + boundary)]
        begin = size_bytes // 2 // SECTOR * SECTOR + SECTOR
        wanted.append((begin, middle // SECTOR * SECTOR))
        return cls(seed, size_bytes, fill=fill).overwrite_ranges(
            [(offset, length) for offset, length in wanted
             if offset >= 0 and length
             and offset + length <= size_bytes] or [(0, size_bytes)])

    @property
    def generation(self) -> int:
        """Number of the newest generation; 0 when nothing was written."""
        return max((extent.generation for extent in self.extents), default=0)

    def overwrite(self, offset: int, length: int) -> 'Layout':
        """Make the next generation, with new data in one place.

        :param offset: in bytes, a multiple of 512
        :param length: in bytes, a multiple of 512
        :raises ValueError: the range is not within the volume
        """
        return self._next([(offset, length)], DATA)

    def overwrite_ranges(self, ranges: Iterable[tuple[int, int]]) -> 'Layout':
        """Make the next generation, with new data in several places.

        :param ranges: offset and length of each, see :meth:`overwrite`
        """
        return self._next(ranges, DATA)

    def zero(self, offset: int, length: int) -> 'Layout':
        """Make the next generation, with zeros written in one place.

        :param offset: in bytes, a multiple of 512
        :param length: in bytes, a multiple of 512
        :raises ValueError: the range is not within the volume
        """
        return self._next([(offset, length)], ZEROS)

    def resized(self, size_bytes: int) -> 'Layout':
        """Copy the data to a larger volume, with zeros past the old end.

        :raises ValueError: data would be cut off
        """
        return dataclasses.replace(self, size_bytes=size_bytes)

    def extent_at(self, offset: int) -> Extent | None:
        """Find the extent at an offset.

        :returns: the extent; None where nothing was ever written
        """
        index = bisect.bisect_right(self._starts, offset) - 1
        if index >= 0 and offset < self.extents[index].end:
            return self.extents[index]
        return None

    def read(self, offset: int, length: int) -> bytes:
        """Read a range; short at the end of the volume, like a file."""
        end = min(offset + length, self.size_bytes)
        if offset >= end:
            return b''
        parts = []
        for extent in self._within(offset, end):
            if extent.kind != DATA:
                continue
            begin, stop = max(extent.offset, offset), min(extent.end, end)
            if begin > offset:
                parts.append(bytes(begin - offset))
            first = begin // SECTOR
            made = stamp.sectors(self.seed, extent.generation, first,
                                 -(-stop // SECTOR) - first, self.fill)
            skip = begin - first * SECTOR
            parts.append(made if len(made) == stop - begin else
                         made[skip:skip + stop - begin])
            offset = stop
        parts.append(bytes(end - offset))
        return b''.join(parts) if len(parts) > 1 else parts[0]

    def is_hole(self, offset: int, length: int) -> bool:
        """Check whether a range has no data, without reading it."""
        return all(extent.kind == ZEROS
                   for extent in self._within(offset, offset + length))

    def blocks(self, block_size: int = _BLOCK) -> Iterator[bytes]:
        """Iterate over the whole content, in bounded memory.

        :param block_size: bytes of each block; the last one may be shorter
        :returns: the blocks; those without data are one object
        """
        zeros = bytes(block_size)
        for offset in range(0, self.size_bytes, block_size):
            length = min(block_size, self.size_bytes - offset)
            if not self.is_hole(offset, length):
                yield self.read(offset, length)
            else:
                yield zeros if length == block_size else zeros[:length]

    def sha256(self) -> str:
        """Hash the whole content, holes as zeros."""
        digest = hashlib.sha256()
        for block in self.blocks():
            digest.update(block)
        return digest.hexdigest()

    def open(self) -> 'LayoutReader':
        """Open the content as a file, to upload it."""
        return LayoutReader(self)

    def write_to(self, target: str | os.PathLike[str] | BinaryIO,
                 since: int = 0) -> int:
        """Write the extents into a file or device, sparse.

        Unwritten ranges are skipped, so a new file stays sparse and an old
        one keeps its content there; extents of zeros are written.
        A file gets the size of the volume, a device keeps its own.

        :param target: a path, made when missing, or an open binary file
        :param since: only the extents of generations above this one, to
            bring a volume that holds that generation up to date
        :returns: how many bytes were written
        :raises OSError: the target cannot be written
        """
        if isinstance(target, (str, os.PathLike)):
            number = os.open(target, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC,
                             0o666)
            with os.fdopen(number, 'r+b') as stream:
                return self.write_to(stream, since)
        written = 0
        for extent in self.extents:
            if extent.generation <= since:
                continue
            target.seek(extent.offset)
            for offset in range(extent.offset, extent.end, _BLOCK):
                block = self.read(offset, min(_BLOCK, extent.end - offset))
                rest = memoryview(block)
                while rest:
                    # An unbuffered file may take less than it was given.
                    rest = rest[target.write(rest):]
                written += len(block)
        _set_size(target, self.size_bytes)
        target.flush()
        return written

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as JSON, for :meth:`from_dict`."""
        return {'version': 1, 'seed': self.seed,
                'size_bytes': self.size_bytes, 'fill': self.fill,
                'extents': [dataclasses.asdict(extent)
                            for extent in self.extents]}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> 'Layout':
        """Create a layout from the result of :meth:`to_dict`.

        :raises ValueError: the numbers are not those of a layout
        """
        if data.get('version') != 1:
            raise ValueError(f'unknown version {data.get("version")} of a '
                             f'layout')
        try:
            return cls(seed=data['seed'], size_bytes=data['size_bytes'],
                       fill=data['fill'],
                       extents=tuple(Extent(**extent)
                                     for extent in data['extents']))
        except (KeyError, TypeError) as err:
            raise ValueError(f'not the numbers of a layout: {err}') from None

    # A frozen dataclass has a __dict__ all the same, and there it is kept.
    @functools.cached_property
    def _starts(self) -> Sequence[int]:
        return [extent.offset for extent in self.extents]

    def _within(self, offset: int, end: int) -> Iterator[Extent]:
        index = max(bisect.bisect_right(self._starts, offset) - 1, 0)
        while index < len(self.extents) and self._starts[index] < end:
            if self.extents[index].end > offset:
                yield self.extents[index]
            index += 1

    def _next(self, ranges: Iterable[tuple[int, int]],
              kind: str) -> 'Layout':
        generation = self.generation + 1
        extents = list(self.extents)
        for offset, length in ranges:
            _check_range(offset, length, self.size_bytes)
            extents = _overlay(extents,
                               Extent(offset, length, generation, kind))
        return dataclasses.replace(self, extents=tuple(extents))


class LayoutReader(positions.Sized):
    """A layout as a file."""

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout.size_bytes)
        self._layout = layout

    def __len__(self) -> int:
        """Size in bytes; HTTP clients read it in this way."""
        return self._size

    def __bool__(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            size = max(self._size - self._position, 0)
        data = self._layout.read(self._position, size)
        self._position += len(data)
        return data

    def readall(self) -> bytes:
        return self.read()

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast('B')
        data = self.read(len(view))
        view[:len(data)] = data
        return len(data)


def _check_range(offset: int, length: int, size_bytes: int) -> None:
    if offset % SECTOR or length % SECTOR:
        raise ValueError(f'{length} bytes at offset {offset} are not whole '
                         f'sectors of {SECTOR}')
    if offset < 0 or length <= 0 or offset + length > size_bytes:
        raise ValueError(f'{length} bytes at offset {offset} are not within '
                         f'a volume of {size_bytes}')


def _overlay(extents: Iterable[Extent], new: Extent) -> list[Extent]:
    pieces = [new]
    for old in extents:
        before = min(old.end, new.offset) - old.offset
        if before > 0:
            pieces.append(dataclasses.replace(old, length=before))
        begin = max(old.offset, new.end)
        if begin < old.end:
            pieces.append(dataclasses.replace(old, offset=begin,
                                              length=old.end - begin))
    merged: list[Extent] = []
    for piece in sorted(pieces, key=lambda extent: extent.offset):
        last = merged[-1] if merged else None
        if (last and last.end == piece.offset and last.kind == piece.kind
                and last.generation == piece.generation):
            merged[-1] = dataclasses.replace(
                last, length=last.length + piece.length)
        else:
            merged.append(piece)
    return merged


def _set_size(target: BinaryIO, size_bytes: int) -> None:
    try:
        is_file = stat.S_ISREG(os.fstat(target.fileno()).st_mode)
    except (AttributeError, OSError):
        # Not a file of the system: io.BytesIO, say, whose truncate() does
        # not make it longer.
        end = target.seek(0, os.SEEK_END)
        if end < size_bytes:
            target.write(bytes(size_bytes - end))
        target.truncate(size_bytes)
        return
    if is_file:
        target.flush()
        os.ftruncate(target.fileno(), size_bytes)
