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

"""Swift: proxy, account, container and object server, one replica."""

import secrets
import sys

import requests

from local_cloud import settings
from local_cloud.machine import state as cloud_state

NAME = 'swift'

_STORES = ('account', 'container', 'object')
#: A port for each of its servers; the first is where clients go.
SOCKETS = (NAME, *(f'{NAME}-{store}' for store in _STORES))

# Between Keystone's, what makes S3 of it, for drivers that speak that.
_PIPELINE = ('catch_errors', 'gatekeeper', 'healthcheck', 'listing_formats',
             'authtoken', 's3api', 's3token', 'keystoneauth', 'slo', 'dlo')


def _directory(state: cloud_state.State):
    return state.etc / NAME


def configure(state: cloud_state.State) -> None:
    """Write the configuration of the four servers."""
    directory = _directory(state)
    devices = state.data / NAME
    # The one device; the servers want its directory below "devices".
    (devices / 'disk').mkdir(mode=0o700, parents=True, exist_ok=True)
    common = {
        'swift_dir': directory,
        'bind_ip': settings.HOST,
        'workers': 0,
        'log_level': 'DEBUG' if state.record['debug'] else 'INFO',
    }
    settings.write(directory / 'swift.conf', {
        # Names of objects are hashed with these, so that nobody can choose
        # a name that falls upon another's.
        'swift-hash': {'swift_hash_path_prefix': secrets.token_hex(16),
                       'swift_hash_path_suffix': secrets.token_hex(16)},
        'storage-policy:0': {'name': 'Policy-0', 'default': 'yes'},
    })
    for store in _STORES:
        settings.write(directory / f'{store}-server.conf', {
            'DEFAULT': {
                **common, 'devices': devices, 'mount_check': 'false',
                'bind_port': state.record['ports'][f'{NAME}-{store}'],
                # What is lost with the machine need not reach its disk.
                'fallocate_reserve': 0},
            'pipeline:main': {'pipeline': f'{store}-server'},
            f'app:{store}-server': {'use': f'egg:swift#{store}'},
        })
    settings.write(directory / 'proxy-server.conf', {
        'DEFAULT': {**common, 'bind_port': state.record['ports'][NAME]},
        'pipeline:main': {'pipeline': ' '.join((*_PIPELINE, 'proxy-server'))},
        'app:proxy-server': {'use': 'egg:swift#proxy',
                             'account_autocreate': 'true'},
        **{f'filter:{name}': {'use': f'egg:swift#{name}'}
           for name in _PIPELINE if name != 'authtoken'},
        'filter:s3api': {'use': 'egg:swift#s3api'},
        'filter:s3token': {
            'use': 'egg:swift#s3token',
            # Keystone knows the keys and says whose they are.
            'auth_uri': settings.url(state, 'keystone') + '/v3',
            **settings.auth_token(state, NAME),
        },
        'filter:keystoneauth': {
            'use': 'egg:swift#keystoneauth',
            'reseller_prefix': ','.join(settings.ACCOUNTS.values()),
            'operator_roles': 'admin,member'},
        'filter:authtoken': {
            'paste.filter_factory':
                'keystonemiddleware.auth_token:filter_factory',
            **settings.auth_token(state, NAME),
            'delay_auth_decision': 'true',
        },
    })


def environment(state: cloud_state.State) -> dict[str, str]:
    """Variables that Swift's process needs: none."""
    return {}


def serve_command(state: cloud_state.State, *descriptors: int) -> list[str]:
    """The program that serves the four APIs.

    :param descriptors: in the order of ``SOCKETS``
    """
    proxy, *stores = (str(number) for number in descriptors)
    return [sys.executable, '-m', 'local_cloud.inside.swift',
            str(_directory(state)), *stores, proxy]


def ready(state: cloud_state.State) -> bool | str:
    """Whether it answers, or what it answered instead."""
    try:
        answer = requests.get(settings.url(state, NAME) + '/healthcheck',
                              timeout=5)
    except requests.RequestException as error:
        return str(error)
    return answer.ok or f'it answered {answer.status_code}'
