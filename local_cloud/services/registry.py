# SPDX-License-Identifier: Apache-2.0

"""The services of each cloud."""

from local_cloud import backups
from local_cloud import exceptions
from local_cloud import key_managers
from local_cloud import settings
from local_cloud import sites
from local_cloud.machine import cloud_state
from local_cloud.services import base
from local_cloud.services import cinder
from local_cloud.services import database
from local_cloud.services import glance
from local_cloud.services import keystone
from local_cloud.services import rabbitmq


def of(state: cloud_state.State) -> list[base.Service]:
    """The services of a cloud, in the order in which they are needed.

    They start at the same time, but for those that Cinder waits for.
    """
    return [*before_cinder(state), keystone.Keystone(state),
            glance.Glance(state),
            *key_managers.services(state),
            *(service(state) for service in backups.services(state)),
            *cinders(state)]


def find(state: cloud_state.State, name: str) -> base.Service:
    """Find a service by its name."""
    found = {service.name: service for service in of(state)}
    if name not in found:
        raise exceptions.LocalCloudError(
            f'unknown service {name} of the cloud in {state.root}; known: '
            f'{", ".join(found)}')
    return found[name]


def before_cinder(state: cloud_state.State) -> list[base.Service]:
    """Those that must be ready before Cinder starts; it starts no later."""
    found: list[base.Service] = []
    if database.wanted(state):
        found.append(database.Database(state))
    if rabbitmq.wanted(state):
        found.append(rabbitmq.RabbitMQ(state))
    return found


def cinders(state: cloud_state.State) -> list[cinder.Cinder]:
    """The processes of all Cinders."""
    return [process for site in sites.of(state)
            for process in cinder.of(state, site)]


def in_catalogue(state: cloud_state.State) -> list[str]:
    """The services that only some clouds have in their catalogue."""
    return [service.name for service in of(state)
            if service.name in settings.OPTIONAL_CATALOGUE]
