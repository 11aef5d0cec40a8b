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


"""Backups in a directory: Cinder's POSIX and NFS drivers and their like."""

from collections.abc import Callable
from collections.abc import Sequence
import contextlib
import os
import shutil
from typing import Any
from typing import Self

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.stores import chunked


class FilesystemStore(chunked.ChunkedStore):
    """A directory with a directory for each container."""

    can_copy = True

    def __init__(self, root: str, option: str = 'backup_store_path') -> None:
        """Take what is needed.

        :param root: the directory; nothing outside of it is touched
        :param option: what it was configured by
        """
        self.root = os.path.realpath(root)
        self._option = option

    @classmethod
    def from_config(cls, conf: Any, manager: Callable[[], Any]) -> Self:
        """Make the adapter that a configuration describes.

        :param conf: Tempest's configuration
        :param manager: not used
        :raises InvalidConfiguration: if the path is missing
        """
        return cls._from_option(conf, 'backup_store_path')

    @classmethod
    def second_from_config(cls, conf: Any, manager: Callable[[], Any]
                           ) -> Self:
        """Make the adapter of the second region's own directory.

        :param conf: Tempest's configuration
        :param manager: not used
        :raises InvalidConfiguration: if the path is missing
        """
        return cls._from_option(
            conf, 'second_backup_store_path',
            '[cinder_backup_recovery_feature_enabled] second_store is true '
            'and ')

    @classmethod
    def _from_option(cls, conf: Any, option: str, because: str = '') -> Self:
        path = getattr(conf.cinder_backup_recovery, option)
        if not path:
            raise exceptions.InvalidConfiguration(
                f'{because}[cinder_backup_recovery] backup_store is '
                f'filesystem, but {option} is not set')
        return cls(path, option)

    def check(self) -> None:
        """Prove that the directory is there and may be written to.

        :raises InvalidConfiguration: if not
        """
        if not os.path.isdir(self.root) or not os.access(
                self.root, os.R_OK | os.W_OK | os.X_OK):
            raise exceptions.InvalidConfiguration(
                f'[cinder_backup_recovery] {self._option} = {self.root} '
                f'is no directory that this user may write to')

    def names(self, container: str, prefix: str) -> Sequence[str]:
        """Name the files that begin with a prefix.

        :param container: a directory below the root
        :param prefix: not empty
        """
        try:
            names = os.listdir(self._path(container))
        except FileNotFoundError:
            return []
        except OSError as exc:
            raise _failed(exc) from None
        return [name for name in names if name.startswith(prefix)]

    def read(self, container: str, name: str) -> bytes | None:
        """Read a file, None if there is none.

        :param container: its directory
        :param name: its name
        """
        try:
            with open(self._path(container, name), 'rb') as stream:
                return stream.read()
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise _failed(exc) from None

    def write(self, container: str, name: str, data: bytes) -> None:
        """Make a file, or give it other bytes.

        It keeps its owner and mode: cinder-backup must be able to read it.

        :param container: its directory
        :param name: its name
        :param data: all of its bytes
        """
        path = self._path(container, name)
        new = not os.path.exists(path)
        try:
            with open(path, 'wb') as stream:
                stream.write(data)
            if new:
                self._adopt(path)
        except OSError as exc:
            raise _failed(exc) from None

    def delete(self, container: str, name: str) -> None:
        """Remove a file, if there is one.

        :param container: its directory
        :param name: its name
        """
        try:
            with contextlib.suppress(FileNotFoundError):
                os.remove(self._path(container, name))
        except OSError as exc:
            raise _failed(exc) from None

    def has_container(self, container: str) -> bool:
        """Look whether there is a directory.

        :param container: its path below the root
        """
        return os.path.isdir(self._path(container))

    def make_container(self, container: str) -> None:
        """Make a directory and those above it, if there are none.

        :param container: its path below the root
        """
        path = self._path(container)
        missing = []
        while not os.path.isdir(path):
            missing.append(path)
            path = os.path.dirname(path)
        try:
            for one in reversed(missing):
                os.mkdir(one)
                self._adopt(one, 0o777)
        except OSError as exc:
            raise _failed(exc) from None

    def remove_container(self, container: str) -> None:
        """Remove a directory, if there is one and nothing is in it.

        Those above it stay, as Cinder's drivers leave them: the next backup
        may need them at this very moment.

        :param container: its path below the root
        """
        path = self._path(container)
        try:
            with contextlib.suppress(FileNotFoundError):
                if not os.listdir(path):
                    os.rmdir(path)
        except OSError as exc:
            raise _failed(exc) from None

    def copy_object(self, container: str, name: str, to: Self) -> None:
        """Copy a file with its mode and its times.

        :param container: its directory below either root
        :param name: its name
        :param to: the other directory
        """
        path = to._path(container, name)
        try:
            shutil.copy2(self._path(container, name), path)
            self._give(path)
        except OSError as exc:
            raise _failed(exc) from None

    @classmethod
    def _adopt(cls, path: str, rights: int = 0o666) -> None:
        """Give what is new to the owner of its directory, with all rights."""
        os.chmod(path, os.stat(os.path.dirname(path)).st_mode & rights)
        cls._give(path)

    @staticmethod
    def _give(path: str) -> None:
        """Give what is new to the owner of its directory.

        Who tests is often root, and cinder-backup is not.
        """
        owner = os.stat(os.path.dirname(path))
        with contextlib.suppress(PermissionError):
            os.chown(path, owner.st_uid, owner.st_gid)

    def _path(self, container: str, name: str = '') -> str:
        path = os.path.realpath(os.path.join(self.root, container, name))
        # Also where a link leads elsewhere.
        if '/' in name or not path.startswith(self.root + os.sep):
            raise exceptions.StoreRefused(
                f'{container}/{name} is not below {self.root}')
        return path


def _failed(exc: OSError) -> exceptions.StoreFailed:
    return exceptions.StoreFailed(f'{exc.filename}: {exc.strerror}')
