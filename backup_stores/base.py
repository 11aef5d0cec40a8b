# SPDX-License-Identifier: Apache-2.0

"""A store of backups, reached without Cinder and without its driver.

A :class:`Damage` only *plans* a change of one backup. The plan's steps are
done by :meth:`Store.change` and undone by the same method with what
:meth:`Store.state` returned before.
"""

import abc
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import dataclasses
from typing import Any
from typing import ClassVar
from typing import Self

PRESENCE = 'presence'
CONTENT = 'content'

# The families of damages: what a damage is to a user who needs the backup.
# The plugin has a test for each, and a store should have a damage for each.
DESCRIPTION_MISSING = 'description missing'
DATA_MISSING = 'data missing'
EXTRA = 'something added'
LENGTH = 'length changed'
REPLACED = 'part of another backup'
CHANGED = 'bytes changed'
SWAPPED = 'parts swapped'

FAMILIES = (DESCRIPTION_MISSING, DATA_MISSING, EXTRA, LENGTH, REPLACED,
            CHANGED, SWAPPED)

#: While it lasts, a store does not answer.
Away = contextlib.AbstractContextManager[None]


class StoreError(Exception):
    """A store does not do what is requested of it."""


class StoreFailed(StoreError):
    """The store lacks something, or a request to it failed."""


class StoreRefused(StoreError):
    """A record names what may not be its backup's: nothing is touched."""


@dataclasses.dataclass(frozen=True)
class Backup:
    """The fields of a backup that locate it on its store.

    A row of Cinder's database has the same attributes and may be used in its
    place.
    """

    id: str
    volume_id: str
    container: str | None
    service_metadata: str | None
    parent_id: str | None = None
    driver_info: Any = None

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> 'Backup':
        """Make it from the fields of an exported record."""
        return cls(fields['id'], fields['volume_id'], fields.get('container'),
                   fields.get('service_metadata'), fields.get('parent_id'),
                   fields.get('driver_info'))


@dataclasses.dataclass(frozen=True)
class Change:
    """One step of a damage: something gets another state.

    :ivar kind: what it is, in the store's own words
    :ivar where: which one, in words that fit into JSON
    :ivar state: what it becomes: bytes, or None for gone, or a bool
    """

    kind: str
    where: tuple[str, ...]
    state: bytes | bool | None


@dataclasses.dataclass(frozen=True)
class Plan:
    """A damage's change of one backup.

    :ivar changes: the steps in their order
    :ivar names: texts of which the reason of a failure must have one, so
        that an administrator knows what is damaged; any text will do when it
        is empty
    """

    changes: Sequence[Change]
    names: Sequence[str] = ()


@dataclasses.dataclass(frozen=True)
class Damage:
    """Something that can happen to a backup on its store.

    :ivar name: the damage in a few words, for people
    :ivar family: one of :data:`FAMILIES`
    :ivar how: makes the plan from the store, the backup that is to be
        damaged and another backup of another content; it changes nothing
    :ivar level: the lowest level that must find it, PRESENCE or CONTENT
    :ivar hits_children: whether a backup that builds on the damaged one
        cannot be restored either
    :ivar ruins_restore: whether no restore can give the right bytes
    """

    name: str
    family: str
    how: Callable[[Any, Any, Any], Plan] = dataclasses.field(repr=False)
    level: str = PRESENCE
    hits_children: bool = True
    ruins_restore: bool = False


@dataclasses.dataclass(frozen=True)
class Part:
    """Something that a backup consists of on its store.

    :ivar kind: see :class:`Change`
    :ivar where: see :class:`Change`
    :ivar label: the reason of a failure must have this text when the part is
        missing
    :ivar is_container: whether it only holds other parts, maybe of other
        backups too; it exists before them, and is removed only when empty
    """

    kind: str
    where: tuple[str, ...]
    label: str = ''
    is_container: bool = False

    @property
    def title(self) -> str:
        """Its name for people."""
        return f'{self.kind} {"/".join(self.where)}'


class Store(abc.ABC):
    """One store of backups.

    For a store of objects derive from :class:`.objects.ObjectStore` or
    :class:`.chunked.ChunkedStore`, which implement all of this.
    """

    can_copy: ClassVar[bool] = False
    """True if :meth:`copy` works and :meth:`parts` names containers."""

    @abc.abstractmethod
    def check(self) -> None:
        """Raise an error if the store cannot be reached."""

    @abc.abstractmethod
    def damages(self, backup: Any) -> Sequence[Damage]:
        """Return what can be done to a backup that is whole."""

    @abc.abstractmethod
    def state(self, kind: str, where: Sequence[str]) -> bytes | bool | None:
        """Return what :meth:`change` would be given to make it this."""

    @abc.abstractmethod
    def change(self, kind: str, where: Sequence[str],
               state: bytes | bool | None) -> None:
        """Give something a state, which it may have already.

        :param where: after a kill it comes from the ledger's file, so it is
            checked here again
        :raises StoreRefused: it is outside of the place of the backups
        """

    def plan(self, damage: Damage, backup: Any, other: Any) -> Plan:
        """Make the plan of a damage; nothing is changed.

        :raises StoreRefused: the record names what may not be its backup's
        :raises StoreFailed: the store lacks what the damage needs
        """
        return damage.how(self, backup, other)

    @contextlib.contextmanager
    def damaged(self, plan: Plan) -> Iterator[None]:
        """Apply a plan for a while.

        The originals are in memory only: it is for tests whose backups no
        user needs.
        """
        with contextlib.ExitStack() as undo:
            for step in plan.changes:
                undo.callback(self.change, step.kind, step.where,
                              self.state(step.kind, step.where))
            for step in plan.changes:
                self.change(step.kind, step.where, step.state)
            yield

    def remains(self, backup: Any) -> Sequence[str] | None:
        """Name the rest of a backup that may be deleted.

        :returns: a name for each part of it alone, whole or not; None if
            this store cannot tell
        :raises StoreRefused: the record names what may not be its backup's
        """
        return None

    def parts(self, backup: Any) -> Sequence[Part]:
        """Name all that belongs to a backup, and nothing else.

        Of a backup that builds on others it is what those do not have. To
        give each of them the state None with :meth:`change`, the last one
        first, is to remove the backup.

        :returns: in the order in which they are made; none if there is none
        :raises StoreRefused: the record names what may not be its backup's
        """
        raise NotImplementedError

    def copy(self, part: Part, to: Self) -> None:
        """Copy a part with its metadata to another store of this class."""
        raise NotImplementedError

    def stopped(self, conf: Any) -> Away | None:
        """Stop the store for the driver under test: no connection to it.

        Other users of the store must not be disturbed.

        :param conf: Cinder's configuration, with the driver's options
        :returns: a context manager; None where it cannot be done
        """
        return None

    def paused(self, conf: Any) -> Away | None:
        """Make the store hang for the driver: requests are not answered.

        :param conf: Cinder's configuration, with the driver's options
        :returns: a context manager; None where it cannot be done
        """
        return None
