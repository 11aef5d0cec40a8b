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

"""The server with the databases of a cloud's Cinders, where it has one.

On SQLite there is none. Keystone and Glance are on SQLite always: no test
loses anything of theirs.
"""

import pathlib
import sys

from local_cloud import settings
from local_cloud.machine import state as cloud_state
from local_cloud.servers import database_servers

KINDS = (settings.SQLITE, *sorted(database_servers.SERVERS))
#: The port that it listens on, by name.
NAME = 'database'
SOCKETS = (NAME,)


def wanted(state: cloud_state.State) -> bool:
    """Whether a cloud has one."""
    return settings.database_kind(state) != settings.SQLITE


def missing(kind: str) -> str:
    """What this machine lacks for it: a sentence; empty if nothing."""
    if kind == settings.SQLITE:
        return ''
    return database_servers.SERVERS[kind].missing()


def client(kind: str) -> tuple[str, str]:
    """What must be importable for it, and the extra that brings it."""
    if kind == settings.SQLITE:
        return '', ''
    found = database_servers.SERVERS[kind]
    return found.MODULE, found.EXTRA


def distributions(kind: str) -> tuple[str, ...]:
    """What on PyPI has that module."""
    return (() if kind == settings.SQLITE else
            database_servers.SERVERS[kind].DISTRIBUTIONS)


def server(state: cloud_state.State) -> database_servers.Server:
    """The server of a cloud."""
    kind = settings.database_kind(state)
    return database_servers.SERVERS[kind](
        state.data / kind, state.record['ports'][NAME],
        state.record['passwords'][NAME])


def dumped(state: cloud_state.State) -> pathlib.Path:
    """Where the database is kept that Cinder had at first."""
    return state.data / 'empty' / 'cinder.sql'


def configure(state: cloud_state.State) -> None:
    """Nothing: its directory is made when it starts."""


def environment(state: cloud_state.State) -> dict[str, str]:
    """Variables that the server needs: none."""
    return {}


def serve_command(state: cloud_state.State, *descriptors: int) -> list[str]:
    """The program that serves them."""
    descriptor, = descriptors
    return [sys.executable, '-m', 'local_cloud.inside.database',
            str(state.root), str(descriptor)]


def end_remains(state: cloud_state.State) -> None:
    """End what is left of a server that was killed."""
    if NAME in state.record['ports'] and NAME in state.record['passwords']:
        server(state).end_remains()


def ready(state: cloud_state.State) -> bool | str:
    """Whether it lets anybody in, or what it said instead."""
    return server(state).answers()


def renew(state: cloud_state.State, service: str) -> None:
    """Replace a Cinder's database by the one that it had at first.

    :param state: the cloud, in which that Cinder does not run
    :param service: its name
    """
    name = settings.database_name(service)
    server(state).create(name)
    server(state).load(name, dumped(state))


def address(state: cloud_state.State) -> str:
    """Where it is, as a person would write it."""
    return (f'{settings.database_kind(state)}://{settings.HOST}:'
            f'{state.record["ports"][NAME]}')


def version(state: cloud_state.State) -> str:
    """The release of the server."""
    return server(state).version()
