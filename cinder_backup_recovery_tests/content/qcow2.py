# SPDX-License-Identifier: Apache-2.0

"""Images of qcow2: the data of a layout without its holes.

A GiB with a few MiB of data is a few MiB to send, to hash and to store, in
place of the whole volume as raw. The format is QEMU's, in the part that
``qemu-img convert`` writes: no backing file, no encryption, no snapshots.
"""

from collections.abc import Iterable
from collections.abc import Iterator
import io
import struct
import tempfile
from typing import Any
from typing import BinaryIO
import zlib

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.content import layout as content_layout

_MAGIC = b'QFI\xfb'
_CLUSTER_BITS = 16
CLUSTER = 1 << _CLUSTER_BITS
# Magic, version, backing file (offset and length), bits of a cluster, size,
# encryption, L1 table (entries and offset), table of reference counts
# (offset and clusters), snapshots (number and offset).
_HEADER = struct.Struct('>4sIQIIQIIQQIIQ')
# Those that version 3 adds first: incompatible features.
_FEATURES = struct.Struct('>Q')
_ENTRY = 8
_COUNT = 2  # bytes of a reference count
_COPIED = 1 << 63
_COMPRESSED = 1 << 62
_ZERO = 1
_OFFSET = 0x00fffffffffffe00
_SECTOR = 512
# The larger one is QEMU's own limit.
_MIN_BITS, _MAX_BITS = 9, 21
# Entries of an L1 table that a volume may need, at clusters of 512 bytes.
_MAX_L1 = 32 * 1024 * 1024 // _ENTRY
_PIECE = 1024 * 1024


