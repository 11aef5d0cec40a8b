# SPDX-License-Identifier: Apache-2.0

"""Commands that kill, stop or hold Cinder's services and what they need."""

from collections.abc import Iterator
import contextlib
import shlex
import time
from typing import Any

from cinder_backup_recovery_tests import commands
from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.cloud import ledger as resource_ledger

STORAGE = 'storage'
"""The kind of the ledger's change while the storage is away or hangs."""
KEY_MANAGER = 'key manager'
"""The same while the key manager is away."""
_WHICH = {STORAGE: 'of the backups', KEY_MANAGER: 'of the cloud'}
# Seconds between two polls.
_PAUSE = 0.05

# States of a stopped storage, in the ledger.
AWAY = 'away'
HANGS = 'hangs'

# Where a request can be held. At the points of a creation the id is that of
# the volume.
EXPORT = 'export'
IMPORT = 'import'
IMPORT_REQUEST = 'import-request'
IMPORT_SAVED = 'import-saved'
CREATE = 'create'
CREATE_DATA = 'create-data'
CREATE_REQUEST = 'create-request'
DELETE = 'delete'
DELETE_QUOTA = 'delete-quota'
DELETE_REQUEST = 'delete-request'
RESTORE = 'restore'
RESTORE_REQUEST = 'restore-request'


class _Switch:
    """Two programs of the operator that stop and start something.

    :param off: stops it; split like in a shell, but no shell is used
    :param on: starts it and waits until it works, also where it runs
    :param timeout: seconds after which either program is killed
    :param unknown: what is unknown after one was killed, as a clause
    :raises InvalidConfiguration: a command cannot be split, or is empty
    """

    def __init__(self, off: str, on: str, timeout: float,
                 unknown: str) -> None:
        self._off = commands.split(off)
        self._on = commands.split(on)
        self._timeout = timeout
        self._unknown = unknown

    def check(self) -> None:
        """Refuse programs that are not installed; none is run."""
        for words in (self._off, self._on):
            commands.require(words)

    def _run(self, words: list[str]) -> None:
        commands.run(words, self._timeout, shlex.join(words),
                     exceptions.ServiceCommandFailed, self._unknown)


class BackupService(_Switch):
    """cinder-backup, by two programs of the operator."""

    def __init__(self, kill_command: str, start_command: str,
                 timeout: float = 300) -> None:
        super().__init__(kill_command, start_command, timeout,
                         'whether cinder-backup runs')

    @classmethod
    def from_config(cls, conf: Any) -> 'BackupService':
        """Create it for the configured programs."""
        group = conf.cinder_backup_recovery
        return cls(group.service_kill_command, group.service_start_command,
                   group.service_timeout)

    def kill(self) -> None:
        """Kill it."""
        self._run(self._off)

    def start(self) -> None:
        """Start it, if it does not run, and wait until it is up."""
        self._run(self._on)


class _Recorded(_Switch):
    """A service that is stopped; a clean-up starts it again after a kill.

    :param ledger: by which it does
    :param state: AWAY or HANGS, its state while stopped
    """

    kind: str

    def __init__(self, stop_command: str, start_command: str,
                 ledger: resource_ledger.Ledger, timeout: float = 300,
                 state: str = AWAY) -> None:
        super().__init__(stop_command, start_command, timeout,
                         f'whether the {self.kind} {_WHICH[self.kind]} '
                         f'answers')
        self._ledger = ledger
        self._state = state

    def stop(self) -> None:
        """Stop it, or make it hang."""
        self._ledger.note(self.kind, _WHICH[self.kind], 'there', self._state)
        self._run(self._off)

    def start(self) -> None:
        """Start or resume it, if it is stopped or hangs."""
        if self._ledger.changes(self.kind):
            self._run(self._on)
            self._ledger.restored(self.kind, _WHICH[self.kind])


class BackupStorage(_Recorded):
    """The storage of the backups, by two programs of the operator."""

    kind = STORAGE

    @classmethod
    def from_config(cls, conf: Any, ledger: resource_ledger.Ledger,
                    state: str = AWAY) -> 'BackupStorage':
        """Create it for the configured programs."""
        group = conf.cinder_backup_recovery
        off, on = ((group.store_stop_command, group.store_start_command)
                   if state == AWAY else
                   (group.store_pause_command, group.store_resume_command))
        return cls(off, on, ledger, group.service_timeout, state)


