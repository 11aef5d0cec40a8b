# SPDX-License-Identifier: Apache-2.0

"""The back ends of volumes that a cloud can have."""

from collections.abc import Callable
import dataclasses
import functools
from typing import Any

from local_cloud import sites
from local_cloud.machine import cloud_state
from local_cloud.servers import ceph_packages
from local_cloud.services import base
from local_cloud.services import ceph


def _nothing(state: cloud_state.State) -> dict[str, str]:
    return {}


@dataclasses.dataclass(frozen=True)
class Backend:
    """One back end of volumes.

    :ivar name: its section in ``cinder.conf``, and ``volume_backend_name``
    :ivar protocol: the storage protocol that its driver reports
    :ivar options: makes the options of that section for a site's Cinder
    :ivar services: the services that it needs
    :ivar arguments: of Cinder's processes
    :ivar tempest_options: makes its part of the plugin's section of
        ``tempest.conf``
    :ivar client_variables: makes the variables of a client that attaches
        volumes
    :ivar missing: returns a sentence about what this machine lacks, with the
        remedy; empty if nothing
    """

    name: str
    protocol: str
    options: Callable[[cloud_state.State, sites.Site], dict[str, Any]]
    services: tuple[type[base.Service], ...] = ()
    arguments: tuple[str, ...] = ()
    tempest_options: Callable[[cloud_state.State], dict[str, Any]] = _nothing
    client_variables: Callable[[cloud_state.State], dict[str, str]] = _nothing
    missing: Callable[[], str] = str


def _files(driver: str, state: cloud_state.State, site: sites.Site
           ) -> dict[str, Any]:
    directory = state.data / f'volumes{site.suffix}'
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return {
        'volume_driver': f'local_cloud.inside.volume_driver.{driver}',
        'sparse_file_directory': directory,
    }


def _rbd(state: cloud_state.State, site: sites.Site) -> dict[str, Any]:
    return {
        'volume_driver': 'cinder.volume.drivers.rbd.RBDDriver',
        'rbd_ceph_conf': ceph.Ceph(state).cluster().conf,
        'rbd_user': ceph.USER,
        'rbd_pool': ceph.VOLUMES + site.suffix,
    }


def _rbd_keyring(state: cloud_state.State) -> dict[str, Any]:
    return {'rbd_keyring': ceph.Ceph(state).cluster().keyring}


#: By the name that ``--volumes`` gives them.
BACKENDS = {
    'files': Backend('sparse', 'local', functools.partial(
        _files, 'SparseFileDriver')),
    'plain-files': Backend('plain', 'file', functools.partial(
        _files, 'PlainFileDriver'), arguments=('--plain-files',)),
    'rbd': Backend('rbd', 'ceph', _rbd, services=(ceph.Ceph,),
                   tempest_options=_rbd_keyring,
                   client_variables=ceph.client_variables,
                   missing=ceph_packages.missing_for_cinder),
}
