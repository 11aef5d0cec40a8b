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

"""The driver's own part of a record of a backup in Ceph."""

from typing import Any

from reference_drivers import driver_info as driver_infos
from reference_drivers.ceph import names as naming

VERSION = driver_infos.VERSION

_FIELDS = {'version': int, 'driver': str, 'location': str, 'backup_id': str,
           'volume_id': str, 'container': str, 'image': str, 'size': int,
           'image_size': int}
_OPTIONAL = {'base': str, 'snapshot': str, 'parent_id': str,
             'snapshot_id': str, 'meta': str, 'digest': str, 'parents': list}


def check(info: Any, backup_id: str) -> naming.Names:
    """Check that a driver_info agrees with itself (level ``record``).

    :returns: where it says that the backup is
    :raises Problem: naming the field
    """
    wrong = driver_infos.check_form(info, backup_id, _FIELDS, _OPTIONAL)
    if info['driver'] != 'ceph':
        raise wrong('driver', f'{info["driver"][:40]!r} is another')
    if info['image_size'] < 1:
        raise wrong('image_size', f'{info["image_size"]} is not a size')
    for field in ('meta', 'digest'):
        value = info.get(field)
        if value is not None and not driver_infos.DIGEST.match(value):
            raise wrong(field, 'is not a SHA-256')
    if not all(isinstance(one, str) and driver_infos.UUID.match(one)
               for one in info.get('parents') or []):
        raise wrong('parents', 'has an entry that is not an id')
    snapshot = info.get('snapshot')
    names = naming.Names(backup_id, info['volume_id'], info['container'],
                         info['image'] if snapshot else None,
                         info.get('snapshot_id') is not None)
    names.check()
    if snapshot and not naming.own_snapshots([snapshot], backup_id):
        raise wrong('snapshot', f'{snapshot[:100]!r} is not one of '
                    f'backup {backup_id}')
    if info.get('base') not in (None, info['image']):
        raise wrong('base', f'{info["base"][:120]!r} is not the image')
    if not snapshot and info['image'] != (names.shared if names.of_snapshot
                                              else names.own):
        raise wrong('image', f'{info["image"][:120]!r} is not one of '
                    f'backup {backup_id}')
    return names
