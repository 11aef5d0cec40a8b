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

import json
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile


class CloudError(Exception):
    """The local cloud did not do what it was asked."""


class LocalCloud:
    """A cloud of its own for one certification.

    The program of the local cloud may live in another virtualenv than this
    one; only its output and its files are read.

    :param command: how to call it; the module of this interpreter without
    """

    def __init__(self, command: str | None = None):
        self.directory = pathlib.Path(
            tempfile.mkdtemp(prefix='cbrt-certify-')) / 'cloud'
        self._command = [
            *(shlex.split(command) if command else
              (sys.executable, '-m', 'local_cloud')),
            '--state-dir', str(self.directory)]

    def up(self, backup: str) -> dict[str, str]:
        """Start it; its own progress goes to the terminal.

        :param backup: the backup driver's profile
        :returns: the environment for clients and tests
        :raises CloudError: if it does not start
        """
        try:
            code = subprocess.call([*self._command, 'up', '--backup', backup])
        except OSError as error:
            raise CloudError(f'{self._command[0]}: {error.strerror}') from (
                error)
        if code != 0:
            raise CloudError(f'the local cloud did not start (exit status '
                             f'{code}), see above')
        done = subprocess.run([*self._command, 'env'], capture_output=True,
                              text=True, check=True)
        variables = {}
        for line in done.stdout.splitlines():
            words = shlex.split(line)
            if len(words) == 2 and words[0] == 'export':
                name, _, value = words[1].partition('=')
                variables[name] = value
        return variables

    def versions(self) -> dict[str, str]:
        """The releases of the services that run."""
        done = subprocess.run(
            [*self._command, 'status', '--json'], capture_output=True,
            text=True)
        try:
            return json.loads(done.stdout)['versions']
        except (ValueError, KeyError):
            return {}

    def copy_logs(self, target: pathlib.Path) -> None:
        """Keep the logs of the services."""
        logs = self.directory / 'logs'
        if logs.is_dir():
            shutil.copytree(logs, target, dirs_exist_ok=True)

    def down(self) -> None:
        """Stop it and remove all that it made.

        :raises CloudError: if something is left
        """
        code = 0
        if self.directory.exists():
            code = subprocess.call([*self._command, 'down'])
        shutil.rmtree(self.directory.parent, ignore_errors=True)
        if code != 0 or self.directory.parent.exists():
            raise CloudError(f'the local cloud in {self.directory} could not '
                             f'be taken down, see above')
