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


"""Backups in Ceph, as Cinder's driver for Ceph stores them.

A backup of an RBD volume is a snapshot of an image that the whole chain
shares; one of any other volume is an image of its own. Beside it lies an
object with the volume's metadata. Ceph tells no checksums, so what happens
to data is found only by whoever reads it.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import json
import re
from typing import Any

from oslo_utils import importutils

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.stores import base
from cinder_backup_recovery_tests.stores import chunked

rados: Any = importutils.try_import('rados')
rbd: Any = importutils.try_import('rbd')

OBJECT = 'object'
"""A RADOS object: where is its name, the state its bytes."""
IMAGE = 'image renamed'
"""Where is its old and its new name, the state whether it has the new."""
SNAPSHOT = 'snapshot renamed'
"""Where is the image, and the old and the new name of its snapshot."""
SIZE = 'image resized'
"""Where is the image, its size and another, the state whether it has that."""
EXTRA_SNAPSHOT = 'snapshot'
"""Where is the image and the name, the state whether it is there."""

_ID = r'[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}'
_IMAGE = re.compile(rf'(?:aside\.)?volume-{_ID}\.backup\.(?:base|{_ID})')
_SNAPSHOT = re.compile(rf'(?:aside\.)?backup\.{_ID}\.snap\.[0-9.]+')
_OBJECTS = re.compile(rf'backup\.{_ID}\.meta|'
                      r'rbd_data\.[0-9a-f.]+\.[0-9a-f]{16}')
_NUMBER = re.compile(r'[0-9]{1,18}')
# In front: drivers look for what begins as a backup's names do.
_ASIDE = 'aside.'
# Seconds, so that a cluster that hangs does not hang the tests.
_TIMES = {'client_mount_timeout': '30', 'rados_mon_op_timeout': '30',
          'rados_osd_op_timeout': '60'}

_ALWAYS = (
    base.Damage('image missing', base.DESCRIPTION_MISSING),
    base.Damage('metadata missing', base.DESCRIPTION_MISSING,
                hits_children=False),
    base.Damage('data missing', base.DATA_MISSING, base.CONTENT,
                ruins_restore=True),
    base.Damage('metadata cut off', base.LENGTH, hits_children=False),
    base.Damage('data cut off', base.LENGTH, base.CONTENT),
    base.Damage('metadata of another', base.REPLACED, hits_children=False),
    base.Damage('data of another', base.REPLACED, base.CONTENT,
                ruins_restore=True),
    base.Damage('metadata changed', base.CHANGED, hits_children=False),
    base.Damage('data changed', base.CHANGED, base.CONTENT,
                ruins_restore=True),
    base.Damage('data swapped', base.SWAPPED, base.CONTENT),
)
_OF_SNAPSHOTS = (
    base.Damage('snapshot missing', base.DESCRIPTION_MISSING),
    base.Damage('snapshot twice', base.EXTRA, hits_children=False),
    base.Damage('image of another', base.REPLACED, hits_children=False),
)
# Without a snapshot nothing but its content says whose an image is.
_OF_COPIES = (
    base.Damage('image longer', base.LENGTH),
    base.Damage('image of another', base.REPLACED, base.CONTENT),
)


class RbdStore(base.BackupStore):
    """The pool of the backups."""

    def __init__(self, conf_file: str, user: str, keyring: str,
                 pool: str) -> None:
        """Take what is needed.

        :param conf_file: configuration of the cluster
        :param user: who may write to the pool, without ``client.``
        :param keyring: with the user's key; empty leaves it to conf_file
        :param pool: no other is touched
        """
        self.pool = pool
        self._options = {
            'conffile': conf_file, 'name': f'client.{user}',
            'conf': {**_TIMES, **({'keyring': keyring} if keyring else {})}}

    @classmethod
    def from_config(cls, conf: Any, manager: Callable[[], Any]
                    ) -> 'RbdStore':
        """Make the adapter that a configuration describes.

        :param conf: Tempest's configuration
        :param manager: not used
        :raises InvalidConfiguration: if there are no bindings
        """
        if rados is None or rbd is None:
            raise exceptions.InvalidConfiguration(
                '[cinder_backup_recovery] backup_store is rbd, but the '
                'Python modules rados and rbd cannot be imported: install '
                'python3-rados and python3-rbd of the distribution and let '
                'this virtualenv see them')
        group = conf.cinder_backup_recovery
        return cls(group.backup_store_ceph_conf,
                   group.backup_store_ceph_user,
                   group.backup_store_ceph_keyring,
                   group.backup_store_ceph_pool)

    @contextlib.contextmanager
    def _connected(self) -> Iterator[Any]:
        """Open the pool for a moment.

        A connection that stays would be one more client whose watch on an
        image keeps Cinder from removing it.
        """
        try:
            with rados.Rados(**self._options) as cluster, \
                    cluster.open_ioctx(self.pool) as ioctx:
                yield ioctx
        except (rados.Error, rbd.Error) as exc:
            raise exceptions.StoreFailed(
                f'pool {self.pool} of Ceph: {exc}') from None

    def check(self) -> None:
        """Prove that the pool can be reached.

        :raises InvalidConfiguration: if not
        """
        try:
            with self._connected() as ioctx:
                ioctx.get_stats()
        except exceptions.StoreFailed as exc:
            raise exceptions.InvalidConfiguration(
                f'[cinder_backup_recovery] backup_store is rbd, but {exc}: '
                f'see the options backup_store_ceph_...') from None

    # What belongs to a backup

    def _image(self, backup: base.Backup) -> str:
        """Take the name of the image out of a record that may be hostile."""
        if backup.container != self.pool:
            raise exceptions.StoreRefused(
                f'backup {backup.id} is in pool {backup.container!r} and not '
                f'in [cinder_backup_recovery] backup_store_ceph_pool = '
                f'{self.pool}')
        name: Any = f'volume-{backup.volume_id}.backup.{backup.id}'
        try:
            if backup.service_metadata:
                name = json.loads(backup.service_metadata)['base']
        except (KeyError, TypeError, ValueError):
            name = None
        if (not isinstance(name, str) or not _IMAGE.fullmatch(name)
                or not name.startswith(f'volume-{backup.volume_id}.')):
            raise exceptions.StoreRefused(
                f'service_metadata {backup.service_metadata!r} does not '
                f'name an image of backup {backup.id}')
        return name

    def _snapshot(self, ioctx: Any, backup: base.Backup) -> str | None:
        with self._open(ioctx, self._image(backup), read_only=True) as image:
            found = [one['name'] for one in image.list_snaps()
                     if one['name'].startswith(f'backup.{backup.id}.snap.')]
        return found[0] if found else None

    @contextlib.contextmanager
    def _open(self, ioctx: Any, name: str, **kwargs: Any) -> Iterator[Any]:
        try:
            with rbd.Image(ioctx, name, **kwargs) as image:
                yield image
        except rbd.ImageNotFound:
            raise exceptions.StoreFailed(
                f'there is no image {name} in pool {self.pool}') from None

    def _data(self, ioctx: Any, backup: base.Backup) -> list[str]:
        """Name the objects that hold data of the image, the last one first.

        What a later backup of the chain has changed is not the same object
        as before: the end of the volume changes least.
        """
        numbers: set[int] = set()
        with self._open(ioctx, self._image(backup),
                        snapshot=self._snapshot(ioctx, backup),
                        read_only=True) as image:
            size = image.stat()['obj_size']
            prefix = image.stat()['block_name_prefix']
            image.diff_iterate(
                0, image.size(), None,
                lambda offset, length, there: numbers.update(
                    range(offset // size, (offset + length - 1) // size + 1)
                    if there else ()))
        found = [f'{prefix}.{number:016x}'
                 for number in sorted(numbers, reverse=True)]
        if not found:
            raise exceptions.StoreFailed(
                f'image {self._image(backup)} holds no data')
        return found

    def remains(self, backup: base.Backup) -> Sequence[str]:
        """Name the object, the snapshots and the image of a backup.

        The image is a backup's only as long as no other has a snapshot of
        it, or when it has none.

        :param backup: one that may be deleted
        """
        name = self._image(backup)
        found = []
        with self._connected() as ioctx:
            with contextlib.suppress(rados.ObjectNotFound):
                ioctx.stat(f'backup.{backup.id}.meta')
                found.append(f'backup.{backup.id}.meta')
            if name in rbd.RBD().list(ioctx):
                with self._open(ioctx, name, read_only=True) as image:
                    snapshots = [one['name'] for one in image.list_snaps()]
                own = [one for one in snapshots if backup.id in one]
                found += [f'{name}@{one}' for one in own]
                if len(own) == len(snapshots):
                    found.append(name)
        return found

    # Damages

    def damages(self, backup: base.Backup) -> Sequence[base.Damage]:
        """Say what can be done to a backup.

        :param backup: one that is whole
        """
        with self._connected() as ioctx:
            snapshot = self._snapshot(ioctx, backup)
        return _ALWAYS + (_OF_SNAPSHOTS if snapshot else _OF_COPIES)

    def plan(self, damage: base.Damage, backup: base.Backup,
             other: base.Backup) -> base.Plan:
        """Find out how a damage is done, without changing anything.

        :param damage: one of :meth:`damages`
        :param backup: what is to be damaged
        :param other: another backup, of another content
        :raises StoreRefused: the record names what may not be its backup's
        :raises StoreFailed: the storage does not hold what it should
        """
        image = self._image(backup)
        what, _, how = damage.name.partition(' ')
        with self._connected() as ioctx:
            if what == 'snapshot':
                return self._of_snapshot(
                    image, self._snapshot(ioctx, backup), how, backup)
            if what == 'image':
                return self._of_image(ioctx, image, how, other)
            if what == 'metadata':
                name = f'backup.{backup.id}.meta'
                theirs = [f'backup.{other.id}.meta']
                names: tuple[str, ...] = (name,)
            else:
                name, *more = self._data(ioctx, backup)
                theirs = self._data(ioctx, other)
                names = (image,)
            data = self._need(ioctx, name)
            changes: dict[str, bytes | None]
            if how == 'swapped':
                found = self._different(ioctx, more, data)
                changes = {name: self._need(ioctx, found), found: data}
            elif how == 'of another':
                changes = {name: self._need(
                    ioctx, self._different(ioctx, theirs, data))}
            else:
                changes = {name: {
                    'missing': None, 'cut off': data[:len(data) // 2],
                    'changed': chunked.flipped(data)}[how]}
        return base.Plan([base.Change(OBJECT, (one,), state)
                          for one, state in changes.items()], names)

    @staticmethod
    def _of_snapshot(image: str, snapshot: str | None, how: str,
                     backup: base.Backup) -> base.Plan:
        if snapshot is None:
            raise exceptions.StoreFailed(
                f'image {image} has no snapshot of backup {backup.id}')
        if how == 'missing':
            return base.Plan(
                [base.Change(SNAPSHOT, (image, snapshot, _ASIDE + snapshot),
                             True)], (image, backup.id))
        # Later than the first, so that the newest is not the right one.
        start, _, end = snapshot.rpartition('.')
        return base.Plan(
            [base.Change(EXTRA_SNAPSHOT, (image, f'{start}.{end}1'), True)],
            (image, backup.id))

    def _of_image(self, ioctx: Any, image: str, how: str,
                  other: base.Backup) -> base.Plan:
        if how == 'longer':
            with self._open(ioctx, image, read_only=True) as opened:
                size = opened.size()
                larger = size + opened.stat()['obj_size']
            return base.Plan([base.Change(
                SIZE, (image, str(size), str(larger)), True)], (image,))
        changes = [base.Change(IMAGE, (image, _ASIDE + image), True)]
        if how == 'of another':
            changes.append(base.Change(IMAGE, (self._image(other), image),
                                       True))
        return base.Plan(changes, (image,))

    @staticmethod
    def _need(ioctx: Any, name: str) -> bytes:
        try:
            size, _ = ioctx.stat(name)
        except rados.ObjectNotFound:
            raise exceptions.StoreFailed(
                f'there is no object {name}') from None
        return ioctx.read(name, size)

    def _different(self, ioctx: Any, names: Sequence[str], data: bytes
                   ) -> str:
        for name in names:
            if self._need(ioctx, name) != data:
                return name
        raise exceptions.StoreFailed(
            'there is no second object with other data')

    # States

    @staticmethod
    def _checked(kind: str, where: Sequence[str]) -> Sequence[str]:
        """Refuse names that no backup has: they may come from a file."""
        forms = {OBJECT: (_OBJECTS,), IMAGE: (_IMAGE, _IMAGE),
                 SIZE: (_IMAGE, _NUMBER, _NUMBER),
                 SNAPSHOT: (_IMAGE, _SNAPSHOT, _SNAPSHOT),
                 EXTRA_SNAPSHOT: (_IMAGE, _SNAPSHOT)}.get(kind, ())
        if not forms or len(where) != len(forms) or not all(
                form.fullmatch(text)
                for form, text in zip(forms, where, strict=True)):
            raise exceptions.StoreRefused(
                f'{kind} {where} is not part of a backup in Ceph')
        return where

    def state(self, kind: str, where: Sequence[str]) -> bytes | bool | None:
        """Look what something is now.

        :param kind: one of the constants of this module
        :param where: see there
        :returns: the bytes of an object, None if there is none; of the
            others whether it is renamed, or there
        """
        first, *more = self._checked(kind, where)
        with self._connected() as ioctx:
            if kind == OBJECT:
                try:
                    size, _ = ioctx.stat(first)
                except rados.ObjectNotFound:
                    return None
                return ioctx.read(first, size)
            if kind == IMAGE:
                return first not in rbd.RBD().list(ioctx)
            with self._open(ioctx, first, read_only=True) as image:
                if kind == SIZE:
                    return image.size() == int(more[1])
                there = more[0] in [one['name'] for one in
                                    image.list_snaps()]
        return there if kind == EXTRA_SNAPSHOT else not there

    def change(self, kind: str, where: Sequence[str],
               state: bytes | bool | None) -> None:
        """Give something a state; it may have it already.

        :param kind: one of the constants of this module
        :param where: see there
        :param state: see :meth:`state`
        :raises StoreRefused: no backup has such names
        """
        if kind != OBJECT and self.state(kind, where) == state:
            return
        first, *more = self._checked(kind, where)
        with self._connected() as ioctx:
            if kind == OBJECT:
                if isinstance(state, bytes):
                    ioctx.write_full(first, state)
                else:
                    with contextlib.suppress(rados.ObjectNotFound):
                        ioctx.remove_object(first)
            elif kind == IMAGE:
                old, new = (first, more[0]) if state else (more[0], first)
                rbd.RBD().rename(ioctx, old, new)
            else:
                with self._open(ioctx, first) as image:
                    if kind == SIZE:
                        image.resize(int(more[1] if state else more[0]))
                    elif kind == SNAPSHOT:
                        old, new = more if state else more[::-1]
                        image.rename_snap(old, new)
                    elif state:
                        image.create_snap(more[0])
                    else:
                        image.remove_snap(more[0])
