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
"""Lose the rows of volumes and snapshots, and give them back.

Serves the command of
:mod:`cinder_backup_recovery_tests.rows.source_command`::

  ssh db cinder-backup-source-rows --config-file /etc/cinder/cinder.conf
      --trust-caller --project={project} {action} {what} {id}

Exit codes: 0 done, 1 refused or failed and nothing changed, 3 bad
configuration (options, no connection to the database, not Cinder's).
"""

import argparse
from collections.abc import Sequence
import json
import sys

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.cmd import database_options
from cinder_backup_recovery_tests.cmd import programs
from cinder_backup_recovery_tests.rows import source_command
from cinder_backup_recovery_tests.rows import source_database
from cinder_backup_recovery_tests.rows import sources


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program.

    :param argv: the arguments; those of the process when None
    :returns: the exit code
    """
    return programs.run(lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = programs.Parser(
        prog='cinder-backup-source-rows',
        description="Lose the rows of a volume or snapshot from Cinder's "
        'database, as a test of the recovery of its backups, and give them '
        'back: all of them or none.',
        epilog='Exit codes: 0 done, 1 refused or failed and nothing '
        'changed, 3 bad configuration. A database URL among the arguments '
        'can be read by everybody on the host; prefer --config-file.')
    database_options.add_options(parser, 'volumes and snapshots')
    parser.add_argument(
        'action', choices=source_command.ACTIONS, help='save prints the '
        'rows, in which there may be secrets of its connections; hard '
        'deletes them, soft marks them deleted, put-back gives them back, '
        'all three with what save printed on stdin; state says whether '
        'there are any')
    parser.add_argument('what', choices=sources.SOURCES)
    parser.add_argument('id', metavar='ID')
    return parser


def _run(args: argparse.Namespace) -> None:
    looks = args.action in (source_command.SAVE, source_command.STATE)
    rows = source_database.DatabaseSources(
        database_options.url_of(args),
        database_options.owner_of(args, only_looks=looks))
    if args.action == source_command.STATE:
        print(args.id, rows.state(args.what, args.id))
    elif args.action == source_command.SAVE:
        print(json.dumps(rows.save(args.what, args.id)))
    elif args.action == source_command.PUT_BACK:
        rows.put_back(args.what, args.id, _saved())
    else:
        rows.lose(args.what, args.id, args.action, _saved(),
                  args.project or None)


def _saved() -> sources.Saved:
    try:
        saved = json.load(sys.stdin)
    except ValueError as err:
        raise exceptions.InvalidConfiguration(
            f'stdin has not what save printed: {err}') from None
    if not isinstance(saved, dict):
        raise exceptions.InvalidConfiguration(
            'stdin has not what save printed: not an object')
    return saved


if __name__ == '__main__':
    sys.exit(main())
