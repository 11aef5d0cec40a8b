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

"""The digest of a backup's content."""

from collections.abc import Callable
import hashlib
import time

from reference_drivers.ceph import names as naming
from reference_drivers.ceph import pool as pools
from reference_drivers.verification import errors
from reference_drivers.verification import running


def digest(pool: pools.Pool, place: naming.Place, limit: int | None = None,
           stop: Callable[[], str | None] | None = None) -> str | None:
    """The digest of a backup's content.

    It costs the data and not the size: a plain SHA-256 of the volume would
    have to be fed the zeros of all its holes. Blocks of zeros do not count,
    whether they are written or holes.

    :param limit: bytes of data above which it is not computed
    :param stop: asked now and then; a reason to stop
    :returns: the digest, None above the limit
    :raises Problem: it cannot be read
    """
    with pool.image(place.image, place.snapshot) as image:
        size = pool.call(f'image {place.image}', image.size)
        offsets = pool.blocks(image, place.image)
        if limit is not None and len(offsets) * pools.BLOCK > limit:
            return None
        total = hashlib.sha256(f'rbd-blocks {pools.BLOCK} {size}\n'.encode())
        asked = time.monotonic()
        for offset in offsets:
            if stop is not None and time.monotonic() > asked + 1:
                asked = time.monotonic()
                reason = stop()
                if reason:
                    raise errors.Stopped(f'stopped: {reason}')
            data = pool.read(image, place.image, offset, size)
            if data.count(0) != len(data):
                total.update(offset.to_bytes(8, 'big'))
                total.update(running.native(
                    lambda data=data: hashlib.sha256(data).digest()))
    return f'sha256:{total.hexdigest()}'
