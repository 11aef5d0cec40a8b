# SPDX-License-Identifier: Apache-2.0

"""Chunks of zeros that are read, hashed and compressed once.

Most of many volumes is zeros, and Cinder's ``ChunkedBackupDriver`` reads,
hashes and compresses each chunk of them again: that is most of the work of
such a backup (bug 1918119).
"""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import errno
import hashlib
import io
import os
import stat
import time
from typing import Any

from cinder.volume import volume_utils
from oslo_config import cfg

from reference_drivers import options
from reference_drivers.verification import hashing
from reference_drivers.verification import threads

CONF = cfg.CONF
options.register(CONF)

# Results for zeros, by all that they depend on. Each is small: a volume has
# chunks of one length, and its last one may have another.
_results: dict[tuple[Any, ...], Any] = {}
_MOST = 16


def _once(key: tuple[Any, ...], make: Callable[[], Any],
          small: Callable[[Any], bool] = lambda found: True) -> Any:
    found = _results.get(key)
    if found is None:
        found = make()
        if small(found):
            if len(_results) >= _MOST:
                _results.clear()
            _results[key] = found
    return found


class Sparse:
    """A volume of which the holes are not read.

    :param file: open for reading in binary
    :ivar zeros: what was returned for the last hole, and is for the next one
    """

    def __init__(self, file: Any):
        self._file = file
        self.zeros = b''

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def read(self, size: int = -1) -> bytes:
        """Read from the position of the file, as that does."""
        start = self._file.tell()
        if size <= 0 or not self.is_hole(start, start + size):
            data: bytes = self._file.read(size)
            return data
        self._file.seek(start + size)
        if len(self.zeros) != size:
            self.zeros = bytes(size)
        return self.zeros

    def is_hole(self, start: int, end: int) -> bool:
        """Check whether there is nothing; False where it cannot be told."""
        raise NotImplementedError


class SparseFile(Sparse):
    """A volume in a sparse file.

    :param descriptor: of the same file, with a position of its own
    """

    def __init__(self, file: Any, descriptor: int):
        super().__init__(file)
        self._descriptor = descriptor
        self._size = os.lseek(descriptor, 0, os.SEEK_END)

    def is_hole(self, start: int, end: int) -> bool:
        if end > self._size:
            return False
        try:
            return os.lseek(self._descriptor, start, os.SEEK_DATA) >= end
        except OSError as error:
            # There is no data until the end; else it cannot be told.
            return error.errno == errno.ENXIO


class SparseImage(Sparse):
    """A volume in an image of RBD, which has no object where nothing is."""

    def is_hole(self, start: int, end: int) -> bool:
        found = []

        def add(offset: int, length: int, exists: bool) -> None:
            if exists:
                found.append(offset)

        image = self._file.rbd_image
        if end > image.size():
            return False
        # Of whole objects, and also those of the image that it is a clone of.
        try:
            image.diff_iterate(start, end - start, None, add, True, True)
        except Exception:
            # Then it is read, and an error that remains has its place there.
            return False
        return not found


@contextlib.contextmanager
def _sparse(file: Any) -> Iterator[Any]:
    """The file as one whose holes are not read, where that can be."""
    descriptor = None
    if CONF[options.GROUP].read_holes:
        yield file
        return
    # On eventlet librbd's answers come in another thread.
    if not threads.green() and hasattr(file, 'rbd_image'):
        yield SparseImage(file)
        return
    with contextlib.suppress(OSError, AttributeError,
                             io.UnsupportedOperation):
        number = file.fileno()
        # Other kinds of devices do not tell where they have holes.
        if stat.S_ISREG(os.fstat(number).st_mode):
            descriptor = os.open(f'/proc/self/fd/{number}',
                                 os.O_RDONLY | os.O_CLOEXEC)
    if descriptor is None:
        yield file
        return
    try:
        # Of what is not on the disk yet some file systems tell wrong things.
        os.fsync(descriptor)
        yield SparseFile(file, descriptor)
    finally:
        os.close(descriptor)


class ZeroChunksMixin:
    """In front of a ``ChunkedBackupDriver``; it stores the same bytes."""

    compressor: Any
    sha_block_size_bytes: int
    _get_object_writer: Callable[..., Any]

    _volume: Any = None

    def backup(self, backup: Any, volume_file: Any,
               backup_metadata: bool = True) -> Any:
        """Back a volume up."""
        usual: Any = super()
        with _sparse(volume_file) as self._volume:
            try:
                return usual.backup(backup, self._volume, backup_metadata)
            finally:
                self._volume = None

    def _is_zeros(self, data: bytes) -> bool:
        return (data is getattr(self._volume, 'zeros', None) or
                volume_utils.is_all_zero(data))

    def _calculate_sha(self, data: bytes) -> list[str]:
        def make() -> list[str]:
            return [digest.hex() for digest in hashing.digests(
                data, self.sha_block_size_bytes)]

        if not self._is_zeros(data):
            return make()
        return list(_once(
            ('hashes', len(data), self.sha_block_size_bytes), make))

    def _prepare_output_data(self, data: bytes) -> tuple[str, bytes]:
        usual: Any = super()
        prepared: tuple[str, bytes]
        if self.compressor is None or not self._is_zeros(data):
            prepared = usual._prepare_output_data(data)
        else:
            prepared = _once(
                (type(self), CONF.backup_compression_algorithm, len(data)),
                lambda: usual._prepare_output_data(data),
                # One that did not shrink is the chunk itself.
                lambda prepared: prepared[1] is not data)
        return prepared

    def _backup_chunk(self, backup: Any, container: str, data: bytes,
                      data_offset: int, object_meta: dict[str, Any],
                      extra_metadata: Any) -> None:
        if not self._is_zeros(data):
            usual: Any = super()
            usual._backup_chunk(backup, container, data, data_offset,
                                object_meta, extra_metadata)
            return
        # The same as there, but for the MD5.
        name = f'{object_meta["prefix"]}-{object_meta["id"]:05d}'
        algorithm, output = self._prepare_output_data(data)
        with self._get_object_writer(
                container, name, extra_metadata=extra_metadata) as writer:
            writer.write(output)
        object_meta['list'].append({name: {
            'offset': data_offset, 'length': len(data),
            'compression': algorithm,
            'md5': _once(('md5', len(data)), lambda: hashlib.md5(
                data, usedforsecurity=False).hexdigest())}})
        object_meta['id'] += 1
        # On eventlet others get their turn.
        time.sleep(0)
