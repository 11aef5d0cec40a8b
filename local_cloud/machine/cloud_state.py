# SPDX-License-Identifier: Apache-2.0

"""The one directory that holds everything of one cloud."""

from collections.abc import Iterator
import contextlib
import fcntl
import json
import os
import pathlib
import shutil
import stat
import tempfile
import time
from typing import Any
import uuid

from local_cloud import exceptions

#: Names the state directory of verbs without the option.
ENVIRONMENT = 'LOCAL_CLOUD_STATE_DIR'
#: Every process of a cloud carries its cloud's id in this variable, so that
#: one whose pid was never written down is found all the same.
PROCESS_MARK = 'LOCAL_CLOUD_ID'

# A Unix socket's path ends at 107 bytes, and services make some below the
# state directory under names of their own.
_LONGEST_PATH = 70
_MARKER = 'cloud.json'
_LOCK = 'lock'

#: The prefix of a directory for one command or one test.
TEMPORARY_PREFIX = 'local-cloud-'
_OWNER = 'owner'
# Seconds that a program has to lock the file in its directory.
_YOUNG = 60


def default_directory() -> pathlib.Path:
    """The state directory without an option or a variable."""
    base = os.environ.get('XDG_STATE_HOME') or os.path.expanduser(
        '~/.local/state')
    return pathlib.Path(base) / 'cinder-backup-local-cloud'


class Temporary:
    """A directory for a cloud that must not outlive the program that made it.

    The program holds a lock on a file in it, which the kernel drops when the
    program ends, however it ends: see :func:`abandoned`.
    """

    #: The name of the cloud's own directory in it.
    CLOUD = 'cloud'

    def __init__(self, purpose: str):
        self.root = pathlib.Path(tempfile.mkdtemp(
            prefix=f'{TEMPORARY_PREFIX}{purpose}-'))
        self._owner = open(self.root / _OWNER, 'w')  # noqa: SIM115
        fcntl.flock(self._owner, fcntl.LOCK_EX)

    @property
    def cloud(self) -> pathlib.Path:
        """The state directory of its cloud."""
        return self.root / self.CLOUD

    def remove(self) -> None:
        """Remove it, once the cloud in it is gone."""
        remove_temporary(self.root)
        self._owner.close()


def temporary_directories() -> list[pathlib.Path]:
    """The temporary directories of this user's clouds, in use or not."""
    found = []
    for path in sorted(pathlib.Path(tempfile.gettempdir()).glob(
            f'{TEMPORARY_PREFIX}*')):
        with contextlib.suppress(OSError):
            status = path.lstat()
            if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid():
                found.append(path)
    return found


def owner_of(directory: pathlib.Path) -> pathlib.Path | None:
    """The temporary directory in which a cloud was made, or None."""
    parent = directory.parent
    if (directory.name == Temporary.CLOUD and
            parent.name.startswith(TEMPORARY_PREFIX)):
        return parent
    return None


def abandoned(temporary: pathlib.Path) -> bool:
    """True if the program that made a temporary directory has ended."""
    try:
        names = {path.name for path in temporary.iterdir()}
        age = time.time() - temporary.stat().st_mtime
    except FileNotFoundError:
        return True
    if is_locked(temporary / _OWNER):
        return False
    # Its program makes the lock first, so it may be about to.
    return age > _YOUNG if names <= {_OWNER} else _OWNER in names


def is_locked(path: str | os.PathLike) -> bool:
    """Check whether a program holds the lock on a file."""
    try:
        with open(path) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        pass
    return False


def remove_temporary(temporary: pathlib.Path) -> None:
    """Remove a temporary directory with all that is in it."""
    try:
        if temporary.exists():
            shutil.rmtree(temporary)
    except OSError as error:
        raise exceptions.InvalidState(
            f'{temporary} cannot be removed: {error}') from error


