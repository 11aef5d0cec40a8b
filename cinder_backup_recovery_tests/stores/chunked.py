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


"""What all storages have in common that hold a backup as chunks.

Cinder's chunked drivers store a backup in objects whose names begin with the
prefix that is in ``service_metadata``: its data in chunks, what they are in
``<prefix>_metadata``, and checksums for the next incremental backup in
``<prefix>_sha256file``.
"""

import abc
from collections.abc import Iterable
from collections.abc import Sequence
import re
from typing import Self

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.stores import base

OBJECT = 'object'
"""The kind of each change: where is a container and a name."""
CONTAINER = 'container'
"""The other kind of part: where is its name, the state whether it is there."""

_CHUNK = re.compile(r'-[0-9]{5,}')
_METADATA = '_metadata'
_HASHES = '_sha256file'

# Cinder restores a chain without the checksums of its parents.
_DAMAGES = (
    base.Damage('metadata missing', base.DESCRIPTION_MISSING),
    base.Damage('checksums missing', base.DESCRIPTION_MISSING,
                hits_children=False),
    base.Damage('chunk missing', base.DATA_MISSING, ruins_restore=True),
    base.Damage('everything missing', base.DATA_MISSING),
    base.Damage('chunk too many', base.EXTRA),
    base.Damage('chunk cut off', base.LENGTH),
    base.Damage('chunk longer', base.LENGTH),
    base.Damage('chunk empty', base.LENGTH),
    base.Damage('metadata of another', base.REPLACED),
    base.Damage('checksums of another', base.REPLACED, hits_children=False),
    base.Damage('chunk of another', base.REPLACED, base.CONTENT,
                ruins_restore=True),
    base.Damage('metadata changed', base.CHANGED),
    base.Damage('checksums changed', base.CHANGED, hits_children=False),
    base.Damage('chunk changed', base.CHANGED, base.CONTENT,
                ruins_restore=True),
    base.Damage('chunks swapped', base.SWAPPED, base.CONTENT),
)


def flipped(data: bytes) -> bytes:
    """Change one bit in the middle.

    :param data: not empty
    """
    middle = len(data) // 2
    return (data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1:])


