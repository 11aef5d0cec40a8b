# SPDX-License-Identifier: Apache-2.0

"""Remove what a run has left behind, by its ledger.

For the day after a run that was killed. What the ledger does not list is not
touched, and nothing is touched while tests use the ledger. A backup whose row
was lost is imported from the record that the ledger holds, so that its stored
data is freed too.

Exit codes: 0 nothing is left, 1 something could not be removed, 3 the
arguments or the configuration are wrong, tests use the ledger, or the cloud
does not answer.
"""

import argparse
from collections.abc import Callable
from collections.abc import Sequence
import functools
import json
import logging
import os
import sys
from typing import Any

from oslo_config import cfg
from tempest import config
from tempest.common import credentials_factory
from tempest.lib import exceptions as lib_exc
from tempest.lib.common import api_microversion_fixture
import urllib3

from cinder_backup_recovery_tests import config as recovery_config
from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import rows
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.cloud import ledger as resource_ledger
from cinder_backup_recovery_tests.cloud import locks
from cinder_backup_recovery_tests.cloud import membership
from cinder_backup_recovery_tests.cloud import regions
from cinder_backup_recovery_tests.cloud import run_mark
from cinder_backup_recovery_tests.cloud import safe_delete
from cinder_backup_recovery_tests.cloud import services
from cinder_backup_recovery_tests.cloud import tenants
from cinder_backup_recovery_tests.cloud import waiters
from cinder_backup_recovery_tests.cmd import programs
from cinder_backup_recovery_tests.rows import temporary
from cinder_backup_recovery_tests.stores import copying
from cinder_backup_recovery_tests.stores import damaging
from cinder_backup_recovery_tests.stores import repair

CLEAN = 0
LEFT_OVER = 1

# Everything that a cloud or a network can do to a request.
REQUEST_ERRORS = (lib_exc.TempestException, exceptions.BackupRecoveryError,
                  urllib3.exceptions.HTTPError, OSError)


class Accounts:
    """The users and projects that Tempest made for the tests."""

    def __init__(self, manager: Any) -> None:
        self._delete = {
            clients.USER: manager.users_v3_client.delete_user,
            clients.PROJECT: manager.projects_client.delete_project,
        }

    def delete(self, kind: str, resource_id: str) -> None:
        """Delete a user or a project."""
        self._delete[kind](resource_id)


