# SPDX-License-Identifier: Apache-2.0

"""Stores of objects with names, in containers.

Nothing is known of an object's form, but that none of its bytes is
superfluous.
"""

import abc
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import functools
import os
import re
from typing import Any
from typing import ClassVar
from typing import Self

from backup_stores import away
from backup_stores import base

OBJECT = 'object'
"""A kind of change: where is a container and a name."""
CONTAINER = 'container'
"""A kind of part: where is its name, the state whether it exists."""


class ObjectStore(base.Store):
    """A store of objects. A vendor implements the first four methods.

    Containers and names are those of the driver, which must not be used.
    """

    has_containers: ClassVar[bool] = True
    """False where all objects lie in one place, and container is empty."""
    address_option: ClassVar[str] = ''
    """The option of the driver that has the store's address, as a URL or as
    host:port, from which :meth:`stopped` and :meth:`paused` are derived."""
    path_option: ClassVar[str] = ''
    """The option of the driver that has the store's path, from which
    :meth:`stopped` is derived."""

    @abc.abstractmethod
    def list(self, container: str, prefix: str = '') -> Sequence[str]:
        """Name the objects that begin with a prefix.

        :returns: whole names, in any order; none without the container
        """

    @abc.abstractmethod
    def read(self, container: str, name: str) -> bytes | None:
        """Return the stored bytes of an object, None if it does not exist."""

    @abc.abstractmethod
    def write(self, container: str, name: str, data: bytes) -> None:
        """Make an object, or give it other bytes."""

    @abc.abstractmethod
    def delete(self, container: str, name: str) -> None:
        """Remove an object, if it exists."""

    # A vendor may implement these

    def check(self) -> None:
        """Raise an error if the store cannot be reached."""
        self.list('backup-recovery-tests', 'check')

    def locate(self, backup: Any) -> tuple[str, str]:
        """Return the container of a backup, and the prefix of its objects.

        By default as Cinder's drivers write it into the row. The names of
        all its objects begin with the prefix, and those of no other backup.

        :param backup: its row or record, which may be hostile
        :raises StoreRefused: it names what may not be this backup's
        """
        container = backup.container or ''
        prefix = backup.service_metadata or backup.id
        if backup.id not in prefix:
            raise base.StoreRefused(
                f'service_metadata {prefix!r} does not name objects of '
                f'backup {backup.id}')
        self._checked((container, prefix.rstrip('/')))
        return container, prefix

    def contents(self, container: str) -> Mapping[str, Any]:
        """Return all objects of a container, each with its bytes.

        A store that lists checksums may return these in place of the bytes,
        which spares the tests most of their requests.
        """
        return {name: self.read(container, name)
                for name in self.list(container)}

    def has_container(self, container: str) -> bool:
        raise NotImplementedError

    def make_container(self, container: str) -> None:
        """Make a container, if it does not exist."""
        raise NotImplementedError

    def remove_container(self, container: str) -> None:
        """Remove a container, if it exists and is empty."""
        raise NotImplementedError

    def copy_object(self, container: str, name: str, to: Self) -> None:
        """Copy an object with its metadata.

        :param to: the other store, which has a container of the same name
        """
        raise NotImplementedError

    def stopped(self, conf: Any) -> base.Away | None:
        """See :meth:`.base.Store.stopped`."""
        if self.address_option:
            return away.redirected(conf, self.address_option)
        if self.path_option:
            path = str(getattr(conf, self.path_option))
            # As where its file system is not mounted.
            return away.replaced(conf, self.path_option, os.path.join(
                f'{path}.not-mounted', os.path.basename(path)))
        return None

    def paused(self, conf: Any) -> base.Away | None:
        """See :meth:`.base.Store.paused`."""
        if not self.address_option:
            return None
        return away.redirected(conf, self.address_option, hanging=True)

    # Derived from the above

    def damages(self, backup: Any) -> Sequence[base.Damage]:
        """Return the damages of the first object and of the last two."""
        count = len(Stored(self, backup).names)
        return [damage for number in range(min(3, count))
                for damage in _DAMAGES[number]]

    def state(self, kind: str, where: Sequence[str]) -> bytes | bool | None:
        """Return an object's bytes, True of a container, None of neither."""
        if kind == CONTAINER:
            return self.has_container(self._container(where)) or None
        return self.read(*self._object(kind, where))

    def change(self, kind: str, where: Sequence[str],
               state: bytes | bool | None) -> None:
        """Write an object or make a container, or remove it.

        :raises StoreRefused: the names lead out of the place of the backups
        """
        if kind == CONTAINER:
            container = self._container(where)
            if state:
                self.make_container(container)
            else:
                self.remove_container(container)
            return
        container, name = self._object(kind, where)
        if isinstance(state, bytes):
            self.write(container, name, state)
        else:
            self.delete(container, name)

    def remains(self, backup: Any) -> Sequence[str]:
        """Name the objects of a backup, whole or not."""
        return [part.title for part in self.parts(backup)
                if not part.is_container]

    def parts(self, backup: Any) -> Sequence[base.Part]:
        """Name the container and the objects of a backup."""
        container, prefix = self.locate(backup)
        found = [base.Part(OBJECT, (container, name), tail(name))
                 for name in sorted(self.list(container, prefix))]
        if not found or not self.has_containers:
            return found
        return [base.Part(CONTAINER, (container,), is_container=True), *found]

    def copy(self, part: base.Part, to: Self) -> None:
        """Copy an object, or make the container that it is in."""
        if part.kind == CONTAINER:
            to.make_container(to._container(part.where))
        else:
            self.copy_object(*self._object(part.kind, part.where), to)

    def _container(self, where: Sequence[str]) -> str:
        if len(where) != 1:
            raise base.StoreRefused(f'{where} does not name a container')
        # Checked as an object of the same name in it.
        return self._checked((*where, *where))[0]

    def _object(self, kind: str, where: Sequence[str]) -> tuple[str, str]:
        if kind != OBJECT or len(where) != 2:
            raise base.StoreRefused(f'{kind} {where} is not an object')
        return self._checked(where)

    def _checked(self, where: Sequence[str]) -> tuple[str, str]:
        container, name = where
        for text in where if self.has_containers else (name,):
            if any(part in ('', '.', '..') for part in text.split('/')) or (
                    any(ord(character) < 32 for character in text)):
                raise base.StoreRefused(
                    f'{container!r} and {name!r} do not name an object')
        if container and not self.has_containers:
            raise base.StoreRefused(f'container {container!r} does not exist')
        return container, name


