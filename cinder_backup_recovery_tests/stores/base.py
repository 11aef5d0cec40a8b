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


"""A storage of backups, reached without Cinder and without its driver.

An adapter knows two things: what belongs to a backup, and how it is changed.
From these it makes damages. It only *plans* them; they are done and undone
by :mod:`.damaging`, which keeps what was there on disk first, so that a
clean-up can undo what a killed run has done. Where it can, it also copies a
backup to the storage of another site, part by part, for :mod:`.copying`.
"""

import abc
from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
from typing import Any
from typing import ClassVar
from typing import Self

from cinder_backup_recovery_tests import config
from cinder_backup_recovery_tests import record as backup_record

PRESENCE = config.PRESENCE
CONTENT = config.CONTENT

# What a damage is to whoever needs the backup. There is a test for each, and
# an adapter should have a damage for each.
DESCRIPTION_MISSING = 'description missing'
"""What says of what the backup consists is gone."""
DATA_MISSING = 'data missing'
EXTRA = 'something added'
LENGTH = 'length changed'
REPLACED = 'part of another backup'
CHANGED = 'bytes changed'
SWAPPED = 'parts swapped'

FAMILIES = (DESCRIPTION_MISSING, DATA_MISSING, EXTRA, LENGTH, REPLACED,
            CHANGED, SWAPPED)


@dataclasses.dataclass(frozen=True)
class Damage:
    """Something that can happen to a backup on its storage.

    :ivar name: what it is, in a few words
    :ivar family: one of :data:`FAMILIES`
    :ivar level: the lowest level that must find it, PRESENCE or CONTENT
    :ivar hits_children: whether a backup that builds on the damaged one
        cannot be restored either
    :ivar ruins_restore: whether no restore can give the right bytes
    """

    name: str
    family: str
    level: str = PRESENCE
    hits_children: bool = True
    ruins_restore: bool = False


@dataclasses.dataclass(frozen=True)
class Backup:
    """What the record of a backup says of its place on the storage."""

    id: str
    volume_id: str
    container: str | None
    service_metadata: str | None
    parent_id: str | None
    driver_info: Any

    @classmethod
    def from_record(cls, record: backup_record.BackupRecord) -> 'Backup':
        """Take what an adapter needs.

        :param record: as exported
        """
        fields = record.fields
        return cls(fields['id'], fields['volume_id'], fields.get('container'),
                   fields.get('service_metadata'), fields.get('parent_id'),
                   fields.get('driver_info'))


@dataclasses.dataclass(frozen=True)
class Change:
    """One step of a damage: something gets another state.

    :ivar kind: what it is, in the adapter's own words
    :ivar where: which one, in words that fit into JSON
    :ivar state: what it becomes: bytes, or None for gone, or a bool
    """

    kind: str
    where: tuple[str, ...]
    state: bytes | bool | None


@dataclasses.dataclass(frozen=True)
class Plan:
    """How a damage is done to one backup.

    :ivar changes: the steps in their order
    :ivar names: texts of which the reason of a failure must have one, so
        that an administrator knows what is damaged; any will do when empty
    """

    changes: Sequence[Change]
    names: Sequence[str] = ()


@dataclasses.dataclass(frozen=True)
class Part:
    """Something that a backup consists of on its storage.

    :ivar kind: what it is, see :class:`Change`
    :ivar where: which one, see :class:`Change`
    :ivar label: of which the reason of a failure must have this when the
        part is missing
    :ivar is_container: whether it only holds other parts, maybe of other
        backups too; it is there before them, and removed only when empty
    """

    kind: str
    where: tuple[str, ...]
    label: str = ''
    is_container: bool = False

    @property
    def title(self) -> str:
        """What it is called to a person."""
        return f'{self.kind} {"/".join(self.where)}'


class BackupStore(abc.ABC):
    """One storage. An adapter of a vendor implements this."""

    can_copy: ClassVar[bool] = False
    """Whether the adapter has what copies backups to another storage:
    :meth:`second_from_config`, :meth:`parts` and :meth:`copy`."""

    @classmethod
    @abc.abstractmethod
    def from_config(cls, conf: Any, manager: Callable[[], Any]
                    ) -> 'BackupStore':
        """Make the adapter that a configuration describes.

        :param conf: Tempest's configuration
        :param manager: makes Tempest's clients of a user of the project
            that owns the backups, where the storage wants one
        :raises InvalidConfiguration: if an option or a module is missing
        """

    @abc.abstractmethod
    def check(self) -> None:
        """Prove that the storage can be reached, before anything is made.

        :raises BackupRecoveryError: saying why not, in one line
        """

    @abc.abstractmethod
    def damages(self, backup: Backup) -> Sequence[Damage]:
        """Say what can be done to a backup.

        :param backup: one that is whole
        """

    @abc.abstractmethod
    def plan(self, damage: Damage, backup: Backup, other: Backup) -> Plan:
        """Find out how a damage is done, without changing anything.

        :param damage: one of :meth:`damages`
        :param backup: what is to be damaged
        :param other: another backup, of another content
        :raises StoreRefused: the record names what may not be its backup's
        :raises StoreFailed: the storage does not hold what it should
        """

    @abc.abstractmethod
    def state(self, kind: str, where: Sequence[str]) -> bytes | bool | None:
        """Look what something is now.

        :param kind: see :class:`Change`
        :param where: see :class:`Change`
        :returns: what :meth:`change` would be given to make it this
        """

    @abc.abstractmethod
    def change(self, kind: str, where: Sequence[str],
               state: bytes | bool | None) -> None:
        """Give something a state; it may have it already.

        :param kind: see :class:`Change`
        :param where: see :class:`Change`; after a kill it is read from the
            ledger's file, so it is checked here again
        :param state: see :class:`Change`
        :raises StoreRefused: it is not where backups are
        """

    def remains(self, backup: Backup) -> Sequence[str] | None:
        """Say what of a backup is on the storage, whole or not.

        By its parts, where the adapter can name them. One that does not say
        it costs a skipped test, of whether the deletion of a backup frees its
        storage.

        :param backup: one that may be deleted
        :returns: what people call each part of it; nothing once it is
            deleted, also where backups that it belongs with are still there;
            None if this adapter cannot say
        :raises StoreRefused: the record names what may not be its backup's
        """
        if type(self).parts is BackupStore.parts:
            return None
        return [part.title for part in self.parts(backup)
                if not part.is_container]

    # What an adapter has that can copy

    @classmethod
    def second_from_config(cls, conf: Any, manager: Callable[[], Any]
                           ) -> Self:
        """Make the adapter of the second region's own storage.

        :param conf: Tempest's configuration
        :param manager: makes Tempest's clients of a user of the project
            that is to own the copies, where the storage wants one
        :raises InvalidConfiguration: if an option or a module is missing
        """
        raise NotImplementedError

    def parts(self, backup: Backup) -> Sequence[Part]:
        """Name all that belongs to a backup, and nothing else.

        Of a backup that builds on others it is what those do not have. To
        give each of them the state None with :meth:`change`, the last one
        first, is to remove the backup.

        :param backup: the backup
        :returns: in the order in which they are made; none if there is none
        :raises StoreRefused: the record names what may not be its backup's
        """
        raise NotImplementedError

    def copy(self, part: Part, to: Self) -> None:
        """Copy a part as an operator would, with all that is said of it.

        :param part: one of :meth:`parts`
        :param to: the adapter of the other storage
        :raises StoreFailed: one of the storages does not do it
        """
        raise NotImplementedError
