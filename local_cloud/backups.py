# SPDX-License-Identifier: Apache-2.0

"""The backup drivers that a cloud can have, and what each needs.

A new one is an entry in ``BACKENDS``, and a class for each service that no
other has: see :mod:`local_cloud.services.base`.
"""

from collections.abc import Callable
import dataclasses
import pathlib
from typing import Any

from local_cloud import exceptions
from local_cloud import settings
from local_cloud import sites
from local_cloud import volumes
from local_cloud.machine import cloud_state
from local_cloud.servers import ceph_packages
from local_cloud.servers import nfs_server
from local_cloud.services import base
from local_cloud.services import ceph
from local_cloud.services import nfs
from local_cloud.services import s3
from local_cloud.services import swift

# How far a driver verifies on import that can. All that the tests damage is
# small, so the highest level costs next to nothing.
_LEVEL = 'content'


def _nothing(state: cloud_state.State) -> dict[str, str]:
    return {}


@dataclasses.dataclass(frozen=True)
class Backend:
    """A backup driver of the cloud.

    :ivar driver: its class
    :ivar options: makes its other options in ``cinder.conf`` for a cloud, on
        the storage of one of its sites
    :ivar services: those that it needs and not every cloud has; they start
        before Cinder
    :ivar modules: Python modules that must be installed for it
    :ivar extra: the extra of this project with these modules
    :ivar missing: returns a sentence about what else this machine lacks, with
        the remedy; empty if nothing
    :ivar cannot_run: returns why the cloud cannot run on this kernel or as
        this user, though it could in User-Mode Linux; empty if it can
    :ivar launcher: the program that starts Cinder's process
    :ivar volumes: a key of ``volumes.BACKENDS``, the default of ``--volumes``
    :ivar incremental_of: the volumes of which it makes incremental backups
    :ivar pads: it clears a larger volume past the end of what it restores
    :ivar verifies: it verifies imports, with a section in ``cinder.conf``
    :ivar answer: seconds that such a driver waits for the first of its
        services, which a test pauses: much more than a busy machine needs,
        less than the default; 0 where none can hang
    :ivar store: makes the options of the plugin's section of ``tempest.conf``
        by which a test reaches the backups without Cinder
    :ivar second_store: the same for a separate storage of the second site;
        None where there can be none
    :ivar client_variables: makes the variables of a client that does so
    """

    driver: str
    options: Callable[[cloud_state.State, sites.Site], dict[str, Any]]
    services: tuple[type[base.Service], ...] = ()
    modules: tuple[str, ...] = ()
    extra: str = ''
    missing: Callable[[], str] = str
    cannot_run: Callable[[], str] = str
    launcher: tuple[str, ...] = ()
    volumes: str = 'files'
    incremental_of: tuple[str, ...] = ('files', 'plain-files', 'rbd')
    pads: bool = False
    verifies: bool = False
    answer: int = 0
    store: Callable[[cloud_state.State], dict[str, Any]] = _nothing
    second_store: Callable[[cloud_state.State], dict[str, Any]] | None = None
    client_variables: Callable[[cloud_state.State], dict[str, str]] = _nothing


def _posix(state: cloud_state.State, site: sites.Site) -> dict[str, Any]:
    directory = _directory(state, site)
    directory.mkdir(mode=0o700, exist_ok=True)
    return {
        'backup_posix_path': directory,
        'backup_file_size': settings.CHUNK,
    }


def _directory(state: cloud_state.State,
               site: sites.Site = sites.FIRST) -> pathlib.Path:
    return state.data / f'backups{site.suffix}'


def _on_directory(driver: str, **values: Any) -> Backend:
    return Backend(
        driver, _posix,
        store=lambda state: {'backup_store': 'filesystem',
                             'backup_store_path': _directory(state)},
        second_store=lambda state: {
            'second_backup_store_path': _directory(state, sites.SECOND)},
        **values)


def _swift(state: cloud_state.State, site: sites.Site) -> dict[str, Any]:
    return {
        'backup_swift_url': (settings.url(state, swift.Swift.name) +
                             f'/v1/{settings.ACCOUNTS[site]}_'),
        'backup_swift_auth': 'per_user',
        'backup_swift_object_size': settings.CHUNK,
    }


