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

"""The services of a cloud, each a module of this package.

Such a module has ``NAME``; ``SOCKETS``, names of the ports that are bound
before it starts and whose descriptors it inherits; ``configure``, which
writes its configuration once; ``environment``, variables that its process
gets; ``serve_command``, that process; ``ready``, which asks it over its own
protocol. One that is not a Python package behind HTTP also has ``address``,
what people are told of where it is, and ``version``. One that starts others
has ``end_remains``, which ends what a kill of it has left.
"""

from importlib import metadata
from importlib import util
from typing import Any
from typing import TypeAlias

from local_cloud import backups
from local_cloud import exceptions
from local_cloud import settings
from local_cloud import sites
from local_cloud import volumes as all_volumes
from local_cloud.machine import state as cloud_state
from local_cloud.services import cinder
from local_cloud.services import cinder_processes
from local_cloud.services import database
from local_cloud.services import glance
from local_cloud.services import keystone
from local_cloud.services import rabbitmq
from local_cloud.services import second_cinder

_MODULES = ('keystone', 'glance', 'cinder', 'cheroot')
_EXTRA = 'local-cloud'

#: Such a module, or what has the same.
Service: TypeAlias = Any


def of(state: cloud_state.State) -> tuple[Service, ...]:
    """The services of a cloud, in the order in which they are needed.

    They start at the same time, but for those that Cinder waits for.
    """
    return (*before_cinder(state), keystone, glance,
            *backups.services(state), *cinders(state))


def before_cinder(state: cloud_state.State) -> tuple[Service, ...]:
    """Those that must be ready before Cinder starts; it starts no later."""
    return tuple(one for one in (database, rabbitmq) if one.wanted(state))


def cinders(state: cloud_state.State, site: sites.Site | None = None
            ) -> tuple[Service, ...]:
    """Those that are of a Cinder.

    Its API is the last of them: it tells of the others.

    :param site: of this one only
    """
    apis = {sites.FIRST: cinder, **(
        {sites.SECOND: second_cinder} if second_cinder.wanted(state) else {})}
    return tuple(one for where, api in apis.items()
                 if site in (None, where)
                 for one in (*cinder_processes.of(state, where), api))


def in_catalogue(state: cloud_state.State) -> list[str]:
    """The services that belong into the catalogue of this cloud only."""
    return [service.NAME for service in of(state)
            if service.NAME in settings.OPTIONAL_CATALOGUE]


def address(state: cloud_state.State, service: Service) -> str:
    """Where a service listens, for people; empty if it never did."""
    if not {*service.SOCKETS} <= {*state.record['ports']}:
        return ''
    if hasattr(service, 'address'):
        return service.address(state)
    return settings.url(state, service.NAME)


def end_remains(state: cloud_state.State, service: Service) -> None:
    """End what is left of a service that was killed.

    What still ends has the ports that the next start wants to bind.
    """
    if hasattr(service, 'end_remains'):
        service.end_remains(state)


def end_all_remains(state: cloud_state.State) -> None:
    """End what is left of services that left more than their directories."""
    if database.wanted(state):
        database.end_remains(state)


def version(state: cloud_state.State, service: Service) -> str:
    """The release of a service."""
    if hasattr(service, 'version'):
        return service.version(state)
    return metadata.version(service.NAME)


def check_packages(backup: str = 'default',
                   volumes: str | None = None,
                   kind: str = settings.SQLITE,
                   bus: str = rabbitmq.MEMORY) -> None:
    """Say what is not installed before anything is made.

    :param backup: the profile of the backup driver
    :param volumes: the back end of the volumes, else the profile's
    :param kind: what Cinder's database is on
    :param bus: what its services talk over
    :raises MissingPackage: naming the extras that bring it
    """
    profile = backups.PROFILES[backup]
    module, extra = database.client(kind)
    missing = [name for name in (*_MODULES, *profile.modules, module)
               if name and util.find_spec(name) is None]
    if missing:
        extras = [name for name in (_EXTRA, profile.extra, extra) if name]
        raise exceptions.MissingPackage(
            f'Not installed here: {", ".join(missing)}. Install the '
            f'project with its extra: pip install '
            f"'cinder-backup-recovery-tests[{','.join(extras)}]'.")
    backend = all_volumes.BACKENDS[volumes or profile.volumes]
    # First what could be installed: a guest needs it, too.
    if lacking := (profile.missing() or backend.missing() or
                   database.missing(kind) or rabbitmq.missing(bus)):
        raise exceptions.MissingPackage(lacking)


def check_kernel(backup: str) -> None:
    """Say what keeps a cloud from running here and not in a guest.

    :param backup: the profile of the backup driver
    :raises NeedsGuest: naming the command for it
    """
    if why := backups.PROFILES[backup].cannot_run():
        raise exceptions.NeedsGuest(
            f'--backup {backup}: {why}. In User-Mode Linux it runs, for as '
            f'long as one command does: cinder-backup-local-cloud run '
            f'--backup {backup} -- COMMAND')
