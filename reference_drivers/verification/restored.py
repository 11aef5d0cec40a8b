# SPDX-License-Identifier: Apache-2.0

"""A restored volume, compared with what its backup says of it.

The original is not needed. A backup in chunks has the SHA-256 of each block
of its volume, also of the blocks that it has left to its parent, and the
record of the backup has a digest of these.
"""

from collections import deque
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from concurrent import futures
import contextlib
import dataclasses
import hashlib
import os
import time
from typing import Any

from reference_drivers.verification import errors
from reference_drivers.verification import hashing
from reference_drivers.verification import layout
from reference_drivers.verification import store as stores

DIFFERS, MISSING, BEHIND = 'differs', 'missing', 'behind'
#: As many extents are kept; the others are counted.
MOST = 1000


class NothingToCompare(errors.Unreadable):
    """The backup has nothing that says what its volume must be."""

    kind = 'no hashes'


@dataclasses.dataclass(frozen=True)
class Extent:
    """Bytes of a volume that are wrong.

    :ivar kind: DIFFERS: at least one byte of each block is another. MISSING:
        the volume ends before the backup does. BEHIND: after the end of the
        backup there is something else than zeros
    :ivar every: in bytes; given, the extent and all others at this distance
        are wrong together, in at least one byte
    """

    kind: str
    offset: int
    length: int
    every: int | None = None


class Volume:
    """A restored volume: a device or a file, which is read only.

    :param path: of it
    :param readers: how many pieces are read at a time
    :param progress: called with the bytes read and all bytes, once a second
    :ivar size: in bytes
    :ivar read: bytes that were read
    :raises Unreadable: it cannot be opened
    """

    def __init__(self, path: str, readers: int = 2,
                 progress: Callable[[int, int], None] | None = None):
        self.path = path
        self.read = 0
        self._readers = readers
        self._progress = progress or (lambda done, total: None)
        self._said = time.monotonic()
        with self._readable():
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            self.size = os.lseek(self._descriptor, 0, os.SEEK_END)

    def __enter__(self) -> 'Volume':
        return self

    def __exit__(self, *args: Any) -> None:
        os.close(self._descriptor)

    @contextlib.contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except OSError as err:
            raise errors.Unreadable(f'{self.path}: {err.strerror}',
                                    self.path) from err

    def piece(self, offset: int, length: int) -> bytes:
        """Bytes of the volume, fewer at its end."""
        data = b''
        with self._readable():
            while len(data) < length:
                more = os.pread(self._descriptor, length - len(data),
                                offset + len(data))
                if not more:
                    break
                # Nearly always at once.
                data = data + more if data else more
        return data

    def each(self, start: int, stop: int, length: int,
             use: Callable[[int, int], Any]) -> Iterator[Any]:
        """Work on pieces, several at a time.

        :param length: of a piece, but for the last one
        :param use: called with offset and end of each, in a thread
        :returns: what it returns, in the order of the pieces
        """
        waiting: deque[tuple[int, futures.Future[Any]]] = deque()
        with futures.ThreadPoolExecutor(self._readers) as pool:
            try:
                for offset in range(start, stop, length):
                    end = min(offset + length, stop)
                    waiting.append((end - offset,
                                    pool.submit(use, offset, end)))
                    if len(waiting) > 2 * self._readers:
                        yield self._next(waiting)
                while waiting:
                    yield self._next(waiting)
            finally:
                for _, future in waiting:
                    future.cancel()

    def _next(self, waiting: deque[tuple[int, futures.Future[Any]]]) -> Any:
        length, future = waiting.popleft()
        found = future.result()
        self.read += length
        if time.monotonic() > self._said + 1 or self.read == self.size:
            self._said = time.monotonic()
            self._progress(self.read, self.size)
        return found

    def compare(self, hashes: layout.Hashes, end: int) -> Iterator[Extent]:
        """Compare with the hashes of the blocks.

        :param end: bytes of the backup, in the last block
        """
        size = hashes.block_size
        stop = min(end, self.size)

        def use(start: int, end: int) -> list[Extent]:
            if size > stores.PIECE:
                # As large as the storage says.
                total = hashlib.sha256()
                for offset in range(start, end, stores.PIECE):
                    total.update(self.piece(
                        offset, min(stores.PIECE, end - offset)))
                found = [total.digest()]
            else:
                found = hashing.digests(self.piece(start, end - start), size,
                                        0, end - start)
            return [Extent(DIFFERS, start + number * size,
                           min(size, end - start - number * size))
                    for number, digest in enumerate(found)
                    if digest != hashes.at(start // size + number)]

        for found in self.each(0, stop, max(stores.PIECE // size, 1) * size,
                               use):
            yield from found
        yield from self.missing(end)

    def missing(self, end: int) -> Iterator[Extent]:
        """The end of a backup that the volume does not have."""
        if end > self.size:
            yield Extent(MISSING, self.size, end - self.size)

    def behind(self, end: int) -> Iterator[Extent]:
        """Parts after the end of a backup that are not zeros."""
        def use(start: int, end: int) -> bool:
            data = self.piece(start, end - start)
            return data.count(0) < len(data)

        step = 32768
        for number, found in enumerate(
                self.each(end, self.size, stores.PIECE, use)):
            if not found:
                continue
            start = end + number * stores.PIECE
            for offset in range(start, min(start + stores.PIECE, self.size),
                                step):
                end_of_step = min(offset + step, self.size)
                if use(offset, end_of_step):
                    yield Extent(BEHIND, offset, end_of_step - offset)


@dataclasses.dataclass
class Proof:
    """The result of a comparison.

    :ivar anchored: what the volume was compared with is that which was
        exported; False: it is what the storage or the row says by itself
    :ivar problems: of the backup itself
    :ivar extents: at most MOST, by their offsets
    :ivar omitted: number of the extents that are not among them
    :ivar end: bytes of the backup
    """

    backup_id: str
    volume: Volume
    anchored: bool
    problems: list[errors.Problem] = dataclasses.field(default_factory=list)
    extents: list[Extent] = dataclasses.field(default_factory=list)
    omitted: int = 0
    end: int = 0
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        return not self.problems and not self.extents

    def add(self, found: Iterable[Extent]) -> None:
        """Add extents, those that touch each other as one."""
        last: Extent | None = None
        for one in found:
            if (last is not None and last.kind == one.kind and
                    one.every is None and
                    last.offset + last.length == one.offset):
                one = dataclasses.replace(one, offset=last.offset,
                                          length=last.length + one.length)
                if self.extents and self.extents[-1] is last:
                    self.extents[-1] = one
            elif len(self.extents) < MOST:
                self.extents.append(one)
            else:
                self.omitted += 1
            last = one

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON shows it."""
        return {
            'backup_id': self.backup_id,
            'level': 'restored',
            'ok': self.ok,
            'problems': [one.to_dict() for one in self.problems],
            'volume': self.volume.path,
            'anchored': self.anchored,
            'extents': [dataclasses.asdict(one) for one in self.extents],
            'extents_omitted': self.omitted,
            'rest': ({'offset': self.end,
                      'length': self.volume.size - self.end}
                     if self.volume.size > self.end else None),
            'bytes_read': self.volume.read,
            'bytes_total': self.volume.size,
            'seconds': round(self.seconds, 3),
        }
