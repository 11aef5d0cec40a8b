# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.
"""Lose the rows of backups, for an operator to put on the database's host.

Serves the commands of :mod:`cinder_backup_recovery_tests.rows.command`::

  ssh db cinder-backup-lose-rows --config-file /etc/cinder/cinder.conf
      --trust-caller --kind {kind} --project={project} {ids}
  ssh db cinder-backup-lose-rows --config-file /etc/cinder/cinder.conf
      --exists {ids}

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
from typing import NoReturn

from oslo_config import cfg

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import ledger
from cinder_backup_recovery_tests.rows import base
from cinder_backup_recovery_tests.rows import database

OK = 0
FAILED = 1
BAD_CONFIGURATION = 3


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        # argparse exits 2, which is "not certifiable" in this project.
        raise exceptions.InvalidConfiguration(f'{message} (see --help)')


class _AllowedIds:
    """Ids from a file, or any, in place of a ledger."""

    def __init__(self, allowed: set[str] | None, where: str) -> None:
        self._allowed = allowed
        self._where = where

    def require(self, kind: str, ids: Iterable[str]) -> None:
        if self._allowed is None:
            return
        foreign = [one for one in ids if one not in self._allowed]
        if foreign:
            raise exceptions.NotInLedger(
                f'{kind} {", ".join(foreign)} not allowed: not in '
                f'{self._where}')


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program.

    :param argv: the arguments; those of the process when None
    :returns: the exit code
    """
    try:
        return _run(_parser().parse_args(argv))
    except (exceptions.InvalidConfiguration, exceptions.DatabaseUnreachable,
            exceptions.NotCinderDatabase) as err:
        return _complain(err, BAD_CONFIGURATION)
    except exceptions.BackupRecoveryError as err:
        return _complain(err, FAILED)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog='cinder-backup-lose-rows',
        description="Lose the rows of given backups from Cinder's database, "
        'as a test of their recovery: all of them or none, with the quota '
        'usage put right.',
        epilog='Exit codes: 0 done, 1 refused or failed and nothing '
        'changed, 3 bad configuration. A database URL among the arguments '
        'can be read by everybody on the host; prefer --config-file.')
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument('--config-file', metavar='FILE', help='cinder.conf, '
                       'whose [database] connection is used')
    where.add_argument('--database-url', metavar='URL', help='like '
                       '[database] connection')
    what = parser.add_mutually_exclusive_group()
    what.add_argument('--kind', choices=base.KINDS, default=base.HARD,
                      help='hard deletes the rows (default), soft marks '
                      'them deleted')
    what.add_argument('--exists', action='store_true', help='change '
                      'nothing, print "<id> <state>" for each backup')
    what.add_argument('--purge', action='store_true', help='remove rows '
                      'that are marked deleted')
    allowed = parser.add_mutually_exclusive_group()
    allowed.add_argument('--ledger', metavar='DIR', help='only backups that '
                         'this ledger of the suite owns may be touched')
    allowed.add_argument('--ids-file', metavar='FILE', help='only backups '
                         'whose id is a line of this file may be touched')
    allowed.add_argument('--trust-caller', action='store_true', help='any '
                         'backup may be touched: the caller asked its own '
                         'ledger')
    parser.add_argument('--project', metavar='ID', help='the backups must '
                        'belong to this project')
    parser.add_argument('ids', metavar='BACKUP_ID', nargs='+')
    return parser


def _run(args: argparse.Namespace) -> int:
    rows = database.DatabaseRows(
        args.database_url or _connection_of(args.config_file), _owner(args))
    if args.exists:
        for backup_id, state in rows.exists(args.ids).items():
            sys.stdout.write(f'{backup_id} {state}\n')
    elif args.purge:
        sys.stdout.write(json.dumps({'purged': rows.purge(args.ids)}) + '\n')
    else:
        loss = rows.lose(args.ids, args.kind, args.project or None)
        sys.stdout.write(json.dumps(dataclasses.asdict(loss)) + '\n')
    return OK


def _owner(args: argparse.Namespace) -> base.Owner:
    if args.ledger is not None:
        if not os.path.isdir(args.ledger):
            raise exceptions.InvalidConfiguration(
                f'the ledger {args.ledger} is not a directory')
        return ledger.Ledger(args.ledger)
    if args.ids_file is not None:
        try:
            with open(args.ids_file, encoding='utf-8') as stream:
                return _AllowedIds(set(stream.read().split()), args.ids_file)
        except (OSError, UnicodeDecodeError) as err:
            raise exceptions.InvalidConfiguration(
                f'the file of ids {args.ids_file} cannot be read: {err}'
            ) from None
    if args.trust_caller or args.exists:
        return _AllowedIds(None, '')
    raise exceptions.InvalidConfiguration(
        'one of --ledger, --ids-file and --trust-caller is needed (see '
        '--help)')


def _connection_of(path: str) -> str:
    """Read the URL the way Cinder does."""
    conf = cfg.ConfigOpts()
    conf.register_opts([cfg.StrOpt('connection', secret=True)],
                       group='database')
    try:
        conf([], project='cinder', default_config_files=[path],
             default_config_dirs=[])
        url = conf.database.connection
    except (cfg.Error, UnicodeDecodeError) as err:
        raise exceptions.InvalidConfiguration(
            f'the file {path} cannot be read: {" ".join(str(err).split())}'
        ) from None
    if not url:
        raise exceptions.InvalidConfiguration(
            f'the file {path} has no connection in its section [database]')
    return str(url)


def _complain(err: Exception, code: int) -> int:
    sys.stderr.write(f'cinder-backup-lose-rows: {err}\n')
    return code


if __name__ == '__main__':
    sys.exit(main())
