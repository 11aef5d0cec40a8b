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

"""A Ceph cluster in one directory: one monitor and one OSD, no systemd.

Real daemons from the distribution's packages, on the loopback interface and
on free ports, with cephx. Nothing is replicated: it is for tests.
"""

import base64
from collections.abc import Sequence
import contextlib
import importlib.machinery
import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import time
from typing import Any
import uuid

import psutil

from local_cloud import exceptions

PACKAGES = ('ceph-mon', 'ceph-osd', 'ceph-common', 'python3-rados',
            'python3-rbd')
"""Debian's packages with all that is needed here."""

USER = 'cinder'
"""The user of volume and backup drivers."""

_PROGRAMS = ('ceph-mon', 'ceph-osd', 'rbd')
_MODULES = ('rados', 'rbd')
# The bindings belong to the distribution's Python, which need not be ours.
_SYSTEM_PYTHON = '/usr/bin/python3'
_DIST_PACKAGES = pathlib.Path('/usr/lib/python3/dist-packages')
_READY_TIMEOUT = 60
_GRACE = 10

# Run by the system's Python: "ceph" takes half a second for each command.
_CLIENT = """
import json, sys, time
import rados, rbd
task = json.loads(sys.argv[1])
deadline = time.monotonic() + task['timeout']
options = {'client_mount_timeout': '2', 'rados_mon_op_timeout': '5',
           'rados_osd_op_timeout': '5'}
while True:
    cluster = rados.Rados(conffile=task['conf'], name='client.admin',
                          conf=options)
    try:
        cluster.connect()
        break
    except rados.Error:
        cluster.shutdown()
        if time.monotonic() > deadline:
            raise
def command(**words):
    code, out, text = cluster.mon_command(
        json.dumps({'format': 'json', **words}), b'')
    if code:
        sys.exit('%s: %s' % (words['prefix'], text))
    return json.loads(out) if out.strip() else None
for words in task['commands']:
    command(**words)
if task['pools'] is not None:
    while not command(prefix='osd stat')['num_up_osds']:
        if time.monotonic() > deadline:
            sys.exit('the OSD is not up')
        time.sleep(0.05)
    for pool in task['pools']:
        # Ends when the pool's placement groups can be written to.
        with cluster.open_ioctx(pool) as ioctx:
            while True:
                try:
                    rbd.RBD().pool_init(ioctx, True)
                    ioctx.write_full('ready', b'')
                    ioctx.remove_object('ready')
                    break
                except (rados.Error, rbd.Error):
                    if time.monotonic() > deadline:
                        raise
cluster.shutdown()
"""


def missing() -> str:
    """What keeps a cluster from being started here.

    :returns: a sentence with the packages, empty if nothing is missing
    """
    lacking = [name for name in _PROGRAMS if shutil.which(name) is None]
    lacking += [name for name in _MODULES
                if not list(_DIST_PACKAGES.glob(f'{name}.cpython-*.so'))]
    if not lacking:
        return ''
    return (f'Ceph is not installed ({", ".join(lacking)} not found). On '
            f'Debian: apt-get install --no-install-recommends '
            f'{" ".join(PACKAGES)}')


def link_bindings(directory: str | os.PathLike) -> str:
    """Make a directory with ``rados`` and ``rbd`` and nothing else.

    They are not on PyPI. All of the distribution's packages on the path of
    a virtualenv would replace libraries that are pinned there; a directory
    with links to just these two does not.

    :param directory: where; made if need be
    :returns: the directory, for ``sys.path`` or a ``.pth`` file
    :raises MissingPackage: there are none, or not for this Python
    """
    if missing():
        raise exceptions.MissingPackage(missing())
    target = pathlib.Path(directory)
    target.mkdir(parents=True, exist_ok=True)
    for name in _MODULES:
        for suffix in importlib.machinery.EXTENSION_SUFFIXES:
            source = _DIST_PACKAGES / f'{name}{suffix}'
            if source.exists():
                break
        else:
            raise exceptions.MissingPackage(
                f'python3-{name} of this distribution is for another Python '
                f'than {sys.version_info.major}.{sys.version_info.minor}; '
                f'make the virtualenv with {_SYSTEM_PYTHON}.')
        link = target / source.name
        if not link.is_symlink():
            link.symlink_to(source)
    return str(target)


