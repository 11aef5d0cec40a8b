# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.
"""What every way of losing backup rows has in common."""

import abc
from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses
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

BACKUP = 'backup'
"""The kind of backups in the ledger."""


class Owner(Protocol):
    """What says which ids may be touched; a ledger is one."""

    def require(self, kind: str, ids: Iterable[str]) -> None:
        """Refuse what may not be touched.

        :raises NotInLedger: naming each such id
        """


@dataclasses.dataclass(frozen=True)
class QuotaChange:
    """How the usage of a project was put right."""

    project_id: str
    resource: str
    before: int
    after: int


@dataclasses.dataclass(frozen=True)
class Loss:
    """What was lost; the counts are None where they are not known."""

    kind: str
    backup_ids: tuple[str, ...]
    metadata_rows: int | None = None
    quota_changes: tuple[QuotaChange, ...] = ()


class BackupRows(abc.ABC):
    """The rows of backups in Cinder's database."""

    @abc.abstractmethod
    def check(self) -> None:
        """Prove that the rows can be reached, before anything is made.

        :raises BackupRecoveryError: saying why not, in one line
        """

    @abc.abstractmethod
    def lose(self, backup_ids: Sequence[str], kind: str = HARD,
             project_id: str | None = None) -> Loss:
        """Lose the rows of backups, all of them or none.

        :param backup_ids: the backups, which the ledger must own and whose
            rows must be live
        :param kind: HARD or SOFT
        :param project_id: the project that they must belong to
        :returns: what was lost
        :raises NotInLedger: a backup is not one of the suite's own
        :raises BackupRecoveryError: nothing was changed
        """

    def lose_if_live(self, backup_id: str, project_id: str) -> None:
        """Lose the row that an import has made, if it has made one.

        :param backup_id: the backup, which the ledger must own
        :param project_id: the project that it must belong to
        :raises BackupRecoveryError: nothing was changed
        """
        if self.exists([backup_id])[backup_id] == LIVE:
            self.lose([backup_id], HARD, project_id=project_id)

    @abc.abstractmethod
    def exists(self, backup_ids: Iterable[str]) -> dict[str, str]:
        """Look which rows are there.

        :param backup_ids: the backups
        :returns: LIVE, SOFT_DELETED or ABSENT by id
        """


def check_request(backup_ids: Iterable[str], kind: str = HARD) -> list[str]:
    """Check what a caller asks for, before anything else is done.

    :param backup_ids: the backups
    :param kind: HARD or SOFT
    :returns: the ids, each once, in their order
    :raises InvalidConfiguration: not a kind, no ids, or not UUIDs
    """
    if kind not in KINDS:
        raise exceptions.InvalidConfiguration(
            f'kind of row loss {kind!r} is not one of {", ".join(KINDS)}')
    if isinstance(backup_ids, str):
        raise exceptions.InvalidConfiguration(
            'backup ids are one string and should be a list')
    ids = list(dict.fromkeys(backup_ids))
    if not ids:
        raise exceptions.InvalidConfiguration('no backup ids were given')
    for one in ids:
        try:
            is_uuid = isinstance(one, str) and str(uuid.UUID(one)) == one
        except ValueError:
            is_uuid = False
        if not is_uuid:
            raise exceptions.InvalidConfiguration(
                f'backup id {one!r} is not a UUID')
    return ids
