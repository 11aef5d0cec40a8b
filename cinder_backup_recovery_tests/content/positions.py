# SPDX-License-Identifier: Apache-2.0

"""Files with a size that stays, and a position in them."""

import io
import os


class Sized(io.RawIOBase):
    """Base of files that read and seek as a device does.

    :param size: in bytes
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position, which may be past the end."""
        position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position,
                             os.SEEK_END: self._size}[whence]
        if position < 0:
            raise ValueError(f'negative position {position}')
        self._position = position
        return position

    def tell(self) -> int:
        """Return the position."""
        return self._position
