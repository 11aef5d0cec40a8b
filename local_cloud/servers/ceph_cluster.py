# SPDX-License-Identifier: Apache-2.0

"""A Ceph cluster in one directory: one monitor and one OSD, no systemd.

Real daemons from the distribution's packages, on the loopback interface and
on free ports, with cephx. Nothing is replicated: it is for tests.
"""

import base64
from collections.abc import Sequence
import json
import os
import pathlib
import struct
import subprocess
import time
from typing import Any
import uuid

from local_cloud import exceptions
from local_cloud.machine import daemons
from local_cloud.machine import loopback
from local_cloud.servers import ceph_packages
from local_cloud.servers import group

USER = 'cinder'
"""The user of volume and backup drivers."""
GATEWAY = 'gateway'
"""The user of a RADOS Gateway, which makes its pools itself."""

_CLIENT = pathlib.Path(__file__).parents[1] / 'inside' / 'ceph_client.py'
_READY_TIMEOUT = 60


def _key() -> str:
    """A new secret, as cephx writes it."""
    secret = os.urandom(16)
    return base64.b64encode(struct.pack(
        '<hiih', 1, int(time.time()), 0, len(secret)) + secret).decode()


def _write_keyring(path: pathlib.Path,
                   users: dict[str, dict[str, str]]) -> None:
    lines = []
    for user, options in users.items():
        lines.append(f'[{user}]')
        lines += [f'\t{name} = {value}' for name, value in options.items()]
    with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), 'w') as file:
        file.write('\n'.join(lines) + '\n')


