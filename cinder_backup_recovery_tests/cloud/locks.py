# SPDX-License-Identifier: Apache-2.0

"""Locks that keep runs apart which share a ledger or a report directory.

They are those of flock(2): the kernel releases them with the process, also
after SIGKILL, so that a lock never outlives its run. Over NFS they hold
between hosts, unless the mount says otherwise.

A certification holds ``run.lock`` in its ledger, which names it. Each process
that runs tests, also one that stestr or Tempest has started without a
certification, shares ``writers.lock``. Clean-up takes both for itself: nothing
is removed while a process may use it, and no process starts to use a ledger
that is being cleaned up.

``key-manager.lock`` keeps tests that use the key manager away from those that
stop it.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import datetime
import fcntl
import functools
import json
import os
import socket
from typing import Any
import uuid

from cinder_backup_recovery_tests import exceptions

RUN = 'run.lock'
WRITERS = 'writers.lock'
KEY_MANAGER = 'key-manager.lock'

#: Names of a run: ``run``, its id; ``host``, ``pid``, ``since`` and
#: ``report``, the report directory; later ``ledger``.
Owner = Mapping[str, Any]


class LockError(exceptions.BackupRecoveryError):
    """A directory cannot be locked."""


class InUse(LockError):
    """Another process uses a directory."""


def owner(report: str | os.PathLike[str] | None = None) -> dict[str, Any]:
    """Name this process as a run.

    :returns: an owner with a new id
    """
    return {'run': uuid.uuid4().hex, 'host': socket.gethostname(),
            'pid': os.getpid(),
            'since': datetime.datetime.now(datetime.UTC).isoformat(
                timespec='seconds'),
            'report': os.path.abspath(report) if report else None}


def describe(run: Owner) -> str:
    """Name a run for people.

    :param run: as :func:`owner` has it; empty where it is not known
    """
    if not run.get('pid'):
        return 'unknown process'
    return (f'process {run["pid"]} on host {run.get("host")}, started '
            f'{run.get("since")}' + (f', report directory {run["report"]}'
                                     if run.get('report') else ''))


class RunLock:
    """An exclusive lock on a file that names its holder.

    :param path: the file; its directory must exist
    :raises InUse: another process holds it
    :raises LockError: the file system has no locks
    :raises OSError: the file cannot be made
    """

    def __init__(self, path: str | os.PathLike[str], run: Owner) -> None:
        self._path = os.fspath(path)
        while True:
            self._file = os.open(
                self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                if not _lock(self._file, fcntl.LOCK_EX, self._path):
                    raise _in_use(self._path, _read(self._file))
                # Its former holder may have removed it after it was opened.
                if _same(self._file, self._path):
                    break
            except BaseException:
                os.close(self._file)
                raise
            os.close(self._file)
        try:
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, json.dumps(run).encode(), 0)
        except OSError:
            self.release()
            raise

    def release(self) -> None:
        """Remove the file, which releases the lock."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)
        os.close(self._file)

    def __enter__(self) -> 'RunLock':
        """Hold it already."""
        return self

    def __exit__(self, *args: Any) -> None:
        """Release it."""
        self.release()


def holder(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Find the holder of a lock, and create nothing.

    :returns: the run, empty where it has not named itself yet; None where
        the lock is free
    :raises LockError: the file system has no locks
    :raises OSError: the file cannot be read
    """
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        if _lock(file, fcntl.LOCK_SH, os.fspath(path)):
            return None
        return _read(file)
    finally:
        os.close(file)


def refuse_held(path: str | os.PathLike[str]) -> None:
    """Refuse to start where another run has started.

    :raises InUse: naming the run
    """
    run = holder(path)
    if run is not None:
        raise _in_use(os.fspath(path), run)


def alive(run: Owner) -> bool | None:
    """Check whether a run exists, by the lock of its ledger.

    :returns: None where this host cannot know it
    """
    ledger = run.get('ledger')
    if not ledger:
        return None
    try:
        found = holder(os.path.join(ledger, RUN))
    except (OSError, LockError):
        return None
    if found is not None and found.get('run') == run.get('run'):
        return True
    # Elsewhere another directory may have the same name.
    here = run.get('host') == socket.gethostname() and os.path.isdir(ledger)
    return False if here else None


class Writer:
    """A process that makes things and writes them into a ledger.

    :raises InvalidConfiguration: the ledger is being cleaned up, cannot be
        written, or is on a file system without locks
    """

    def __init__(self, ledger: str) -> None:
        path = os.path.join(ledger, WRITERS)
        try:
            os.makedirs(ledger, mode=0o700, exist_ok=True)
            self._file = _open(path)
        except OSError as error:
            raise exceptions.InvalidConfiguration(
                f'the ledger cannot be written: {error.filename}: '
                f'{error.strerror}; choose another ledger_dir') from None
        try:
            free = _lock(self._file, fcntl.LOCK_SH, path)
        except LockError as error:
            self.close()
            raise exceptions.InvalidConfiguration(str(error)) from None
        if not free:
            self.close()
            raise exceptions.InvalidConfiguration(
                f'the ledger {ledger} is being cleaned up; start the tests '
                f'when that has ended')

    def close(self) -> None:
        """End its part in the ledger."""
        os.close(self._file)


@contextlib.contextmanager
def cleaning(ledger: str, run: str | None = None) -> Iterator[None]:
    """Keep every other process away from a ledger.

    :param run: the id of the run that holds the ledger and has started this
        clean-up; without one the ledger must be free
    :raises InUse: a run or tests of it use the ledger
    :raises LockError: the file system has no locks
    """
    with contextlib.ExitStack() as stack:
        path = os.path.join(ledger, RUN)
        found = holder(path) if run else None
        if not found or found.get('run') != run:
            stack.enter_context(RunLock(path, owner()))
        path = os.path.join(ledger, WRITERS)
        file = _open(path)
        stack.callback(os.close, file)
        if not _lock(file, fcntl.LOCK_EX, path):
            raise InUse(f'tests that use the ledger {ledger} are running; '
                        f'wait for their end (lslocks shows the processes '
                        f'that have locked {path})')
        yield


def key_manager(ledger: str, alone: bool) -> Callable[[], None]:
    """Wait until the key manager may be used, or stopped, and lock it.

    A process has it once at a time, and takes no other lock while it waits.

    :param alone: whether it will be stopped; those that only use it share it
    :returns: releases it; the end of the process does, too
    :raises LockError: the file system has no locks
    :raises OSError: the file cannot be made
    """
    path = os.path.join(ledger, KEY_MANAGER)
    file = _open(path)
    try:
        _lock(file, fcntl.LOCK_EX if alone else fcntl.LOCK_SH, path,
              wait=True)
    except BaseException:
        os.close(file)
        raise
    return functools.partial(os.close, file)


def _open(path: str) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _lock(file: int, kind: int, path: str, wait: bool = False) -> bool:
    try:
        fcntl.flock(file, kind if wait else kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise LockError(
            f'{path} cannot be locked: {error.strerror}; choose a directory '
            f'on a file system with locks') from None
    return True


def _same(file: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except FileNotFoundError:
        return False


def _read(file: int) -> dict[str, Any]:
    try:
        found = json.loads(os.pread(file, 1 << 16, 0))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _in_use(path: str, run: Owner) -> InUse:
    return InUse(f'{os.path.dirname(path)} is in use by another run '
                 f'({describe(run)}); wait for its end, or choose another '
                 f'directory')
