# SPDX-License-Identifier: Apache-2.0

"""Write a chain of backups to a volume, each byte of it once.

Cinder's ``ChunkedBackupDriver`` writes the full backup and then each
incremental one over it, one chunk after the other. Here each byte comes from
the newest backup that has it, and several threads read, check and write.
"""

import bisect
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import io
import itertools
import os
import stat
from typing import Any

from cinder.volume import volume_utils

from reference_drivers.verification import errors
from reference_drivers.verification import layout
from reference_drivers.verification import running
from reference_drivers.verification import threads

# Bytes after which what was written is forced out to the device. Or closing
# it would wait for all of it.
_SYNC = 32 * 1024 * 1024


def newest(chain: Sequence[layout.Link]
           ) -> list[tuple[layout.Link, layout.Chunk, list[layout.Extent]]]:
    """The chunks of a chain that are needed for its newest backup.

    :param chain: the backup, its parent and so on to the full one
    :returns: each chunk with the extents that no newer backup has, in the
        order of the volume
    """
    found = []
    covered: list[layout.Extent] = []
    for link in chain:
        at = 0
        for chunk in link.chunks:
            while at < len(covered) and covered[at][1] <= chunk.offset:
                at += 1
            extents = list(_without(covered, at, chunk))
            if extents:
                found.append((link, chunk, extents))
        covered = layout.joined([*covered, *((chunk.offset, chunk.end)
                                       for chunk in link.chunks)])
    found.sort(key=lambda one: one[2][0])
    return found


def _without(covered: list[layout.Extent], at: int, chunk: layout.Chunk
             ) -> Iterator[layout.Extent]:
    """The parts of a chunk that are not covered.

    :param at: the first of the extents that may be in it
    """
    start = chunk.offset
    while at < len(covered) and covered[at][0] < chunk.end:
        first, last = covered[at]
        if start < first:
            yield start, first
        start = last
        at += 1
    if start < chunk.end:
        yield start, chunk.end


@contextlib.contextmanager
def _named(offset: int) -> Iterator[None]:
    try:
        yield
    except OSError as err:
        raise errors.Unreadable(
            f'the volume cannot be written at {offset}: '
            f'{err.strerror or err}', 'volume') from err


class Target:
    """A volume that several threads write to.

    To be used with ``with``: after its end no thread writes any more, also
    one that the storage answers too late.

    :param volume_file: what Cinder has opened
    :param is_new: it reads as zeros where nothing was written
    """

    def __init__(self, volume_file: Any, is_new: bool):
        self.is_new = is_new
        self._file = volume_file
        # Under eventlet these are written from native threads as well.
        self._changed = threads.native('threading').Condition()
        self._writing = 0
        self._closed = False
        self._unsynced = 0
        # Other devices, as those of librbd, have one position for all.
        self._seeking = threads.native('threading').Lock()
        self._number: int | None = None
        if isinstance(volume_file, (io.BufferedWriter, io.BufferedRandom,
                                    io.FileIO)):
            self._number = volume_file.fileno()

    def __enter__(self) -> 'Target':
        return self

    def __exit__(self, *args: Any) -> None:
        running.native(self._close)

    def _close(self) -> None:
        with self._changed:
            self._closed = True
            while self._writing:
                self._changed.wait()

    @contextlib.contextmanager
    def _used(self) -> Iterator[None]:
        with self._changed:
            if self._closed:
                raise errors.Stopped('the restore has ended')
            self._writing += 1
        try:
            yield
        finally:
            with self._changed:
                self._writing -= 1
                self._changed.notify_all()

    def write(self, offset: int, data: Any) -> None:
        """Write bytes.

        :raises Stopped: the restore has ended
        :raises Unreadable: the volume cannot be written
        """
        with self._used(), _named(offset):
            self._write(offset, data)
            self._unsynced += len(data)
            if self._unsynced >= _SYNC:
                self._sync()

    def _write(self, offset: int, data: Any) -> None:
        if self._number is None:
            with self._seeking:
                self._file.seek(offset)
                self._file.write(data)
            return
        view = memoryview(data)
        while view:
            done = os.pwrite(self._number, view, offset)
            view, offset = view[done:], offset + done

    def finish(self, end: int) -> None:
        """Force all out to the device.

        :param end: bytes of the backup. A file that is shorter, since it
            was opened so that it is empty, gets that length
        :raises Unreadable: the volume cannot be written
        """
        running.native(self._finish, end)

    def _finish(self, end: int) -> None:
        with _named(end):
            if self._number is not None:
                found = os.fstat(self._number)
                if stat.S_ISREG(found.st_mode) and found.st_size < end:
                    os.ftruncate(self._number, end)
            self._sync()

    def _sync(self) -> None:
        self._unsynced = 0
        number = self._number
        if number is None:
            with self._seeking:
                self._file.flush()
            try:
                number = self._file.fileno()
            except OSError:
                # Devices such as those of librbd have none.
                return
        os.fsync(number)


class Part:
    """The device that one chunk is written to.

    It passes on what no newer backup has, and to a new volume no zeros.

    :param extents: what no newer backup has
    """

    def __init__(self, target: Target, extents: list[layout.Extent]):
        self._target = target
        self._extents = extents
        self._at = 0

    def seek(self, offset: int) -> None:
        self._at = offset

    def write(self, data: Any) -> None:
        start, self._at = self._at, self._at + len(data)
        first = max(bisect.bisect(self._extents, (start, self._at)) - 1, 0)
        for begin, end in itertools.islice(self._extents, first, None):
            if begin >= self._at:
                break
            piece = data[max(begin - start, 0):max(end - start, 0)]
            if piece and not (self._target.is_new and
                              volume_utils.is_all_zero(bytes(piece))):
                self._target.write(max(begin, start), piece)
