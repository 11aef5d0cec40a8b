# SPDX-License-Identifier: Apache-2.0

"""Other backup programs that read all that they have stored.

Each has the same volume in a repository of its own. The same check of an
empty repository, with the start of the program and the derivation of keys, is
subtracted from its time.
"""

from collections.abc import Iterable
import dataclasses
import os
import shutil
import subprocess

from benchmarks import results

#: Of the volume's size, for a repository.
ROOM = 1.1


@dataclasses.dataclass(frozen=True)
class Program:
    """A program, and the arguments by which it is run.

    :ivar compressions: its name for a compression of Cinder; it has no others
    :ivar create: {compression} and {volume} are replaced
    :ivar variables: {repository} and {directory} are replaced
    """

    name: str
    package: str
    compressions: dict[str, str]
    version: str
    initialize: str
    create: str
    verify: str
    variables: dict[str, str]


#: Restic encrypts and authenticates always. Borg does not encrypt here, but
#: has its checksums and identities.
ALL: dict[str, Program] = {program.name: program for program in (
    Program('restic', 'restic', {'none': 'off', 'zstd': 'auto'}, 'version',
            'init --no-cache --repository-version 2',
            'backup --no-cache --quiet --compression {compression} {volume}',
            'check --no-cache --read-data',
            {'RESTIC_REPOSITORY': '{repository}',
             'RESTIC_PASSWORD': 'benchmark'}),
    Program('borg', 'borgbackup',
            {'none': 'none', 'zlib': 'zlib,6', 'zstd': 'zstd,3'}, '--version',
            'init --encryption none',
            'create --compression {compression} ::volume {volume}',
            'check --verify-data',
            {'BORG_REPO': '{repository}', 'BORG_BASE_DIR': '{directory}',
             'BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK': 'yes'}))}


class Repositories:
    """A program's repository of a volume, and an empty one.

    :param directory: where both are; it is empty, and the caller removes it
    """

    def __init__(self, program: Program, directory: str):
        self.program = program
        self.directory = directory
        self.full = os.path.join(directory, 'full')
        self.empty = os.path.join(directory, 'empty')

    def store(self, volume: str, compression: str) -> None:
        """Make both repositories.

        :param volume: the file that one of them gets
        :param compression: as Cinder names it
        """
        for repository in (self.full, self.empty):
            self._run(repository, self.program.initialize)
        self._run(self.full, self.program.create, volume=volume,
                  compression=self.program.compressions[compression])

    def check(self) -> None:
        """Read everything that is stored, and check it."""
        self._run(self.full, self.program.verify)

    def check_empty(self) -> None:
        """Check the empty repository."""
        self._run(self.empty, self.program.verify)

    def stored(self) -> int:
        """Bytes in the repository."""
        return sum(os.path.getsize(os.path.join(path, name))
                   for path, _, names in os.walk(self.full)
                   for name in names)

    def _run(self, repository: str, arguments: str, **values: str) -> None:
        """Run the program.

        :raises Failed: with the last line of its messages
        """
        # Its caches go where they are removed.
        done = subprocess.run(
            [self.program.name, *(word.format(**values)
                                  for word in arguments.split())],
            cwd=self.directory, text=True, errors='replace',
            stdin=subprocess.DEVNULL, capture_output=True,
            env={**os.environ, 'HOME': self.directory,
                 'XDG_CACHE_HOME': self.directory, 'TMPDIR': self.directory,
                 **{name: value.format(repository=repository,
                                       directory=self.directory)
                    for name, value in self.program.variables.items()}})
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines()
            raise results.Failed(
                f'{self.program.name} {arguments.split()[0]} ended with '
                f'{done.returncode}: {lines[-1] if lines else "no message"}')


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
