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

"""Other backup programs that read all that they have stored.

Each has the same volume in a repository of its own. The same check of an
empty repository, with the start of the program and the derivation of keys, is
subtracted from its time.
"""

from collections.abc import Iterable
import os
import shutil
import subprocess

from benchmarks import results

#: Of the volume's size, for a repository.
ROOM = 1.1


class Program:
    """A program with a repository of the volume, and an empty one.

    :param directory: where both are; it is empty, and the caller removes it
    :param compression: as Cinder names it
    """

    name: str
    package: str
    #: What the program calls a compression of Cinder; it has no others.
    compressions: dict[str, str]
    #: Arguments that print the version.
    version: str
    #: Arguments that make a repository, and those that verify it.
    initialize: list[str]
    verify: list[str]

    def __init__(self, directory: str, compression: str):
        self.directory = directory
        self.compression = self.compressions[compression]
        self.full = os.path.join(directory, 'full')
        self.empty = os.path.join(directory, 'empty')

    def store(self, volume: str) -> None:
        """Make both repositories.

        :param volume: the file that one of them gets
        """
        for repository in (self.full, self.empty):
            self.run(repository, *self.initialize)
        self.run(self.full, *self.create(volume))

    def check(self) -> None:
        """Read everything that is stored, and check it."""
        self.run(self.full, *self.verify)

    def check_empty(self) -> None:
        """Check the empty repository."""
        self.run(self.empty, *self.verify)

    def stored(self) -> int:
        """Bytes in the repository."""
        return sum(os.path.getsize(os.path.join(path, name))
                   for path, _, names in os.walk(self.full)
                   for name in names)

    def create(self, volume: str) -> list[str]:
        """The arguments that store a file."""
        raise NotImplementedError

    def environment(self, repository: str) -> dict[str, str]:
        """The variables that name a repository."""
        raise NotImplementedError

    def run(self, repository: str, *arguments: str) -> None:
        """Run the program.

        :raises Failed: with the last line of its messages
        """
        # Its caches go where they are removed.
        done = subprocess.run(
            [self.name, *arguments], cwd=self.directory, text=True,
            errors='replace', stdin=subprocess.DEVNULL, capture_output=True,
            env={**os.environ, 'HOME': self.directory,
                 'XDG_CACHE_HOME': self.directory, 'TMPDIR': self.directory,
                 **self.environment(repository)})
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines()
            raise results.Failed(
                f'{self.name} {arguments[0]} ended with {done.returncode}: '
                f'{lines[-1] if lines else "no message"}')


class Restic(Program):
    """It encrypts and authenticates always."""

    name = package = 'restic'
    compressions = {'none': 'off', 'zstd': 'auto'}
    version = 'version'
    initialize = ['init', '--no-cache', '--repository-version', '2']
    verify = ['check', '--no-cache', '--read-data']

    def environment(self, repository: str) -> dict[str, str]:
        return {'RESTIC_REPOSITORY': repository,
                'RESTIC_PASSWORD': 'benchmark'}

    def create(self, volume: str) -> list[str]:
        return ['backup', '--no-cache', '--quiet', '--compression',
                self.compression, volume]


class Borg(Program):
    """Without encryption, but with its checksums and identities."""

    name = 'borg'
    package = 'borgbackup'
    compressions = {'none': 'none', 'zlib': 'zlib,6', 'zstd': 'zstd,3'}
    version = '--version'
    initialize = ['init', '--encryption', 'none']
    verify = ['check', '--verify-data']

    def environment(self, repository: str) -> dict[str, str]:
        return {'BORG_REPO': repository, 'BORG_BASE_DIR': self.directory,
                'BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK': 'yes'}

    def create(self, volume: str) -> list[str]:
        return ['create', '--compression', self.compression, '::volume',
                volume]


ALL: dict[str, type[Program]] = {
    program.name: program for program in (Restic, Borg)}


def missing(names: Iterable[str]) -> list[str]:
    """A sentence with the remedy for each program that is not installed."""
    return [f'{name} is not installed: apt-get install {ALL[name].package}'
            for name in names if shutil.which(name) is None]


def version(name: str) -> str | None:
    """The version of a program, None where it is not installed."""
    if shutil.which(name) is None:
        return None
    done = subprocess.run([name, ALL[name].version], capture_output=True,
                          text=True, check=False)
    words = done.stdout.split()
    return words[1] if len(words) > 1 else 'unknown'
