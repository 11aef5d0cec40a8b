# SPDX-License-Identifier: Apache-2.0

"""Incremental backups, which a delete of their parent would ruin."""

from collections.abc import Iterable
import itertools
from typing import Any

from cinder import objects
from cinder.objects import fields

from reference_drivers.verification import errors
from reference_drivers.verification import layout
from reference_drivers.verification import presence
from reference_drivers.verification import running
from reference_drivers.verification import store as stores


def rows_of_volume(context: Any, backup: Any) -> list[Any]:
    """The rows of all backups of a backup's volume, of any project."""
    return list(objects.BackupList.get_all(
        context.elevated() if context else None,
        filters={'volume_id': backup.volume_id}))


def refuse_in_rows(rows: Iterable[Any], backup: Any) -> None:
    """Refuse to delete what a row names as its parent.

    Cinder's API does so, and looks into the project of the request only.

    :raises Needed: naming the child
    """
    for row in rows:
        # One that failed has nothing, or is found on the storage.
        if (row.parent_id == backup.id and
                row.status != fields.BackupStatus.ERROR):
            raise errors.Needed(
                f'backup {row.id} is incremental to it; delete that first',
                row.id, backup.id)


def refuse_in_store(watch: running.Watch, store: stores.Store,
                    backup_id: str, volume_id: str, named: set[str]
                    ) -> None:
    """Refuse to delete what a backup on the storage names as its parent.

    :param watch: told when the store is asked and when it has answered
    :param named: containers to look into, beside those that are listed
    :raises Needed: naming the child, which may have no row
    """
    seen = set()
    for container in itertools.chain(named,
                                     watch.answers(store.containers)):
        if container in seen:
            continue
        seen.add(container)
        try:
            store.check_container(container)
            prefixes = list(watch.answers(store.siblings, container,
                                          volume_id))
        except errors.BadLocation:
            # Of a wrong row; no backup can be there.
            continue
        except errors.Problem:
            raise
        except Exception as err:
            if store.is_missing(err):
                continue
            raise errors.Unreadable(
                f'container {container} cannot be listed: {err}',
                container, backup_id) from err
        for prefix in prefixes:
            name = f'{prefix}_metadata'
            try:
                with watch.asked():
                    raw = store.read(container, name)
            except errors.Problem:
                raise
            except Exception as err:
                if store.is_missing(err):
                    continue
                raise presence.read_error(store, err, name,
                                          backup_id) from err
            child, parent = layout.kinship(raw)
            if parent == backup_id and child != backup_id:
                raise errors.Needed(
                    f'backup {child}, whose object {name} is in '
                    f'{container}, is incremental to it; delete that '
                    f'first, and import it before if it has no row',
                    child, backup_id)
