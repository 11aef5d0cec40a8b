# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""What a backup in Ceph is called, and what cannot be one's name."""

import dataclasses
import json
import re
from typing import Any

from reference_drivers.verification import errors

_ID = r'[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}'


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
        """What a person, and the program rbd, can read."""
        at = f'@{self.snapshot}' if self.snapshot else ''
        return f'rbd:{self.pool}/{self.image}{at}'


@dataclasses.dataclass
class Names:
    """What names a backup on the storage: its row, or its record."""

    backup_id: str
    volume_id: str
    pool: str
    base: str | None
    of_snapshot: bool

    @property
    def own(self) -> str:
        """The image that this backup made, if it made one."""
        return f'volume-{self.volume_id}.backup.{self.backup_id}'

    @property
    def shared(self) -> str:
        """The image that backups of snapshots and old backups share."""
        return f'volume-{self.volume_id}.backup.base'

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
                rf'(base|{_ID})\Z', self.base):
            raise errors.BadLocation(
                f'image {self.base[:120]!r} is not a backup of volume '
                f'{self.volume_id}', self.base, self.backup_id)


def base_of(service_metadata: Any, backup_id: str) -> str | None:
    """The base image that a row names, None if it names none.

    :raises BadLocation: it is not what Cinder's driver writes
    """
    if service_metadata is None:
        return None
    try:
        base = json.loads(service_metadata)['base']
    except (KeyError, TypeError, ValueError):
        base = None
    if not isinstance(base, str):
        raise errors.BadLocation(
            f'service_metadata {str(service_metadata)[:100]!r} names no '
            'image', 'service_metadata', backup_id)
    return base


def names_of(values: Any, backup_id: str) -> Names:
    """What a row, or a record's fields, say.

    :param values: with ``get``
    :raises BadLocation: it cannot be a backup's
    """
    names = Names(backup_id, str(values.get('volume_id')),
                  values.get('container'),
                  base_of(values.get('service_metadata'), backup_id),
                  values.get('snapshot_id') is not None)
    names.check()
    return names


def own_snapshots(found: list[str], backup_id: str) -> list[str]:
    """Those of some snapshots that are a backup's own."""
    start = f'backup.{backup_id}.snap.'
    return [name for name in found if name.startswith(start)]
