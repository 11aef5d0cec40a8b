# SPDX-License-Identifier: Apache-2.0

"""Copy backups to the storage of another site, as its operator would.

Each part is in the ledger before it is written or destroyed, so that a
clean-up can remove the rest after a kill.
"""

from collections.abc import Collection
from collections.abc import Sequence
from typing import Any

from backup_stores import base
from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import stores
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.cloud import ledger as resource_ledger
from cinder_backup_recovery_tests.cloud import safe_delete

KIND = 'stored-backup'
"""The kind of the ledger's entries that :func:`remove` removes: the parts of
a backup on one of the storages, which no Cinder has to know."""


class Copier:
    """Copies backups of the suite, and no others, and removes the copies.

    :param here: the store of the backups
    :param there: the store of the copies
    :param store_name: by which a clean-up makes the same stores
    :param project_id: the project that owns the backups
    :param receiver_id: the project that is to own the copies
    """

    def __init__(self, here: base.Store, there: base.Store,
                 store_name: str, ledger: resource_ledger.Ledger,
                 project_id: str, receiver_id: str) -> None:
        self.here = here
        self.there = there
        self.ledger = ledger
        self._store_name = store_name
        self._projects = {False: project_id, True: receiver_id}

    def copy(self, backup: base.Backup,
             without: Collection[base.Part] = ()) -> None:
        """Copy a backup, or the parts that an earlier call has left out.

        Each part is read back and compared.

        :param without: parts that are not copied; if an earlier call has
            copied them, they are removed
        :raises NotInLedger: the suite has not made the backup
        :raises StoreRefused: there is something in its place that is not a
            copy of this suite's
        :raises StoreFailed: a part could not be copied
        """
        self.ledger.require(clients.BACKUP, [backup.id])
        parts = self.parts(backup)
        if not self._entries(backup.id, second=True):
            self._announce(backup, parts)
        for part in parts:
            if part in without:
                self.there.change(part.kind, part.where, None)
                continue
            if self._is_there(self.there, part):
                continue
            self.here.copy(part, self.there)
            if (self.there.state(part.kind, part.where) !=
                    self.here.state(part.kind, part.where)):
                raise exceptions.StoreFailed(
                    f'{part.title}: the copy at the second site differs from '
                    f'what was written')

    def parts(self, backup: base.Backup) -> list[base.Part]:
        """Name the parts of a backup at the first site.

        :raises StoreFailed: it is missing
        """
        found = list(self.here.parts(backup))
        if not found:
            raise exceptions.StoreFailed(
                f'there is nothing of backup {backup.id}: is it the storage '
                f'of the cloud\'s backups?')
        return found

    def left(self, backup: base.Backup) -> list[str]:
        """Name the parts that are left of a copy, but no containers."""
        return [part.title for part in self.there.parts(backup)
                if not part.is_container]

    def destroy(self, backups: Sequence[base.Backup]) -> None:
        """Remove all of some backups from the first site's storage, for good.

        :param backups: those whose rows are lost, so that Cinder has nothing
            more to do with them there; with all that build on them
        :raises NotInLedger: the suite has not made one of them
        """
        self.ledger.require(clients.BACKUP,
                            [backup.id for backup in backups])
        # All of them, before any is destroyed: a child whose parent is gone
        # cannot be imported any more, to be removed by Cinder.
        for backup in backups:
            self._record(backup.id, False, self.parts(backup))
        for backup in reversed(backups):
            for kind in (clients.BACKUP, safe_delete.RECORD):
                self.ledger.gone(kind, backup.id)
        for backup in backups:
            self._remove(backup.id, second=False)
            if [part for part in self.here.parts(backup)
                    if not part.is_container]:
                raise exceptions.StoreFailed(
                    f'backup {backup.id} is still on the first site\'s '
                    f'storage')

    def remove(self, backup: base.Backup) -> None:
        """Remove the rest of a copy, if there is any."""
        self._remove(backup.id, second=True)

    def _announce(self, backup: base.Backup, parts: list[base.Part]) -> None:
        new = []
        for part in parts:
            if not self._is_there(self.there, part):
                new.append(part)
            elif not part.is_container:
                raise exceptions.StoreRefused(
                    f'{part.title} is in the storage of the second region '
                    f'before it was copied there: do both regions share one '
                    f'storage? Then [cinder_backup_recovery_feature_enabled] '
                    f'second_store is false')
        self._record(backup.id, True, new)

    @staticmethod
    def _is_there(store: base.Store, part: base.Part) -> bool:
        return store.state(part.kind, part.where) is not None

    def _record(self, backup_id: str, second: bool,
                parts: list[base.Part]) -> None:
        self.ledger.add(
            KIND, f'{backup_id} at the {"second" if second else "first"} '
                  f'site',
            store=self._store_name, second=second,
            project_id=self._projects[second], backup_id=backup_id,
            parts=[[part.kind, list(part.where)] for part in parts])

    def _entries(self, backup_id: str, second: bool
                 ) -> list[resource_ledger.Entry]:
        return [entry for entry in self.ledger.entries(KIND)
                if entry.details['backup_id'] == backup_id
                and entry.details['second'] == second]

    def _remove(self, backup_id: str, second: bool) -> None:
        store = self.there if second else self.here
        for entry in self._entries(backup_id, second):
            remove(self.ledger, store, entry)


def remove(ledger: resource_ledger.Ledger, store: base.Store,
           entry: resource_ledger.Entry) -> None:
    """Remove the parts of a backup that still exist.

    :param entry: one of the ledger's, of :data:`KIND`
    :raises StoreRefused: an entry names what no backup has
    :raises StoreFailed: one of them could not be removed
    """
    for kind, where in reversed(entry.details['parts']):
        store.change(kind, where, None)
    assert entry.resource_id is not None  # noqa: S101 always added
    ledger.gone(entry.kind, entry.resource_id)


def make(conf: Any, ledger: resource_ledger.Ledger, sender: Any,
         receiver: Any) -> Copier:
    """Make what copies the backups of one project to another's.

    :param sender: Tempest's clients of a user of the project that owns the
        backups
    :param receiver: the same of the project that is to own the copies
    :raises InvalidConfiguration: a storage cannot be reached
    """
    name = conf.cinder_backup_recovery.backup_store
    here = stores.make(conf, name, lambda: sender)
    there = stores.make_second(conf, name, lambda: receiver)
    for store in (here, there):
        store.check()
    return Copier(here, there, name, ledger, sender.credentials.project_id,
                  receiver.credentials.project_id)
