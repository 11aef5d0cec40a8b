# SPDX-License-Identifier: Apache-2.0

"""Check whether a cloud can be certified, and create nothing in it.

A program of its own, as Tempest's configuration is of a process::

    python -m cinder_backup_recovery_tests.certification.run.preflight

With ``--tenant`` it is that of a user with the role member, who has neither
the database nor a list of services.

With ``--begin``, and a run as JSON, the run begins: what a killed run with
the same ledger has left is removed, and the cloud gets the run's mark. The
caller holds the lock of the ledger.

It prints one JSON object: ``found`` and ``versions``, or ``error``. Exit
codes: 0 all is well, 3 with the error on stderr, too.
"""

from collections.abc import Callable
from collections.abc import Sequence
import json
import sys
import tempfile
from typing import Any

from oslo_config import cfg
from tempest import config
from tempest.common import credentials_factory
from tempest.lib import exceptions as lib_exc
import urllib3

from cinder_backup_recovery_tests import config as recovery_config
from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import rows
from cinder_backup_recovery_tests import stores
from cinder_backup_recovery_tests import tenant
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.cloud import ledger as resource_ledger
from cinder_backup_recovery_tests.cloud import locks
from cinder_backup_recovery_tests.cloud import run_mark
from cinder_backup_recovery_tests.cloud import tenants
from cinder_backup_recovery_tests.cmd import cleanup
from cinder_backup_recovery_tests.cmd import programs
from cinder_backup_recovery_tests.rows import database

CONF = config.CONF


def _invalid(text: str, error: BaseException) -> Exception:
    return exceptions.InvalidConfiguration(
        f'{text}: {" ".join(str(error).split())}')


def _log_in(make: Callable[[], Any], name: str) -> Any:
    try:
        manager = make()
        manager.auth_provider.set_auth()
    except lib_exc.Unauthorized as error:
        raise _invalid(f'authentication failed for {name}', error) from None
    except (lib_exc.TempestException, urllib3.exceptions.HTTPError
            ) as error:
        raise _invalid(f'[identity] uri_v3 = {CONF.identity.uri_v3} is not a '
                       f'Keystone v3 endpoint', error) from None
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
            f'no cinder-backup service is up and enabled '
            f'({states or "none exists"}); start it')
    return found


def _check_rows(services: list[dict[str, Any]]) -> str:
    """Prove that rows can be lost, and that they are this cloud's."""
    with tempfile.TemporaryDirectory() as directory:
        ledger = resource_ledger.Ledger(directory)
        try:
            access = rows.make(CONF.cinder_backup_recovery, ledger)
            access.check(clients.BACKUP)
        finally:
            ledger.close()
    if not isinstance(access, database.DatabaseRows):
        return 'rows are deleted by row_command'
    hosts = {one['host'] for one in services}
    there = access.hosts('cinder-backup')
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


def _versions(manager: Any) -> dict[str, str]:
    """Return the release as it is configured, for a cloud does not tell it.

    And the newest version of the API, which several releases share.
    """
    group = CONF.cinder_backup_recovery
    told = group.cinder_version or group.cinder_release
    found = {'cinder': f'{told} (as configured)'} if told else {}
    try:
        listed = manager.volume_versions_client_latest.list_versions()
        api = next(one['version'] for one in listed['versions']
                   if one.get('version'))
    except (lib_exc.TempestException, urllib3.exceptions.HTTPError,
            StopIteration):
        return found or {'cinder': 'unknown'}
    return {'cinder': f'with API {api}', **found, 'cinder API': api}


def _clean(ledger: resource_ledger.Ledger, run: locks.Owner) -> list[str]:
    """Clean up after a killed run."""
    done: list[str] = []
    with locks.cleaning(ledger.directory, run['run']):
        if cleanup.anything_left(ledger):
            left = cleanup.clean(ledger, done.append)
            if left:
                raise exceptions.InvalidConfiguration(
                    f'an earlier run has left {len(left)} things in the '
                    f'ledger {ledger.directory} that cannot be removed '
                    f'({left[0]}); remove them, or choose another ledger')
            done.insert(0, 'what an earlier run has left is removed:')
    return done


def _mark(mark: run_mark.RunMark, run: locks.Owner) -> list[str]:
    """Mark the cloud, so that other runs leave it alone."""
    if mark.set(run):
        return []
    return [f'{CONF.auth.admin_username} may not create a project: runs with '
            f'other ledgers are not kept away from this cloud; make sure that '
            f'there are none']


