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

"""Measure what level presence asks of NFS as the number of chunks grows.

Starts an NFS server and mounts a share of it with the kernel's client, as the
reference driver does. Makes one tiny backup and copies its chunk as often as
there are to be chunks. Counts the requests of level presence (L1) as the
kernel counts them, and times it beside what Cinder's own restore reads before
the first chunk, each on a mount that was made for it. Prints a table and a
verdict by goal::

    python -m benchmarks.nfs --json nfs.json

Where the kernel has no NFS client, or this is not root, it does so in
User-Mode Linux. Exit codes: 0 measured, also where a goal is missed, since
time is no test; 3 it could not be measured. The server, the mount and all that
was made is removed again, also after an interruption.
"""

import argparse
import collections
from collections.abc import Sequence
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from typing import Any

from benchmarks import command
from benchmarks import presence
from benchmarks import results
from local_cloud import exceptions
from local_cloud.machine import uml
from local_cloud.servers import nfs_server

DRIVER = 'reference_drivers.nfs.NFSBackupDriver'
MIB = results.MIB
_CHUNKS_MOST = 100_000
_SHARE = 'backups'
_STATISTICS = '/proc/self/mountstats'
# Seconds that the client remembers what a listing has told of a file. By
# default they are three, which a guest needs for the listing alone: then it
# asks for each file again, and the requests say how slow it is.
_REMEMBERED = 'actimeo=600'
# Of a small file on the server, and of what server and client keep of it.
_ROOM = 16384
#: MiB for a guest: for all that is in it, files too.
_MEMORY = 4096


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog='python -m benchmarks.nfs',
        description='Measure what level presence asks of NFS as the number '
                    'of chunks grows.')
    made.add_argument('--chunks', type=command.whole(1, _CHUNKS_MOST),
                      nargs='+', default=[10, 1000, 10_000], metavar='N',
                      help='for so many chunks (10 1000 10000)')
    command.add_arguments(made, readers=False)
    return made


def check(arguments: Any) -> None:
    """Refuse what would fail only after a long run.

    :raises Failed: with the remedy
    """
    command.check(arguments, max(arguments.chunks) * _ROOM + 128 * MIB,
                  '--chunks')
    if nfs_server.missing():
        raise results.Failed(nfs_server.missing())
    reason = nfs_server.cannot_mount()
    if reason and (uml.inside() or uml.missing()):
        raise results.Failed(f'{reason}. {uml.missing()}'.strip())


def operations(text: str, path: str) -> collections.Counter[str]:
    """How often a client has asked a server for what.

    :param text: of the kernel's statistics of mounts
    :param path: where the share is mounted
    :returns: requests by the name of the operation
    :raises Failed: no NFS is mounted there
    """
    for device in text.split('device ')[1:]:
        mounted, *lines = device.splitlines()
        if f' mounted on {path} with fstype nfs' not in mounted:
            continue
        begin = [line.strip() for line in lines].index('per-op statistics')
        made: collections.Counter[str] = collections.Counter()
        for line in lines[begin + 1:]:
            name, _, numbers = line.strip().partition(': ')
            if numbers:
                made[name] = int(numbers.split()[0])
        return made
    raise results.Failed(f'no NFS is mounted at {path}')


class Share:
    """The share that the driver mounts.

    :param cinder: with the reference driver for NFS
    :param server: of the share
    """

    def __init__(self, cinder: Any, server: nfs_server.Server):
        self._cinder = cinder
        self._server = server
        #: Where it is mounted.
        self.path: str = cinder.driver().backup_path

    def behind(self, name: str) -> str:
        """A path below the share, as the server has it."""
        return str(self._server.path(_SHARE) / name)

    def unmount(self) -> None:
        """Unmount it, also from under a request that was interrupted.

        Its thread would wait for ever once the server is gone.
        """
        subprocess.run(['umount', '-f', '-l', self.path], check=True)

    def renew(self) -> None:
        """Mount it again, as after a start of cinder-backup.

        The client forgets what it knows, since nothing uses the mount.
        """
        subprocess.run(['umount', self.path], check=True)
        self._cinder.driver()

    def operations(self) -> collections.Counter[str]:
        """What was asked since it was mounted."""
        with open(_STATISTICS, encoding='utf-8') as stream:
            return operations(stream.read(), self.path)