class Cluster(group.Group):
    """One cluster.

    :param directory: its own; made by :meth:`start`
    :param pools: names of the pools
    :param store: ``memstore`` keeps all data in memory, and on the disk what
        it had when it was stopped in order; ``bluestore`` has a file of the
        directory, and survives a kill
    :param capacity: bytes that the OSD can hold
    :param port: of the monitor, else one that is free
    :param logs: directory of the daemons' logs, else ``directory``
    :param tied: kill the daemons when this program ends, however it ends
    :ivar conf: its configuration, for clients
    :ivar keyring: the key of :data:`USER` and no other
    """

    def __init__(self, directory: str | os.PathLike,
                 pools: Sequence[str] = ('volumes', 'backups'),
                 store: str = 'memstore', capacity: int = 4 << 30,
                 port: int | None = None,
                 logs: str | os.PathLike | None = None, tied: bool = False):
        if store not in ('memstore', 'bluestore'):
            raise ValueError(f'{store!r} is not a store of an OSD')
        super().__init__(directory, 'ceph.conf', port or 0)
        self.pools = tuple(pools)
        self.store = store
        self.capacity = capacity
        self.user = USER
        self.keyring = self.directory / f'ceph.client.{USER}.keyring'
        self._logs = pathlib.Path(logs or directory)
        self._tied = tied

    def _missing(self) -> str:
        return ceph_packages.missing()

    def _start(self, new: bool) -> None:
        if new:
            self._make()
        self._daemon('mon', 'ceph-mon', '-f', '-i', 'a')
        # After a kill the monitor takes the old OSD for alive, and clients
        # wait for that one's answer.
        self._client(self._first_commands() if new else
                     [{'prefix': 'osd down', 'ids': ['0']}], None)
        self._daemon('osd', 'ceph-osd', '-f', '-i', '0')

    def _wait_until_ready(self) -> None:
        self._client([], list(self.pools))

    def check(self, timeout: float = 5) -> None:
        """Check whether it answers and every pool can be written to.

        :raises ServiceFailed: saying what it does not do
        """
        self._client([], list(self.pools), timeout)

    # How it is made

    def _make(self) -> None:
        (self.directory / 'mon').mkdir(mode=0o700, parents=True)
        (self.directory / 'osd').mkdir(mode=0o700)
        self._uuid = str(uuid.uuid4())
        self._write_conf()
        users = {
            'mon.': {'mon': 'allow *'},
            'client.admin': {'mon': 'allow *', 'osd': 'allow *',
                             'mgr': 'allow *', 'mds': 'allow *'},
            f'client.{USER}': {'mon': 'profile rbd', 'osd': 'profile rbd'},
            f'client.{GATEWAY}': {'mon': 'allow rw', 'osd': 'allow rwx'},
            'osd.0': {'mon': 'allow profile osd', 'osd': 'allow *'},
        }
        keys = {user: _key() for user in users}
        _write_keyring(self.directory / 'keyring', {
            user: {'key': keys[user], **{
                f'caps {kind}': f'"{cap}"' for kind, cap in caps.items()}}
            for user, caps in users.items()})
        _write_keyring(self.keyring, {
            f'client.{USER}': {'key': keys[f'client.{USER}']}})
        # memstore does not write it, and does not start without it.
        (self.directory / 'osd' / 'type').write_text(f'{self.store}\n')
        monmap = self.directory / 'monmap'
        # The monitor keeps what the keyring says as its first users.
        self._run(['monmaptool', '--create', '--fsid', self._fsid,
                   '--addv', 'a', self._mon_host,
                   '--set-min-mon-release', '15', str(monmap)])
        for name, arguments in (
                ('ceph-mon', ['-i', 'a']),
                ('ceph-osd', ['-i', '0', '--osd-uuid', self._uuid])):
            # No monitor runs yet that could be asked for its options.
            self._run([name, '--mkfs', '--no-mon-config', *arguments,
                       '--monmap', str(monmap), '--conf', str(self.conf),
                       '--keyring', str(self.directory / 'keyring')])

    def _write_conf(self) -> None:
        self._fsid = str(uuid.uuid4())
        self._mon_host = f'[v2:{loopback.HOST}:{self.port}/0]'
        options: dict[str, Any] = {
            'fsid': self._fsid,
            'mon_host': self._mon_host,
            'public_addr': '127.0.0.1',
            'cluster_addr': '127.0.0.1',
            # Its ports are searched for from there on.
            'ms_bind_ipv4': True,
            'ms_bind_msgr1': False,
            'auth_cluster_required': 'cephx',
            'auth_service_required': 'cephx',
            'auth_client_required': 'cephx',
            'auth_allow_insecure_global_id_reclaim': False,
            'keyring': self.directory / 'keyring',
            'mon_data': self.directory / 'mon',
            'osd_data': self.directory / 'osd',
            'run_dir': self.directory,
            # Sockets have short names, directories may have long ones.
            'admin_socket': '',
            'log_file': self._logs / 'ceph-$type.log',
            'log_to_stderr': False,
            'mon_cluster_log_file': self._logs / 'ceph-cluster.log',
            'osd_objectstore': self.store,
            'memstore_device_bytes': self.capacity,
            'bluestore_block_size': self.capacity,
            'bluestore_block_db_size': 0,
            'osd_memory_target': 1 << 30,
            # Else memstore does not save what it has when it is stopped.
            'osd_fast_shutdown': self.store == 'bluestore',
            'osd_pool_default_size': 1,
            'osd_pool_default_min_size': 1,
            'osd_pool_default_pg_num': 4,
            'osd_pool_default_pg_autoscale_mode': 'off',
            'osd_crush_chooseleaf_type': 0,
            'mon_allow_pool_size_one': True,
            'mon_allow_pool_delete': True,
            # With Ceph's own values a start takes a quarter of a minute.
            'paxos_propose_interval': 0.05,
            'paxos_min_wait': 0.01,
            'mon_tick_interval': 1,
            'osd_tick_interval': 1,
        }
        text = ''.join(f'{name} = {value}\n'
                       for name, value in options.items())
        self.conf.write_text(f'[global]\n{text}')

    def _first_commands(self) -> list[dict[str, Any]]:
        commands: list[dict[str, Any]] = [
            {'prefix': 'osd new', 'uuid': self._uuid, 'id': 0}]
        for pool in self.pools:
            commands += [
                {'prefix': 'osd pool create', 'pool': pool, 'pg_num': 4},
                {'prefix': 'osd pool application enable', 'pool': pool,
                 'app': 'rbd'}]
        return commands

    # Processes

    def _run(self, command: list[str]) -> None:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, timeout=_READY_TIMEOUT,
                              stderr=subprocess.STDOUT)
        if done.returncode:
            raise exceptions.ServiceFailed(
                f'{command[0]} exited with {done.returncode}: '
                f'{done.stdout[-2000:]}')

    def _daemon(self, name: str, *command: str) -> None:
        tie = ('setpriv', '--pdeathsig', 'KILL') if self._tied else ()
        self._spawn(name, [*tie, *command, '--conf', str(self.conf)],
                    self._log(name, 'out'))

    def _client(self, commands: list[dict[str, Any]],
                pools: list[str] | None,
                timeout: float = _READY_TIMEOUT) -> None:
        """Give commands to the monitor, and wait for the pools."""
        task = {'conf': str(self.conf), 'commands': commands, 'pools': pools,
                'timeout': timeout}
        process = subprocess.Popen(
            [ceph_packages.SYSTEM_PYTHON, '-I', str(_CLIENT),
             json.dumps(task)],
            text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        try:
            out = self._wait(process)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()
        if process.returncode:
            raise exceptions.ServiceFailed(
                f'Ceph did not become ready: {out.strip()[-500:]}\n'
                f'{self._tails()}')

    def _wait(self, process: subprocess.Popen) -> str:
        # Not with a time-out of subprocess: on eventlet its TimeoutExpired
        # may be another class than the one that is known here.
        deadline = time.monotonic() + _READY_TIMEOUT + 20
        while process.poll() is None:
            if time.monotonic() > deadline:
                return 'it did not answer'
            for name in self._read():
                if self.process(name) is None:
                    return f'{name} ended while it was starting'
            time.sleep(0.1)
        return process.stdout.read() if process.stdout else ''

    def _log(self, name: str, kind: str) -> pathlib.Path:
        return self._logs / f'ceph-{name}.{kind}'

    def _tails(self) -> str:
        paths = [self._log(name, kind)
                 for name in ('mon', 'osd') for kind in ('out', 'log')]
        return '\n'.join(f'{path}:\n{daemons.tail_of(path, 10)}'
                         for path in paths if path.exists())
