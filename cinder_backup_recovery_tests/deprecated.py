# SPDX-License-Identifier: Apache-2.0
"""Options and programs that have been replaced and still work.

Each use is answered by a warning that names the replacement.
"""

from collections.abc import Iterable
import sys
from typing import Any

from oslo_config import cfg

from cinder_backup_recovery_tests import commands
from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.cmd import programs
from cinder_backup_recovery_tests.rows import base
from cinder_backup_recovery_tests.rows import command

OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt(
        'row_removal_command',
        help="Program that deletes rows of backups, for instance 'ssh "
             "controller cinder-backup-lose-rows --config-file "
             "/etc/cinder/cinder.conf --trust-caller --kind {kind} --project "
             "{project} {ids}'. {kind} becomes hard or soft. It is used with "
             "row_exists_command where row_command is not set."),
    cfg.StrOpt(
        'row_exists_command',
        help="Program that prints a line with the id and live, soft-deleted "
             "or absent for each of {ids}, for instance row_removal_command "
             "with --exists instead of the kind and the project."),
    cfg.StrOpt(
        'source_row_command',
        help="Program that deletes and restores the rows of volumes and "
             "snapshots, for instance 'ssh controller "
             "cinder-backup-source-rows --config-file "
             "/etc/cinder/cinder.conf --trust-caller --project={project} "
             "{action} {what} {id}'. It must be set with row_removal_command "
             "where source_row_loss is true."),
    cfg.IntOpt(
        'row_removal_timeout',
        default=120,
        min=1,
        help="Seconds after which row_removal_command, row_exists_command "
             "or source_row_command is ended and the test fails."),
]
for _option in OPTIONS:
    _option.deprecated_for_removal = True
    _option.deprecated_since = '1.0.0'
    _option.deprecated_reason = (
        'row_command reaches the rows of backups, volumes and snapshots.')


def problems(settings: Any, sources: bool) -> Iterable[str]:
    """Find options that row_removal_command needs and are not set.

    :param settings: the options of ``[cinder_backup_recovery]``
    :param sources: whether rows of volumes and snapshots are deleted
    """
    if settings.row_removal_command and not settings.row_exists_command:
        yield ('[cinder_backup_recovery] row_exists_command is not set: '
               'nothing would prove that row_removal_command removes rows; '
               'replace both by row_command')
    if sources and settings.row_removal_command and (
            not settings.source_row_command):
        yield ('[cinder_backup_recovery_feature_enabled] source_row_loss is '
               'true, but [cinder_backup_recovery] source_row_command is not '
               'set; replace it and row_removal_command by row_command')


class Rows(command.CommandRows):
    """Rows by the three commands that were before row_command.

    :param settings: the options of ``[cinder_backup_recovery]``
    """

    def __init__(self, settings: Any, ledger: base.Owner) -> None:
        base.Rows.__init__(self, ledger)
        self._timeout = settings.row_removal_timeout
        self._removal, self._exists, self._sources = (
            _parsed(settings[option], *placeholders)
            for option, *placeholders in (
                ('row_removal_command', {'ids'}, {'kind', 'project'}),
                ('row_exists_command', {'ids'}, set()),
                ('source_row_command', {'action', 'what', 'id'},
                 {'project'})))

    def check(self, *whats: str) -> None:
        """Look for the program that removes rows, too."""
        if base.BACKUP in whats:
            commands.require(self._command_of(base.HARD, base.BACKUP))
        super().check(*whats)

    def _command_of(self, action: str, what: str) -> list[str]:
        found = self._sources
        if what == base.BACKUP:
            found = (self._removal if action in base.KINDS else
                     self._exists if action == command.STATE else [])
        elif action == command.PURGE:
            found = []
        if not found:
            raise exceptions.InvalidConfiguration(
                f'no command is configured for {action} of a {what}; set '
                f'[cinder_backup_recovery] row_command')
        if action == command.RESTORE:
            return [word.replace('{action}', 'put-back') for word in found]
        return found


def _parsed(text: str | None, needed: set[str], optional: set[str]
            ) -> list[str]:
    """Split an old command, with the placeholders of row_command."""
    if not text:
        return []
    return [word.replace('{kind}', '{action}').replace('{id}', '{ids}')
            for word in command.template(text, needed, optional)]


def lose_rows() -> int:
    """Run cinder-backup-lose-rows: cinder-backup-rows for backups."""
    from cinder_backup_recovery_tests.cmd import rows
    name = 'cinder-backup-lose-rows'
    parser = programs.Parser(prog=name, add_help=False)
    action = parser.add_mutually_exclusive_group()
    action.add_argument('--kind', default=base.HARD)
    for option, value in (('--exists', command.STATE),
                          ('--purge', command.PURGE)):
        action.add_argument(option, dest='kind', action='store_const',
                            const=value)
    known, others = parser.parse_known_args()
    return rows.main([known.kind, base.BACKUP, *others], name)


def source_rows() -> int:
    """Run cinder-backup-source-rows, whose restore was put-back."""
    from cinder_backup_recovery_tests.cmd import rows
    return rows.main([
        command.RESTORE if argument == 'put-back' else argument
        for argument in sys.argv[1:]], 'cinder-backup-source-rows')
