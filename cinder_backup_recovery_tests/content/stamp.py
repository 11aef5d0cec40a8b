# SPDX-License-Identifier: Apache-2.0
"""The stamp and the bytes of one 512-byte sector of a layout.

Every sector with data starts with a stamp: a magic that also names the fill,
the layout's seed, the generation, the sector's own number and a CRC of these.
So a misplaced sector tells where it belongs.
"""

import functools
import hashlib
import struct
from typing import NamedTuple
import zlib

SECTOR = 512

RANDOM = 'random'
TEXT = 'text'
MAGICS = {RANDOM: b'CBRTrnd1', TEXT: b'CBRTtxt1'}
MAGIC_PREFIX = b'CBRT'

_HEADER = struct.Struct('>8sQIQ')
_STAMP_LENGTH = _HEADER.size + 4
# Sectors are made by the chunk: one call of the hash for each sector would
# halve the speed.
_CHUNK = 128
_CHUNK_BYTES = _CHUNK * SECTOR
_LINE = (b'Cinder gives back from the backup what it was given, bit for bit, '
         b'or this line is not what it was. ')
_TEXT_CHUNK = (_LINE * (_CHUNK_BYTES // len(_LINE) + 1))[:_CHUNK_BYTES]


class Stamp(NamedTuple):
    """The stamp of a sector."""

    seed: int
    generation: int
    sector: int
    fill: str


def sectors(seed: int, generation: int, first: int, count: int,
            fill: str) -> bytes:
    """Make the bytes of consecutive sectors.

    :param seed: of the layout, 64 bits
    :param generation: of the extent, 32 bits
    :param first: number of the first sector of the volume to make
    :param fill: RANDOM, which no compression makes smaller, or TEXT
    :returns: ``count`` * 512 bytes, always the same for the same arguments
    """
    parts = []
    last = first + count
    while first < last:
        chunk, skip = divmod(first, _CHUNK)
        taken = min(_CHUNK - skip, last - first)
        made = _chunk(seed, generation, chunk, fill)
        parts.append(made if taken == _CHUNK else
                     made[skip * SECTOR:(skip + taken) * SECTOR])
        first += taken
    return b''.join(parts)


def find(data: bytes, position: int = 0, end: int | None = None
         ) -> tuple[int, Stamp] | None:
    """Find the first valid stamp, at any offset.

    :param end: offset before which the stamp must start; None for anywhere
    :returns: offset and stamp; None when there is none with a good CRC
    """
    if end is None:
        end = len(data)
    while True:
        position = data.find(MAGIC_PREFIX, position,
                             end + len(MAGIC_PREFIX) - 1)
        if position < 0:
            return None
        stamp = read(data, position)
        if stamp is not None:
            return position, stamp
        position += 1


def read(data: bytes, position: int = 0) -> Stamp | None:
    """Read a stamp.

    :returns: the stamp; None when there is none or its CRC is wrong
    """
    stamp = data[position:position + _STAMP_LENGTH]
    if len(stamp) < _STAMP_LENGTH or not stamp.startswith(MAGIC_PREFIX):
        return None
    header = stamp[:_HEADER.size]
    if zlib.crc32(header).to_bytes(4, 'big') != stamp[_HEADER.size:]:
        return None
    magic, seed, generation, sector = _HEADER.unpack(header)
    for fill, known in MAGICS.items():
        if magic == known:
            return Stamp(seed, generation, sector, fill)
    return None


# A reader of small pieces, as an HTTP client, gets the same chunk many
# times; 16 of them are 1 MiB.
@functools.lru_cache(maxsize=16)
def _chunk(seed: int, generation: int, number: int, fill: str) -> bytes:
    if fill == TEXT:
        made = bytearray(_TEXT_CHUNK)
    else:
        made = bytearray(hashlib.shake_128(
            struct.pack('>QIQ', seed, generation, number)
        ).digest(_CHUNK_BYTES))
    magic = MAGICS[fill]
    pack = _HEADER.pack
    crc32 = zlib.crc32
    sector = number * _CHUNK
    for offset in range(0, _CHUNK_BYTES, SECTOR):
        header = pack(magic, seed, generation, sector)
        made[offset:offset + _STAMP_LENGTH] = (
            header + crc32(header).to_bytes(4, 'big'))
        sector += 1
    return bytes(made)