class Cleanup:
    """Removes all that a ledger lists and that is still there."""

    def __init__(self, deleting: safe_delete.SafeDelete, accounts: Any,
                 set_quota: Callable[[str, str, Any], None],
                 say: Callable[[str], None], dry_run: bool = False,
                 others: Sequence[safe_delete.SafeDelete] = (), *,
                 marks: run_mark.RunMark | None = None,
                 repair: repair.Repair | None = None,
                 give_rows: Callable[[resource_ledger.Change],
                                     None] | None = None,
                 give_storage: Callable[[resource_ledger.Change],
                                        None] | None = None,
                 give_keys: Callable[[resource_ledger.Change],
                                     None] | None = None,
                 within: Callable[
                     [safe_delete.SafeDelete, str],
                     safe_delete.SafeDelete] | None = None) -> None:
        """Store what removes each kind of resource.

        :param set_quota: sets the limit of a project and resource
        :param repair: undoes damages and removes copies on the storages of
            the backups
        :param give_rows: restores the rows of a volume or snapshot
        :param give_storage: starts the storage of the backups
        :param give_keys: starts the key manager
        :param within: makes one whose requests are of a project
        """
        self.deleting = deleting
        self.ledger = deleting.ledger
        self.accounts = accounts
        self.set_quota = set_quota
        self.marks = marks
        self.repair = repair
        self.repairs = {damaging.KIND: repair, temporary.KIND: give_rows,
                        services.STORAGE: give_storage,
                        services.KEY_MANAGER: give_keys}
        self.within = within
        self.say = say
        self.dry_run = dry_run
        self.others = others

    def run(self) -> list[str]:
        """Remove everything, dependent resources first.

        :returns: a line for each that could not be removed or restored
        """
        self._left: list[str] = []
        for change in reversed(self.ledger.changes()):
            self._do(
                f'{change.kind} {change.key}',
                ('would be undone' if change.kind in self.repairs else
                 f'would be set back to {change.before}'),
                functools.partial(self._put_back, change))
        if not self.dry_run:
            damaging.forget(self.ledger)
        for deleting in (*self.others, self.deleting):
            for kind in safe_delete.ORDER:
                self._do_each(deleting.ledger, kind,
                              functools.partial(self._remove, deleting))
        # After their backups: until then Cinder may need them.
        self._do_each(self.ledger, copying.KIND, self._remove_stored)
        for kind in (clients.USER, clients.PROJECT):
            self._do_each(self.ledger, kind, self._remove_account)
        # Until then no other certification may start.
        self._do_each(self.ledger, run_mark.KIND, self._remove_mark)
        return self._left

    def _do_each(self, ledger: resource_ledger.Ledger, kind: str,
                 remove: Callable[[resource_ledger.Entry], str]) -> None:
        # Made last, removed first: children before their parents.
        for entry in reversed(ledger.entries(kind)):
            title = ' '.join(filter(None, (
                entry.kind, entry.resource_id or 'of an unanswered request',
                f'({entry.name})' if entry.name else None)))
            self._do(title, 'would be removed',
                     functools.partial(remove, entry))

    def _do(self, title: str, plan: str, act: Callable[[], str]) -> None:
        if self.dry_run:
            self.say(f'{title} {plan}')
            return
        try:
            done = act()
        except REQUEST_ERRORS as exc:
            line = f'could not remove {title}: {exceptions.one_line(exc)}'
            self._left.append(line)
            self.say(line)
            return
        self.say(f'{title} {done}')

    def _remove(self, deleting: safe_delete.SafeDelete,
                entry: resource_ledger.Entry) -> str:
        if entry.resource_id is None:
            return deleting.remove_intended(entry)
        for change in self.ledger.changes(temporary.KIND):
            # Without its row it would count as gone.
            if entry.resource_id == change.before['id']:
                raise exceptions.BackupRecoveryError(
                    f'{change.kind} {change.key} was not undone')
        if entry.kind == clients.BACKUP:
            for change in self.ledger.changes(damaging.KIND):
                # Its storage could not be freed, and nothing would be left
                # that says where it is.
                if entry.resource_id in change.before['backup_ids']:
                    raise exceptions.BackupRecoveryError(
                        f'{change.kind} {change.key} was not undone')
            project_id = deleting.project_of(entry.resource_id)
            if self.within and project_id:
                deleting = self.within(deleting, project_id)
        return deleting.remove(entry.kind, entry.resource_id)

    def _remove_stored(self, entry: resource_ledger.Entry) -> str:
        site = self.others if entry.details['second'] else (self.deleting,)
        if any(one.resource_id == entry.details['backup_id']
               for deleting in site
               for one in deleting.ledger.entries(clients.BACKUP)):
            raise exceptions.BackupRecoveryError(
                'its backup could not be removed')
        assert self.repair is not None  # noqa: S101 only tests have none
        self.repair.remove(entry)
        return 'removed'

    def _remove_mark(self, entry: resource_ledger.Entry) -> str:
        assert self.marks is not None  # noqa: S101 only tests have none
        return self.marks.remove(entry)

    def _remove_account(self, entry: resource_ledger.Entry) -> str:
        assert entry.resource_id is not None  # noqa: S101 always added
        try:
            self.accounts.delete(entry.kind, entry.resource_id)
            done = 'removed'
        except lib_exc.NotFound:
            done = 'was gone already'
        self.ledger.gone(entry.kind, entry.resource_id)
        return done

    def _put_back(self, change: resource_ledger.Change) -> str:
        if repair := self.repairs.get(change.kind):
            repair(change)
            return 'undone'
        if change.kind != 'quota':
            raise exceptions.BackupRecoveryError(
                f'no automatic way to reset a {change.kind}; set it to '
                f'{change.before} manually')
        project_id, _, resource = change.key.partition('/')
        self.set_quota(project_id, resource, change.before)
        self.ledger.restored(change.kind, change.key)
        return f'set back to {change.before}'


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = programs.Parser(
        prog='cinder-backup-recovery-cleanup',
        description='Remove what a run of cinder-backup-recovery-tests has '
                    'left behind. Nothing is removed while tests use the '
                    'ledger.',
        epilog='Exit codes: 0 nothing is left, 1 something could not be '
               'removed, 3 the arguments or the configuration are wrong, '
               'tests use the ledger, or the cloud does not answer.')
    parser.add_argument(
        '--config-file', metavar='FILE',
        help="Tempest's configuration file; default: the one that Tempest "
             'finds')
    parser.add_argument(
        '--ledger', metavar='DIR',
        help='directory of the ledger; default: [cinder_backup_recovery] '
             'ledger_dir')
    parser.add_argument(
        '--dry-run', action='store_true',
        help='only print what would be removed')
    parser.add_argument(
        '--json', action='store_true',
        help='print one JSON object at the end: "done", a line for each thing '
             'that was removed, and "left", or "error"')
    parser.add_argument(
        '--run', metavar='ID',
        help='the id of the certification that holds the ledger and has '
             'started this clean-up')
    return parser.parse_args(argv)


