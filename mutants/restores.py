# SPDX-License-Identifier: Apache-2.0
"""Drivers that back up or restore something else than the volume."""

from collections.abc import Iterator
import contextlib
import hashlib
import json
import operator
import os
from typing import Any
import unicodedata

from cinder import exception
from cinder import objects
from cinder.objects import fields
from oslo_config import cfg

from mutants import catalogue
from reference_drivers import default
from reference_drivers.verification import content
from reference_drivers.verification import errors
from reference_drivers.verification import layout
from reference_drivers.verification import store as stores
from reference_drivers.verification import verifier

CONF = cfg.CONF

_GENERATIONS = 'every_generation_of_a_chain'


class _File:
    """The device that a restore writes to, with a defect."""

    def __init__(self, real: Any):
        self.real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


class _Through(default.DefaultBackupDriver):
    """Restores through a device with a defect."""

    device: type[_File]

    def restore(self, backup: Any, volume_id: str, volume_file: Any,
                volume_is_new: bool) -> None:
        super().restore(backup, volume_id, self.device(volume_file),
                        volume_is_new)


@catalogue.mutant(_GENERATIONS,
                  resembles="Cinder's chunked drivers before 2026.2, where "
                            "the volume is new")
class SkipsZeros(default.DefaultBackupDriver):
    """Zeros are not restored over data."""

    def _write_chain(self, backup: Any, volume_id: str,
                     chain: list[layout.Link], volume_file: Any,
                     volume_is_new: bool) -> None:
        for link in reversed(chain):
            super()._write_chain(backup, volume_id, [link], volume_file, True)


class _OnePage(stores.PosixStore):
    def entries(self, container: str, prefix: str) -> Iterator[stores.Entry]:
        yield from sorted(super().entries(container, prefix),
                          key=operator.attrgetter('name'))[:1000]


@catalogue.mutant('more_chunks_than_a_page', 'driver_info_of_100000_chunks',
                  resembles="Cinder's driver for Google Cloud Storage")
class ReadsOnePage(default.DefaultBackupDriver):
    """Only the first page of a listing is read."""

    def get_store(self) -> stores.PosixStore:
        return _OnePage(self)


@catalogue.mutant(_GENERATIONS)
class LeavesOldBytes(default.DefaultBackupDriver):
    """Zeros of a full backup are not restored onto an existing volume."""

    def restore(self, backup: Any, volume_id: str, volume_file: Any,
                volume_is_new: bool) -> None:
        super().restore(backup, volume_id, volume_file, True)


class _Cutting(_File):
    def flush(self) -> None:
        self.real.truncate()
        self.real.flush()


@catalogue.mutant('onto_a_larger_volume')
class CutsVolume(_Through):
    """A larger volume ends where the backup does."""

    device = _Cutting


@catalogue.mutant('onto_a_larger_volume')
class GrowsVolume(default.DefaultBackupDriver):
    """Other bytes of a buffer are written after the last chunk."""

    def restore(self, backup: Any, volume_id: str, volume_file: Any,
                volume_is_new: bool) -> None:
        super().restore(backup, volume_id, volume_file, volume_is_new)
        volume_file.seek(self._verifier(self._find_row()).verify(
            self._target(backup), 'presence').chain[0].chunks[-1].end)
        volume_file.write(b'of another user')


class _WithoutHoles(_File):
    at = 0

    def seek(self, offset: int) -> None:
        # A full backup begins at 0 again.
        self.at = 0 if offset == 0 else self.at
        self.real.seek(self.at)

    def write(self, data: bytes) -> None:
        self.real.write(data)
        self.at += len(data)


@catalogue.mutant(_GENERATIONS,
                  resembles="LP 2155612, of Cinder's Ceph driver")
class ShiftsAfterHole(_Through):
    """Data past a hole is written where the hole starts."""

    device = _WithoutHoles


class _Of32Bits(_File):
    def seek(self, offset: int) -> None:
        self.real.seek(offset & 0xffffffff)


@catalogue.mutant('more_than_four_gibibytes')
class CutsOffsets(_Through):
    """Data past 4 GiB is written where the volume begins."""

    device = _Of32Bits


@catalogue.mutant('properties_of_the_volume')
class LosesProperties(default.DefaultBackupDriver):
    """A restored volume has neither name nor properties, nor boots."""

    def put_metadata(self, volume_id: str, json_metadata: Any) -> None:
        pass


@catalogue.mutant('properties_of_the_volume')
class GivesFirstProperties(default.DefaultBackupDriver):
    """The volume of an incremental backup has the properties of the full."""

    def _restore_volume_metadata(self, link: layout.Link, volume_id: str
                                 ) -> None:
        self.full = link

    def restore(self, backup: Any, volume_id: str, volume_file: Any,
                volume_is_new: bool) -> None:
        super().restore(backup, volume_id, volume_file, volume_is_new)
        while self.full.parent_id:
            row = objects.Backup.get_by_id(self.context, self.full.parent_id)
            report = self._verifier(self._find_row()).verify(
                self._target(row), 'presence')
            self.full = report.chain[0]
        super()._restore_volume_metadata(self.full, volume_id)


