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

"""How a test damages a real store."""

from collections.abc import Iterator
import contextlib
import os
import shutil
from typing import Any


class ObjectStore:
    """What a vendor implements to have its store damaged by the contract.

    It must not use the driver under test. Containers and names are those of
    the driver.
    """

    def list(self, container: str, prefix: str = '') -> list[str]:
        """Names of the objects that begin with a prefix, sorted."""
        raise NotImplementedError

    def read(self, container: str, name: str) -> bytes:
        """The stored bytes of an object."""
        raise NotImplementedError

    def write(self, container: str, name: str, data: bytes) -> None:
        """Make an object, or give it other bytes."""
        raise NotImplementedError

    def delete(self, container: str, name: str) -> None:
        """Remove an object."""
        raise NotImplementedError

    def contents(self, container: str) -> dict[str, Any]:
        """All objects of a container, each with what stands for its bytes.

        :returns: the bytes by name; a store that lists checksums may return
            these, and spare the tests most of their requests
        """
        return {name: self.read(container, name)
                for name in self.list(container)}

    @contextlib.contextmanager
    def silenced(self) -> Iterator[bool]:
        """Keep the store from answering the driver for a while.

        Not for a store that others use.

        :returns: whether that was done; what needs it is left out otherwise
        """
        yield False


class DirectoryStore(ObjectStore):
    """A directory with a directory for each container.

    :param root: the directory of the driver
    """

    def __init__(self, root: str):
        self.root = root

    def _path(self, container: str, name: str) -> str:
        return os.path.join(self.root, container, name)

    def list(self, container: str, prefix: str = '') -> list[str]:
        try:
            names = os.listdir(os.path.join(self.root, container))
        except FileNotFoundError:
            return []
        return sorted(name for name in names if name.startswith(prefix))

    def read(self, container: str, name: str) -> bytes:
        with open(self._path(container, name), 'rb') as stream:
            return stream.read()

    def write(self, container: str, name: str, data: bytes) -> None:
        with open(self._path(container, name), 'wb') as stream:
            stream.write(data)

    def delete(self, container: str, name: str) -> None:
        os.remove(self._path(container, name))


class OwnDirectoryStore(DirectoryStore):
    """A directory that nobody else uses, so that it may go and come back."""

    @contextlib.contextmanager
    def silenced(self) -> Iterator[bool]:
        away = f'{self.root}.away'
        os.rename(self.root, away)
        try:
            yield True
        finally:
            # A driver may have made another one.
            shutil.rmtree(self.root, ignore_errors=True)
            os.rename(away, self.root)


def own_posix(conf: Any) -> OwnDirectoryStore:
    """The same as :func:`posix`, where nobody else uses the directory."""
    return OwnDirectoryStore(conf.backup_posix_path)


def posix(conf: Any) -> DirectoryStore:
    """The directory of Cinder's POSIX driver and of its like.

    :param conf: Cinder's configuration
    """
    return DirectoryStore(conf.backup_posix_path)