def look(run: locks.Owner | None = None) -> dict[str, Any]:
    """Check everything.

    :returns: ``found``, a line for each thing that is well, and
        ``versions``
    :raises BackupRecoveryError: with the first thing that is not
    """
    recovery_config.check(CONF)
    manager = _log_in(credentials_factory.AdminManager,
                      f'{CONF.auth.admin_username}; check [auth] '
                      f'admin_username and admin_password')
    services = _backup_services(manager)
    up = [one['host'] for one in services if one['state'] == 'up']
    found = [f'authenticated as {CONF.auth.admin_username}',
             f'cinder-backup is up on {", ".join(up)}',
             _check_rows(services), _check_store(manager)]
    if CONF.cinder_backup_recovery.backup_driver:
        found.append(
            f'the backup driver is checked when the first backup is made '
            f'(expected {CONF.cinder_backup_recovery.backup_driver})')
    ledger = resource_ledger.Ledger(CONF.cinder_backup_recovery.ledger_dir)
    try:
        mark = run_mark.RunMark(manager.projects_client, ledger)
        mark.check()
        if run:
            found += _clean(ledger, run)
            found += _mark(mark, run)
    finally:
        ledger.close()
    return {'found': [one for one in found if one],
            'versions': _versions(manager)}


def _check_room(manager: Any) -> None:
    """Prove that the quota of the project has room for the tests.

    :raises InvalidConfiguration: it has not, and a test would meet that as a
        refusal
    """
    size = CONF.cinder_backup_recovery.volume_size
    long = CONF.cinder_backup_recovery_feature_enabled.long_chains
    # Other tests have a chain of three. Of volumes there are a source and what
    # is restored, with a snapshot.
    backups = tenant.LONG_CHAIN if long else 3
    limits = manager.volume_limits_client_latest.show_limits()['limits'][
        'absolute']
    for what, limit, used, needed in (
            ('backups', 'Backups', 'Backups', backups),
            ('GiB of backups', 'BackupGigabytes', 'BackupGigabytes',
             backups * size),
            ('volumes', 'Volumes', 'Volumes', 2),
            ('GiB of volumes and snapshots', 'VolumeGigabytes', 'Gigabytes',
             3 * size)):
        # Less than nothing is no limit.
        left = limits[f'maxTotal{limit}'] - limits[f'total{used}Used']
        if limits[f'maxTotal{limit}'] >= 0 and left < needed:
            raise exceptions.InvalidConfiguration(
                f'the project has room for {left} more {what}, and the tests '
                f'need {needed}: delete some, ask for more'
                f'{", or set can.long_chains to false" if long else ""}')


def look_as_tenant(run: locks.Owner | None = None) -> dict[str, Any]:
    """Check what a user can.

    :returns: as :func:`look`
    :raises BackupRecoveryError: with the first thing that is not well
    """
    recovery_config.check(CONF, with_rows=False)
    with tenants.account(CONF) as account:
        manager = _log_in(lambda: account, account.credentials.username)
        try:
            number = len(manager.backups_client_latest.list_backups()[
                'backups'])
        except (lib_exc.TempestException, urllib3.exceptions.HTTPError
                ) as error:
            raise _invalid('Cinder does not list backups', error) from None
        found = [f'authenticated as {account.credentials.username}',
                 f'backups of project {account.credentials.project_name} are '
                 f'listed, {number} of them']
        versions = _versions(manager)
    ledger = resource_ledger.Ledger(CONF.cinder_backup_recovery.ledger_dir)
    try:
        if run:
            found += _clean(ledger, run)
    finally:
        ledger.close()
    # What was left of a killed run takes no room any more.
    with tenants.account(CONF) as account:
        _check_room(account)
    return {'found': found, 'versions': versions}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program."""
    parser = programs.Parser(
        prog='python -m '
             'cinder_backup_recovery_tests.certification.run.preflight')
    parser.add_argument('--begin', type=json.loads, metavar='RUN',
                        help='the run that begins, as JSON')
    parser.add_argument('--tenant', action='store_true',
                        help='the account is that of a user')
    arguments = parser.parse_args(argv)
    try:
        found = (look_as_tenant if arguments.tenant else look)(
            arguments.begin)
    except cfg.Error as error:
        text = f'tempest.conf: {error}'
    except (exceptions.BackupRecoveryError, lib_exc.TempestException,
            urllib3.exceptions.HTTPError, OSError) as error:
        text = str(error)
    else:
        print(json.dumps(found))
        return programs.OK
    return programs.fail(text, as_json=True)


if __name__ == '__main__':
    sys.exit(main())
