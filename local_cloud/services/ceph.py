# SPDX-License-Identifier: Apache-2.0

"""Ceph: one monitor and one OSD, for volumes and for backups."""

import os
import pathlib
import subprocess
from typing import Any

from local_cloud import exceptions
from local_cloud import settings
from local_cloud import sites
from local_cloud.machine import cloud_state
from local_cloud.servers import ceph_cluster
from local_cloud.servers import ceph_packages
from local_cloud.services import base

USER = ceph_cluster.USER
VOLUMES = 'volumes'
BACKUPS = 'backups'

# Room for many volumes: the file of the OSD is sparse.
_CAPACITY = 100 << 30


class Ceph(base.Service):
    """The monitor has the port; the OSD finds ports, on loopback too."""

    name = 'ceph'

    def cluster(self, port: int | None = None) -> ceph_cluster.Cluster:
        """The cluster, in a file so that a kill loses nothing.

        :param port: of the monitor, where it is to be made or started
        """
        pools = [VOLUMES, BACKUPS]
        if self.state.record.get('second_region'):
            pools.append(VOLUMES + sites.SECOND.suffix)
        return ceph_cluster.Cluster(
            self.state.data / self.name, pools, 'bluestore', _CAPACITY, port,
            logs=self.state.logs, tied=True)

    @property
    def bindings(self) -> pathlib.Path:
        """A directory for ``sys.path`` with ``rados`` and ``rbd`` only."""
        return self.state.data / 'ceph-bindings'

    @property
    def ready_file(self) -> pathlib.Path:
        """A file that is locked as long as the cluster runs and is ready."""
        return self.state.data / 'ceph-ready'

    def configure(self) -> None:
        # The cluster itself is made when it starts.
        ceph_packages.link_bindings(self.bindings)

    def command(self, *descriptors: int) -> list[str]:
        return self.module(self.state.root, *descriptors)

    def ready(self) -> bool | str:
        if not cloud_state.is_locked(self.ready_file):
            return 'the cluster is being made or started'
        try:
            self.cluster().check()
        except exceptions.ServiceFailed as error:
            return str(error).splitlines()[0]
        return True

    def location(self) -> str:
        return f'v2:{settings.HOST}:{self.state.record["ports"][self.name]}'

    def version(self) -> str:
        # ceph version 16.2.15 (618f...) pacific (stable)
        return subprocess.run(
            ['ceph-mon', '--version'], capture_output=True, text=True,
            check=True).stdout.split()[2]

    def end_remains(self) -> None:
        # The kernel kills the daemons too, but a monitor with many threads
        # listens until the last one has ended.
        self.cluster().stop(keep=True)


def store_options(state: cloud_state.State) -> dict[str, Any]:
    """The options by which a test reaches the backups without Cinder."""
    cluster = Ceph(state).cluster()
    return {
        'backup_store': 'rbd',
        'backup_store_ceph_conf': cluster.conf,
        'backup_store_ceph_user': USER,
        'backup_store_ceph_keyring': cluster.keyring,
        'backup_store_ceph_pool': BACKUPS,
    }


def client_variables(state: cloud_state.State) -> dict[str, str]:
    """The variables with which a client imports the bindings."""
    before = os.environ.get('PYTHONPATH', '').split(os.pathsep)
    own = os.fspath(Ceph(state).bindings)
    return {'PYTHONPATH': os.pathsep.join(
        [own, *(path for path in before if path and path != own)])}
