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

"""Keystone: fernet tokens, and the catalogue."""

import sys

import requests

from local_cloud import settings
from local_cloud.machine import state as cloud_state

NAME = 'keystone'
#: The ports that it listens on, by name.
SOCKETS = (NAME,)


def configure(state: cloud_state.State) -> None:
    """Write Keystone's configuration."""
    keys = state.data / 'keystone-keys'
    settings.write(state.config(NAME), {
        'DEFAULT': {'debug': state.record['debug'], 'use_stderr': 'true'},
        'database': settings.database(state, NAME),
        'cache': {'backend': 'oslo_cache.dict'},
        'token': {'provider': 'fernet'},
        'fernet_tokens': {'key_repository': keys / 'fernet'},
        # Nobody here signs in with two factors, and gets a receipt for the
        # first; Keystone makes and wants keys for it all the same.
        'fernet_receipts': {'key_repository': keys / 'fernet'},
        'credential': {'key_repository': keys / 'credential'},
        # Every process of the tests signs in with users of its own; the
        # usual strength of a hash is for passwords that people choose.
        'identity': {'password_hash_rounds': 4},
    })
    for name in ('fernet', 'credential'):
        (keys / name).mkdir(mode=0o700, parents=True, exist_ok=True)


def environment(state: cloud_state.State) -> dict[str, str]:
    """Variables that Keystone's processes need."""
    return {'OS_KEYSTONE_CONFIG_DIR': str(state.config(NAME).parent)}


def bootstrap_command(state: cloud_state.State) -> list[str]:
    """The program that makes the schema, the keys and the catalogue."""
    return [sys.executable, '-m', 'local_cloud.inside.keystone', 'bootstrap']


def serve_command(state: cloud_state.State, *descriptors: int) -> list[str]:
    """The program that serves the API."""
    descriptor, = descriptors
    return [sys.executable, '-m', 'local_cloud.inside.keystone', 'serve',
            str(descriptor)]


def ready(state: cloud_state.State) -> bool | str:
    """Whether it answers, or what it answered instead."""
    try:
        answer = requests.get(settings.url(state, NAME) + '/v3', timeout=5)
    except requests.RequestException as error:
        return str(error)
    return answer.ok or f'it answered {answer.status_code}'
