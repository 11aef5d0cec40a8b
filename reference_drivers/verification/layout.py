# SPDX-License-Identifier: Apache-2.0

"""The objects of a chunked driver's backup, read and checked for form.

Under ``<prefix>`` there are ``<prefix>-00001`` and so on, the chunks;
``<prefix>_metadata``, JSON that lists them; and ``<prefix>_sha256file``, JSON
with the SHA-256 of every block of the *volume*, also of those blocks that an
incremental backup left to its parent (``cinder.backup.chunkeddriver``).
"""

import bisect
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import functools
import hashlib
import json
import operator
import re
import secrets
import sys
import types
from typing import Any
from typing import NamedTuple
from typing import TypeAlias

from reference_drivers.verification import errors
from reference_drivers.verification import store as stores

VERSIONS = ('1.0.0',)
"""Values of ``version`` that chunked drivers have written so far."""

#: The detail of a wrong content: the version is not a known one.
VERSION = 'version'

_DIGEST_SIZE = 32
# As json.dumps(..., indent=2) writes it. A line break cannot be part of a
# JSON string, so no name or description can look like this.
_SHA256S = re.compile(rb'\n *"sha256s": \[([^\]]*)\]')
# Likewise, and on the first level only.
_OBJECTS = '\n  "objects": ['
# One of them, after the prefix of all.
_CHUNK = r"""
    {
      %s(-[0-9]{5,})": {
        "compression": "([a-z0-9]+)",
        "length": ([1-9][0-9]{0,17}),
        "md5": "([0-9a-f]{32})",
        "offset": (0|[1-9][0-9]{0,17})
      }
    },"""
_KIN = re.compile(rb'\n  "(backup_id|parent_id)": (?:"([^"]*)"|null)')
_MD5 = re.compile(r'[0-9a-f]{32}\Z')
# Bytes of a list of hashes that are looked at at a time.
_PORTION = 1 << 20
_BLANK = re.compile(rb'\s*')
_Entries: TypeAlias = Mapping[str, stores.Entry]
#: Start and end, in bytes of the volume.
Extent: TypeAlias = tuple[int, int]


class Chunk(NamedTuple):
    """An extent of the volume and the object that holds it.

    A backup may have a hundred thousand of them in memory.
    """

    name: str
    offset: int
    length: int
    compression: str
    md5: str | None

    @property
    def end(self) -> int:
        """The first byte of the volume after this chunk."""
        return self.offset + self.length

    @property
    def plain(self) -> bool:
        """True if the object holds the extent uncompressed.

        That is so also where compression was on and did not help.
        """
        return is_plain(self.compression)


def is_plain(compression: str) -> bool:
    """Check whether this is the name of no compression."""
    return compression.lower() in ('none', 'off', 'no')


