# SPDX-License-Identifier: Apache-2.0

"""A pool of Ceph, where each request has a limit."""

import collections
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
import contextlib
import errno
import itertools
import queue
import threading
from typing import Any

from reference_drivers.ceph import names as naming
from reference_drivers.verification import errors
from reference_drivers.verification import running

BLOCK = 4 << 20
"""As much as is read at once: the size of RBD's objects by default."""

_SLICE = 1024 * BLOCK


class Pool:
    """A pool, opened so that every request ends in time.

    :param driver: Cinder's driver, for its user and configuration
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
        :raises Missing: it does not exist
        :raises TimedOut: no answer in time
        :raises Unreadable: another error
        """
        try:
            # Longer than the client's own limit, which ends the request.
            return running.within(self.timeout + 1, what, function, *args)
        except (self.rados.ObjectNotFound, self.rbd.ImageNotFound) as err:
            raise errors.Missing(f'{what} is missing', what) from err
        except (self.rados.Error, self.rbd.Error) as err:
            if self.is_timeout(err):
                raise errors.TimedOut(
                    f'the storage did not answer within {self.timeout:g} s: '
                    f'{what}', what) from err
            raise errors.Unreadable(f'{what}: {err}', what) from err

    def is_timeout(self, err: Exception) -> bool:
        """Check whether an error is a timeout of the cluster."""
        # librbd has no class for some errors of librados.
        return (isinstance(err, (self.rados.TimedOut, self.rbd.Timeout)) or
                abs(getattr(err, 'errno', None) or 0) == errno.ETIMEDOUT)

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

    def read_meta(self, names: naming.Names) -> bytes | None:
        """A backup's object with the metadata of its volume."""
        def read() -> bytes:
            size, _ = self.ioctx.stat(names.meta)
            return self.ioctx.read(names.meta, size)

        try:
            return self.call(f'object {names.meta}', read)
        except errors.Missing:
            return None

    def size(self, image: Any, name: str) -> int:
        """Bytes of an image."""
        return self.call(f'image {name}', image.size)

    def blocks(self, image: Any, name: str) -> list[int]:
        """The blocks that may have data, by their offsets."""
        size = self.size(image, name)
        found: set[int] = set()

        def add(offset: int, length: int, exists: bool) -> None:
            if exists:
                found.update(range(offset // BLOCK,
                                   -(-(offset + length) // BLOCK)))

        # Of whole objects: with an object map that costs no request, and
        # without one a request for each, so many do not have to be done in
        # the time of one.
        for start in range(0, size, _SLICE):
            self.call(f'image {name} from {start}', image.diff_iterate,
                      start, min(_SLICE, size - start), None, add, True, True)
        return sorted(number * BLOCK for number in found)

    def each(self, image: Any, name: str, offsets: Iterable[int], size: int,
             readers: int, use: Callable[[list[bytes]], list[Any]],
             together: int = 1, waiting: Callable[[], None] = lambda: None
             ) -> Iterator[tuple[int, Any]]:
        """Read blocks, several at the same time.

        :param size: bytes of the image
        :param readers: how many are read at a time; no more are kept
        :param use: what to make of some blocks, while others are read
        :param together: how many blocks each reader keeps for that
        :param waiting: called once a second while there are none; what it
            raises ends the reading
        :returns: offset and what was made, in the order of the offsets
        :raises Problem: a block cannot be read
        """
        def read(some: list[int]) -> Any:
            blocks = []
            for offset in some:
                if ended.is_set():
                    return None
                blocks.append(self.call(
                    f'image {name} at {offset}', image.read, offset,
                    min(BLOCK, size - offset)))
            return running.native(use, blocks)

        ended = threading.Event()
        running_: collections.deque[tuple[list[int], queue.Queue]] = (
            collections.deque())

        def begin(some: list[int]) -> None:
            answer: queue.Queue = queue.Queue()

            def run() -> None:
                try:
                    answer.put((read(some), None))
                except BaseException as err:
                    answer.put((None, err))

            threading.Thread(target=run, daemon=True,
                             name=f'read {name}').start()
            running_.append((some, answer))

        every = iter(offsets)
        left = iter(lambda: list(itertools.islice(every, together)), [])
        try:
            for some in itertools.islice(left, readers):
                begin(some)
            while running_:
                some, answer = running_[0]
                try:
                    made, err = answer.get(timeout=1)
                except queue.Empty:
                    waiting()
                    continue
                running_.popleft()
                if err is not None:
                    raise err
                for following in itertools.islice(left, 1):
                    begin(following)
                yield from zip(some, made, strict=True)
        finally:
            # Nothing reads any more when the image is closed.
            ended.set()
            for _, answer in running_:
                answer.get()
