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
from collections.abc import Sequence
import dataclasses
import json
import sys

from cinder_backup_recovery_tests.cmd import database_options
from cinder_backup_recovery_tests.cmd import programs
from cinder_backup_recovery_tests.rows import base
from cinder_backup_recovery_tests.rows import database


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program.

    :param argv: the arguments; those of the process when None
    :returns: the exit code
    """
    return programs.run(lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = programs.Parser(
        prog='cinder-backup-lose-rows',
        description="Lose the rows of given backups from Cinder's database, "
        'as a test of their recovery: all of them or none, with the quota '
        'usage put right.',
        epilog='Exit codes: 0 done, 1 refused or failed and nothing '
        'changed, 3 bad configuration. A database URL among the arguments '
        'can be read by everybody on the host; prefer --config-file.')
    database_options.add_options(parser, 'backups')
    what = parser.add_mutually_exclusive_group()
    what.add_argument('--kind', choices=base.KINDS, default=base.HARD,
                      help='hard deletes the rows (default), soft marks '
                      'them deleted')
    what.add_argument('--exists', action='store_true', help='change '
                      'nothing, print "<id> <state>" for each backup')
    what.add_argument('--purge', action='store_true', help='remove rows '
                      'that are marked deleted')
    parser.add_argument('ids', metavar='BACKUP_ID', nargs='+')
    return parser


def _run(args: argparse.Namespace) -> None:
    rows = database.DatabaseRows(
        database_options.url_of(args),
        database_options.owner_of(args, only_looks=args.exists))
    if args.exists:
        for backup_id, state in rows.exists(args.ids).items():
            sys.stdout.write(f'{backup_id} {state}\n')
    elif args.purge:
        sys.stdout.write(json.dumps({'purged': rows.purge(args.ids)}) + '\n')
    else:
        loss = rows.lose(args.ids, args.kind, args.project or None)
        sys.stdout.write(json.dumps(dataclasses.asdict(loss)) + '\n')


if __name__ == '__main__':
    sys.exit(main())