class Hashes:
    """The hashes of all blocks of a volume, or of some of them.

    Kept as bytes, a thousandth of the volume with the usual block of 32 KiB;
    as a list of text it would be four times that.

    :param digests: those of all blocks
    """

    def __init__(self, block_size: int, digests: bytes):
        self.block_size = block_size
        self._number = len(digests) // _DIGEST_SIZE
        # By the first block of each.
        self._parts = {0: digests}
        self._firsts = [0]

    def __len__(self) -> int:
        return self._number

    def keep(self, extents: Iterable[Extent]) -> None:
        """Forget all but those of a few extents of the volume.

        :param extents: those extents, in their order
        """
        found = {}
        for start, end in extents:
            first = start // self.block_size
            found[first] = self._span(first, -(-end // self.block_size))
        self._parts, self._firsts = found, list(found)

    def at(self, block: int) -> bytes:
        """The digest of one block, nothing where it is not known."""
        return self._span(block, block + 1)

    def _span(self, first: int, last: int) -> bytes:
        """The digests of a range, as far as one part has them."""
        number = bisect.bisect(self._firsts, first) - 1
        if number < 0:
            return b''
        start = self._firsts[number]
        return self._parts[start][(first - start) * _DIGEST_SIZE:
                                  (last - start) * _DIGEST_SIZE]

    def differs(self, other: 'Hashes', first: int, last: int) -> int | None:
        """The first block of a range that has another hash in another list.

        :returns: its number or None
        """
        # What a storage says of a chunk may be any number.
        last = min(last, max(len(self), len(other)))
        mine, theirs = self._span(first, last), other._span(first, last)
        if first >= last or (
                mine == theirs and
                len(mine) == (last - first) * _DIGEST_SIZE):
            return None
        # What is not known may be anything.
        return next((block for block in range(first, last)
                     if self.at(block) != other.at(block)), first)


@dataclasses.dataclass
class Link:
    """One backup of a chain, as its storage describes it.

    :ivar metadata: without its list of objects, which are the chunks
    """

    backup_id: str
    container: str
    prefix: str
    metadata: dict[str, Any]
    chunks: list[Chunk]
    hashes: Hashes | None
    entries: dict[str, stores.Entry]
    digest: str

    @property
    def metadata_name(self) -> str:
        return f'{self.prefix}_metadata'

    @property
    def sha256_name(self) -> str:
        return f'{self.prefix}_sha256file'

    @property
    def parent_id(self) -> str | None:
        return self.metadata.get('parent_id')

    @property
    def volume_id(self) -> str:
        return self.metadata['volume_id']

    @property
    def extra_metadata(self) -> Any:
        return self.metadata.get('extra_metadata')

    @functools.cached_property
    def volume_size(self) -> int | None:
        """GiB of the volume when it was backed up, None if not recorded."""
        text: Any = self.metadata.get('volume_meta')
        try:
            size = json.loads(text)['volume-base-metadata']['size']
        except (TypeError, ValueError, KeyError):
            return None
        return size if isinstance(size, int) else None

    @property
    def stored_bytes(self) -> int:
        """The stored length of all objects, as far as the listing says."""
        return sum(entry.size or 0 for entry in self.entries.values())


def joined(extents: list[Extent]) -> list[Extent]:
    """Extents in their order, those that touch each other as one."""
    found: list[Extent] = []
    for start, stop in sorted(extents):
        if found and found[-1][1] >= start:
            found[-1] = found[-1][0], max(stop, found[-1][1])
        else:
            found.append((start, stop))
    return found


def counts(count: Any, chunks: int) -> bool:
    """Check whether a row's object_count is that of a number of chunks.

    Until Stein it was one more (bug 1685731).
    """
    return count in (chunks, chunks + 1)


def as_text(raw: bytes, name: str, backup_id: str) -> str:
    """The text of an object, whose bytes are freed.

    :raises WrongContent: it is none
    """
    try:
        return raw.decode('utf-8')
    except UnicodeDecodeError:
        raise errors.WrongContent(f'object {name} is not JSON', name,
                                  backup_id) from None


def _json(text: str, name: str, backup_id: str,
          pairs: Callable[[Any], Any] | None = None) -> dict[str, Any]:
    try:
        value = json.loads(text, object_pairs_hook=pairs)
    except (ValueError, RecursionError):
        raise errors.WrongContent(f'object {name} is not JSON', name,
                                  backup_id) from None
    if not isinstance(value, dict):
        raise errors.WrongContent(f'object {name} is not a JSON object', name,
                                  backup_id)
    return value


def _whole(value: Any, least: int = 0) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool) and
            value >= least)


def _common(value: dict[str, Any], name: str, backup_id: str) -> None:
    """Check what metadata and hashes have in common."""
    if value.get('version') not in VERSIONS:
        raise errors.WrongContent(
            f'object {name} has version {str(value.get("version"))[:20]}, '
            f'known are {", ".join(VERSIONS)}', name, backup_id, VERSION)
    if value.get('backup_id') != backup_id:
        raise errors.Foreign(
            f'object {name} belongs to backup '
            f'{str(value.get("backup_id"))[:40]} and not to {backup_id}',
            name, backup_id)
    if not isinstance(value.get('volume_id'), str):
        raise errors.WrongContent(f'object {name} has no volume_id', name,
                                  backup_id)


def _chunk(name: str, fields: Any, entries: _Entries) -> Chunk | None:
    """The chunk that an entry describes, None if it describes none."""
    if not isinstance(fields, dict):
        return None
    offset: Any = fields.get('offset')
    length: Any = fields.get('length')
    compression, md5 = fields.get('compression'), fields.get('md5')
    if (not _whole(offset) or not _whole(length, 1) or
            not isinstance(compression, str) or
            not (md5 is None or (isinstance(md5, str) and _MD5.match(md5)))):
        return None
    # Nearly all chunks have the same.
    return Chunk(_as_listed([name], entries)[0], offset, length,
                 sys.intern(compression), md5)


