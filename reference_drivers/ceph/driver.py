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

"""The driver, put together."""

import contextlib
import os
from typing import Any

from cinder import exception
from cinder import interface
from cinder import objects
from cinder.backup.drivers import ceph
from oslo_config import cfg
from oslo_log import log as logging

from reference_drivers import import_verify
from reference_drivers import options
from reference_drivers.ceph import deletion
from reference_drivers.ceph import digest as digests
from reference_drivers.ceph import driver_info as driver_infos
from reference_drivers.ceph import finding
from reference_drivers.ceph import names as naming
from reference_drivers.ceph import pool as pools
from reference_drivers.ceph import restoring
from reference_drivers.verification import errors

LOG = logging.getLogger(__name__)
CONF = cfg.CONF


@interface.backupdriver
class CephBackupDriver(import_verify.ImportVerifyMixin, ceph.CephBackupDriver):
    """Backups in Ceph, with records that can be trusted."""

    store_kind = 'ceph'

    def _pool(self, name: str) -> pools.Pool:
        if self.rados is None or self.rbd is None:
            raise errors.Unreadable('Python has no modules rados and rbd',
                                    'rados')
        return pools.Pool(self, name, CONF[options.GROUP].timeout)

    # Export and import

    def export_record(self, backup: Any) -> dict[str, Any]:
        """Describe a backup in its record.

        :param backup: the backup
        :returns: where it is and what it must look like
        :raises Problem: it could not be restored
        """
        try:
            names = naming.names_of(backup, backup.id)
            with self._pool(names.pool) as pool:
                seen = finding.look(pool, names)
                parents = self._parents(pool, backup, seen.place)
                content = self._digest(pool, seen.place)
        except errors.Problem as err:
            raise self._clipped(err) from err
        return {
            'version': driver_infos.VERSION,
            'driver': self.store_kind,
            'location': seen.place.url,
            'backup_id': backup.id,
            'volume_id': backup.volume_id,
            'parent_id': backup.parent_id,
            'snapshot_id': backup.snapshot_id,
            'container': names.pool,
            'image': seen.place.image,
            'base': names.base,
            'snapshot': seen.place.snapshot,
            'size': backup.size,
            'image_size': seen.size,
            'meta': seen.meta,
            'digest': content,
            'parents': parents,
        }

    @staticmethod
    def _digest(pool: pools.Pool, place: naming.Place) -> str | None:
        limit = CONF[options.GROUP].ceph_digest_limit << 30
        content = digests.digest(pool, place, limit) if limit else None
        if content is None:
            LOG.warning('The record of %(place)s has no digest of its '
                        'content; see option [%(group)s]ceph_digest_limit.',
                        {'place': place.url, 'group': options.GROUP})
        return content

    def _parents(self, pool: pools.Pool, backup: Any, place: naming.Place
                 ) -> list[str]:
        """The backups below this one that are there, nearest first.

        A restore does not need their snapshots. That they are there now is
        a reason to miss them later.
        """
        if place.snapshot is None:
            return []
        with pool.image(place.image) as image:
            found = pool.snapshots(image, place.image)
        parents: list[str] = []
        context = self.context.elevated() if self.context else None
        parent_id = backup.parent_id
        # As many as have room in 4 KiB.
        while parent_id and parent_id not in parents and len(parents) < 60:
            if not naming.own_snapshots(found, parent_id):
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
        """Verify a backup that is to be imported.

        :param backup: the new row
        :param driver_info: what :meth:`export_record` returned
        :returns: the model update: the fields of the row as verified
        :raises Problem: what is wrong
        """
        level = CONF[options.GROUP].level
        if not driver_info:
            self._need_driver_info(backup)
            # What the fields name is looked for when they are applied.
            return {}
        names = driver_infos.check(driver_info, backup.id)
        if level != 'record':
            with self._pool(names.pool) as pool:
                self._verify_presence(pool, names, driver_info)
                if level == 'content':
                    self._verify_content(pool, backup, driver_info)
        LOG.info('Verified backup %(id)s at level %(level)s.',
                 {'id': backup.id, 'level': level})
        return {
            'volume_id': names.volume_id,
            'parent_id': driver_info.get('parent_id'),
            'snapshot_id': driver_info.get('snapshot_id'),
            'container': names.pool,
            'size': driver_info['size'],
            'service_metadata': driver_info.get('base'),
        }

    def _verify_presence(self, pool: pools.Pool, names: naming.Names,
                         info: dict[str, Any]) -> None:
        seen = finding.look(pool, names)
        if seen.place.snapshot != info.get('snapshot'):
            raise errors.WrongRecord(
                f'image {seen.place.image} has snapshot '
                f'{seen.place.snapshot} and not {info.get("snapshot")}',
                'snapshot', names.backup_id)
        if seen.size != info['image_size']:
            raise errors.WrongLength(
                f'image {seen.place.image} has {seen.size} bytes and not '
                f'image_size {info["image_size"]}', seen.place.image,
                names.backup_id)
        if info.get('meta') and seen.meta is None:
            raise errors.Missing(f'object {names.meta} is missing',
                                 names.meta, names.backup_id)
        if info.get('meta') and seen.meta != info['meta']:
            raise errors.WrongContent(
                f'object {names.meta} is not what was exported', names.meta,
                names.backup_id)
        parents = info.get('parents')
        if parents and seen.place.snapshot:
            with pool.image(seen.place.image) as image:
                found = pool.snapshots(image, seen.place.image)
            for parent in parents:
                if not naming.own_snapshots(found, parent):
                    raise errors.BrokenChain(
                        f'image {seen.place.image} has no snapshot of '
                        f'parent {parent} any more', seen.place.image,
                        names.backup_id)

    def _verify_content(self, pool: pools.Pool, backup: Any,
                        info: dict[str, Any]) -> None:
        place = naming.Place(info['container'], info['image'],
                             info.get('snapshot'))
        if info.get('digest') is None:
            if CONF[options.GROUP].without_driver_info == 'refuse':
                raise errors.WrongRecord(
                    'the record has no digest to verify the content by; see '
                    'options ceph_digest_limit and without_driver_info of '
                    f'[{options.GROUP}]', 'digest', backup.id)
            LOG.warning('The content of %s is not verified: its record has '
                        'no digest.', place.url)
            return

        if digests.digest(pool, place, stop=self._stop_of(backup)
                          ) != info['digest']:
            raise errors.WrongContent(
                f'the content of {place.url} differs from its digest',
                place.image, backup.id)

    def _compare(self, backup_id: str, values: dict[str, Any],
                 verified: dict[str, Any]) -> None:
        names = naming.names_of(values, backup_id)
        self._check_parent(backup_id, values)
        self._check_size(backup_id, values)
        if not verified:
            if CONF[options.GROUP].level == 'record':
                return
            with self._pool(names.pool) as pool:
                seen = finding.look(pool, names)
            LOG.warning('Backup %(id)s is imported without driver_info: '
                        '%(place)s is there, its content was not verified.',
                        {'id': backup_id, 'place': seen.place.url})
            return
        for field, value in verified.items():
            said = (names.base if field == 'service_metadata' else
                    values.get(field))
            if said != value:
                raise errors.WrongRecord(
                    f'the record says {field} {str(said)[:80]}, verified '
                    f'was {str(value)[:80]}', field, backup_id)

    # Restore

    def restore(self, backup: Any, volume_id: str, volume_file: Any,
                volume_is_new: bool) -> None:
        """Restore this very backup, or end in an error.

        Cinder's driver falls back to the newest data of the image when the
        snapshot is missing, and to another backup's image when this one's
        is missing, and calls that a success. Some releases also shift what
        follows a hole (bug 2155612). So all of it is done here.

        :param backup: the backup
        :param volume_id: the volume that is written to
        :param volume_file: its device
        :param volume_is_new: whether the volume reads as zeros
        :raises Problem: naming what is wrong; the volume must not be used
        :raises BackupRestoreCancel: the backup's status was changed
        """
        names = naming.names_of(backup, backup.id)
        target = self.db.volume_get(self.context, volume_id)
        with self._pool(names.pool) as pool:
            place = finding.look(pool, names).place
            with pool.image(place.image, place.snapshot) as image:
                size = pool.call(f'image {place.image}', image.size)
                if size > target.size << 30:
                    raise errors.WrongLength(
                        f'image {place.image} has {size} bytes, more than '
                        f'volume {volume_id}', place.image, backup.id)
                restoring.write(pool, place, image, size, backup,
                                volume_id, volume_file, volume_is_new)
        volume_file.flush()
        # A file of librbd has no number to sync by, and needs none.
        with contextlib.suppress(OSError):
            os.fsync(volume_file.fileno())
        # Cinder looks for it in the pool of the configuration.
        self._ceph_backup_pool = names.pool
        self._restore_metadata(backup, volume_id)

    # Delete

    def delete_backup(self, backup: Any) -> None:
        """Delete this very backup, and nothing else.

        Cinder's driver deletes the image that all backups of snapshots of
        the volume share also for a backup that failed because it was there.

        :param backup: the backup
        :raises Problem: the storage does not answer; the row stays then
        """
        if not backup.container:
            return
        try:
            names = naming.names_of(backup, backup.id)
            with self._pool(names.pool) as pool:
                for image in deletion.images(backup, names):
                    with contextlib.suppress(errors.Missing):
                        deletion.delete_from(pool, names, image)
                with contextlib.suppress(errors.Missing):
                    pool.call(f'object {names.meta}',
                              pool.ioctx.remove_object, names.meta)
        except (errors.BadLocation, errors.Missing) as err:
            LOG.error('Nothing is deleted from the storage for backup '
                      '%(id)s: %(reason)s', {'id': backup.id, 'reason': err})
