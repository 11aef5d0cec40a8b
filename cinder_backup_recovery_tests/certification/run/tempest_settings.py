# SPDX-License-Identifier: Apache-2.0

"""Tempest's configuration, as a profile has it."""

from collections.abc import Iterable
from collections.abc import Mapping
import json
import logging
import os
import pathlib
from typing import Any

from oslo_config import cfg

from backup_model import history
from backup_model import running
from cinder_backup_recovery_tests import connecting
from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.certification.profile import profiles
from cinder_backup_recovery_tests.certification.profile import schema

Sections = dict[str, dict[str, list[str]]]

_HISTORIES = ('history_files', 'history_count', 'history_seed')

# What Tempest reads of an account.
_ACCOUNT = ('username', 'password', 'project_name', 'user_domain_name',
            'user_domain_id', 'project_domain_name', 'project_domain_id')

# The names that Cinder has had in catalogues, the newest first.
_VOLUME_TYPES = ('block-storage', 'volumev3', 'volume', 'block-store')


def of_file(path: pathlib.Path) -> Sections:
    """Read a configuration.

    :raises ProfileError: if it cannot be read
    """
    sections: Any = {}
    try:
        cfg.ConfigParser(str(path), sections).parse()
    except OSError as error:
        raise profiles.ProfileError(
            f'connect.tempest_conf: {path} cannot be read: {error.strerror}'
        ) from None
    except (cfg.ParseError, UnicodeDecodeError) as error:
        raise profiles.ProfileError(
            f'connect.tempest_conf: {path} cannot be read: '
            f'{" ".join(str(error).split())}') from None
    return {name: dict(options) for name, options in sections.items()}


def of_cloud(name: str | None, accounts: pathlib.Path | None = None
             ) -> Sections:
    """Make a configuration from clouds.yaml, or from OS_ variables.

    The cloud is asked for its catalogue.

    :param accounts: where the account is written that the tests have; None
        for an administrator, who makes accounts for them
    :raises ProfileError: if there is no such cloud, or authentication fails
    """
    # It takes a second to import, and not every run needs it.
    from keystoneauth1 import exceptions as auth_exceptions
    import openstack.config
    import openstack.exceptions

    what = f'connect.cloud = {name}' if name else 'the cloud of OS_AUTH_URL'
    if not name and not {'OS_AUTH_URL', 'OS_CLOUD'} & os.environ.keys():
        raise profiles.ProfileError(
            f'nothing says which cloud it is: set connect.cloud'
            f'{"" if accounts else " or connect.tempest_conf"}, or '
            f'OS_AUTH_URL and its like')
    # What it warns of is said by the error.
    logging.getLogger('keystoneauth').setLevel(logging.ERROR)
    try:
        region = openstack.config.OpenStackConfig().get_one(cloud=name)
        auth = region.config['auth']
        access = region.get_session().auth.get_access(region.get_session())
    except auth_exceptions.Unauthorized as error:
        raise profiles.ProfileError(
            f'{what}: authentication as {auth.get("username")} failed: '
            f'{exceptions.one_line(error)}; check its user name and '
            f'password') from None
    except (openstack.exceptions.SDKException,
            auth_exceptions.ClientException, OSError, KeyError) as error:
        raise profiles.ProfileError(
            f'{what}: {exceptions.one_line(error)}') from None
    types = {one['type'] for one in access.service_catalog.catalog}
    volume = next((one for one in _VOLUME_TYPES if one in types), None)
    if volume is None:
        raise profiles.ProfileError(
            f'{what} has no Cinder in its catalogue: {", ".join(types)}')
    missing = [one for one in ('username', 'password', 'project_name')
               if not auth.get(one)]
    if missing:
        raise profiles.ProfileError(
            f'{what} has no {", ".join(missing)}: Tempest wants '
            f'{"a user" if accounts else "an administrator"} with a password')
    verify, _ = region.get_requests_verify_args()
    values: dict[str, dict[str, Any]] = {
        'identity': {
            'uri_v3': _v3(auth['auth_url']), 'auth_version': 'v3',
            'region': region.region_name,
            'disable_ssl_certificate_validation': verify is False,
            'ca_certificates_file': verify if isinstance(verify, str)
            else None},
        'auth': {
            'create_isolated_networks': False,
            **(_of_member(what, auth, access.role_names, accounts)
               if accounts else _of_administrator(auth))},
        'service_available': {
            'cinder': True, 'glance': 'image' in types, 'nova': False,
            'swift': 'object-store' in types, 'neutron': False,
            'horizon': False},
        'image': {'region': region.region_name},
        'volume': {
            'region': region.region_name, 'catalog_type': volume,
            'min_microversion': '3.0', 'max_microversion': 'latest'},
        'volume-feature-enabled': {'backup': True, 'snapshot': True},
    }
    return {section: {key: [_word(value)] for key, value in options.items()
                      if value is not None}
            for section, options in values.items()}


