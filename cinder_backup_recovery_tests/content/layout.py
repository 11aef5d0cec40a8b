# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.
"""A layout: the extents that a test writes into a volume."""

from collections.abc import Iterable, Iterator
import dataclasses
import io
import os
from typing import Any, BinaryIO

SECTOR = 512
DATA = 'data'
ZEROS = 'zeros'


@dataclasses.dataclass(frozen=True)
class Extent:
    """Bytes ``offset`` to ``offset + length`` that a generation wrote."""

    offset: int
    length: int
    generation: int
    kind: str = DATA


@dataclasses.dataclass(frozen=True)
class Layout:
    """The whole content of a volume, made from a few numbers."""

    seed: int
    size_bytes: int
    extents: tuple[Extent, ...] = ()
    fill: str = 'random'

    @classmethod
    def scattered(cls, seed: int, size_bytes: int,
                  boundaries: Iterable[int] = (32 * 1024, 1024 * 1024),
                  middle: int = 4 * 1024 * 1024,
                  fill: str = 'random') -> 'Layout':
        """Data at begin, end, over block boundaries and in the middle."""
        raise NotImplementedError

    @property
    def generation(self) -> int:
        """Number of the newest generation; 0 when nothing was written."""
        raise NotImplementedError

    @property
    def data_end(self) -> int:
        """Offset behind the last byte of data."""
        raise NotImplementedError

    def overwrite(self, offset: int, length: int) -> 'Layout':
        """The next generation, with new data there."""
        raise NotImplementedError

    def zero(self, offset: int, length: int) -> 'Layout':
        """The next generation, with zeros written there."""
        raise NotImplementedError

    def resized(self, size_bytes: int) -> 'Layout':
        """The same in a larger volume."""
        raise NotImplementedError

    def read(self, offset: int, length: int) -> bytes:
        """The bytes of a range; short at the end, like a file."""
        raise NotImplementedError

    def blocks(self, block_size: int = 1024 * 1024) -> Iterator[bytes]:
        """The whole content, in bounded memory."""
        raise NotImplementedError

    def sha256(self) -> str:
        """Hexadecimal digest of the whole content."""
        raise NotImplementedError

    def open(self) -> 'LayoutReader':
        """A file-like object over the content."""
        raise NotImplementedError

    def write_to(self, target: str | os.PathLike[str] | BinaryIO,
                 since: int = 0) -> int:
        """Write the extents newer than ``since``, sparse; bytes written."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        raise NotImplementedError

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> 'Layout':
        """Back from :meth:`to_dict`."""
        raise NotImplementedError


class LayoutReader(io.RawIOBase):
    """A layout as a file to upload: read, seek, tell."""

    def __init__(self, layout: Layout) -> None:
        raise NotImplementedError
