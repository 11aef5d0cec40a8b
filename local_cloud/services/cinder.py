# SPDX-License-Identifier: Apache-2.0

"""Cinder: one process for a site, or one for each of its services.

With a message broker each service has a process, and that with the name of
the site has only the API.
"""

from collections.abc import Sequence
import pathlib

import requests

from local_cloud import backups
from local_cloud import identity
from local_cloud import key_managers
from local_cloud import releases
from local_cloud import settings
from local_cloud import sites
from local_cloud.machine import cloud_state
from local_cloud.machine import uml
from local_cloud.services import base
from local_cloud.services import ceph
from local_cloud.services import database
from local_cloud.services import rabbitmq

SERVICES = ('cinder-scheduler', 'cinder-volume', 'cinder-backup')
_SCHEDULER, _VOLUME, _BACKUP = SERVICES


class Cinder(base.Bootstrapped):
    """The process of a site: its API, and its services without a broker."""

    name = sites.FIRST.name

    def __init__(self, state: cloud_state.State,
                 site: sites.Site = sites.FIRST):
        self.name = site.name
        self.site = site
        super().__init__(state)

    def _packaged_file(self, name: str) -> pathlib.Path:
        return settings.packaged_file('cinder', name,
                                      releases.prefix(self.state))

    @property
    def _services(self) -> list[str]:
        return self.state.record['cinder_services']

    @property
    def _second_driver(self) -> str:
        return backups.second_driver(self.state, self.site)

    def configure(self) -> None:
        state, site = self.state, self.site
        releases.link_packages(state, backups.of(state).driver,
                               backups.second_driver(state))
        directories = {name: state.data / f'{name}{site.suffix}' for name in
                       ('conversion', 'cinder-state', 'coordination')}
        for directory in directories.values():
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        backend = backups.volume_backend(state)
        settings.write(state.config(self.name), {
            'DEFAULT': {
                'debug': state.record['debug'],
                'use_stderr': 'true',
                'host': site.host,
                'my_ip': settings.HOST,
                'transport_url': (
                    rabbitmq.RabbitMQ(state).transport_url(site)
                    if rabbitmq.wanted(state) else 'fake://'),
                'auth_strategy': 'keystone',
                'resource_query_filters_file': self._packaged_file(
                    'resource_filters.json'),
                'rootwrap_config': self._packaged_file('rootwrap.conf'),
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
                # With two, each has a zone and is found by that.
                'backup_use_same_host': (
                    'false' if self._second_driver else 'true'),
                'osapi_volume_listen': settings.HOST,
                'osapi_volume_listen_port': state.record['ports'][self.name],
            },
            'database': database.section(state, self.name),
            'keystone_authtoken': settings.auth_token(state, 'cinder'),
            'oslo_concurrency': {'lock_path': state.locks},
            'coordination': {
                'backend_url': f'file://{directories["coordination"]}'},
            'oslo_messaging_notifications': {'driver': 'noop'},
            backend.name: {
                'volume_backend_name': backend.name,
                **backend.options(state, site),
            },
            **backups.cinder_sections(state),
            **key_managers.cinder_sections(state, site),
        })

    def environment(self) -> dict[str, str]:
        return {'OS_CINDER_DISABLE_EVENTLET_PATCHING': '1',
                # A backup allocates many MiB with each chunk, zstd the most.
                # Returned to the kernel each time, most of a backup's time
                # goes to its pages: they are kept, in one arena for all.
                'MALLOC_MMAP_MAX_': '0',
                'MALLOC_TRIM_THRESHOLD_': str(1 << 31),
                'MALLOC_ARENA_MAX': '1',
                **releases.variables(self.state)}

    def version(self) -> str:
        return releases.version(self.state)

    def bootstrap_command(self) -> list[str]:
        return base.inside('cinder', 'bootstrap',
                           self.state.config(self.name),
                           python=releases.python(self.state))

    def command(self, *descriptors: int) -> list[str]:
        words = ['--api', str(self._packaged_file('api-paste.ini')),
                 *map(str, descriptors)]
        if rabbitmq.wanted(self.state):
            return self.serve(words)
        return self.serve([*words, *self.second_backup()], self._services)

    def serve(self, words: Sequence[str],
              services: Sequence[str] = ()) -> list[str]:
        """A program that serves some of this Cinder."""
        state = self.state
        return [*backups.of(state).launcher,
                *base.inside('cinder', 'serve', state.config(self.site.name),
                             '--holds', state.holds,
                             python=releases.python(state)),
                *(['--ceph', str(state.root)]
                  if ceph.Ceph in backups.services(state) else []),
                *backups.volume_backend(state).arguments,
                *words, *(word for service in services
                          for word in ('--service', service))]

    def second_backup(self) -> list[str]:
        """Options of the program that runs the second cinder-backup."""
        return (['--second-backup', self._second_driver, backups.SECOND_ZONE]
                if self._second_driver else [])

    def ready(self) -> bool | str:
        """Check that all services are up and the scheduler knows the back end.

        By the public API, as an operator would find out.
        """
        try:
            session = identity.Session(self.state, timeout=5)
            up = [service['binary'] for service in
                  session.get(self.name, '/os-services')['services']
                  if service['state'] == 'up']
            missing = {*self._services} - {*up}
            if missing:
                return f'not up: {", ".join(sorted(missing))}'
            if self._second_driver and up.count(_BACKUP) == 1:
                return 'not up: the second cinder-backup'
            if {_SCHEDULER, _VOLUME} <= {*up} and not session.get(
                    self.name, '/scheduler-stats/get_pools')['pools']:
                return 'the scheduler has no report of the volume service yet'
        except requests.RequestException as error:
            return str(error)
        return True


