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

"""Ceph: one monitor and one OSD, for backups and for volumes."""

import fcntl
import os
import pathlib
import subprocess
import sys
from typing import Any

from local_cloud import exceptions
from local_cloud import settings
from local_cloud import sites
from local_cloud.machine import state as cloud_state
from local_cloud.servers import ceph_cluster
from local_cloud.servers.ceph_cluster import Cluster
from local_cloud.servers.ceph_packages import link_bindings
from local_cloud.servers.ceph_packages import missing
from local_cloud.servers.ceph_packages import missing_for_cinder
from local_cloud.servers.ceph_packages import PACKAGES

__all__ = ('PACKAGES', 'Cluster', 'link_bindings', 'missing',
           'missing_for_cinder')

NAME = 'ceph'
#: The monitor's; the OSD finds ports of its own, on loopback too.
SOCKETS = (NAME,)

USER = ceph_cluster.USER
VOLUMES = 'volumes'
BACKUPS = 'backups'

# Room for many volumes: the file of the OSD is sparse.
_CAPACITY = 100 << 30


def directory(state: cloud_state.State) -> pathlib.Path:
    """Where a cloud's cluster is."""
    return state.data / NAME


def bindings(state: cloud_state.State) -> pathlib.Path:
    """A directory for ``sys.path`` with ``rados`` and ``rbd`` only."""
    return state.data / 'ceph-bindings'


def cluster(state: cloud_state.State, port: int | None = None) -> Cluster:
    """The cluster of a cloud.

    In a file and not in memory, so that a kill loses nothing.

    :param port: of the monitor, where it is to be made or started
    """
    pools = [VOLUMES, BACKUPS]
    if state.record.get('second_region'):
        pools.append(VOLUMES + sites.SECOND.suffix)
    return Cluster(directory(state), pools, 'bluestore',
                   _CAPACITY, port, logs=state.logs, tied=True)


def ready_file(state: cloud_state.State) -> pathlib.Path:
    """A file that is locked as long as the cluster runs and is ready."""
    return state.data / 'ceph-ready'


def is_locked(path: pathlib.Path) -> bool:
    """Whether somebody holds the lock on a file."""
    try:
        with open(path) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        pass
    return False


def configure(state: cloud_state.State) -> None:
    """Make what others need of it; the cluster is made when it starts."""
    link_bindings(bindings(state))


def environment(state: cloud_state.State) -> dict[str, str]:
    """Variables that Ceph's process needs: none."""
    return {}


def end_remains(state: cloud_state.State) -> None:
    """End the daemons of a cluster whose process was killed.

    The kernel kills them too, but a monitor with many threads listens until
    the last one has ended, which takes a while on a busy machine.
    """
    cluster(state).stop(keep=True)


def serve_command(state: cloud_state.State, *descriptors: int) -> list[str]:
    """The program that starts both daemons and waits for their end."""
    descriptor, = descriptors
    return [sys.executable, '-m', 'local_cloud.inside.ceph',
            str(state.root), str(descriptor)]


def ready(state: cloud_state.State) -> bool | str:
    """Whether both pools can be written to, or why not."""
    if not is_locked(ready_file(state)):
        return 'the cluster is being made or started'
    try:
        cluster(state).check()
    except exceptions.ServiceFailed as error:
        return str(error).splitlines()[0]
    return True


def store_options(state: cloud_state.State) -> dict[str, Any]:
    """How a test reaches the backups without Cinder."""
    return {
        'backup_store': 'rbd',
        'backup_store_ceph_conf': cluster(state).conf,
        'backup_store_ceph_user': USER,
        'backup_store_ceph_keyring': cluster(state).keyring,
        'backup_store_ceph_pool': BACKUPS,
    }


def client_variables(state: cloud_state.State) -> dict[str, str]:
    """What lets another program than Cinder import the bindings."""
    before = os.environ.get('PYTHONPATH', '').split(os.pathsep)
    own = os.fspath(bindings(state))
    return {'PYTHONPATH': os.pathsep.join(
        [own, *(path for path in before if path and path != own)])}


def address(state: cloud_state.State) -> str:
    """Where the monitor listens, as Ceph writes it."""
    return f'v2:{settings.HOST}:{state.record["ports"][NAME]}'


def version(state: cloud_state.State) -> str:
    """The release of the monitor."""
    # ceph version 16.2.15 (618f...) pacific (stable)
    words = subprocess.run(['ceph-mon', '--version'], capture_output=True,
                           text=True, check=True).stdout.split()
    return words[2]
