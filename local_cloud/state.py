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

"""The one directory that holds everything of one cloud."""

from collections.abc import Iterator
import contextlib
import fcntl
import json
import os
import pathlib
import shutil
import tempfile
from typing import Any
import uuid

from local_cloud import exceptions

#: Names the state directory for every verb that is not given one.
ENVIRONMENT = 'LOCAL_CLOUD_STATE_DIR'
#: Every process of a cloud carries its cloud's id in this variable, so that
#: one whose pid was never written down is found all the same.
PROCESS_MARK = 'LOCAL_CLOUD_ID'

# A Unix socket's path ends at 107 bytes, and services make some below the
# state directory under names of their own.
_LONGEST_PATH = 70
_MARKER = 'cloud.json'


def default_directory() -> pathlib.Path:
    """Where the state is when neither an option nor the environment says."""
    base = os.environ.get('XDG_STATE_HOME') or os.path.expanduser(
        '~/.local/state')
    return pathlib.Path(base) / 'cinder-backup-local-cloud'


class State:
    """The state directory of one cloud.

    :param directory: the directory; made when the cloud goes up
    """

    def __init__(self, directory: str | os.PathLike):
        self.root = pathlib.Path(os.path.abspath(directory))
        self.record: dict[str, Any] = {}

    @classmethod
    def temporary(cls) -> 'State':
        """A directory of its own for a cloud that lives for one command."""
        return cls(tempfile.mkdtemp(prefix='local-cloud-'))

    # The places, so that no other module joins paths of its own.

    @property
    def etc(self) -> pathlib.Path:
        return self.root / 'etc'

    @property
    def data(self) -> pathlib.Path:
        return self.root / 'data'

    @property
    def logs(self) -> pathlib.Path:
        return self.root / 'logs'

    @property
    def tmp(self) -> pathlib.Path:
        return self.root / 'tmp'

    @property
    def locks(self) -> pathlib.Path:
        return self.root / 'locks'

    @property
    def ledger(self) -> pathlib.Path:
        return self.root / 'ledger'

    def log(self, service: str) -> pathlib.Path:
        return self.logs / f'{service}.log'

    def config(self, service: str) -> pathlib.Path:
        return self.etc / service / f'{service}.conf'

    def database(self, service: str) -> pathlib.Path:
        return self.data / f'{service}.sqlite'

    # The record: what must survive the program that started the cloud.

    @property
    def exists(self) -> bool:
        """Whether a cloud was ever started in this directory."""
        return (self.root / _MARKER).is_file()

    @property
    def cloud_id(self) -> str:
        return self.record['id']

    def create(self) -> None:
        """Make the directories and the record of a new cloud.

        :raises InvalidState: if the directory holds something else, or
            its path is too long for the sockets of the services
        """
        if len(os.fsencode(self.root)) > _LONGEST_PATH:
            raise exceptions.InvalidState(
                f'The state directory {self.root} has a path of '
                f'{len(os.fsencode(self.root))} bytes; choose one of at most '
                f'{_LONGEST_PATH}, Unix sockets below it would not work.')
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            others = [p.name for p in self.root.iterdir()
                      if p.name != 'lock']
            if others:
                raise exceptions.InvalidState(
                    f'The directory {self.root} is not empty and is not a '
                    f'local cloud (it holds {sorted(others)[0]}); choose '
                    f'another with --state-dir.')
            self.root.chmod(0o700)
            self.record = {'id': str(uuid.uuid4()), 'processes': {}}
            # The marker first: what follows may be removed by "down".
            self.save()
            for directory in (self.etc, self.data, self.logs, self.tmp,
                              self.locks, self.ledger):
                directory.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise exceptions.InvalidState(
                f'The state directory {self.root} cannot be used: '
                f'{error.strerror}.') from error

    def load(self) -> None:
        """Read the record.

        :raises InvalidState: if there is no cloud, or its record is broken
        """
        try:
            self.record = json.loads((self.root / _MARKER).read_text())
            self.record['id']
        except FileNotFoundError:
            raise exceptions.InvalidState(
                f'There is no local cloud in {self.root}; start one with '
                f'"up", or name another directory with --state-dir.') from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise exceptions.InvalidState(
                f'{self.root / _MARKER} cannot be read: {error}') from error

    def save(self) -> None:
        """Write the record so that a kill leaves the old or the new one."""
        new = self.root / f'.{_MARKER}.{os.getpid()}'
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
                             0o600)
        with os.fdopen(descriptor, 'w') as file:
            json.dump(self.record, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, self.root / _MARKER)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One "up" or "down" at a time; the kernel drops it with its owner.

        :raises InvalidState: if another program holds it
        """
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = open(self.root / 'lock', 'w')
        except OSError as error:
            raise exceptions.InvalidState(
                f'The state directory {self.root} cannot be used: '
                f'{error.strerror}.') from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise exceptions.InvalidState(
                    f'Another program is starting or stopping the cloud in '
                    f'{self.root}; wait for it to end.') from None
            yield

    def clear(self) -> None:
        """Remove all that a cloud left in its directory.

        The marker goes last, so that a kill in the middle of this leaves a
        directory that the next "down" still knows as ours.
        """
        for entry in self.root.iterdir():
            if entry.name in (_MARKER, 'lock'):
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        (self.root / _MARKER).unlink()

    def remove(self) -> None:
        """Remove the directory, which must be a cloud's.

        :raises InvalidState: if it holds no cloud's record, or cannot be
            removed
        """
        if not self.exists:
            leftovers = [p for p in self.root.iterdir() if p.name != 'lock']
            if leftovers:
                raise exceptions.InvalidState(
                    f'{self.root} is not a local cloud, nothing was removed.')
        else:
            self.clear()
        (self.root / 'lock').unlink(missing_ok=True)
        self.root.rmdir()
