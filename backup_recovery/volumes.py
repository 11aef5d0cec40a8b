# SPDX-License-Identifier: Apache-2.0

"""Restore one backup to a new volume, whatever has happened to it before.

Cinder makes the volume and restores onto it in one request. The journal has a
mark for the volume before that request, and its id after it. A kill between
both is found by the mark, or, where the restore has replaced the volume's
metadata, by the id of the backup that Cinder adds to it.
"""

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
import time
from typing import Any
import uuid

from backup_recovery import clouds
from backup_recovery import exceptions
from backup_recovery import journals
from backup_recovery import plans
from backup_recovery import work

#: Events of the journal.
ASKED, VOLUME, COMPLETE, DROPPED = 'asked', 'volume', 'complete', 'dropped'
#: The result of a comparison with the backup.
PROVED, DIFFERS = 'proved', 'differs'
#: Metadata of a volume while it is made.
_MARK = 'cinder-backup-records'
#: Metadata that Cinder adds when the restore has ended.
_SOURCE = 'src_backup_id'
#: Where a volume has this name, Cinder restores the one of the original.
_NAME = 'restore_backup_{}'
_FIRST, _LONGEST = 0.1, 2.0
_WORKING = ('creating', 'downloading', 'restoring-backup', 'deleting')
#: Seconds that a volume may be in creating after its restore has ended, and
#: where none was seen.
_GRACE, _UNSEEN = 30.0, 600.0
#: A request that is not answered is repeated so often.
_ATTEMPTS = 3


@dataclasses.dataclass(frozen=True)
class Wishes:
    """Types and zones of the new volumes.

    :ivar types: a name or an id by that of the original's type, or by the id
        of the original
    :ivar zones: the same for availability zones
    :ivar type: where nothing is known of the original; None for the default
    :ivar zone: the same for the availability zone
    """

    types: Mapping[str, str] = dataclasses.field(default_factory=dict)
    zones: Mapping[str, str] = dataclasses.field(default_factory=dict)
    type: str | None = None
    zone: str | None = None

    def of(self, volume_id: str | None, original: Mapping[str, Any],
           recorded_type: str | None) -> dict[str, str]:
        """The part of a request that says which type and zone.

        :param original: the volume that was backed up, empty if it is gone
        :param recorded_type: of an encrypted volume, from its record
        """
        found = {}
        for name, known, names, default in (
                ('volume_type', original.get('volume_type') or recorded_type,
                 self.types, self.type),
                ('availability_zone', original.get('availability_zone'),
                 self.zones, self.zone)):
            value = names.get(volume_id or '') or names.get(
                known or '', known) or default
            if value:
                found[name] = value
        return found


@dataclasses.dataclass(frozen=True)
class Asked:
    """A request for a volume, before it is sent.

    :ivar mark: in the metadata of the volume
    :ivar known: ids of other volumes to which the backup was restored
    """

    mark: str
    known: tuple[str, ...]


class Made:
    """The volumes of a plan, as its journal has them; for several threads.

    :ivar asked: by the id of the backup
    :ivar volumes: their ids by that of the backup
    :ivar complete: ids of the backups whose restore has ended well
    """

    def __init__(self, journal: journals.Journal):
        self._journal = journal
        self.asked: dict[str, Asked] = {}
        self.volumes: dict[str, str] = {}
        self.complete: set[str] = set()
        for entry in journal.entries:
            self._add(**entry)

    def keep(self, event: str, backup: str, **facts: Any) -> None:
        """Write an entry, on disk when this returns."""
        self._journal.keep(event, backup=backup, **facts)
        self._add(event, backup, **facts)

    def _add(self, event: str, backup: str, volume: str = '', mark: str = '',
             known: Any = (), **others: Any) -> None:
        if event == ASKED:
            self.asked[backup] = Asked(mark, tuple(known))
        elif event == VOLUME:
            self.volumes[backup] = volume
        elif event == COMPLETE:
            self.complete.add(backup)
        elif event == DROPPED:
            self.asked.pop(backup, None)
            self.volumes.pop(backup, None)
            self.complete.discard(backup)


