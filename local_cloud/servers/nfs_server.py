# SPDX-License-Identifier: Apache-2.0

"""An NFSv4 server in one directory: nfs-ganesha, without the kernel's.

It needs neither rpcbind nor a free port 2049, and listens on the loopback
interface only. Its clients are the kernel's: ``mount -t nfs``.
"""

from collections.abc import Sequence
import contextlib
import os
import pathlib
import socket
import subprocess
import time

from local_cloud import exceptions
from local_cloud.machine import daemons
from local_cloud.machine import loopback
from local_cloud.machine import programs
from local_cloud.servers import group

HOST = loopback.HOST
#: The module of the kernel with the client.
CLIENT_MODULE = 'nfsv4'

_SERVER = 'ganesha.nfsd'
SOFTWARE = programs.Software(
    'the NFS server or client',
    ('nfs-ganesha', 'nfs-ganesha-vfs', 'nfs-common'),
    (_SERVER, 'mount.nfs'))
_FILESYSTEMS = '/proc/filesystems'
_STATUS = '/proc/self/status'
# Mounting, and opening by handle, as the server does.
_CAPABILITIES = (1 << 21) | (1 << 2)
_READY_TIMEOUT = 60

# Delegations of directories are new in the client, and listing a directory
# of a server that has none fails with EREMOTEIO while they are on.
_DELEGATIONS = pathlib.Path(
    '/sys/module/nfsv4/parameters/directory_delegations')

_CONFIGURATION = """\
NFS_CORE_PARAM {{
    NFS_Protocols = 4;
    NFS_Port = {port};
    Bind_addr = {host};
    Enable_NLM = false;
    Enable_RQUOTA = false;
}}
NFSv4 {{
    # No client from before a start comes back to claim its locks.
    Graceless = true;
    RecoveryBackend = fs;
    RecoveryRoot = "{directory}/recovery";
    Only_Numeric_Owners = true;
}}
LOG {{
    Default_Log_Level = EVENT;
}}
"""

_EXPORT = """\
EXPORT {{
    Export_Id = {number};
    Path = "{path}";
    Pseudo = "/{name}";
    Access_Type = RW;
    Squash = No_Root_Squash;
    SecType = sys;
    Protocols = 4;
    Transports = TCP;
    # Tests change what is in the share behind the server, too.
    Attr_Expiration_Time = 0;
    FSAL {{
        Name = VFS;
    }}
}}
"""


def missing() -> str:
    """A sentence about missing packages of server and clients."""
    library = 'libfsalvfs.so'
    found = not SOFTWARE.find(_SERVER) or any(
        pathlib.Path('/usr/lib').glob(f'**/ganesha/{library}'))
    return SOFTWARE.missing([] if found else [library])


def cannot_mount() -> str:
    """Why no share can be mounted by this process.

    :returns: the reason, for a sentence; empty if one can be mounted
    """
    with open(_STATUS) as stream:
        effective = next(int(line.split()[1], 16) for line in stream
                         if line.startswith('CapEff:'))
    if effective & _CAPABILITIES != _CAPABILITIES:
        return 'mounting takes root'
    if not _has_client():
        # Asking for it loads it where it is a module.
        subprocess.run([SOFTWARE.find('modprobe') or 'false',
                        CLIENT_MODULE],
                       stdin=subprocess.DEVNULL, capture_output=True)
    return '' if _has_client() else 'this kernel has no NFS client'


def _has_client() -> bool:
    with open(_FILESYSTEMS) as stream:
        return any(line.split()[-1:] == ['nfs4'] for line in stream)


