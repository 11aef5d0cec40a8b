# SPDX-License-Identifier: Apache-2.0

"""Backups as older releases of Cinder have stored them.

Each function changes one backup that a driver of today has made, in its row
and on its storage, and Cinder's own driver restores the result bit for bit.
The forms were read from the history of Cinder's drivers; a commit is the one
that ended the form, but for the last two.

================================ ================ ========= ==================
form                             releases         commit    here
================================ ================ ========= ==================
no ``_sha256file``, no parent_id Grizzly - Juno   e7f592df7 before_incremental
no volume_meta                   Grizzly, Havana  41f6af9ff before_incremental
each chunk compressed, MD5 of    Grizzly - Kilo   fc5affbe7 always_compressed
the stored bytes
objects named "backup"           Kilo - Ocata     535e71797 old_prefix
object_count one too high        Grizzly - Rocky  84d2a8b09 counted_one_more
JSON of Python 2                 Grizzly - Train            with each of these
Ceph: no object with metadata    Havana           432a47cbc ceph_without_
                                                            metadata
Ceph: one base image, not named  Havana - Stein   5018727f8 ceph_shared_base
in rows
Ceph: the copy of a snapshot has Havana -         f04d905a6 ceph_own_name
its own name                     Victoria
zstd                             since Victoria   aeb94ecec the contract
Ceph: a full copy                since Havana     e96b3e5ff the contract
================================ ================ ========= ==================
"""

import hashlib
import json
import zlib


def _edit(objects, backup, edit):
    """Write the metadata anew as Python 2 did: a blank after each comma.

    :param edit: is called with the value
    """
    container, prefix = objects.locate(backup)
    for end in '_metadata', '_sha256file':
        data = objects.read(container, prefix + end)
        if data is not None:
            value = json.loads(data)
            if end == '_metadata':
                edit(value)
            objects.write(container, prefix + end, json.dumps(
                value, sort_keys=True, indent=2, separators=(', ', ': ')
                ).encode())


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
    def edit(value):
        value['objects'] = [
            {name.replace(prefix, 'backup'): fields}
            for entry in value['objects'] for name, fields in entry.items()]

    container, prefix = objects.locate(backup)
    _edit(objects, backup, edit)
    for name in objects.list(container, prefix):
        objects.write(container, name.replace(prefix, 'backup'),
                      objects.read(container, name))
        objects.delete(container, name)
    backup.service_metadata = 'backup'
    counted_one_more(objects, backup)


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


def ceph_without_metadata(ioctx, backups):
    """Remove the objects with the metadata of the volume.

    Havana made none (Cinder 432a47cbc).

    :param ioctx: the pool of the backups
    """
    for backup in backups:
        ioctx.remove_object(f'backup.{backup.id}.meta')


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
    """Compress also the chunks that do not shrink, as until Kilo.

    The zlib object of random data is larger than its extent (bug 1462268,
    Cinder fc5affbe7). The MD5 is that of the stored bytes, for the same
    change made it that of the extent.
    """
    def edit(value):
        for entry in value['objects']:
            (name, fields), = entry.items()
            data = objects.read(container, name)
            if fields['compression'] == 'none':
                fields['compression'] = 'zlib'
                data = zlib.compress(data)
                objects.write(container, name, data)
            fields['md5'] = hashlib.md5(data).hexdigest()

    container, _ = objects.locate(backup)
    _edit(objects, backup, edit)
    counted_one_more(objects, backup)


def before_incremental(objects, backup):
    """Store a full backup as the Swift driver did from Grizzly to Juno.

    Nothing is for incremental backups yet (Cinder e7f592df7), and until
    Havana there is no metadata of the volume (Cinder 41f6af9ff).
    """
    def edit(value):
        del value['parent_id'], value['volume_meta']

    always_compressed(objects, backup)
    without_checksums(objects, backup)
    _edit(objects, backup, edit)