def _of_administrator(auth: Mapping[str, Any]) -> dict[str, Any]:
    return {
        'use_dynamic_credentials': True,
        'admin_username': auth['username'],
        'admin_password': auth['password'],
        'admin_project_name': auth['project_name'],
        'admin_domain_name': auth.get('user_domain_name') or
        auth.get('project_domain_name') or 'Default'}


def _of_member(what: str, auth: Mapping[str, Any], roles: Iterable[str],
               accounts: pathlib.Path) -> dict[str, Any]:
    """Write the account of a user as Tempest reads it.

    :raises ProfileError: it is an administrator's, with which the tests would
        not show what a user can do
    """
    if 'admin' in roles:
        raise profiles.ProfileError(
            f'{what}: {auth["username"]} has the role admin in project '
            f'{auth["project_name"]}; name a user with the role member only')
    account = {key: auth[key] for key in _ACCOUNT if auth.get(key)}
    write_secret(accounts, json.dumps([{**account, 'roles': ['member']}]))
    return {'use_dynamic_credentials': False,
            'test_accounts_file': accounts}


def _v3(url: str) -> str:
    url = url.rstrip('/')
    return url if url.endswith('/v3') else f'{url}/v3'


def _word(value: Any) -> str:
    if isinstance(value, list):
        return ','.join(map(str, value))
    if isinstance(value, dict):
        return ','.join(f'{key}:{text}' for key, text in value.items())
    return str(value).lower() if isinstance(value, bool) else str(value)


def of_profile(profile: profiles.Profile) -> Sections:
    """The profile's own options, which override the cloud's.

    :raises ProfileError: if a secret is missing
    """
    group: dict[str, Any] = {
        option.name: (
            profile.secret if f'connect.{option.name}' in schema.SECRETS else
            profile.get)(f'connect.{option.name}')
        for option in connecting.OPTIONS}
    group['database_connection'] = profile.database_url()
    group['backup_driver'] = profile.get('driver.class')
    return {
        'cinder_backup_recovery': {
            key: [_word(value)] for key, value in group.items()
            if value is not None},
        'cinder_backup_recovery_feature_enabled': {
            key: [_word(value)] for key, value in
            profile.document['can'].items()},
    }


def of_histories(profile: profiles.Profile) -> Sections:
    """The profile's options by which the suite has more tests.

    :raises ProfileError: a file has no history
    """
    group: dict[str, Any] = {
        name: profile.get(f'connect.{name}') for name in _HISTORIES}
    if group['history_files']:
        # The tests run in another directory.
        paths = [pathlib.Path(name).expanduser().absolute()
                 for name in group['history_files']]
        for path in paths:
            try:
                running.read(path)
            except history.HistoryError as error:
                raise profiles.ProfileError(
                    f'connect.history_files: {error}') from None
        group['history_files'] = paths
    return {'cinder_backup_recovery': {
        key: [_word(value)] for key, value in group.items()
        if value is not None}}


def write(path: pathlib.Path, *layers: Mapping[str, Mapping[str, list[str]]]
          ) -> Sections:
    """Write a configuration that only its owner may read."""
    merged: Sections = {}
    for layer in layers:
        for section, options in layer.items():
            merged.setdefault(section, {}).update(options)
    lines = []
    for section, options in merged.items():
        lines.append(f'[{section}]')
        for key, values in options.items():
            # What has lines of its own goes on in the next ones.
            lines += [f'{key} = ' + value.replace('\n', '\n    ')
                      for value in values]
    write_secret(path, '\n'.join(lines) + '\n')
    return merged


def write_secret(path: pathlib.Path, text: str) -> None:
    """Write a file that only its owner may read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, 'w') as stream:
        stream.write(text)


def variables(path: pathlib.Path) -> dict[str, str]:
    """Environment variables that make Tempest read a configuration."""
    return {'TEMPEST_CONFIG_DIR': str(path.parent),
            'TEMPEST_CONFIG': path.name}
