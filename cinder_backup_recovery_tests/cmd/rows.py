# SPDX-License-Identifier: Apache-2.0
"""Read, delete and restore rows, on the host of Cinder's database.

Serves the command of :mod:`cinder_backup_recovery_tests.rows.command`::

  ssh db cinder-backup-rows --config-file /etc/cinder/cinder.conf
      --trust-caller --project={project} {action} {what} {ids}

Exit codes: 0 done, 1 refused or failed and nothing changed, 3 bad
configuration (options, no connection to the database, not Cinder's).
"""

import argparse
from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses
import json
import os
import sys

from oslo_config import cfg

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.cloud import ledger
from cinder_backup_recovery_tests.cmd import programs
from cinder_backup_recovery_tests.rows import base
from cinder_backup_recovery_tests.rows import command
from cinder_backup_recovery_tests.rows import database

_NAME = 'cinder-backup-rows'


class AllowedIds:
    """Ids from a file, or any, in place of a ledger.

    :param allowed: the ids; any when None
    :param where: where they are from
    """

    def __init__(self, allowed: set[str] | None, where: str) -> None:
        self._allowed = allowed
        self._where = where

    def require(self, kind: str, ids: Iterable[str]) -> None:
        """Refuse what may not be touched.

        :raises NotInLedger: naming each such id
        """
        if self._allowed is None:
            return
        foreign = [one for one in ids if one not in self._allowed]
        if foreign:
            raise exceptions.NotInLedger(
                f'{kind} {", ".join(foreign)} not allowed: not in '
                f'{self._where}')


def main(argv: Sequence[str] | None = None, name: str = _NAME) -> int:
    """Run the program.

    :param name: another one under which it is installed
    :returns: the exit code
    """
    arguments = _parser(name).parse_args(argv)
    if name != _NAME:
        print(f'warning: {name} is deprecated, use {_NAME}', file=sys.stderr)
    return programs.run(lambda: _run(arguments))


def _parser(name: str) -> argparse.ArgumentParser:
    parser = programs.Parser(
        prog=name,
        description='Delete the rows of backups, volumes or snapshots from '
        "Cinder's database, as a test of the recovery from that, and restore "
        'them: all of them or none.',
        epilog='Exit codes: 0 done, 1 refused or failed and nothing '
        'changed, 3 bad configuration. A database URL among the arguments '
        'can be read by everybody on the host; prefer --config-file.')
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument('--config-file', metavar='FILE', help='cinder.conf, '
                       'whose [database] connection is used')
    where.add_argument('--database-url', metavar='URL', help='like '
                       '[database] connection')
    allowed = parser.add_mutually_exclusive_group()
    allowed.add_argument('--ledger', metavar='DIR', help='only resources '
                         'that this ledger of the suite owns may be touched')
    allowed.add_argument('--ids-file', metavar='FILE', help='only resources '
                         'whose id is a line of this file may be touched')
    allowed.add_argument('--trust-caller', action='store_true', help='all '
                         'may be touched: the caller asked its own ledger')
    parser.add_argument('--project', metavar='ID', help='the resources must '
                        'belong to this project')
    parser.add_argument(
        'action', choices=command.ACTIONS, help='state prints '
        '"<id> <state>" for each resource; save prints the rows, in which '
        'there may be secrets of its connections; hard deletes them, soft '
        'marks them deleted, restore writes them again; purge deletes rows '
        'that are marked deleted. restore, and hard and soft of volumes and '
        'snapshots, read the output of save from stdin')
    parser.add_argument('what', choices=base.RESOURCES)
    parser.add_argument('ids', metavar='ID', nargs='+')
    return parser


def _run(args: argparse.Namespace) -> None:
    rows = database.DatabaseRows(
        args.database_url or _connection_of(args.config_file), _owner(args))
    what, ids = args.what, args.ids
    if args.action == command.STATE:
        for resource_id, state in rows.states(what, ids).items():
            print(resource_id, state)
    elif args.action == command.SAVE:
        print(json.dumps(rows.save(what, ids)))
    elif args.action == command.RESTORE:
        rows.restore(what, ids, _saved())
    elif args.action == command.PURGE:
        print(json.dumps({'purged': rows.purge(what, ids)}))
    else:
        print(json.dumps(dataclasses.asdict(rows.lose(
            what, ids, args.action, args.project or None,
            None if what == base.BACKUP else _saved()))))


def _owner(args: argparse.Namespace) -> base.Owner:
    if args.ledger is not None:
        if not os.path.isdir(args.ledger):
            raise exceptions.InvalidConfiguration(
                f'the ledger {args.ledger} is not a directory')
        return ledger.Ledger(args.ledger)
    if args.ids_file is not None:
        try:
            with open(args.ids_file, encoding='utf-8') as stream:
                return AllowedIds(set(stream.read().split()), args.ids_file)
        except (OSError, UnicodeDecodeError) as err:
            raise exceptions.InvalidConfiguration(
                f'the file of ids {args.ids_file} cannot be read: {err}'
            ) from None
    if args.trust_caller or args.action in (command.STATE, command.SAVE):
        return AllowedIds(None, '')
    raise exceptions.InvalidConfiguration(
        'one of --ledger, --ids-file and --trust-caller is needed; see '
        '--help')


def _connection_of(path: str) -> str:
    """Read the URL the way Cinder does."""
    conf = cfg.ConfigOpts()
    conf.register_opts([cfg.StrOpt('connection', secret=True)],
                       group='database')
    try:
        conf([], project='cinder', default_config_files=[path],
             default_config_dirs=[])
        url = conf.database.connection
    except (cfg.Error, OSError, UnicodeDecodeError) as err:
        raise exceptions.InvalidConfiguration(
            f'the file {path} cannot be read: {" ".join(str(err).split())}'
        ) from None
    if not url:
        raise exceptions.InvalidConfiguration(
            f'the file {path} has no connection in its section [database]')
    return str(url)


def _saved() -> base.Saved:
    try:
        saved = json.load(sys.stdin)
    except ValueError as err:
        raise exceptions.InvalidConfiguration(
            f'stdin is not the output of "save": {err}') from None
    if not isinstance(saved, dict):
        raise exceptions.InvalidConfiguration(
            'stdin is not the output of "save": not an object')
    return saved


if __name__ == '__main__':
    sys.exit(main())