def measure_chunks(cinder: Any, share: Share, count: int, rounds: int
                   ) -> presence.Listed:
    """Measure L1 for a number of chunks.

    :param cinder: with the reference driver for NFS
    :param share: that of the driver
    :param count: how many chunks
    :param rounds: how often
    :returns: what was measured
    """
    from cinder.backup.drivers import nfs

    from benchmarks import growth
    from benchmarks import steps
    from reference_drivers.contract import base

    volume = cinder.create_volume(
        base.text(results.BLOCK),
        size=max(1, -(-count * results.BLOCK // steps.GIB)))
    backup = cinder.create_backup(volume)
    # What many uploads would have left there.
    growth.multiply(share.behind(os.path.join(
        backup.container, backup.service_metadata)), count)
    backup.object_count = count
    backup.save()

    def verify() -> None:
        report = cinder.driver().verify(backup, 'presence')
        if not report.ok:
            raise results.Failed('a good backup is reported: '
                                 f'{report.problems[0]}')
        if len(report.chain[0].chunks) != count:
            raise results.Failed('level presence has not seen every chunk')

    def read() -> None:
        growth.read_as_cinder(nfs.NFSBackupDriver(cinder.context), backup)

    share.renew()
    before = share.operations()
    verify()
    asked = share.operations() - before
    share.renew()
    before = share.operations()
    read()
    in_tree = share.operations() - before
    made = presence.Listed(
        count, asked.total(), asked['READDIR'], in_tree.total(),
        steps.peak(verify), asked['READ'])
    presence.measure(made, verify, read, rounds, before=share.renew)
    cinder.driver().delete_backup(backup)
    os.remove(cinder.path(volume.id))
    return made


def verdicts(listed: Sequence[presence.Listed]) -> list[results.Verdict]:
    """Compare what was measured with the goals."""
    return [results.same(
        'requests of L1 but for pages and reads',
        [one.others for one in listed])]


def measure(arguments: Any) -> dict[str, Any]:
    """Measure and print, here or in a guest.

    :param arguments: of :func:`parser`
    :returns: all of it, for JSON
    """
    try:
        if nfs_server.cannot_mount():
            return _measure_in_guest(arguments)
        return _measure_here(arguments)
    except exceptions.LocalCloudError as err:
        raise results.Failed(str(err)) from err


def _measure_in_guest(arguments: Any) -> dict[str, Any]:
    command.progress(f'in User-Mode Linux: {nfs_server.cannot_mount()}')
    room = tempfile.mkdtemp()
    path = os.path.join(room, 'measured.json')
    status = uml.run(
        [sys.executable, '-m', 'benchmarks.nfs', '--json', path,
         '--rounds', str(arguments.rounds),
         '--chunks', *map(str, arguments.chunks)],
        visible=[room], modules=[nfs_server.CLIENT_MODULE], memory=_MEMORY)
    if status == command.INTERRUPTED:
        raise KeyboardInterrupt
    if status:
        raise results.Failed(f'it ended there with {status}; see above')
    with open(path, encoding='utf-8') as stream:
        return json.load(stream)


def _measure_here(arguments: Any) -> dict[str, Any]:
    from os_brick import privileged

    from reference_drivers.contract import environment

    # This is root already.
    privileged.default.set_client_mode(False)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(nfs_server.Server(
            os.path.join(tempfile.mkdtemp(), 'server'), [_SHARE]))
        where = command.machine(
            'cinder', nfs=server.mount_options.partition(',')[0])
        command.say(', '.join(f'{name} {value}'
                              for name, value in where.items()))
        cinder = stack.enter_context(environment.Environment(DRIVER, {
            'backup_share': server.source(_SHARE),
            'backup_mount_options': f'{server.mount_options},{_REMEMBERED}',
            'backup_enable_progress_timer': False,
            'backup_compression_algorithm': 'zlib',
            'backup_file_size': results.BLOCK,
            'backup_sha_block_size_bytes': results.BLOCK}))
        share = Share(cinder, server)
        stack.callback(share.unmount)
        listed = []
        for count in sorted(set(arguments.chunks)):
            command.progress(f'{count} chunks')
            listed.append(measure_chunks(cinder, share, count,
                                         arguments.rounds))
    return presence.tell('nfs', arguments, where, listed,
                         verdicts(listed))


def main(argv: list[str] | None = None) -> int:
    """The program.

    :param argv: arguments without the program's name
    :returns: the exit code
    """
    return command.main(parser(), check, measure, argv)


if __name__ == '__main__':
    command.terminate_as_interrupted()
    sys.exit(main())
