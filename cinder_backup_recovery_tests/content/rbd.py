# SPDX-License-Identifier: Apache-2.0

"""RBD images through librbd, where os-brick connects them without a device."""

import io
import os
from typing import Any

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.content import positions

TYPE = 'rbd'
"""The ``driver_volume_type`` of such a connection."""


def with_key(connection_info: dict[str, Any], path: str) -> dict[str, Any]:
    """Add the key, which the cloud does not publish.

    :param path: a keyring of the user that it names, empty to let os-brick
        look for it
    :raises InvalidConfiguration: if there is no such file, or there are no
        bindings for Ceph
    """
    from os_brick.initiator import linuxrbd
    if linuxrbd.rados is None or linuxrbd.rbd is None:
        raise exceptions.InvalidConfiguration(
            '[cinder_backup_recovery] content_access is attachment and the '
            "volumes are RBD images, but the Python modules rados and rbd "
            'cannot be imported: install python3-rados and python3-rbd of '
            'the distribution and let this virtualenv see them, or set '
            'content_access = image')
    if connection_info.get('keyring'):
        return connection_info
    if not path:
        user = connection_info.get('auth_username')
        path = (f'/etc/ceph/{connection_info.get("cluster_name")}.client.'
                f'{user}.keyring')
        if not user or os.access(path, os.R_OK):
            return connection_info
    try:
        with open(path) as stream:
            return {**connection_info, 'keyring': stream.read()}
    except OSError as exc:
        raise exceptions.InvalidConfiguration(
            f'{path} cannot be read ({exc.strerror}): set '
            f'[cinder_backup_recovery] rbd_keyring to a keyring of the user '
            f'that the volumes are attached with, or content_access = image'
        ) from None


class Device(positions.Sized):
    """An image as a device: a size that stays, and content.

    os-brick has such a class too; its ``write`` does not return the
    number of bytes, and it is always writable.
    """

    def __init__(self, image: Any, write: bool) -> None:
        super().__init__(image.size())
        self._image = image
        self._write = write

    def writable(self) -> bool:
        """Check whether it can be written to."""
        return self._write

    def readinto(self, buffer: Any) -> int:
        """Read as much as there is room for."""
        length = max(min(len(buffer), self._size - self._position), 0)
        if length:
            buffer[:length] = self._image.read(self._position, length)
        self._position += length
        return length

    def write(self, data: Any) -> int:
        """Write at the position.

        :raises OSError: it may not be written to, or they do not fit
        """
        if not self._write:
            raise io.UnsupportedOperation('not opened for writing')
        piece = bytes(data)
        if self._position + len(piece) > self._size:
            raise OSError(f'write of {len(piece)} bytes at {self._position} '
                          f'is past the end of the image ({self._size})')
        self._image.write(piece, self._position)
        self._position += len(piece)
        return len(piece)

    def truncate(self, size: int | None = None) -> int:
        """Keep the size, as a device does."""
        return self._size

    def flush(self) -> None:
        """Flush written data to the storage."""
        if self._write and not self.closed:
            self._image.flush()
