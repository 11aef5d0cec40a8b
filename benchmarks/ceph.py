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

"""Measure the digest of a content in Ceph against ``rbd export``.

Starts a cluster of its own with its data in memory, writes an image full of
data, and one of 1 TiB with the same data in it, and takes the digest that
level content compares of a snapshot of each. Prints a table and a verdict by
goal::

    python -m benchmarks.ceph --json ceph.json

Exit codes: 0 measured, also where a goal is missed, since time is no test; 3
it could not be measured. The cluster and all that was made is removed again,
also after an interruption.
"""

import argparse
from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import types
from typing import Any

import psutil

from benchmarks import command
from benchmarks import results

MIB = results.MIB
_SIZE_MOST = 2048
_BLOCK = 4 * MIB
#: Of the data in an image, for both and what the cluster does with them.
_MEMORY = 5
_POOL = 'backups'
_SNAPSHOT = 'backup'

#: The images: all data, the same data in 1 TiB, and one block of it.
_FULL, _SPARSE, _NEARLY_NOTHING = 'full', 'sparse', 'nothing'
_TIB = 1024 ** 4

EXPORT, SUMMED = 'rbd export', 'rbd export, sha256sum'
DIGEST, OF_SPARSE = 'digest', 'digest, 1 TiB'


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog='python -m benchmarks.ceph',
        description='Measure the digest of a content in Ceph against rbd '
                    'export, on a cluster of its own.')
    made.add_argument('--size', default=1024, metavar='MIB',
                      type=command.whole(8, _SIZE_MOST, 4),
                      help='of data in each image (%(default)s); the cluster '
                           'needs five times that of memory')
    command.add_arguments(made)
    return made


def check(arguments: Any) -> None:
    """Refuse what would fail only after a long run.

    :raises Failed: with the remedy
    """
    from local_cloud.servers import ceph_packages

    lacking = ceph_packages.missing_for_cinder()
    if lacking:
        raise results.Failed(lacking)
    free = _memory()
    need = _MEMORY * arguments.size * MIB
    if free < need:
        raise results.Failed(
            f'there are {free / MIB:.0f} MiB of memory free, '
            f'{need / MIB:.0f} are needed; take a smaller --size')
    # memstore writes what it has when it is stopped.
    command.check(arguments, 3 * arguments.size * MIB + 256 * MIB)


def _memory() -> int:
    """Bytes of memory that could be had."""
    return psutil.virtual_memory().available


