# SPDX-License-Identifier: Apache-2.0

"""The driver's own part of a record of a backup in Ceph."""

import base64
import hashlib
import json
from typing import Any

from reference_drivers import driver_info as driver_infos
from reference_drivers.ceph import finding
from reference_drivers.ceph import names as naming
from reference_drivers.verification import errors

VERSION = 2
"""In version 1 a digest is one SHA-256 over all blocks."""

_FIELDS = {'version': int, 'driver': str, 'location': str, 'backup_id': str,
           'volume_id': str, 'container': str, 'image': str, 'size': int,
           'image_size': int}
_OPTIONAL = {'base': str, 'snapshot': str, 'parent_id': str,
             'snapshot_id': str, 'meta': str, 'digest': str, 'parents': list,
             'encryption': dict}


def check(info: Any, backup_id: str) -> naming.Names:
    """Check that a driver_info agrees with itself (level ``record``).

    :returns: where it says that the backup is
    :raises Problem: naming the field
    """
    wrong = driver_infos.check_form(info, backup_id, _FIELDS, _OPTIONAL,
                                    (1, VERSION))
    if info['driver'] != 'ceph':
        raise wrong('driver', f'{info["driver"][:40]!r} is not "ceph"')
    if info['image_size'] < 1:
        raise wrong('image_size', f'{info["image_size"]} is not a size')
    forms = {'meta': driver_infos.DIGEST,
             'digest': (driver_infos.DIGEST if info['version'] == 1 else
                        naming.DIGEST)}
    for field, form in forms.items():
        value = info.get(field)
        if value is not None and not form.match(value):
            raise wrong(field, 'is not a SHA-256 digest')
    if not all(isinstance(one, str) and driver_infos.UUID.match(one)
               for one in info.get('parents') or []):
        raise wrong('parents', 'has an entry that is not an id')
    snapshot = info.get('snapshot')
    names = naming.Names(backup_id, info['volume_id'], info['container'],
                         info['image'] if snapshot else None,
                         info.get('snapshot_id') is not None,
                         info.get('digest'), _short(info.get('meta')))
    names.check()
    if snapshot and not naming.own_snapshots([snapshot], backup_id):
        raise wrong('snapshot', f'{snapshot[:100]!r} is not one of '
                    f'backup {backup_id}')
    if info.get('base') not in (None, info['image']):
        raise wrong('base', f'{info["base"][:120]!r} is not the image')
    if not snapshot:
        if info['image'] not in names.copies:
            raise wrong('image', f'{info["image"][:120]!r} is not one of '
                        f'backup {backup_id}')
        names.copied = info['image']
    return names


def _short(meta: str | None) -> str | None:
    """The sum of the object with metadata as a row has it."""
    if meta is None:
        return None
    whole = bytes.fromhex(meta.removeprefix('sha256:'))
    return base64.urlsafe_b64encode(whole).decode()[:12]


def make(backup: Any, names: naming.Names, seen: finding.Seen,
         digest: str | None, parents: list[str],
         encryption: dict[str, Any] | None = None) -> dict[str, Any]:
    """Describe a backup that was looked at.

    :param parents: as many of them as there are; as many are kept as have
        room
    :param encryption: a description of its key, None without one
    """
    info = {
        'version': VERSION,
        'driver': 'ceph',
        'location': seen.place.url,
        'backup_id': backup.id,
        'volume_id': backup.volume_id,
        'parent_id': backup.parent_id,
        'snapshot_id': backup.snapshot_id,
        'container': names.pool,
        'image': seen.place.image,
        'base': names.base,
        'snapshot': seen.place.snapshot,
        'size': backup.size,
        'image_size': seen.size,
        'meta': (None if seen.meta is None else
                 f'sha256:{hashlib.sha256(seen.meta).hexdigest()}'),
        'digest': digest,
        'parents': list(parents),
    }
    if encryption is not None:
        info['encryption'] = encryption
    room = driver_infos.room(encryption)
    while len(json.dumps(info)) > room and info['parents']:
        info['parents'].pop()
    return driver_infos.limited(info)


def place(info: dict[str, Any]) -> naming.Place:
    """Where a driver_info says that the backup is."""
    return naming.Place(info['container'], info['image'],
                        info.get('snapshot'))


def compare(info: dict[str, Any], names: naming.Names, seen: finding.Seen
            ) -> None:
    """Compare the storage with the export.

    :raises Problem: naming what differs
    """
    if seen.place.snapshot != info.get('snapshot'):
        raise errors.WrongRecord(
            f'image {seen.place.image} has snapshot {seen.place.snapshot} '
            f'and not {info.get("snapshot")}', 'snapshot', names.backup_id)
    if seen.size != info['image_size']:
        raise errors.WrongLength(
            f'image {seen.place.image} has {seen.size} bytes and not '
            f'image_size {info["image_size"]}', seen.place.image,
            names.backup_id)
    if not seen.place.snapshot:
        return
    for parent in info.get('parents') or []:
        if not naming.own_snapshots(seen.snapshots, parent):
            raise errors.BrokenChain(
                f'image {seen.place.image} has no snapshot of parent '
                f'{parent} any more', seen.place.image, names.backup_id)