@catalogue.mutant('properties_of_the_volume')
class ComposesProperties(default.DefaultBackupDriver):
    """The letters of a volume's properties are composed on restore."""

    def put_metadata(self, volume_id: str, json_metadata: Any) -> None:
        super().put_metadata(volume_id, unicodedata.normalize(
            'NFC', json.dumps(json.loads(json_metadata),
                              ensure_ascii=False)))


@catalogue.mutant('properties_of_the_volume')
class MakesBootable(default.DefaultBackupDriver):
    """A restored volume boots, also that of one that did not."""

    def put_metadata(self, volume_id: str, json_metadata: Any) -> None:
        super().put_metadata(volume_id, json_metadata)
        self.db.volume_update(self.context, volume_id, {'bootable': True})


@catalogue.mutant('export_and_import_change_nothing_on_the_store')
class RestoreLeavesMark(default.DefaultBackupDriver):
    """A restore writes to the store."""

    def restore(self, backup: Any, volume_id: str, volume_file: Any,
                volume_is_new: bool) -> None:
        super().restore(backup, volume_id, volume_file, volume_is_new)
        with self.get_object_writer(backup.container, 'restored') as writer:
            writer.write(b'restored')


class _Shorter(default.DefaultBackupDriver):
    """Restores a chain of which something is left out."""

    def restore(self, backup: Any, volume_id: str, volume_file: Any,
                volume_is_new: bool) -> None:
        verifier_of = self._verifier

        def made(*args: Any) -> verifier.Verifier:
            found = verifier_of(*args)
            verify = found.verify

            def shorter(*args: Any) -> verifier.Report:
                report = verify(*args)
                if report.ok:
                    self.shorten(report.chain)
                return report

            found.verify = shorter  # type: ignore[assignment]
            return found

        self._verifier = made  # type: ignore[assignment,method-assign]
        try:
            super().restore(backup, volume_id, volume_file, volume_is_new)
        finally:
            del self._verifier

    def shorten(self, chain: list[layout.Link]) -> None:
        raise NotImplementedError


@catalogue.mutant(_GENERATIONS, 'every_size')
class StopsEarly(_Shorter):
    """The last chunk is not restored."""

    def shorten(self, chain: list[layout.Link]) -> None:
        del chain[0].chunks[-1:]


@catalogue.mutant(_GENERATIONS)
class RestoresParent(_Shorter):
    """Stale: an incremental backup restores the generation of its parent."""

    def shorten(self, chain: list[layout.Link]) -> None:
        if len(chain) > 1:
            del chain[0]


@catalogue.mutant('a_long_chain')
class ForgetsMiddle(_Shorter):
    """Of more than eight links of a chain the middle is not restored."""

    def shorten(self, chain: list[layout.Link]) -> None:
        del chain[4:-4]


@catalogue.mutant(_GENERATIONS)
class RestoresInWrongOrder(_Shorter):
    """The full backup is restored after the incremental ones."""

    def shorten(self, chain: list[layout.Link]) -> None:
        chain.reverse()


@catalogue.mutant(_GENERATIONS,
                  resembles="Cinder's Ceph driver, where the snapshot of the "
                            "backup is gone")
class RestoresNewest(default.DefaultBackupDriver):
    """The newest backup of the volume is restored, whichever is asked for."""

    def restore(self, backup: Any, volume_id: str, volume_file: Any,
                volume_is_new: bool) -> None:
        found = objects.BackupList.get_all_by_volume(
            self.context, backup.volume_id, backup.project_id)
        newest = max(found, key=lambda one: (
            one.created_at, one.service_metadata or '', self._depth(one)))
        before = newest.status
        newest.status = fields.BackupStatus.RESTORING
        newest.save()
        try:
            super().restore(newest, volume_id, volume_file, volume_is_new)
        finally:
            newest.status = before
            newest.save()

    def _depth(self, backup: Any) -> int:
        depth = 0
        while backup.parent_id:
            depth += 1
            backup = objects.Backup.get_by_id(self.context,
                                              backup.parent_id)
        return depth


@catalogue.mutant(_GENERATIONS)
class WritesAnotherVolume(default.DefaultBackupDriver):
    """The volume that was backed up is written, whichever is asked for."""

    def restore(self, backup: Any, volume_id: str, volume_file: Any,
                volume_is_new: bool) -> None:
        path = os.path.join(os.path.dirname(volume_file.name),
                            f'volume-{backup.volume_id}')
        with open(path, 'r+b') as stream:
            super().restore(backup, volume_id, stream, volume_is_new)


@catalogue.mutant(_GENERATIONS)
class WritesBehindTheEnd(default.DefaultBackupDriver):
    """A sector is written past the end of the backup."""

    def restore(self, backup: Any, volume_id: str, volume_file: Any,
                volume_is_new: bool) -> None:
        super().restore(backup, volume_id, volume_file, volume_is_new)
        volume_file.seek(0, os.SEEK_END)
        volume_file.write(b'\1' * 512)
        volume_file.flush()