def _open_ledger(given: str | None) -> resource_ledger.Ledger | None:
    directory = given or config.CONF.cinder_backup_recovery.ledger_dir
    if not directory:
        raise exceptions.InvalidConfiguration(
            '[cinder_backup_recovery] ledger_dir is not set; set it, or give '
            '--ledger')
    if not os.path.isdir(directory):
        if given:
            raise exceptions.InvalidConfiguration(
                f'the ledger {given} does not exist')
        return None
    return resource_ledger.Ledger(directory)


def anything_left(ledger: resource_ledger.Ledger) -> bool:
    """Check whether there is anything to remove or restore.

    :raises LedgerCorrupt: a line cannot be read
    """
    return bool(ledger.changes()) or any(
        not entry.kind.startswith(safe_delete.RECORD)
        for entry in ledger.entries())


def clean(ledger: resource_ledger.Ledger, say: Callable[[str], None],
          dry_run: bool = False) -> list[str]:
    """Remove what a ledger lists, in the cloud of Tempest's configuration.

    :param ledger: of a run that has ended; the caller keeps others from it,
        see :func:`locks.cleaning`
    :returns: a line for each thing that could not be removed
    :raises InvalidConfiguration: the administrator cannot log in
    """
    if tenants.is_one(config.CONF):
        return _clean_as_tenant(ledger, say, dry_run)
    try:
        manager = credentials_factory.AdminManager()
        manager.auth_provider.set_auth()
    except REQUEST_ERRORS as exc:
        raise exceptions.InvalidConfiguration(
            f'authentication failed for the administrator in [auth]: '
            f'{exceptions.one_line(exc)}') from None
    fixture = api_microversion_fixture.APIMicroversionFixture(
        volume_microversion=recovery_config.MICROVERSION)
    with fixture, membership.Membership(
            config.CONF.identity.admin_role, manager) as members:
        def within(deleting: safe_delete.SafeDelete, project_id: str
                   ) -> safe_delete.SafeDelete:
            return safe_delete.SafeDelete(
                clients.CloudApi(members.manager(project_id),
                                 deleting.api.region),
                deleting.ledger, deleting.patience)

        return Cleanup(
            safe_delete.SafeDelete(clients.CloudApi(manager), ledger,
                                   waiters.Patience.from_config(config.CONF)),
            Accounts(manager),
            lambda project_id, resource, limit:
                manager.volume_quotas_client_latest.update_quota_set(
                    project_id, **{resource: limit}),
            say, dry_run, [
                safe_delete.SafeDelete(
                    clients.CloudApi(manager, region),
                    regions.RegionLedger(ledger, region),
                    waiters.Patience.from_config(config.CONF))
                for region in regions.named_in(ledger)],
            marks=run_mark.RunMark(manager.projects_client, ledger),
            repair=repair.Repair(config.CONF, members, ledger),
            give_rows=lambda change: temporary.restore(
                rows.make(config.CONF.cinder_backup_recovery, ledger),
                ledger, change),
            give_storage=lambda change: services.BackupStorage.from_config(
                config.CONF, ledger, change.after).start(),
            give_keys=lambda change: services.KeyManager.from_config(
                config.CONF, ledger).start(),
            within=within).run()


