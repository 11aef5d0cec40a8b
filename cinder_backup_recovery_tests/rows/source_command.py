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
"""Rows of volumes and snapshots, by a command of the operator's.

The contract of the command:

- ``{action}`` becomes ``save``, ``hard``, ``soft``, ``put-back`` or
  ``state``, ``{what}`` ``volume`` or ``snapshot``, ``{id}`` its id, and
  ``{project}`` the project that it must belong to, empty when that is not
  asked for.
- ``save`` writes all rows of it to stdout, as one line of JSON. ``hard``,
  ``soft`` and ``put-back`` read this line from stdin: the first two lose the
  rows if they are still these, the other one gives them back.
- ``state`` writes a line ``<id> <state>`` to stdout, the state being ``live``,
  ``soft-deleted`` or ``absent``.
- All of it is done or nothing, and it exits 0 only when it was done.

``cinder-backup-source-rows`` on the host of the database does all this.
"""

import json
import re
import shlex
import shutil
import uuid

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import programs
from cinder_backup_recovery_tests.rows import base
from cinder_backup_recovery_tests.rows import sources

SAVE = 'save'
PUT_BACK = 'put-back'
STATE = 'state'
ACTIONS = (SAVE, *base.KINDS, PUT_BACK, STATE)

_NEEDED = ('action', 'what', 'id')
_PLACEHOLDER = re.compile(r'\{(\w+)\}')
_PROJECT = re.compile(r'[\w-]+', re.ASCII)


class CommandSources(sources.SourceRows):
    """The rows by a program.

    :param command: see the module; split like in a shell, but no shell is
        used
    :param ledger: says what may be touched
    :param timeout: seconds after which the command is killed
    :raises InvalidConfiguration: the command cannot be split, is empty,
        lacks a placeholder or has another one
    """

    def __init__(self, command: str, ledger: base.Owner,
                 timeout: float = 120) -> None:
        self._command = programs.split(command)
        found = set(_PLACEHOLDER.findall(command))
        for wrong, says in ((found - {*_NEEDED, 'project'}, 'has'),
                            (set(_NEEDED) - found, 'lacks')):
            if wrong:
                raise exceptions.InvalidConfiguration(
                    f'the command {command!r} {says} '
                    f'{", ".join(f"{{{one}}}" for one in sorted(wrong))}')
        self._ledger = ledger
        self._timeout = timeout

    def check(self) -> None:
        """Prove that the command is there, and answers.

        :raises InvalidConfiguration: the program is not installed
        :raises RowRemovalCommandFailed: it fails, or knows an id that
            nobody has
        """
        if shutil.which(self._command[0]) is None:
            raise exceptions.InvalidConfiguration(
                f'the program {self._command[0]} is not installed or may not '
                f'be run')
        state = self.state(sources.VOLUME, str(uuid.uuid4()))
        if state != base.ABSENT:
            raise exceptions.RowRemovalCommandFailed(
                f'{shlex.join(self._command)} says that a volume that nobody '
                f'made is {state}')

    def save(self, what: str, resource_id: str) -> sources.Saved:
        """Read all rows of a volume or snapshot; see the base class.

        :param what: VOLUME or SNAPSHOT
        :param resource_id: which one
        """
        for line in self._run(SAVE, what, resource_id).splitlines():
            # Others may talk on stdout too: ssh's banner, sudo's lecture.
            if line.startswith('{'):
                try:
                    saved: sources.Saved = json.loads(line)
                except ValueError:
                    break
                return saved
        raise exceptions.RowRemovalCommandFailed(
            f'{shlex.join(self._command)} exited 0, but its answer to save '
            f'is no line of JSON')

    def lose(self, what: str, resource_id: str, kind: str,
             saved: sources.Saved, project_id: str | None = None) -> None:
        """Lose all rows; see the base class.

        :param what: VOLUME or SNAPSHOT
        :param resource_id: which one
        :param kind: HARD or SOFT
        :param saved: what :meth:`save` returned
        :param project_id: given to the command as ``{project}``
        :raises RowRemovalCommandFailed: the command failed, took too long,
            or did not do it
        """
        sources.check_request(what, resource_id, kind)
        if project_id and not _PROJECT.fullmatch(project_id):
            raise exceptions.InvalidConfiguration(
                f'project id {project_id!r} has other characters than '
                f'letters, digits, dashes and underscores')
        self._ledger.require(what, [resource_id])
        self._run(kind, what, resource_id, saved, project_id or '')
        self._require(what, resource_id, base.ABSENT if kind == base.HARD
                      else base.SOFT_DELETED)

    def put_back(self, what: str, resource_id: str,
                 saved: sources.Saved) -> None:
        """Give it its rows back; see the base class.

        :param what: VOLUME or SNAPSHOT
        :param resource_id: which one
        :param saved: what :meth:`save` returned
        :raises RowRemovalCommandFailed: the command failed, took too long,
            or did not do it
        """
        sources.check_request(what, resource_id)
        self._ledger.require(what, [resource_id])
        self._run(PUT_BACK, what, resource_id, saved)
        self._require(what, resource_id, base.LIVE)

    def state(self, what: str, resource_id: str) -> str:
        """Look whether the row is there; see the base class.

        :param what: VOLUME or SNAPSHOT
        :param resource_id: which one
        """
        for line in self._run(STATE, what, resource_id).splitlines():
            words = line.split()
            if len(words) == 2 and words[0] == resource_id and (
                    words[1] in base.STATES):
                return words[1]
        raise exceptions.RowRemovalCommandFailed(
            f'{shlex.join(self._command)} exited 0 and did not say whether '
            f'{what} {resource_id} is one of {", ".join(base.STATES)}')

    def _require(self, what: str, resource_id: str, wanted: str) -> None:
        state = self.state(what, resource_id)
        if state != wanted:
            raise exceptions.RowRemovalCommandFailed(
                f'{shlex.join(self._command)} exited 0, but {what} '
                f'{resource_id} is {state} and should be {wanted}')

    def _run(self, action: str, what: str, resource_id: str,
             saved: sources.Saved | None = None, project: str = '') -> str:
        sources.check_request(what, resource_id)
        values = {'action': action, 'what': what, 'id': resource_id,
                  'project': project}

        def fill(word: str) -> str:
            return _PLACEHOLDER.sub(lambda match: values[match[1]], word)

        return programs.run(
            [fill(word) for word in self._command], self._timeout,
            shlex.join(self._command), exceptions.RowRemovalCommandFailed,
            'whether rows were lost',
            None if saved is None else json.dumps(saved) + '\n')
