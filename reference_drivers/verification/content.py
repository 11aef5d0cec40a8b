# SPDX-License-Identifier: Apache-2.0

"""Does every byte read back with the checksum recorded for it?"""

from collections.abc import Callable
from collections.abc import Generator
from collections.abc import Iterator
import contextlib
import hashlib
import queue
import threading
import time
from typing import Any

from oslo_log import log as logging

from reference_drivers.verification import errors
from reference_drivers.verification import hashing
from reference_drivers.verification import layout
from reference_drivers.verification import presence
from reference_drivers.verification import running
from reference_drivers.verification import store as stores
from reference_drivers.verification import streams

LOG = logging.getLogger(__name__)

Job = tuple[layout.Link, layout.Chunk]


class _WrongBlock(ValueError):
    """A block differs from its SHA-256."""

    def __init__(self, number: int):
        super().__init__(
            f'block {number} of the volume differs from its SHA-256')
        self.number = number


class _Blocks:
    """Compares an extent with the SHA-256 of each of its blocks."""

    def __init__(self, hashes: layout.Hashes, chunk: layout.Chunk):
        self._hashes = hashes
        self._size = hashes.block_size
        self._block = chunk.offset // self._size
        self._open: Any = None
        self._filled = 0

    def _close(self, digest: bytes) -> None:
        if digest != self._hashes.at(self._block):
            raise _WrongBlock(self._block)
        self._block += 1

    def stored(self, data: bytes) -> None:
        """Stored bytes, compressed or not: nothing is compared with them."""

    def update(self, data: bytes) -> None:
        start = 0
        if self._filled:
            start = min(self._size - self._filled, len(data))
            self._add(data, 0, start)
        stop = len(data) - (len(data) - start) % self._size
        for digest in hashing.digests(data, self._size, start, stop):
            self._close(digest)
        if stop < len(data):
            self._add(data, stop, len(data))

    def _add(self, data: bytes, start: int, stop: int) -> None:
        """Add a part of a block."""
        if self._open is None:
            self._open = hashlib.sha256()
        self._open.update(memoryview(data)[start:stop])
        self._filled += stop - start
        if self._filled == self._size:
            self.finish()

    def finish(self) -> None:
        if self._open is not None:
            digest, self._open, self._filled = self._open.digest(), None, 0
            self._close(digest)


class _Md5:
    """Compares an extent with its MD5, where its blocks have no hash.

    Until Kilo it was the MD5 of the stored bytes, also where these are
    compressed (Cinder fc5affbe7).
    """

    def __init__(self, chunk: layout.Chunk):
        self._wanted = chunk.md5
        self._sum = hashlib.md5(usedforsecurity=False)
        self._stored = (None if chunk.plain else
                        hashlib.md5(usedforsecurity=False))

    def stored(self, data: bytes) -> None:
        if self._stored is not None:
            self._stored.update(data)

    def update(self, data: bytes) -> None:
        self._sum.update(data)

    def finish(self) -> None:
        if self._wanted not in (None, *(
                found.hexdigest() for found in (self._sum, self._stored)
                if found is not None)):
            raise ValueError('it differs from its MD5')


