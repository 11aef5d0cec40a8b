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
"""Rows of what backups were made of: volumes and snapshots.

Other than those of backups, they are put back as they were. No request
reaches what a volume without a row has left on its storage, so that it could
never be removed.

A snapshot is lost before its volume, and put back after it.
"""

import abc
from collections.abc import Iterator
import contextlib
from typing import Any
import uuid

from cinder_backup_recovery_tests import clients
from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import ledger as resource_ledger
from cinder_backup_recovery_tests.rows import base

VOLUME = clients.VOLUME
SNAPSHOT = clients.SNAPSHOT
SOURCES = (VOLUME, SNAPSHOT)

KIND = 'source-rows'
"""The kind of the ledger's changes that :func:`put_back` undoes."""

Saved = dict[str, list[dict[str, Any]]]
"""Rows by table, as JSON has them; the volume's or snapshot's own first."""


class SourceRows(abc.ABC):
    """The rows of volumes and snapshots in Cinder's database."""

    @abc.abstractmethod
    def check(self) -> None:
        """Prove that the rows can be reached, before anything is made.

        :raises BackupRecoveryError: saying why not, in one line
        """

    @abc.abstractmethod
    def save(self, what: str, resource_id: str) -> Saved:
        """Read all rows of a volume or snapshot.

        :param what: VOLUME or SNAPSHOT
        :param resource_id: which one; any may be asked for
        :raises RowsMismatch: it has no live row
        """

    @abc.abstractmethod
    def lose(self, what: str, resource_id: str, kind: str, saved: Saved,
             project_id: str | None = None) -> None:
        """Lose all rows of a volume or snapshot, or none.

        The usage of quota stays: what was lost comes back.

        :param what: VOLUME or SNAPSHOT
        :param resource_id: which one; the ledger must own it
        :param kind: HARD or SOFT, see :mod:`.base`
        :param saved: what :meth:`save` returned, and is still there
        :param project_id: the project that it must belong to
        :raises NotInLedger: it is not one of the suite's own
        :raises BackupRecoveryError: nothing was changed
        """

    @abc.abstractmethod
    def put_back(self, what: str, resource_id: str, saved: Saved) -> None:
        """Give a volume or snapshot its rows back; again does nothing.

        :param what: VOLUME or SNAPSHOT
        :param resource_id: which one; the ledger must own it
        :param saved: what :meth:`save` returned
        :raises NotInLedger: it is not one of the suite's own
        :raises BackupRecoveryError: nothing was changed
        """

    @abc.abstractmethod
    def state(self, what: str, resource_id: str) -> str:
        """Look whether the row of a volume or snapshot is there.

        :param what: VOLUME or SNAPSHOT
        :param resource_id: which one; any may be asked for
        :returns: LIVE, SOFT_DELETED or ABSENT, see :mod:`.base`
        """


def check_request(what: str, resource_id: str,
                  kind: str = base.HARD) -> None:
    """Check what a caller asks for, before anything else is done.

    :param what: VOLUME or SNAPSHOT
    :param resource_id: which one
    :param kind: HARD or SOFT
    :raises InvalidConfiguration: it makes no sense
    """
    if what not in SOURCES:
        raise exceptions.InvalidConfiguration(
            f'{what!r} is not one of {", ".join(SOURCES)}')
    base.check_request([resource_id], kind)


def make(conf: Any, ledger: base.Owner) -> SourceRows:
    """Make what reaches these rows, as for those of backups.

    :param conf: Tempest's configuration
    :param ledger: what may be touched
    """
    group = conf.cinder_backup_recovery
    if group.source_row_command:
        from cinder_backup_recovery_tests.rows import source_command
        return source_command.CommandSources(
            group.source_row_command, ledger, group.row_removal_timeout)
    from cinder_backup_recovery_tests.rows import source_database
    return source_database.DatabaseSources(group.database_connection, ledger)


@contextlib.contextmanager
def lost(rows: SourceRows, ledger: resource_ledger.Ledger, what: str,
         resource_id: str, kind: str, project_id: str) -> Iterator[None]:
    """Lose the rows of a volume or snapshot for a while.

    They are in the ledger before they are lost, and put back whatever
    happens in between.

    :param rows: where they are
    :param ledger: what may be touched, and where they are kept
    :param what: VOLUME or SNAPSHOT
    :param resource_id: which one
    :param kind: HARD or SOFT
    :param project_id: the project that it belongs to
    :returns: a context in which they are lost
    """
    ledger.require(what, [resource_id])
    saved = rows.save(what, resource_id)
    key = f'{what} {resource_id} {uuid.uuid4().hex[:8]}'
    ledger.note(KIND, key,
                {'what': what, 'id': resource_id, 'rows': saved}, kind)
    try:
        rows.lose(what, resource_id, kind, saved, project_id)
        yield
    finally:
        for change in ledger.changes(KIND):
            if change.key == key:
                put_back(rows, ledger, change)


def put_back(rows: SourceRows, ledger: resource_ledger.Ledger,
             change: resource_ledger.Change) -> None:
    """Undo a loss, also one that a kill has prevented.

    :param rows: where the rows were
    :param ledger: what says what they were
    :param change: one of the ledger's, of :data:`KIND`
    """
    what, resource_id = change.before['what'], change.before['id']
    rows.put_back(what, resource_id, change.before['rows'])
    # While it had no row, a clean-up may have taken it for removed.
    if not any(entry.resource_id == resource_id
               for entry in ledger.entries(what)):
        ledger.add(what, resource_id)
    ledger.restored(change.kind, change.key)
