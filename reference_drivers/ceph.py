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

"""Ceph: RBD images and their snapshots, as Cinder's driver stores them.

Ceph keeps no checksum that a client could compare: with one replica a byte
that was overwritten, or a data object that was removed, reads back as other
data and without an error. So the record carries a digest of the content,
made when it is exported.
"""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import dataclasses
import hashlib
import json
import re
import time
from typing import Any

from cinder import exception
from cinder import interface
from cinder import objects
from cinder.backup.drivers import ceph
from cinder.objects import fields
from oslo_config import cfg
from oslo_log import log as logging

from reference_drivers import hooks
from reference_drivers import options
from reference_drivers.verification import errors
from reference_drivers.verification import running

LOG = logging.getLogger(__name__)
CONF = cfg.CONF

VERSION = 1
BLOCK = 4 << 20
"""As much as is read at once: the size of RBD's objects by default."""

_DIGEST = re.compile(r'sha256:[0-9a-f]{64}\Z')
_ID = r'[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}'
_UUID = re.compile(_ID + r'\Z')
_RETRIES = 3
_DELAY = 5


@dataclasses.dataclass
class Place:
    """Where a backup is.

    :param snapshot: name, None where the image itself is the backup
    """

    pool: str
    image: str
    snapshot: str | None

    @property
    def url(self) -> str:
        """What a person, and the program rbd, can read."""
        at = f'@{self.snapshot}' if self.snapshot else ''
        return f'rbd:{self.pool}/{self.image}{at}'


@dataclasses.dataclass
class Names:
    """What names a backup on the storage: its row, or its record."""

    backup_id: str
    volume_id: str
    pool: str
    base: str | None
    of_snapshot: bool

    @property
    def own(self) -> str:
        """The image that this backup made, if it made one."""
        return f'volume-{self.volume_id}.backup.{self.backup_id}'

    @property
    def shared(self) -> str:
        """The image that backups of snapshots and old backups share."""
        return f'volume-{self.volume_id}.backup.base'

    @property
    def meta(self) -> str:
        """The object with the volume's metadata."""
        return f'backup.{self.backup_id}.meta'

    def check(self) -> None:
        """Check that these can be this backup's.

        :raises BadLocation: naming pool or image
        """
        if not isinstance(self.pool, str) or not self.pool:
            raise errors.BadLocation(f'container {str(self.pool)[:60]!r} is '
                                     'not a pool', 'container',
                                     self.backup_id)
        if self.base is not None and not re.match(
                rf'volume-{re.escape(self.volume_id)}\.backup\.'
                rf'(base|{_ID})\Z', self.base):
            raise errors.BadLocation(
                f'image {self.base[:120]!r} is not a backup of volume '
                f'{self.volume_id}', self.base, self.backup_id)


@dataclasses.dataclass
class Seen:
    """A backup as it was found."""

    place: Place
    size: int
    meta: str | None


def base_of(service_metadata: Any, backup_id: str) -> str | None:
    """The base image that a row names, None if it names none.

    :raises BadLocation: it is not what Cinder's driver writes
    """
    if service_metadata is None:
        return None
    try:
        base = json.loads(service_metadata)['base']
    except (KeyError, TypeError, ValueError):
        base = None
    if not isinstance(base, str):
        raise errors.BadLocation(
            f'service_metadata {str(service_metadata)[:100]!r} names no '
            'image', 'service_metadata', backup_id)
    return base


def names_of(values: Any, backup_id: str) -> Names:
    """What a row, or a record's fields, say.

    :param values: with ``get``
    :raises BadLocation: it cannot be a backup's
    """
    names = Names(backup_id, str(values.get('volume_id')),
                  values.get('container'),
                  base_of(values.get('service_metadata'), backup_id),
                  values.get('snapshot_id') is not None)
    names.check()
    return names


