# SPDX-License-Identifier: Apache-2.0

"""Decompress chunks in pieces of bounded size."""

import bz2
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any
import zlib as python_zlib

from oslo_utils import importutils

from reference_drivers.verification import store as stores
from reference_drivers.verification import threads

#: Intel's library behind Python's own interface, which takes half of the time,
#: where it is installed. It checks the same, the checksum at the end as well.
zlib: Any = importutils.try_import('isal.isal_zlib') or python_zlib
#: Python 3.14's module, or the same for older ones. Cinder writes with a third
#: one, ``zstd``, which knows nothing but whole objects.
in_pieces: Any = (importutils.try_import('compression.zstd') or
                  importutils.try_import('backports.zstd'))


def _portions(piece: bytes) -> Iterator[memoryview]:
    """A piece, which may be the whole object, in parts of bounded size.

    What a decompressor was given and has not used yet, it copies.
    """
    view = memoryview(piece)
    for start in range(0, len(piece), stores.PIECE):
        yield view[start:start + stores.PIECE]


class Plain:
    """An extent that is stored as it is."""

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Decompress the next stored bytes.

        :returns: pieces of the extent, some of which may be empty
        :raises Exception: they are not what the algorithm wrote; each has
            exceptions of its own
        """
        yield piece

    def finish(self) -> Iterator[bytes]:
        """Decompress the rest, when all stored bytes were fed.

        :returns: pieces of the extent, some of which may be empty
        :raises Exception: there should have been more
        """
        yield b''


class Zlib(Plain):
    """A zlib stream that never gives more at once than asked for."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj()

    def feed(self, piece: bytes) -> Iterator[bytes]:
        left: memoryview | bytes
        for left in _portions(piece):
            while left:
                if self._stream.eof:
                    raise ValueError('there are bytes after its end')
                yield self._stream.decompress(left, stores.PIECE)
                left = (self._stream.unconsumed_tail or
                        self._stream.unused_data)

    def finish(self) -> Iterator[bytes]:
        yield self._stream.flush()
        if not self._stream.eof:
            raise ValueError('it is cut off')


class Bz2(Plain):
    """The same for bz2."""

    def __init__(self) -> None:
        self._stream = self._decompressor()

    def _decompressor(self) -> Any:
        return bz2.BZ2Decompressor()

    def feed(self, piece: bytes) -> Iterator[bytes]:
        for portion in _portions(piece):
            if self._stream.eof:
                raise ValueError('there are bytes after its end')
            data = self._stream.decompress(portion, stores.PIECE)
            while data or not (self._stream.needs_input or self._stream.eof):
                yield data
                if self._stream.eof:
                    break
                data = self._stream.decompress(b'', stores.PIECE)
            if self._stream.unused_data:
                raise ValueError('there are bytes after its end')

    def finish(self) -> Iterator[bytes]:
        if not self._stream.eof:
            raise ValueError('it is cut off')
        yield b''


class Zstd(Bz2):
    """The same for zstd, whose decompressor was made after that for bz2.

    It also takes half of the time that a whole object takes: a piece stays in
    the processor's cache, and in memory that the process has already.
    """

    def _decompressor(self) -> Any:
        return in_pieces.ZstdDecompressor()


class WholeZstd(Plain):
    """Where there is only the module that knows the whole object.

    The object and its content are in memory together, so this is done for
    one reader at a time; the others hold one of the two.
    """

    # Not one that eventlet made green: native threads wait for it.
    _one = threads.native('threading').Lock()

    def __init__(self) -> None:
        import zstd
        self._decompress = zstd.decompress
        # It takes bytes and nothing else: joined once, and not copied at all
        # where the store gives the object in one piece.
        self._pieces: list[bytes] = []

    def feed(self, piece: bytes) -> Iterator[bytes]:
        self._pieces.append(piece)
        yield b''

    def finish(self) -> Iterator[bytes]:
        with self._one:
            body, self._pieces = b''.join(self._pieces), []
            whole = self._decompress(body)
            del body
        yield whole


_BY_NAME: dict[str, Callable[[], Plain]] = {
    'none': Plain, 'off': Plain, 'no': Plain,
    'zlib': Zlib, 'gzip': Zlib,
    'bz2': Bz2, 'bzip2': Bz2,
    'zstd': lambda: Zstd() if in_pieces else WholeZstd(),
}


def make(compression: str) -> Plain:
    """A stream for one object.

    :param compression: as the metadata of the backup names it
    :returns: to be fed with the stored bytes
    :raises LookupError: nothing here can undo it
    """
    try:
        return _BY_NAME[compression.lower()]()
    except ImportError as err:
        raise LookupError(compression) from err
