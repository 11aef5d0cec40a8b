# SPDX-License-Identifier: Apache-2.0
"""Rows by an operator's command: ssh, kubectl exec, ...

For clouds whose database cannot be reached from where the tests run. The
contract of the command:

- ``{action}`` becomes ``state``, ``save``, ``hard``, ``soft``, ``restore`` or
  ``purge``, ``{what}`` ``backup``, ``volume`` or ``snapshot``, ``{ids}`` their
  ids (an argument each, where it stands alone), and ``{project}`` the project
  that they must belong to, empty for any.
- ``state`` changes nothing and writes a line ``<id> <state>`` to stdout for
  each id, the state being ``live``, ``soft-deleted`` or ``absent``.
- ``save`` writes all their rows to stdout, as one line of JSON.
- ``hard`` deletes the rows, ``soft`` marks them deleted. For volumes and
  snapshots both read the line of ``save`` from stdin, and fail where the rows
  differ from it. For backups they take the usage of quota off their project.
- ``restore`` reads the line of ``save`` from stdin and writes these rows.
- ``purge`` deletes rows that are marked deleted, and fails where one is live.
- All of it is done or nothing, and it exits 0 only when it was done. The
  reason of a failure goes to stderr, the last line best.

``cinder-backup-rows`` on the host of the database does all this. No shell is
started here; ssh's shell at the other end gets nothing but UUIDs and words of
letters, digits, dashes and underscores.
"""

import json
import re
import shlex
import uuid

from cinder_backup_recovery_tests import commands
from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.rows import base

STATE = 'state'
SAVE = 'save'
RESTORE = 'restore'
PURGE = 'purge'
ACTIONS = (STATE, SAVE, *base.KINDS, RESTORE, PURGE)

_PLACEHOLDER = re.compile(r'\{(\w+)\}')
_PROJECT = re.compile(r'[\w-]+', re.ASCII)


class CommandRows(base.Rows):
    """Rows by a program.

    :param command: see the module; split like in a shell, but no shell is
        used
    :param timeout: seconds after which the command is killed
    :raises InvalidConfiguration: the command cannot be split, is empty,
        lacks a placeholder or has an unknown one
    """

    def __init__(self, command: str, ledger: base.Owner,
                 timeout: float = 120) -> None:
        super().__init__(ledger)
        self._timeout = timeout
        self._command = template(command, {'action', 'what', 'ids'},
                                 {'project'})

    def check(self, *whats: str) -> None:
        """Read the state of a resource that does not exist.

        :raises InvalidConfiguration: the program is not installed
        :raises RowRemovalCommandFailed: it fails, or reports another state
        """
        unknown = str(uuid.uuid4())
        for what in whats:
            command = self._command_of(STATE, what)
            commands.require(command)
            state = self.state(what, unknown)
            if state != base.ABSENT:
                raise exceptions.RowRemovalCommandFailed(
                    f'{shlex.join(command)} reported a non-existent {what} '
                    f'as {state} (self-test)')

    def _command_of(self, action: str, what: str) -> list[str]:
        """Name the command; its placeholders are those of the module."""
        return self._command

    def _states(self, what: str, ids: list[str]) -> dict[str, str]:
        # Others may write to stdout too: ssh's banner, sudo's lecture.
        lines = [line.split() for line in
                 self._run(STATE, what, ids).splitlines()]
        found = {words[0]: words[1] for words in lines if len(words) == 2}
        wrong = [f'{found.get(one, "no answer")!r} for {one}' for one in ids
                 if found.get(one) not in base.STATES]
        if wrong:
            raise self._failed(
                STATE, what, f'reported {", ".join(wrong)}, not one of '
                             f'{", ".join(base.STATES)}')
        return {one: found[one] for one in ids}

    def _save(self, what: str, ids: list[str]) -> base.Saved:
        for line in self._run(SAVE, what, ids).splitlines():
            if line.startswith('{'):
                try:
                    saved: base.Saved = json.loads(line)
                except ValueError:
                    break
                return saved
        raise self._failed(SAVE, what, 'its answer to save is not a line of '
                                       'JSON')

    def _lose(self, what: str, ids: list[str], kind: str,
              project_id: str | None, saved: base.Saved | None) -> base.Loss:
        if project_id and not _PROJECT.fullmatch(project_id):
            raise exceptions.InvalidConfiguration(
                f'project id {project_id!r} has other characters than '
                f'letters, digits, dashes and underscores')
        self._run(kind, what, ids, saved, project_id or '')
        self._require(kind, what, ids, base.GONE[kind])
        return base.Loss(what, tuple(ids), kind)

    def _restore(self, what: str, ids: list[str], saved: base.Saved) -> None:
        self._run(RESTORE, what, ids, saved)
        self._require(RESTORE, what, ids, base.LIVE)

    def _purge(self, what: str, ids: list[str]) -> int:
        states = self._states(what, ids).values()
        self._run(PURGE, what, ids)
        self._require(PURGE, what, ids, base.ABSENT)
        return sum(state != base.ABSENT for state in states)

    def _require(self, action: str, what: str, ids: list[str],
                 wanted: str) -> None:
        wrong = [f'{what} {resource_id} is {state}' for resource_id, state
                 in self._states(what, ids).items() if state != wanted]
        if wrong:
            raise self._failed(
                action, what, f'{", ".join(wrong)} and should be {wanted}')

    def _failed(self, action: str, what: str, problem: str
                ) -> exceptions.RowRemovalCommandFailed:
        return exceptions.RowRemovalCommandFailed(
            f'{shlex.join(self._command_of(action, what))} exited 0, but '
            f'{problem}')

    def _run(self, action: str, what: str, ids: list[str],
             saved: base.Saved | None = None, project: str = '') -> str:
        command = self._command_of(action, what)
        values = {'action': action, 'what': what, 'ids': ' '.join(ids),
                  'project': project}
        words: list[str] = []
        for word in command:
            if word == '{ids}':
                words.extend(ids)
            else:
                # Other braces are the operator's own: kubectl's jsonpath.
                words.append(_PLACEHOLDER.sub(
                    lambda match: values.get(match[1], match[0]), word))
        return commands.run(
            words, self._timeout, shlex.join(command),
            exceptions.RowRemovalCommandFailed, 'whether rows were changed',
            None if saved is None else json.dumps(saved) + '\n')


def template(command: str, needed: set[str], optional: set[str]
             ) -> list[str]:
    """Split a command with placeholders.

    :raises InvalidConfiguration: it cannot be split, is empty, lacks a
        placeholder or has an unknown one
    """
    words = commands.split(command)
    found = set(_PLACEHOLDER.findall(command))
    known = needed | optional
    for verb, wrong in (('lacks', needed - found),
                        ('has', found - known)):
        if wrong:
            raise exceptions.InvalidConfiguration(
                f'the command {command!r} {verb} {_names(wrong)}; its '
                f'placeholders are {_names(known)}')
    return words


def _names(placeholders: set[str]) -> str:
    return ', '.join(f'{{{name}}}' for name in sorted(placeholders))
