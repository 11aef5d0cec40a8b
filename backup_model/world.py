# SPDX-License-Identifier: Apache-2.0

"""The memory of a history's users: all that it has made so far."""

from collections.abc import Iterator
import dataclasses
from typing import Any

from backup_model import engine


@dataclasses.dataclass
class Volume:
    """A volume, or a snapshot of one.

    :ivar id: '' as long as there is none
    :ivar project: of its owner
    :ivar content: None where a restore that failed has left anything
    :ivar size: in GiB
    """

    id: str = ''
    project: str = ''
    content: engine.Content | None = ()
    size: int = 1
    #: The volume that a snapshot was made of, by its name.
    source: str = ''
    gone: bool = False
    #: A server uses it.
    attached: bool = False
    #: The content before the last restore onto it.
    was: engine.Content | None = None


@dataclasses.dataclass
class Backup:
    """A backup that was accepted.

    :ivar project: of its owner when it was made
    :ivar content: of the volume when it was made
    :ivar parent: its name
    :ivar keys: the objects that its creation has put on the storage
    :ivar told: what the API said of it when it was complete
    """

    id: str = ''
    project: str = ''
    volume: str = ''
    snapshot: str = ''
    content: engine.Content = ()
    parent: str = ''
    keys: frozenset[str] = frozenset()
    told: dict[str, Any] = dataclasses.field(default_factory=dict)
    #: Its creation has succeeded.
    complete: bool = False
    #: Its deletion was accepted: nothing of it is promised any more.
    deleted: bool = False
    #: Its row was lost, and has not been imported since.
    lost: bool = False
    #: Its row is that of an import that failed, and knows nothing.
    failed: bool = False
    #: Its row came from a record that had been changed, or an administrator
    #: has set its status: what is said of it need not be so.
    touched: bool = False


@dataclasses.dataclass(frozen=True)
class Damage:
    """A change of a stored object, or its loss.

    :ivar kind: one of the engine's
    :ivar needed: a restore needs the object; else it is not known
    """

    kind: str
    needed: bool


@dataclasses.dataclass
class Record:
    """A record that was exported.

    :ivar backup: the name of its backup
    :ivar whole: nothing that is stored of its chain was damaged then
    """

    backup: str = ''
    service: str = ''
    url: str = ''
    whole: bool = True
    #: What the API said of the backup then.
    told: dict[str, Any] = dataclasses.field(default_factory=dict)


class World:
    """All of it, by the names that the steps have given."""

    def __init__(self) -> None:
        self.volumes: dict[str, Volume] = {}
        self.snapshots: dict[str, Volume] = {}
        self.backups: dict[str, Backup] = {}
        self.records: dict[str, Record] = {}
        #: What has happened to stored objects, by the name of their backup.
        self.damaged: dict[str, set[Damage]] = {}
        #: What a driver that finds damage has accepted, and the operation.
        self.trusted: dict[str, str] = {}
        #: What was set of the quota, by project and resource; -1 for none.
        self.limits: dict[tuple[str, str], int] = {}

    def chain(self, name: str) -> list[str]:
        """A backup and all that it is based on, itself first."""
        found = []
        while name:
            found.append(name)
            name = self.backups[name].parent
        return found

    def children(self, name: str) -> Iterator[str]:
        """The backups on top of one that its restore does not need."""
        for other, backup in self.backups.items():
            if backup.parent == name and backup.complete:
                yield other

    def named(self, backup_id: str) -> str:
        """The name of a backup, '' if the history did not make it."""
        return next((name for name, one in self.backups.items()
                     if one.id == backup_id), '')

    def intact(self, name: str) -> bool:
        """Tell if the storage must have all that a restore needs."""
        return all(
            self.backups[one].complete and not self.backups[one].deleted
            and one not in self.damaged for one in self.chain(name))

    def damage(self, name: str) -> set[Damage]:
        """All that has happened to what is stored of a chain."""
        return {one for link in self.chain(name)
                for one in self.damaged.get(link, ())}

    def recoverable(self, name: str) -> bool:
        """Tell if the rows are there, too, as they were."""
        return self.intact(name) and not any(
            self.backups[one].lost or self.backups[one].touched or
            self.backups[one].failed for one in self.chain(name))
