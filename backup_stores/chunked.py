# SPDX-License-Identifier: Apache-2.0

"""Backups in chunks, as Cinder's chunked drivers store them.

The names of a backup's objects begin with the prefix that is in
``service_metadata``: its data in chunks ``<prefix>-00001`` and so on, their
description in ``<prefix>_metadata``, and checksums for the next incremental
backup in ``<prefix>_sha256file``.
"""

from collections.abc import Callable
from collections.abc import Sequence
import functools
import json
import operator
import re
from typing import Any

from backup_stores import base
from backup_stores import objects

_CHUNK = re.compile(r'-[0-9]{5,}')


class Chunks(objects.Stored):
    """The objects of a chunked backup."""

    @property
    def metadata(self) -> str:
        return f'{self.prefix}_metadata'

    @property
    def checksums(self) -> str:
        return f'{self.prefix}_sha256file'

    @functools.cached_property
    def chunks(self) -> list[str]:
        """The names of the chunks in their order; at least one."""
        found = [name for name in self.names
                 if _CHUNK.fullmatch(name[len(self.prefix):])]
        if not found:
            raise base.StoreFailed(f'no chunk begins with {self.prefix}')
        return found

    @property
    def first(self) -> str:
        return self.chunks[0]

    @property
    def last(self) -> str:
        return self.chunks[-1]

    @property
    def middle(self) -> str:
        """A chunk that is not special, where there are more than two."""
        return self.chunks[len(self.chunks) // 2]

    @property
    def from_middle(self) -> list[str]:
        half = len(self.chunks) // 2
        return self.chunks[half:] + self.chunks[:half]


Find = Callable[[Any], str]
_metadata: Find = operator.attrgetter('metadata')
_checksums: Find = operator.attrgetter('checksums')
_first: Find = operator.attrgetter('first')
_last: Find = operator.attrgetter('last')
_middle: Find = operator.attrgetter('middle')

How = Callable[[Chunks, Chunks], base.Plan]


def _damage(name: str, family: str, how: How, *args: Any, **kwargs: Any
            ) -> base.Damage:
    return base.Damage(
        name, family, lambda store, backup, other: how(
            Chunks(store, backup), Chunks(store, other)), *args, **kwargs)


def _missing(find: Find) -> How:
    return lambda mine, other: mine.plan({find(mine): None})


def _edited(find: Find, edit: objects.Edit) -> How:
    def how(mine: Chunks, other: Chunks) -> base.Plan:
        name = find(mine)
        return mine.plan({name: edit(mine.read(name))})

    return how


def _everything(mine: Chunks, other: Chunks) -> base.Plan:
    # The reason may name the backup, or any of its objects.
    return mine.plan(dict.fromkeys(mine.names), ())


def _too_many(mine: Chunks, other: Chunks) -> base.Plan:
    number = int(mine.last.rpartition('-')[2]) + 1
    return mine.plan({f'{mine.prefix}-{number:05d}': mine.read(mine.middle)})


def _replaced(find: Callable[[Chunks], Sequence[str]]) -> How:
    def how(mine: Chunks, other: Chunks) -> base.Plan:
        for name in find(mine):
            for theirs in find(other):
                data = other.read(theirs)
                # Chunks of zeros are the same in every backup.
                if data != mine.read(name):
                    return mine.plan({name: data})
        raise base.StoreFailed(
            f'backups {mine.prefix} and {other.prefix} hold the same')

    return how


def _swapped(mine: Chunks, other: Chunks) -> base.Plan:
    first, *others = mine.from_middle
    data = mine.read(first)
    for name in others:
        found = mine.read(name)
        if found != data:
            return mine.plan({first: found, name: data})
    # A single chunk: its halves, so that its length stays.
    half = len(data) // 2
    return mine.plan({first: data[half:half * 2] + data[:half] +
                      data[half * 2:]})


def _md5_edited(data: bytes) -> bytes:
    value = json.loads(data)
    fields, = value['objects'][0].values()
    fields['md5'] = '0' * 32
    return json.dumps(value).encode()


def _checksums_edited(mine: Chunks, other: Chunks) -> base.Plan:
    value = json.loads(mine.read(mine.checksums))
    value['sha256s'][0] = '0' * 64
    # Found by whatever the sum is compared with.
    return mine.plan({mine.checksums: json.dumps(value).encode()}, ())


CHUNK_MISSING = _damage('chunk missing', base.DATA_MISSING, _missing(_middle),
                        ruins_restore=True)
CHUNK_CHANGED = _damage(
    'chunk changed', base.CHANGED, _edited(_middle, objects.flipped),
    base.CONTENT, ruins_restore=True)
# A restore after one of these may be right: the data is.
METADATA_CHANGED = _damage('metadata changed', base.CHANGED,
                           _edited(_metadata, objects.flipped))
MD5_EDITED = _damage('checksum in metadata edited', base.CHANGED,
                     _edited(_metadata, _md5_edited))

# Cinder restores a chain without checksums.
CHECKSUMS_MISSING = _damage('checksums missing', base.DESCRIPTION_MISSING,
                            _missing(_checksums), hits_children=False)
DAMAGES = (
    _damage('metadata missing', base.DESCRIPTION_MISSING,
            _missing(_metadata)),
    CHECKSUMS_MISSING,
    CHUNK_MISSING,
    _damage('everything missing', base.DATA_MISSING, _everything),
    _damage('chunk too many', base.EXTRA, _too_many),
    _damage('chunk cut off', base.LENGTH, _edited(_middle, objects.cut_off)),
    _damage('chunk longer', base.LENGTH, _edited(_middle, objects.longer)),
    _damage('chunk empty', base.LENGTH, _edited(_middle, objects.empty)),
    _damage('metadata of another', base.REPLACED,
            _replaced(lambda chunks: [chunks.metadata])),
    _damage('checksums of another', base.REPLACED,
            _replaced(lambda chunks: [chunks.checksums]),
            hits_children=False),
    _damage('chunk of another', base.REPLACED,
            _replaced(lambda chunks: chunks.from_middle), base.CONTENT,
            ruins_restore=True),
    METADATA_CHANGED,
    MD5_EDITED,
    _damage('checksums changed', base.CHANGED,
            _edited(_checksums, objects.flipped), hits_children=False),
    _damage('checksum of a block edited', base.CHANGED, _checksums_edited,
            hits_children=False),
    CHUNK_CHANGED,
    _damage('first chunk changed at its start', base.CHANGED,
            _edited(_first, objects.changed_at_start), base.CONTENT),
    _damage('last chunk changed at its end', base.CHANGED,
            _edited(_last, objects.changed_at_end), base.CONTENT),
    _damage('chunks swapped', base.SWAPPED, _swapped, base.CONTENT),
)


class ChunkedStore(objects.ObjectStore):
    """A store of backups in chunks.

    A vendor implements ``list``, ``read``, ``write`` and ``delete``; see
    :class:`.objects.ObjectStore` for more that a store may have.
    """

    def damages(self, backup: Any) -> Sequence[base.Damage]:
        """Return :data:`DAMAGES`."""
        return DAMAGES