class ChunkedStore(base.BackupStore):
    """A storage of objects with names, in containers.

    An adapter says how objects are listed, read, written and deleted.
    """

    @abc.abstractmethod
    def names(self, container: str, prefix: str) -> Sequence[str]:
        """Name the objects that begin with a prefix.

        :param container: of the backup
        :param prefix: not empty
        :returns: whole names, in any order; none if there is no container
        """

    @abc.abstractmethod
    def read(self, container: str, name: str) -> bytes | None:
        """Read an object as it is stored, None if there is none.

        :param container: of the backup
        :param name: its whole name
        """

    @abc.abstractmethod
    def write(self, container: str, name: str, data: bytes) -> None:
        """Make an object, or give it other bytes.

        :param container: of the backup
        :param name: its whole name
        :param data: all of its bytes
        """

    @abc.abstractmethod
    def delete(self, container: str, name: str) -> None:
        """Remove an object, if there is one.

        :param container: of the backup
        :param name: its whole name
        """

    # What an adapter has that can copy

    def has_container(self, container: str) -> bool:
        """Look whether there is a container.

        :param container: its name
        """
        raise NotImplementedError

    def make_container(self, container: str) -> None:
        """Make a container, if there is none.

        :param container: its name
        """
        raise NotImplementedError

    def remove_container(self, container: str) -> None:
        """Remove a container, if there is one and nothing is in it.

        :param container: its name
        """
        raise NotImplementedError

    def copy_object(self, container: str, name: str, to: Self) -> None:
        """Copy an object with all that is said of it.

        :param container: of the backup, the same in both storages
        :param name: its whole name
        :param to: the other storage, which has the container
        """
        raise NotImplementedError

    # Damages

    def damages(self, backup: base.Backup) -> Sequence[base.Damage]:
        """Say what can be done to a backup.

        :param backup: one that is whole
        """
        return _DAMAGES

    def state(self, kind: str, where: Sequence[str]) -> bytes | bool | None:
        """Read an object, or look for a container.

        :param kind: OBJECT or CONTAINER
        :param where: container and name, or the container
        :returns: its bytes, True of a container, None if there is none
        """
        if kind == CONTAINER:
            return self.has_container(self._container(where)) or None
        return self.read(*self._checked(kind, where))

    def change(self, kind: str, where: Sequence[str],
               state: bytes | bool | None) -> None:
        """Write an object or make a container, or remove it.

        :param kind: OBJECT or CONTAINER
        :param where: container and name, or the container
        :param state: its bytes, True of a container, None for none
        :raises StoreRefused: the names lead out of where backups are
        """
        if kind == CONTAINER:
            container = self._container(where)
            if state:
                self.make_container(container)
            else:
                self.remove_container(container)
            return
        container, name = self._checked(kind, where)
        if isinstance(state, bytes):
            self.write(container, name, state)
        else:
            self.delete(container, name)

    def plan(self, damage: base.Damage, backup: base.Backup,
             other: base.Backup) -> base.Plan:
        """Find out how a damage is done, without changing anything.

        :param damage: one of :meth:`damages`
        :param backup: what is to be damaged
        :param other: another backup, of another content
        :raises StoreRefused: the record names what may not be its backup's
        :raises StoreFailed: the storage does not hold what it should
        """
        container, prefix = self._location(backup)
        what, _, how = damage.name.partition(' ')
        if damage.name == 'everything missing':
            # The reason may name the backup, or any of its objects.
            return base.Plan(self._changes(container, dict.fromkeys(
                self._objects(backup))))
        if damage.name == 'chunks swapped':
            return self._swapped(backup)
        if damage.name == 'chunk too many':
            chunks = self._chunks(backup)
            number = max(int(one.rpartition('-')[2]) for one in chunks) + 1
            name = f'{prefix}-{number:05d}'
            return base.Plan(self._changes(container, {
                name: self._need(container, chunks[0])}), (_tail(name),))
        name = {'metadata': prefix + _METADATA, 'checksums': prefix + _HASHES
                }.get(what) or self._chunks(backup)[0]
        if how == 'of another':
            return self._replaced(backup, other, what)
        state: bytes | None = None
        if how != 'missing':
            data = self._need(container, name)
            state = {'cut off': data[:-1], 'longer': data + b'\0',
                     'empty': b'', 'changed': flipped(data)}[how]
        return base.Plan(self._changes(container, {name: state}),
                         (_tail(name),))

    # Copies

    def parts(self, backup: base.Backup) -> Sequence[base.Part]:
        """Name the container and the objects of a backup.

        :param backup: the backup
        :returns: the container first; none if there is no object
        :raises StoreRefused: the record names what may not be its backup's
        """
        container, prefix = self._location(backup)
        found = [base.Part(OBJECT, (container, name), _tail(name))
                 for name in sorted(self.names(container, prefix))]
        if not found:
            return []
        return [base.Part(CONTAINER, (container,), is_container=True), *found]

    def copy(self, part: base.Part, to: Self) -> None:
        """Copy an object, or make the container that it is in.

        :param part: one of :meth:`parts`
        :param to: the adapter of the other storage
        :raises StoreFailed: one of the storages does not do it
        """
        if part.kind == CONTAINER:
            to.make_container(to._container(part.where))
        else:
            container, name = self._checked(part.kind, part.where)
            self.copy_object(container, name, to)

    # What belongs to a backup

    def _location(self, backup: base.Backup) -> tuple[str, str]:
        """Take container and prefix out of a record that may be hostile."""
        container, prefix = backup.container, backup.service_metadata
        if not container or not prefix or backup.id not in prefix:
            raise exceptions.StoreRefused(
                f'container {container!r} and prefix {prefix!r} do not name '
                f'objects of backup {backup.id}')
        self._checked(OBJECT, (container, prefix))
        return container, prefix

    def _container(self, where: Sequence[str]) -> str:
        # As if it were in itself: a name alone is checked as two are.
        return self._checked(OBJECT, (*where, *where))[0]

    def _checked(self, kind: str, where: Sequence[str]) -> tuple[str, str]:
        if kind != OBJECT or len(where) != 2:
            raise exceptions.StoreRefused(f'no object: {kind} {where}')
        container, name = where
        for text in where:
            if any(part in ('', '.', '..') for part in text.split('/')) or (
                    any(ord(character) < 32 for character in text)):
                raise exceptions.StoreRefused(
                    f'{container!r} and {name!r} do not name an object')
        return container, name

    def _objects(self, backup: base.Backup) -> list[str]:
        container, prefix = self._location(backup)
        found = sorted(self.names(container, prefix))
        if not found:
            raise exceptions.StoreFailed(
                f'nothing begins with {prefix} in container {container}: is '
                f'it the storage of the cloud\'s backups?')
        return found

    def _chunks(self, backup: base.Backup) -> list[str]:
        """Name the chunks, from the middle on: neither end is special."""
        _, prefix = self._location(backup)
        found = [name for name in self._objects(backup)
                 if _CHUNK.fullmatch(name[len(prefix):])]
        if not found:
            raise exceptions.StoreFailed(
                f'backup {backup.id} has no chunk below {prefix}')
        return found[len(found) // 2:] + found[:len(found) // 2]

    def _need(self, container: str, name: str) -> bytes:
        data = self.read(container, name)
        if not data:
            raise exceptions.StoreFailed(
                f'object {name} of container {container} is missing or '
                f'empty')
        return data

    # Damages that need more than one object

    @staticmethod
    def _changes(container: str, states: dict[str, bytes | None]
                 ) -> list[base.Change]:
        return [base.Change(OBJECT, (container, name), state)
                for name, state in states.items()]

    def _replaced(self, backup: base.Backup, other: base.Backup,
                  what: str) -> base.Plan:
        container, prefix = self._location(backup)
        their_container, their_prefix = self._location(other)
        if what == 'chunk':
            pairs: Iterable[tuple[str, str]] = [
                (mine, theirs) for mine in self._chunks(backup)
                for theirs in self._chunks(other)]
        else:
            end = _METADATA if what == 'metadata' else _HASHES
            pairs = [(prefix + end, their_prefix + end)]
        for mine, theirs in pairs:
            data = self._need(their_container, theirs)
            # Chunks of zeros are the same in every backup.
            if data != self._need(container, mine):
                return base.Plan(self._changes(container, {mine: data}),
                                 (_tail(mine),))
        raise exceptions.StoreFailed(
            f'backups {backup.id} and {other.id} hold the same')

    def _swapped(self, backup: base.Backup) -> base.Plan:
        container, _ = self._location(backup)
        first, *others = self._chunks(backup)
        data = self._need(container, first)
        for name in others:
            found = self._need(container, name)
            if found != data:
                return base.Plan(
                    self._changes(container, {first: found, name: data}),
                    (_tail(first), _tail(name)))
        # A single chunk: its halves, so that its length stays.
        half = len(data) // 2
        return base.Plan(self._changes(container, {
            first: data[half:half * 2] + data[:half] + data[half * 2:]}),
            (_tail(first),))


def _tail(name: str) -> str:
    """Take the end of a name that tells an object from its neighbours."""
    return re.split(r'(?=[_-][^_-]*\Z)', name)[-1]
