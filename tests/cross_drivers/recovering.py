# SPDX-License-Identifier: Apache-2.0

"""One driver's backups, lost and recovered by another driver."""

import os
import uuid

from reference_drivers.contract import base
from reference_drivers.contract import environment
from tests.cross_drivers import cases
from tests.functional import zeros_cases

#: Defects of Cinder for which a difference is excused where they are known,
#: by the names that known_defects.yaml has for them: only there, and only in
#: what :func:`_excuse` describes.
EXCUSED = ('zeros-of-incremental',)

_FIELDS = ('volume_id', 'parent_id', 'snapshot_id', 'container',
           'service_metadata', 'size', 'object_count')


class Difference(Exception):
    """The recovered content is not the one that was backed up."""


class Environment(environment.Environment):
    """Changes between the two drivers, which have one storage."""

    def __init__(self):
        # Its options are those of both.
        super().__init__(cases.REFERENCE, {
            'backup_enable_progress_timer': False,
            'backup_import_verify__without_driver_info': 'accept'})

    def use(self, driver, block=32768, chunk=4, compression='none'):
        """Go on as after a change of backup_driver in cinder.conf."""
        if driver != self.manager.driver_name:
            self.configure(backup_driver=driver)
        self.configure(backup_sha_block_size_bytes=block,
                       backup_file_size=block * chunk,
                       backup_compression_algorithm=compression)

    def stored(self):
        """The paths of all files on the storage."""
        root = os.path.join(self.directory, 'backup')
        return {os.path.join(path, name)
                for path, _, names in os.walk(root) for name in names}


def _excuse(case, number, wanted, restored):
    """The defect that a difference is known for, or None.

    Cinder's driver leaves data of a parent in a new volume where the
    incremental backup has zeros.
    """
    name, = EXCUSED
    backup = case.backups[number]
    if (name in zeros_cases.KNOWN and case.restorer == cases.CINDER and
            number and backup.past is None and
            len(wanted) == len(restored) and
            all(one in (0, other) for one, other in zip(
                wanted, restored, strict=True))):
        return name
    return None


def recover(case: cases.Case) -> list[str]:
    """Make the backups of a case, lose their rows, recover and delete them.

    :returns: the names of defects of Cinder that were met
    :raises Difference: a byte, a row or an object is not as it has to be
    """
    with Environment() as cinder:
        contents = case.contents()
        made = _made(cinder, case, contents)
        _imported(cinder, case, made)
        met = []
        for number, backup in enumerate(made):
            excuse = _restored(cinder, case, number, backup.id,
                               contents[number])
            met += [excuse] if excuse else []
        for backup in reversed(made):
            cinder.delete(backup.id)
            left = [path for path in cinder.stored() if backup.id in path]
            if left:
                raise Difference(f'a deletion leaves {sorted(left)}')
        if cinder.stored():
            raise Difference(f'left are {sorted(cinder.stored())}')
        return met


def _made(cinder, case, contents):
    volume = cinder.create_volume()
    made = []
    for backup, content in zip(case.backups, contents, strict=True):
        cinder.use(backup.driver, case.block, backup.chunk,
                   backup.compression)
        cinder.write_volume(volume.id, content)
        made.append(cinder.create_backup(
            volume, made[-1] if made else None,
            str(uuid.uuid4()) if backup.snapshot else None))
    return made


def _imported(cinder, case, made):
    """Lose all rows, and import the records with the other driver."""
    records = []
    for backup, row in zip(case.backups, made, strict=True):
        cinder.use(backup.driver)
        records.append(cinder.export(row))
    for backup, row in zip(case.backups, made, strict=True):
        cinder.lose_row(row.id, backup.soft)
    # Its own options for new backups must not matter to it.
    cinder.use(case.restorer)
    for backup, row, record in zip(case.backups, made, records, strict=True):
        cinder.configure(backup_import_verify__level=backup.level)
        imported = cinder.import_record(
            {**record, 'backup_service': case.restorer})
        for field, wanted in {'status': 'available', **{
                field: getattr(row, field) for field in _FIELDS}}.items():
            if getattr(imported, field) != wanted:
                raise Difference(
                    f'the import makes {field} of backup {row.id} '
                    f'{getattr(imported, field)} instead of {wanted}')


def _restored(cinder, case, number, backup_id, content):
    past = case.backups[number].past
    target = old = None
    if past is not None:
        old = base.noise(len(content) + past, number)
        target = cinder.create_volume(old)
        content += old[len(content):]
    restored = cinder.restore(backup_id, target)
    if target is None:
        # The file of a new volume ends where its zeros begin.
        restored = restored.ljust(len(content), b'\0')
    if restored == content:
        return None
    excuse = _excuse(case, number, content, restored)
    if excuse is None:
        first = next((at for at, (one, other) in enumerate(
            zip(content, restored, strict=False)) if one != other),
            min(len(content), len(restored)))
        raise Difference(
            f'backup {number} of the chain, restored by {case.restorer}, '
            f'differs from byte {first} on ({len(restored)} bytes, '
            f'{len(content)} were backed up)')
    return excuse