def _port() -> int:
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        return listener.getsockname()[1]


def _key() -> str:
    """A new secret, as cephx writes it."""
    secret = os.urandom(16)
    return base64.b64encode(struct.pack(
        '<hiih', 1, int(time.time()), 0, len(secret)) + secret).decode()


class Cluster:
    """One cluster.

    :param directory: what is all its own; made by :meth:`start`
    :param pools: names of the pools
    :param store: ``memstore`` keeps all data in memory, ``bluestore`` in a
        file of the directory
    :param capacity: bytes that the OSD can hold
    """

    def __init__(self, directory: str | os.PathLike,
                 pools: Sequence[str] = ('volumes', 'backups'),
                 store: str = 'memstore', capacity: int = 4 << 30):
        if store not in ('memstore', 'bluestore'):
            raise ValueError(f'{store!r} is not a store of an OSD')
        self.directory = pathlib.Path(directory)
        self.pools = tuple(pools)
        self.store = store
        self.capacity = capacity
        self.user = USER
        self.conf = self.directory / 'ceph.conf'
        self._record = self.directory / 'processes.json'
        self._children: dict[str, subprocess.Popen] = {}

    def __enter__(self) -> 'Cluster':
        self.start()
        return self

    def __exit__(self, *args: Any) -> None:
        self.stop()

    # Start and stop

    def start(self) -> None:
        """Start the cluster, a new one or the one that was stopped.

        :raises MissingPackage: the programs are not installed
        :raises ServiceFailed: with the end of the daemon's log
        """
        if missing():
            raise exceptions.MissingPackage(missing())
        new = not self.conf.exists()
        try:
            if new:
                self._make()
            self._spawn('mon', ['ceph-mon', '-f', '-i', 'a'])
            if new:
                self._client(self._first_commands(), None)
            self._spawn('osd', ['ceph-osd', '-f', '-i', '0'])
            self._client([], list(self.pools))
        except BaseException:
            self.stop(keep=not new)
            raise

    def stop(self, keep: bool = False) -> None:
        """Stop its daemons, by their pids, and remove its directory.

        :param keep: leave the directory, to start it again
        :raises ServiceFailed: a daemon does not even end after a kill
        """
        # The OSD first: it tells the monitor that it goes.
        for name in ('osd', 'mon'):
            process = self.process(name)
            if process is not None:
                self._end(name, process)
            child = self._children.pop(name, None)
            if child is not None:
                child.wait()
        self._write_record({})
        if not keep:
            shutil.rmtree(self.directory, ignore_errors=True)

    def process(self, name: str) -> psutil.Process | None:
        """The running daemon ``mon`` or ``osd``, or None.

        Also one that another program has started here: its time of start is
        compared, since the pid may be somebody else's by now.
        """
        entry = self._read_record().get(name)
        if entry is None:
            return None
        try:
            process = psutil.Process(entry['pid'])
            if (process.create_time() == entry['started'] and
                    process.status() != psutil.STATUS_ZOMBIE):
                return process
        except psutil.NoSuchProcess:
            pass
        return None

    def pause(self) -> None:
        """Let it hang: it keeps its ports open and answers nothing."""
        for name in ('osd', 'mon'):
            process = self.process(name)
            if process is not None:
                process.suspend()

    def resume(self) -> None:
        """Undo :meth:`pause` and wait until it answers again."""
        for name in ('osd', 'mon'):
            process = self.process(name)
            if process is not None:
                process.resume()
        self._client([], list(self.pools))

    @staticmethod
    def _end(name: str, process: psutil.Process) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
            # One that was paused takes no request before it goes on.
            process.resume()
        _, left = psutil.wait_procs([process], timeout=_GRACE)
        if left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
            _, left = psutil.wait_procs([process], timeout=_GRACE)
        if left and process.status() != psutil.STATUS_ZOMBIE:
            raise exceptions.ServiceFailed(
                f'{name} of Ceph (process {process.pid}) does not end after '
                f'a kill.')

    # How it is made

    def _make(self) -> None:
        (self.directory / 'mon').mkdir(mode=0o700, parents=True)
        (self.directory / 'osd').mkdir(mode=0o700)
        self._uuid = str(uuid.uuid4())
        self._write_conf()
        self._write_keyring('keyring', {
            'mon.': {'mon': 'allow *'},
            'client.admin': {'mon': 'allow *', 'osd': 'allow *',
                             'mgr': 'allow *', 'mds': 'allow *'},
            f'client.{USER}': {'mon': 'profile rbd', 'osd': 'profile rbd'},
            'osd.0': {'mon': 'allow profile osd', 'osd': 'allow *'},
        })
        # memstore does not write it, and does not start without it.
        (self.directory / 'osd' / 'type').write_text(f'{self.store}\n')
        monmap = self.directory / 'monmap'
        # The monitor keeps what the keyring says as its first users.
        self._run(['monmaptool', '--create', '--fsid', self._fsid,
                   '--addv', 'a', f'[v2:127.0.0.1:{self._mon_port}/0]',
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
        self._mon_port = _port()
        options: dict[str, Any] = {
            'fsid': self._fsid,
            'mon_host': f'[v2:127.0.0.1:{self._mon_port}/0]',
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
            'log_file': self.directory / '$type.log',
            'log_to_stderr': False,
            'mon_cluster_log_file': self.directory / 'cluster.log',
            'osd_objectstore': self.store,
            'memstore_device_bytes': self.capacity,
            'bluestore_block_size': self.capacity,
            'bluestore_block_db_size': 0,
            'osd_memory_target': 1 << 30,
            # Else memstore does not save what it has when it is stopped.
            'osd_fast_shutdown': False,
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

    def _write_keyring(self, name: str, users: dict[str, dict[str, str]]
                       ) -> None:
        lines = []
        for user, caps in users.items():
            lines += [f'[{user}]', f'\tkey = {_key()}']
            lines += [f'\tcaps {kind} = "{cap}"'
                      for kind, cap in caps.items()]
        path = self.directory / name
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600),
                  'w') as file:
            file.write('\n'.join(lines) + '\n')

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

    def _spawn(self, name: str, command: list[str]) -> None:
        with open(self.directory / f'{name}.out', 'ab') as out:
            child = subprocess.Popen(
                [*command, '--conf', str(self.conf)], cwd=self.directory,
                stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT, start_new_session=True)
        self._children[name] = child
        record = self._read_record()
        record[name] = {'pid': child.pid,
                        'started': psutil.Process(child.pid).create_time()}
        self._write_record(record)

    def _client(self, commands: list[dict[str, Any]],
                pools: list[str] | None) -> None:
        """Give commands to the monitor, and wait for the pools."""
        task = {'conf': str(self.conf), 'commands': commands, 'pools': pools,
                'timeout': _READY_TIMEOUT}
        process = subprocess.Popen(
            [_SYSTEM_PYTHON, '-I', '-c', _CLIENT, json.dumps(task)],
            text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        try:
            out = self._wait(process)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
        if process.returncode:
            raise exceptions.ServiceFailed(
                f'Ceph did not become ready: {out.strip()[-500:]}\n'
                f'{self._tails()}')

    def _wait(self, process: subprocess.Popen) -> str:
        deadline = time.monotonic() + _READY_TIMEOUT + 20
        while time.monotonic() < deadline:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.communicate(timeout=0.5)[0]
            for name in self._read_record():
                if self.process(name) is None:
                    return f'{name} ended while it was starting'
        return 'it did not answer'

    def _tails(self) -> str:
        parts = []
        for name in ('mon', 'osd'):
            for kind in ('out', 'log'):
                path = self.directory / f'{name}.{kind}'
                if path.exists():
                    lines = path.read_text(errors='replace').splitlines()
                    parts.append('\n'.join([f'{path}:', *lines[-10:]]))
        return '\n'.join(parts)

    def _read_record(self) -> dict[str, Any]:
        try:
            return json.loads(self._record.read_text())
        except FileNotFoundError:
            return {}

    def _write_record(self, record: dict[str, Any]) -> None:
        if self.directory.exists():
            self._record.write_text(json.dumps(record))