class Images:
    """The images, and the steps on them.

    :param cluster: a cluster that runs
    :param size: bytes of data
    :param readers: how many blocks are read at a time
    """

    def __init__(self, cluster: Any, size: int, readers: int):
        import rados
        import rbd

        from benchmarks import steps
        from reference_drivers.ceph import digest
        from reference_drivers.ceph import pool

        self._cluster = cluster
        self._size = size
        self._digests = digest
        self._readers = readers
        # What a pool needs of Cinder's driver.
        self._pool = pool.Pool(types.SimpleNamespace(
            rados=rados, rbd=rbd, _ceph_backup_user='admin',
            _ceph_backup_conf=str(cluster.conf)), _POOL, 60)
        self._rbd = rbd
        with tempfile.NamedTemporaryFile() as data, self._pool as opened:
            steps.write_volume(data.name, size)
            for name, length, of_data in ((_FULL, size, size),
                                          (_SPARSE, _TIB, size),
                                          (_NEARLY_NOTHING, _BLOCK, _BLOCK)):
                self._make(opened, data, name, length, of_data)

    def _make(self, opened: Any, data: Any, name: str, length: int,
              of_data: int) -> None:
        # With the features that Cinder's volumes have by default.
        self._rbd.RBD().create(opened.ioctx, name, length)
        data.seek(0)
        count = of_data // _BLOCK
        with self._rbd.Image(opened.ioctx, name) as image:
            for number in range(count):
                # Spread evenly, each block an object.
                image.write(data.read(_BLOCK),
                            length // count // _BLOCK * _BLOCK * number)
            image.create_snap(_SNAPSHOT)

    def steps(self) -> dict[str, Callable[[], None]]:
        """All steps by name."""
        return {
            EXPORT: lambda: self._export(_FULL),
            f'{EXPORT}{results.EMPTY}': lambda: self._export(_NEARLY_NOTHING),
            SUMMED: lambda: self._export(_FULL, 'sha256sum'),
            DIGEST: lambda: self._digest(_FULL),
            OF_SPARSE: lambda: self._digest(_SPARSE)}

    def _export(self, image: str, reader: str | None = None) -> None:
        arguments = ['rbd', '--conf', str(self._cluster.conf), '--id',
                     'admin', '--no-progress', 'export',
                     f'{_POOL}/{image}@{_SNAPSHOT}', '-']
        to = subprocess.PIPE if reader else subprocess.DEVNULL
        with contextlib.ExitStack() as started:
            processes = [started.enter_context(_killed_at_the_end(
                arguments, stdout=to))]
            if reader:
                processes.append(started.enter_context(_killed_at_the_end(
                    [reader], stdin=processes[0].stdout,
                    stdout=subprocess.DEVNULL)))
            for process in processes:
                if process.wait():
                    raise results.Failed(
                        f'{process.args[0]} ended with {process.returncode}')

    def _digest(self, name: str) -> None:
        reader = self._digests.Reader(self._readers)
        with (self._pool as opened,
              opened.image(name, _SNAPSHOT) as image):
            reader.digest(opened, image, name)
        if reader.read != self._size:
            raise results.Failed(f'{reader.read} bytes of image {name} were '
                                 f'read, it has {self._size} of data')


@contextlib.contextmanager
def _killed_at_the_end(arguments: list[str], **streams: Any
                       ) -> Iterator[Any]:
    with subprocess.Popen(arguments, **streams) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def verdicts(series: dict[str, results.Series]) -> list[results.Verdict]:
    """Compare what was measured with the goals."""
    return [
        results.limit('digest as fast as rbd export', 0.8,
                      results.ratio(series[EXPORT], series[DIGEST],
                                    series[f'{EXPORT}{results.EMPTY}'])),
        results.limit('digest of 1 TiB in that of its data alone', 1.25,
                      results.ratio(series[OF_SPARSE], series[DIGEST]),
                      most=True)]


def measure(arguments: Any) -> dict[str, Any]:
    """Measure and print.

    :param arguments: of :func:`parser`
    :returns: all of it, for JSON
    :raises Failed: the cluster does not do what is asked of it
    """
    from local_cloud import exceptions
    from reference_drivers.verification import errors

    try:
        return _measure(arguments)
    except (exceptions.LocalCloudError, errors.Problem) as err:
        raise results.Failed(str(err)) from err


def _measure(arguments: Any) -> dict[str, Any]:
    from benchmarks import steps
    from local_cloud.servers import ceph_cluster
    from local_cloud.servers import ceph_packages

    where = command.machine('cinder', ceph=_version())
    command.say(', '.join(f'{name} {value}' for name, value in where.items()))
    size = arguments.size * MIB
    room = tempfile.mkdtemp()
    sys.path.insert(0, ceph_packages.link_bindings(
        os.path.join(room, 'bindings')))
    command.progress('starting a cluster')
    with ceph_cluster.Cluster(os.path.join(room, 'cluster'), [_POOL],
                              capacity=4 * size + (1 << 30), tied=True
                              ) as cluster:
        command.progress(f'writing {arguments.size} MiB, twice')
        made = Images(cluster, size, arguments.readers).steps()
        series = {name: results.Series() for name in made}
        names = list(made)
        for step in made.values():
            step()
        command.progress(f'{arguments.rounds} rounds')
        for number in range(arguments.rounds):
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                steps.timed(series[name], made[name])
    judged = verdicts(series)
    command.say(f'\n{arguments.size} MiB of data, {arguments.readers} '
                f'readers, {arguments.rounds} rounds\n\n'
                f'{steps_table(series, size)}')
    command.say(f'\nGoals\n\n{results.verdicts_table(judged)}')
    return {'machine': where, 'options': command.options(arguments),
            'steps': {name: vars(one) for name, one in series.items()},
            'verdicts': [vars(one) for one in judged]}


def steps_table(series: dict[str, results.Series], size: int) -> str:
    """The steps, where what the cluster works is nobody's CPU seconds."""
    rows = []
    for name, one in series.items():
        seconds = statistics.median(one.seconds)
        speed = ('-' if name.endswith(results.EMPTY) else
                 f'{size / MIB / seconds:.0f}')
        rows.append([name, f'{seconds:.3f}', f'{min(one.seconds):.3f}',
                     f'{max(one.seconds):.3f}',
                     f'{statistics.median(one.cpu):.3f}', speed])
    return results.table(['step', 'seconds', 'least', 'most', 'CPU seconds',
                          'MiB/s'], rows)


def _version() -> str:
    done = subprocess.run(['ceph', '--version'], capture_output=True,
                          text=True, check=False)
    words = done.stdout.split()
    return words[2] if len(words) > 2 else 'unknown'


def main(argv: list[str] | None = None) -> int:
    """The program.

    :param argv: arguments without the program's name
    :returns: the exit code
    """
    return command.main(parser(), check, measure, argv)


if __name__ == '__main__':
    command.terminate_as_interrupted()
    sys.exit(main())
