# SPDX-License-Identifier: Apache-2.0
"""A record of created resources and changed settings, on disk.

A ledger is a directory. Every process appends to a file of its own in it, one
line of JSON for each event, synced to the disk before the call returns; all
files together are the ledger. So workers that run at once need no lock, and
clean-up after SIGKILL or a power cut knows what to remove.

Ownership is permanent: :meth:`Ledger.owns` stays true for what is gone. A
backup whose row was lost is gone from Cinder but still on its storage, its
import brings the same id back, and the soft-deleted row that a clean-up is to
purge belongs to a backup that was deleted long ago. Ids are UUIDs, so an id
that once was ours cannot become another's. What is to be *deleted* comes
from :meth:`Ledger.entries`, which leaves out what is gone.
"""

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import json
import os
import threading
import time
from typing import Any
import uuid

from oslo_log import log as logging

from cinder_backup_recovery_tests import exceptions

LOG = logging.getLogger(__name__)

INTENDED = 'intended'
CREATED = 'created'
GONE = 'gone'
ABANDONED = 'abandoned'

_SUFFIX = '.jsonl'
_FIELDS: Mapping[str, tuple[str, ...]] = {
    'intend': ('token', 'kind'),
    'created': ('token', 'id'),
    'abandon': ('token',),
    'gone': ('kind', 'id'),
    'note': ('kind', 'key', 'before', 'after'),
    'restored': ('kind', 'key'),
}


@dataclasses.dataclass(frozen=True)
class Entry:
    """A resource of the ledger.

    ``state`` is ``intended`` (requested, no answer recorded: find it by its
    name), ``created`` or ``gone``; ``resource_id`` is None while intended;
    ``created_at`` is in seconds since the epoch.
    """

    token: str
    kind: str
    name: str | None
    resource_id: str | None
    details: dict[str, Any]
    state: str
    created_at: float


@dataclasses.dataclass(frozen=True)
class Change:
    """A changed setting, which is to be restored to ``before``."""

    kind: str
    key: str
    before: Any
    after: Any