def _on_swift(driver: str, **values: Any) -> Backend:
    return Backend(driver, _swift, services=(swift.Swift,), answer=20,
                   modules=('swift', 'swiftclient'), extra='swift',
                   # In the account of the project, which the tests have.
                   store=lambda state: {'backup_store': 'swift'},
                   second_store=lambda state: {
                       'second_backup_store_region': sites.SECOND.region},
                   **values)


def _s3(state: cloud_state.State, site: sites.Site) -> dict[str, Any]:
    return {
        'backup_s3_endpoint_url': settings.url(state, s3.S3.name),
        **_s3_keys(state, 'backup_s3_store_', site),
        'backup_s3_object_size': settings.CHUNK,
    }


def _s3_keys(state: cloud_state.State, prefix: str, site: sites.Site
             ) -> dict[str, str]:
    key, secret = s3.S3(state).keys(site)
    return {f'{prefix}access_key': key, f'{prefix}secret_key': secret}


def _on_s3(driver: str, **values: Any) -> Backend:
    return Backend(driver, _s3, services=(s3.S3, ceph.Ceph), answer=20,
                   modules=('boto3',), extra='s3',
                   missing=ceph_packages.missing_for_gateway,
                   store=lambda state: {
                       'backup_store': 's3',
                       'backup_store_s3_url': settings.url(state, s3.S3.name),
                       **_s3_keys(state, 'backup_store_s3_', sites.FIRST)},
                   second_store=lambda state: _s3_keys(
                       state, 'second_backup_store_s3_', sites.SECOND),
                   **values)


def _ceph(state: cloud_state.State, site: sites.Site) -> dict[str, Any]:
    return {
        'backup_ceph_conf': ceph.Ceph(state).cluster().conf,
        'backup_ceph_user': ceph.USER,
        'backup_ceph_pool': ceph.BACKUPS,
    }


def _on_ceph(driver: str, **values: Any) -> Backend:
    return Backend(driver, _ceph, services=(ceph.Ceph,), answer=30,
                   missing=ceph_packages.missing_for_cinder, volumes='rbd',
                   # By RBD's own differences; of all else it copies the whole.
                   incremental_of=('rbd',), store=ceph.store_options,
                   client_variables=ceph.client_variables, **values)


def _on_nfs(driver: str, **values: Any) -> Backend:
    return Backend(driver, nfs.options, services=(nfs.NFS,),
                   missing=nfs.missing,
                   cannot_run=nfs_server.cannot_mount, launcher=nfs.LAUNCHER,
                   # Past the server.
                   store=lambda state: {
                       'backup_store': 'filesystem',
                       'backup_store_path': nfs.NFS(state).share(
                           sites.FIRST)},
                   second_store=lambda state: {
                       'second_backup_store_path': nfs.NFS(state).share(
                           sites.SECOND)}, **values)


#: By name: the reference drivers, and those of Cinder that they extend, which
#: have no hooks for an import.
BACKENDS = {
    'default': _on_directory(
        'reference_drivers.default.DefaultBackupDriver', verifies=True),
    'swift': _on_swift(
        'reference_drivers.swift.SwiftBackupDriver', verifies=True),
    's3': _on_s3('reference_drivers.s3.S3BackupDriver', verifies=True),
    'nfs': _on_nfs('reference_drivers.nfs.NFSBackupDriver', verifies=True),
    'ceph': _on_ceph('reference_drivers.ceph.CephBackupDriver',
                     verifies=True),
    'in-tree-posix': _on_directory(
        'cinder.backup.drivers.posix.PosixBackupDriver'),
    'in-tree-swift': _on_swift(
        'cinder.backup.drivers.swift.SwiftBackupDriver'),
    'in-tree-s3': _on_s3('cinder.backup.drivers.s3.S3BackupDriver'),
    'in-tree-nfs': _on_nfs('cinder.backup.drivers.nfs.NFSBackupDriver'),
    'in-tree-ceph': _on_ceph('cinder.backup.drivers.ceph.CephBackupDriver',
                             pads=True),
}


