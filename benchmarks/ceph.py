# SPDX-License-Identifier: Apache-2.0

"""Time the digest of a content in Ceph beside ``rbd export``.

Starts a cluster with its data in memory, writes an image full of data, and
one of 1 TiB with the same data in it, and takes the digest that level content
compares of a snapshot of each.
"""

import argparse
from collections.abc import Callable
import dataclasses
import os
import subprocess
import sys
import tempfile
import types
from typing import Any

import psutil

from benchmarks import results

MIB = results.MIB
PACKAGES = ('cinder',)
_BLOCK = 4 * MIB
#: Of the data in an image, for both and what the cluster does with them.
_MEMORY = 5
_POOL = 'backups'
_SNAPSHOT = 'backup'

#: The images: all data, the same data in 1 TiB, and one block of it.
_FULL, _SPARSE, _NEARLY_NOTHING = 'full', 'sparse', 'nothing'
_TIB = 1024 ** 4

EXPORT, SUMMED = 'rbd export', 'rbd export, sha256sum'
EXPORT_EMPTY = f'{EXPORT}{results.EMPTY}'
DIGEST, OF_SPARSE = 'digest', 'digest, 1 TiB'


def versions() -> dict[str, str]:
    """The version of Ceph."""
    done = subprocess.run(['ceph', '--version'], capture_output=True,
                          text=True, check=False)
    words = done.stdout.split()
    return {'ceph': words[2] if len(words) > 2 else 'unknown'}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--size', default=1024, metavar='MIB',
                        type=results.whole(8, 2048, 4),
                        help='of data in each image (%(default)s); the '
                             'cluster needs five times that of memory')
    results.add_rounds(parser)
    results.add_readers(parser)


def check(arguments: argparse.Namespace) -> None:
    from local_cloud.servers import ceph_packages

    lacking = ceph_packages.missing_for_cinder()
    if lacking:
        raise results.Failed(lacking)
    free = psutil.virtual_memory().available
    need = _MEMORY * arguments.size * MIB
    if free < need:
        raise results.Failed(
            f'there are {free / MIB:.0f} MiB of memory free, '
            f'{need / MIB:.0f} are needed; choose a smaller --size')
    # memstore writes all of its data when it is stopped.
    results.check_room(3 * arguments.size * MIB + 256 * MIB, '--size')


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

        self._conf = str(cluster.conf)
        self._size = size
        self._digests = digest
        self._readers = readers
        # A pool needs these attributes of Cinder's driver.
        self._pool = pool.Pool(types.SimpleNamespace(
            rados=rados, rbd=rbd, _ceph_backup_user='admin',
            _ceph_backup_conf=self._conf), _POOL, 60)
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
            EXPORT_EMPTY: lambda: self._export(_NEARLY_NOTHING),
            SUMMED: lambda: self._export(_FULL, 'sha256sum'),
            DIGEST: lambda: self._digest(_FULL),
            OF_SPARSE: lambda: self._digest(_SPARSE)}

    def _export(self, image: str, reader: str | None = None) -> None:
        arguments = ['rbd', '--conf', self._conf, '--id', 'admin',
                     '--no-progress', 'export',
                     f'{_POOL}/{image}@{_SNAPSHOT}', '-']
        try:
            if reader is None:
                subprocess.run(arguments, stdout=subprocess.DEVNULL,
                               check=True)
                return
            with subprocess.Popen(arguments, stdout=subprocess.PIPE) as rbd:
                subprocess.run([reader], stdin=rbd.stdout,
                               stdout=subprocess.DEVNULL, check=True)
            if rbd.returncode:
                raise results.Failed(f'rbd ended with {rbd.returncode}')
        except subprocess.CalledProcessError as err:
            raise results.Failed(str(err)) from err

    def _digest(self, name: str) -> None:
        reader = self._digests.Reader(self._readers)
        with (self._pool as opened,
              opened.image(name, _SNAPSHOT) as image):
            reader.digest(opened, image, name)
        if reader.read != self._size:
            raise results.Failed(f'{reader.read} bytes of image {name} were '
                                 f'read, it has {self._size} of data')


def verdicts(series: dict[str, results.Series]) -> list[results.Verdict]:
    """Compare the measurements with the goals."""
    return [
        results.limit('digest as fast as rbd export', 0.8,
                      results.ratio(series[EXPORT], series[DIGEST],
                                    series[EXPORT_EMPTY])),
        results.limit('digest of 1 TiB in that of its data alone', 1.25,
                      results.ratio(series[OF_SPARSE], series[DIGEST]),
                      most=True)]


def measure(arguments: argparse.Namespace
            ) -> tuple[dict[str, Any], list[results.Verdict]]:
    from local_cloud import exceptions
    from local_cloud.servers import ceph_cluster
    from local_cloud.servers import ceph_packages
    from reference_drivers.verification import errors

    size = arguments.size * MIB
    room = tempfile.mkdtemp()
    try:
        sys.path.insert(0, ceph_packages.link_bindings(
            os.path.join(room, 'bindings')))
        results.progress('starting a cluster')
        with ceph_cluster.Cluster(
                os.path.join(room, 'cluster'), [_POOL],
                capacity=4 * size + results.GIB, tied=True) as cluster:
            results.progress(f'writing {arguments.size} MiB, twice')
            steps = Images(cluster, size, arguments.readers).steps()
            for fill_caches in steps.values():
                fill_caches()
            series = results.in_turns(steps, arguments.rounds)
    except (exceptions.LocalCloudError, errors.Problem) as err:
        raise results.Failed(str(err)) from err
    # The CPU seconds of the cluster are in none of these.
    results.say(f'\n{arguments.size} MiB of data, {arguments.readers} '
                f'readers, {arguments.rounds} rounds\n\n'
                f'{results.steps_table(series, size)}')
    return ({'steps': {name: dataclasses.asdict(step)
                       for name, step in series.items()}},
            verdicts(series))