class Ledger:
    """All that this and other processes created, by one directory.

    :param directory: where the files are; created when missing, for its
        owner alone, since names of a cloud's resources are in it
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = os.fspath(directory)
        self._lock = threading.RLock()
        self._file: int | None = None
        self._owner_pid = 0
        self._last_time = 0
        self._warned: set[str] = set()

    def intend(self, kind: str, name: str, **details: Any) -> str:
        """Record a create request before it is sent.

        A kill between the request and its answer leaves an entry without id,
        and clean-up finds the resource by its name; so the name must be
        unique.

        :param details: whatever clean-up needs besides, as JSON
        :returns: a token for :meth:`created` or :meth:`abandon`
        """
        token = uuid.uuid4().hex
        self._append({'event': 'intend', 'token': token, 'kind': kind,
                      'name': name, 'details': details})
        return token

    def created(self, token: str, resource_id: str) -> None:
        """Record the id that the create request answered.

        :param token: what :meth:`intend` returned, in any process
        """
        self._append({'event': 'created', 'token': token, 'id': resource_id})

    def abandon(self, token: str) -> None:
        """Record that the create request was refused: nothing was created.

        :param token: what :meth:`intend` returned, in any process
        """
        self._append({'event': 'abandon', 'token': token})

    def add(self, kind: str, resource_id: str, name: str | None = None,
            **details: Any) -> str:
        """Record a resource whose id is known already.

        :returns: the token of the entry
        """
        token = uuid.uuid4().hex
        self._append({'event': 'intend', 'token': token, 'kind': kind,
                      'name': name, 'id': resource_id, 'details': details})
        return token

    def gone(self, kind: str, resource_id: str) -> None:
        """Record that a resource was deleted and is gone.

        It stays owned, see the module. When the same id comes back, by an
        import for example, add it again.
        """
        self._append({'event': 'gone', 'kind': kind, 'id': resource_id})

    def note(self, kind: str, key: str, before: Any, after: Any) -> None:
        """Record a setting before it is changed, so that it can be restored.

        :param kind: what sort of setting, such as ``quota``
        :param key: which one, such as project and resource
        :param before: the value to restore, as JSON
        """
        self._append({'event': 'note', 'kind': kind, 'key': key,
                      'before': before, 'after': after})

    def restored(self, kind: str, key: str) -> None:
        """Record that a setting has its old value again."""
        self._append({'event': 'restored', 'kind': kind, 'key': key})

    def owns(self, kind: str, resource_id: str) -> bool:
        """Check whether the suite created a resource.

        :returns: whether any process created it; true also when it is gone
        :raises LedgerCorrupt: a line cannot be read
        """
        return (kind, resource_id) in _View(self._events()).owned

    def require(self, kind: str, ids: Iterable[str]) -> None:
        """Refuse resources that the suite did not create.

        :raises NotInLedger: naming each id that is not owned
        :raises LedgerCorrupt: a line cannot be read
        """
        owned = _View(self._events()).owned
        foreign = [one for one in ids if (kind, one) not in owned]
        if foreign:
            raise exceptions.NotInLedger(
                f'{kind} {", ".join(map(str, foreign))} not created by this '
                f'suite: not in the ledger {self.directory}')

    def entries(self, kind: str | None = None,
                include_gone: bool = False) -> list[Entry]:
        """List resources of all processes, in the order of their creation.

        :param include_gone: also deleted ones; abandoned ones never existed
            and are always left out
        :returns: one entry for each resource, also when its id was added
            more than once
        :raises LedgerCorrupt: a line cannot be read
        """
        states = {INTENDED, CREATED} | ({GONE} if include_gone else set())
        return [entry for entry in _View(self._events()).entries()
                if entry.state in states and kind in (None, entry.kind)]

    def changes(self, kind: str | None = None) -> list[Change]:
        """List changed settings that are not restored yet.

        :returns: one for each setting, with the value from before the first
            change and after the last one, in the order of the first changes
        :raises LedgerCorrupt: a line cannot be read
        """
        return [change for change in _View(self._events()).changes.values()
                if kind in (None, change.kind)]

    def torn(self) -> list[str]:
        """List last lines that a killed process did not finish.

        Such an event was not confirmed to its caller, so what it announces
        did not happen: requests are sent after the line is on the disk.

        :returns: ``file:line`` of each
        """
        torn: list[str] = []
        self._events(torn)
        return torn

    def close(self) -> None:
        """Close the file of this process; the next event opens another."""
        with self._lock:
            # After a fork the number belongs to the parent's file all the
            # same, and closing a copy of it does no harm there.
            if self._file is not None:
                os.close(self._file)
                self._file = None

    def _append(self, event: dict[str, Any]) -> None:
        with self._lock:
            # The files of all processes are merged by time; within one it
            # must never go back, whatever is done to the clock.
            now = max(time.time_ns(), self._last_time + 1)
            line = (json.dumps({'time': now, **event}) + '\n').encode('utf-8')
            if self._file is None or self._owner_pid != os.getpid():
                self.close()
                self._open()
            assert self._file is not None  # noqa: S101 - for mypy
            try:
                rest = memoryview(line)
                while rest:
                    rest = rest[os.write(self._file, rest):]
                os.fsync(self._file)
            except OSError:
                # The disk may be full: what was written is a torn last line,
                # and must stay the last one of its file.
                self.close()
                raise
            self._last_time = now

    def _open(self) -> None:
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        self._owner_pid = os.getpid()
        name = (f'{time.time_ns():020d}-{self._owner_pid}-'
                f'{uuid.uuid4().hex[:8]}{_SUFFIX}')
        self._file = os.open(
            os.path.join(self.directory, name),
            os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC,
            0o600)
        # Without these two a power cut can take the file away, name and all.
        for directory in (self.directory, os.path.dirname(
                os.path.abspath(self.directory))):
            number = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(number)
            finally:
                os.close(number)

    def _events(self, torn: list[str] | None = None) -> list[dict[str, Any]]:
        found: list[str] = []
        try:
            names = sorted(os.listdir(self.directory))
        except FileNotFoundError:
            return []
        events: list[dict[str, Any]] = []
        for name in names:
            if name.endswith(_SUFFIX):
                events.extend(_read(os.path.join(self.directory, name), found))
        for where in found:
            if where not in self._warned:
                self._warned.add(where)
                LOG.warning('The last line of the ledger is not complete and '
                            'is left out: %s', where)
        if torn is not None:
            torn.extend(found)
        # Stable: lines of one file that have the same time keep their order.
        return sorted(events, key=lambda event: event['time'])


class _View:
    """The events of all files."""

    def __init__(self, events: list[dict[str, Any]]) -> None:
        self.owned: set[tuple[str, str]] = set()
        self.changes: dict[tuple[str, str], Change] = {}
        self._by_token: dict[str, Entry] = {}
        self._early: dict[str, dict[str, Any]] = {}
        for event in events:
            getattr(self, '_on_' + event['event'])(event)

    def entries(self) -> list[Entry]:
        found: dict[Any, Entry] = {}
        for entry in self._by_token.values():
            key = ((entry.kind, entry.resource_id)
                   if entry.resource_id is not None else entry.token)
            # An id that was added again is one resource: the first entry
            # has its place, unless only a later one is still there.
            if key in found and found[key].state != GONE:
                continue
            found.pop(key, None)
            found[key] = entry
        return list(found.values())

    def _on_intend(self, event: dict[str, Any]) -> None:
        resource_id = event.get('id')
        if resource_id is not None:
            self.owned.add((event['kind'], resource_id))
        self._by_token[event['token']] = Entry(
            token=event['token'], kind=event['kind'], name=event.get('name'),
            resource_id=resource_id, details=event.get('details') or {},
            state=INTENDED if resource_id is None else CREATED,
            created_at=event['time'] / 1e9)
        if event['token'] in self._early:
            self._on_created(self._early.pop(event['token']))

    def _on_created(self, event: dict[str, Any]) -> None:
        entry = self._by_token.get(event['token'])
        if entry is None:
            # Another process found the resource, by a clock that was set
            # back in between: its answer is sorted before the question.
            self._early[event['token']] = event
            return
        self.owned.add((entry.kind, event['id']))
        self._by_token[entry.token] = dataclasses.replace(
            entry, resource_id=event['id'], state=CREATED)

    def _on_abandon(self, event: dict[str, Any]) -> None:
        self._set_state(ABANDONED, lambda entry: (
            entry.token == event['token'] and entry.state == INTENDED))

    def _on_gone(self, event: dict[str, Any]) -> None:
        self._set_state(GONE, lambda entry: (
            (entry.kind, entry.resource_id) == (event['kind'], event['id'])))

    def _on_note(self, event: dict[str, Any]) -> None:
        key = (event['kind'], event['key'])
        before = (self.changes[key].before if key in self.changes
                  else event['before'])
        self.changes[key] = Change(*key, before, event['after'])

    def _on_restored(self, event: dict[str, Any]) -> None:
        self.changes.pop((event['kind'], event['key']), None)

    def _set_state(self, state: str, wanted: Any) -> None:
        for token, entry in self._by_token.items():
            if wanted(entry):
                self._by_token[token] = dataclasses.replace(entry,
                                                            state=state)


def _read(path: str, torn: list[str]) -> list[dict[str, Any]]:
    with open(path, 'rb') as stream:
        lines = stream.read().split(b'\n')
    # After the last newline there is nothing, or the start of a line of a
    # process that was killed, or that is writing at this moment.
    if lines.pop():
        torn.append(f'{path}:{len(lines) + 1}')
    return [_parse(line, path, number)
            for number, line in enumerate(lines, 1)]


def _parse(line: bytes, path: str, number: int) -> dict[str, Any]:
    try:
        event = json.loads(line)
    except ValueError as err:
        raise exceptions.LedgerCorrupt(
            f'{path}:{number}: not a line of JSON: {err}') from None
    name = event.get('event') if isinstance(event, dict) else None
    if not isinstance(name, str) or name not in _FIELDS:
        raise exceptions.LedgerCorrupt(
            f'{path}:{number}: not an event of a ledger')
    missing = [field for field in ('time', *_FIELDS[name])
               if field not in event]
    if missing or not isinstance(event['time'], int):
        raise exceptions.LedgerCorrupt(
            f'{path}:{number}: the event {name} lacks '
            f'{", ".join(missing) or "a time"}')
    checked: dict[str, Any] = event
    return checked
