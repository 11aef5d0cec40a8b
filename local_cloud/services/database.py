# SPDX-License-Identifier: Apache-2.0

"""The database of Cinder, where it is on a server of the cloud.

Keystone and Glance are on SQLite always: no test loses their rows.
"""

import pathlib
from typing import Any

from local_cloud import settings
from local_cloud import sites
from local_cloud.machine import cloud_state
from local_cloud.servers import database_servers
from local_cloud.services import base

#: The kind without a server.
SQLITE = 'sqlite'
KINDS = (SQLITE, *sorted(database_servers.SERVERS))


def kind(state: cloud_state.State) -> str:
    """The kind of the databases of a cloud's Cinders."""
    return state.record.get('database', SQLITE)


def wanted(state: cloud_state.State) -> bool:
    """Check whether a cloud has a server of databases."""
    return kind(state) != SQLITE


def name_of(service: str) -> str:
    """The name of a service's database on a server."""
    return service.replace('-', '_')


def url(state: cloud_state.State, service: str) -> str:
    """The SQLAlchemy URL of a service's database."""
    if wanted(state) and service in (sites.FIRST.name, sites.SECOND.name):
        return Database(state).server.url(database=name_of(service))
    return f'sqlite:///{state.database(service)}?timeout=60'


def section(state: cloud_state.State, service: str) -> dict[str, Any]:
    """The section ``[database]`` of a service."""
    connection = url(state, service)
    if not connection.startswith(SQLITE):
        return {'connection': connection}
    # A power cut may take this cloud with it; it is for tests.
    return {'connection': connection, 'sqlite_synchronous': 'false'}


class Database(base.Service):
    """The server."""

    name = 'database'
    has_password = True

    @property
    def server(self) -> database_servers.Server:
        """It, as the installed programs serve it."""
        found = kind(self.state)
        return database_servers.SERVERS[found](
            self.state.data / found, self.state.record['ports'][self.name],
            self.state.record['passwords'][self.name])

    @property
    def dumped(self) -> pathlib.Path:
        """The file with Cinder's first, empty database."""
        return self.state.data / 'empty' / 'cinder.sql'

    def command(self, *descriptors: int) -> list[str]:
        return self.module(self.state.root, *descriptors)

    def ready(self) -> bool | str:
        return self.server.answers()

    def location(self) -> str:
        return (f'{kind(self.state)}://{settings.HOST}:'
                f'{self.state.record["ports"][self.name]}')

    def version(self) -> str:
        return self.server.version()

    def end_remains(self) -> None:
        if (self.name in self.state.record['ports'] and
                self.name in self.state.record['passwords']):
            self.server.end_remains()
