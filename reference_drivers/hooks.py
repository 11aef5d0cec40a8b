# SPDX-License-Identifier: Apache-2.0

"""Hooks and guards that the reference drivers add to a chunked driver.

The hooks of the record, and guards for what follows an import, since a row
can be wrong, old or hostile.
"""

from collections.abc import Callable
import contextlib
from typing import Any

from cinder import exception
from cinder import objects
from cinder.objects import fields
from oslo_config import cfg
from oslo_log import log as logging

from reference_drivers import deletion
from reference_drivers import driver_info as driver_infos
from reference_drivers import import_verify
from reference_drivers import keys
from reference_drivers import options
from reference_drivers import parallel_chunks
from reference_drivers import restoring
from reference_drivers import stored_record
from reference_drivers.verification import content
from reference_drivers.verification import errors
from reference_drivers.verification import layout
from reference_drivers.verification import presence
from reference_drivers.verification import restored
from reference_drivers.verification import running
from reference_drivers.verification import salvage
from reference_drivers.verification import store as stores
from reference_drivers.verification import verifier

LOG = logging.getLogger(__name__)
CONF = cfg.CONF


class VerifyMixin(deletion.DeletionMixin,
                  stored_record.StoredRecordMixin,
                  parallel_chunks.ParallelChunksMixin,
                  import_verify.ImportVerifyMixin):
    """Hooks and guards, in front of a ``ChunkedBackupDriver``.

    A driver says where it stores by :meth:`get_store`; that is all.
    """

    store_kind = 'chunked'
    #: The detail of a problem: a parent was not imported.
    NO_ROW = 'no row'

    put_metadata: Callable[[str, Any], None]

    def get_store(self) -> stores.Store:
        """The store of this driver."""
        return stores.Store(self)

    # Backup

    def backup(self, backup: Any, volume_file: Any,
               backup_metadata: bool = True) -> Any:
        """Back a volume up, unless the backup would not be restorable.

        An incremental backup has its parents verified at level presence.

        :raises Problem: naming what is wrong with a parent or the container
        """
        if backup.container is not None:
            self._check_container(backup.container, backup.id)
        if backup.parent_id:
            parent = objects.Backup.get_by_id(self.context, backup.parent_id)
            report = self._verifier(self._find_row()).verify(
                self._target(parent), 'presence')
            if not report.ok:
                raise report.problems[0]
            link = report.chain[0]
            if link.hashes is None:
                raise errors.Missing(
                    f'object {link.sha256_name} is missing, which an '
                    f'incremental backup needs; make a full one',
                    link.sha256_name, parent.id)
        return super().backup(
            backup, volume_file, backup_metadata)

    def _check_container(self, container: str, backup_id: str) -> None:
        """Refuse a container from which no backup would be read.

        :raises BadLocation: with the reason, before anything is written
        """
        running.within(CONF[options.GROUP].timeout,
                       f'container {container[:100]!r}',
                       self.get_store().check_container, container, backup_id)

    # Export and import

    def export_record(self, backup: Any) -> dict[str, Any]:
        report = self._verifier(self._find_row()).verify(
            self._target(backup), 'presence')
        if not report.ok:
            raise self._clipped(report.problems[0])
        try:
            encryption = keys.Keys(self.context, backup.id).describe(
                backup.encryption_key_id,
                report.chain[0].metadata.get('volume_meta'))
        except errors.Problem as err:
            raise self._clipped(err) from err
        return driver_infos.make(backup, report, self.get_store(),
                                 self.store_kind, encryption)

    def import_verify(self, backup: Any, driver_info: Any
                      ) -> dict[str, Any]:
        if not driver_info:
            return self._verify_without_driver_info(backup)
        driver_infos.check(driver_info, backup.id)
        level = CONF[options.GROUP].level
        if level == 'record':
            return driver_infos.model_update(driver_info, None)

        def find(parent_id: str, link: layout.Link
                 ) -> verifier.Target | None:
            return (driver_infos.parent_target(driver_info, parent_id) or
                    self._find_row()(parent_id, link))

        report = self._verify_import(
            backup, driver_infos.target(driver_info), level, find)
        return driver_infos.model_update(driver_info, report.chain[0])

    def _verify_without_driver_info(self, backup: Any) -> dict[str, Any]:
        self._need_driver_info(backup)
        level = CONF[options.GROUP].level
        place = None
        if level != 'record':
            place = running.within(
                CONF[options.GROUP].timeout, f'backup {backup.id}',
                self.get_store().locate, backup.id)
        if place is None:
            LOG.warning('Backup %s is imported without being verified: its '
                        'record has no driver_info and it was not looked '
                        'for or not found by its id.', backup.id)
            return {}
        report = self._verify_import(
            backup, verifier.Target(backup.id, *place), level,
            self._find_row())
        link = report.chain[0]
        return {'volume_id': link.volume_id, 'parent_id': link.parent_id,
                'container': link.container, 'service_metadata': link.prefix,
                'object_count': len(link.chunks), 'link': link,
                'volume_meta': link.metadata.get('volume_meta')}

    def _verify_import(self, backup: Any, target: verifier.Target,
                       level: str, find: verifier.FindParent
                       ) -> verifier.Report:
        report = self._verifier(find, self._stop_of(backup)).verify(
            target, level)
        LOG.info('Verified backup %(id)s at level %(level)s: %(read)d of '
                 '%(total)d bytes read, %(count)d problems.',
                 {'id': backup.id, 'level': level, 'read': report.read,
                  'total': report.total, 'count': len(report.problems)})
        if not report.ok:
            raise report.problems[0]
        return report

    def verify(self, backup: Any, level: str, *,
               part: tuple[int, int] = (1, 1), budget: int | None = None,
               readers: int | None = None,
               should_stop: Callable[[], str | None] | None = None,
               progress: Callable[[int, int], None] | None = None
               ) -> verifier.Report:
        conf = CONF[options.GROUP]
        return verifier.Verifier(
            self.get_store(), readers=readers or conf.readers,
            timeout=conf.timeout, part=part, budget=budget,
            find_parent=self._find_row(), should_stop=should_stop,
            progress=progress).verify(self._target(backup), level,
                                      all_problems=True)

    def prove(self, backup: Any, volume: restored.Volume,
              driver_info: dict[str, Any] | None = None,
              rest: bool = True) -> restored.Proof:
        target = self._target(backup)
        if driver_info is not None:
            driver_infos.check(driver_info, backup.id)
            target = driver_infos.target(driver_info)
        found = self._verifier(self._find_row())
        link, problems = found.describe(target)
        if link.hashes is None:
            raise restored.NothingToCompare(
                f'object {link.sha256_name} is missing, without which a '
                f'volume cannot be compared', link.sha256_name, backup.id)
        proof = restored.Proof(backup.id, volume, driver_info is not None,
                               problems)
        proof.end = found.end_of_volume(link, backup.size)
        proof.add(volume.compare(link.hashes, proof.end))
        if rest:
            proof.add(volume.behind(proof.end))
        return proof

    def salvage(self, backup: Any, target: salvage.Target,
                driver_info: dict[str, Any] | None = None,
                progress: Callable[[int, int], None] | None = None
                ) -> salvage.Salvaged:
        wanted = self._target(backup)
        if driver_info is not None:
            driver_infos.check(driver_info, backup.id)
            wanted = driver_infos.target(driver_info)

        def find(parent_id: str, link: layout.Link
                 ) -> verifier.Target | None:
            return (driver_infos.parent_target(driver_info or {}, parent_id)
                    or self._find_row()(parent_id, link))

        return salvage.Salvage(self._verifier(find), target, progress or (
            lambda done, of: None)).run(wanted)

    def _verifier(self, find: verifier.FindParent,
                  stop: Callable[[], str | None] | None = None
                  ) -> verifier.Verifier:
        conf = CONF[options.GROUP]
        return verifier.Verifier(
            self.get_store(), readers=conf.readers, timeout=conf.timeout,
            part=(min(conf.part, conf.parts), conf.parts),
            budget=conf.budget, find_parent=find, should_stop=stop)

    def _find_row(self) -> verifier.FindParent:
        """Finds parents by their rows, which may be of any project."""
        context = self.context.elevated() if self.context else None

        def find(parent_id: str, link: layout.Link
                 ) -> verifier.Target | None:
            try:
                row = objects.Backup.get_by_id(context, parent_id)
            except exception.BackupNotFound:
                return None
            if not row.container or not row.service_metadata:
                return None
            return verifier.Target(row.id, row.container,
                                   row.service_metadata)

        return find

    def _compare(self, backup_id: str, values: dict[str, Any],
                 verified: dict[str, Any]) -> None:
        container: Any = values.get('container')
        prefix: Any = values.get('service_metadata')
        # A directory is looked at for links that lead out of the store.
        running.within(CONF[options.GROUP].timeout,
                       f'container {str(container)[:100]!r}',
                       self.get_store().check_location, container, prefix,
                       backup_id)
        self._check_parent(backup_id, values)
        link = verified.get('link')
        if link is not None and link.container != container and (
                running.within(CONF[options.GROUP].timeout,
                               f'container {container[:100]!r}',
                               self.get_store().same_container, container,
                               link.container)):
            verified = {**verified, 'container': container}
        for field, value in verified.items():
            if field == 'link' or values.get(field) == value:
                continue
            # Without driver_info the storage is all to compare with.
            if link is None or field != 'object_count' or not layout.counts(
                    values.get(field), value):
                raise errors.WrongRecord(
                    f'the record says {field} {str(values.get(field))[:60]},'
                    f' verified was {str(value)[:60]}', field, backup_id)
        self._check_size(backup_id, values)
        if link is not None:
            for problem in presence.check_size(
                    link, values['size'],
                    values.get('snapshot_id') is not None):
                raise problem

    @staticmethod
    def _target(backup: Any) -> verifier.Target:
        return verifier.Target(
            backup.id, backup.container, backup.service_metadata,
            volume_id=backup.volume_id, parent_id=backup.parent_id,
            size=backup.size, object_count=backup.object_count,
            of_snapshot=backup.snapshot_id is not None)

    # Restore

    def restore(self, backup: Any, volume_id: str, volume_file: Any,
                volume_is_new: bool) -> None:
        """Restore a backup, or end in an error.

        The chain is verified at level presence before the first byte is
        written, and each chunk against its checksums while it is written,
        several at a time. Each byte comes from the newest backup that has it.
        The whole of it is done here and not in Cinder's driver: releases
        before 2026.2 leave old data where an incremental backup has zeros
        (they skip zeros of a new volume also there), and none compares.

        :raises Problem: naming what is wrong; the volume must not be used
        :raises BackupRestoreCancel: the backup's status was changed
        """
        report = self._verifier(self._parent_row).verify(
            self._target(backup), 'presence')
        if not report.ok:
            raise report.problems[0]
        metadata = report.chain[0].metadata
        metadata['volume_meta'] = self._check_volume(
            backup, self.db.volume_get(self.context, volume_id),
            metadata.get('volume_meta'))
        self._write_chain(backup, volume_id, report.chain, volume_file,
                          volume_is_new)
        # Not that of the parents: Cinder would leave the oldest name.
        self._restore_volume_metadata(report.chain[0], volume_id)
        LOG.debug('Restored backup %(id)s to volume %(volume)s.',
                  {'id': backup.id, 'volume': volume_id})

    def _parent_row(self, parent_id: str, link: layout.Link
                    ) -> verifier.Target:
        # As Cinder does: no parent is restored that was not imported.
        try:
            row = objects.Backup.get_by_id(self.context, parent_id)
        except exception.BackupNotFound:
            raise errors.BrokenChain(
                f'parent {parent_id} has no row; import it first', parent_id,
                link.backup_id, self.NO_ROW) from None
        return self._target(row)

    def _write_chain(self, backup: Any, volume_id: str,
                     chain: list[layout.Link], volume_file: Any,
                     volume_is_new: bool) -> None:
        target = restoring.Target(volume_file, volume_is_new)
        conf = CONF[options.GROUP]
        needed = restoring.newest(chain)
        extents = {(link.backup_id, chunk.name): extents
                   for link, chunk, extents in needed}

        def check() -> None:
            with backup.as_read_deleted():
                backup.refresh()
            if backup.status != fields.BackupStatus.RESTORING:
                raise exception.BackupRestoreCancel(back_id=backup.id,
                                                    vol_id=volume_id)

        def write(watch: running.Watch, store: stores.Store,
                  link: layout.Link, chunk: layout.Chunk) -> None:
            self._write_chunk(watch, store, link, chunk, restoring.Part(
                target, extents[link.backup_id, chunk.name]))

        check()
        readers = content.Readers(self.get_store(), conf.readers,
                                  conf.timeout, check, use=write, pause=0)
        with target, contextlib.closing(readers.run(
                [(link, chunk) for link, chunk, _ in needed])) as problems:
            for problem in problems:
                raise problem
            target.finish(max((chunk.end for _, chunk, _ in needed),
                              default=0))

    @staticmethod
    def _write_chunk(watch: running.Watch, store: stores.Store,
                     link: layout.Link, chunk: layout.Chunk,
                     volume_file: restoring.Part) -> None:
        """Write one chunk. Runs in a native thread and must not log."""
        sums = CONF[options.GROUP].verify_on_restore
        with contextlib.closing(content.checked(store, link, chunk, sums,
                                                watch)) as parts:
            volume_file.seek(chunk.offset)
            for part in parts:
                # A part may be the whole chunk, where its compression cannot
                # be undone in pieces; a new volume stays sparse all the same.
                for start in range(0, len(part), stores.PIECE):
                    volume_file.write(part[start:start + stores.PIECE])

    def _restore_volume_metadata(self, link: layout.Link, volume_id: str
                                 ) -> None:
        volume_meta = link.metadata.get('volume_meta')
        if not volume_meta:
            return
        try:
            self.put_metadata(volume_id, volume_meta)
        except exception.BackupMetadataUnsupportedVersion:
            message = 'Metadata restore failed due to incompatible version.'
            LOG.error(message)
            raise exception.BackupOperationError(message) from None
        except ValueError as err:
            raise errors.WrongContent(
                f'object {link.metadata_name} has volume_meta that is not '
                f'JSON: {err}', link.metadata_name, link.backup_id) from err
