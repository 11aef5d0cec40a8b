# SPDX-License-Identifier: Apache-2.0

"""The files by which clients find the cloud: openrc, clouds.yaml."""

import json
import os
import pathlib
import shlex

from local_cloud import backups
from local_cloud import settings
from local_cloud.machine import cloud_state
from local_cloud.machine import loopback

CLOUD_NAME = 'local-cloud'
# Variables with that prefix of programs for tests and services.
_NOT_OF_CLIENTS = ('OS_TEST_', 'OS_STDOUT_CAPTURE', 'OS_STDERR_CAPTURE',
                   'OS_LOG_CAPTURE', 'OS_DEBUG', 'OS_CINDER_')
# The same for a shell: see environment().
_FORGET = f'''\
for _name in $(env | sed -n 's/^\\(OS_[A-Z0-9_]*\\)=.*/\\1/p' |
    grep -vE '^({"|".join(_NOT_OF_CLIENTS)})'); do unset "$_name"; done
unset _name
no_proxy="${{no_proxy:-$NO_PROXY}}"
case ",$no_proxy," in
    *,{settings.HOST},*) ;;
    *) no_proxy="${{no_proxy:+$no_proxy,}}{settings.HOST},localhost" ;;
esac
export no_proxy NO_PROXY="$no_proxy"
'''


def variables(state: cloud_state.State) -> dict[str, str]:
    """The environment of a client, an administrator's.

    The same for the ``openstack`` and the ``cinder`` client and for
    Tempest; a command that gets it needs nothing else.
    """
    return {
        'OS_AUTH_URL': settings.endpoint(state, 'keystone'),
        'OS_IDENTITY_API_VERSION': '3',
        'OS_VOLUME_API_VERSION': '3',
        'OS_USERNAME': settings.ADMIN_USER,
        'OS_PASSWORD': state.record['passwords'][settings.ADMIN_USER],
        'OS_PROJECT_NAME': settings.ADMIN_PROJECT,
        'OS_USER_DOMAIN_NAME': 'Default',
        'OS_PROJECT_DOMAIN_NAME': 'Default',
        'OS_REGION_NAME': settings.REGION,
        'OS_CLIENT_CONFIG_FILE': str(clouds_yaml(state)),
        'TEMPEST_CONFIG_DIR': str(state.etc),
        'TEMPEST_CONFIG': 'tempest.conf',
        cloud_state.ENVIRONMENT: str(state.root),
        **backups.client_variables(state),
    }


def environment(state: cloud_state.State) -> dict[str, str]:
    """The environment of a command that uses the cloud and no other.

    Variables of an older openrc, such as a project's id or an application
    credential, would win over those of this cloud, or contradict them.
    """
    kept = {name: value for name, value in os.environ.items()
            if not name.startswith('OS_') or name.startswith(_NOT_OF_CLIENTS)}
    return {**kept, **variables(state), **loopback.without_proxy(kept)}


def openrc(state: cloud_state.State) -> pathlib.Path:
    """The file with the variables, for a shell."""
    return state.etc / 'openrc'


def clouds_yaml(state: cloud_state.State) -> pathlib.Path:
    """The configuration file of clients."""
    return state.etc / 'clouds.yaml'


def write(state: cloud_state.State) -> None:
    """Write both files, readable by their owner only."""
    secret_file(openrc(state), _FORGET + ''.join(
        f'export {name}={shlex.quote(value)}\n'
        for name, value in variables(state).items()))
    values = variables(state)
    # JSON is YAML, and needs no library to quote it right.
    secret_file(clouds_yaml(state), json.dumps({'clouds': {CLOUD_NAME: {
        'auth': {
            'auth_url': values['OS_AUTH_URL'],
            'username': values['OS_USERNAME'],
            'password': values['OS_PASSWORD'],
            'project_name': values['OS_PROJECT_NAME'],
            'user_domain_name': 'Default',
            'project_domain_name': 'Default',
        },
        'region_name': settings.REGION,
        'identity_api_version': 3,
        'volume_api_version': 3,
    }}}, indent=2) + '\n')


def secret_file(path: pathlib.Path, text: str) -> None:
    """Write a file that only its owner ever could read."""
    path.touch(mode=0o600)
    path.write_text(text)
