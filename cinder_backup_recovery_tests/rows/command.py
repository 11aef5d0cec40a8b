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
"""Loss of backup rows by an operator's command: ssh, kubectl exec, ...

For clouds whose database cannot be reached from where the tests run. The
contract of the command:

- ``{kind}`` becomes ``hard`` or ``soft``, ``{ids}`` the ids of the backups (an
  argument each, where it stands alone), ``{project}`` the project that they
  must belong to, empty when that is not asked for.
- It loses the rows of all these backups or of none, and takes them off the
  quota usage of their project. It exits 0 only then.
- It writes the reason of a failure to stderr, the last line best.
- The one that looks (``exists_command``) has ``{ids}`` only, changes nothing,
  and writes a line ``<id> <state>`` to stdout for each, the state being
  ``live``, ``soft-deleted`` or ``absent``.

``cinder-backup-lose-rows`` on the host of the database does all this. No shell
is started here; what ssh starts at the other end sees nothing but UUIDs and
words of letters, digits, dashes and underscores.
"""

from collections.abc import Iterable
from collections.abc import Sequence
import re
import shlex
import shutil
import uuid

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import programs
from cinder_backup_recovery_tests.rows import base

_PLACEHOLDER = re.compile(r'\{(\w+)\}')
_PROJECT = re.compile(r'[\w-]+', re.ASCII)


class CommandRows(base.BackupRows):
    """The rows by a program.

    :param command: the command that loses rows, see the module; split like
        in a shell, but no shell is used
    :param ledger: says which backups may be touched
    :param timeout: seconds after which a command is killed
    :param exists_command: the command that looks; without it
        :meth:`exists` cannot be used
    :raises InvalidConfiguration: a command cannot be split, is empty, lacks
        ``{ids}`` or has another placeholder
    """

    def __init__(self, command: str, ledger: base.Owner,
                 timeout: float = 120, exists_command: str | None = None
                 ) -> None:
        self._command = _split(command, {'kind', 'ids', 'project'})
        self._exists_command = (
            None if exists_command is None
            else _split(exists_command, {'ids'}))
        self._ledger = ledger
        self._timeout = timeout

    def check(self) -> None:
        """Prove that the commands are there, and that the one answers.

        The command that looks is run with an id that nobody has. The one
        that loses rows is not run.

        :raises InvalidConfiguration: a program is not installed
        :raises RowRemovalCommandFailed: the command that looks fails, or
            says that it knows the id
        """
        for command in (self._command, self._exists_command or []):
            if command and shutil.which(command[0]) is None:
                raise exceptions.InvalidConfiguration(
                    f'the program {command[0]} is not installed or may not '
                    f'be run')
        if self._exists_command is not None:
            unknown = str(uuid.uuid4())
            state = self.exists([unknown])[unknown]
            if state != base.ABSENT:
                raise exceptions.RowRemovalCommandFailed(
                    f'{shlex.join(self._exists_command)} says that a backup '
                    f'that nobody made is {state}')

    def lose(self, backup_ids: Sequence[str], kind: str = base.HARD,
             project_id: str | None = None) -> base.Loss:
        """Lose the rows of backups by the command.

        :param backup_ids: see the base class
        :param kind: HARD or SOFT
        :param project_id: given to the command as ``{project}``; a command
            without it cannot ask for the project, and the ledger alone
            decides
        :returns: what was lost; the counts are not known
        :raises InvalidConfiguration: the request makes no sense
        :raises NotInLedger: a backup is not one of the suite's own
        :raises RowRemovalCommandFailed: the command failed, took too long,
            or left a row live
        """
        ids = base.check_request(backup_ids, kind)
        if project_id and not _PROJECT.fullmatch(project_id):
            raise exceptions.InvalidConfiguration(
                f'project id {project_id!r} has other characters than '
                f'letters, digits, dashes and underscores')
        self._ledger.require(base.BACKUP, ids)
        self._run(self._command, ids, kind=kind, project=project_id or '')
        if self._exists_command is not None:
            wanted = base.ABSENT if kind == base.HARD else base.SOFT_DELETED
            wrong = [f'{one} is {state}'
                     for one, state in self.exists(ids).items()
                     if state != wanted]
            if wrong:
                raise exceptions.RowRemovalCommandFailed(
                    f'{shlex.join(self._command)} exited 0, but backup '
                    f'{", backup ".join(wrong)} and should be {wanted}')
        return base.Loss(kind, tuple(ids))

    def exists(self, backup_ids: Iterable[str]) -> dict[str, str]:
        """Look which rows are there, by the command that looks.

        :param backup_ids: the backups
        :returns: LIVE, SOFT_DELETED or ABSENT by id
        :raises InvalidConfiguration: there is no such command
        :raises RowRemovalCommandFailed: it failed, took too long, or did
            not answer for each id
        """
        if self._exists_command is None:
            raise exceptions.InvalidConfiguration(
                'no command is configured that says which rows exist')
        ids = base.check_request(backup_ids)
        states = {}
        for line in self._run(self._exists_command, ids).splitlines():
            words = line.split()
            # Others may talk on stdout too: ssh's banner, sudo's lecture.
            if len(words) == 2:
                states[words[0]] = words[1]
        wrong = [f'{states.get(one, "no answer")!r} for {one}' for one in ids
                 if states.get(one) not in base.STATES]
        if wrong:
            raise exceptions.RowRemovalCommandFailed(
                f'{shlex.join(self._exists_command)} gave '
                f'{", ".join(wrong)}, not one of {", ".join(base.STATES)}')
        return {one: states[one] for one in ids}

    def _run(self, command: list[str], ids: list[str], **values: str) -> str:
        return programs.run(
            _fill(command, ids, values), self._timeout, shlex.join(command),
            exceptions.RowRemovalCommandFailed, 'whether rows were lost')


def _split(command: str, allowed: set[str]) -> list[str]:
    words = programs.split(command)
    # Other braces are the operator's own: kubectl's jsonpath has some.
    found = set(_PLACEHOLDER.findall(command))
    if found - allowed:
        raise exceptions.InvalidConfiguration(
            f'the command {command!r} has '
            f'{", ".join(f"{{{one}}}" for one in sorted(found - allowed))}, '
            f'which is not one of '
            f'{", ".join(f"{{{one}}}" for one in sorted(allowed))}')
    if 'ids' not in found:
        raise exceptions.InvalidConfiguration(
            f'the command {command!r} lacks {{ids}}')
    return words


def _fill(command: list[str], ids: list[str],
          values: dict[str, str]) -> list[str]:
    filled = []
    for word in command:
        if word == '{ids}':
            filled.extend(ids)
            continue
        word = word.replace('{ids}', ' '.join(ids))
        for name, value in values.items():
            word = word.replace(f'{{{name}}}', value)
        filled.append(word)
    return filled
