# SPDX-License-Identifier: Apache-2.0

"""Remove resources of the suite, also those without a row in Cinder.

The clean-up after a test and the one after a killed run are this one code.
"""

from collections.abc import Iterable
import contextlib
from typing import Any
from typing import Protocol

from oslo_log import log as logging
from tempest.lib import exceptions as lib_exc

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import record as backup_record
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.cloud import ledger as resource_ledger
from cinder_backup_recovery_tests.cloud import waiters

LOG = logging.getLogger(__name__)

# Kind of a ledger's entry that holds the exported record of a backup.
RECORD = 'backup-record'

# Seconds that Cinder has to count out the children of a backup.
_CHILDREN = 30

# What must go before what it hangs on.
ORDER = (clients.ATTACHMENT, clients.BACKUP, clients.SNAPSHOT,
         clients.VOLUME, clients.IMAGE, clients.VOLUME_TYPE)

SETTLED = {
    clients.VOLUME: ('available', 'in-use', 'reserved', 'error',
                     'error_restoring', 'error_extending', 'error_deleting',
                     'error_backing-up', 'error_managing'),
    clients.BACKUP: ('available', 'error', 'error_deleting'),
    clients.SNAPSHOT: ('available', 'error', 'error_deleting'),
}


def _of_failed_import(view: dict[str, Any]) -> bool:
    """Check whether a backup is only the row that a failed import has left.

    An import writes the place of the data only when it has succeeded.
    """
    return 'container' in view and view['container'] is None


class Api(waiters.Api, Protocol):
    """Requests of a removal; :class:`clients.CloudApi` has them."""

    region: str | None

    def delete(self, kind: str, resource_id: str) -> None:
        """Request the deletion of a resource."""

    def reset(self, kind: str, resource_id: str) -> None:
        """Set the status of a resource to error."""

    def find(self, kind: str, name: str) -> list[str]:
        """Find resources by their exact name."""

    def attachments_of(self, volume_id: str) -> list[str]:
        """List the attachments of a volume."""

    def import_record(self, record: backup_record.BackupRecord
                      ) -> dict[str, Any]:
        """Request the import of a record."""


