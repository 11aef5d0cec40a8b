# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""The local cloud, as the program that it is."""

import fcntl
import json
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile
from typing import Any

# By this variable the local cloud finds what belongs to a cloud, to stop it.
_MARK = 'LOCAL_CLOUD_ID'
# The exit status of "up" where a cloud can only run in User-Mode Linux.
_NEEDS_UML = 4


class CloudError(Exception):
    """The local cloud did not do what it was asked."""


class NeedsUML(Exception):
    """The cloud runs only on another kernel, which the local cloud has.

    :param command: runs a command there; that follows it
    """

    def __init__(self, command: list[str]):
        super().__init__('this cloud needs a kernel of its own')
        self.command = command


class LocalCloud:
    """A cloud of its own for one certification.

    The program of the local cloud may live in another virtualenv than this
    one; only its output and its files are read.

    All that a certification makes is in one temporary directory. A lock on
    a file in it says to the local cloud's ``down --abandoned`` whether this
    program still lives.

    :param command: how to call it; the module of this interpreter without
    :raises CloudError: if the command cannot be read
    """

    def __init__(self, command: str | None = None):
        try:
            program = (shlex.split(command) if command else
                       [sys.executable, '-m', 'local_cloud'])
        except ValueError as error:
            raise CloudError(f'--local-cloud-command: {error}') from error
        self._root = pathlib.Path(
            tempfile.mkdtemp(prefix='local-cloud-certify-'))
        self._owner = open(self._root / 'owner', 'w')  # noqa: SIM115
        fcntl.flock(self._owner, fcntl.LOCK_EX)
        #: For temporary files of the tests.
        self.temporary = self._root / 'tmp'
        self.temporary.mkdir()
        self.directory = self._root / 'cloud'
        self._program = program
        self._command = [*program, '--state-dir', str(self.directory)]

    def up(self, backup: str, **others: str | None) -> dict[str, str]:
        """Start it; its own progress goes to the terminal.

        :param backup: the backup driver's profile
        :param others: values of other options of it, by their names; of
            those that are None it has defaults of its own
        :returns: the environment for clients and tests
        :raises CloudError: if it does not start
        :raises NeedsUML: if it does not start on this kernel
        """
        try:
            code = subprocess.call([*self._command, 'up', '--backup', backup,
                                    '--second-region', '--second-backup',
                                    *(word for name, value in others.items()
                                      if value
                                      for word in (f'--{name}', value))])
        except OSError as error:
            raise CloudError(f'{self._command[0]}: {error.strerror}') from (
                error)
        if code == _NEEDS_UML:
            raise NeedsUML([*self._program, 'uml'])
        if code != 0:
            raise CloudError(f'the local cloud did not start (exit status '
                             f'{code}), see above')
        return {_MARK: self._ask('status', '--json').get('id', ''),
                **self._ask('env', '--json')}

    def versions(self) -> dict[str, str]:
        """The releases of the services that run."""
        return self._ask('status', '--json').get('versions', {})

    def _output(self, *arguments: str) -> str:
        done = subprocess.run([*self._command, *arguments],
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise CloudError(
                f'the local cloud started, and then its {arguments[0]} '
                f'failed: {done.stderr.strip() or done.stdout.strip()}')
        return done.stdout

    def _ask(self, *arguments: str) -> dict[str, Any]:
        try:
            return json.loads(self._output(*arguments))
        except ValueError as error:
            raise CloudError(f"the local cloud's {arguments[0]} cannot be "
                             f'read: {error}') from error

    @property
    def configuration(self) -> pathlib.Path:
        """Where the configuration files of the services are."""
        return self.directory / 'etc'

    def copy_logs(self, target: pathlib.Path) -> None:
        """Keep the logs of the services.

        :raises CloudError: if they cannot be copied
        """
        logs = self.directory / 'logs'
        if not logs.is_dir():
            return
        try:
            shutil.copytree(logs, target, dirs_exist_ok=True)
        except (OSError, shutil.Error) as error:
            raise CloudError(
                f'the logs cannot be copied to {target}: {error}') from error

    def down(self) -> None:
        """Stop it and remove all that it made.

        :raises CloudError: if something is left
        """
        code = 0
        if self.directory.exists():
            code = subprocess.call([*self._command, 'down'])
        if code == 0:
            shutil.rmtree(self._root, ignore_errors=True)
        self._owner.close()
        if self._root.exists():
            raise CloudError(f'the local cloud in {self.directory} could not '
                             f'be taken down, see above')
