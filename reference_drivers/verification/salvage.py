# SPDX-License-Identifier: Apache-2.0

"""Take what is good out of a damaged backup.

Only bytes that have their checksum are kept. With the hashes of its blocks,
which a backup has of its whole volume, each block is looked for in the backup
and in its parents, and one that is found is right. Without them a chunk is
kept or lost as a whole, by its MD5.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
import contextlib
import dataclasses
import hashlib
import os
import stat
from typing import Any

from reference_drivers.verification import content
from reference_drivers.verification import errors
from reference_drivers.verification import layout
from reference_drivers.verification import presence
from reference_drivers.verification import running
from reference_drivers.verification import store as stores
from reference_drivers.verification import verifier

#: The checksum that decides.
BLOCKS, CHUNKS = 'sha256', 'md5'
# Bytes that a decompression may get before its output is taken: of one that
# ends in an error, the output of the last call is lost.
_STEP = 4096

Extent = tuple[int, int]


@dataclasses.dataclass
class Salvaged:
    """The result.

    :ivar chain: ids of the backups that could be read, the salvaged one first
    :ivar by: the checksum that decided
    :ivar anchored: the list of the checksums is the one that was exported;
        None: no record says what that was
    :ivar end: bytes of the volume
    :ivar lost: offset and length of each extent that is lost; it has zeros
    :ivar problems: what is wrong with the backup
    """

    backup_id: str
    chain: list[str]
    by: str
    anchored: bool | None
    end: int
    lost: list[Extent] = dataclasses.field(default_factory=list)
    problems: list[errors.Problem] = dataclasses.field(default_factory=list)

    @property
    def complete(self) -> bool:
        """All bytes are right, as far as anything can tell."""
        return not self.lost and self.anchored is not False

    @property
    def lost_bytes(self) -> int:
        """The length of all that is lost."""
        return sum(length for _, length in self.lost)

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON shows it."""
        return {
            'backup_id': self.backup_id, 'complete': self.complete,
            'chain': self.chain, 'checksums': self.by,
            'anchored': self.anchored, 'bytes_total': self.end,
            'bytes_lost': self.lost_bytes,
            'lost': [{'offset': offset, 'length': length}
                     for offset, length in self.lost],
            'problems': [one.to_dict() for one in self.problems]}


class Target:
    """A file or a device that gets what is good.

    A new file is removed where an exception ends its use.

    :param path: of it
    :param overwrite: it exists, and may be overwritten
    :raises Unreadable: it cannot be opened, or exists
    """

    def __init__(self, path: str, overwrite: bool = False):
        self.path = path
        self._is_new = not overwrite
        with self._written():
            self._descriptor = os.open(
                path, os.O_WRONLY | os.O_CLOEXEC | (
                    0 if overwrite else os.O_CREAT | os.O_EXCL), 0o600)

    def __enter__(self) -> 'Target':
        return self

    def __exit__(self, kind: type[BaseException] | None, *args: Any) -> None:
        try:
            if kind is None:
                with self._written():
                    os.fsync(self._descriptor)
            elif self._is_new:
                os.unlink(self.path)
        finally:
            os.close(self._descriptor)

    @contextlib.contextmanager
    def _written(self) -> Iterator[None]:
        try:
            yield
        except OSError as err:
            raise errors.Unreadable(f'{self.path}: {err.strerror}',
                                    self.path) from err

    def resize(self, size: int) -> None:
        """Make room.

        :raises Unreadable: it is too small
        """
        with self._written():
            if stat.S_ISREG(os.fstat(self._descriptor).st_mode):
                os.ftruncate(self._descriptor, size)
                return
            found = os.lseek(self._descriptor, 0, os.SEEK_END)
        if found < size:
            raise errors.Unreadable(
                f'{self.path} has {found} bytes, and the backup {size}',
                self.path)

    def write(self, offset: int, data: bytes | bytearray | memoryview
              ) -> None:
        """Write bytes."""
        view = memoryview(data)
        with self._written():
            while view:
                done = os.pwrite(self._descriptor, view, offset)
                view, offset = view[done:], offset + done

    def zero(self, offset: int, length: int, is_written: bool = False
             ) -> None:
        """Write zeros, which a new file has where nothing was written.

        :param is_written: something may have been
        """
        if self._is_new and not is_written:
            return
        zeros = bytes(min(length, stores.PIECE))
        for start in range(offset, offset + length, stores.PIECE):
            self.write(start, zeros[:offset + length - start])


