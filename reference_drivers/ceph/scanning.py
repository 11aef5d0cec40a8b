# SPDX-License-Identifier: Apache-2.0

"""Walk through a pool, and look at the images of backups in it.

Whose an image is, its name tells, and of the backups in it the names of its
snapshots. What else a record needs is in an object that is written last.
Nothing here writes, or reads the content of an image.
"""

import collections
from collections.abc import Callable
from collections.abc import Iterator
import dataclasses
import datetime
import itertools
import re
import types

from reference_drivers.ceph import driver_info as driver_infos
from reference_drivers.ceph import finding
from reference_drivers.ceph import names as naming
from reference_drivers.ceph import pool as pools
from reference_drivers.scanning import found as found_
from reference_drivers.scanning import rebuilding
from reference_drivers.verification import errors
from reference_drivers.verification import presence

_IMAGE = re.compile(rf'volume-({naming.ID})\.backup\.(base|{naming.ID})\Z')
_META = re.compile(rf'backup\.({naming.ID})\.meta\Z')
_SNAPSHOT = re.compile(rf'{naming.SNAPSHOT.pattern}([0-9]+(?:\.[0-9]+)?)\Z')
#: What an image of RBD is made of.
_OF_IMAGES = ('rbd_', 'rb.', 'journal')
#: Objects of a listing that are waited for at a time.
_BATCH = 1000
#: The id of a snapshot of which only that there was one is known.
_A_SNAPSHOT = '00000000-0000-0000-0000-000000000000'


@dataclasses.dataclass
class _Opened:
    """The parts of an image that were seen.

    :ivar snapshots: all names, the oldest first
    :ivar had_snapshots: it has some, or once had
    """

    name: str
    volume_id: str
    owner: str | None
    size: int
    made: datetime.datetime
    snapshots: list[str]
    had_snapshots: bool


