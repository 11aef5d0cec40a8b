# SPDX-License-Identifier: Apache-2.0

"""Settings that services, clients and tests share."""

from collections.abc import Mapping
import configparser
import os
import pathlib
import secrets
import sys
from typing import Any

from local_cloud import sites
from local_cloud.machine import cloud_state
from local_cloud.machine import loopback

REGION = sites.FIRST.region
HOST = loopback.HOST
ADMIN_USER = 'admin'
ADMIN_PROJECT = 'admin'
SERVICE_PROJECT = 'service'
#: Users of the services themselves, in the service project.
SERVICE_USERS = ('glance', 'cinder')
#: The prefix of accounts in Swift: each site has its own.
ACCOUNTS = {sites.FIRST: 'AUTH', sites.SECOND: 'TWO'}
#: Types and names in the catalogue of every cloud, with the path of their
#: API.
CATALOGUE = {
    'keystone': ('identity', '/v3'),
    'glance': ('image', ''),
    'cinder': ('block-storage', '/v3'),
}
#: The same, for services that only some clouds have.
OPTIONAL_CATALOGUE = {
    'swift': ('object-store', f'/v1/{ACCOUNTS[sites.FIRST]}_%(project_id)s'),
    'barbican': ('key-manager', ''),
}
#: The same, for services with an endpoint in another region.
OTHER_REGION = {
    sites.SECOND.name: CATALOGUE[sites.FIRST.name],
    f'barbican{sites.SECOND.suffix}': OPTIONAL_CATALOGUE['barbican'],
}
#: The size of a chunk of a backup. There are several in each, as in those of
#: large volumes. Memory for one of 32 MiB or more comes from the kernel each
#: time, a page at a time, which takes longer than all that is done with it.
CHUNK = 16 << 20


def new_passwords() -> dict[str, str]:
    """A random password for each user of a cloud."""
    return {name: new_password() for name in (ADMIN_USER, *SERVICE_USERS)}


def new_password(size: int = 20) -> str:
    """A random password.

    :param size: its bytes; each is two digits

    Hexadecimal, so that none begins with a dash and is taken for an option.
    """
    return secrets.token_hex(size)


def url(state: cloud_state.State, service: str) -> str:
    """The root of a service's API."""
    return f'http://{HOST}:{state.record["ports"][service]}'


def endpoint(state: cloud_state.State, service: str) -> str:
    """The endpoint of a service in the catalogue."""
    return url(state, service) + {
        **CATALOGUE, **OPTIONAL_CATALOGUE, **OTHER_REGION}[service][1]


def packaged_file(service: str, name: str, prefix: str | os.PathLike = ''
                  ) -> pathlib.Path:
    """A file that a service's wheel installs below the virtualenv."""
    return pathlib.Path(prefix or sys.prefix) / 'etc' / service / name


def auth_token(state: cloud_state.State, service: str) -> dict[str, Any]:
    """The section ``[keystone_authtoken]`` of a service."""
    return {
        'auth_type': 'password',
        'auth_url': url(state, 'keystone'),
        'www_authenticate_uri': url(state, 'keystone'),
        'username': service,
        'password': state.record['passwords'][service],
        'project_name': SERVICE_PROJECT,
        'user_domain_name': 'Default',
        'project_domain_name': 'Default',
        'region_name': REGION,
        'service_token_roles': 'service',
        'service_token_roles_required': 'true',
    }


def write(path: pathlib.Path,
          sections: Mapping[str, Mapping[str, Any]]) -> None:
    """Write a configuration file that only its owner may read."""
    parser = configparser.RawConfigParser(default_section='')
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    for section, options in sections.items():
        parser[section] = {name: str(value)
                           for name, value in options.items()}
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    with open(path, 'w') as file:
        parser.write(file)