class KeyManager(_Recorded):
    """The key manager, by two programs of the operator."""

    kind = KEY_MANAGER

    @classmethod
    def from_config(cls, conf: Any, ledger: resource_ledger.Ledger
                    ) -> 'KeyManager':
        """Create it for the configured programs."""
        group = conf.cinder_backup_recovery
        return cls(group.key_manager_stop_command,
                   group.key_manager_start_command, ledger,
                   group.service_timeout)


class HeldRequests:
    """Requests about one backup that wait in Cinder until they are released.
    """

    def __init__(self, hold: 'RequestHold', point: str, backup_id: str
                 ) -> None:
        self._hold = hold
        self._point = point
        self._backup_id = backup_id

    @property
    def number(self) -> int:
        """The number of requests that are held now."""
        return self._hold.count(self._point, self._backup_id)

    def release_first(self) -> None:
        """Resume the one that has waited for longest."""
        self._hold.release_first(self._point, self._backup_id)

    def arrived(self, number: int, timeout: float) -> bool:
        """Wait until so many requests are held, for some seconds at most."""
        deadline = time.monotonic() + timeout
        while True:
            if self.number >= number:
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(_PAUSE)

    def require(self, timeout: float) -> None:
        """Wait until a request is held, for some seconds at most.

        :raises MomentMissed: none is
        """
        if not self.arrived(1, timeout):
            raise exceptions.MomentMissed(
                f'the {self._point} of backup {self._backup_id} did not '
                f'arrive within {timeout:g} s, or [cinder_backup_recovery] '
                f'request_hold_command does not hold it')


class RequestHold:
    """A program that makes requests wait inside Cinder, between two steps.

    With it a test makes two events meet that otherwise meet by chance. Only
    requests about one backup of the ledger are held, or those that make a
    backup of one volume of the ledger.

    :param command: the program, with {action}, {point} and {id}
    :raises InvalidConfiguration: the command cannot be split, or is empty
    """

    def __init__(self, command: str, ledger: resource_ledger.Ledger,
                 timeout: float = 300) -> None:
        self._words = commands.split(command)
        self._ledger = ledger
        self._timeout = timeout

    @classmethod
    def from_config(cls, conf: Any, ledger: resource_ledger.Ledger
                    ) -> 'RequestHold | None':
        """Create it for the configured program, if one is.

        :returns: None where the cloud cannot hold requests
        """
        group = conf.cinder_backup_recovery
        if not group.request_hold_command:
            return None
        hold = cls(group.request_hold_command, ledger, group.service_timeout)
        commands.require(hold._words)
        return hold

    @contextlib.contextmanager
    def at(self, point: str, backup_id: str) -> Iterator[HeldRequests]:
        """Hold each request about a backup that comes to a point.

        :param backup_id: of the volume at the points of a creation
        :raises NotInLedger: the suite did not make the backup
        """
        self._ledger.require(
            clients.VOLUME if point.startswith(CREATE) else clients.BACKUP,
            [backup_id])
        try:
            self._run('arm', point, backup_id)
            yield HeldRequests(self, point, backup_id)
        finally:
            self._run('release', point, backup_id)

    def count(self, point: str, backup_id: str) -> int:
        """Count the requests that are held.

        :raises ServiceCommandFailed: the program failed, or did not print a
            number
        """
        printed = self._run('count', point, backup_id).strip()
        if not printed.isdecimal():
            raise exceptions.ServiceCommandFailed(
                f'{shlex.join(self._words)} printed {printed[:80]!r} and not '
                f'the number of requests that are held')
        return int(printed)

    def release_first(self, point: str, backup_id: str) -> None:
        """Resume the request that has been held for longest."""
        self._run('next', point, backup_id)

    def _run(self, action: str, point: str, backup_id: str) -> str:
        words = [word.replace('{action}', action).replace('{point}', point)
                 .replace('{id}', backup_id) for word in self._words]
        return commands.run(
            words, self._timeout, shlex.join(words),
            exceptions.ServiceCommandFailed, 'whether requests are held')
