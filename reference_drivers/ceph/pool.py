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

"""A pool of Ceph, where no request waits for ever."""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import hashlib
from typing import Any

from reference_drivers.ceph import names as naming
from reference_drivers.verification import errors
from reference_drivers.verification import running

BLOCK = 4 << 20
"""As much as is read at once: the size of RBD's objects by default."""


class Pool:
    """A pool, opened so that every request ends in time.

    :param driver: Cinder's driver, for its user and configuration
    :param name: the pool
    :param timeout: seconds for each request
    """

    def __init__(self, driver: Any, name: str, timeout: float):
        self.rados = driver.rados
        self.rbd = driver.rbd
        self.name = name
        self.timeout = timeout
        self._driver = driver
        self._cluster: Any = None
        self.ioctx: Any = None

    def __enter__(self) -> 'Pool':
        self.call(f'pool {self.name}', self._connect)
        return self

    def __exit__(self, *args: Any) -> None:
        with contextlib.suppress(errors.Problem):
            self.call(f'pool {self.name}', self._close)

    def _connect(self) -> None:
        seconds = str(max(1, round(self.timeout)))
        self._cluster = self.rados.Rados(
            rados_id=self._driver._ceph_backup_user,
            conffile=self._driver._ceph_backup_conf,
            conf={'client_mount_timeout': seconds,
                  'rados_mon_op_timeout': seconds,
                  'rados_osd_op_timeout': seconds})
        try:
            self._cluster.connect()
            self.ioctx = self._cluster.open_ioctx(self.name)
        except BaseException:
            self._cluster.shutdown()
            raise

    def _close(self) -> None:
        self.ioctx.close()
        self._cluster.shutdown()

    def call(self, what: str, function: Callable[..., Any],
             *args: Any) -> Any:
        """Ask the cluster.

        :param what: what is asked for, for the message
        :returns: what the function returns
        :raises Missing: it is not there
        :raises TimedOut: no answer in time
        :raises Unreadable: another error
        """
        try:
            # Longer than the client's own limit, which ends the request.
            return running.within(self.timeout + 1, what, function, *args)
        except (self.rados.ObjectNotFound, self.rbd.ImageNotFound) as err:
            raise errors.Missing(f'{what} is missing', what) from err
        except (self.rados.TimedOut, self.rbd.Timeout) as err:
            raise errors.TimedOut(
                f'the storage did not answer within {self.timeout:g} s: '
                f'{what}', what) from err
        except (self.rados.Error, self.rbd.Error) as err:
            # librbd has no class for some errors of librados.
            if getattr(err, 'errno', None) == 110:
                raise errors.TimedOut(
                    f'the storage did not answer within {self.timeout:g} s: '
                    f'{what}', what) from err
            raise errors.Unreadable(f'{what}: {err}', what) from err

    @contextlib.contextmanager
    def image(self, name: str, snapshot: str | None = None,
              read_only: bool = True) -> Iterator[Any]:
        """Open an image; read only, it leaves no trace on the storage."""
        where = f'image {name}' + (f' at snapshot {snapshot}' if snapshot
                                   else '')
        opened = self.call(where, lambda: self.rbd.Image(
            self.ioctx, name, snapshot=snapshot, read_only=read_only))
        try:
            yield opened
        finally:
            with contextlib.suppress(errors.Problem):
                self.call(where, opened.close)

    def snapshots(self, image: Any, name: str) -> list[str]:
        """Names of an image's snapshots."""
        found = self.call(f'image {name}', lambda: list(image.list_snaps()))
        return [one['name'] for one in found]

    def meta(self, names: naming.Names) -> str | None:
        """The digest of a backup's object with metadata."""
        def read() -> bytes:
            size, _ = self.ioctx.stat(names.meta)
            return self.ioctx.read(names.meta, size)

        try:
            data = self.call(f'object {names.meta}', read)
        except errors.Missing:
            return None
        return f'sha256:{hashlib.sha256(data).hexdigest()}'

    def blocks(self, image: Any, name: str) -> list[int]:
        """The blocks that may have data, by their offsets."""
        size = self.call(f'image {name}', image.size)
        found: set[int] = set()

        def add(offset: int, length: int, exists: bool) -> None:
            if exists:
                found.update(range(offset // BLOCK,
                                   -(-(offset + length) // BLOCK)))

        # Of whole objects: with an object map that costs no request.
        self.call(f'image {name}', lambda: image.diff_iterate(
            0, size, None, add, True, True))
        return sorted(number * BLOCK for number in found)

    def read(self, image: Any, name: str, offset: int, size: int) -> bytes:
        """Read one block."""
        return self.call(f'image {name} at {offset}', image.read, offset,
                         min(BLOCK, size - offset))
