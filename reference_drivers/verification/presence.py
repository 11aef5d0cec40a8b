# SPDX-License-Identifier: Apache-2.0

"""Is everything there that a restore needs?

Each check yields every problem that it finds, in the order in which an
operator would want to know of them.
"""

from collections.abc import Iterator
import itertools
from typing import TypeVar
import zlib

from reference_drivers.verification import errors
from reference_drivers.verification import layout
from reference_drivers.verification import running
from reference_drivers.verification import store as stores

GIB = 1024 ** 3
_Item = TypeVar('_Item')


def read_link(watch: running.Watch, store: stores.Store, backup_id: str,
              container: str, prefix: str, with_hashes: bool = True
              ) -> layout.Link:
    """List and read what describes one backup: a listing and two reads.

    :param watch: told when the store is asked and when it has answered, so
        that neither a long listing nor the parsing of what is read passes
        for a store that hangs
    :param backup_id: the backup that it must belong to
    :param with_hashes: read also those of the blocks
    :returns: the backup as its storage describes it
    :raises Problem: it cannot be told what belongs to the backup
    """
    with watch.asked():
        store.check_available()
        store.check_location(container, prefix, backup_id)
    try:
        entries = {one.name: one for one in
                   watch.answers(store.entries, container, prefix)}
    except errors.Problem:
        raise
    except Exception as err:
        if store.is_missing(err):
            raise errors.Missing(f'container {container} is missing',
                                 container, backup_id) from err
        raise errors.Unreadable(f'container {container} cannot be listed: '
                                f'{err}', container, backup_id) from err
    if not entries:
        raise errors.Missing(f'no object with prefix {prefix} is there',
                             prefix, backup_id)
    name = f'{prefix}_metadata'
    digest = layout.Digest()
    with watch.asked():
        raw = _read(store, entries, container, name, backup_id)
    digest.add(raw)
    text = layout.as_text(raw, name, backup_id)
    # Of a hundred thousand chunks it has 26 MiB.
    del raw
    metadata, chunks = layout.parse_metadata(text, prefix, backup_id, entries)
    del text
    hashes = raw_hashes = None
    # Only the next incremental backup needs them: before Kilo there were
    # none, and a backup that has lost them can still be restored.
    if with_hashes and f'{prefix}_sha256file' in entries:
        with watch.asked():
            raw_hashes = _read(store, entries, container,
                               f'{prefix}_sha256file', backup_id)
        other, hashes = layout.parse_hashes(raw_hashes, prefix, backup_id)
        if other['volume_id'] != metadata['volume_id']:
            raise errors.Foreign(
                f'object {prefix}_sha256file is of another volume than the '
                'metadata', f'{prefix}_sha256file', backup_id)
    digest.add(raw_hashes)
    return layout.Link(backup_id, container, prefix, metadata, chunks, hashes,
                       entries, str(digest))


def _read(store: stores.Store, entries: dict[str, stores.Entry],
          container: str, name: str, backup_id: str) -> bytes:
    if name not in entries:
        raise errors.Missing(f'object {name} is missing', name, backup_id)
    try:
        raw = store.read(container, name)
    except errors.Problem:
        raise
    except Exception as err:
        raise read_error(store, err, name, backup_id) from err
    size = entries[name].size
    if size is not None and size != len(raw):
        raise errors.WrongLength(
            f'object {name} has {len(raw)} bytes, but {size} in the listing',
            name, backup_id)
    return raw


def read_error(store: stores.Store, err: Exception, name: str,
               backup_id: str) -> errors.Problem:
    """The problem for an error that reading an object ended in."""
    if store.is_missing(err):
        return errors.Missing(f'object {name} is missing', name, backup_id)
    return errors.Unreadable(
        f'object {name} cannot be read: {err or type(err).__name__}', name,
        backup_id)


def check_link(link: layout.Link) -> Iterator[errors.Problem]:
    """Compare the listing of one backup with its own metadata."""
    yield from _check_objects(link)
    yield from _check_extents(link)


def _check_objects(link: layout.Link) -> Iterator[errors.Problem]:
    known = {chunk.name: chunk for chunk in link.chunks}
    if len(known) != len(link.chunks):
        yield errors.WrongContent(
            f'object {link.metadata_name} names a chunk twice',
            link.metadata_name, link.backup_id)
    for name in sorted(known.keys() - link.entries.keys()):
        yield errors.Missing(f'object {name} is missing', name,
                             link.backup_id)
    ours = known.keys() | {link.metadata_name, link.sha256_name}
    for name in sorted(link.entries.keys() - ours):
        # A restore by Cinder's own drivers refuses these too.
        yield errors.Extra(
            f'object {name} is not in the metadata of the backup', name,
            link.backup_id)
    for name, chunk in known.items():
        if name not in link.entries:
            continue
        _, size, md5 = link.entries[name]
        # What compression does not make smaller is stored as it is.
        if not chunk.plain:
            if size is not None and not 0 < size <= _longest(chunk):
                yield errors.WrongLength(
                    f'object {name} has {size} bytes, which compressed '
                    f'{chunk.length} cannot have', name, link.backup_id)
        elif size not in (None, chunk.length):
            yield errors.WrongLength(
                f'object {name} has {size} bytes instead of '
                f'{chunk.length}', name, link.backup_id)
        elif None not in (md5, chunk.md5) and md5 != chunk.md5:
            yield errors.WrongContent(
                f'object {name} has MD5 {md5} on the storage instead '
                f'of {chunk.md5}', name, link.backup_id)


