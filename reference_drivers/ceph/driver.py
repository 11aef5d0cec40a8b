# SPDX-License-Identifier: Apache-2.0

"""The driver, put together."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
import contextlib
import json
import time
from typing import Any

from cinder import exception
from cinder import interface
from cinder import objects
from cinder.backup.drivers import ceph
from cinder.objects import fields
from oslo_config import cfg
from oslo_log import log as logging

from reference_drivers import children
from reference_drivers import import_verify
from reference_drivers import keys
from reference_drivers import options
from reference_drivers.ceph import deletion
from reference_drivers.ceph import digest as digests
from reference_drivers.ceph import driver_info as driver_infos
from reference_drivers.ceph import finding
from reference_drivers.ceph import names as naming
from reference_drivers.ceph import pool as pools
from reference_drivers.ceph import restoring
from reference_drivers.ceph import scanning
from reference_drivers.scanning import found as found_
from reference_drivers.verification import errors
from reference_drivers.verification import restored
from reference_drivers.verification import verifier

LOG = logging.getLogger(__name__)
CONF = cfg.CONF


class NoDigest(errors.Unreadable):
    """Nothing says what the content of a backup must be."""

    kind = 'no digest'


class Report(verifier.Report):
    """The result of a verification of one backup in Ceph."""

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), 'chain': [self.backup_id]}


@interface.backupdriver
class CephBackupDriver(import_verify.ImportVerifyMixin,
                       ceph.CephBackupDriver):
    """Backups in Ceph, with records that can be trusted."""

    store_kind = 'ceph'

    #: The digest of the full copy that was made last.
    _copied: digests.Digest | None = None

    def _pool(self, name: str) -> pools.Pool:
        if self.rados is None or self.rbd is None:
            raise errors.Unreadable('Python has no modules rados and rbd',
                                    'rados')
        return pools.Pool(self, name, CONF[options.GROUP].timeout)

    # Backup

    def backup(self, backup: Any, volume_file: Any,
               backup_metadata: bool = True) -> dict[str, Any]:
        """Back a volume up as Cinder's driver does.

        An incremental backup has its parent verified at level presence.
        A full copy goes through this process, so that its digest costs no
        read; it is kept in the row. Of what the program ``rbd`` transfers
        the export of a record makes one.

        :raises Problem: the parent could not be restored
        """
        if backup.parent_id:
            report = self.verify(objects.Backup.get_by_id(
                self.context, backup.parent_id), 'presence')
            if not report.ok:
                raise report.problems[0]
        self._copied = None
        updates = super().backup(backup, volume_file, backup_metadata)
        if self._copied is None or updates:
            return updates
        names = naming.names_of(backup, backup.id)
        try:
            with self._pool(names.pool) as pool:
                meta = pool.read_meta(names)
        except errors.Problem as err:
            LOG.warning('Backup %(id)s is done, and its digest is not kept: '
                        '%(reason)s', {'id': backup.id, 'reason': err})
            return updates
        kept = naming.Kept(names.copy, self._copied.parts,
                           naming.meta_sum(meta) if meta else None, True)
        return {'service_metadata': kept.dump()}

    def _full_backup(self, backup: Any, src_volume: Any, src_name: str,
                     length: int) -> None:
        copy = digests.Copy(src_volume, length)
        super()._full_backup(backup, copy, src_name, length)
        self._copied = copy.finish()

    def _discard_bytes(self, volume: Any, offset: int, length: int) -> None:
        """Discard what a copy's image has beyond the end of its source.

        On eventlet the image is a proxy in a proxy. The outer one takes the
        inner one for a method, since it can be called, and Cinder's driver
        gets a function that has no ``discard``.
        """
        super()._discard_bytes(getattr(volume, '_obj', volume), offset,
                               length)

    # Export and import

    def export_record(self, backup: Any) -> dict[str, Any]:
        try:
            names = naming.names_of(backup, backup.id)
            with self._pool(names.pool) as pool:
                seen = finding.look(pool, names)
                content = names.digest or self._digest(pool, seen.place)
            encryption = keys.Keys(self.context, backup.id).describe(
                backup.encryption_key_id, seen.meta)
        except errors.Problem as err:
            raise self._clipped(err) from err
        record = driver_infos.make(backup, names, seen, content,
                                   self._parents(backup, seen), encryption)
        if names.base is not None:
            # What an import has added to the row of a chain's backup is in
            # driver_info. In the fields it would make of an imported backup
            # another record than that which it was imported from. The object
            # is the request's own; nothing saves it.
            backup.service_metadata = json.dumps({'base': names.base})
        return record

    @staticmethod
    def _digest(pool: pools.Pool, place: naming.Place) -> str | None:
        limit = CONF[options.GROUP].ceph_digest_limit << 30
        found = None
        if limit:
            reader = digests.Reader(CONF[options.GROUP].readers)
            with pool.image(place.image, place.snapshot) as image:
                found = reader.digest(pool, image, place.image, limit)
        if found is None:
            LOG.warning('The record of %(place)s has no digest of its '
                        'content; see option [%(group)s]ceph_digest_limit.',
                        {'place': place.url, 'group': options.GROUP})
            return None
        return found.parts

    def _parents(self, backup: Any, seen: finding.Seen) -> list[str]:
        """The backups below this one that are there, nearest first.

        A restore does not need their snapshots. That they are there now is
        a reason to miss them later.
        """
        if seen.place.snapshot is None:
            return []
        parents: list[str] = []
        context = self.context.elevated() if self.context else None
        parent_id = backup.parent_id
        # No more have room in 4 KiB.
        while parent_id and parent_id not in parents and len(parents) < 100:
            if not naming.own_snapshots(seen.snapshots, parent_id):
                break
            parents.append(parent_id)
            try:
                row = objects.Backup.get_by_id(context, parent_id)
            except exception.BackupNotFound:
                break
            parent_id = row.parent_id
        return parents

    def import_verify(self, backup: Any, driver_info: Any
                      ) -> dict[str, Any]:
        if not driver_info:
            self._need_driver_info(backup)
            # What the fields name is looked for when they are applied.
            return {}
        conf = CONF[options.GROUP]
        names = driver_infos.check(driver_info, backup.id)
        seen = None
        if conf.level != 'record':
            with self._pool(names.pool) as pool:
                seen = finding.look(pool, names)
                driver_infos.compare(driver_info, names, seen)
                if conf.level == 'content':
                    self._verify_content(pool, seen.place, names,
                                         self._stop_of(backup))
        LOG.info('Verified backup %(id)s at level %(level)s.',
                 {'id': backup.id, 'level': conf.level})
        return {
            'volume_id': names.volume_id,
            'parent_id': driver_info.get('parent_id'),
            'snapshot_id': driver_info.get('snapshot_id'),
            'container': names.pool,
            'size': driver_info['size'],
            'base': driver_info.get('base'),
            'digest': names.digest,
            'meta': names.meta_sum,
            'image': driver_info['image'],
            'copy': names.copied,
            'volume_meta': seen.meta if seen else None,
        }

    def _verify_content(self, pool: pools.Pool, place: naming.Place,
                        names: naming.Names,
                        stop: Callable[[], str | None] | None) -> None:
        conf = CONF[options.GROUP]
        if names.digest is None:
            if conf.ceph_without_digest == 'refuse':
                raise NoDigest(
                    'there is no digest to verify its content by; see option '
                    f'[{options.GROUP}]ceph_without_digest: {place.url}',
                    'digest', names.backup_id)
            LOG.warning('Backup %(id)s is verified at level presence only: '
                        'there is no digest to prove the content of '
                        '%(place)s by.',
                        {'id': names.backup_id, 'place': place.url})
            return
        self._compare_content(
            pool, place, names, digests.Reader(conf.readers, stop),
            (min(conf.part, conf.parts), conf.parts), conf.budget)

    @staticmethod
    def _compare_content(pool: pools.Pool, place: naming.Place,
                         names: naming.Names, reader: digests.Reader,
                         part: tuple[int, int], budget: int | None) -> None:
        with pool.image(place.image, place.snapshot) as image:
            if reader.differs(pool, image, place.image, str(names.digest),
                              part, budget):
                raise errors.WrongContent(
                    f'the content of {place.url} differs from its digest',
                    place.image, names.backup_id)

    def _compare(self, backup_id: str, values: dict[str, Any],
                 verified: dict[str, Any]) -> None:
        names = naming.names_of(values, backup_id)
        self._check_parent(backup_id, values)
        self._check_size(backup_id, values)
        if values.get('object_count'):
            # Nothing here counts them, so that Cinder's row has none.
            raise errors.WrongRecord(
                f'the record says object_count '
                f'{str(values["object_count"])[:20]}, but a backup in Ceph '
                f'has none', 'object_count', backup_id)
        if not verified:
            self._look_without_driver_info(names)
            return
        # A row of old names neither base nor copy: both are found.
        image = verified.pop('image')
        said = {**values, 'base': names.base,
                'digest': names.digest or verified['digest'],
                'meta': names.meta_sum or verified['meta'],
                'copy': names.copied if names.copied or names.base else
                verified['copy']}
        for field, value in verified.items():
            if said.get(field) != value:
                raise errors.WrongRecord(
                    f'the record says {field} {str(said.get(field))[:80]}, '
                    f'verified was {str(value)[:80]}',
                    'service_metadata' if field == 'base' else field,
                    backup_id)
        if verified['digest'] or verified['meta']:
            # What a restore will compare with.
            values['service_metadata'] = naming.Kept(
                image, verified['digest'], verified['meta'],
                verified['copy'] is not None).dump()

    def _look_without_driver_info(self, names: naming.Names) -> None:
        level = CONF[options.GROUP].level
        if level == 'record':
            return
        with self._pool(names.pool) as pool:
            place = finding.look(pool, names).place
            if level == 'content':
                self._verify_content(pool, place, names, None)
        LOG.warning('Backup %(id)s is imported without driver_info: '
                    '%(place)s is there.',
                    {'id': names.backup_id, 'place': place.url})

    # Verification outside of an import

    def verify(self, backup: Any, level: str, *,
               part: tuple[int, int] = (1, 1), budget: int | None = None,
               readers: int | None = None,
               should_stop: Callable[[], str | None] | None = None,
               progress: Callable[[int, int], None] | None = None
               ) -> verifier.Report:
        report = Report(backup.id, level)
        begin = time.monotonic()
        reader = digests.Reader(readers or CONF[options.GROUP].readers,
                                should_stop, progress)
        try:
            names = naming.names_of(backup, backup.id)
            with self._pool(names.pool) as pool:
                place = finding.look(pool, names).place
                if level == 'content':
                    if names.digest is None:
                        raise NoDigest(
                            'its row has no digest to verify the content of '
                            f'{place.url} by; an import of its record gives '
                            'it one', 'digest', backup.id)
                    self._compare_content(pool, place, names, reader, part,
                                          budget)
        except (errors.TimedOut, errors.Stopped):
            raise
        except errors.Problem as err:
            report.problems.append(err)
        report.read, report.total = reader.read, reader.total
        report.seconds = time.monotonic() - begin
        return report

    def prove(self, backup: Any, volume: restored.Volume,
              driver_info: dict[str, Any] | None = None,
              rest: bool = True) -> restored.Proof:
        """Compare a restored volume with the digest of its backup.

        With a record the cluster is not asked.
        """
        if driver_info is not None:
            names = driver_infos.check(driver_info, backup.id)
            size = driver_info['image_size']
        else:
            names = naming.names_of(backup, backup.id)
            with self._pool(names.pool) as pool:
                size = finding.look(pool, names).size
        if names.digest is None:
            raise NoDigest('there is no digest of its content to compare a '
                           'volume with', 'digest', backup.id)
        proof = restored.Proof(backup.id, volume, driver_info is not None,
                               end=size)
        proof.add(digests.differing(volume, size, names.digest))
        if rest:
            proof.add(volume.behind(size))
        return proof

    def scan(self, names: Iterable[str] = (),
             progress: Callable[[int], None] = lambda done: None
             ) -> Iterator[found_.Found]:
        """Find the backups in pools, by default that of the configuration.

        :raises Problem: a pool cannot be listed, or does not answer
        """
        for name in names or [CONF.backup_ceph_pool]:
            with self._pool(name) as pool:
                yield from scanning.Walk(pool, progress).run()

    # Restore

    def restore(self, backup: Any, volume_id: str, volume_file: Any,
                volume_is_new: bool) -> None:
        """Restore this very backup, or end in an error.

        Cinder's driver falls back to the newest data of the image when the
        snapshot is missing, and to another backup's image when this one's
        is missing, and calls that a success. Some releases also shift what
        follows a hole (bug 2155612). So all of it is done here.

        :raises Problem: naming what is wrong; the volume must not be used
        :raises BackupRestoreCancel: the backup's status was changed
        """
        conf = CONF[options.GROUP]
        names = naming.names_of(backup, backup.id)
        target = self.db.volume_get(self.context, volume_id)
        if not conf.verify_on_restore:
            names.digest = names.meta_sum = None
        elif names.digest is None:
            LOG.warning('The content of backup %s is not compared while it '
                        'is restored: its row has no digest.', backup.id)
        restoring.limit(volume_file, conf.timeout)
        writer = restoring.Writer(volume_file, volume_is_new, conf.readers,
                                  self._go_on(backup, volume_id))
        with self._pool(names.pool) as pool:
            seen = finding.look(pool, names)
            if seen.size > target.size << 30:
                raise errors.WrongLength(
                    f'image {seen.place.image} has {seen.size} bytes, more '
                    f'than volume {volume_id}', seen.place.image, backup.id)
            meta = self._check_volume(backup, target, seen.meta)
            with pool.image(seen.place.image, seen.place.snapshot) as image:
                writer.write(pool, image, seen.place, seen.size,
                             names.digest)
        if meta is not None:
            self._put_metadata(meta, volume_id, names)

    def _put_metadata(self, metadata: str | bytes, volume_id: str,
                      names: naming.Names) -> None:
        try:
            self.put_metadata(volume_id, metadata if isinstance(metadata, str)
                              else metadata.decode())
        except ValueError as err:
            raise errors.WrongContent(
                f'object {names.meta} is not JSON: {err}', names.meta,
                names.backup_id) from err
        except exception.BackupMetadataUnsupportedVersion:
            message = 'Metadata restore failed due to incompatible version.'
            LOG.error(message)
            raise exception.BackupOperationError(message) from None

    @staticmethod
    def _go_on(backup: Any, volume_id: str) -> Callable[[], None]:
        """Check that a restore is still wanted, before it continues."""
        asked = time.monotonic()

        def go_on() -> None:
            nonlocal asked
            if time.monotonic() < asked + 1:
                return
            asked = time.monotonic()
            with backup.as_read_deleted():
                backup.refresh()
            if backup.status != fields.BackupStatus.RESTORING:
                raise exception.BackupRestoreCancel(back_id=backup.id,
                                                    vol_id=volume_id)

        return go_on

    # Delete

    def delete_backup(self, backup: Any) -> None:
        """Delete this very backup, and nothing else.

        Cinder's driver deletes the image that all backups of snapshots of
        the volume share also for a backup that failed because it was there.

        :raises Problem: the storage or the key manager does not answer, or
            an incremental backup needs this one; the row stays then
        """
        keys.check_delete(self.context, backup)
        if backup.container:
            self._delete_images(backup)
        keys.spare(self.context, backup)

    def _delete_images(self, backup: Any) -> None:
        try:
            names = naming.names_of(backup, backup.id)
            with self._pool(names.pool) as pool:
                images = deletion.images(backup, names)
                for image in images:
                    with contextlib.suppress(errors.Missing):
                        deletion.refuse_parent(
                            pool, names, image, backup,
                            children.rows_of_volume(self.context, backup))
                if deletion.has_own_copy(pool, names):
                    # Then no shared image is a copy for it, and nothing may
                    # look like that if this is interrupted and repeated.
                    deletion.delete_meta(pool, names)
                for image in images:
                    with contextlib.suppress(errors.Missing):
                        deletion.delete_from(pool, names, image)
                deletion.delete_meta(pool, names)
        except (errors.BadLocation, errors.Missing) as err:
            LOG.error('Nothing is deleted from the storage for backup '
                      '%(id)s: %(reason)s', {'id': backup.id, 'reason': err})
