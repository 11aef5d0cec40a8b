# SPDX-License-Identifier: Apache-2.0
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