def write_configuration(directory: pathlib.Path, port: int,
                        shares: Sequence[str]) -> pathlib.Path:
    """Make what a server needs: its configuration, its shares' directories.

    :param directory: of the server
    :param port: where it is to listen
    :param shares: names of the shares
    :returns: the configuration's path
    :raises InvalidState: what is there cannot be exported
    """
    directory.mkdir(mode=0o770, parents=True, exist_ok=True)
    kind = subprocess.run(['stat', '-f', '-c', '%T', str(directory)],
                          capture_output=True, text=True).stdout.strip()
    if kind == 'overlayfs':
        # The server would start all the same, and have no share.
        raise exceptions.InvalidState(
            f'{directory} is on an overlay, which no NFS server can export; '
            f'choose a directory on ext4, xfs or tmpfs (--state-dir, or '
            f'TMPDIR for "run")')
    for name in ('recovery', 'shares', *(f'shares/{one}' for one in shares)):
        (directory / name).mkdir(mode=0o770, parents=True, exist_ok=True)
    path = directory / 'ganesha.conf'
    path.write_text(_CONFIGURATION.format(
        port=port, host=HOST, directory=directory) + ''.join(
            _EXPORT.format(number=number, name=name,
                           path=directory / 'shares' / name)
            for number, name in enumerate(shares, 1)))
    return path


def server_command(directory: pathlib.Path) -> list[str]:
    """The program that serves what a directory has."""
    return [SOFTWARE.find(_SERVER) or _SERVER, '-F', '-L', '/dev/stderr',
            '-f', str(directory / 'ganesha.conf'),
            '-p', str(directory / 'ganesha.pid')]


def mount_options(port: int) -> str:
    """The options with which a client mounts a share of a server here."""
    version = '4.2'
    with contextlib.suppress(OSError):
        if _DELEGATIONS.read_text().strip() == 'Y':
            version = '4.0'
    return f'vers={version},proto=tcp,port={port}'


def answers(port: int) -> bool | str:
    """True if a server answers a call, else the reason why not.

    It is the call of its protocol that does nothing.
    """
    call = b''.join(word.to_bytes(4, 'big') for word in (
        1 << 31 | 40,            # the last fragment, and its length
        0x4e465334, 0, 2,        # transaction, call, version of RPC
        100003, 4, 0,            # NFS, version 4, NULL
        0, 0, 0, 0))             # no credentials, no verifier
    try:
        with socket.create_connection((HOST, port), timeout=1) as client:
            client.sendall(call)
            answer = client.recv(28, socket.MSG_WAITALL)
    except OSError as error:
        return str(error)
    # Replied, accepted, done.
    return (answer[4:12] == call[4:8] + b'\0\0\0\1' and
            answer[-4:] == bytes(4)) or f'it answered {answer!r}'


class Server(group.Group):
    """One server for tests.

    :param directory: its own; made by :meth:`start`. It must be on a file
        system that can be exported, as ext4 and tmpfs can.
    :param shares: names of its shares
    """

    def __init__(self, directory: str | os.PathLike,
                 shares: Sequence[str] = ('backups',)):
        super().__init__(directory, 'ganesha.conf')
        self.shares = tuple(shares)

    @property
    def mount_options(self) -> str:
        """The options of its clients."""
        return mount_options(self.port)

    def source(self, share: str) -> str:
        """A share, as a client mounts it."""
        return f'{HOST}:/{share}'

    def path(self, share: str) -> pathlib.Path:
        """The directory that is a share, for damage past the server."""
        return self.directory / 'shares' / share

    def _missing(self) -> str:
        return missing()

    def _start(self, new: bool) -> None:
        if new:
            write_configuration(self.directory, self.port, self.shares)
        self._spawn('nfs', server_command(self.directory),
                    self.directory / 'log')

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _READY_TIMEOUT
        while (answer := answers(self.port)) is not True:
            ended = not self._running()
            if ended or time.monotonic() > deadline:
                why = ('it ended' if ended else
                       f'not within {_READY_TIMEOUT} s: {answer}')
                raise exceptions.ServiceFailed(
                    f'the NFS server did not become ready, {why}; the end '
                    f'of its log:\n{daemons.tail_of(self.directory / "log")}')
            time.sleep(0.03)