class Restorer:
    """Restores backups, for several threads.

    :param sessions: :class:`clouds.Session` by the project
    :param made: the volumes of earlier runs
    :param wish: returns the type and the zone for an item
    """

    def __init__(self, sessions: Mapping[str, Any], made: Made,
                 wish: Callable[[Any, plans.Item], dict[str, str]],
                 options: work.Options):
        self._sessions = sessions
        self._made = made
        self._wish = wish
        self._options = options

    def run(self, item: plans.Item) -> tuple[str, bool]:
        """Restore a backup, or wait for a restore that was begun before.

        :returns: the id of the volume, and that it was not complete before
        :raises Failed: it is not restored
        :raises Interrupted: the run ends
        :raises CloudError: the cloud does not answer
        """
        session = self._sessions[item.project]
        may_retry = self._options.retry
        is_new = item.id not in self._made.complete
        while True:
            deadline = time.monotonic() + self._options.patience
            volume_id = (self._made.volumes.get(item.id) or
                         self._request(session, item, deadline))
            try:
                self._finish(session, item, volume_id, deadline)
                return volume_id, is_new
            except work.Failed:
                if not may_retry:
                    raise
            may_retry = False
            is_new = True
            self._delete(session, volume_id)
            self._made.keep(DROPPED, item.id, volume=volume_id)

    # Make a volume

    def _request(self, session: Any, item: plans.Item, deadline: float
                 ) -> str:
        """Ask for a volume with the backup on it.

        :returns: its id, which is in the journal
        """
        asked = self._made.asked.get(item.id)
        found = asked and self._found(session, item, asked)
        if not found:
            self._available(session, item, deadline)
        if asked is None:
            asked = Asked(str(uuid.uuid4()), tuple(
                self._having(session, _SOURCE, item.id)))
            self._made.keep(ASKED, item.id, mark=asked.mark,
                            known=asked.known)
        elif not found:
            # The restore has ended while it was waited for.
            found = self._found(session, item, asked)
        found = found or self._made_now(session, item, asked)
        self._made.keep(VOLUME, item.id, volume=found, project=item.project)
        return found

    def _made_now(self, session: Any, item: plans.Item, asked: Asked) -> str:
        body = {'backup_id': item.id, 'size': item.size,
                'name': _NAME.format(item.id),
                'metadata': {_MARK: asked.mark},
                **self._wish(session, item)}
        for _ in range(_ATTEMPTS):
            try:
                return session.request('POST', '/volumes', once=True,
                                       json={'volume': body})['volume']['id']
            except (exceptions.Refused, exceptions.CloudError) as error:
                last = error
            # Only the answer may be lost, of this request or of the last one.
            found = self._found(session, item, asked)
            if found:
                return found
            if isinstance(last, exceptions.Refused) and (
                    last.status not in clouds.BUSY):
                # There is no volume to look for.
                self._made.keep(DROPPED, item.id, volume=None)
                if last.status == 403:
                    raise work.NotAllowed(str(last)) from last
                raise work.Failed(
                    f'the restore is refused: {last}') from last
        raise last

    def _found(self, session: Any, item: plans.Item, asked: Asked
               ) -> str | None:
        """Find the volume of a request whose answer is not known."""
        for name, value in ((_MARK, asked.mark), (_SOURCE, item.id)):
            for volume_id in self._having(session, name, value):
                if volume_id not in asked.known:
                    return volume_id
        return None

    @staticmethod
    def _having(session: Any, name: str, value: str) -> list[str]:
        """The volumes of the project that have this metadata."""
        found = session.request('GET', '/volumes', params={
            'metadata': str({name: value})})['volumes']
        return [volume['id'] for volume in found]

    def _available(self, session: Any, item: plans.Item, deadline: float
                   ) -> None:
        """Wait until nothing restores a backup."""
        interval = _FIRST
        while True:
            found = session.backup(item.id)
            if found is None:
                raise work.Failed('it is not in the cloud; apply the '
                                  'plan first')
            if found.facts.project_id != item.project:
                raise work.Failed(f'it belongs to project '
                                  f'{found.facts.project_id}')
            if found.status == 'available':
                return
            if found.status not in ('restoring', 'creating'):
                raise work.Failed(f'it is in status {found.status}')
            interval = self._pause(interval, deadline,
                                   f'it is {found.status}')

    def _pause(self, interval: float, deadline: float, state: str,
               remedy: str = '') -> float:
        """Wait a little.

        :returns: the next interval
        """
        if time.monotonic() > deadline:
            raise work.Late(f'{state} after {self._options.patience:.0f} '
                            f's; wait and run again{remedy}')
        if self._options.stop.wait(interval):
            raise work.Interrupted
        return min(1.5 * interval, _LONGEST)

    # Wait for its end

    def _finish(self, session: Any, item: plans.Item, volume_id: str,
                deadline: float) -> None:
        """Wait for the end of a restore.

        :raises Failed: it has not ended well
        """
        if item.id in self._made.complete:
            if session.volume(volume_id) is None:
                raise work.Failed(
                    f'volume {volume_id}, to which it was restored, has been '
                    f'deleted since; run again with --retry')
            return
        volume = self._settled(session, item, volume_id, deadline)
        if volume is None:
            raise work.Failed(
                f'volume {volume_id} was deleted before its restore had '
                f'ended; run again with --retry')
        if volume['status'].startswith('error'):
            raise work.Failed(
                f'volume {volume_id} is in status {volume["status"]}: '
                f'{self._reason(session, item, volume_id)}; remove the cause '
                f'and run again with --retry')
        if _MARK in volume['metadata']:
            session.request('DELETE',
                            f'/volumes/{volume_id}/metadata/{_MARK}')
        self._made.keep(COMPLETE, item.id, volume=volume_id,
                        project=item.project)

    def _settled(self, session: Any, item: plans.Item, volume_id: str,
                 deadline: float) -> dict[str, Any] | None:
        """Wait until nothing works on a volume."""
        interval = _FIRST
        until = time.monotonic() + _UNSEEN
        while True:
            volume = session.volume(volume_id)
            if volume is None or volume['status'] not in _WORKING:
                return volume
            # A cinder-backup that starts resets the backup of a restore that
            # it had, and leaves a new volume as it is.
            backup = session.backup(item.id)
            if backup is not None and backup.status == 'restoring':
                until = time.monotonic() + _GRACE
            elif time.monotonic() > until:
                raise work.Late(
                    f'volume {volume_id} is {volume["status"]}, and nothing '
                    f'restores to it: cinder-backup was restarted; run again '
                    f'with --retry')
            interval = self._pause(
                interval, deadline,
                f'volume {volume_id} is {volume["status"]}', ', or, where '
                'the service that had it has died, with --retry')

    @staticmethod
    def _reason(session: Any, item: plans.Item, volume_id: str) -> str:
        """The reason of a failure, as far as Cinder tells it to users."""
        found = session.backup(item.id)
        if found is not None and found.fail_reason:
            return found.fail_reason
        for resource in (volume_id, item.id):
            messages = session.request('GET', '/messages', params={
                'resource_uuid': resource})['messages']
            if messages:
                return messages[0]['user_message'].rstrip('.')
        return 'no reason is known'

    def _delete(self, session: Any, volume_id: str) -> None:
        """Delete a volume of an earlier run, which is not complete."""
        volume = session.volume(volume_id)
        if volume is None:
            return
        path = f'/volumes/{volume_id}'
        try:
            if volume['status'] in _WORKING:
                session.request('POST', f'{path}/action', json={
                    'os-reset_status': {'status': 'error'}})
            session.request('DELETE', path)
        except exceptions.Refused as error:
            raise work.Failed(
                f'volume {volume_id} cannot be deleted: {error}') from error
        deadline = time.monotonic() + self._options.patience
        interval = _FIRST
        while volume := session.volume(volume_id):
            if volume['status'] == 'error_deleting':
                raise work.Failed(
                    f'volume {volume_id} cannot be deleted; delete it by '
                    f'hand and run again')
            interval = self._pause(interval, deadline,
                                   f'volume {volume_id} is deleting')
