# SPDX-License-Identifier: Apache-2.0

"""The engines that carry histories out."""

from collections.abc import Collection
from collections.abc import Sequence
import contextlib
import dataclasses
from typing import Any
from typing import Protocol

#: The blocks of a volume, each with the number of its content; 0 is zeros.
Content = tuple[int, ...]
#: In place of a block that has no such content.
GARBAGE = -1
#: The blocks that the model writes into each GiB of a volume.
BLOCKS = 6
#: What happens to a stored object: a byte is another one, or it is no more.
CHANGED = 'changed'
GONE = 'gone'


class EngineError(Exception):
    """The cloud cannot be looked at: nothing can be said of the history."""


@dataclasses.dataclass(frozen=True)
class Answer:
    """An answer of the API.

    :ivar status: of HTTP
    :ivar body: decoded JSON, empty without any
    """

    status: int
    body: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def accepted(self) -> bool:
        return self.status < 400

    @property
    def text(self) -> str:
        """The reason of a refusal."""
        for value in self.body.values():
            if isinstance(value, dict) and 'message' in value:
                return str(value['message'])
        return ''


@dataclasses.dataclass(frozen=True)
class Request:
    """The arguments of :meth:`Engine.request`."""

    actor: str
    method: str
    path: str
    body: Any = None


@dataclasses.dataclass(frozen=True)
class View:
    """All that can be seen of a cloud between two steps.

    :ivar backups: what the API says of each, to an administrator, by id
    :ivar volumes: the status of each, by id
    :ivar usage: the used and the reserved quota, by project and resource
    :ivar stored: a digest of each object on the storage, by its name
    """

    backups: dict[str, dict[str, Any]]
    volumes: dict[str, str]
    usage: dict[str, dict[str, int]]
    stored: dict[str, str]


class Engine(Protocol):
    """A cloud that steps are carried out on.

    :ivar finds: the kinds of damage that its backup driver finds when it
        verifies what is stored; empty if it does not
    :ivar apart: each project has a storage of its own, in which the requests
        of another one find nothing
    """

    finds: Collection[str]
    apart: bool

    def request(self, actor: str, method: str, path: str,
                body: Any = None) -> Answer:
        """Send a request below ``/v3/<project>``, and return its answer."""

    def together(self, requests: Sequence['Request'], seed: int
                 ) -> list[Answer]:
        """Send requests at the same time.

        :param seed: decides how they meet, where that can be decided
        """

    def settle(self, killed_after: int | None = None) -> None:
        """Wait until all work that was asked for has ended.

        :param killed_after: cinder-backup dies there, after this number of
            transactions and messages, and is started again
        """

    def view(self) -> View:
        """Look at everything."""

    def create_volume(self, actor: str, size: int) -> str:
        """Make a volume of zeros, its size in GiB, and return its id."""

    def write(self, volume: str, content: Content) -> None:
        """Give a volume its content, :data:`BLOCKS` for each GiB."""

    def read(self, volume: str) -> Content:
        """The content of a volume or a snapshot."""

    def snapshot(self, actor: str, volume: str) -> str:
        """Make a snapshot of a volume, and return its id."""

    def extend_volume(self, volume: str, size: int) -> None:
        """Make a volume larger, in GiB, with zeros at its end."""

    def attach(self, volume: str) -> None:
        """Have a server use a volume, which is available."""

    def detach(self, volume: str) -> None:
        """Have no server use a volume any more."""

    def transfer(self, volume: str, giver: str, taker: str) -> None:
        """Hand a volume, with its snapshots, to another project.

        :param giver: an actor of the project that has it
        :param taker: an actor of the other one
        """

    def set_quota(self, actor: str, project: str, resource: str, limit: int
                  ) -> Answer:
        """Send the request for another limit of a project.

        :param resource: as in the usage of a :class:`View`
        :param limit: -1 for none
        """

    def delete_volume(self, volume: str) -> None:
        """Remove a volume and its snapshots."""

    def lose(self, backups: list[str], soft: bool) -> None:
        """Lose rows, and put the quota right.

        :param soft: leave them, marked as deleted
        """

    def lose_database(self) -> None:
        """Have the services begin with a new database.

        No row is left of any backup, volume, snapshot or quota.
        """

    def second_site(self, objects: Collection[str]
                    ) -> contextlib.AbstractContextManager[None]:
        """Be at another site in a context.

        It has a database of its own, which is empty, and a storage of its
        own with copies of some objects. The first site is as it was
        afterwards.

        :param objects: the names of these objects, as :class:`View` has them
        """

    def away(self, after: int) -> contextlib.AbstractContextManager[None]:
        """Have the storage refuse the driver in a context.

        Work that goes on trying has not ended.

        :param after: first it answers this many times
        """

    def damage(self, objects: list[str], gone: bool = False) -> None:
        """Change a byte of each of these objects, until :meth:`repair`.

        :param gone: remove them
        """

    def repair(self) -> None:
        """Undo all damage."""