class Stored:
    """The objects of a backup on its store."""

    def __init__(self, store: ObjectStore, backup: Any) -> None:
        self.store = store
        self.container, self.prefix = store.locate(backup)

    @functools.cached_property
    def names(self) -> list[str]:
        """The names, sorted; at least one."""
        found = sorted(self.store.list(self.container, self.prefix))
        if not found:
            raise base.StoreFailed(
                f'nothing begins with {self.prefix} in container '
                f'{self.container}: is it the storage of the cloud\'s '
                f'backups?')
        return found

    def read(self, name: str) -> bytes:
        """Return the bytes of an object that must exist and not be empty."""
        data = self.store.read(self.container, name)
        if not data:
            raise base.StoreFailed(
                f'object {name} of container {self.container} is missing or '
                f'empty')
        return data

    def plan(self, states: Mapping[str, bytes | None],
             names: Sequence[str] | None = None) -> base.Plan:
        """Make the plan that gives objects other bytes.

        :param states: by name of the object, None to remove it
        :param names: see :class:`.base.Plan`; the ends of the objects' names
            by default
        """
        return base.Plan(
            [base.Change(OBJECT, (self.container, name), state)
             for name, state in states.items()],
            [tail(name) for name in states] if names is None else names)


def tail(name: str) -> str:
    """Return the end of a name that tells an object from its neighbours."""
    return re.split(r'(?=[_-][^_-]*\Z)', name)[-1]


Edit = Callable[[bytes], bytes]


def flipped(data: bytes, at: int | None = None, bit: int = 1) -> bytes:
    """Change one bit, by default in the middle, of data that is not empty."""
    at = len(data) // 2 if at is None else at % len(data)
    return data[:at] + bytes([data[at] ^ bit]) + data[at + 1:]


def cut_off(data: bytes) -> bytes:
    return data[:-1]


def longer(data: bytes) -> bytes:
    return data + b'\0'


def empty(data: bytes) -> bytes:
    return b''


def changed_at_start(data: bytes) -> bytes:
    return flipped(data, 0)


def changed_at_end(data: bytes) -> bytes:
    # The lowest bits of a compressed object's last byte may be padding.
    return flipped(data, -1, 0x80)


def _own(stored: Stored, number: int) -> str:
    """The first object, the last one, and the others."""
    return [*stored.names[:1], *stored.names[:0:-1]][number]


def _missing(number: int, store: ObjectStore, backup: Any, other: Any
             ) -> base.Plan:
    stored = Stored(store, backup)
    name = _own(stored, number)
    return stored.plan({name: None}, [name])


def _edited(number: int, edit: Edit, store: ObjectStore, backup: Any,
            other: Any) -> base.Plan:
    stored = Stored(store, backup)
    name = _own(stored, number)
    return stored.plan({name: edit(stored.read(name))}, [name])


def _replaced(number: int, store: ObjectStore, backup: Any, other: Any
              ) -> base.Plan:
    theirs = Stored(store, other)
    data = theirs.read(_own(theirs, number))
    return _edited(number, lambda _: data, store, backup, other)


def _of_object(number: int, what: str) -> Sequence[base.Damage]:
    """The damages of one of the objects of a backup."""
    def edited(how: str, family: str, edit: Edit, level: str) -> base.Damage:
        return base.Damage(f'{what} {how}', family, functools.partial(
            _edited, number, edit), level)

    return (
        base.Damage(f'{what} missing', base.DATA_MISSING,
                    functools.partial(_missing, number)),
        edited('cut off', base.LENGTH, cut_off, base.PRESENCE),
        edited('longer', base.LENGTH, longer, base.PRESENCE),
        edited('empty', base.LENGTH, empty, base.PRESENCE),
        edited('changed at its start', base.CHANGED, changed_at_start,
               base.CONTENT),
        edited('changed', base.CHANGED, flipped, base.CONTENT),
        edited('changed at its end', base.CHANGED, changed_at_end,
               base.CONTENT),
        base.Damage(f'{what} of another', base.REPLACED,
                    functools.partial(_replaced, number), base.CONTENT))


_DAMAGES = [_of_object(number, what) for number, what in enumerate(
    ('object', 'last object', 'last object but one'))]