class Pool:
    """A pool, opened so that every request ends in time.

    :param driver: Cinder's driver, for its user and configuration
    :param name: the pool
    :param timeout: seconds for each request
    """

    def __init__(self, driver: Any, name: str, timeout: float):
        self.rados = driver.rados
        self.rbd = driver.rbd
        self.name = name
        self.timeout = timeout
        self._driver = driver
        self._cluster: Any = None
        self.ioctx: Any = None

    def __enter__(self) -> 'Pool':
        self.call(f'pool {self.name}', self._connect)
        return self

    def __exit__(self, *args: Any) -> None:
        with contextlib.suppress(errors.Problem):
            self.call(f'pool {self.name}', self._close)

    def _connect(self) -> None:
        seconds = str(max(1, round(self.timeout)))
        self._cluster = self.rados.Rados(
            rados_id=self._driver._ceph_backup_user,
            conffile=self._driver._ceph_backup_conf,
            conf={'client_mount_timeout': seconds,
                  'rados_mon_op_timeout': seconds,
                  'rados_osd_op_timeout': seconds})
        try:
            self._cluster.connect()
            self.ioctx = self._cluster.open_ioctx(self.name)
        except BaseException:
            self._cluster.shutdown()
            raise

    def _close(self) -> None:
        self.ioctx.close()
        self._cluster.shutdown()

    def call(self, what: str, function: Callable[..., Any],
             *args: Any) -> Any:
        """Ask the cluster.

        :param what: what is asked for, for the message
        :returns: what the function returns
        :raises Missing: it is not there
        :raises TimedOut: no answer in time
        :raises Unreadable: another error
        """
        try:
            # Longer than the client's own limit, which ends the request.
            return running.within(self.timeout + 1, what, function, *args)
        except (self.rados.ObjectNotFound, self.rbd.ImageNotFound) as err:
            raise errors.Missing(f'{what} is missing', what) from err
        except (self.rados.TimedOut, self.rbd.Timeout) as err:
            raise errors.TimedOut(
                f'the storage did not answer within {self.timeout:g} s: '
                f'{what}', what) from err
        except (self.rados.Error, self.rbd.Error) as err:
            # librbd has no class for some errors of librados.
            if getattr(err, 'errno', None) == 110:
                raise errors.TimedOut(
                    f'the storage did not answer within {self.timeout:g} s: '
                    f'{what}', what) from err
            raise errors.Unreadable(f'{what}: {err}', what) from err

    @contextlib.contextmanager
    def image(self, name: str, snapshot: str | None = None,
              read_only: bool = True) -> Iterator[Any]:
        """Open an image; read only, it leaves no trace on the storage."""
        where = f'image {name}' + (f' at snapshot {snapshot}' if snapshot
                                   else '')
        opened = self.call(where, lambda: self.rbd.Image(
            self.ioctx, name, snapshot=snapshot, read_only=read_only))
        try:
            yield opened
        finally:
            with contextlib.suppress(errors.Problem):
                self.call(where, opened.close)

    def snapshots(self, image: Any, name: str) -> list[str]:
        """Names of an image's snapshots."""
        found = self.call(f'image {name}', lambda: list(image.list_snaps()))
        return [one['name'] for one in found]

    def meta(self, names: Names) -> str | None:
        """The digest of a backup's object with metadata."""
        def read() -> bytes:
            size, _ = self.ioctx.stat(names.meta)
            return self.ioctx.read(names.meta, size)

        try:
            data = self.call(f'object {names.meta}', read)
        except errors.Missing:
            return None
        return f'sha256:{hashlib.sha256(data).hexdigest()}'

    def blocks(self, image: Any, name: str) -> list[int]:
        """The blocks that may have data, by their offsets."""
        size = self.call(f'image {name}', image.size)
        found: set[int] = set()

        def add(offset: int, length: int, exists: bool) -> None:
            if exists:
                found.update(range(offset // BLOCK,
                                   -(-(offset + length) // BLOCK)))

        # Of whole objects: with an object map that costs no request.
        self.call(f'image {name}', lambda: image.diff_iterate(
            0, size, None, add, True, True))
        return sorted(number * BLOCK for number in found)

    def read(self, image: Any, name: str, offset: int, size: int) -> bytes:
        """Read one block."""
        return self.call(f'image {name} at {offset}', image.read, offset,
                         min(BLOCK, size - offset))


def own_snapshots(found: list[str], backup_id: str) -> list[str]:
    """Those of some snapshots that are a backup's own."""
    start = f'backup.{backup_id}.snap.'
    return [name for name in found if name.startswith(start)]


def locate(pool: Pool, names: Names) -> Place:
    """Find a backup, and nothing that only looks like it.

    :raises Missing: image or snapshot
    :raises Extra: more than one snapshot
    """
    if names.base is None:
        image = names.shared if names.of_snapshot else names.own
        try:
            with pool.image(image) as opened:
                found = pool.snapshots(opened, image)
            # What is newest in it would be another backup's.
            if any(name.startswith('backup.') for name in found):
                return _locate_snapshot(pool, names, image)
            return Place(names.pool, image, None)
        except errors.Missing as err:
            # Before Cinder wrote down the image's name, all backups of a
            # volume were in this one.
            try:
                return _locate_snapshot(pool, names, names.shared)
            except errors.Missing:
                raise err from None
    return _locate_snapshot(pool, names, names.base)


def _locate_snapshot(pool: Pool, names: Names, image: str) -> Place:
    with pool.image(image) as opened:
        found = own_snapshots(pool.snapshots(opened, image), names.backup_id)
    if not found:
        raise errors.Missing(
            f'image {image} has no snapshot backup.{names.backup_id}.snap.*',
            image, names.backup_id)
    if len(found) > 1:
        raise errors.Extra(
            f'image {image} has {len(found)} snapshots of backup '
            f'{names.backup_id}: {", ".join(found)}', image, names.backup_id)
    return Place(names.pool, image, found[0])


def look(pool: Pool, names: Names) -> Seen:
    """See what is there of a backup, without its content.

    :raises Problem: what is missing
    """
    place = locate(pool, names)
    with pool.image(place.image, place.snapshot) as image:
        size = pool.call(f'image {place.image}', image.size)
    meta = pool.meta(names)
    if names.of_snapshot and meta is None and place.snapshot is None:
        # The image's name does not say which backup's it is; this does.
        raise errors.Missing(f'object {names.meta} is missing', names.meta,
                             names.backup_id)
    return Seen(place, size, meta)


def digest(pool: Pool, place: Place, limit: int | None = None,
           stop: Callable[[], str | None] | None = None) -> str | None:
    """The digest of a backup's content.

    It costs the data and not the size: a plain SHA-256 of the volume would
    have to be fed the zeros of all its holes. Blocks of zeros do not count,
    whether they are written or holes.

    :param limit: bytes of data above which it is not computed
    :param stop: asked now and then; a reason to stop
    :returns: the digest, None above the limit
    :raises Problem: it cannot be read
    """
    with pool.image(place.image, place.snapshot) as image:
        size = pool.call(f'image {place.image}', image.size)
        offsets = pool.blocks(image, place.image)
        if limit is not None and len(offsets) * BLOCK > limit:
            return None
        total = hashlib.sha256(f'rbd-blocks {BLOCK} {size}\n'.encode())
        asked = time.monotonic()
        for offset in offsets:
            if stop is not None and time.monotonic() > asked + 1:
                asked = time.monotonic()
                reason = stop()
                if reason:
                    raise errors.Stopped(f'stopped: {reason}')
            data = pool.read(image, place.image, offset, size)
            if data.count(0) != len(data):
                total.update(offset.to_bytes(8, 'big'))
                total.update(running.native(
                    lambda data=data: hashlib.sha256(data).digest()))
    return f'sha256:{total.hexdigest()}'


_FIELDS = {'version': int, 'driver': str, 'location': str, 'backup_id': str,
           'volume_id': str, 'container': str, 'image': str, 'size': int,
           'image_size': int}
_OPTIONAL = {'base': str, 'snapshot': str, 'parent_id': str,
             'snapshot_id': str, 'meta': str, 'digest': str, 'parents': list}


def check(info: Any, backup_id: str) -> Names:
    """Check that a driver_info agrees with itself (level ``record``).

    :returns: where it says that the backup is
    :raises Problem: naming the field
    """
    def wrong(field: str, what: str) -> errors.WrongRecord:
        return errors.WrongRecord(f'driver_info: {field} {what}', field,
                                  backup_id)

    if not isinstance(info, dict):
        raise wrong('', 'is not an object')
    version = info.get('version')
    if version != VERSION or isinstance(version, bool):
        raise wrong('version', f'{str(version)[:20]} is not known, only '
                    f'{VERSION} is')
    for field, kind in {**_FIELDS, **_OPTIONAL}.items():
        value = info.get(field)
        if value is None and field in _OPTIONAL:
            continue
        if not isinstance(value, kind) or isinstance(value, bool):
            raise wrong(field, 'is missing' if field not in info else
                        f'is not of type {kind.__name__}')
    if info['driver'] != 'ceph':
        raise wrong('driver', f'{info["driver"][:40]!r} is another')
    if info['backup_id'] != backup_id:
        raise wrong('backup_id', f'{info["backup_id"][:40]} is not the '
                    f'backup {backup_id} that is imported')
    for field in ('volume_id', 'parent_id'):
        if info.get(field) and not _UUID.match(info[field]):
            raise wrong(field, f'{info[field][:40]!r} is not an id')
    if info.get('parent_id') == backup_id:
        raise wrong('parent_id', 'is the backup itself')
    for field in ('size', 'image_size'):
        if info[field] < 1:
            raise wrong(field, f'{info[field]} is not a size')
    for field in ('meta', 'digest'):
        if info.get(field) is not None and not _DIGEST.match(info[field]):
            raise wrong(field, 'is not a SHA-256')
    if not all(isinstance(one, str) and _UUID.match(one)
               for one in info.get('parents') or []):
        raise wrong('parents', 'has an entry that is not an id')
    snapshot = info.get('snapshot')
    names = Names(backup_id, info['volume_id'], info['container'],
                  info['image'] if snapshot else None,
                  info.get('snapshot_id') is not None)
    names.check()
    if snapshot and not own_snapshots([snapshot], backup_id):
        raise wrong('snapshot', f'{snapshot[:100]!r} is not one of '
                    f'backup {backup_id}')
    if info.get('base') not in (None, info['image']):
        raise wrong('base', f'{info["base"][:120]!r} is not the image')
    if not snapshot and info['image'] != (names.shared if names.of_snapshot
                           else names.own):
        raise wrong('image', f'{info["image"][:120]!r} is not one of '
                    f'backup {backup_id}')
    return names


@interface.backupdriver
class CephBackupDriver(hooks.VerifyMixin, ceph.CephBackupDriver):
    """Backups in Ceph, with records that can be trusted."""

    store_kind = 'ceph'

    def _pool(self, name: str) -> Pool:
        if self.rados is None or self.rbd is None:
            raise errors.Unreadable('Python has no modules rados and rbd',
                                    'rados')
        return Pool(self, name, CONF[options.GROUP].timeout)

    # Export and import

    def export_record(self, backup: Any) -> dict[str, Any]:
        """Describe a backup in its record.

        :param backup: the backup
        :returns: where it is and what it must look like
        :raises Problem: it could not be restored
        """
        try:
            names = names_of(backup, backup.id)
            with self._pool(names.pool) as pool:
                seen = look(pool, names)
                parents = self._parents(pool, backup, seen.place)
                content = self._digest(pool, seen.place)
        except errors.Problem as err:
            raise self._clipped(err) from err
        return {
            'version': VERSION,
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
    def _digest(pool: Pool, place: Place) -> str | None:
        limit = CONF[options.GROUP].ceph_digest_limit << 30
        content = digest(pool, place, limit) if limit else None
        if content is None:
            LOG.warning('The record of %(place)s has no digest of its '
                        'content; see option [%(group)s]ceph_digest_limit.',
                        {'place': place.url, 'group': options.GROUP})
        return content

    def _parents(self, pool: Pool, backup: Any, place: Place) -> list[str]:
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
            if not own_snapshots(found, parent_id):
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
            if CONF[options.GROUP].without_driver_info == 'refuse':
                raise errors.WrongRecord(
                    'the record has no driver_info to verify the backup by; '
                    f'see option [{options.GROUP}]without_driver_info',
                    'driver_info', backup.id)
            # What the fields name is looked for when they are applied.
            return {}
        names = check(driver_info, backup.id)
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

    def _verify_presence(self, pool: Pool, names: Names,
                         info: dict[str, Any]) -> None:
        seen = look(pool, names)
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
                if not own_snapshots(found, parent):
                    raise errors.BrokenChain(
                        f'image {seen.place.image} has no snapshot of '
                        f'parent {parent} any more', seen.place.image,
                        names.backup_id)

    def _verify_content(self, pool: Pool, backup: Any,
                        info: dict[str, Any]) -> None:
        place = Place(info['container'], info['image'], info.get('snapshot'))
        if info.get('digest') is None:
            if CONF[options.GROUP].without_driver_info == 'refuse':
                raise errors.WrongRecord(
                    'the record has no digest to verify the content by; see '
                    'options ceph_digest_limit and without_driver_info of '
                    f'[{options.GROUP}]', 'digest', backup.id)
            LOG.warning('The content of %s is not verified: its record has '
                        'no digest.', place.url)
            return

        def stop() -> str | None:
            with backup.as_read_deleted():
                backup.refresh()
            if backup.status != fields.BackupStatus.CREATING:
                return f'the backup became {backup.status}'
            return None

        if digest(pool, place, stop=stop) != info['digest']:
            raise errors.WrongContent(
                f'the content of {place.url} differs from its digest',
                place.image, backup.id)

    def _compare(self, backup_id: str, values: dict[str, Any],
                 verified: dict[str, Any]) -> None:
        names = names_of(values, backup_id)
        if values.get('parent_id') == backup_id:
            raise errors.BrokenChain(
                f'the record says that backup {backup_id} is its own parent',
                'parent_id', backup_id)
        if not isinstance(values.get('size'), int) or values['size'] < 1:
            raise errors.WrongRecord(
                f'the record says size {str(values.get("size"))[:20]}',
                'size', backup_id)
        if not verified:
            if CONF[options.GROUP].level == 'record':
                return
            with self._pool(names.pool) as pool:
                seen = look(pool, names)
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
        names = names_of(backup, backup.id)
        target = self.db.volume_get(self.context, volume_id)
        with self._pool(names.pool) as pool:
            place = look(pool, names).place
            with pool.image(place.image, place.snapshot) as image:
                size = pool.call(f'image {place.image}', image.size)
                if size > target.size << 30:
                    raise errors.WrongLength(
                        f'image {place.image} has {size} bytes, more than '
                        f'volume {volume_id}', place.image, backup.id)
                self._write(pool, place, image, size, backup, volume_id,
                            volume_file, volume_is_new)
        volume_file.flush()
        # A file of librbd has no number to sync by, and needs none.
        with contextlib.suppress(OSError):
            hooks.os.fsync(volume_file.fileno())
        # Cinder looks for it in the pool of the configuration.
        self._ceph_backup_pool = names.pool
        self._restore_metadata(backup, volume_id)

    @staticmethod
    def _write(pool: Pool, place: Place, image: Any, size: int, backup: Any,
               volume_id: str, volume_file: Any, volume_is_new: bool
               ) -> None:
        offsets: Any = pool.blocks(image, place.image)
        present = set(offsets)
        if not volume_is_new:
            offsets = range(0, size, BLOCK)
        asked = time.monotonic()
        for offset in offsets:
            if time.monotonic() > asked + 1:
                asked = time.monotonic()
                with backup.as_read_deleted():
                    backup.refresh()
                if backup.status != fields.BackupStatus.RESTORING:
                    raise exception.BackupRestoreCancel(
                        back_id=backup.id, vol_id=volume_id)
            if offset in present:
                data = pool.read(image, place.image, offset, size)
            else:
                data = bytes(min(BLOCK, size - offset))
                # An image of RBD need not be filled to read as zeros. What
                # is less than a block may be too small for its granularity.
                target = getattr(volume_file, 'rbd_image', None)
                if target is not None and len(data) == BLOCK:
                    running.native(target.discard, offset, BLOCK)
                    continue
            volume_file.seek(offset)
            running.native(volume_file.write, data)

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
            names = names_of(backup, backup.id)
            with self._pool(names.pool) as pool:
                for image in self._images(backup, names):
                    with contextlib.suppress(errors.Missing):
                        self._delete_from(pool, names, image)
                with contextlib.suppress(errors.Missing):
                    pool.call(f'object {names.meta}',
                              pool.ioctx.remove_object, names.meta)
        except (errors.BadLocation, errors.Missing) as err:
            LOG.error('Nothing is deleted from the storage for backup '
                      '%(id)s: %(reason)s', {'id': backup.id, 'reason': err})

    @staticmethod
    def _images(backup: Any, names: Names) -> list[str]:
        """Where something of a backup can be, also of one that failed."""
        found = [names.own, names.shared]
        if names.base:
            found.append(names.base)
        elif backup.parent_id and backup.parent:
            parent = names_of(backup.parent, backup.parent.id)
            if parent.base and parent.volume_id == names.volume_id:
                found.append(parent.base)
        return list(dict.fromkeys(found))

    @staticmethod
    def _delete_from(pool: Pool, names: Names, name: str) -> None:
        with pool.image(name, read_only=False) as image:
            found = pool.snapshots(image, name)
            own = own_snapshots(found, names.backup_id)
            for one in own:
                pool.call(f'snapshot {one}', image.remove_snap, one)
            rest = len(found) - len(own)
        # Who is left in it, or whose it is, decides about the image.
        mine = bool(own) or name == names.own or (
            name == names.shared and names.of_snapshot and
            not names.base and pool.meta(names) is not None)
        if rest or not mine:
            LOG.info('Image %(name)s stays: it is not only of backup '
                     '%(id)s.', {'name': name, 'id': names.backup_id})
            return
        for left in reversed(range(_RETRIES + 1)):
            try:
                # Its time grows with its data.
                running.native(pool.rbd.RBD().remove, pool.ioctx, name)
                return
            except pool.rbd.ImageNotFound:
                return
            except pool.rbd.ImageBusy:
                if not left:
                    raise
                time.sleep(_DELAY)
