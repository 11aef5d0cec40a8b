# SPDX-License-Identifier: Apache-2.0

"""Create the resources of tests, recorded in the ledger.

Each request is written to the ledger before it is sent, and its answer when
it arrives; the clean-up is registered before any wait.
"""

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
import itertools
from typing import Any
from typing import BinaryIO
import uuid

from tempest.lib import exceptions as lib_exc

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import facts
from cinder_backup_recovery_tests import record as backup_record
from cinder_backup_recovery_tests import steps
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.cloud import ledger as resource_ledger
from cinder_backup_recovery_tests.cloud import safe_delete
from cinder_backup_recovery_tests.cloud import waiters

RUN_ID = uuid.uuid4().hex[:8]
_numbers = itertools.count(1)


def unique_name(prefix: str, what: str) -> str:
    """Make a name that no other run and no other request uses."""
    return f'{prefix}-{RUN_ID}-{what}-{next(_numbers)}'


class Resources:
    """Makes resources for one test, or for all tests of one class."""

    def __init__(self, api: clients.CloudApi, ledger: resource_ledger.Ledger,
                 patience: waiters.Patience,
                 add_cleanup: Callable[..., Any], name_prefix: str,
                 volume_defaults: Mapping[str, Any] | None = None,
                 story: steps.Story | None = None) -> None:
        """Store the clients and defaults.

        :param add_cleanup: addCleanup of a test or
            addClassResourceCleanup of a class
        :param volume_defaults: fields of each request for a volume
        """
        self.api = api
        self.ledger = ledger
        self.patience = patience
        self.safe_delete = safe_delete.SafeDelete(api, ledger, patience)
        self.name_prefix = name_prefix
        self.story = story or steps.Story()
        self._add_cleanup = add_cleanup
        self._volume_defaults = dict(volume_defaults or {})

    def name(self, what: str) -> str:
        """Make a unique name."""
        return unique_name(self.name_prefix, what)

    def wait(self, kind: str, resource_id: str,
             wanted: str | Collection[str], timeout: float | None = None,
             related: Iterable[tuple[str, str]] = ()) -> dict[str, Any]:
        """Wait for a status; see :func:`waiters.wait_for_status`."""
        return waiters.wait_for_status(self.api, kind, resource_id, wanted,
                                       self.patience, timeout, related)

    def _register(self, kind: str, name: str,
                  request: Callable[[], str], refusal_is_clean: bool = True,
                  **details: Any) -> str:
        """Send a request that creates something, recorded on both sides.

        :param name: its unique name, by which it is found when the answer
            is lost
        :param request: sends it and returns the id
        :param refusal_is_clean: whether a refusal (4xx) proves that nothing
            was made
        :param details: more that the clean-up needs
        """
        token = self.ledger.intend(kind, name, **details)
        try:
            resource_id = request()
        except lib_exc.ClientRestClientException:
            if refusal_is_clean:
                self.ledger.abandon(token)
            else:
                self._add_cleanup(self.remove_intended, token)
            raise
        except Exception:
            self._add_cleanup(self.remove_intended, token)
            raise
        self.ledger.created(token, resource_id)
        self._add_cleanup(self.remove, kind, resource_id)
        return resource_id

    def remove_intended(self, token: str) -> None:
        for entry in self.ledger.entries():
            if entry.token == token and entry.resource_id is None:
                self.safe_delete.remove_intended(entry)

    def remove(self, kind: str, resource_id: str) -> None:
        """Remove a resource and wait until it is gone; again does nothing."""
        if any(entry.resource_id == resource_id
               for entry in self.ledger.entries(kind)):
            self.safe_delete.remove(kind, resource_id)

    def create_volume(self, **kwargs: Any) -> dict[str, Any]:
        """Create a volume and wait until it is available."""
        name = kwargs.pop('name', None) or self.name('volume')
        body = {**self._volume_defaults, **kwargs, 'name': name}
        with self.story.step(f'create volume {name}', facts.CREATE):
            volume_id = self._register(
                clients.VOLUME, name,
                lambda: self.api.volumes.create_volume(
                    **body)['volume']['id'])
            return self.wait(clients.VOLUME, volume_id, 'available')

    def create_volume_type(self) -> str:
        """Create a volume type, as an administrator."""
        name = self.name('type')
        with self.story.step(f'create volume type {name}'):
            self._register(
                clients.VOLUME_TYPE, name,
                lambda: self.api.volume_types.create_volume_type(
                    name=name)['volume_type']['id'])
        return name

    def create_snapshot(self, volume_id: str) -> dict[str, Any]:
        """Create a snapshot and wait until it is available."""
        name = self.name('snapshot')
        snapshot_id = self._register(
            clients.SNAPSHOT, name,
            lambda: self.api.snapshots.create_snapshot(
                volume_id=volume_id, name=name)['snapshot']['id'])
        return self.wait(clients.SNAPSHOT, snapshot_id, 'available')

    def create_backup(self, volume_id: str, **kwargs: Any
                      ) -> dict[str, Any]:
        """Create a backup and wait until it and its volume are available."""
        name = kwargs.pop('name', None) or self.name('backup')
        kind = facts.INCREMENTAL if kwargs.get('incremental') else facts.FULL
        with self.story.step(f'make {kind} {name} of volume {volume_id}',
                             kind):
            backup_id = self._register(
                clients.BACKUP, name,
                lambda: self.api.backups.create_backup(
                    volume_id=volume_id, name=name, **kwargs)['backup']['id'],
                volume_id=volume_id)
            self.wait_for_backup(backup_id)
            # The volume becomes available after its backup does.
            self.wait(clients.VOLUME, volume_id, ('available', 'in-use'))
        return self.api.show(clients.BACKUP, backup_id)

    def create_image(self, data: BinaryIO, disk_format: str = 'raw'
                     ) -> dict[str, Any]:
        """Upload data as an image, in small pieces."""
        name = self.name('image')
        image_id = self._register(
            clients.IMAGE, name,
            lambda: self.api.images.create_image(
                name=name, disk_format=disk_format,
                container_format='bare', visibility='private')['id'])
        self.api.images.store_image_file(image_id, data)
        return self.wait(clients.IMAGE, image_id, 'active')

    def upload_volume(self, volume_id: str, disk_format: str = 'raw'
                      ) -> dict[str, Any]:
        """Upload a volume to an image and wait until it can be read."""
        name = self.name('upload')
        image_id = self._register(
            clients.IMAGE, name,
            lambda: self.api.volumes.upload_volume(
                volume_id, image_name=name, disk_format=disk_format,
                container_format='bare', force=False, visibility='private')[
                    'os-volume_upload_image']['image_id'])
        self.wait(
            clients.IMAGE, image_id, 'active',
            related=[(clients.VOLUME, volume_id)])
        self.wait(clients.VOLUME, volume_id, ('available', 'in-use'))
        return self.api.show(clients.IMAGE, image_id)

    def attach(self, volume_id: str, connector: Mapping[str, Any]
               ) -> dict[str, Any]:
        """Attach a volume to the host that the connector describes."""
        name = self.name('attachment')
        attachment_id = self._register(
            clients.ATTACHMENT, name,
            lambda: self.api.attachments.create_attachment(
                volume_id, connector)['attachment']['id'],
            volume_id=volume_id)
        return self.api.show(clients.ATTACHMENT, attachment_id)

    def detach(self, attachment: Mapping[str, Any]) -> None:
        """Delete an attachment and wait until its volume is available."""
        self.remove(clients.ATTACHMENT, attachment['id'])
        self.wait(clients.VOLUME, attachment['volume_id'], 'available')

    def restore(self, backup_id: str, volume_id: str | None = None) -> str:
        """Restore a backup and wait until the volume is available.

        :param volume_id: an existing volume; None makes a new one
        :returns: id of the restored volume
        """
        target = f'onto volume {volume_id}' if volume_id else 'to a new volume'
        with self.story.step(f'restore backup {backup_id} {target}',
                             facts.RESTORE):
            if volume_id is None:
                volume_id = self.begin_restore(backup_id)
            else:
                self.ledger.require(clients.VOLUME, [volume_id])
                self.api.backups.restore_backup(backup_id, volume_id=volume_id)
            self.wait_for_restore(backup_id, volume_id)
        return volume_id

    def wait_for_restore(self, backup_id: str, volume_id: str) -> None:
        """Wait until a restored volume and its backup are available.

        :raises ResourceFailed: if the restore failed
        """
        # A failed restore leaves the backup available, with the reason.
        self.wait(
            clients.VOLUME, volume_id, 'available',
            timeout=self.patience.restore,
            related=[(clients.BACKUP, backup_id)])
        self.wait(
            clients.BACKUP, backup_id, 'available',
            timeout=self.patience.restore)

    def begin_restore(self, backup_id: str) -> str:
        """Request a restore to a new volume, without waiting for it.

        :returns: id of the new volume
        """
        name = self.name('restored')
        return self._register(
            clients.VOLUME, name,
            lambda: self.api.backups.restore_backup(
                backup_id, name=name)['restore']['volume_id'],
            # Cinder makes the volume before it can refuse.
            refusal_is_clean=False)

    def export_record(self, backup_id: str) -> backup_record.BackupRecord:
        """Export the record of a backup, and keep it for the clean-up."""
        with self.story.step(f'export the record of backup {backup_id}',
                             facts.EXPORT):
            record = self.api.export_record(backup_id)
            self.safe_delete.remember_record(backup_id, record)
        return record

    def import_record(self, record: backup_record.BackupRecord
                      ) -> dict[str, Any]:
        """Import a record and wait until the backup is available.

        :param record: of a backup of this ledger
        :raises ResourceFailed: if the import brought no usable backup
        """
        backup_id = record.fields['id']
        self.ledger.require(clients.BACKUP, [backup_id])
        with self.story.step(f'import backup {backup_id} from its record',
                             facts.IMPORT):
            self.api.import_record(record)
            try:
                self.api.show(clients.BACKUP, backup_id)
            except lib_exc.NotFound:
                raise exceptions.ResourceFailed(
                    f'the import of the record of backup {backup_id} was '
                    f'accepted, but the backup does not exist') from None
            return self.wait_for_backup(backup_id)

    def adopt(self, record: backup_record.BackupRecord) -> None:
        """Take over a backup that another site has made, before its import.

        From then on it is this site's to remove, with its stored data.
        """
        backup_id = record.fields['id']
        self.ledger.add(clients.BACKUP, backup_id)
        self.safe_delete.remember_record(backup_id, record)
        self._add_cleanup(self.remove, clients.BACKUP, backup_id)

    def wait_for_backup(self, backup_id: str) -> dict[str, Any]:
        """Wait until a backup is available, after its creation or import."""
        return self.wait(
            clients.BACKUP, backup_id, 'available',
            timeout=self.patience.backup)
