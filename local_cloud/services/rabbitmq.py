# SPDX-License-Identifier: Apache-2.0

"""RabbitMQ, which the services of a Cinder talk over in place of memory."""

import base64
import hashlib
import json
import os
import pathlib
import re
import secrets
import socket

from local_cloud import settings
from local_cloud import sites
from local_cloud.machine import cloud_state
from local_cloud.machine import daemons
from local_cloud.machine import programs
from local_cloud.services import base

#: The kind without a broker: all of a Cinder is one process.
MEMORY = 'memory'
KINDS = (MEMORY, 'rabbitmq')

_USER = 'cinder'
# Debian's own in PATH is a wrapper, which is root's and runs as another user.
_PLACES = '/usr/lib/rabbitmq/bin'
SOFTWARE = programs.Software(
    'RabbitMQ', ('rabbitmq-server',), ('rabbitmq-server', 'erl'),
    places=(_PLACES,))


def wanted(state: cloud_state.State) -> bool:
    """Check whether a cloud has a broker."""
    return state.record.get('bus') == RabbitMQ.name


class RabbitMQ(base.Service):
    """The broker, the register of Erlang's nodes and its node.

    The nodes and their tools talk to each other through the third port.
    """

    name = 'rabbitmq'
    has_password = True
    more_ports = ('rabbitmq-epmd', 'rabbitmq-nodes')

    @property
    def _directory(self) -> pathlib.Path:
        return self.state.data / self.name

    def transport_url(self, site: sites.Site) -> str:
        """The bus of a site, for ``cinder.conf``."""
        return (f'rabbit://{_USER}:{self.state.record["passwords"][self.name]}'
                f'@{settings.HOST}:{self.state.record["ports"][self.name]}'
                f'/{site.name}')

    def configure(self) -> None:
        directory = self._directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        names = [site.name for site in (sites.FIRST, sites.SECOND)]
        definitions = directory / 'definitions.json'
        _write(definitions, json.dumps({
            'users': [{
                'name': _USER, 'tags': '',
                'hashing_algorithm': 'rabbit_password_hashing_sha256',
                'password_hash': _hash(
                    self.state.record['passwords'][self.name])}],
            'vhosts': [{'name': name} for name in names],
            'permissions': [{
                'user': _USER, 'vhost': name,
                'configure': '.*', 'write': '.*', 'read': '.*'}
                for name in names],
        }))
        _write(directory / 'rabbitmq.conf', '\n'.join((
            f'listeners.tcp.1 = {settings.HOST}:'
            f'{self.state.record["ports"][self.name]}',
            f'load_definitions = {definitions}',
            'log.console = true',
            f'log.console.level = '
            f'{"debug" if self.state.record["debug"] else "info"}',
            'log.file = false',
            # Of the disk and the memory of this machine a cloud takes little;
            # what others leave of them is not to stop it.
            'disk_free_limit.absolute = 1MB',
            'vm_memory_high_watermark.absolute = 512MB', '')))
        _write(directory / 'enabled_plugins', '[].\n')
        _write(directory / 'environment', '')
        # A program that has it may do anything with the node.
        cookie = directory / '.erlang.cookie'
        _write(cookie, secrets.token_hex(20))
        cookie.chmod(0o400)

    def environment(self) -> dict[str, str]:
        directory = self._directory
        _, epmd, nodes = (self.state.record['ports'][name]
                          for name in self.ports)
        return {
            'HOME': str(directory),
            'ERL_EPMD_ADDRESS': settings.HOST,
            'ERL_EPMD_PORT': str(epmd),
            'RABBITMQ_NODENAME': 'rabbit@localhost',
            'RABBITMQ_DIST_PORT': str(nodes),
            'RABBITMQ_CONFIG_FILE': f'{directory}/rabbitmq.conf',
            'RABBITMQ_ADVANCED_CONFIG_FILE': f'{directory}/advanced.config',
            'RABBITMQ_CONF_ENV_FILE': f'{directory}/environment',
            'RABBITMQ_ENABLED_PLUGINS_FILE': f'{directory}/enabled_plugins',
            'RABBITMQ_MNESIA_BASE': f'{directory}/mnesia',
            'RABBITMQ_LOG_BASE': str(directory),
            'RABBITMQ_LOGS': '-',
            'RABBITMQ_PID_FILE': f'{directory}/pid',
            'RABBITMQ_GENERATED_CONFIG_DIR': f'{directory}/config',
            # Its script becomes the node, instead of waiting for it.
            'RABBITMQ_ALLOW_INPUT': '1',
            'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS': (
                # No thread of it spins while it waits for work.
                '-noinput +S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none '
                '-kernel inet_dist_use_interface '
                f'{{{settings.HOST.replace(".", ",")}}}'),
        }

    def command(self, *descriptors: int) -> list[str]:
        return self.reserving(descriptors, _program())

    def end_remains(self) -> None:
        # The register of nodes outlives the node that started it.
        if self.state.record.get('id'):
            daemons.stop([process for process in daemons.all_of(self.state)
                          if process.name() == 'epmd'], grace=0)

    def ready(self) -> bool | str:
        try:
            with socket.create_connection(
                    (settings.HOST, self.state.record['ports'][self.name]),
                    timeout=1) as client:
                client.sendall(b'AMQP\0\0\x09\x01')
                answer = client.recv(11, socket.MSG_WAITALL)
        except OSError as error:
            return str(error)
        # A method on channel 0, which is Connection.Start.
        return ((answer[:3], answer[7:]) == (b'\1\0\0', b'\0\x0a\0\x0a') or
                f'it answered {answer!r}')

    def location(self) -> str:
        return f'amqp://{settings.HOST}:{self.state.record["ports"][self.name]}'

    def version(self) -> str:
        # From the names of its files: its tools start another Erlang.
        found = [match[1] for path in pathlib.Path(
            _program()).resolve().parents[1].glob('**/rabbit-*')
            if (match := re.fullmatch(r'rabbit-([0-9.]+)', path.name))]
        return found[0] if found else 'unknown'


def _program() -> str:
    return SOFTWARE.find('rabbitmq-server') or f'{_PLACES}/rabbitmq-server'


def _write(path: pathlib.Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), 'w') as file:
        file.write(text)


def _hash(password: str) -> str:
    salt = secrets.token_bytes(4)
    return base64.b64encode(salt + hashlib.sha256(
        salt + password.encode()).digest()).decode()
