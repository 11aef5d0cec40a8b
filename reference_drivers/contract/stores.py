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
import socket
from typing import Any
import urllib.parse

#: While it lasts, the store does not answer.
Away = contextlib.AbstractContextManager[None]


@contextlib.contextmanager
def replaced(conf: Any, option: str, value: Any, group: str | None = None
             ) -> Iterator[None]:
    """Give an option of Cinder's configuration another value for a while.

    The driver must read it for each request, as Cinder makes a driver for
    each.

    :param conf: the configuration
    :param option: the option, of [DEFAULT] unless a group is named
    :param value: its value
    """
    before = getattr(conf[group] if group else conf, option)
    conf.set_override(option, value, group)
    try:
        yield
    finally:
        conf.set_override(option, before, group)


@contextlib.contextmanager
def deaf(hanging: bool = False) -> Iterator[int]:
    """A port of loopback that never answers.

    :param hanging: whether it takes connections; they are refused otherwise
    :returns: its number
    """
    with socket.socket() as one:
        # Who does not listen has the port all the same, and refuses.
        one.bind(('127.0.0.1', 0))
        if hanging:
            one.listen()
        yield one.getsockname()[1]


@contextlib.contextmanager
def redirected(conf: Any, option: str, hanging: bool = False,
               group: str | None = None) -> Iterator[None]:
    """Point the driver to a port that never answers, and back again.

    :param conf: Cinder's configuration
    :param option: the driver's option that has the address of the store, as
        a URL or as host:port; of [DEFAULT] unless a group is named
    :param hanging: whether connections are taken; they are refused otherwise
    """
    value = str(getattr(conf[group] if group else conf, option))
    with deaf(hanging) as port:
        address = f'127.0.0.1:{port}'
        if '://' in value:
            address = urllib.parse.urlsplit(value)._replace(
                netloc=address).geturl()
        with replaced(conf, option, address, group):
            yield


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

    def locate(self, backup: Any) -> tuple[str, str]:
        """Where the objects of a backup are.

        By default as Cinder's drivers write it into the row. A driver that
        has other fields for it needs an adapter that knows them.

        :param backup: its row
        :returns: the container, and with what the names of all its objects
            begin, and of no other backup's
        """
        return backup.container or '', backup.service_metadata or backup.id

    def stopped(self) -> Away | None:
        """Stop the store for the driver: no connection, no directory.

        What others have on the store must not be harmed. For a store that is
        reached over TCP :func:`redirected` does it, for a directory
        :func:`replaced`.

        :returns: a context manager; None where it cannot be done, so that
            the driver does not earn the tier "verified"
        """
        return None

    def paused(self) -> Away | None:
        """Make the store hang for the driver: it takes requests and is mute.

        :returns: a context manager, None where it cannot be done
        """
        return None


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


class PosixStore(DirectoryStore):
    """The directory of Cinder's POSIX driver and of its like.

    :param conf: Cinder's configuration
    """

    def __init__(self, conf: Any):
        super().__init__(conf.backup_posix_path)
        self.conf = conf

    def stopped(self) -> Away | None:
        # As where its file system is not mounted; what others have in the
        # directory stays where it is.
        return replaced(self.conf, 'backup_posix_path',
                        f'{self.root}.not-mounted')


posix = PosixStore
