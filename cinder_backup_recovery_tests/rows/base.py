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
from collections.abc import Iterable, Sequence
import dataclasses
from typing import Protocol

HARD = 'hard'
SOFT = 'soft'
LIVE = 'live'
SOFT_DELETED = 'soft-deleted'
ABSENT = 'absent'


class Owner(Protocol):
    """What says which ids may be touched; a ledger is one."""

    def require(self, kind: str, ids: Iterable[str]) -> None:
        """:raises NotInLedger: naming each id that may not be touched"""


@dataclasses.dataclass(frozen=True)
class QuotaChange:
    """How the usage of a project was put right."""

    project_id: str
    resource: str
    before: int
    after: int


@dataclasses.dataclass(frozen=True)
class Loss:
    """What was removed."""

    kind: str
    backup_ids: tuple[str, ...]
    metadata_rows: int | None = None
    quota_changes: tuple[QuotaChange, ...] = ()


class BackupRows(abc.ABC):
    """The rows of backups in Cinder's database."""

    @abc.abstractmethod
    def check(self) -> None:
        """Prove that the rows can be reached, before anything is made."""

    @abc.abstractmethod
    def lose(self, backup_ids: Sequence[str], kind: str = HARD,
             project_id: str | None = None) -> Loss:
        """Lose the rows of the backups, all of them or none."""

    @abc.abstractmethod
    def exists(self, backup_ids: Iterable[str]) -> dict[str, str]:
        """State of each row: live, soft-deleted or absent."""
