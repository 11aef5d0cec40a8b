# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""The steps that are timed: plain reading, verification and restores."""

from collections.abc import Callable
from collections.abc import Iterable
import filecmp
import hashlib
import os
import queue
import resource
import shutil
import tempfile
import threading
import time
import tracemalloc
from typing import Any

from cinder.backup.drivers import posix
from cinder.objects import fields

from benchmarks import programs
from benchmarks import results
from reference_drivers.contract import base
from reference_drivers.contract import environment
from reference_drivers.verification import store as stores
from reference_drivers.verification import streams

BLOCK = results.BLOCK
GIB = 1024 ** 3


def write_volume(path: str, size: int) -> None:
    """Write a volume of which every second block compresses.

    No block is zeros, which a restore to a new volume would skip.

    :param path: its file
    :param size: in bytes
    """
    with open(path, 'wb') as stream:
        number = 0
        while size > 0:
            make = base.text if number % 2 else base.noise
            piece = make(min(BLOCK, size), number)
            stream.write(piece)
            size -= len(piece)
            number += 1


def timed(series: results.Series, step: Callable[[], None]) -> None:
    """Run a step once and note how long it took."""
    worked, begin = _worked(), time.perf_counter()
    step()
    series.seconds.append(time.perf_counter() - begin)
    series.cpu.append(_worked() - worked)


def _worked() -> float:
    """CPU seconds of this process and of those that it has waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def peak(step: Callable[[], None]) -> int:
    """The most bytes that Python had at a time in a step.

    Tracing slows it down, so nothing is timed at the same time.

    :returns: above what there was before
    """
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        step()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def plain(paths: list[str], compression: str, readers: int) -> None:
    """Read files, decompress them and hash them with SHA-256.

    With no check and no limit: the least that reading everything costs. Of
    the ways to do it, the fastest one of those measured, in pieces.

    :param paths: the files
    :param compression: of all of them
    :param readers: how many threads
    """
    waiting: queue.SimpleQueue = queue.SimpleQueue()
    for path in paths:
        waiting.put(path)
    errors: list[Exception] = []

    def run() -> None:
        try:
            while True:
                _hash(waiting.get_nowait(), compression)
        except queue.Empty:
            pass
        except Exception as err:
            errors.append(err)

    threads = [threading.Thread(target=run, daemon=True)
               for _ in range(readers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def _hash(path: str, compression: str) -> str:
    total = hashlib.sha256()
    with open(path, 'rb', buffering=0) as stream:
        expand: Any = None
        if compression == 'zlib':
            expand = streams.zlib.decompressobj()
        elif compression == 'zstd':
            expand = streams.in_pieces.ZstdDecompressor()
        while piece := stream.read(stores.PIECE):
            total.update(expand.decompress(piece) if expand else piece)
    return total.hexdigest()


class OneBackup:
    """A backup, and the steps on it.

    :param cinder: with the reference driver for a directory
    :param volume: what was backed up
    :param compression: how
    :param chunk: bytes of the volume in a chunk
    :param readers: how many threads
    :param others: programs to compare with, by name
    """

    def __init__(self, cinder: environment.Environment, volume: Any,
                 compression: str, chunk: int, readers: int,
                 others: Iterable[str] = ()):
        self.cinder = cinder
        self.volume = volume
        self.compression = compression
        self.chunk = chunk
        self.readers = readers
        cinder.configure(backup_compression_algorithm=compression,
                         backup_file_size=chunk)
        self.backup = cinder.create_backup(volume)
        self.driver = cinder.driver()
        self.in_tree = posix.PosixBackupDriver(cinder.context)
        link = self._verify('presence').chain[0]
        if {one.compression for one in link.chunks} - {compression}:
            raise results.Failed('a chunk became no smaller by compression; '
                                 'take larger chunks')
        directory = self.driver.get_store().directory(link.container)
        self.paths = [os.path.join(directory, one.name)
                      for one in link.chunks]
        self.stored = link.stored_bytes
        self.target = cinder.create_volume(size=volume.size)
        self.others = [self._other(programs.ALL[name]) for name in others
                       if compression in programs.ALL[name].compressions]

    def _other(self, program: type[programs.Program]) -> programs.Program:
        made = program(tempfile.mkdtemp(prefix=program.name), self.compression)
        made.store(self._source())
        # Nothing of the volume is there twice, so that none of them can have
        # less to read than Cinder's driver has.
        if made.stored() < 0.8 * self.stored:
            raise results.Failed(f'{program.name} has not stored everything')
        return made

    def _verify(self, level: str) -> Any:
        report = self.driver.verify(self.backup, level, readers=self.readers)
        if not report.ok:
            raise results.Failed('a good backup is reported: '
                                 f'{report.problems[0]}')
        return report

    def _presence(self) -> None:
        self._verify('presence')

    def _content(self) -> None:
        report = self._verify('content')
        if report.read != report.total:
            raise results.Failed('level content has not read everything')

    def _restore(self, driver: Any) -> None:
        # As the manager does: to a device that is cut to zero by that.
        with open(self.cinder.path(self.target.id), 'wb') as stream:
            driver.restore(self.backup, self.target.id, stream, True)

    def steps(self) -> dict[str, Callable[[], None]]:
        """All steps by name."""
        made: dict[str, Callable[[], None]] = {
            results.PLAIN: lambda: plain(self.paths, self.compression,
                                         self.readers),
            results.PRESENCE: self._presence,
            results.CONTENT: self._content,
            results.REFERENCE: lambda: self._restore(self.driver),
            results.IN_TREE: lambda: self._restore(self.in_tree)}
        for other in self.others:
            made[other.name] = other.check
            made[f'{other.name}{results.EMPTY}'] = other.check_empty
        return made

    def measure(self, rounds: int) -> results.Backup:
        """Run all steps in turns.

        Each round begins with another step, so that none is always the one
        after the writes of a restore. Before them is one that is not
        measured: it fills the caches and compares what was restored.

        :param rounds: how often
        :returns: what was measured
        """
        self.backup.status = fields.BackupStatus.RESTORING
        self.backup.save()
        steps = self.steps()
        for name, step in steps.items():
            step()
            if name in (results.REFERENCE, results.IN_TREE):
                self._compare(name)
        series = {name: results.Series() for name in steps}
        names = list(steps)
        for number in range(rounds):
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                timed(series[name], steps[name])
        return results.Backup(
            self.compression, os.path.getsize(self._source()), self.chunk,
            len(self.paths), self.stored, self.readers, series,
            peak(self._content))

    def _source(self) -> str:
        return self.cinder.path(self.volume.id)

    def _compare(self, name: str) -> None:
        restored = self.cinder.path(self.target.id)
        if not filecmp.cmp(self._source(), restored, shallow=False):
            raise results.Failed(f'{name} has restored another content')

    def remove(self) -> None:
        """Make room for the next one."""
        self.driver.delete_backup(self.backup)
        os.remove(self.cinder.path(self.target.id))
        for other in self.others:
            shutil.rmtree(other.directory)
