# SPDX-License-Identifier: Apache-2.0

"""The interface of a service of a cloud."""

from collections.abc import Sequence
from importlib import metadata
import sys
from typing import ClassVar

import requests

from local_cloud import settings
from local_cloud.machine import cloud_state


def inside(module: str, *words: object, python: str = sys.executable
           ) -> list[str]:
    """A program in :mod:`local_cloud.inside`.

    :param python: the interpreter, whose packages it has
    """
    # Without the current directory, which is another one for each cloud: the
    # template could not keep what stevedore has found on the path.
    return [python, '-P', '-m', f'local_cloud.inside.{module}',
            *map(str, words)]


class Service:
    """A service of a cloud, which has a process.

    :ivar name: of its process, its log and its first port
    :ivar ports: names of the ports that are bound before it starts; its
        process inherits their sockets
    """

    name: str
    #: Names of its other ports.
    more_ports: ClassVar[tuple[str, ...]] = ()
    #: It gets a password, for those that it serves.
    has_password: ClassVar[bool] = False
    #: The path at which its API answers as soon as it is ready.
    health: ClassVar[str] = ''

    def __init__(self, state: cloud_state.State):
        self.state = state
        self.ports: tuple[str, ...] = (self.name, *self.more_ports)

    def configure(self) -> None:
        """Write its configuration, once for each cloud."""

    def environment(self) -> dict[str, str]:
        """Variables of its process, in addition to those of all."""
        return {}

    def command(self, *descriptors: int) -> list[str]:
        """The program that serves it.

        :param descriptors: the inherited sockets, in the order of ``ports``
        """
        return self.module('serve', *descriptors)

    def module(self, *words: object) -> list[str]:
        """Its program in :mod:`local_cloud.inside`."""
        return inside(self.name, *words)

    def reserving(self, descriptors: Sequence[int], *command: str
                  ) -> list[str]:
        """The program that becomes one which opens its ports itself."""
        return inside('reserve', ','.join(map(str, descriptors)), *command)

    def ready(self) -> bool | str:
        """True if it answers by its protocol, else the reason why not."""
        try:
            answer = requests.get(
                settings.url(self.state, self.name) + self.health, timeout=5)
        except requests.RequestException as error:
            return str(error)
        return answer.ok or f'it answered {answer.status_code}'

    def address(self) -> str:
        """The address at which it listens; empty if it never did."""
        if not {*self.ports} <= {*self.state.record['ports']}:
            return ''
        return self.location()

    def location(self) -> str:
        """Its address, once it has its ports."""
        return settings.url(self.state, self.name)

    def version(self) -> str:
        """The release that is installed."""
        return metadata.version(self.name)

    def end_remains(self) -> None:
        """End what a kill of its process has left running."""


class Bootstrapped(Service):
    """A service with a database that its own program fills once."""

    def bootstrap_command(self) -> list[str]:
        """The program that makes the schema and what else it starts with."""
        return self.module('bootstrap')