#: Where the other cinder-backup makes its backups, and the first never does.
SECOND_ZONE = 'other'


def of(state: cloud_state.State) -> Backend:
    """The backup driver that a cloud was made with.

    A record that a kill left without one is the default's.
    """
    return BACKENDS[state.record.get('backup', 'default')]


def directory(state: cloud_state.State) -> pathlib.Path | None:
    """The directory that holds all backups of a cloud, if one does."""
    return _directory(state) if of(state).options is _posix else None


def second_store(backup: str, asked: str | None = None) -> str:
    """The storage of the second site's backups, OWN or SHARED.

    :param asked: one of them, or None for the best
    :raises LocalCloudError: if the driver cannot have that
    """
    if BACKENDS[backup].second_store:
        return asked or sites.OWN
    if asked == sites.OWN:
        raise exceptions.LocalCloudError(
            f'--second-store {asked} cannot be combined with --backup '
            f'{backup}: a record names the pool, so the other site would need '
            f'another cluster with a pool of that name; without the option '
            f'both sites share the storage')
    return sites.SHARED


def has_second_store(state: cloud_state.State) -> bool:
    """True if the second site of a cloud has a separate storage."""
    return state.record.get('second_store') == sites.OWN


def second_driver(state: cloud_state.State,
                  site: sites.Site = sites.FIRST) -> str:
    """The driver of the other cinder-backup of a site; empty without one.

    It needs no server, and its options are in the same ``cinder.conf``.
    """
    if site != sites.FIRST or not state.record.get('second_backup'):
        return ''
    other = BACKENDS['in-tree-posix'].driver
    return BACKENDS['default'].driver if of(state).driver == other else other


def cinder_options(state: cloud_state.State,
                   site: sites.Site = sites.FIRST) -> dict[str, Any]:
    """The options of backups in ``[DEFAULT]`` of ``cinder.conf``."""
    backend = of(state)
    second = second_driver(state, site)
    return {'backup_driver': backend.driver,
            **(_posix(state, site) if second else {}),
            **backend.options(state, site if has_second_store(state)
                              else sites.FIRST)}


def cinder_sections(state: cloud_state.State) -> dict[str, dict[str, Any]]:
    """The sections of ``cinder.conf`` that only some drivers read."""
    if not of(state).verifies:
        return {}
    options: dict[str, Any] = {'level': _LEVEL}
    if of(state).answer:
        options['timeout'] = of(state).answer
    return {'backup_import_verify': options}


def tempest_options(state: cloud_state.State) -> dict[str, Any]:
    """The options by which a test reaches the backups without Cinder."""
    backend = of(state)
    options = backend.store(state)
    if has_second_store(state) and backend.second_store:
        options |= backend.second_store(state)
    return options


def tempest_features(state: cloud_state.State) -> dict[str, Any]:
    """The capabilities of the backup driver, for the tests."""
    features: dict[str, Any] = {
        'incremental': incremental(state),
        'restore_keeps_excess': not of(state).pads,
        'import_verify': of(state).verifies,
        'second_store': has_second_store(state),
        # With per_user, Swift keeps backups in the account of their project.
        'other_project': swift.Swift not in of(state).services,
    }
    if of(state).verifies:
        features['import_verify_level'] = _LEVEL
    return features


def client_variables(state: cloud_state.State) -> dict[str, str]:
    """The variables of clients that use the storages directly."""
    return {**of(state).client_variables(state),
            **volume_backend(state).client_variables(state)}


def _volumes(state: cloud_state.State) -> str:
    return state.record.get('volumes', of(state).volumes)


def volume_backend(state: cloud_state.State) -> volumes.Backend:
    """The back end of the volumes of a cloud."""
    return volumes.BACKENDS[_volumes(state)]


def incremental(state: cloud_state.State) -> bool:
    """True if a cloud makes incremental backups of its volumes."""
    return _volumes(state) in of(state).incremental_of


def services(state: cloud_state.State) -> tuple[type[base.Service], ...]:
    """The services that only some clouds have, of this one."""
    return tuple(dict.fromkeys(
        (*of(state).services, *volume_backend(state).services)))
