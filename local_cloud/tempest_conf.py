# SPDX-License-Identifier: Apache-2.0

"""The configuration of Tempest, for our plugin and for upstream's tests."""

import pathlib
import shlex
import sys
from typing import Any

from local_cloud import backups
from local_cloud import identity
from local_cloud import key_managers
from local_cloud import releases
from local_cloud import settings
from local_cloud import sites
from local_cloud.machine import cloud_state
from local_cloud.services import cinder
from local_cloud.services import database
from local_cloud.services import s3
from local_cloud.services import swift

IMAGE_NAME = 'local-cloud-test-image'
_IMAGE_SIZE = 1024 ** 2


def path(state: cloud_state.State) -> pathlib.Path:
    """The path of the file."""
    return state.etc / 'tempest.conf'


def create_image(state: cloud_state.State) -> str:
    """Upload the small raw image of Tempest's own tests; returns its id."""
    session = identity.Session(state)
    image = session.request('POST', 'glance', '/v2/images', json={
        'name': IMAGE_NAME, 'disk_format': 'raw',
        'container_format': 'bare', 'visibility': 'public'})
    # Nothing boots from it; a start that is not zero tells it from a blank.
    content = b'local cloud test image\n'.ljust(512, b'\0')
    session.request('PUT', 'glance', f'/v2/images/{image["id"]}/file',
                    data=content + bytes(_IMAGE_SIZE - len(content)),
                    headers={'Content-Type': 'application/octet-stream'})
    return image['id']


def _verb(state: cloud_state.State, *words: str) -> str:
    """A command line for this cloud."""
    return shlex.join([sys.executable, '-m', 'local_cloud', '--quiet',
                       '--state-dir', str(state.root), *words])


def _store_switch(state: cloud_state.State) -> dict[str, str]:
    """Commands that take the storage of the backups away and return it.

    Not where Cinder waits for it in the kernel or in librados.
    """
    directory = backups.directory(state)
    if directory is not None:
        away = directory.with_name(f'{directory.name}.away')
        return {
            'store_stop_command': shlex.join(
                ['mv', '-T', str(directory), str(away)]),
            # A directory that was made meanwhile has to be empty.
            'store_start_command': shlex.join([
                'sh', '-c', 'test ! -e "$1" || mv -T "$1" "$2"', 'sh',
                str(away), str(directory)]),
        }
    for service in backups.of(state).services:
        if service in (s3.S3, swift.Swift):
            return {'store_stop_command': _verb(state, 'kill', service.name),
                    'store_start_command': _verb(state, 'up')}
    return {}


def _store_pause(state: cloud_state.State) -> dict[str, Any]:
    """Commands that make the storage of the backups hang and resume.

    Not that of NFS, of which Cinder's process has a mount.
    """
    backend = backups.of(state)
    if not backend.answer:
        return {}
    name = backend.services[0].name
    return {'store_pause_command': _verb(state, 'pause', name),
            'store_resume_command': _verb(state, 'resume', name),
            'store_hang_timeout': 3 * backend.answer}


def write(state: cloud_state.State, image_id: str) -> None:
    """Write the file."""
    password = state.record['passwords'][settings.ADMIN_USER]
    keystone = settings.endpoint(state, 'keystone')
    volumes = backups.volume_backend(state)
    store_switch = _store_switch(state)
    store_pause = _store_pause(state)
    keys = next((one.name for one in key_managers.services(state)), '')
    second = ({'second_region': sites.SECOND.region}
              if sites.SECOND in sites.of(state) else {})
    settings.write(path(state), {
        'DEFAULT': {
            'log_file': state.logs / 'tempest.log',
            'use_stderr': 'false',
        },
        'oslo_concurrency': {'lock_path': state.root / 'tempest-locks'},
        'identity': {
            'uri_v3': keystone,
            'auth_version': 'v3',
            'region': settings.REGION,
        },
        'auth': {
            'use_dynamic_credentials': 'true',
            'create_isolated_networks': 'false',
            'admin_username': settings.ADMIN_USER,
            'admin_password': password,
            'admin_project_name': settings.ADMIN_PROJECT,
            'admin_domain_name': 'Default',
        },
        'service_available': {
            'cinder': 'true',
            'glance': 'true',
            'nova': 'false',
            'swift': 'false',
            'horizon': 'false',
            # Upstream's volume tests skip without it, and never call it
            # when no isolated networks are wanted.
            'neutron': 'true',
        },
        'compute': {'image_ref': image_id, 'image_ref_alt': image_id},
        # With the option above, Tempest lists security groups when it
        # removes a project. Without an endpoint it fails; after a 404, which
        # Keystone answers, it goes on.
        'network': {'catalog_type': 'identity'},
        'enforce_scope': {'cinder': 'true'},
        'image': {'region': settings.REGION},
        'volume': {
            'region': settings.REGION,
            'catalog_type': 'block-storage',
            'vendor_name': 'OpenStack',
            'storage_protocol': volumes.protocol,
            'backend_names': volumes.name,
            'min_microversion': '3.0',
            'max_microversion': 'latest',
            'build_interval': 1,
            'build_timeout': 120,
        },
        'volume-feature-enabled': {
            # Also without cinder-backup: a missing service must fail the
            # tests and not skip them.
            'backup': 'true',
            'snapshot': 'true',
            'clone': 'true',
            'extend_attached_volume': 'false',
            'api_v3': 'true',
            'manage_snapshot': 'false',
            'manage_volume': 'false',
            'multi_backend': 'false',
            'consistency_group': 'false',
            'volume_revert': 'true',
            # Of cinder-tempest-plugin.
            'concurrency_tests': 'true',
        },
        'cinder_backup_recovery': {
            'database_connection': database.url(state, 'cinder'),
            'database_loss_command': _verb(state, 'lose-database'),
            'service_kill_command': _verb(
                state, 'kill', cinder.of_backup(state)),
            'service_start_command': _verb(state, 'up'),
            'request_hold_command': _verb(state, 'hold', '{action}',
                                          '{point}', '{id}'),
            **store_switch,
            **store_pause,
            **({'key_manager_stop_command': _verb(state, 'kill', keys),
                'key_manager_start_command': _verb(state, 'up')}
               if keys else {}),
            **({'second_backup_zone': backups.SECOND_ZONE}
               if backups.second_driver(state) else {}),
            'ledger_dir': state.ledger,
            'backup_driver': backups.of(state).driver,
            'content_access': 'attachment',
            'connector_ip': settings.HOST,
            'connector_properties': 'basic',
            'poll_interval': '0.1',
            'openstack_command': shlex.join([
                sys.executable, '-m', 'openstackclient.shell']),
            'cinder_release': releases.name(state),
            'cinder_version': releases.version(state),
            'known_defects': 'all' if releases.name(state) else '',
            **volumes.tempest_options(state),
            **backups.tempest_options(state),
            **key_managers.tempest_options(state),
            **second,
        },
        'cinder_backup_recovery_feature_enabled': {
            'whole_database_loss': 'true',
            'service_kill': 'true',
            'request_hold': 'true',
            'store_stop': bool(store_switch),
            'store_pause': bool(store_pause),
            'key_manager_stop': bool(keys),
            'second_backup_service': bool(backups.second_driver(state)),
            'second_region': bool(second),
            **backups.tempest_features(state),
            **key_managers.tempest_features(state),
        },
    })