def _as_listed(names: list[str], entries: _Entries) -> list[str]:
    """Names with the texts that the listing has of them: one for both."""
    return [entries[name].name if name in entries else name for name in names]


def _chunk_or_dict(entries: _Entries, pairs: list[tuple[str, Any]]) -> Any:
    """Called for each object of JSON, the inner ones first.

    A chunk needs half of what two dicts do, and is made before the next
    one is read.
    """
    if len(pairs) == 1:
        chunk = _chunk(*pairs[0], entries)
        if chunk is not None:
            return chunk
    return dict(pairs)


def _as_written(text: str, prefix: str, backup_id: str, entries: _Entries
                ) -> tuple[dict[str, Any], list[Chunk]] | None:
    """The metadata, where its list is just what Cinder's drivers write.

    Several times as fast as JSON in any form, and as strict. The list is
    read in portions, of which only the chunks stay in memory.

    :returns: the metadata but for the list, and the chunks in its order;
        None where it is in another form, right or wrong
    """
    first = text.find(_OBJECTS) + len(_OBJECTS)
    end = text.find('\n  ]', first)
    if first < len(_OBJECTS) or end < 0:
        return None
    pattern = re.compile(_CHUNK % re.escape(json.dumps(prefix)[:-1]))
    chunks: list[Chunk] = []
    start = first
    while start < end:
        stop = text.find(',\n    {', start + (1 << 16), end)
        if stop < 0:
            stop = end
        parts = pattern.split(f'{text[start:stop]},')
        # What is between two chunks.
        if any(parts[::6]):
            return None
        chunks.extend(map(
            Chunk,
            _as_listed([prefix + number for number in parts[1::6]], entries),
            map(int, parts[5::6]), map(int, parts[3::6]),
            map(sys.intern, parts[2::6]), parts[4::6]))
        start = stop + 1
    # In a place that JSON gives to another list, they would not be those of
    # the backup: no text can be foreseen to be this one.
    mark = secrets.token_hex()
    value = _json(f'{text[:first - 1]}"{mark}"{text[end + 4:]}',
                  f'{prefix}_metadata', backup_id)
    return (value, chunks) if value.pop('objects', None) == mark else None


def parse_metadata(text: str, prefix: str, backup_id: str,
                   entries: _Entries = types.MappingProxyType({})
                   ) -> tuple[dict[str, Any], list[Chunk]]:
    """Read the metadata object.

    :param backup_id: the backup that it must belong to
    :param entries: what is listed, by name; chunks that are have their name
        from there, which saves a copy of each
    :returns: the metadata but for the list of objects, and the chunks in the
        order of the volume
    :raises Foreign: it belongs to another backup, or names its objects
    :raises WrongContent: it is not the metadata of a backup
    """
    name = f'{prefix}_metadata'
    written = _as_written(text, prefix, backup_id, entries)
    value, chunks = written or (
        _json(text, name, backup_id,
              functools.partial(_chunk_or_dict, entries)), None)
    _common(value, name, backup_id)
    if chunks is None:
        chunks = _checked(value.pop('objects', None), prefix, backup_id)
    parent_id = value.get('parent_id')
    if parent_id is not None and not isinstance(parent_id, str):
        raise errors.WrongContent(f'object {name} has no valid parent_id',
                                  name, backup_id)
    chunks.sort(key=operator.itemgetter(1))
    return value, chunks


def _checked(chunks: Any, prefix: str, backup_id: str) -> list[Chunk]:
    """The list of objects in metadata of any form.

    :raises Foreign: it names objects of another backup
    :raises WrongContent: it is no list of objects
    """
    name = f'{prefix}_metadata'
    if not isinstance(chunks, list):
        raise errors.WrongContent(f'object {name} lists no objects', name,
                                  backup_id)
    ours = re.compile(re.escape(prefix) + r'-[0-9]{5,}\Z')
    for one in chunks:
        if isinstance(one, dict) and len(one) == 1:
            chunk_name, = one
        elif isinstance(one, Chunk):
            chunk_name = one.name
        else:
            raise errors.WrongContent(
                f'object {name} has an entry that is not one object', name,
                backup_id)
        if not ours.match(chunk_name):
            raise errors.Foreign(
                f'object {name} names {chunk_name[:80]}, which is not of '
                'this backup', name, backup_id)
        if not isinstance(one, Chunk):
            raise errors.WrongContent(
                f'object {name} describes {chunk_name} wrongly', name,
                backup_id)
    return chunks


