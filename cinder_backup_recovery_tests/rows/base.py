# SPDX-License-Identifier: Apache-2.0
"""Rows of backups, volumes and snapshots in Cinder's database: the interface.

Only rows of what the suite has created are changed: the ledger is checked.
"""

import abc
from collections.abc import Iterable
import dataclasses
import re
from typing import Any
from typing import Protocol
import uuid

from cinder_backup_recovery_tests import exceptions

HARD = 'hard'
"""The row is deleted, as when a table was restored from an old dump."""

SOFT = 'soft'
"""The row is marked deleted, as Cinder's own delete does."""

KINDS = (HARD, SOFT)

LIVE = 'live'
SOFT_DELETED = 'soft-deleted'
ABSENT = 'absent'
STATES = (LIVE, SOFT_DELETED, ABSENT)

GONE = {HARD: ABSENT, SOFT: SOFT_DELETED}
"""The state of a row after a loss of each kind."""

BACKUP = 'backup'
VOLUME = 'volume'
SNAPSHOT = 'snapshot'
RESOURCES = (BACKUP, VOLUME, SNAPSHOT)
"""Whose rows they are, named as in the ledger."""

# Also an argument of programs.
_UNREACHABLE = re.compile(r'\w[\w.-]*(/\w[\w.-]*)+', re.ASCII)

Saved = dict[str, list[dict[str, Any]]]
"""Rows by table, as JSON has them; the resources' own table first."""


class Owner(Protocol):
    """Decides which ids may be touched; a ledger is one."""

    def require(self, kind: str, ids: Iterable[str]) -> None:
        """Refuse what may not be touched.

        :raises NotInLedger: naming each such id
        """


@dataclasses.dataclass(frozen=True)
class QuotaChange:
    """A correction of the usage of a project."""

    project_id: str
    resource: str
    before: int
    after: int


@dataclasses.dataclass(frozen=True)
class Loss:
    """A loss of rows.

    :ivar rows: number of rows by table; empty where it is not known
    """

    what: str
    ids: tuple[str, ...]
    kind: str
    rows: dict[str, int] = dataclasses.field(default_factory=dict)
    quota_changes: tuple[QuotaChange, ...] = ()


class Rows(abc.ABC):
    """Rows in Cinder's database.

    In all methods ``what`` is one of :data:`RESOURCES`, and a change is made
    for all ids or for none.
    """

    def __init__(self, ledger: Owner) -> None:
        self._ledger = ledger

    @abc.abstractmethod
    def check(self, *whats: str) -> None:
        """Prove that rows can be read and changed; nothing is changed.

        :raises BackupRecoveryError: naming the reason in one line
        """

    def states(self, what: str, ids: Iterable[str]) -> dict[str, str]:
        """Read which rows exist, of any resources.

        :returns: LIVE, SOFT_DELETED or ABSENT by id
        """
        return self._states(what, _checked(what, ids))

    def state(self, what: str, resource_id: str) -> str:
        """Read the state of one resource; see :meth:`states`."""
        return self.states(what, [resource_id])[resource_id]

    def save(self, what: str, ids: Iterable[str]) -> Saved:
        """Read all rows of resources, of any.

        :raises RowsMismatch: a resource has no live row
        """
        return self._save(what, _checked(what, ids))

    def lose(self, what: str, ids: Iterable[str], kind: str = HARD,
             project_id: str | None = None, saved: Saved | None = None
             ) -> Loss:
        """Delete the rows of resources, or mark them deleted.

        With a backup its usage of quota goes. That of a volume or snapshot
        stays: its rows are restored, because no request reaches what it has
        left on its storage.

        :param project_id: the project that they must belong to; None for any
        :param saved: as :meth:`save` returned it; must be unchanged. Needed
            for volumes and snapshots
        :raises NotInLedger: a resource was not created by the suite
        :raises BackupRecoveryError: nothing was changed
        """
        ids = _checked(what, ids)
        if kind not in KINDS:
            raise exceptions.InvalidConfiguration(
                f'unknown kind of row loss {kind!r}; known: '
                f'{", ".join(KINDS)}')
        if what != BACKUP and saved is None:
            raise exceptions.InvalidConfiguration(
                f'rows of a {what} are not deleted without saved ones')
        self._ledger.require(what, ids)
        return self._lose(what, ids, kind, project_id, saved)

    def lose_if_live(self, backup_id: str, project_id: str) -> None:
        """Delete the row that an import has made, if it has made one."""
        if self.state(BACKUP, backup_id) == LIVE:
            self.lose(BACKUP, [backup_id], HARD, project_id)

    def restore(self, what: str, ids: Iterable[str], saved: Saved) -> None:
        """Write saved rows again; what is unchanged stays so.

        :param saved: as :meth:`save` returned it
        :raises NotInLedger: a resource was not created by the suite
        :raises BackupRecoveryError: nothing was changed
        """
        ids = _checked(what, ids)
        self._ledger.require(what, ids)
        self._restore(what, ids, saved)

    def purge(self, what: str, ids: Iterable[str]) -> int:
        """Delete rows that are marked deleted.

        A resource without a row is no error, so that a clean-up can be
        repeated.

        :returns: how many resources had rows
        :raises NotInLedger: a resource was not created by the suite
        :raises BackupRecoveryError: a row is live, for one; nothing was
            deleted
        """
        ids = _checked(what, ids)
        self._ledger.require(what, ids)
        return self._purge(what, ids)

    @abc.abstractmethod
    def _states(self, what: str, ids: list[str]) -> dict[str, str]:
        """See :meth:`states`."""

    @abc.abstractmethod
    def _save(self, what: str, ids: list[str]) -> Saved:
        """See :meth:`save`."""

    @abc.abstractmethod
    def _lose(self, what: str, ids: list[str], kind: str,
              project_id: str | None, saved: Saved | None) -> Loss:
        """See :meth:`lose`."""

    @abc.abstractmethod
    def _restore(self, what: str, ids: list[str], saved: Saved) -> None:
        """See :meth:`restore`."""

    @abc.abstractmethod
    def _purge(self, what: str, ids: list[str]) -> int:
        """See :meth:`purge`."""


def _checked(what: str, ids: Iterable[str]) -> list[str]:
    """Check a request before anything else; returns each id once.

    Of a backup an id may have slashes, as only the import of a wrong record
    makes it: no request reaches such a row, so that it is removed here.

    :raises InvalidConfiguration: unknown resources, no ids, or not UUIDs
    """
    if what not in RESOURCES:
        raise exceptions.InvalidConfiguration(
            f'unknown kind of resource {what!r}; known: '
            f'{", ".join(RESOURCES)}')
    if isinstance(ids, str):
        raise exceptions.InvalidConfiguration(
            f'{what} ids are one string and should be a list')
    unique = list(dict.fromkeys(ids))
    if not unique:
        raise exceptions.InvalidConfiguration(f'no {what} ids were given')
    for resource_id in unique:
        try:
            is_uuid = (isinstance(resource_id, str) and
                       str(uuid.UUID(resource_id)) == resource_id)
        except ValueError:
            is_uuid = False
        if not is_uuid and not (what == BACKUP and _UNREACHABLE.fullmatch(
                str(resource_id))):
            raise exceptions.InvalidConfiguration(
                f'{what} id {resource_id!r} is not a UUID')
    return unique