def _longest(chunk: layout.Chunk) -> int:
    """The greatest length that a compressed chunk may have.

    Until 2015 also those were compressed that became larger by it (bug
    1462268): bz2 adds at most a hundredth and 600 bytes, zlib less. The
    drivers that know zstd are newer.
    """
    length = chunk.length
    if chunk.compression.lower() == 'zstd':
        return length - 1
    return length + length // 100 + 600


def _check_extents(link: layout.Link) -> Iterator[errors.Problem]:
    end = 0
    for chunk in link.chunks:
        if chunk.offset == end:
            end += chunk.length
            continue
        if chunk.offset < end:
            yield errors.WrongContent(
                f'object {link.metadata_name} has chunks that overlap at '
                f'{chunk.name}', link.metadata_name, link.backup_id)
        elif link.parent_id is None:
            yield errors.WrongContent(
                f'object {link.metadata_name} has no chunk for bytes {end} '
                f'to {chunk.offset} of the volume', link.metadata_name,
                link.backup_id)
        end = max(end, chunk.end)
    if link.hashes is None:
        return
    size = link.hashes.block_size
    covered = -(-end // size)
    if covered > len(link.hashes) or (link.parent_id is None and
                                      covered != len(link.hashes)):
        yield errors.WrongContent(
            f'object {link.sha256_name} has {len(link.hashes)} hashes, the '
            f'chunks cover {covered} blocks', link.sha256_name,
            link.backup_id)


def check_parent(link: layout.Link, parent: layout.Link
                 ) -> Iterator[errors.Problem]:
    """Check that a backup is incremental to just this parent.

    What the backup did not store had the same hash in its parent, for that
    is why it was not stored. So a parent that was exchanged or is not the
    one is found without reading a chunk.

    :param parent: the backup that it is on top of
    """
    if parent.volume_id != link.volume_id:
        yield errors.BrokenChain(
            f'parent {parent.backup_id} is a backup of another volume, '
            f'{parent.volume_id[:40]}', parent.backup_id, link.backup_id)
        return
    mine, theirs = link.hashes, parent.hashes
    if mine is None or theirs is None:
        return
    if (mine.block_size != theirs.block_size or len(mine) > len(theirs)):
        yield errors.BrokenChain(
            f'parent {parent.backup_id} has {len(theirs)} blocks of '
            f'{theirs.block_size} bytes, the backup {len(mine)} of '
            f'{mine.block_size}', parent.backup_id, link.backup_id)
        return
    block = 0
    extents = [(chunk.offset // mine.block_size,
                -(-chunk.end // mine.block_size)) for chunk in link.chunks]
    for first, last in itertools.chain(extents, [(len(mine),) * 2]):
        if first > block:
            wrong = mine.differs(theirs, block, first)
            if wrong is not None:
                yield errors.BrokenChain(
                    f'object {link.sha256_name} or parent '
                    f'{parent.backup_id} is not of this backup: block '
                    f'{wrong} has another hash and no chunk stores it',
                    parent.backup_id, link.backup_id)
                return
        block = max(block, last)


def check_size(link: layout.Link, size: int, of_snapshot: bool
               ) -> Iterator[errors.Problem]:
    """Check a size in GiB against what was backed up.

    Devices may be a little larger than the volume, and the volume of a
    snapshot may have grown since: Cinder records the size of the volume.

    :param of_snapshot: whether it is the backup of a snapshot
    """
    recorded = link.volume_size
    if recorded is not None:
        wrong = size > recorded or (size < recorded and not of_snapshot)
        what = f'{recorded} GiB'
    else:
        if link.hashes is not None:
            stored = len(link.hashes) * link.hashes.block_size
        else:
            stored = link.chunks[-1].end if link.chunks else 0
        wrong = (stored >= (size + 1) * GIB or
                 (stored <= (size - 1) * GIB and not of_snapshot))
        what = f'{stored} bytes'
    if wrong:
        yield errors.WrongRecord(
            f'the record says size {size} GiB, the storage has {what} of '
            'the volume', 'size', link.backup_id)


def lengths(link: layout.Link, *groups: int) -> list[list[str]] | None:
    """Checksums over the stored lengths of the chunks, in a few groups.

    The metadata has only the length before compression. With these in the
    exported record a compressed chunk that was cut off is found without
    reading, and the record stays small.

    :param groups: their number, in one or more ways to form them
    :returns: for each of these ways one for each group, None where the
        listing has no lengths
    """
    texts = []
    for name in sorted(chunk.name for chunk in link.chunks):
        entry = link.entries.get(name)
        if entry is None or entry.size is None:
            return None
        # The part of the name that makes the difference.
        texts.append(f'{name[len(link.prefix):]}:{entry.size};')
    return [[f'{zlib.crc32("".join(group).encode()):08x}'
             for group in grouped(texts, number)] for number in groups]


def grouped(items: list[_Item], groups: int) -> list[list[_Item]]:
    """Items in groups of nearly the same number."""
    groups = min(groups, len(items))
    return [items[number * len(items) // groups:
                  (number + 1) * len(items) // groups]
            for number in range(groups)]