class State:
    """The state directory of one cloud."""

    def __init__(self, directory: str | os.PathLike):
        self.root = pathlib.Path(os.path.abspath(directory))
        self.record: dict[str, Any] = {}

    # The places; no other module joins paths.

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

    @property
    def holds(self) -> pathlib.Path:
        """The directory of armed points that hold requests in Cinder."""
        return self.data / 'holds'

    @property
    def lock(self) -> pathlib.Path:
        """The file that a program locks to start or stop the cloud."""
        return self.root / _LOCK

    def log(self, service: str) -> pathlib.Path:
        return self.logs / f'{service}.log'

    def config(self, service: str) -> pathlib.Path:
        return self.etc / service / f'{service}.conf'

    def database(self, service: str) -> pathlib.Path:
        return self.data / f'{service}.sqlite'

    # The record: what must survive the program that started the cloud.

    @property
    def exists(self) -> bool:
        """True if a cloud was ever started in this directory."""
        try:
            return (self.root / _MARKER).is_file()
        except OSError as error:
            raise self._unusable(error) from error

    @property
    def cloud_id(self) -> str:
        return self.record['id']

    def check(self) -> None:
        """Check whether a cloud can be here, before anything is made."""
        length = len(os.fsencode(self.root))
        if length > _LONGEST_PATH:
            raise exceptions.InvalidState(
                f'the state directory {self.root} has a path of {length} '
                f'bytes, too long for Unix sockets below it; choose one of '
                f'at most {_LONGEST_PATH} with --state-dir')
        foreign = self._foreign()
        if foreign and not self.exists:
            raise exceptions.InvalidState(
                f'the directory {self.root} is not empty and is not a '
                f'local cloud (it has {foreign}); choose another with '
                f'--state-dir')

    def _foreign(self) -> str | None:
        """The first name in the directory that no cloud has made."""
        try:
            names = {path.name for path in self.root.iterdir()}
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unusable(error) from error
        ours = {_LOCK}
        if _MARKER in names:
            ours.update((_MARKER, *(p.name for p in self._directories())))
        # A kill may leave the record's first version without a marker.
        return next((name for name in sorted(names) if name not in ours and
                     not name.startswith(f'.{_MARKER}.')), None)

    @property
    def remains(self) -> bool:
        """True if a "down" has anything to remove here."""
        if self.exists:
            return True
        return (self.root.is_dir() and self._foreign() is None and
                any(self.root.iterdir()))

    def _unusable(self, error: OSError) -> exceptions.InvalidState:
        return exceptions.InvalidState(
            f'the state directory {self.root} cannot be used: '
            f'{error.strerror}')

    def _directories(self) -> tuple[pathlib.Path, ...]:
        return (self.etc, self.data, self.logs, self.tmp, self.locks,
                self.ledger, self.root / 'tempest-locks')

    def create(self, cloud_id: str | None = None) -> None:
        """Make the directories and the record of a new cloud."""
        self.record = {'id': cloud_id or str(uuid.uuid4()), 'ports': {},
                       'processes': {}}
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.root.chmod(0o700)
            # The marker first: what follows may be removed by "down".
            self.save()
            for directory in self._directories():
                directory.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise self._unusable(error) from error

    def load(self) -> None:
        """Read the record."""
        try:
            record = json.loads((self.root / _MARKER).read_text())
            # A file of the same name may be another program's.
            for name, kind in (('id', str), ('ports', dict),
                               ('processes', dict)):
                if not isinstance(record[name], kind):
                    raise ValueError(f'{name} is not part of a local cloud')
        except (FileNotFoundError, NotADirectoryError):
            raise exceptions.InvalidState(
                f'no local cloud in {self.root}; start one with "up", or '
                f'name another directory with --state-dir') from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            what = (f'{error} is missing' if isinstance(error, KeyError)
                    else error)
            raise exceptions.InvalidState(
                f'{self.root / _MARKER} cannot be read: {what}; "down" '
                f'removes what is left of a cloud') from error
        self.record = record

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
        """One "up" or "down" at a time; the kernel drops it with its owner."""
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = open(self.root / _LOCK, 'w')  # noqa: SIM115
        except OSError as error:
            raise self._unusable(error) from error
        with file:
            busy = exceptions.InvalidState(
                f'another program is starting or stopping the cloud in '
                f'{self.root}; wait for its end')
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise busy from None
            try:
                current = os.stat(self.root / _LOCK).st_ino
            except FileNotFoundError:
                current = None
            if current != os.fstat(file.fileno()).st_ino:
                # A "down" has just removed what was locked here.
                raise busy
            yield

    def clear(self) -> None:
        """Remove all that a cloud left in its directory.

        The marker goes last, so that a kill in the middle of this leaves a
        directory that the next "down" still knows as ours.
        """
        for entry in self.root.iterdir():
            if entry.name in (_MARKER, _LOCK):
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        (self.root / _MARKER).unlink(missing_ok=True)

    def check_removable(self) -> None:
        """Check whether all that is here may be removed.

        In the directory of a cloud whose record was loaded everything may,
        also what its services have dropped there.
        """
        foreign = None if self.record else self._foreign()
        if not self.record and foreign is None and self.exists:
            with contextlib.suppress(ValueError, OSError):
                # A disk may break ours; this one is valid JSON, and was not
                # accepted.
                json.loads((self.root / _MARKER).read_text())
                foreign = f'another {_MARKER}'
        if foreign:
            raise exceptions.InvalidState(
                f'{self.root} has {foreign}, which is not part of a local '
                f'cloud; nothing was removed')

    def remove(self) -> None:
        """Remove the directory, which must be a cloud's."""
        self.check_removable()
        try:
            self.clear()
            (self.root / _LOCK).unlink(missing_ok=True)
            self.root.rmdir()
        except OSError as error:
            raise exceptions.InvalidState(
                f'{self.root} cannot be removed: {error}') from error
