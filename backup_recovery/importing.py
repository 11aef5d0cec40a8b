# SPDX-License-Identifier: Apache-2.0

"""Import one backup, whatever has happened to it before."""

from collections.abc import Callable
from collections.abc import Mapping
import threading
import time
from typing import Any

from backup_recovery import clouds
from backup_recovery import exceptions
from backup_recovery import keys as keys_
from backup_recovery import plans
from backup_recovery import records
from backup_recovery import work

#: Seconds between two looks at a backup, the first and the longest.
_FIRST, _LONGEST = 0.05, 2.0
_WORKING = ('creating', 'deleting')


class Importer:
    """Imports backups, for several threads.

    :param sessions: :class:`clouds.Session` by the project
    :param existing: the backups of the cloud
    :param read: reads the record of an item
    :param keys: makes secrets of the keys in records; None leaves them out
    """

    def __init__(self, sessions: Mapping[str, Any],
                 existing: Mapping[str, clouds.Backup],
                 read: Callable[[plans.Item], records.Record],
                 options: work.Options, keys: keys_.Keys | None = None):
        self._keys = keys
        self._sessions = sessions
        self._existing = existing
        self._read = read
        self._reading = threading.Lock()
        self._options = options

    def run(self, item: plans.Item) -> bool:
        """Import a backup, or wait for an import that was begun before.

        :returns: it was not complete before
        :raises work.Failed: it is not imported
        :raises work.Interrupted: the run ends
        :raises CloudError: the cloud does not answer
        """
        try:
            try:
                return self._run(item)
            finally:
                if self._keys:
                    self._keys.settle(self._sessions[item.project], item.id)
        except keys_.NotStored as error:
            raise work.Failed(str(error)) from error

    def _run(self, item: plans.Item) -> bool:
        session = self._sessions[item.project]
        found = self._existing.get(item.id)
        is_new, may_retry = False, self._options.retry
        deadline = time.monotonic() + self._options.patience
        while True:
            if found is None:
                is_new = True
                found = self._request(session, item)
            try:
                found = self._settled(session, item, found, deadline)
            except work.Late:
                if not may_retry or not found or not found.imported_in_part:
                    raise
                may_retry = False
                found = self._dropped(session, item)
                deadline = time.monotonic() + self._options.patience
                continue
            if found is None:
                # It was being deleted.
                continue
            if found.facts.project_id != item.project:
                raise work.Failed(f'it belongs to project '
                                  f'{found.facts.project_id}')
            if not found.imported_in_part:
                break
            reason = found.fail_reason or 'no reason is known'
            if not may_retry:
                raise work.Failed(
                    f'the import failed: {reason}; remove the cause and run '
                    f'again with --retry')
            may_retry = False
            session.request('DELETE', f'/backups/{item.id}')
            found = session.backup(item.id)
        if (found.facts.volume_id, found.facts.size) != (item.volume,
                                                         item.size):
            raise work.Failed('another backup of that id is in the cloud')
        return is_new

    def _request(self, session: Any, item: plans.Item
                 ) -> clouds.Backup | None:
        """Ask for an import.

        :returns: the backup
        """
        with self._reading:
            record = self._read(item)
        url = (self._keys.store(session, record) if self._keys else
               keys_.without_wrap(record))
        try:
            session.request('POST', '/backups/import_record', json={
                'backup-record': {'backup_service': item.service,
                                  'backup_url': url}})
        except exceptions.Refused as error:
            if error.status == 403:
                raise work.NotAllowed(str(error)) from error
            # Where an answer was lost, the next attempt is refused.
            found = session.backup(item.id)
            if found is None:
                raise work.Failed(f'the import is refused: {error}') from error
            return found
        # At once it would say what is known: that it is being created.
        self._options.stop.wait(_FIRST)
        return session.backup(item.id)

    def _settled(self, session: Any, item: plans.Item,
                 found: clouds.Backup | None, deadline: float
                 ) -> clouds.Backup | None:
        """Wait until nothing works on a backup."""
        interval = _FIRST
        while found is not None and found.status in _WORKING:
            if time.monotonic() > deadline:
                raise work.Late(self._late(found))
            if self._options.stop.wait(interval):
                raise work.Interrupted
            interval = min(1.5 * interval, _LONGEST)
            found = session.backup(item.id)
        return found

    def _late(self, found: clouds.Backup) -> str:
        # A row that was completed can be told so; another one can only go.
        remedy = ('run again with --retry' if found.imported_in_part else
                  f'openstack volume backup set --state available {found.id}')
        return (f'it is {found.status} after {self._options.patience:.0f} s; '
                f'wait and run again, or, where the cinder-backup that had it '
                f'has died: {remedy}')

    def _dropped(self, session: Any, item: plans.Item
                 ) -> clouds.Backup | None:
        """Delete the row of an import that has died.

        :returns: the backup, while it is being deleted
        """
        try:
            session.request('POST', f'/backups/{item.id}/action',
                            json={'os-force_delete': {}})
        except exceptions.Refused as error:
            # The driver for Ceph, for one. The reset gives the row a host,
            # which then finds it when it starts.
            raise work.Failed(
                f'its row cannot be deleted ({error}): openstack volume '
                f'backup set --state error {item.id}, restart cinder-backup, '
                f'and run again with --retry') from error
        return session.backup(item.id)
