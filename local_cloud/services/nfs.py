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

"""NFS: nfs-ganesha with a share for each site, which cinder-backup mounts."""

import pathlib
import subprocess
import sys
from typing import Any

from local_cloud import settings
from local_cloud import sites
from local_cloud.machine import state as cloud_state
from local_cloud.machine import uml
from local_cloud.servers import nfs_server

NAME = 'nfs'
SOCKETS = (NAME,)

_SHARES = {site: f'backups{site.suffix}'
           for site in (sites.FIRST, sites.SECOND)}

#: Where Cinder's process begins: what it mounts nobody else sees, and it is
#: unmounted with the end of that process, whatever ends it.
LAUNCHER = ('unshare', '--mount', '--propagation', 'private')


def directory(state: cloud_state.State) -> pathlib.Path:
    """Where a cloud's server is; the shares are below ``shares`` in it."""
    return state.data / NAME


def missing() -> str:
    """What this machine lacks for a cloud with NFS, here or in a guest."""
    return nfs_server.missing() or (
        uml.missing() if nfs_server.cannot_mount() else '')


def options(state: cloud_state.State, site: sites.Site) -> dict[str, Any]:
    """What ``cinder.conf`` says of a site's share."""
    return {
        'backup_share': f'{settings.HOST}:/{_SHARES[site]}',
        # The tests damage backups behind the server, which the kernel's
        # client may not notice for a minute. Their process cannot see the
        # mount of Cinder's, or it would do without.
        'backup_mount_options': nfs_server.mount_options(
            state.record['ports'][NAME]) + ',actimeo=0',
        'backup_mount_point_base': state.data / 'mounts',
        # A chunk is held in memory, which is scarce in a guest and slow to
        # get: one of a GiB took so long there that its restore timed out.
        'backup_file_size': settings.CHUNK,
    }


def store_options(state: cloud_state.State) -> dict[str, Any]:
    """How a test reaches the backups without Cinder: behind the server."""
    return {
        'backup_store': 'filesystem',
        'backup_store_path': _path(state, sites.FIRST),
    }


def second_store_options(state: cloud_state.State) -> dict[str, Any]:
    """The same, of the second site's."""
    return {'second_backup_store_path': _path(state, sites.SECOND)}


def _path(state: cloud_state.State, site: sites.Site) -> pathlib.Path:
    return directory(state) / 'shares' / _SHARES[site]


def configure(state: cloud_state.State) -> None:
    """Write the server's configuration, and make the shares."""
    nfs_server.write_configuration(
        directory(state), state.record['ports'][NAME], [*_SHARES.values()])


def environment(state: cloud_state.State) -> dict[str, str]:
    """Variables that the server needs: none."""
    return {}


def serve_command(state: cloud_state.State, *descriptors: int) -> list[str]:
    """The program that serves the share."""
    descriptor, = descriptors
    return [sys.executable, '-m', 'local_cloud.inside.nfs', str(descriptor),
            *nfs_server.server_command(directory(state))]


def ready(state: cloud_state.State) -> bool | str:
    """Whether it answers, or what it answered instead."""
    return nfs_server.answers(state.record['ports'][NAME])


def address(state: cloud_state.State) -> str:
    """Where it is, as a person would write it."""
    port = state.record['ports'][NAME]
    return f'nfs://{settings.HOST}:{port}/{_SHARES[sites.FIRST]}'


def version(state: cloud_state.State) -> str:
    """The release of the server."""
    # NFS-Ganesha Release = V4.3
    text = subprocess.run(
        [nfs_server.server_command(pathlib.Path())[0], '-v'],
        capture_output=True, text=True, check=True).stdout
    return text.partition('=')[2].split()[0].lstrip('V')
