# SPDX-License-Identifier: Apache-2.0
"""Loss of rows for a while: the ledger keeps them until they are restored.

For volumes and snapshots. Delete those of a snapshot before those of its
volume, and restore them after it.
"""

from collections.abc import Iterator
import contextlib
import uuid

from cinder_backup_recovery_tests.cloud import ledger as resource_ledger
from cinder_backup_recovery_tests.rows import base

KIND = 'source-rows'
"""The kind of the ledger's changes that :func:`restore` undoes."""


@contextlib.contextmanager
def lost(rows: base.Rows, ledger: resource_ledger.Ledger, what: str,
         resource_id: str, kind: str, project_id: str) -> Iterator[None]:
    """Delete the rows of a resource, and restore them after the context.

    They are in the ledger before they are deleted.

    :param kind: HARD or SOFT
    :param project_id: the project that the resource belongs to
    """
    ledger.require(what, [resource_id])
    saved = rows.save(what, [resource_id])
    key = f'{what} {resource_id} {uuid.uuid4().hex[:8]}'
    ledger.note(KIND, key,
                {'what': what, 'id': resource_id, 'rows': saved}, kind)
    try:
        rows.lose(what, [resource_id], kind, project_id, saved)
        yield
    finally:
        for change in ledger.changes(KIND):
            if change.key == key:
                restore(rows, ledger, change)


def restore(rows: base.Rows, ledger: resource_ledger.Ledger,
            change: resource_ledger.Change) -> None:
    """Undo a loss, also one that a kill has prevented.

    :param change: one of the ledger's, of :data:`KIND`
    """
    what, resource_id = change.before['what'], change.before['id']
    rows.restore(what, [resource_id], change.before['rows'])
    # While it had no row, a clean-up may have taken it for removed.
    if not any(entry.resource_id == resource_id
               for entry in ledger.entries(what)):
        ledger.add(what, resource_id)
    ledger.restored(change.kind, change.key)