class Image(io.RawIOBase):
    """A layout as an image of qcow2, to be read once from its start.

    :param layout: the content
    :param length: bytes of it that the image covers, from the start
    """

    def __init__(self, layout: content_layout.Layout, length: int) -> None:
        super().__init__()
        self._layout = layout
        self._length = length
        self._data = [
            number for number in range(_whole(length, CLUSTER))
            if not layout.is_hole(*self._range(number))]
        self._tables = sorted({number // _per(CLUSTER)
                               for number in self._data})
        self._l1_size = max(_whole(length, CLUSTER * _per(CLUSTER)), 1)
        self._l1_clusters = _whole(self._l1_size * _ENTRY, CLUSTER)
        self._place()
        self._pieces = self._all()
        self._rest = memoryview(b'')

    def __len__(self) -> int:
        """Size of the file in bytes."""
        return self._clusters * CLUSTER

    def __bool__(self) -> bool:
        return True

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read as much as there is room for."""
        if not self._rest:
            self._rest = memoryview(next(self._pieces, b''))
        piece = self._rest[:len(buffer)]
        self._rest = self._rest[len(piece):]
        buffer[:len(piece)] = piece
        return len(piece)

    def _range(self, number: int) -> tuple[int, int]:
        start = number * CLUSTER
        return start, min(CLUSTER, self._length - start)

    def _place(self) -> None:
        """Decide where everything is, in clusters.

        The header, the reference counts, L1, L2 and the data follow each
        other.
        """
        rest = 1 + self._l1_clusters + len(self._tables) + len(self._data)
        blocks = table = 1
        while True:
            self._clusters = rest + blocks + table
            wanted = _whole(self._clusters * _COUNT, CLUSTER)
            table = _whole(wanted * _ENTRY, CLUSTER)
            if wanted == blocks:
                break
            blocks = wanted
        self._blocks, self._table = blocks, table
        self._l1 = 1 + table + blocks
        self._l2 = self._l1 + self._l1_clusters
        self._first = self._l2 + len(self._tables)

    def _all(self) -> Iterator[bytes]:
        yield _padded(_HEADER.pack(
            _MAGIC, 2, 0, 0, _CLUSTER_BITS, self._length, 0, self._l1_size,
            self._l1 * CLUSTER, CLUSTER, self._table, 0, 0))
        yield _padded(_entries(
            (1 + self._table + block) * CLUSTER
            for block in range(self._blocks)))
        yield _padded(struct.pack('>H', 1) * self._clusters)
        tables = {table: _COPIED | (self._l2 + place) * CLUSTER
                  for place, table in enumerate(self._tables)}
        yield _padded(_entries(tables.get(number, 0)
                               for number in range(self._l1_size)))
        data = {number: _COPIED | (self._first + place) * CLUSTER
                for place, number in enumerate(self._data)}
        for table in self._tables:
            start = table * _per(CLUSTER)
            yield _entries(data.get(start + number, 0)
                           for number in range(_per(CLUSTER)))
        for number in self._data:
            yield _padded(self._layout.read(*self._range(number)))


class _Reader:
    """The content of a file of qcow2."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        (magic, version, backing, _, bits, self.size, encryption, entries,
         l1, _, _, _, _) = _HEADER.unpack(self._at(0, _HEADER.size))
        features = 0
        if magic == _MAGIC and version == 3:
            features, = _FEATURES.unpack(
                self._at(_HEADER.size, _FEATURES.size))
        if (magic != _MAGIC or version not in (2, 3) or backing or
                encryption or features or
                not _MIN_BITS <= bits <= _MAX_BITS):
            raise exceptions.ContentMismatch(
                f'the image is not qcow2 without a backing file, encryption '
                f'and further features (it begins with {magic!r})')
        self._bits = bits
        self._cluster = 1 << bits
        self._zeros = bytes(self._cluster)
        self._per_table = _per(self._cluster)
        wanted = _whole(self.size, self._cluster * self._per_table)
        if not wanted <= entries <= _MAX_L1:
            raise exceptions.ContentMismatch(
                f'the image has {self.size} bytes and {entries} tables for '
                f'them')
        self._tables = self._table(l1, entries)[:wanted]

    def pieces(self) -> Iterator[bytes]:
        """All bytes in order; runs of zeros are one object."""
        done = 0
        for number in self._tables:
            place = number & _OFFSET
            table = (self._table(place, self._per_table) if place else
                     (0,) * self._per_table)
            step = max(_PIECE // self._cluster, 1)
            zeros = bytes(step * self._cluster)
            for start in range(0, self._per_table, step):
                if done >= self.size:
                    return
                part = table[start:start + step]
                piece = (b''.join(map(self._content, part)) if any(part) else
                         zeros[:len(part) * self._cluster])
                yield piece[:self.size - done]
                done += len(piece)

    def _content(self, entry: int) -> bytes:
        if entry & _COMPRESSED:
            return self._inflated(entry)
        place = entry & _OFFSET
        if entry & _ZERO or not place:
            return self._zeros
        return self._at(place, self._cluster)

    def _inflated(self, entry: int) -> bytes:
        shift = 62 - (self._bits - 8)
        place = entry & ((1 << shift) - 1)
        sectors = (entry & (_COMPRESSED - 1)) >> shift
        length = (sectors + 1) * _SECTOR - place % _SECTOR
        self._file.seek(place)
        try:
            # The last sector may end past the file, with nothing that counts.
            data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(
                self._file.read(length), self._cluster)
        except zlib.error as error:
            raise exceptions.ContentMismatch(
                f'the image has a cluster at {place} that cannot be '
                f'decompressed: {error}') from None
        if len(data) != self._cluster:
            raise exceptions.ContentMismatch(
                f'the image has a cluster at {place} of {len(data)} bytes, '
                f'not {self._cluster}')
        return data

    def _table(self, place: int, entries: int) -> tuple[int, ...]:
        return struct.unpack(f'>{entries}Q',
                             self._at(place, entries * _ENTRY))

    def _at(self, place: int, length: int) -> bytes:
        self._file.seek(place)
        data = self._file.read(length)
        if len(data) != length:
            raise exceptions.ContentMismatch(
                f'the image ends at {place + len(data)}, within the '
                f'{length} bytes at {place}')
        return data


def read(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Return the content of an image that arrives piece by piece.

    :param pieces: the file; it is kept on this machine's disk, unnamed, as
        its tables can be anywhere in it
    :raises ContentMismatch: if it is not qcow2, or not all of it arrived
    """
    with tempfile.TemporaryFile() as file:
        for piece in pieces:
            file.write(piece)
        yield from _Reader(file).pieces()


def _whole(size: int, unit: int) -> int:
    return -(-size // unit)


def _per(cluster: int) -> int:
    """Entries of a table that fills a cluster."""
    return cluster // _ENTRY


def _entries(numbers: Iterable[int]) -> bytes:
    return b''.join(number.to_bytes(_ENTRY, 'big') for number in numbers)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % CLUSTER)