def kinship(raw: bytes) -> tuple[str | None, str | None]:
    """Whose a metadata object is, and whose child that backup is.

    :returns: the id of the backup and of its parent; None for what there is
        not, also where it is not the metadata of a backup
    """
    found: dict[str, Any] = {
        key.decode(): value.decode('ascii', 'replace') or None
        for key, value in _KIN.findall(raw)}
    if len(found) < 2:
        # Written otherwise, or not for long: backups once had no parents.
        try:
            found = json.loads(raw)
        except (ValueError, RecursionError):
            found = {}
    if not isinstance(found, dict):
        return None, None
    return found.get('backup_id'), found.get('parent_id')


def parse_hashes(raw: bytes, prefix: str, backup_id: str
                 ) -> tuple[dict[str, Any], Hashes]:
    """Read the object with the hashes of the blocks.

    :param backup_id: the backup that it must belong to
    :raises Foreign: it belongs to another backup
    :raises WrongContent: it is not a list of hashes
    """
    name = f'{prefix}_sha256file'
    found = _SHA256S.search(raw)
    if found:
        start, end = found.span(1)
        value = _json(as_text(raw[:start] + raw[end:], name, backup_id),
                      name, backup_id)
        listed = _listed(raw, start, end)
    else:
        value = _json(as_text(raw, name, backup_id), name, backup_id)
        if not isinstance(value.get('sha256s'), list):
            raise errors.WrongContent(f'object {name} has no list of hashes',
                                      name, backup_id)
        listed = iter([[str(one).encode('ascii', 'replace')
                        for one in value['sha256s']]])
    _common(value, name, backup_id)
    if not _whole(value.get('chunk_size'), 1):
        raise errors.WrongContent(f'object {name} has no block size', name,
                                  backup_id)
    digests = bytearray()
    try:
        for texts in listed:
            more = bytes.fromhex(b''.join(texts).decode('ascii'))
            if (len(more) != len(texts) * _DIGEST_SIZE or
                    set(map(len, texts)) - {2 * _DIGEST_SIZE}):
                raise ValueError('another length')
            digests += more
    except ValueError:
        raise errors.WrongContent(
            f'object {name} has a hash that is not a SHA-256', name,
            backup_id) from None
    return value, Hashes(value['chunk_size'], bytes(digests))


def _listed(raw: bytes, start: int, end: int) -> Iterator[list[bytes]]:
    """The texts of a list in JSON, without their quotes, some at a time.

    A backup of 1 TiB has 33 million of them, and they are 2.4 GiB.
    """
    if _BLANK.fullmatch(raw, start, end):
        return
    stop = start
    while stop >= 0:
        stop = raw.find(b',', start + _PORTION, end)
        portion = raw[start:end if stop < 0 else stop].translate(
            None, b' \n\r\t')
        if len(portion) < 2 or not portion[0] == portion[-1] == ord('"'):
            raise ValueError('not a text')
        yield portion[1:-1].split(b'","')
        start = stop + 1


class Digest:
    """The digest of a backup through its own lists of checksums.

    The metadata has the MD5 of every chunk and the other object the SHA-256
    of every block, so what agrees with both and they with this is the whole
    backup as it was.
    """

    def __init__(self) -> None:
        self._total = hashlib.sha256()

    def add(self, part: bytes | None) -> None:
        """Add one of the two, the metadata first.

        :param part: the content of the object, None if it does not exist
        """
        self._total.update(b'-' if part is None else b'%d:' % len(part))
        self._total.update(part or b'')

    def add_pieces(self, length: int, pieces: Iterable[bytes]) -> None:
        """Add one of the two that is too long for the memory.

        :param length: of all pieces
        :raises ValueError: they have another length
        """
        self._total.update(b'%d:' % length)
        for piece in pieces:
            length -= len(piece)
            self._total.update(piece)
        if length:
            raise ValueError('another length')

    def __str__(self) -> str:
        """Algorithm and hexadecimal digits."""
        return f'sha256:{self._total.hexdigest()}'
