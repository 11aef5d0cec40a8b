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
import filecmp
import hashlib
import json
import os
import queue
import threading
import time
import tracemalloc
from typing import Any
import zlib

from cinder.backup.drivers import posix
from cinder.objects import fields

from benchmarks import results
from reference_drivers.contract import base
from reference_drivers.contract import environment
from reference_drivers.verification import store as stores

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
    worked, begin = time.process_time(), time.perf_counter()
    step()
    series.seconds.append(time.perf_counter() - begin)
    series.cpu.append(time.process_time() - worked)


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
    the ways to do it, the fastest one of those measured: in pieces, but for
    zstd, whose module knows only whole files.

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
        if compression == 'zstd':
            import zstd
            total.update(zstd.decompress(stream.read()))
            return total.hexdigest()
        expand = zlib.decompressobj() if compression == 'zlib' else None
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
    """

    def __init__(self, cinder: environment.Environment, volume: Any,
                 compression: str, chunk: int, readers: int):
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
        return {
            results.PLAIN: lambda: plain(self.paths, self.compression,
                                         self.readers),
            results.PRESENCE: self._presence,
            results.CONTENT: self._content,
            results.REFERENCE: lambda: self._restore(self.driver),
            results.IN_TREE: lambda: self._restore(self.in_tree)}

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


class _CountingStore(stores.PosixStore):
    """Counts how often the store is asked."""

    listings = reads = 0

    def entries(self, container: str, prefix: str) -> Any:
        self.listings += 1
        return super().entries(container, prefix)

    def pieces(self, container: str, name: str,
               extra_metadata: Any = None) -> Any:
        self.reads += 1
        return super().pieces(container, name, extra_metadata)


def measure_listing(cinder: environment.Environment, count: int,
                    rounds: int) -> results.Listing:
    """Measure L1 for a number of chunks.

    One tiny backup is made through the driver; its chunk is then there many
    times, and its metadata says so.

    :param cinder: with the reference driver for a directory
    :param count: how many chunks
    :param rounds: how often
    :returns: what was measured
    """
    cinder.configure(backup_compression_algorithm='zlib',
                     backup_file_size=BLOCK)
    volume = cinder.create_volume(base.text(BLOCK),
                                  size=max(1, -(-count * BLOCK // GIB)))
    backup = cinder.create_backup(volume)
    store = _CountingStore(cinder.driver())
    directory = store.directory(backup.container)
    _multiply(os.path.join(directory, backup.service_metadata), count)
    backup.object_count = count
    backup.save()
    driver = cinder.driver()
    driver.get_store = lambda: store

    def verify() -> None:
        report = driver.verify(backup, 'presence')
        if not report.ok:
            raise results.Failed('a good backup is reported: '
                                 f'{report.problems[0]}')
        if len(report.chain[0].chunks) != count:
            raise results.Failed('level presence has not seen every chunk')

    memory = peak(verify)
    listings, reads = store.listings, store.reads
    series = results.Series()
    for _ in range(rounds):
        timed(series, verify)
    driver.delete_backup(backup)
    return results.Listing(count, series.seconds, listings, reads, memory)


def _multiply(prefix: str, count: int) -> None:
    """Make a backup of one chunk one of many."""
    with open(f'{prefix}_metadata', encoding='utf-8') as stream:
        metadata = json.load(stream)
    (name, values), = metadata['objects'][0].items()
    short = os.path.basename(prefix)
    with open(os.path.join(os.path.dirname(prefix), name), 'rb') as stream:
        chunk = stream.read()
    for number in range(1, count):
        with open(f'{prefix}-{number + 1:05d}', 'wb') as stream:
            stream.write(chunk)
    metadata['objects'] = [
        {f'{short}-{number + 1:05d}': {**values, 'offset': number * BLOCK}}
        for number in range(count)]
    with open(f'{prefix}_metadata', 'w', encoding='utf-8') as stream:
        json.dump(metadata, stream, indent=2, sort_keys=True)
    with open(f'{prefix}_sha256file', encoding='utf-8') as stream:
        hashes = json.load(stream)
    hashes['sha256s'] *= count
    with open(f'{prefix}_sha256file', 'w', encoding='utf-8') as stream:
        json.dump(hashes, stream, indent=2, sort_keys=True)