def checked(store: stores.Store, link: layout.Link, chunk: layout.Chunk,
            sums: bool = True, watch: running.Watch | None = None
            ) -> Generator[bytes, None, None]:
    """The bytes of an extent, checked while they are read.

    What has been yielded is known to be right only when the iterator has
    come to its end. Who may leave it before that has to close it, as
    ``contextlib.closing`` does: the object would stay open until Python
    happens to collect it, and then a server that is gone would stop the code
    that runs. The SHA-256 of the blocks are used where there are any:
    they are faster than the MD5 of the extent, and harder to deceive.

    :param watch: told when the store is asked and when it has answered, so
        that a slow decompression does not pass for a store that hangs
    :returns: the bytes of the volume, decompressed, in pieces
    :raises Problem: naming the object
    """
    def wrong(reason: Any) -> errors.Problem:
        return errors.WrongContent(
            f'object {chunk.name} is damaged: {reason}', chunk.name,
            link.backup_id, getattr(reason, 'number', None))

    try:
        stream = streams.make(chunk.compression)
    except LookupError:
        raise errors.Unreadable(
            f'object {chunk.name} is compressed with '
            f'{chunk.compression[:20]}, which is not supported here',
            chunk.name, link.backup_id) from None
    meter: Any = None
    if sums:
        aligned = (link.hashes is not None and
                   chunk.offset % link.hashes.block_size == 0)
        meter = (_Blocks(link.hashes, chunk)
                 if link.hashes is not None and aligned else _Md5(chunk))
    length = 0
    with contextlib.closing(_parts(
            store, link, chunk, stream, wrong, watch or running.Watch(),
            meter.stored if meter else None)) as parts:
        for part in parts:
            length += len(part)
            if length > chunk.length:
                raise errors.WrongLength(
                    f'object {chunk.name} has more than {chunk.length} '
                    f'bytes', chunk.name, link.backup_id)
            if meter is not None:
                try:
                    meter.update(part)
                except ValueError as err:
                    raise wrong(err) from None
            yield part
    if length != chunk.length:
        raise errors.WrongLength(
            f'object {chunk.name} has {length} bytes instead of '
            f'{chunk.length}', chunk.name, link.backup_id)
    if meter is not None:
        try:
            meter.finish()
        except ValueError as err:
            raise wrong(err) from None


def _parts(store: stores.Store, link: layout.Link, chunk: layout.Chunk,
           stream: Any, wrong: Callable[[Any], errors.Problem],
           watch: running.Watch, stored: Callable[[bytes], None] | None
           ) -> Generator[bytes, None, None]:
    """Decompressed pieces; tells errors of the store from bad content.

    :param stored: is called with each piece before it is decompressed
    """
    def decompressed(parts: Iterator[bytes]) -> Iterator[bytes]:
        try:
            yield from (part for part in parts if part)
        except Exception as err:
            # Each algorithm has exceptions of its own, OSError among them.
            raise wrong(f'{chunk.compression} says {err}') from None

    pieces = iter(store.pieces(link.container, chunk.name,
                               link.extra_metadata))
    try:
        while True:
            watch.begin()
            try:
                piece = next(pieces)
                watch.end()
            except StopIteration:
                watch.end()
                break
            except errors.Problem:
                raise
            except Exception as err:
                raise presence.read_error(store, err, chunk.name,
                                          link.backup_id) from err
            if stored is not None:
                stored(piece)
            yield from decompressed(stream.feed(piece))
            # It may be the whole object, which is not needed any more.
            del piece
        yield from decompressed(stream.finish())
    finally:
        _close(pieces, watch)


def _close(pieces: Iterator[bytes], watch: running.Watch) -> None:
    """Let go of an object, of which not all may have been read."""
    close = getattr(pieces, 'close', None)
    if close is None:
        return
    # The server is told, and waited for.
    watch.begin()
    # What was read is known by now, and why no more is.
    with contextlib.suppress(Exception):
        close()
    watch.end()


def select(jobs: list[Job], part: tuple[int, int] = (1, 1),
           budget: int | None = None) -> list[Job]:
    """Choose what to read of a large backup.

    ``part`` is exhaustive: n of t, for n from 1 to t, reads every chunk
    once. A budget takes chunks spread over what there is, always the same
    ones.

    :param budget: how many bytes of the volume to read at most, but at
        least one chunk
    """
    number, total = part
    jobs = jobs[number - 1::total]
    if budget is None or sum(chunk.length for _, chunk in jobs) <= budget:
        return jobs
    # A step of the golden section spreads evenly however many are taken.
    order = sorted(range(len(jobs)),
                   key=lambda one: (one * 0.6180339887498949) % 1)
    chosen: list[int] = []
    for one in order:
        budget -= jobs[one][1].length
        if budget < 0 and chosen:
            break
        chosen.append(one)
    return [jobs[one] for one in sorted(chosen)]


