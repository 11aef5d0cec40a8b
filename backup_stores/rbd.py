# SPDX-License-Identifier: Apache-2.0

"""Backups in Ceph, as Cinder's driver for Ceph stores them.

A backup of an RBD volume is a snapshot of an image that the whole chain
shares; one of any other volume is an image of its own. Beside it lies an
object with the volume's metadata. Ceph lists no checksums, so that a change
of data is found only by reading it.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import json
import re
from typing import Any

from oslo_utils import importutils

from backup_stores import base
from backup_stores import objects

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
"""Where is the image and the name, the state whether it exists."""

_ID = r'[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}'
_IMAGE = re.compile(rf'(?:aside\.)?volume-{_ID}\.backup\.(?:base|{_ID})')
_SNAPSHOT = re.compile(rf'(?:aside\.)?backup\.{_ID}\.snap\.[0-9.]+')
_OBJECTS = re.compile(rf'backup\.{_ID}\.meta|'
                      r'rbd_data\.[0-9a-f.]+\.[0-9a-f]{16}')
_NUMBER = re.compile(r'[0-9]{1,18}')
_FORMS = {OBJECT: (_OBJECTS,), IMAGE: (_IMAGE, _IMAGE),
          SIZE: (_IMAGE, _NUMBER, _NUMBER),
          SNAPSHOT: (_IMAGE, _SNAPSHOT, _SNAPSHOT),
          EXTRA_SNAPSHOT: (_IMAGE, _SNAPSHOT)}
# In front: drivers look for names that begin as a backup's do.
_ASIDE = 'aside.'
# Seconds, so that a cluster that hangs does not hang the tests.
_TIMES = {'client_mount_timeout': '30', 'rados_mon_op_timeout': '30',
          'rados_osd_op_timeout': '60'}

Connect = Callable[[], contextlib.AbstractContextManager[Any]]


class RbdStore(base.Store):
    """The pool of the backups.

    :param pool: its name; no other pool is touched
    :param connect: opens the pool for a moment, as an ``Ioctx`` of rados
    """

    def __init__(self, pool: str, connect: Connect) -> None:
        self.pool = pool
        self.connect = connect

    @classmethod
    def from_options(cls, conf_file: str, user: str, keyring: str, pool: str
                     ) -> 'RbdStore':
        """Make it for a user of a cluster.

        :param conf_file: configuration of the cluster
        :param user: may write to the pool; without ``client.``
        :param keyring: with the user's key; empty leaves it to conf_file
        """
        if rados is None or rbd is None:
            raise base.StoreFailed(
                'the Python modules rados and rbd cannot be imported: '
                'install python3-rados and python3-rbd of the distribution '
                'and make them available in this virtualenv')
        options = {
            'conffile': conf_file, 'name': f'client.{user}',
            'conf': {**_TIMES, **({'keyring': keyring} if keyring else {})}}

        @contextlib.contextmanager
        def connect() -> Iterator[Any]:
            # A connection that stays would be one more client whose watch on
            # an image keeps Cinder from removing it.
            with rados.Rados(**options) as cluster, \
                    cluster.open_ioctx(pool) as ioctx:
                yield ioctx

        return cls(pool, connect)

    @contextlib.contextmanager
    def _connected(self) -> Iterator[Any]:
        try:
            with self.connect() as ioctx:
                yield ioctx
        except (rados.Error, rbd.Error) as exc:
            raise base.StoreFailed(
                f'pool {self.pool} of Ceph: {exc}') from None

    def check(self) -> None:
        """Raise an error if the pool cannot be reached."""
        with self._connected() as ioctx:
            ioctx.get_stats()

    # The parts of a backup

    def image_of(self, backup: Any) -> str:
        """Return the name of the image of a record that may be hostile."""
        if backup.container != self.pool:
            raise base.StoreRefused(
                f'backup {backup.id} is in pool {backup.container!r} and not '
                f'in {self.pool}')
        name: Any = f'volume-{backup.volume_id}.backup.{backup.id}'
        try:
            if backup.service_metadata:
                name = json.loads(backup.service_metadata)['base']
        except (KeyError, TypeError, ValueError):
            name = None
        if (not isinstance(name, str) or not _IMAGE.fullmatch(name)
                or not name.startswith(f'volume-{backup.volume_id}.')):
            raise base.StoreRefused(
                f'service_metadata {backup.service_metadata!r} does not '
                f'name an image of backup {backup.id}')
        return name

    def snapshot_of(self, backup: Any) -> str | None:
        """Return the name of a backup's snapshot; a full copy has none."""
        with self._connected() as ioctx:
            return self._snapshot(ioctx, backup)

    def _snapshot(self, ioctx: Any, backup: Any) -> str | None:
        found = [name for name in self._snapshots(
                     ioctx, self.image_of(backup))
                 if name.startswith(f'backup.{backup.id}.snap.')]
        return found[0] if found else None

    def _snapshots(self, ioctx: Any, image: str) -> list[str]:
        # Read only: anything else leaves a trace on the image.
        with self._open(ioctx, image, read_only=True) as opened:
            return [snapshot['name'] for snapshot in opened.list_snaps()]

    @contextlib.contextmanager
    def _open(self, ioctx: Any, name: str, **kwargs: Any) -> Iterator[Any]:
        try:
            with rbd.Image(ioctx, name, **kwargs) as image:
                yield image
        except rbd.ImageNotFound:
            raise base.StoreFailed(
                f'image {name} does not exist in pool {self.pool}') from None

    def _data(self, ioctx: Any, backup: Any) -> list[str]:
        """Name the objects that hold data of the image, the last one first.

        Data that a later backup of the chain has changed is not in the same
        object as before: the end of the volume changes least.
        """
        numbers: set[int] = set()
        with self._open(ioctx, self.image_of(backup),
                        snapshot=self._snapshot(ioctx, backup),
                        read_only=True) as image:
            size = image.stat()['obj_size']
            prefix = image.stat()['block_name_prefix']
            image.diff_iterate(
                0, image.size(), None,
                lambda offset, length, exists: numbers.update(
                    range(offset // size, (offset + length - 1) // size + 1)
                    if exists else ()))
        if not numbers:
            raise base.StoreFailed(
                f'image {self.image_of(backup)} holds no data')
        return [f'{prefix}.{number:016x}'
                for number in sorted(numbers, reverse=True)]

    def remains(self, backup: Any) -> Sequence[str]:
        """Name the object, the snapshots and the image of a backup.

        The image is a backup's only as long as no other has a snapshot of
        it, or when it has none.
        """
        name = self.image_of(backup)
        found = []
        with self._connected() as ioctx:
            with contextlib.suppress(rados.ObjectNotFound):
                ioctx.stat(_meta(backup))
                found.append(_meta(backup))
            if name in rbd.RBD().list(ioctx):
                snapshots = self._snapshots(ioctx, name)
                own = [one for one in snapshots if backup.id in one]
                found += [f'{name}@{one}' for one in own]
                if len(own) == len(snapshots):
                    found.append(name)
        return found

    def damages(self, backup: Any) -> Sequence[base.Damage]:
        """Return what can be done to a backup, by whether it is a copy."""
        return DAMAGES + (OF_SNAPSHOTS if self.snapshot_of(backup)
                          else OF_COPIES)

    # States

    @staticmethod
    def _checked(kind: str, where: Sequence[str]) -> Sequence[str]:
        """Refuse names that no backup has: they may come from a file."""
        forms = _FORMS.get(kind, ())
        if not forms or len(where) != len(forms) or not all(
                form.fullmatch(text)
                for form, text in zip(forms, where, strict=True)):
            raise base.StoreRefused(
                f'{kind} {where} is not part of a backup in Ceph')
        return where

    def state(self, kind: str, where: Sequence[str]) -> bytes | bool | None:
        """Return the bytes of an object; of others, whether it is changed."""
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
            if kind == SIZE:
                with self._open(ioctx, first, read_only=True) as image:
                    return image.size() == int(more[1])
            exists = more[0] in self._snapshots(ioctx, first)
        return exists if kind == EXTRA_SNAPSHOT else not exists

    def change(self, kind: str, where: Sequence[str],
               state: bytes | bool | None) -> None:
        """Give something a state; it may have it already.

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


def _meta(backup: Any) -> str:
    return f'backup.{backup.id}.meta'


# Plans

def _need(ioctx: Any, name: str) -> bytes:
    try:
        size, _ = ioctx.stat(name)
    except rados.ObjectNotFound:
        raise base.StoreFailed(f'object {name} does not exist') from None
    return ioctx.read(name, size)


def _different(ioctx: Any, names: Sequence[str], data: bytes) -> str:
    for name in names:
        if _need(ioctx, name) != data:
            return name
    raise base.StoreFailed('there is no second object with other data')


Find = Callable[[RbdStore, Any, Any], Sequence[str]]


def _metadata(store: RbdStore, ioctx: Any, backup: Any) -> Sequence[str]:
    return [_meta(backup)]


def _data(store: RbdStore, ioctx: Any, backup: Any) -> Sequence[str]:
    return store._data(ioctx, backup)


def _first(store: RbdStore, ioctx: Any, find: Find, backup: Any
           ) -> tuple[str, bytes, Sequence[str]]:
    """The first object whose loss changes a restore, and the ones after."""
    names = find(store, ioctx, backup)
    for number, name in enumerate(names):
        data = _need(ioctx, name)
        # A full copy has all the zeros of its volume.
        if data.count(0) != len(data):
            return name, data, names[number + 1:]
    raise base.StoreFailed(f'{names[0]} and all others are zeros')


def _of_object(find: Find, edit: Callable[[bytes], bytes | None]) -> Any:
    """A plan that changes the first object that is found."""
    def how(store: RbdStore, backup: Any, other: Any) -> base.Plan:
        with store._connected() as ioctx:
            name, data, _ = _first(store, ioctx, find, backup)
            return _plan(store, find, backup, {name: edit(data)})

    return how


def _of_another(find: Find) -> Any:
    """A plan that puts another backup's object in the place of one."""
    def how(store: RbdStore, backup: Any, other: Any) -> base.Plan:
        with store._connected() as ioctx:
            name, data, _ = _first(store, ioctx, find, backup)
            theirs = _different(ioctx, find(store, ioctx, other), data)
            return _plan(store, find, backup, {name: _need(ioctx, theirs)})

    return how


def _data_swapped(store: RbdStore, backup: Any, other: Any) -> base.Plan:
    with store._connected() as ioctx:
        name, data, more = _first(store, ioctx, _data, backup)
        found = _different(ioctx, more, data)
        return _plan(store, _data, backup,
                     {name: _need(ioctx, found), found: data})


def _plan(store: RbdStore, find: Find, backup: Any,
          states: dict[str, bytes | None]) -> base.Plan:
    return base.Plan(
        [base.Change(OBJECT, (name,), state)
         for name, state in states.items()],
        tuple(states) if find is _metadata else (store.image_of(backup),))


def _half(data: bytes) -> bytes:
    # The end of an object that is shorter reads as zeros.
    return data[:len(data.rstrip(b'\0')) // 2]


def _gone(data: bytes) -> None:
    return None


def _snapshot_missing(store: RbdStore, backup: Any, other: Any) -> base.Plan:
    image, snapshot = _place(store, backup)
    return base.Plan([base.Change(
        SNAPSHOT, (image, snapshot, _ASIDE + snapshot), True)],
        (image, backup.id))


def _snapshot_twice(store: RbdStore, backup: Any, other: Any) -> base.Plan:
    image, snapshot = _place(store, backup)
    # Later than the first, so that the newest is not the right one.
    return base.Plan([base.Change(
        EXTRA_SNAPSHOT, (image, f'{snapshot}1'), True)], (image, backup.id))


def _place(store: RbdStore, backup: Any) -> tuple[str, str]:
    image, snapshot = store.image_of(backup), store.snapshot_of(backup)
    if snapshot is None:
        raise base.StoreFailed(
            f'image {image} has no snapshot of backup {backup.id}')
    return image, snapshot


def _image_missing(store: RbdStore, backup: Any, other: Any) -> base.Plan:
    image = store.image_of(backup)
    return base.Plan([base.Change(IMAGE, (image, _ASIDE + image), True)],
                     (image,))


def _image_of_another(store: RbdStore, backup: Any, other: Any) -> base.Plan:
    image = store.image_of(backup)
    return base.Plan(
        [base.Change(IMAGE, (image, _ASIDE + image), True),
         base.Change(IMAGE, (store.image_of(other), image), True)], (image,))


def _image_longer(store: RbdStore, backup: Any, other: Any) -> base.Plan:
    image = store.image_of(backup)
    with store._connected() as ioctx, \
            store._open(ioctx, image, read_only=True) as opened:
        size = opened.size()
        larger = size + opened.stat()['obj_size']
    return base.Plan([base.Change(
        SIZE, (image, str(size), str(larger)), True)], (image,))


IMAGE_MISSING = base.Damage('image missing', base.DESCRIPTION_MISSING,
                            _image_missing)
METADATA_MISSING = base.Damage(
    'metadata missing', base.DESCRIPTION_MISSING,
    _of_object(_metadata, _gone), hits_children=False)
METADATA_CUT_OFF = base.Damage(
    'metadata cut off', base.LENGTH, _of_object(_metadata, _half),
    hits_children=False)
METADATA_OF_ANOTHER = base.Damage(
    'metadata of another', base.REPLACED, _of_another(_metadata),
    hits_children=False)
METADATA_CHANGED = base.Damage(
    'metadata changed', base.CHANGED,
    _of_object(_metadata, objects.flipped), hits_children=False)
DATA_CHANGED = base.Damage(
    'data changed', base.CHANGED, _of_object(_data, objects.flipped),
    base.CONTENT, ruins_restore=True)
SNAPSHOT_MISSING = base.Damage('snapshot missing', base.DESCRIPTION_MISSING,
                               _snapshot_missing)
SNAPSHOT_TWICE = base.Damage('snapshot twice', base.EXTRA, _snapshot_twice,
                             hits_children=False)
SNAPSHOTS_OF_ANOTHER = base.Damage(
    'image of another', base.REPLACED, _image_of_another,
    hits_children=False)
IMAGE_LONGER = base.Damage('image longer', base.LENGTH, _image_longer)

DAMAGES = (
    IMAGE_MISSING,
    METADATA_MISSING,
    base.Damage('data missing', base.DATA_MISSING, _of_object(_data, _gone),
                base.CONTENT, ruins_restore=True),
    METADATA_CUT_OFF,
    base.Damage('data cut off', base.LENGTH, _of_object(_data, _half),
                base.CONTENT),
    METADATA_OF_ANOTHER,
    base.Damage('data of another', base.REPLACED, _of_another(_data),
                base.CONTENT, ruins_restore=True),
    METADATA_CHANGED,
    DATA_CHANGED,
    base.Damage('data swapped', base.SWAPPED, _data_swapped,
                base.CONTENT),
)
OF_SNAPSHOTS = (SNAPSHOT_MISSING, SNAPSHOT_TWICE, SNAPSHOTS_OF_ANOTHER)
# Without a snapshot nothing but its content tells whose an image is.
OF_COPIES = (
    IMAGE_LONGER,
    base.Damage('image of another', base.REPLACED, _image_of_another,
                base.CONTENT),
)
