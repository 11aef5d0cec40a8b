# SPDX-License-Identifier: Apache-2.0

"""Names of a backup's image and snapshot in Ceph, and their rules."""

import base64
import dataclasses
import hashlib
import json
import re
from typing import Any

from reference_drivers.verification import errors

PARTS = 8
PART_LENGTH = 13
_LETTERS = '[0-9A-Za-z_-]'
DIGEST = re.compile(r'(sha256:[0-9a-f]{64}|parts:'
                    rf'{_LETTERS}{{{PARTS * PART_LENGTH}}})\Z')
"""A digest of a content, of either form; see :mod:`.digest`."""

_META = re.compile(rf'{_LETTERS}{{12}}\Z')

#: An id, as a part of a pattern.
ID = r'[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}'

SNAPSHOT = re.compile(rf'backup\.({ID})\.snap\.')
"""The start of the name of a backup's snapshot."""


@dataclasses.dataclass
class Place:
    """Where a backup is.

    :param snapshot: name, None where the image itself is the backup
    """

    pool: str
    image: str
    snapshot: str | None

    @property
    def url(self) -> str:
        """The place in the form that people, and the program rbd, read."""
        at = f'@{self.snapshot}' if self.snapshot else ''
        return f'rbd:{self.pool}/{self.image}{at}'


@dataclasses.dataclass
class Names:
    """Names of a backup on the storage, from its row or its record.

    :ivar base: the image that has a snapshot for this backup, None if the
        backup is a full copy, or so old that its row names no image
    :ivar digest: of the content, where it is known
    :ivar meta_sum: of the object with metadata, where it is known
    :ivar copied: the image of a full copy, where the row names it
    """

    backup_id: str
    volume_id: str
    pool: str
    base: str | None
    of_snapshot: bool
    digest: str | None = None
    meta_sum: str | None = None
    copied: str | None = None

    @property
    def own(self) -> str:
        """The image that this backup made, if it made one."""
        return f'volume-{self.volume_id}.backup.{self.backup_id}'

    @property
    def shared(self) -> str:
        """The image that backups of snapshots and old backups share."""
        return f'volume-{self.volume_id}.backup.base'

    @property
    def copies(self) -> tuple[str, ...]:
        """The names that a full copy may have, the surest one first.

        That of a snapshot has the shared one, but had its own once (bug
        1895035).
        """
        if self.copied:
            return (self.copied,)
        return (self.own, self.shared) if self.of_snapshot else (self.own,)

    @property
    def copy(self) -> str:
        """The image of a full copy, as Cinder's driver names it now."""
        return self.copies[-1]

    @property
    def meta(self) -> str:
        """The object with the volume's metadata."""
        return f'backup.{self.backup_id}.meta'

    def check(self) -> None:
        """Check that these can be this backup's.

        :raises BadLocation: naming pool or image
        """
        if not isinstance(self.pool, str) or not self.pool:
            raise errors.BadLocation(f'container {str(self.pool)[:60]!r} is '
                                     'not a pool', 'container',
                                     self.backup_id)
        if self.base is not None and not re.match(
                rf'volume-{re.escape(self.volume_id)}\.backup\.'
                rf'(base|{ID})\Z', self.base):
            raise errors.BadLocation(
                f'image {self.base[:120]!r} is not a backup of volume '
                f'{self.volume_id}', self.base, self.backup_id)


@dataclasses.dataclass
class Kept:
    """The JSON that ``service_metadata`` of a row keeps.

    Cinder's driver writes and reads only ``base``, and nothing for a full
    copy. What is added here means the same to it.

    :ivar digest: of the content, where it is known
    :ivar meta: sum of the object with metadata, where it is known
    :ivar copy: the image is a copy for this backup alone, without snapshot
    """

    base: str
    digest: str | None = None
    meta: str | None = None
    copy: bool = False

    def dump(self) -> str:
        """As it is written: it fits into the 255 characters of the row."""
        values: dict[str, Any] = {'base': self.base}
        if self.digest:
            values['digest'] = self.digest
        if self.meta:
            values['meta'] = self.meta
        if self.copy:
            values['copy'] = True
        return json.dumps(values, separators=(',', ':'))


def kept(service_metadata: Any, backup_id: str) -> Kept | None:
    """Parse a row's service_metadata; None if it is empty.

    :raises BadLocation: it is not what a driver for Ceph writes
    """
    if service_metadata is None:
        return None
    try:
        values = json.loads(service_metadata)
        found = Kept(values['base'], values.get('digest'),
                     values.get('meta'), values.get('copy', False))
    except (AttributeError, KeyError, TypeError, ValueError):
        found = None
    if found is None or not isinstance(found.base, str):
        raise errors.BadLocation(
            f'service_metadata {str(service_metadata)[:100]!r} names no '
            'image', 'service_metadata', backup_id)
    if not isinstance(found.copy, bool) or any(
            value is not None and
            not (isinstance(value, str) and form.match(value))
            for value, form in ((found.digest, DIGEST),
                                (found.meta, _META))):
        raise errors.BadLocation(
            f'service_metadata {str(service_metadata)[:150]!r} has a '
            'malformed digest', 'service_metadata', backup_id)
    return found


def names_of(values: Any, backup_id: str) -> Names:
    """Names by a row, or by a record's fields.

    :raises BadLocation: it cannot be a backup's
    """
    row = kept(values.get('service_metadata'), backup_id)
    names = Names(backup_id, str(values.get('volume_id')),
                  values.get('container'), None,
                  values.get('snapshot_id') is not None,
                  row.digest if row else None, row.meta if row else None)
    if row and row.copy:
        if row.base not in names.copies:
            raise errors.BadLocation(
                f'image {row.base[:120]!r} is not the copy of backup '
                f'{backup_id}', row.base, backup_id)
        names.copied = row.base
    elif row:
        names.base = row.base
    names.check()
    return names


def meta_sum(data: bytes) -> str:
    """The sum of an object with metadata, short enough for a row."""
    return base64.urlsafe_b64encode(
        hashlib.sha256(data).digest()).decode()[:12]


def own_snapshots(found: list[str], backup_id: str) -> list[str]:
    """Those of some snapshots that are a backup's own."""
    start = f'backup.{backup_id}.snap.'
    return [name for name in found if name.startswith(start)]
