# SPDX-License-Identifier: Apache-2.0

"""Find a backup in a pool, and nothing that only looks like it."""

import dataclasses

from reference_drivers.ceph import names as naming
from reference_drivers.ceph import pool as pools
from reference_drivers.verification import errors


@dataclasses.dataclass
class Seen:
    """A backup as it was found.

    :ivar meta: its object with metadata, None without one
    """

    place: naming.Place
    size: int
    meta: bytes | None
    snapshots: list[str]


def locate(pool: pools.Pool, names: naming.Names) -> naming.Place:
    """Find a backup, and nothing that only looks like it.

    :raises Missing: image or snapshot
    :raises Extra: more than one snapshot
    """
    if names.base is not None:
        return _locate_snapshot(pool, names, names.base)
    for image in names.copies:
        try:
            with pool.image(image) as opened:
                found = pool.snapshots(opened, image)
            # What is newest in it would be another backup's.
            if any(name.startswith('backup.') for name in found):
                return _locate_snapshot(pool, names, image)
            return naming.Place(names.pool, image, None)
        except errors.Missing as err:
            missing = err
    # Before Cinder wrote down the image's name, until Train, all backups of
    # a volume were in this one (bug 1810270).
    try:
        return _locate_snapshot(pool, names, names.shared)
    except errors.Missing:
        raise missing from None


def _locate_snapshot(pool: pools.Pool, names: naming.Names, image: str
                     ) -> naming.Place:
    with pool.image(image) as opened:
        found = naming.own_snapshots(pool.snapshots(opened, image),
                                     names.backup_id)
    if not found:
        raise errors.Missing(
            f'image {image} has no snapshot backup.{names.backup_id}.snap.*',
            image, names.backup_id)
    if len(found) > 1:
        raise errors.Extra(
            f'image {image} has {len(found)} snapshots of backup '
            f'{names.backup_id}: {", ".join(found)}', image, names.backup_id)
    return naming.Place(names.pool, image, found[0])


def look(pool: pools.Pool, names: naming.Names) -> Seen:
    """Look at the objects of a backup, without its content.

    :raises Problem: what is missing
    """
    place = locate(pool, names)
    with pool.image(place.image, place.snapshot) as image:
        size = pool.size(image, place.image)
        snapshots = pool.snapshots(image, place.image)
    meta = pool.read_meta(names)
    if meta is None and (names.meta_sum or (
            # The image's name does not say which backup's it is; this does.
            place.image == names.shared and place.snapshot is None)):
        raise errors.Missing(f'object {names.meta} is missing', names.meta,
                             names.backup_id)
    if names.meta_sum and names.meta_sum != naming.meta_sum(meta or b''):
        raise errors.WrongContent(
            f'object {names.meta} has changed since export', names.meta,
            names.backup_id)
    return Seen(place, size, meta, snapshots)
