# SPDX-License-Identifier: Apache-2.0

"""Delete what is a backup's own, and nothing else."""

from collections.abc import Collection
import contextlib
import time
from typing import Any

from oslo_log import log as logging

from reference_drivers import children
from reference_drivers.ceph import names as naming
from reference_drivers.ceph import pool as pools
from reference_drivers.verification import errors
from reference_drivers.verification import running

LOG = logging.getLogger(__name__)

_RETRIES = 3
_DELAY = 5


def images(backup: Any, names: naming.Names) -> list[str]:
    """Where something of a backup can be, also of one that failed."""
    found = [names.own, names.shared]
    if names.base:
        found.append(names.base)
    elif backup.parent_id and backup.parent:
        parent = naming.names_of(backup.parent, backup.parent.id)
        if parent.base and parent.volume_id == names.volume_id:
            found.append(parent.base)
    return list(dict.fromkeys(found))


def has_own_copy(pool: pools.Pool, names: naming.Names) -> bool:
    """Check whether the backup of a snapshot has an image of its own name."""
    if not names.of_snapshot or names.base:
        return False
    try:
        with pool.image(names.own):
            return True
    except errors.Missing:
        return False


def refuse_parent(pool: pools.Pool, names: naming.Names, image: str,
                  backup: Any, rows: Collection[Any]) -> None:
    """Refuse to delete a snapshot that another backup was made on.

    The image tells which backups are in it, and not which of them was made
    on which; where there is a row, that does.

    :param rows: of all backups of the volume
    :raises Needed: naming a child, or the first later one without a row
    """
    with pool.image(image) as opened:
        found = pool.snapshots(opened, image)
    own = naming.own_snapshots(found, names.backup_id)
    if not own:
        return
    children.refuse_in_rows(rows, backup)
    known = {row.id for row in rows}
    for one in found[found.index(own[0]) + 1:]:
        other = naming.SNAPSHOT.match(one)
        if other and other[1] not in known and one not in own:
            raise errors.Needed(
                f'backup {other[1]}, whose snapshot is in image {image}, may '
                f'be incremental to it and has no row that would tell; '
                f'import it first', other[1], names.backup_id)


def delete_meta(pool: pools.Pool, names: naming.Names) -> None:
    """Delete the object with the volume's metadata, if it exists."""
    with contextlib.suppress(errors.Missing):
        pool.call(f'object {names.meta}', pool.ioctx.remove_object,
                  names.meta)


def delete_from(pool: pools.Pool, names: naming.Names, name: str) -> None:
    """Delete a backup's snapshot, and the image that is its own."""
    # To open it for more leaves a trace on an image that may be another's.
    with pool.image(name) as image:
        found = pool.snapshots(image, name)
    own = naming.own_snapshots(found, names.backup_id)
    if own:
        with pool.image(name, read_only=False) as image:
            for one in own:
                pool.call(f'snapshot {one}', image.remove_snap, one)
    rest = len(found) - len(own)
    # Who is left in it, or whose it is, decides about the image.
    mine = bool(own) or name == names.own or (
        name == names.shared and names.of_snapshot and
        not names.base and pool.read_meta(names) is not None)
    if rest or not mine:
        LOG.info('Image %(name)s stays: it is not only of backup '
                 '%(id)s.', {'name': name, 'id': names.backup_id})
        return
    for left in reversed(range(_RETRIES + 1)):
        try:
            # Its time grows with its data.
            running.native(pool.rbd.RBD().remove, pool.ioctx, name)
            return
        except pool.rbd.ImageNotFound:
            return
        except pool.rbd.ImageBusy:
            if not left:
                raise
            time.sleep(_DELAY)
