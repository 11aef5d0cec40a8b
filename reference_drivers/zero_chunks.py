# SPDX-License-Identifier: Apache-2.0

"""Chunks of zeros that are hashed and compressed once in a process.

Most of many volumes is zeros, and Cinder's ``ChunkedBackupDriver`` hashes and
compresses each chunk of them again: that is most of the work of such a backup
(bug 1918119).
"""

from collections.abc import Callable
from typing import Any

from cinder.volume import volume_utils
from oslo_config import cfg

CONF = cfg.CONF

# Results for zeros, by all that they depend on. Each is small: a volume has
# chunks of one length, and its last one may have another.
_results: dict[tuple[Any, ...], Any] = {}
_MOST = 16


def _once(key: tuple[Any, ...], make: Callable[[], Any],
          small: Callable[[Any], bool]) -> Any:
    found = _results.get(key)
    if found is None:
        found = make()
        if small(found):
            if len(_results) >= _MOST:
                _results.clear()
            _results[key] = found
    return found


class ZeroChunksMixin:
    """In front of a ``ChunkedBackupDriver``; it stores the same bytes."""

    compressor: Any
    sha_block_size_bytes: int

    def _calculate_sha(self, data: bytes) -> list[str]:
        usual: Any = super()
        if not volume_utils.is_all_zero(data):
            hashes: list[str] = usual._calculate_sha(data)
            return hashes
        return list(_once(
            (type(self), 'hashes', len(data), self.sha_block_size_bytes),
            lambda: usual._calculate_sha(data), lambda hashes: True))

    def _prepare_output_data(self, data: bytes) -> tuple[str, bytes]:
        usual: Any = super()
        prepared: tuple[str, bytes]
        if self.compressor is None or not volume_utils.is_all_zero(data):
            prepared = usual._prepare_output_data(data)
        else:
            prepared = _once(
                (type(self), CONF.backup_compression_algorithm, len(data)),
                lambda: usual._prepare_output_data(data),
                # One that did not shrink is the chunk itself.
                lambda prepared: prepared[1] is not data)
        return prepared
