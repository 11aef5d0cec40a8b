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
"""Loss of backup rows by a connection to Cinder's database."""

from collections.abc import Iterable, Sequence

from cinder_backup_recovery_tests.rows import base


class DatabaseRows(base.BackupRows):
    """The rows by SQLAlchemy: SQLite, MariaDB/MySQL and PostgreSQL."""

    def __init__(self, url: str, ledger: base.Owner) -> None:
        raise NotImplementedError

    def check(self) -> None:
        raise NotImplementedError

    def lose(self, backup_ids: Sequence[str], kind: str = base.HARD,
             project_id: str | None = None) -> base.Loss:
        raise NotImplementedError

    def exists(self, backup_ids: Iterable[str]) -> dict[str, str]:
        raise NotImplementedError

    def purge(self, backup_ids: Sequence[str]) -> int:
        """Remove soft-deleted rows that were left over; how many."""
        raise NotImplementedError
