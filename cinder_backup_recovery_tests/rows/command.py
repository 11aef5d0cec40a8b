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
"""Loss of backup rows by an operator's command."""

from collections.abc import Iterable, Sequence

from cinder_backup_recovery_tests.rows import base


class CommandRows(base.BackupRows):
    """The rows by a program: ssh, kubectl exec, ..."""

    def __init__(self, command: str, ledger: base.Owner,
                 timeout: float = 120, exists_command: str | None = None
                 ) -> None:
        raise NotImplementedError

    def check(self) -> None:
        raise NotImplementedError

    def lose(self, backup_ids: Sequence[str], kind: str = base.HARD,
             project_id: str | None = None) -> base.Loss:
        raise NotImplementedError

    def exists(self, backup_ids: Iterable[str]) -> dict[str, str]:
        raise NotImplementedError
