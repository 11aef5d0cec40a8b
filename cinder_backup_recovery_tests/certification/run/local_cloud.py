# SPDX-License-Identifier: Apache-2.0

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
    """A command of the local cloud failed."""


class NeedsUML(Exception):
    """The cloud runs only on another kernel, which the local cloud can start.

    :param command: the start of a command that runs another one there
    """

    def __init__(self, command: list[str]):
        super().__init__('this cloud needs a kernel of its own')
        self.command = command


class LocalCloud:
    """A cloud of its own for one certification.

    The program of the local cloud may be in another virtualenv; only its
    output and its files are read. All that a certification makes is in one
    temporary directory. As long as this program holds a lock in it, the local
    cloud's ``down --abandoned`` spares it.

    Its verb ``run`` is not used. A report names a cloud that could not be
    taken down, so it is written after that; and the configuration of a cloud
    that did not start is read for the secrets in its logs, which ``run``
    would have removed.

    :param command: its command line; the module of this interpreter by default
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
        #: The releases of the services that run.
        self.versions: dict[str, str] = {}
        self._program = program
        self._command = [*program, '--state-dir', str(self.directory)]

    def up(self, backup: str, **others: str | None) -> dict[str, str]:
        """Start it; its progress goes to the terminal.

        :param others: values of its other options, by their names; None for
            its own defaults
        :returns: the environment for clients and tests
        :raises NeedsUML: if it does not start on this kernel
        """
        try:
            code = subprocess.call([*self._command, 'up', '--backup', backup,
                                    '--second-region', '--second-backup',
                                    *(word for name, value in others.items()
                                      if value
                                      for word in (
                                          f'--{name.replace("_", "-")}',
                                          value))])
        except OSError as error:
            raise CloudError(f'{self._command[0]}: {error.strerror}') from (
                error)
        if code == _NEEDS_UML:
            raise NeedsUML([*self._program, 'uml'])
        if code != 0:
            raise CloudError(f'the local cloud did not start (exit status '
                             f'{code}), see above')
        status = self._read('status')
        self.versions = status.get('versions', {})
        return {_MARK: status.get('id', ''), **self._read('env')}

    def _read(self, verb: str) -> dict[str, Any]:
        done = subprocess.run([*self._command, verb, '--json'],
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise CloudError(
                f'the local cloud started, and then its {verb} failed: '
                f'{done.stderr.strip() or done.stdout.strip()}')
        try:
            return json.loads(done.stdout)
        except ValueError as error:
            raise CloudError(f"the local cloud's {verb} cannot be read: "
                             f'{error}') from error

    @property
    def configuration(self) -> pathlib.Path:
        """Where the configuration files of the services are."""
        return self.directory / 'etc'

    def copy_logs(self, target: pathlib.Path) -> None:
        """Copy the logs of the services."""
        logs = self.directory / 'logs'
        if not logs.is_dir():
            return
        try:
            shutil.copytree(logs, target, dirs_exist_ok=True)
        except (OSError, shutil.Error) as error:
            raise CloudError(
                f'the logs cannot be copied to {target}: {error}') from error

    def down(self) -> None:
        """Stop it and remove all that it made."""
        code = 0
        if self.directory.exists():
            code = subprocess.call([*self._command, 'down'])
        if code == 0:
            shutil.rmtree(self._root, ignore_errors=True)
        self._owner.close()
        if self._root.exists():
            raise CloudError(f'the local cloud in {self.directory} could not '
                             f'be taken down, see above')
