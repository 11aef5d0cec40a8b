# SPDX-License-Identifier: Apache-2.0

"""Chunks of a backup that are compressed and hashed by several threads.

Cinder's ``ChunkedBackupDriver`` reads a chunk, hashes, compresses and sends it
before it reads the next one, so that a backup has one processor. Here several
are compressed and hashed at a time. They are sent one after the other, in
their order: the clients of some storages are for one thread.
"""

from collections import deque
from collections.abc import Callable
from concurrent import futures
import hashlib
from typing import Any

from oslo_config import cfg

from reference_drivers import options
from reference_drivers import zero_chunks
from reference_drivers.verification import threads

CONF = cfg.CONF

#: How the names of the threads begin.
THREADS = 'backup-chunks'


class _Pipeline:
    """Chunks on their way to the storage.

    :param number: of the threads, and of the chunks that wait
    """

    def __init__(self, number: int):
        self._pool = futures.ThreadPoolExecutor(number, THREADS)
        self._number = number
        self._waiting: deque[tuple[
            futures.Future[Any], Callable[[Any], None]]] = deque()

    def add(self, make: Callable[[], Any], send: Callable[[Any], None]
            ) -> None:
        """Add a chunk, when there is room for it.

        :param make: called in a thread
        :param send: called with the result of that, in this thread
        """
        while len(self._waiting) >= self._number:
            self._send_next()
        self._waiting.append((self._pool.submit(make), send))

    def _send_next(self) -> None:
        future, send = self._waiting.popleft()
        send(future.result())

    def flush(self) -> None:
        """Send all that waits."""
        while self._waiting:
            self._send_next()

    def close(self) -> None:
        """Drop what waits, and end the threads."""
        self._waiting.clear()
        self._pool.shutdown(cancel_futures=True)


class ParallelChunksMixin(zero_chunks.ZeroChunksMixin):
    """In front of a ``ChunkedBackupDriver``; it stores the same bytes."""

    _pipeline: _Pipeline | None = None

    def backup(self, backup: Any, volume_file: Any,
               backup_metadata: bool = True) -> Any:
        """Back a volume up."""
        number = CONF[options.GROUP].backup_threads
        if number == 1 or self._is_of_eventlet():
            return super().backup(backup, volume_file, backup_metadata)
        self._pipeline = _Pipeline(number)
        try:
            return super().backup(backup, volume_file, backup_metadata)
        finally:
            # After an error or a cancellation nothing more is sent.
            self._pipeline.close()
            self._pipeline = None

    def _is_of_eventlet(self) -> bool:
        """Check whether a chunk may be compressed by this thread only.

        Before 2026.2 Cinder has it done by a native thread of eventlet.
        """
        return threads.green() or (threads.tpool is not None and isinstance(
            self.compressor, threads.tpool.Proxy))

    def _backup_chunk(self, backup: Any, container: str, data: bytes,
                      data_offset: int, object_meta: dict[str, Any],
                      extra_metadata: Any) -> None:
        if self._pipeline is None or self._is_zeros(data):
            super()._backup_chunk(backup, container, data, data_offset,
                                  object_meta, extra_metadata)
            return
        name = f'{object_meta["prefix"]}-{object_meta["id"]:05d}'
        described: dict[str, Any] = {'offset': data_offset,
                                     'length': len(data)}
        object_meta['list'].append({name: described})
        object_meta['id'] += 1

        def make() -> tuple[str, bytes, str]:
            return (*self._prepare_output_data(data), hashlib.md5(
                data, usedforsecurity=False).hexdigest())

        def send(made: tuple[str, bytes, str]) -> None:
            described['compression'], output, described['md5'] = made
            with self._get_object_writer(
                    container, name, extra_metadata=extra_metadata) as writer:
                writer.write(output)

        self._pipeline.add(make, send)

    def _finalize_backup(self, *args: Any) -> None:
        """Write what describes the backup, after all that is described."""
        if self._pipeline is not None:
            self._pipeline.flush()
        usual: Any = super()
        usual._finalize_backup(*args)
