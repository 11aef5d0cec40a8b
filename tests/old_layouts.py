# SPDX-License-Identifier: Apache-2.0

"""Backups as older releases of Cinder have stored them.

Each function changes one backup that a driver of today has made, in its row
and on its storage, and Cinder's own driver restores the result bit for bit.
"""

import json
import zlib


def counted_one_more(objects, backup):
    """Count an object more than there are in the row, as until Stein.

    Each chunked driver did (bug 1685731, Cinder 84d2a8b09).

    :param objects: the :class:`backup_stores.objects.ObjectStore`
    :param backup: its row, which is saved
    """
    backup.object_count += 1
    backup.save()


def old_prefix(objects, backup):
    """Name the objects "backup", as in a directory until 2017.

    Every posix, NFS and GlusterFS backup was so named (bug 1628768, Cinder
    535e71797).
    """
    container, prefix = objects.locate(backup)
    for name in objects.list(container, prefix):
        data = objects.read(container, name)
        if name == f'{prefix}_metadata':
            data = data.replace(f'"{prefix}-'.encode(), b'"backup-')
        objects.write(container, name.replace(prefix, 'backup'), data)
        objects.delete(container, name)
    backup.service_metadata = 'backup'
    backup.save()


def without_checksums(objects, backup):
    """Take the object away that only the next incremental backup needs.

    A full backup from before Kilo has none.
    """
    container, prefix = objects.locate(backup)
    objects.delete(container, f'{prefix}_sha256file')


def ceph_own_name(ioctx, rbd, backup):
    """Give the full copy of a snapshot an image of its own name.

    As very old releases did (bug 1895035, Cinder c9330c6b6).

    :param ioctx: the pool of the backups
    :param rbd: the module
    """
    start = f'volume-{backup.volume_id}.backup'
    rbd.RBD().rename(ioctx, f'{start}.base', f'{start}.{backup.id}')
    backup.service_metadata = None
    backup.save()


def ceph_shared_base(ioctx, rbd, backups):
    """Put the snapshots of a chain into the image that all once shared.

    Until Train no row named it (bugs 1810270 and 1790713, Cinder bef908689).

    :param backups: the chain, the full backup first
    """
    start = f'volume-{backups[0].volume_id}.backup'
    rbd.RBD().rename(ioctx, f'{start}.{backups[0].id}', f'{start}.base')
    for backup in backups:
        backup.service_metadata = None
        backup.save()


def always_compressed(objects, backup):
    """Compress also the chunks that do not shrink, as until 2015.

    The zlib object of random data is larger than its extent (bug 1462268,
    Cinder fc5affbe7).
    """
    container, prefix = objects.locate(backup)
    metadata = json.loads(objects.read(container, f'{prefix}_metadata'))
    for entry in metadata['objects']:
        (name, fields), = entry.items()
        if fields['compression'] == 'none':
            fields['compression'] = 'zlib'
            objects.write(container, name, zlib.compress(
                objects.read(container, name)))
    objects.write(container, f'{prefix}_metadata',
                  json.dumps(metadata, sort_keys=True, indent=2).encode())