class _OfAdministrator:
    """The rest of an administrator's run, which a user cannot remove."""

    def __call__(self, *args: Any) -> None:
        """Refuse."""
        raise exceptions.BackupRecoveryError(
            'it is of a run by an administrator, who must remove it')

    delete = remove = __call__


def _clean_as_tenant(ledger: resource_ledger.Ledger,
                     say: Callable[[str], None], dry_run: bool) -> list[str]:
    """Remove what a user has made, with the account of that user."""
    refuse: Any = _OfAdministrator()
    fixture = api_microversion_fixture.APIMicroversionFixture(
        volume_microversion=recovery_config.MICROVERSION)
    with fixture, tenants.account(config.CONF) as manager:
        return Cleanup(
            safe_delete.SafeDelete(clients.CloudApi(manager), ledger,
                                   waiters.Patience.from_config(config.CONF)),
            refuse, refuse, say, dry_run, marks=refuse, repair=refuse,
            give_rows=refuse, give_storage=refuse, give_keys=refuse).run()


def _configure(path: str | None) -> None:
    """Read Tempest's configuration.

    :param path: its file; None for the one that Tempest finds
    :raises InvalidConfiguration: it is not that of a cloud
    """
    if path:
        if not os.path.isfile(path):
            raise exceptions.InvalidConfiguration(
                f'the configuration file {path} does not exist')
        config.CONF.set_config_path(os.path.abspath(path))
    # Without a log file, Tempest reports on stdout how it is configured.
    log = logging.getLogger('tempest')
    log.setLevel(logging.WARNING)
    try:
        url = config.CONF.identity.uri_v3
        if config.CONF.log_file or config.CONF.log_dir:
            log.setLevel(logging.NOTSET)
    except (cfg.Error, UnicodeDecodeError) as exc:
        raise exceptions.InvalidConfiguration(
            f'the configuration file {path or "of Tempest"} cannot be read: '
            f'{exceptions.one_line(exc)}') from None
    # Also where the ledger is given: with a wrong file this would report that
    # nothing is left.
    if path and not url:
        raise exceptions.InvalidConfiguration(
            f'{path} is not a configuration of Tempest for a cloud: it has no '
            f'[identity] uri_v3')


def _run(arguments: argparse.Namespace, say: Callable[[str], None]
         ) -> list[str]:
    _configure(arguments.config_file)
    ledger = _open_ledger(arguments.ledger)
    if ledger is None:
        say('the ledger is empty')
        return []
    for torn in ledger.torn():
        say(f'incomplete last line in the ledger (killed while writing?): '
            f'{torn}')
    if not anything_left(ledger):
        say('nothing is left')
        return []
    if arguments.dry_run:
        return clean(ledger, say, dry_run=True)
    with locks.cleaning(ledger.directory, arguments.run):
        left = clean(ledger, say)
    if left:
        say(f'{len(left)} left')
    return left


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program."""
    said: list[str] = []
    arguments = _arguments(argv)
    as_json = arguments.json
    try:
        left = _run(arguments, said.append if as_json else
                    functools.partial(print, flush=True))
    except (cfg.Error, exceptions.BackupRecoveryError, OSError) as exc:
        return programs.fail(exceptions.one_line(exc), as_json)
    if as_json:
        print(json.dumps({'done': said, 'left': left}))
    return LEFT_OVER if left else CLEAN


if __name__ == '__main__':
    sys.exit(main())
