# SPDX-License-Identifier: Apache-2.0

"""The blocks of the model in a volume of a cloud, and in the store."""

from collections.abc import Iterable
from typing import Any
from typing import BinaryIO

from backup_model import engine as engines
from backup_stores import base as stores_base
from backup_stores import objects
from cinder_backup_recovery_tests.content import access
from cinder_backup_recovery_tests.content import compare
from cinder_backup_recovery_tests.content import layout as content_layout

# Each block of the model is in another of these, which no chunk is as large
# as.
_SPACE = 64 << 20
_BLOCK = 64 << 10
_PIECE = 1 << 20
_SEED = 21
# More than the contents that operations write.
_CONTENTS = 8


def layout(content: engines.Content) -> content_layout.Layout:
    """The extents of a content."""
    return content_layout.Layout(
        _SEED, len(content) // engines.BLOCKS * access.GIB, tuple(
            content_layout.Extent(_place(number), _BLOCK, *(
                (one,) if one else (1, content_layout.ZEROS)))
            for number, one in enumerate(content)))


def read(stream: BinaryIO | Iterable[bytes]) -> engines.Content:
    """The content that a volume has."""
    found: list[int] = []
    zeros = bytes(_PIECE)
    for number, piece in enumerate(compare.in_blocks(stream, _PIECE)):
        start = number * _PIECE
        if start % access.GIB == 0:
            found += [0] * engines.BLOCKS
        if piece == zeros:
            continue
        block, rest = divmod(start % access.GIB, _SPACE)
        if rest or block >= engines.BLOCKS or any(piece[_BLOCK:]):
            # Something where the model has written nothing.
            found[-engines.BLOCKS] = engines.GARBAGE
        else:
            found[block - engines.BLOCKS] = _number_of(start, piece[:_BLOCK])
    return tuple(found)


def _place(block: int) -> int:
    """Where a block of the model is, in bytes."""
    gib, rest = divmod(block, engines.BLOCKS)
    return gib * access.GIB + rest * _SPACE


def _number_of(start: int, data: bytes) -> int:
    """The number of the content that a block at a place has."""
    for number in range(1, _CONTENTS):
        made = content_layout.Layout(_SEED, start + access.GIB, (
            content_layout.Extent(start, _BLOCK, number),))
        if data == made.read(start, _BLOCK):
            return number
    return engines.GARBAGE


def changed(parts: Iterable[stores_base.Part], gone: bool,
            store: stores_base.Store, backup: Any, other: Any
            ) -> stores_base.Plan:
    """A damage of stored parts: a byte of each is another one.

    :param gone: they are missing instead
    """
    changes = []
    for part in parts:
        state = store.state(part.kind, part.where)
        if isinstance(state, bytes) and state:
            changes.append(stores_base.Change(
                part.kind, part.where,
                None if gone else objects.changed_at_end(state)))
    return stores_base.Plan(changes)
