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

Each keeps the same volume in a repository of its own, and is compared by what
it takes for the content alone: the same check of a repository with nothing in
it, with the start of the program and the derivation of keys, is taken off.
"""

from collections.abc import Iterable
import os
import shutil
import subprocess

from benchmarks import results

#: Of the volume's size, for a repository.
ROOM = 1.1


class Program:
    """A program with a repository of the volume, and one of nothing.

    :param directory: where both are; it is empty, and whoever made it
        removes it
    :param compression: as Cinder names it
    """

    name: str
    package: str
    #: What the program calls a compression of Cinder; it has no others.
    compressions: dict[str, str]
    #: The check that is timed, as people write it.
    shown: str

    def __init__(self, directory: str, compression: str):
        self.directory = directory
        self.compression = self.compressions[compression]
        self.full = os.path.join(directory, 'full')
        self.empty = os.path.join(directory, 'empty')

    def store(self, volume: str) -> None:
        """Make both repositories.

        :param volume: the file that one of them gets
        :raises Failed: the program has not stored all of it
        """
        for repository in (self.full, self.empty):
            self.run(repository, *self.initialize())
        self.run(self.full, *self.create(volume))

    def check(self) -> None:
        """Read everything that is stored, and check it."""
        self.run(self.full, *self.verify())

    def check_empty(self) -> None:
        """The same, where there is nothing."""
        self.run(self.empty, *self.verify())

    def stored(self) -> int:
        """Bytes in the repository."""
        return sum(os.path.getsize(os.path.join(path, name))
                   for path, _, names in os.walk(self.full)
                   for name in names)

    def initialize(self) -> list[str]:
        raise NotImplementedError

    def create(self, volume: str) -> list[str]:
        raise NotImplementedError

    def verify(self) -> list[str]:
        raise NotImplementedError

    def environment(self, repository: str) -> dict[str, str]:
        raise NotImplementedError

    def run(self, repository: str, *arguments: str) -> str:
        """Run the program.

        :returns: what it has printed
        :raises Failed: it has not succeeded; with the end of what it said
        """
        # Whatever it keeps for later goes where it is removed.
        done = subprocess.run(
            [self.name, *arguments], cwd=self.directory, text=True,
            errors='replace', stdin=subprocess.DEVNULL, capture_output=True,
            env={**os.environ, 'HOME': self.directory,
                 'XDG_CACHE_HOME': self.directory, 'TMPDIR': self.directory,
                 **self.environment(repository)})
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines()
            raise results.Failed(
                f'{self.name} {arguments[0]} ended with {done.returncode}: '
                f'{said[-1] if said else "it said nothing"}')
        return done.stdout


class Restic(Program):
    """It encrypts and authenticates always."""

    name = package = 'restic'
    compressions = {'none': 'off', 'zstd': 'auto'}
    shown = 'restic check --read-data'

    def environment(self, repository: str) -> dict[str, str]:
        return {'RESTIC_REPOSITORY': repository,
                'RESTIC_PASSWORD': 'benchmark'}

    def initialize(self) -> list[str]:
        return ['init', '--no-cache', '--repository-version', '2']

    def create(self, volume: str) -> list[str]:
        return ['backup', '--no-cache', '--quiet', '--compression',
                self.compression, volume]

    def verify(self) -> list[str]:
        return ['check', '--no-cache', '--read-data']


class Borg(Program):
    """Without encryption, but with its checksums and identities."""

    name = 'borg'
    package = 'borgbackup'
    compressions = {'none': 'none', 'zlib': 'zlib,6', 'zstd': 'zstd,3'}
    shown = 'borg check --verify-data'

    def environment(self, repository: str) -> dict[str, str]:
        return {'BORG_REPO': repository, 'BORG_BASE_DIR': self.directory,
                'BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK': 'yes'}

    def initialize(self) -> list[str]:
        return ['init', '--encryption', 'none']

    def create(self, volume: str) -> list[str]:
        return ['create', '--compression', self.compression, '::volume',
                volume]

    def verify(self) -> list[str]:
        return ['check', '--verify-data']


ALL: dict[str, type[Program]] = {one.name: one for one in (Restic, Borg)}


def missing(names: Iterable[str]) -> list[str]:
    """What of these is not installed.

    :returns: for each a sentence with the remedy
    """
    return [f'{name} is not installed: apt-get install {ALL[name].package}'
            for name in names if shutil.which(name) is None]


def version(name: str) -> str | None:
    """The version of an installed program."""
    if shutil.which(name) is None:
        return None
    argument = 'version' if name == 'restic' else '--version'
    done = subprocess.run([name, argument], capture_output=True, text=True,
                          check=False)
    words = done.stdout.split()
    return words[1] if len(words) > 1 else 'unknown'
