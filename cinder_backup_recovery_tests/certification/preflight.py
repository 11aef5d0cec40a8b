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


"""Look whether a cloud can be certified, and create nothing in it.

A program of its own, as Tempest's configuration is of a process::

    python -m cinder_backup_recovery_tests.certification.preflight

It prints as JSON what it has found. Exit codes: 0 all is well, 3 with one
line on stderr.
"""

import json
import sys
import tempfile
from typing import Any

from oslo_config import cfg
from tempest import config
from tempest.common import credentials_factory
from tempest.lib import exceptions as lib_exc
import urllib3

from cinder_backup_recovery_tests import base
from cinder_backup_recovery_tests import config as recovery_config
from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import ledger as resource_ledger
from cinder_backup_recovery_tests import stores
from cinder_backup_recovery_tests.rows import database

CONF = config.CONF
WRONG = 3


def _invalid(text: str, error: BaseException) -> Exception:
    return exceptions.InvalidConfiguration(
        f'{text}: {" ".join(str(error).split())}')


def _log_in() -> Any:
    try:
        manager = credentials_factory.AdminManager()
        manager.auth_provider.set_auth()
    except lib_exc.Unauthorized as error:
        raise _invalid(
            f'the cloud does not let {CONF.auth.admin_username} in, look at '
            f'admin_username and admin_password of [auth]', error) from None
    except (lib_exc.TempestException, urllib3.exceptions.HTTPError
            ) as error:
        raise _invalid(f'[identity] uri_v3 = {CONF.identity.uri_v3} does not '
                       f'answer as a Keystone', error) from None
    return manager


def _backup_services(manager: Any) -> list[dict[str, Any]]:
    """The hosts that make backups, one of which must be up."""
    try:
        found = manager.volume_services_client_latest.list_services(
            **{'binary': 'cinder-backup'})['services']
    except (lib_exc.TempestException, urllib3.exceptions.HTTPError
            ) as error:
        raise _invalid('Cinder does not list its services', error) from None
    if not any(one['state'] == 'up' and one['status'] == 'enabled'
               for one in found):
        states = ', '.join(f'{one["host"]} is {one["state"]} and '
                           f'{one["status"]}' for one in found)
        raise exceptions.InvalidConfiguration(
            f'no cinder-backup is up and enabled ({states or "there is none"}'
            f'): start it')
    return found


def _check_rows(services: list[dict[str, Any]]) -> str:
    """Prove that rows can be lost, and that they are this cloud's."""
    with tempfile.TemporaryDirectory() as directory:
        ledger = resource_ledger.Ledger(directory)
        try:
            rows = base.make_rows(CONF, ledger)
            rows.check()
        finally:
            ledger.close()
    if not isinstance(rows, database.DatabaseRows):
        return 'rows are lost by row_removal_command'
    hosts = {one['host'] for one in services}
    there = rows.hosts('cinder-backup')
    if not hosts & there:
        raise exceptions.InvalidConfiguration(
            f'the database is one of Cinder, but not of this cloud: its '
            f'backup hosts are {", ".join(sorted(there)) or "none"}, those '
            f'of the cloud {", ".join(sorted(hosts))}; look at '
            f'database_connection')
    return "the database is this cloud's"


def _check_store(manager: Any) -> str | None:
    name = CONF.cinder_backup_recovery.backup_store
    if not name:
        return None
    stores.make(CONF, name, lambda: manager).check()
    return f'the store adapter {name} reaches the storage of the backups'


def _version(manager: Any) -> str:
    """The newest microversion, as a cloud does not tell its release."""
    try:
        found = manager.volume_versions_client_latest.list_versions()
    except (lib_exc.TempestException, urllib3.exceptions.HTTPError):
        return 'unknown'
    return next((f'with API {one["version"]}' for one in found['versions']
                 if one.get('version')), 'unknown')


def look() -> dict[str, Any]:
    """Look at everything.

    :returns: ``found``, a line for each thing that is well, and
        ``versions``
    :raises BackupRecoveryError: with the first thing that is not
    """
    recovery_config.check(CONF)
    manager = _log_in()
    services = _backup_services(manager)
    up = [one['host'] for one in services if one['state'] == 'up']
    found = [f'{CONF.auth.admin_username} is let in',
             f'cinder-backup is up on {", ".join(up)}',
             _check_rows(services), _check_store(manager)]
    if CONF.cinder_backup_recovery.backup_driver:
        found.append(
            f'whether it is {CONF.cinder_backup_recovery.backup_driver} that '
            f'makes the backups is seen at the first one')
    return {'found': [one for one in found if one],
            'versions': {'cinder': _version(manager)}}


def main() -> int:
    """Run the program.

    :returns: the exit status
    """
    try:
        found = look()
    except cfg.Error as error:
        text = f'tempest.conf: {error}'
    except (exceptions.BackupRecoveryError, lib_exc.TempestException,
            urllib3.exceptions.HTTPError, OSError) as error:
        text = str(error)
    else:
        print(json.dumps(found))
        return 0
    print(f'error: {" ".join(text.split())}', file=sys.stderr)
    return WRONG


if __name__ == '__main__':
    sys.exit(main())
