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
"""Rows of backups, volumes and snapshots, by a connection or by a command."""

from typing import Any

from cinder_backup_recovery_tests.rows import base


def make(settings: Any, ledger: base.Owner) -> base.Rows:
    """Make the access to rows that is configured.

    :param settings: the options of ``[cinder_backup_recovery]``
    """
    # Only one of them is needed, and SQLAlchemy takes long to import.
    if settings.row_command:
        from cinder_backup_recovery_tests.rows import command
        return command.CommandRows(settings.row_command, ledger,
                                   settings.row_command_timeout)
    if settings.database_connection:
        from cinder_backup_recovery_tests.rows import database
        return database.DatabaseRows(settings.database_connection, ledger)
    from cinder_backup_recovery_tests import deprecated
    return deprecated.Rows(settings, ledger)