class Readers:
    """Reads and checks chunks with a few readers at a time.

    Each reader holds one piece of a chunk where the store reads in pieces,
    and one chunk where it does not; no more is read ahead.

    :param timeout: seconds without an answer from any reader's store
    :param should_stop: returns a reason to stop, or None; or raises
    :param progress: called with the bytes read and all bytes
    :param use: called in place of the check with a watch, a store, the link
        and the chunk, in a native thread; must not log
    :param pause: seconds from one question whether to stop to the next one,
        which comes with the end of a chunk, or after a second
    """

    def __init__(self, store: stores.Store, number: int = 2,
                 timeout: float | None = None,
                 should_stop: Callable[[], str | None] | None = None,
                 progress: Callable[[int, int], None] | None = None,
                 use: Callable[..., None] | None = None, pause: float = 1):
        self._use = use or self._check
        self._pause = pause
        self._store = store
        self._number = number
        self._timeout = timeout
        self._should_stop = should_stop or (lambda: None)
        self._progress = progress or (lambda done, total: None)
        self._stop = threading.Event()
        self._last_asked = float('-inf')

    def run(self, jobs: list[Job]
            ) -> Generator[errors.Problem, None, None]:
        """Read and check chunks.

        :returns: what is wrong, as it is found
        :raises TimedOut: the store has stopped answering
        :raises Stopped: ``should_stop`` said so
        """
        waiting: queue.Queue = queue.Queue()
        for job in jobs:
            waiting.put(job)
        done: queue.Queue = queue.Queue()
        for _ in range(min(self._number, len(jobs))):
            threading.Thread(target=self._read, daemon=True,
                             args=(waiting, done)).start()
        total = sum(chunk.length for _, chunk in jobs)
        read = 0
        last = time.monotonic()
        try:
            for _ in jobs:
                chunk, problem = self._next(done)
                if chunk is None:
                    raise problem
                read += chunk.length
                self._progress(read, total)
                if time.monotonic() - last > 30:
                    last = time.monotonic()
                    LOG.info('Read and checked %(read)d of %(total)d bytes.',
                             {'read': read, 'total': total})
                if problem is not None:
                    yield problem
        finally:
            self._stop.set()

    def _next(self, done: queue.Queue) -> Any:
        while True:
            # Who is asked may have to ask a database.
            if time.monotonic() - self._last_asked >= self._pause:
                self._last_asked = time.monotonic()
                reason = self._should_stop()
                if reason:
                    raise errors.Stopped(
                        f'the verification was stopped: {reason}')
            try:
                return done.get(timeout=1)
            except queue.Empty:
                pass

    def _read(self, waiting: queue.Queue, done: queue.Queue) -> None:
        try:
            store = running.within(self._timeout, 'another connection',
                                   self._store.clone)
        except errors.Problem as err:
            done.put((None, err))
            return
        except Exception as err:
            # Or the rest of this reader's jobs would be left unread.
            done.put((None, errors.Unreadable(
                f'the storage cannot be read: {err!r}')))
            return
        while not self._stop.is_set():
            try:
                link, chunk = waiting.get_nowait()
            except queue.Empty:
                break
            problem: Exception | None = None
            try:
                running.watched(self._timeout, f'object {chunk.name}',
                                self._use, store, link, chunk)
            except errors.TimedOut as err:
                # The store is left to the request that it does not answer.
                done.put((None, errors.TimedOut(err.what, chunk.name,
                                                link.backup_id)))
                return
            except errors.Problem as err:
                problem = err
            except Exception as err:
                problem = errors.Unreadable(
                    f'object {chunk.name} cannot be verified: {err!r}',
                    chunk.name, link.backup_id)
            done.put((chunk, problem))
        if store is not self._store:
            store.close()

    def _check(self, watch: running.Watch, store: stores.Store,
               link: layout.Link, chunk: layout.Chunk) -> None:
        with contextlib.closing(checked(store, link, chunk,
                                        watch=watch)) as parts:
            for _ in parts:
                if self._stop.is_set():
                    return