class _InSteps:
    """A store whose objects are read in small pieces."""

    def __init__(self, store: stores.Store):
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def pieces(self, *names: Any) -> Iterator[bytes]:
        """The bytes of an object."""
        for piece in self._store.pieces(*names):
            for start in range(0, len(piece), _STEP):
                yield piece[start:start + _STEP]


class Salvage:
    """Salvages one backup. The storage is only read.

    :param found: reads the chain
    :param target: that gets what is good
    :param progress: called with the bytes of chunks that were read, and of
        all
    """

    def __init__(self, found: verifier.Verifier, target: Target,
                 progress: Callable[[int, int], None] = lambda done, of: None
                 ):
        self._verifier = found
        self._store = found.store
        self._target = target
        self._progress = progress

    def run(self, wanted: verifier.Target) -> Salvaged:
        """Write what is good, with zeros for the rest.

        :param wanted: the backup, with its size
        :raises Problem: nothing is known of its chunks, or the store does
            not answer
        """
        links, problems = self._verifier.readable(wanted)
        if not links:
            raise problems[0]
        top = links[0]
        self._left = self._all = sum(chunk.length for link in links
                                     for chunk in link.chunks)
        result = Salvaged(
            top.backup_id, [link.backup_id for link in links],
            BLOCKS if top.hashes else CHUNKS,
            None if wanted.digest is None else wanted.digest == top.digest,
            self._end(links, wanted.size or 0), problems=problems)
        self._target.resize(result.end)
        if top.hashes:
            self._by_blocks(result, links, top.hashes)
        else:
            self._by_chunks(result, links)
        # The listing and the reading of an object may tell the same.
        result.problems = list({str(one): one
                                for one in result.problems}.values())
        return result

    def _end(self, links: list[layout.Link], size: int) -> int:
        """The length of the volume, which is not longer than its size."""
        most = (size + 1) * presence.GIB
        hashes = links[0].hashes
        if not hashes:
            return min(most, max((chunk.end for link in links
                                  for chunk in link.chunks), default=0))
        try:
            return min(most, self._verifier.end_of_volume(links[0], size))
        except errors.TimedOut:
            raise
        except errors.Problem:
            # Only a parent knows it to the byte.
            return min(most, len(hashes) * hashes.block_size)

    def _read(self, result: Salvaged, link: layout.Link, chunk: layout.Chunk,
              stores_: Iterable[Any], function: Callable[..., None],
              *args: Any) -> bool:
        """Read a chunk.

        :param stores_: where it is read, one after the other until it is
            whole
        :returns: it is
        """
        self._left -= chunk.length
        if chunk.name not in link.entries:
            # It was named as missing.
            return False
        problem: errors.Problem | None = None
        for store in stores_:
            try:
                running.watched(self._verifier.timeout,
                                f'object {chunk.name}', function, store,
                                link, chunk, *args)
                problem = None
                break
            except (errors.TimedOut, errors.Stopped):
                raise
            except errors.Problem as err:
                problem = err
        self._progress(self._all - self._left, self._all)
        if problem is not None:
            result.problems.append(problem)
        return problem is None

    # With the hashes of all blocks

    def _by_blocks(self, result: Salvaged, links: list[layout.Link],
                   hashes: layout.Hashes) -> None:
        size = hashes.block_size
        good = bytearray(-(-result.end // size))
        self._take_zeros(result.end, hashes, good)
        for link in links:
            for chunk in link.chunks:
                first, last = -(-chunk.offset // size), -(-chunk.end // size)
                if good.find(0, first, last) < 0:
                    self._left -= chunk.length
                else:
                    # Small steps take three times as long.
                    self._read(result, link, chunk,
                               (self._store, _InSteps(self._store)),
                               self._take_blocks, hashes, good)
        at = good.find(0)
        while at >= 0:
            end = good.find(1, at)
            end = len(good) if end < 0 else end
            offset = at * size
            result.lost.append((offset, min(end * size, result.end) - offset))
            self._target.zero(*result.lost[-1])
            at = good.find(0, end)

    def _take_zeros(self, end: int, hashes: layout.Hashes, good: bytearray
                    ) -> None:
        size = hashes.block_size
        if size > stores.PIECE:
            # As large as the storage says.
            return
        of_zeros = hashlib.sha256(bytes(size)).digest()
        for block in range(len(good)):
            length = min(size, end - block * size)
            if hashes.at(block) == (
                    of_zeros if length == size else
                    hashlib.sha256(bytes(length)).digest()):
                self._target.zero(block * size, length)
                good[block] = True

    def _take_blocks(self, watch: running.Watch, store: stores.Store,
                     link: layout.Link, chunk: layout.Chunk,
                     hashes: layout.Hashes, good: bytearray) -> None:
        """Write the blocks of a chunk that are right. Must not log."""
        size = hashes.block_size
        block = -(-chunk.offset // size)
        skipped = block * size - chunk.offset
        rest = bytearray()
        wrong = []

        def take(data: bytearray | memoryview) -> None:
            nonlocal block
            if block < len(good) and not good[block]:
                digest = hashlib.sha256(data).digest()
                if digest == hashes.at(block):
                    self._target.write(block * size, data)
                    good[block] = True
                elif link.hashes and digest != link.hashes.at(block):
                    wrong.append(block)
            block += 1

        try:
            with contextlib.closing(content.checked(
                    store, link, chunk, False, watch)) as parts:
                for part in parts:
                    view = memoryview(part)[skipped:]
                    skipped -= min(skipped, len(part))
                    while len(rest) + len(view) >= size:
                        if rest:
                            take(rest + view[:size - len(rest)])
                            view = view[size - len(rest):]
                            rest = bytearray()
                        else:
                            take(view[:size])
                            view = view[size:]
                    rest += view
        finally:
            if rest:
                take(rest)
        if wrong:
            raise errors.WrongContent(
                f'object {chunk.name} is damaged: {len(wrong)} blocks of the '
                f'volume differ from their SHA-256, the first is {wrong[0]}',
                chunk.name, link.backup_id, wrong[0])

    # Without them

    def _by_chunks(self, result: Salvaged, links: list[layout.Link]) -> None:
        lost = [(0, result.end)] if result.end else []
        for link in reversed(links):
            for chunk in link.chunks:
                stop = min(chunk.end, result.end)
                if stop <= chunk.offset:
                    continue
                is_good = stop == chunk.end and self._read(
                    result, link, chunk, (self._store,), self._copy)
                lost = _without(lost, chunk.offset, stop)
                if not is_good:
                    self._target.zero(chunk.offset, stop - chunk.offset, True)
                    lost = layout.joined([*lost, (chunk.offset, stop)])
        for start, stop in lost:
            self._target.zero(start, stop - start)
        result.lost = [(start, stop - start) for start, stop in lost]

    def _copy(self, watch: running.Watch, store: stores.Store,
              link: layout.Link, chunk: layout.Chunk) -> None:
        """Write a chunk, and find out whether it is right. Must not log."""
        offset = chunk.offset
        with contextlib.closing(content.checked(
                store, link, chunk, watch=watch)) as parts:
            for part in parts:
                self._target.write(offset, part)
                offset += len(part)


def _without(extents: list[Extent], start: int, stop: int) -> list[Extent]:
    """Extents, each a start and an end, without one."""
    found = []
    for first, last in extents:
        found += [(one, other) for one, other in
                  ((first, min(last, start)), (max(first, stop), last))
                  if one < other]
    return found
