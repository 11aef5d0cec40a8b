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

"""Glance: images as files of one directory."""

import sys

import requests

from local_cloud import settings
from local_cloud.machine import state as cloud_state

NAME = 'glance'
#: The ports that it listens on, by name.
SOCKETS = (NAME,)


def configure(state: cloud_state.State) -> None:
    """Write Glance's configuration."""
    images = state.data / 'images'
    stores = {name: state.data / name for name in
              ('os_glance_staging_store', 'os_glance_tasks_store')}
    for directory in (images, *stores.values()):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    sections = {
        'DEFAULT': {
            'debug': state.record['debug'],
            'use_stderr': 'true',
            'enabled_backends': 'files:file',
            'worker_self_reference_url': settings.url(state, NAME),
            # Of the hashes that an image gets, the quickest to compute; the
            # tests compare every byte themselves.
            'hashing_algorithm': 'sha1',
            'lock_path': state.locks,
        },
        'database': settings.database(state, NAME),
        'glance_store': {'default_backend': 'files'},
        'files': {'filesystem_store_datadir': images},
        'keystone_authtoken': settings.auth_token(state, NAME),
        'paste_deploy': {
            'flavor': 'keystone',
            'config_file': settings.packaged_file(
                NAME, 'glance-api-paste.ini'),
        },
        'oslo_concurrency': {'lock_path': state.locks},
        # Images go straight through, nobody watches for them to change.
        'oslo_messaging_notifications': {'driver': 'noop'},
    }
    for name, directory in stores.items():
        sections[name] = {'filesystem_store_datadir': directory}
    settings.write(state.config('glance-api'), sections)


def environment(state: cloud_state.State) -> dict[str, str]:
    """Variables that Glance's processes need."""
    return {'OS_GLANCE_CONFIG_DIR': str(state.config('glance-api').parent)}


def bootstrap_command(state: cloud_state.State) -> list[str]:
    """The program that makes the schema."""
    return [sys.executable, '-m', 'local_cloud.inside.glance', 'bootstrap']


def serve_command(state: cloud_state.State, *descriptors: int) -> list[str]:
    """The program that serves the API."""
    descriptor, = descriptors
    return [sys.executable, '-m', 'local_cloud.inside.glance', 'serve',
            str(descriptor)]


def ready(state: cloud_state.State) -> bool | str:
    """Whether it answers, or what it answered instead."""
    try:
        answer = requests.get(settings.url(state, NAME) + '/versions',
                              timeout=5)
    except requests.RequestException as error:
        return str(error)
    return answer.ok or f'it answered {answer.status_code}'