class Walk:
    """A walk through one pool.

    :param pool: opened
    :param progress: called with the number of backups that were looked at
    """

    def __init__(self, pool: pools.Pool,
                 progress: Callable[[int], None] = lambda done: None):
        self._pool = pool
        self._progress = progress
        self._foreign: list[str] = []
        # Of backups that were not found yet.
        self._metas: set[str] = set()
        self._done = 0
        # Of these by their volumes, once it is needed.
        self._owners: dict[str, list[str]] | None = None

    def run(self) -> Iterator[found_.Found]:
        """Look at everything.

        :returns: what was found, with one entry for all that is foreign
        :raises Problem: the pool cannot be listed, or does not answer
        """
        images = self._pool.call(
            f'pool {self._pool.name}', lambda: sorted(
                self._pool.rbd.RBD().list(self._pool.ioctx)))
        self._list(images)
        # Whose a shared image is, only what is left then can tell.
        for image in sorted(images, key=lambda one: one.endswith('.base')):
            for found in self._look(image):
                self._done += 1
                self._progress(self._done)
                yield found
        for backup_id in sorted(self._metas):
            found = self._found(found_.DELETED, f'backup.{backup_id}.meta')
            found.backup_id = backup_id
            found.add([errors.Missing('its image is missing')])
            yield found
        if self._foreign:
            yield dataclasses.replace(
                self._found(found_.FOREIGN, self._foreign[0]),
                objects=len(self._foreign))

    def _list(self, images: list[str]) -> None:
        """List the objects that are not of images."""
        stream = iter(self._pool.ioctx.list_objects())
        headers = {f'{image}.rbd' for image in images}
        while batch := self._pool.call(
                f'pool {self._pool.name}',
                lambda: [one.key for one in itertools.islice(stream,
                                                             _BATCH)]):
            for name in batch:
                meta = _META.match(name)
                if meta:
                    self._metas.add(meta[1])
                elif not name.startswith(_OF_IMAGES) and name not in headers:
                    self._foreign.append(name)

    def _found(self, kind: str, name: str, snapshot: str | None = None
               ) -> found_.Found:
        return found_.Found(
            kind, naming.Place(self._pool.name, name, snapshot).url, 1)

    # One image

    def _look(self, image: str) -> Iterator[found_.Found]:
        match = _IMAGE.match(image)
        if not match:
            self._foreign.append(image)
            return
        owner = None if match[2] == 'base' else match[2]
        try:
            opened = self._open(image, match[1], owner)
        except (errors.TimedOut, errors.Stopped):
            raise
        except errors.Problem as problem:
            found = self._found(
                found_.UNREAD if isinstance(problem, errors.Unreadable) else
                found_.DAMAGED, image)
            found.backup_id, found.volume_id = owner, match[1]
            found.add([problem])
            # It may be of this image.
            self._metas.discard(owner or '')
            yield found
            return
        if any(map(_SNAPSHOT.match, opened.snapshots)):
            yield from self._chain(opened)
        else:
            yield self._copy(opened)

    def _open(self, name: str, volume_id: str, owner: str | None) -> _Opened:
        with self._pool.image(name) as image:
            def ask() -> _Opened:
                snapshots = [one['name'] for one in sorted(
                    image.list_snaps(), key=lambda one: one['id'])]
                return _Opened(
                    name, volume_id, owner, image.size(),
                    image.create_timestamp(), snapshots,
                    bool(snapshots) or self._had_snapshots(image.id()))
            opened: _Opened = self._pool.call(f'image {name}', ask)
            return opened

    def _had_snapshots(self, image_id: str) -> bool:
        """Check whether an image ever had a snapshot.

        It numbers them, and keeps the last number.
        """
        rados = self._pool.rados
        with rados.ReadOpCtx() as request:
            values, _ = self._pool.ioctx.get_omap_vals_by_keys(
                request, ('snap_seq',))
            self._pool.ioctx.operate_read_op(request,
                                             f'rbd_header.{image_id}')
            return any(any(value) for _, value in values)

    def _chain(self, opened: _Opened) -> Iterator[found_.Found]:
        """The backups that are snapshots of an image."""
        # The last one counts: a second one is a reason not to use either.
        numbers = {match[1]: number
                   for number, match in enumerate(map(_SNAPSHOT.match,
                                                      opened.snapshots))
                   if match}
        parents: list[str] = []
        for backup_id, number in sorted(numbers.items(),
                                        key=lambda item: item[1]):
            name = opened.snapshots[number]
            found = self._found(found_.COMPLETE, opened.name, name)
            found.backup_id, found.volume_id = backup_id, opened.volume_id
            found.objects = len(naming.own_snapshots(opened.snapshots,
                                                     backup_id))
            if found.objects > 1:
                found.kind = found_.DAMAGED
                found.add([errors.Extra(
                    f'image {opened.name} has {found.objects} snapshots of '
                    f'it', opened.name)])
                self._metas.discard(backup_id)
            else:
                match = _SNAPSHOT.match(name)
                made = datetime.datetime.fromtimestamp(
                    float(match[2]) if match else 0, datetime.UTC)
                self._fill(found, opened, name, parents, made)
            parents.insert(0, backup_id)
            yield found

    def _copy(self, opened: _Opened) -> found_.Found:
        """The backup that is the whole of an image."""
        owner = opened.owner or self._owner(opened.volume_id)
        found = self._found(found_.COMPLETE, opened.name)
        found.backup_id, found.volume_id = owner, opened.volume_id
        if opened.had_snapshots:
            # Its content is that of the newest backup which was in it.
            found.kind = found_.DELETED
            found.add([errors.Missing(
                f'image {opened.name} has none of the snapshots that it had',
                opened.name)])
            self._metas.discard(owner or '')
        elif owner not in self._metas:
            found.kind = found_.UNFINISHED
        else:
            self._fill(found, opened, None, [], opened.made)
        return found

    def _owner(self, volume_id: str) -> str | None:
        """The backup of a volume that no image of its own name has."""
        if self._owners is None:
            self._owners = collections.defaultdict(list)
            for backup_id in sorted(self._metas):
                values, _ = rebuilding.volume_of(self._meta(backup_id,
                                                            volume_id))
                self._owners[str(values.get('id'))].append(backup_id)
        owners = self._owners[volume_id]
        return owners[0] if len(owners) == 1 else None

    def _meta(self, backup_id: str, volume_id: str) -> bytes | None:
        return self._pool.read_meta(naming.Names(
            backup_id, volume_id, self._pool.name, None, False))

    def _fill(self, found: found_.Found, opened: _Opened,
              snapshot: str | None, parents: list[str],
              made: datetime.datetime) -> None:
        """Add the fields of the record, and the driver's part of it."""
        backup_id = str(found.backup_id)
        self._metas.discard(backup_id)
        meta = self._meta(backup_id, opened.volume_id)
        values, found.without = rebuilding.describe_volume(meta)
        if meta is not None and values['id'] != opened.volume_id:
            found.kind = found_.DAMAGED
            found.add([errors.Foreign(
                f'object backup.{backup_id}.meta is not of volume '
                f'{opened.volume_id}', f'backup.{backup_id}.meta')])
        found.without += ['display_name', 'display_description']
        created = made.strftime('%Y-%m-%dT%H:%M:%SZ')
        found.fields = {
            'id': backup_id,
            'display_name': None,
            'display_description': None,
            'container': self._pool.name,
            'service_metadata': (naming.Kept(opened.name).dump()
                                 if snapshot else None),
            'size': values['size'] or max(1, -(-opened.size // presence.GIB)),
            'object_count': 0,
            'volume_id': opened.volume_id,
            'parent_id': parents[0] if parents else None,
            # Only a copy of one is in the shared image.
            'snapshot_id': (None if snapshot or opened.owner else
                            _A_SNAPSHOT),
            'project_id': values['project_id'],
            'user_id': values['user_id'],
            'encryption_key_id': None,
            'created_at': created,
            'updated_at': created,
            # Never null: Cinder looks for the newest parent by it.
            'data_timestamp': created,
            'num_dependent_backups': 0,
        }
        seen = finding.Seen(
            naming.Place(self._pool.name, opened.name, snapshot), opened.size,
            meta, opened.snapshots)
        found.info = driver_infos.make(
            types.SimpleNamespace(**found.fields),
            naming.names_of(found.fields, backup_id), seen, None,
            parents[:100])