class SafeDelete:
    """Removes resources of a ledger and crosses them out there."""

    def __init__(self, api: Api, ledger: resource_ledger.Ledger,
                 patience: waiters.Patience) -> None:
        self.api = api
        self.ledger = ledger
        self.patience = patience

    def remove(self, kind: str, resource_id: str) -> str:
        """Remove a resource that the ledger owns, and wait until it is gone.

        The row of a backup may be lost, or be that of an import that failed:
        then its data still lies on the storage, and no request reaches it
        before the record is imported.

        :returns: a description of what was done
        :raises NotInLedger: if the suite did not create it
        :raises ResourceFailed: if the cloud could not delete it
        :raises WaitTimeout: if the cloud did not delete it in time
        """
        self.ledger.require(kind, [resource_id])
        done = 'removed'
        record = self._record_of(kind, resource_id)
        try:
            view = self._settle(kind, resource_id)
        except lib_exc.NotFound:
            if record is None:
                self._cross_out(kind, resource_id)
                return 'was gone already'
            self._import(resource_id, record)
            done = 'imported again, because its row was lost, and removed'
        else:
            if record is not None and _of_failed_import(view):
                self._delete(kind, resource_id)
                self._import(resource_id, record)
                done = ('imported again, because an import of it had failed, '
                        'and removed')
            elif view.get('has_dependent_backups'):
                self._wait_for_children(resource_id)
        self._delete(kind, resource_id)
        self._cross_out(kind, resource_id)
        return done

    def _delete(self, kind: str, resource_id: str) -> None:
        with contextlib.suppress(lib_exc.NotFound):
            self.api.delete(kind, resource_id)
        waiters.wait_for_deletion(
            self.api, kind, resource_id, self.patience,
            timeout=(self.patience.backup if kind == clients.BACKUP
                     else None))

    def _wait_for_children(self, backup_id: str) -> None:
        """Wait until a parent knows that its children are gone.

        Cinder removes the row of a child before it counts the child out, and
        refuses to delete the parent in between. That refusal also names
        children that are left.
        """
        def none_left() -> bool:
            try:
                view = self.api.show(clients.BACKUP, backup_id)
            except lib_exc.NotFound:
                return True
            return not view.get('has_dependent_backups')

        with contextlib.suppress(exceptions.WaitTimeout):
            waiters.wait_until(
                none_left, f'backup {backup_id} still has children',
                self.patience, min(_CHILDREN, self.patience.timeout))

    def remove_intended(self, entry: resource_ledger.Entry) -> str:
        """Remove what a request without a received answer has created.

        :param entry: an intent of the ledger, without an id
        :returns: what was done, for a person
        """
        found: list[str] = []
        if entry.name and entry.kind in (
                clients.VOLUME, clients.BACKUP, clients.SNAPSHOT,
                clients.IMAGE, clients.VOLUME_TYPE):
            found = self.api.find(entry.kind, entry.name)
        if not found:
            # An attachment has no name; it goes with its volume.
            self.ledger.abandon(entry.token)
            return 'was never made'
        done = 'was gone already'
        for number, resource_id in enumerate(found):
            if number == 0:
                self.ledger.created(entry.token, resource_id)
            else:
                self.ledger.add(entry.kind, resource_id, entry.name)
            done = self.remove(entry.kind, resource_id)
        return done

    def project_of(self, backup_id: str) -> str | None:
        """Find the project to which a backup belongs or belonged.

        :returns: the project, None where it is unknown
        """
        try:
            view = self.api.show(clients.BACKUP, backup_id)
        except lib_exc.NotFound:
            record = self._record_of(clients.BACKUP, backup_id)
            return record.fields.get('project_id') if record else None
        return view.get('os-backup-project-attr:project_id')

    def remember_record(self, backup_id: str,
                        record: backup_record.BackupRecord) -> None:
        """Keep the record of a backup until the backup is gone."""
        self.ledger.add(RECORD, backup_id, **record.to_api())

    def _record_of(self, kind: str, resource_id: str
                   ) -> backup_record.BackupRecord | None:
        if kind != clients.BACKUP:
            return None
        found = [entry for entry in self.ledger.entries(RECORD)
                 if entry.resource_id == resource_id]
        if not found:
            return None
        return backup_record.BackupRecord(
            backup_service=found[-1].details['backup_service'],
            backup_url=found[-1].details['backup_url'])

    def _import(self, backup_id: str,
                record: backup_record.BackupRecord) -> None:
        self.api.import_record(record)
        try:
            waiters.wait_for_status(
                self.api, clients.BACKUP, backup_id, ('available', 'error'),
                self.patience, timeout=self.patience.backup)
        except exceptions.ResourceFailed as exc:
            raise exceptions.ResourceFailed(
                f'the stored data of backup {backup_id} could not be freed: '
                f'{exc}') from None

    def _settle(self, kind: str, resource_id: str) -> dict[str, Any]:
        """Bring a resource into a status from which it can be deleted."""
        before = self.api.show(kind, resource_id)
        if kind not in SETTLED:
            return before
        if kind == clients.VOLUME:
            for attachment_id in self.api.attachments_of(resource_id):
                self._detach(attachment_id)
        wanted: Iterable[str] = SETTLED[kind]
        if kind == clients.VOLUME:
            wanted = [status for status in wanted
                      if status not in ('in-use', 'reserved')]
        try:
            now = waiters.wait_for_status(
                self.api, kind, resource_id, [*wanted, 'deleting'],
                self.patience)
        except exceptions.ResourceFailed:
            # Gone in the meantime, or in an error status we do not know.
            self.api.show(kind, resource_id)
            return before
        except exceptions.WaitTimeout as exc:
            LOG.warning('%s; its status is set to error', exc)
            self.api.reset(kind, resource_id)
            return before
        if now['status'] == 'error_deleting' and kind == clients.BACKUP:
            self.api.reset(kind, resource_id)
        if now['status'] == 'deleting':
            try:
                waiters.wait_for_deletion(self.api, kind, resource_id,
                                          self.patience)
            except exceptions.BackupRecoveryError as exc:
                LOG.warning('%s; it is deleted once more', exc)
                self.api.reset(kind, resource_id)
            self.api.show(kind, resource_id)
        return before

    def _detach(self, attachment_id: str) -> None:
        with contextlib.suppress(lib_exc.NotFound):
            self.api.delete(clients.ATTACHMENT, attachment_id)
        waiters.wait_for_deletion(self.api, clients.ATTACHMENT,
                                  attachment_id, self.patience)
        if self.ledger.owns(clients.ATTACHMENT, attachment_id):
            self.ledger.gone(clients.ATTACHMENT, attachment_id)

    def _cross_out(self, kind: str, resource_id: str) -> None:
        self.ledger.gone(kind, resource_id)
        if kind == clients.BACKUP and self.ledger.owns(RECORD, resource_id):
            self.ledger.gone(RECORD, resource_id)
