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

"""The process of cinder-backup, killed and started again."""

import shlex
import shutil
from typing import Any

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import programs


class BackupService:
    """cinder-backup, by two programs of the operator's.

    :param kill_command: kills it; split like in a shell, but no shell is used
    :param start_command: starts it again and waits until it is up
    :param timeout: seconds after which either program is killed
    :raises InvalidConfiguration: a command cannot be split, or is empty
    """

    def __init__(self, kill_command: str, start_command: str,
                 timeout: float = 300) -> None:
        self._kill = programs.split(kill_command)
        self._start = programs.split(start_command)
        self._timeout = timeout

    @classmethod
    def from_config(cls, conf: Any) -> 'BackupService':
        """Take what the configuration says.

        :param conf: Tempest's configuration
        """
        group = conf.cinder_backup_recovery
        return cls(group.service_kill_command, group.service_start_command,
                   group.service_timeout)

    def check(self) -> None:
        """Prove that both programs are there; they are not run.

        :raises InvalidConfiguration: one is not
        """
        for words in (self._kill, self._start):
            if shutil.which(words[0]) is None:
                raise exceptions.InvalidConfiguration(
                    f'the program {words[0]} is not installed or may not be '
                    f'run')

    def kill(self) -> None:
        """Kill it.

        :raises ServiceCommandFailed: the program failed or took too long
        """
        self._run(self._kill)

    def start(self) -> None:
        """Start it, if it does not run, and wait until it is up.

        :raises ServiceCommandFailed: the program failed or took too long
        """
        self._run(self._start)

    def _run(self, words: list[str]) -> None:
        programs.run(words, self._timeout, shlex.join(words),
                     exceptions.ServiceCommandFailed,
                     'whether cinder-backup runs')
