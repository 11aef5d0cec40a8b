# SPDX-License-Identifier: Apache-2.0

"""Backups in a directory: Cinder's POSIX and NFS drivers and their like."""

from collections.abc import Sequence
import contextlib
import os
import shutil
from typing import Any
from typing import Self

from backup_stores import base
from backup_stores import chunked
from backup_stores import objects


class Directory(objects.ObjectStore):
    """A directory with a directory for each container.

    :param root: its path; nothing outside of it is touched
    """

    can_copy = True

    def __init__(self, root: str) -> None:
        self.root = os.path.realpath(root)

    def check(self) -> None:
        """Raise an error if the directory cannot be used."""
        if not os.path.isdir(self.root) or not os.access(
                self.root, os.R_OK | os.W_OK | os.X_OK):
            raise base.StoreFailed(
                f'{self.root} is not a directory that this user may read '
                f'and write')

    def list(self, container: str, prefix: str = '') -> Sequence[str]:
        """Name the files that begin with a prefix."""
        try:
            names = os.listdir(self._path(container))
        except FileNotFoundError:
            return []
        return [name for name in names if name.startswith(prefix)]

    def read(self, container: str, name: str) -> bytes | None:
        """Read a file, None if it does not exist."""
        try:
            with open(self._path(container, name), 'rb') as stream:
                return stream.read()
        except FileNotFoundError:
            return None

    def write(self, container: str, name: str, data: bytes) -> None:
        """Make a file, or give it other bytes.

        It keeps its owner and mode: cinder-backup must be able to read it.
        """
        path = self._path(container, name)
        new = not os.path.exists(path)
        with open(path, 'wb') as stream:
            stream.write(data)
        if new:
            self._give(path, 0o666)

    def delete(self, container: str, name: str) -> None:
        """Remove a file, if it exists."""
        with contextlib.suppress(FileNotFoundError):
            os.remove(self._path(container, name))

    def has_container(self, container: str) -> bool:
        return os.path.isdir(self._path(container))

    def make_container(self, container: str) -> None:
        """Make a directory and those above it, if they do not exist."""
        path = self._path(container)
        missing = []
        while not os.path.isdir(path):
            missing.append(path)
            path = os.path.dirname(path)
        for directory in reversed(missing):
            os.mkdir(directory)
            self._give(directory, 0o777)

    def remove_container(self, container: str) -> None:
        """Remove a directory, if it exists and is empty.

        Those above it stay, as Cinder's drivers leave them: the next backup
        may need them at this very moment.
        """
        path = self._path(container)
        with contextlib.suppress(FileNotFoundError):
            if not os.listdir(path):
                os.rmdir(path)

    def copy_object(self, container: str, name: str, to: Self) -> None:
        """Copy a file with its mode and its times."""
        path = to._path(container, name)
        shutil.copy2(self._path(container, name), path)
        self._give(path)

    @staticmethod
    def _give(path: str, rights: int = 0) -> None:
        """Give a new file to the owner of its directory.

        The user who tests is often root, and cinder-backup is not. Another
        user may still give it to the group, as a member of it.

        :param rights: those that it gets of the directory's
        """
        directory = os.stat(os.path.dirname(path))
        if rights:
            os.chmod(path, directory.st_mode & rights)
        try:
            os.chown(path, directory.st_uid, directory.st_gid)
        except PermissionError:
            with contextlib.suppress(PermissionError):
                os.chown(path, -1, directory.st_gid)

    def _path(self, container: str, name: str = '') -> str:
        path = os.path.realpath(os.path.join(self.root, container, name))
        # Also where a link leads elsewhere.
        if '/' in name or not (path.startswith(self.root + os.sep) or
                               (not self.has_containers and
                               not name and path == self.root)):
            raise base.StoreRefused(
                f'{container}/{name} is not below {self.root}')
        return path


class FilesystemStore(Directory, chunked.ChunkedStore):
    """The directory of Cinder's POSIX driver, or a share of its NFS driver.

    :param root: ``backup_posix_path``, or where the share is mounted
    """

    path_option = 'backup_posix_path'

    @classmethod
    def from_cinder(cls, conf: Any) -> Self:
        """Make it for a driver that is configured in cinder.conf."""
        return cls(conf.backup_posix_path)
