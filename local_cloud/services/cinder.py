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

"""Cinder: API, scheduler, volume and backup in one process.

The API alone where there is a message broker: see :mod:`cinder_processes`.
"""

from collections.abc import Sequence
import pathlib

import requests

from local_cloud import backups
from local_cloud import identity
from local_cloud import releases
from local_cloud import settings
from local_cloud import sites
from local_cloud.machine import state as cloud_state
from local_cloud.machine import uml
from local_cloud.services import ceph
from local_cloud.services import rabbitmq

NAME = sites.FIRST.name
#: The ports that it listens on, by name.
SOCKETS = (NAME,)

SERVICES = ('cinder-scheduler', 'cinder-volume', 'cinder-backup')


def _packaged_file(state: cloud_state.State, name: str) -> pathlib.Path:
    return settings.packaged_file(NAME, name, releases.prefix(state))


def configure(state: cloud_state.State,
              site: sites.Site = sites.FIRST) -> None:
    """Write Cinder's configuration."""
    releases.link_packages(state, backups.of(state).driver,
                           backups.second_driver(state))
    directories = {name: state.data / f'{name}{site.suffix}' for name in
                   ('conversion', 'cinder-state', 'coordination')}
    for directory in directories.values():
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    backend = backups.volume_backend(state)
    settings.write(state.config(site.name), {
        'DEFAULT': {
            'debug': state.record['debug'],
            'use_stderr': 'true',
            'host': site.host,
            'my_ip': settings.HOST,
            'transport_url': (rabbitmq.transport_url(state, site)
                              if rabbitmq.wanted(state) else 'fake://'),
            'auth_strategy': 'keystone',
            'resource_query_filters_file': _packaged_file(
                state, 'resource_filters.json'),
            'rootwrap_config': _packaged_file(state, 'rootwrap.conf'),
            'state_path': directories['cinder-state'],
            'image_conversion_dir': directories['conversion'],
            'glance_api_servers': settings.url(state, 'glance'),
            'enabled_backends': backend.name,
            'default_volume_type': '__DEFAULT__',
            # Several volumes of 1 GiB at the same time are no load, and a
            # sparse file takes no room until it is written.
            'volume_clear': 'none',
            'scheduler_driver_init_wait_time': 5,
            'periodic_fuzzy_delay': 0,
            **_wakes(),
            **backups.cinder_options(state, site),
            # The tests are about content, not about the time that zlib
            # takes; see the documentation for the figures.
            'backup_compression_algorithm': 'zstd',
            'backup_workers': 1,
            # With two, each has a zone of its own and is found by that.
            'backup_use_same_host': (
                'false' if backups.second_driver(state, site) else 'true'),
            'osapi_volume_listen': settings.HOST,
            'osapi_volume_listen_port': state.record['ports'][site.name],
        },
        'database': settings.database(state, site.name),
        'keystone_authtoken': settings.auth_token(state, NAME),
        'oslo_concurrency': {'lock_path': state.locks},
        'coordination': {
            'backend_url': f'file://{directories["coordination"]}'},
        'oslo_messaging_notifications': {'driver': 'noop'},
        backend.name: {
            'volume_backend_name': backend.name,
            **backend.options(state, site),
        },
        **backups.cinder_sections(state),
    })


def _wakes() -> dict[str, int]:
    """How often Cinder wakes when there is nothing to do.

    In a guest, which has one core, a thread that wakes costs about a
    millisecond. Each request makes one more thread, up to the size of its
    pool, and each looks for work once a second: with 225 of them ten volumes
    took 22 seconds there in place of 9, and two regions have more. Each
    service's heartbeat is a request to the database.
    """
    if not uml.inside():
        return {'report_interval': 2}
    return {'executor_thread_pool_size': 8,
            # The fewest that Cinder takes.
            'backup_native_threads_pool_size': 20,
            'report_interval': 10}


def environment(state: cloud_state.State) -> dict[str, str]:
    """Variables that Cinder's process needs."""
    return {'OS_CINDER_DISABLE_EVENTLET_PATCHING': '1',
            # A backup asks for many MiB with each chunk, zstd more than
            # anybody. Given back to the kernel each time, most of a backup's
            # time goes to its pages: they are kept, in one arena for all.
            'MALLOC_MMAP_MAX_': '0',
            'MALLOC_TRIM_THRESHOLD_': str(1 << 31),
            'MALLOC_ARENA_MAX': '1',
            **releases.variables(state)}


def version(state: cloud_state.State) -> str:
    """The release that runs."""
    return releases.version(state)


def bootstrap_command(state: cloud_state.State) -> list[str]:
    """The program that makes the schema."""
    return [releases.python(state), '-m', 'local_cloud.inside.cinder',
            'bootstrap', str(state.config(NAME))]


def serve_command(state: cloud_state.State, *descriptors: int,
                  site: sites.Site = sites.FIRST) -> list[str]:
    """The program that serves the API and runs the services."""
    descriptor, = descriptors
    api = ['--api', str(_packaged_file(state, 'api-paste.ini')),
           str(descriptor)]
    if rabbitmq.wanted(state):
        return command(state, site, api)
    return command(state, site, [*api, *second_backup(state, site)],
                   state.record['cinder_services'])


def command(state: cloud_state.State, site: sites.Site,
            words: Sequence[str], services: Sequence[str] = ()) -> list[str]:
    """A program that serves some of a Cinder.

    :param words: options of it
    :param services: those that it runs
    """
    return [*backups.of(state).launcher,
            releases.python(state), '-m', 'local_cloud.inside.cinder',
            'serve', str(state.config(site.name)),
            '--holds', str(holds(state)),
            *(['--ceph', str(state.root)]
              if ceph in backups.services(state) else []),
            *words, *(word for service in services
                      for word in ('--service', service))]


def second_backup(state: cloud_state.State, site: sites.Site) -> list[str]:
    """Options of the program that runs a site's second cinder-backup."""
    second = backups.second_driver(state, site)
    return ['--second-backup', second, backups.SECOND_ZONE] if second else []


def holds(state: cloud_state.State) -> pathlib.Path:
    """Where points are armed that hold requests."""
    return state.data / 'holds'


def ready(state: cloud_state.State,
          site: sites.Site = sites.FIRST) -> bool | str:
    """Whether all services are up and the scheduler knows the back end.

    Asked of the public API, as an operator would.
    """
    try:
        session = identity.Session(state, timeout=5)
        services = session.get(site.name, '/os-services')['services']
        up = {s['binary'] for s in services if s['state'] == 'up'}
        missing = set(state.record['cinder_services']) - up
        if missing:
            return f'not up: {", ".join(sorted(missing))}'
        if 'cinder-backup' in up and backups.second_driver(state, site) and (
                len([s for s in services if s['state'] == 'up' and
                     s['binary'] == 'cinder-backup']) < 2):
            return 'not up: the second cinder-backup'
        if {'cinder-scheduler', 'cinder-volume'} <= up:
            pools = session.get(
                site.name, '/scheduler-stats/get_pools')
            if not pools['pools']:
                return 'the scheduler has no report of the volume service yet'
    except requests.RequestException as error:
        return str(error)
    return True
