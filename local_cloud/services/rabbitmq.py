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

"""RabbitMQ: one node, with a virtual host for each Cinder."""

import base64
import hashlib
import json
import os
import pathlib
import re
import secrets
import shutil
import socket
import sys

from local_cloud import settings
from local_cloud import sites
from local_cloud.machine import daemons
from local_cloud.machine import state as cloud_state

NAME = 'rabbitmq'
#: Of the broker; of the register of Erlang's nodes; of what nodes and their
#: tools talk to each other.
SOCKETS = (NAME, f'{NAME}-epmd', f'{NAME}-nodes')
PACKAGE = 'rabbitmq-server'
#: What the services of a Cinder talk over.
MEMORY = 'memory'
KINDS = (MEMORY, NAME)

_USER = 'cinder'
# Debian's own in PATH is a wrapper, which is root's and runs as another user.
_PLACES = '/usr/lib/rabbitmq/bin'
_NODE = 'rabbit@localhost'


def wanted(state: cloud_state.State) -> bool:
    """Whether a cloud has one."""
    return state.record.get('bus') == NAME


def _program() -> str | None:
    return shutil.which('rabbitmq-server', path=(
        f'{_PLACES}:{os.environ.get("PATH", "")}:/usr/local/sbin:/usr/sbin'))


def missing(kind: str = NAME) -> str:
    """What this machine lacks for it: a sentence; empty if nothing."""
    if kind == MEMORY:
        return ''
    lacking = [name for name, path in (
        ('rabbitmq-server', _program()), ('erl', shutil.which('erl')))
        if path is None]
    if not lacking:
        return ''
    return (f'RabbitMQ is not installed ({", ".join(lacking)} not found). On '
            f'Debian: apt-get install --no-install-recommends {PACKAGE}')


def _directory(state: cloud_state.State) -> pathlib.Path:
    return state.data / NAME


def transport_url(state: cloud_state.State, site: sites.Site) -> str:
    """What ``cinder.conf`` says of it."""
    return (f'rabbit://{_USER}:{state.record["passwords"][NAME]}@'
            f'{settings.HOST}:{state.record["ports"][NAME]}/{site.name}')


def configure(state: cloud_state.State) -> None:
    """Write its configuration, its account and its virtual hosts."""
    directory = _directory(state)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    ports = state.record['ports']
    definitions = directory / 'definitions.json'
    _write(definitions, json.dumps({
        'users': [{
            'name': _USER, 'tags': '',
            'hashing_algorithm': 'rabbit_password_hashing_sha256',
            'password_hash': _hash(state.record['passwords'][NAME])}],
        'vhosts': [{'name': site.name}
                   for site in (sites.FIRST, sites.SECOND)],
        'permissions': [{
            'user': _USER, 'vhost': site.name,
            'configure': '.*', 'write': '.*', 'read': '.*'}
            for site in (sites.FIRST, sites.SECOND)],
    }))
    _write(directory / 'rabbitmq.conf', '\n'.join((
        f'listeners.tcp.1 = {settings.HOST}:{ports[NAME]}',
        f'load_definitions = {definitions}',
        'log.console = true',
        f'log.console.level = '
        f'{"debug" if state.record["debug"] else "info"}',
        'log.file = false',
        # Of the disk and the memory of this machine a cloud takes little;
        # what others leave of them is not to stop it.
        'disk_free_limit.absolute = 1MB',
        'vm_memory_high_watermark.absolute = 512MB', '')))
    _write(directory / 'enabled_plugins', '[].\n')
    _write(directory / 'environment', '')
    # Whoever has it may do anything with the node, and its length is free.
    cookie = directory / '.erlang.cookie'
    _write(cookie, secrets.token_hex(20))
    cookie.chmod(0o400)


def _write(path: pathlib.Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), 'w') as file:
        file.write(text)


def _hash(password: str) -> str:
    salt = secrets.token_bytes(4)
    return base64.b64encode(salt + hashlib.sha256(
        salt + password.encode()).digest()).decode()


def environment(state: cloud_state.State) -> dict[str, str]:
    """Variables that make the node this cloud's own."""
    directory = _directory(state)
    ports = state.record['ports']
    return {
        'HOME': str(directory),
        'ERL_EPMD_ADDRESS': settings.HOST,
        'ERL_EPMD_PORT': str(ports[SOCKETS[1]]),
        'RABBITMQ_NODENAME': _NODE,
        'RABBITMQ_DIST_PORT': str(ports[SOCKETS[2]]),
        'RABBITMQ_CONFIG_FILE': str(directory / 'rabbitmq.conf'),
        'RABBITMQ_ADVANCED_CONFIG_FILE': str(directory / 'advanced.config'),
        'RABBITMQ_CONF_ENV_FILE': str(directory / 'environment'),
        'RABBITMQ_ENABLED_PLUGINS_FILE': str(directory / 'enabled_plugins'),
        'RABBITMQ_MNESIA_BASE': str(directory / 'mnesia'),
        'RABBITMQ_LOG_BASE': str(directory),
        'RABBITMQ_LOGS': '-',
        'RABBITMQ_PID_FILE': str(directory / 'pid'),
        'RABBITMQ_GENERATED_CONFIG_DIR': str(directory / 'config'),
        # Its script becomes the node, instead of waiting for it.
        'RABBITMQ_ALLOW_INPUT': '1',
        'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS': (
            # No thread of it spins while it waits for work.
            '-noinput +S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none '
            '-kernel inet_dist_use_interface '
            f'{{{settings.HOST.replace(".", ",")}}}'),
    }


def serve_command(state: cloud_state.State, *descriptors: int) -> list[str]:
    """The program that becomes the node."""
    return [sys.executable, '-m', 'local_cloud.inside.rabbitmq',
            ','.join(map(str, descriptors)), _program() or 'rabbitmq-server']


def end_remains(state: cloud_state.State) -> None:
    """End the register of nodes, which outlives the node that started it."""
    if state.record.get('id'):
        daemons.stop([one for one in daemons.all_of(state)
                      if one.name() == 'epmd'], grace=0)


def ready(state: cloud_state.State) -> bool | str:
    """Whether it begins a conversation, or what it said instead."""
    try:
        with socket.create_connection(
                (settings.HOST, state.record['ports'][NAME]),
                timeout=1) as client:
            client.sendall(b'AMQP\0\0\x09\x01')
            answer = client.recv(11, socket.MSG_WAITALL)
    except OSError as error:
        return str(error)
    # A method on channel 0, which is Connection.Start.
    return ((answer[:3], answer[7:]) == (b'\1\0\0', b'\0\x0a\0\x0a') or
            f'it answered {answer!r}')


def address(state: cloud_state.State) -> str:
    """Where the broker is, as a person would write it."""
    return f'amqp://{settings.HOST}:{state.record["ports"][NAME]}'


def version(state: cloud_state.State) -> str:
    """The release of the broker."""
    # Read and not asked: its tools start another Erlang for a second.
    found = [match[1] for path in pathlib.Path(
        _program() or _PLACES).resolve().parents[1].glob('**/rabbit-*')
        if (match := re.fullmatch(r'rabbit-([0-9.]+)', path.name))]
    return found[0] if found else 'unknown'
