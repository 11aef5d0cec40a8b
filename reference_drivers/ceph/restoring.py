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

"""Write a backup's content to a volume."""

import time
from typing import Any

from cinder import exception
from cinder.objects import fields

from reference_drivers.ceph import names as naming
from reference_drivers.ceph import pool as pools
from reference_drivers.verification import running


def write(pool: pools.Pool, place: naming.Place, image: Any, size: int,
          backup: Any, volume_id: str, volume_file: Any, volume_is_new: bool
          ) -> None:
    """Write all that a volume must have, zeros too unless it is new."""
    offsets: Any = pool.blocks(image, place.image)
    present = set(offsets)
    if not volume_is_new:
        offsets = range(0, size, pools.BLOCK)
    asked = time.monotonic()
    for offset in offsets:
        if time.monotonic() > asked + 1:
            asked = time.monotonic()
            with backup.as_read_deleted():
                backup.refresh()
            if backup.status != fields.BackupStatus.RESTORING:
                raise exception.BackupRestoreCancel(
                    back_id=backup.id, vol_id=volume_id)
        if offset in present:
            data = pool.read(image, place.image, offset, size)
        else:
            data = bytes(min(pools.BLOCK, size - offset))
            # An image of RBD need not be filled to read as zeros. What
            # is less than a block may be too small for its granularity.
            target = getattr(volume_file, 'rbd_image', None)
            if target is not None and len(data) == pools.BLOCK:
                running.native(target.discard, offset, pools.BLOCK)
                continue
        volume_file.seek(offset)
        running.native(volume_file.write, data)
