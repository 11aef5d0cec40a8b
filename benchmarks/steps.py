# SPDX-License-Identifier: Apache-2.0

"""The steps that are timed: plain reading, verification and restores."""

import collections
from collections.abc import Callable
from collections.abc import Iterable
from concurrent import futures
import filecmp
import hashlib
import os
import shutil
import tempfile
from typing import Any
from unittest import mock

from cinder.backup.drivers import posix
from cinder.objects import fields

from benchmarks import chunks
from benchmarks import programs
from benchmarks import results
from reference_drivers.contract import base
from reference_drivers.contract import environment
from reference_drivers.verification import hashing
from reference_drivers.verification import restored
from reference_drivers.verification import store as stores
from reference_drivers.verification import streams

DRIVER = 'reference_drivers.default.DefaultBackupDriver'
BLOCK = results.BLOCK


def write_volume(path: str, size: int) -> None:
    """Write a volume of which every second block compresses.

    No block is zeros, which a restore to a new volume would skip.
    """
    with open(path, 'wb') as stream:
        for number, offset in enumerate(range(0, size, BLOCK)):
            make = base.text if number % 2 else base.noise
            stream.write(make(min(BLOCK, size - offset), number))


def plain(paths: Iterable[str], compression: str, readers: int) -> None:
    """Read files, decompress them and hash them with SHA-256.

    With no check and no limit: the least that reading everything costs. Of
    the ways to do it, the fastest one of those measured, in pieces.
    """
    with futures.ThreadPoolExecutor(readers) as pool:
        for _ in pool.map(lambda path: sha256(path, compression), paths):
            pass


def sha256(path: str, compression: str) -> str:
    """The digest of the content of a chunk."""
    total = hashlib.sha256()
    expand: Any = None
    if compression == 'zlib':
        expand = streams.zlib.decompressobj()
    elif compression == 'zstd':
        expand = streams.in_pieces.ZstdDecompressor()
    with open(path, 'rb', buffering=0) as stream:
        while piece := stream.read(stores.PIECE):
            total.update(expand.decompress(piece) if expand else piece)
    return total.hexdigest()


def verified(driver: Any, backup: Any, level: str, **more: Any) -> Any:
    """The report of a verification.

    :raises Failed: it finds a problem in a good backup
    """
    report = driver.verify(backup, level, **more)
    if not report.ok:
        raise results.Failed(
            f'a good backup is reported: {report.problems[0]}')
    return report


class OneBackup:
    """A backup, and the steps on it.

    :param cinder: with the reference driver for a directory
    :param chunk: bytes of the volume in a chunk
    :param others: names of programs to compare with
    """

    def __init__(self, cinder: environment.Environment, volume: Any,
                 compression: str, chunk: int, readers: int,
                 others: Iterable[str] = ()):
        self.cinder = cinder
        self.source = cinder.path(volume.id)
        self.compression = compression
        self.readers = readers
        cinder.configure(backup_compression_algorithm=compression,
                         backup_file_size=chunk)
        self.backup = cinder.create_backup(volume)
        self.driver = cinder.driver()
        self.in_tree = posix.PosixBackupDriver(cinder.context)
        link = verified(self.driver, self.backup, 'presence').chain[0]
        if {chunk.compression for chunk in link.chunks} - {compression}:
            raise results.Failed('a chunk became no smaller by compression; '
                                 'choose larger chunks')
        directory = self.driver.get_store().directory(link.container)
        self.paths = [os.path.join(directory, chunk.name)
                      for chunk in link.chunks]
        self.stored = link.stored_bytes
        self.target = cinder.create_volume(size=volume.size)
        self.restored = cinder.path(self.target.id)
        self.others = {
            name: self._other(programs.ALL[name]) for name in others
            if compression in programs.ALL[name].compressions}

    def _other(self, program: programs.Program) -> programs.Repositories:
        made = programs.Repositories(program,
                                     tempfile.mkdtemp(prefix=program.name))
        made.store(self.source, self.compression)
        # No block of the volume repeats, so that no program can have less to
        # read than Cinder's driver has.
        if made.stored() < 0.8 * self.stored:
            raise results.Failed(f'{program.name} has not stored everything')
        return made

    def _presence(self) -> None:
        verified(self.driver, self.backup, 'presence', readers=self.readers)

    def _content(self) -> None:
        report = verified(self.driver, self.backup, 'content',
                          readers=self.readers)
        if report.read != report.total:
            raise results.Failed('level content has not read everything')

    def _content_with_hashlib(self) -> None:
        with (mock.patch.object(hashing, 'library', return_value=None),
              mock.patch.object(hashing, '_idle', collections.deque())):
            self._content()

    def _prove(self) -> None:
        with restored.Volume(self.restored, self.readers) as volume:
            proof = self.driver.prove(self.backup, volume)
        if not proof.ok or volume.read != volume.size:
            raise results.Failed('a restored volume is not proved')

    def _restore(self, driver: Any) -> None:
        # As the manager does: to a device, which open() cuts to nothing.
        with open(self.restored, 'wb') as stream:
            driver.restore(self.backup, self.target.id, stream, True)

    def steps(self) -> dict[str, Callable[[], None]]:
        """All steps by name."""
        made: dict[str, Callable[[], None]] = {
            results.PLAIN: lambda: plain(self.paths, self.compression,
                                         self.readers),
            results.PRESENCE: self._presence,
            results.CONTENT: self._content,
            results.REFERENCE: lambda: self._restore(self.driver),
            results.IN_TREE: lambda: self._restore(self.in_tree),
            results.PROVE: self._prove}
        if hashing.library():
            made[results.HASHLIB] = self._content_with_hashlib
        for name, other in self.others.items():
            made[name] = other.check
            made[f'{name}{results.EMPTY}'] = other.check_empty
        return made

    def measure(self, rounds: int) -> results.Backup:
        """Run all steps in turns.

        Before the rounds is one that is not measured: it fills the caches and
        compares the restored volumes.
        """
        self.backup.status = fields.BackupStatus.RESTORING
        self.backup.save()
        steps = self.steps()
        for name, step in steps.items():
            step()
            if (name in (results.REFERENCE, results.IN_TREE) and
                    not filecmp.cmp(self.source, self.restored, False)):
                raise results.Failed(f'{name}: the restored volume differs '
                                     'from the original')
        return results.Backup(
            self.compression, os.path.getsize(self.source), len(self.paths),
            self.stored, results.in_turns(steps, rounds))

    def remove(self) -> None:
        """Make room for the next one."""
        self.driver.delete_backup(self.backup)
        os.remove(self.restored)
        for other in self.others.values():
            shutil.rmtree(other.directory)


def measure_listing(cinder: environment.Environment, count: int,
                    rounds: int) -> results.Listing:
    """Time L1 and export for a number of chunks."""
    backup = chunks.create_backup(cinder, count)
    driver: Any = cinder.driver()
    in_tree = posix.PosixBackupDriver(cinder.context)

    def verify() -> None:
        report = verified(driver, backup, 'presence')
        if len(report.chain[0].chunks) != count:
            raise results.Failed('level presence has not seen every chunk')

    def export(with_driver: Any) -> None:
        # As the manager does.
        backup.encode_record(driver_info=with_driver.export_record(backup))

    made = results.in_turns({
        results.PRESENCE: verify,
        results.EXPORT: lambda: export(driver),
        results.IN_TREE_EXPORT: lambda: export(in_tree)}, rounds)
    driver.delete_backup(backup)
    os.remove(cinder.path(backup.volume_id))
    return results.Listing(count, made)