@catalogue.mutant('wrong_bytes_are_restored_only_when_asked_for',
                  'every_damage',
                  resembles="Cinder's chunked drivers: they never read the "
                            "checksums that they store")
class ComparesNothing(default.DefaultBackupDriver):
    """A restore does not compare what it reads with its checksums."""

    @staticmethod
    def _write_chunk(watch: Any, store: Any, link: layout.Link,
                     chunk: layout.Chunk, volume_file: Any) -> None:
        body = b''.join(store.pieces(link.container, chunk.name))
        if not chunk.plain:
            default.DefaultBackupDriver._write_chunk(
                watch, store, link, chunk, volume_file)
            return
        volume_file.seek(chunk.offset)
        volume_file.write(body)


@catalogue.mutant('wrong_bytes_are_restored_only_when_asked_for')
class AlwaysCompares(default.DefaultBackupDriver):
    """Wrong bytes are refused although the operator asks for them."""

    @staticmethod
    def _write_chunk(watch: Any, store: Any, link: layout.Link,
                     chunk: layout.Chunk, volume_file: Any) -> None:
        for _ in content.checked(store, link, chunk, True, watch):
            pass
        default.DefaultBackupDriver._write_chunk(
            watch, store, link, chunk, volume_file)


@catalogue.mutant('every_damage',
                  'every_damage_of_compressed_chunks',
                  'parents_that_lead_astray')
class SaysItSucceeded(default.DefaultBackupDriver):
    """A restore that failed is reported as a success."""

    def restore(self, backup: Any, volume_id: str, volume_file: Any,
                volume_is_new: bool) -> None:
        with contextlib.suppress(exception.InvalidBackup):
            super().restore(backup, volume_id, volume_file, volume_is_new)


@catalogue.mutant('parents_that_lead_astray')
class RestoresOrphans(default.DefaultBackupDriver):
    """A backup whose parent was not imported is restored without it."""

    def restore(self, backup: Any, volume_id: str, volume_file: Any,
                volume_is_new: bool) -> None:
        try:
            super().restore(backup, volume_id, volume_file, volume_is_new)
        except errors.BrokenChain as err:
            if err.detail != self.NO_ROW:
                raise


@catalogue.mutant('every_compression')
class KnowsOneCompression(default.DefaultBackupDriver):
    """Chunks that were compressed with bz2 are restored as they are."""

    @staticmethod
    def _write_chunk(watch: Any, store: Any, link: layout.Link,
                     chunk: layout.Chunk, volume_file: Any) -> None:
        if chunk.compression != 'bz2':
            default.DefaultBackupDriver._write_chunk(
                watch, store, link, chunk, volume_file)
            return
        volume_file.seek(chunk.offset)
        volume_file.write(b''.join(store.pieces(link.container,
                                                chunk.name)))


@catalogue.mutant('options_that_were_changed')
class DecompressesAsConfigured(default.DefaultBackupDriver):
    """Chunks are decompressed as new ones would be compressed."""

    @staticmethod
    def _write_chunk(watch: Any, store: Any, link: layout.Link,
                     chunk: layout.Chunk, volume_file: Any) -> None:
        if not chunk.plain:
            chunk = chunk._replace(
                compression=CONF.backup_compression_algorithm)
        default.DefaultBackupDriver._write_chunk(
            watch, store, link, chunk, volume_file)


@catalogue.mutant('options_that_were_changed')
class CutsChunksAsConfigured(default.DefaultBackupDriver):
    """No more of a chunk is restored than a new one would have."""

    def restore(self, backup: Any, volume_id: str, volume_file: Any,
                volume_is_new: bool) -> None:
        super().restore(backup, volume_id, _Short(volume_file),
                        volume_is_new)


class _Short(_File):
    def write(self, data: bytes) -> None:
        self.real.write(data[:CONF.backup_file_size])


class _Sectors(_File):
    def read(self, length: int) -> bytes:
        data = self.real.read(length)
        return data[:len(data) // 512 * 512]


@catalogue.mutant('every_size')
class BacksUpSectors(default.DefaultBackupDriver):
    """Bytes past the last whole sector are not backed up."""

    def backup(self, backup: Any, volume_file: Any,
               backup_metadata: bool = True) -> Any:
        return super().backup(backup, _Sectors(volume_file),
                              backup_metadata)


@catalogue.mutant('every_size')
class BacksUpWholeBlocks(default.DefaultBackupDriver):
    """An incremental backup has no change in what is less than a block."""

    def _read_sha256file(self, backup: Any) -> Any:
        found = super()._read_sha256file(backup)
        size = os.path.getsize(self.path)
        if size % found['chunk_size']:
            with open(self.path, 'rb') as stream:
                stream.seek(size // found['chunk_size'] *
                            found['chunk_size'])
                found['sha256s'][-1] = hashlib.sha256(
                    stream.read()).hexdigest()
        return found

    def backup(self, backup: Any, volume_file: Any,
               backup_metadata: bool = True) -> Any:
        self.path = volume_file.name
        return super().backup(backup, volume_file, backup_metadata)
