# SPDX-License-Identifier: Apache-2.0

"""NFS: a share for each site, from a server without the kernel's."""

import pathlib
import subprocess
from typing import Any

from local_cloud import settings
from local_cloud import sites
from local_cloud.machine import cloud_state
from local_cloud.machine import uml
from local_cloud.servers import nfs_server
from local_cloud.services import base

_SHARES = {site: f'backups{site.suffix}'
           for site in (sites.FIRST, sites.SECOND)}

#: Starts Cinder's process: only that sees what it mounts, and the end of it
#: unmounts that.
LAUNCHER = ('unshare', '--mount', '--propagation', 'private')


def missing() -> str:
    """A sentence about packages that a cloud with NFS lacks, also in UML."""
    return nfs_server.missing() or (
        uml.missing() if nfs_server.cannot_mount() else '')


class NFS(base.Service):
    """The server, with the shares below ``shares`` in its directory."""

    name = 'nfs'

    def share(self, site: sites.Site) -> pathlib.Path:
        """The directory that is the share of a site."""
        return self._directory / 'shares' / _SHARES[site]

    @property
    def _directory(self) -> pathlib.Path:
        return self.state.data / self.name

    def configure(self) -> None:
        nfs_server.write_configuration(
            self._directory, self.state.record['ports'][self.name],
            [*_SHARES.values()])

    def command(self, *descriptors: int) -> list[str]:
        return self.reserving(
            descriptors, *nfs_server.server_command(self._directory))

    def ready(self) -> bool | str:
        return nfs_server.answers(self.state.record['ports'][self.name])

    def location(self) -> str:
        return (f'nfs://{settings.HOST}:'
                f'{self.state.record["ports"][self.name]}'
                f'/{_SHARES[sites.FIRST]}')

    def version(self) -> str:
        # NFS-Ganesha Release = V4.3
        text = subprocess.run(
            [nfs_server.server_command(pathlib.Path())[0], '-v'],
            capture_output=True, text=True, check=True).stdout
        return text.partition('=')[2].split()[0].lstrip('V')


def options(state: cloud_state.State, site: sites.Site) -> dict[str, Any]:
    """The options of ``cinder.conf`` for a site's share."""
    return {
        'backup_share': f'{settings.HOST}:/{_SHARES[site]}',
        # The tests damage backups on the server, which the kernel's client
        # may not notice for a minute. Their process cannot see the mount of
        # Cinder's, or it would do without.
        'backup_mount_options': nfs_server.mount_options(
            state.record['ports'][NFS.name]) + ',actimeo=0',
        'backup_mount_point_base': state.data / 'mounts',
        # A chunk is held in memory, which is scarce in User-Mode Linux and
        # slow to get: one of a GiB took so long that its restore timed out.
        'backup_file_size': settings.CHUNK,
    }