class Part(Cinder):
    """The process of one of a Cinder's services, where there is a broker."""

    def __init__(self, state: cloud_state.State, site: sites.Site,
                 service: str, second: bool = False):
        super().__init__(state, site)
        self.name = (f'{service}-{backups.SECOND_ZONE}' if second else
                     f'{service}{site.suffix}')
        self.ports = ()
        self._service = service
        self._second = second

    @property
    def _ready_file(self) -> pathlib.Path:
        return self.state.data / f'{self.name}-ready'

    def configure(self) -> None:
        """Nothing: the process of the API has the same configuration."""

    def command(self, *descriptors: int) -> list[str]:
        words = ['--ready-file', str(self._ready_file)]
        if self._service == _SCHEDULER and _BACKUP in self._services:
            # The cinder-backups that it waits for.
            words += ['--backup-host', self.site.host]
            if self._second_driver:
                words += ['--backup-host',
                          f'{self.site.host}-{backups.SECOND_ZONE}']
        if self._second:
            return self.serve([*words, *self.second_backup()])
        return self.serve(words, [self._service])

    def ready(self) -> bool | str:
        return (cloud_state.is_locked(self._ready_file) or
                f'{self._service} has not begun to work')

    def location(self) -> str:
        return rabbitmq.RabbitMQ(self.state).location()


def of(state: cloud_state.State, site: sites.Site) -> list[Cinder]:
    """The processes of a site; its API, which reports on the others, last."""
    found: list[Cinder] = []
    if rabbitmq.wanted(state):
        names: list[str] = state.record['cinder_services']
        found = [Part(state, site, name) for name in names]
        if backups.second_driver(state, site) and _BACKUP in names:
            found.append(Part(state, site, _BACKUP, second=True))
    return [*found, Cinder(state, site)]


def of_backup(state: cloud_state.State) -> str:
    """The name of the process that a test kills as cinder-backup."""
    return _BACKUP if rabbitmq.wanted(state) else Cinder.name


def _wakes() -> dict[str, int]:
    """The intervals at which an idle Cinder wakes.

    In User-Mode Linux, which has one core, a thread that wakes costs about a
    millisecond. Each request makes one more thread, up to the size of its
    pool, and each polls for work once a second: with 225 of them ten volumes
    took 22 seconds there in place of 9, and two regions have more. Each
    service's heartbeat is a request to the database.
    """
    if not uml.inside():
        return {'report_interval': 2}
    return {'executor_thread_pool_size': 8,
            # The fewest that Cinder takes.
            'backup_native_threads_pool_size': 20,
            'report_interval': 10}
