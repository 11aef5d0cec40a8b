# SPDX-License-Identifier: Apache-2.0

"""Requests to a cloud, by one interface for each kind of resource.

The waiters, the creation of resources and the clean-up all work through
this narrow interface, so that each is tested without a cloud.
"""

from collections.abc import Mapping
import json
from typing import Any

from tempest import clients
from tempest import config
from tempest.lib import exceptions as lib_exc
from tempest.lib.common import rest_client
from tempest.lib.services.volume.v3 import attachments_client

from cinder_backup_recovery_tests import record as backup_record

VOLUME = 'volume'
BACKUP = 'backup'
SNAPSHOT = 'snapshot'
IMAGE = 'image'
VOLUME_TYPE = 'volume-type'
ATTACHMENT = 'attachment'
# Made by Tempest for the tests; the ledger lists them, too.
USER = 'user'
PROJECT = 'project'


class AttachmentsClient(attachments_client.AttachmentsClient):
    """Attachments that a host makes for itself, without Nova."""

    def create_attachment(self, volume_id: str,
                          connector: Mapping[str, Any] | None = None
                          ) -> Any:
        """Attach a volume to the host that the connector describes.

        :param connector: the host's properties; None only reserves
        """
        body: dict[str, Any] = {'volume_uuid': volume_id}
        if connector is not None:
            body['connector'] = dict(connector)
        resp, answer = self.post('attachments',
                                 json.dumps({'attachment': body}))
        self.expected_success(200, resp.status)
        return rest_client.ResponseBody(resp, json.loads(answer))

    def complete_attachment(self, attachment_id: str) -> Any:
        """Report the host as connected; the volume becomes in-use."""
        resp, answer = self.post(f'attachments/{attachment_id}/action',
                                 json.dumps({'os-complete': {}}))
        self.expected_success(204, resp.status)
        return rest_client.ResponseBody(resp, answer)

    def list_attachments(self, volume_id: str) -> Any:
        """List the attachments of a volume, of every project we may see."""
        resp, answer = self.get(
            f'attachments?all_tenants=1&volume_id={volume_id}')
        self.expected_success(200, resp.status)
        return rest_client.ResponseBody(resp, json.loads(answer))


class CloudApi:
    """Requests to one cloud, with the rights of one manager of clients."""

    def __init__(self, manager: clients.Manager,
                 region: str | None = None) -> None:
        """Create the clients.

        :param region: of the Cinder; the configured one when None
        """
        where = {'region': region} if region else {}
        self.region = region
        volume = manager.volume_v3
        self.project_id: str = manager.credentials.project_id
        self.volumes = volume.VolumesClient(**where)
        self.backups = volume.BackupsClient(**where)
        self.snapshots = volume.SnapshotsClient(**where)
        self.volume_types = volume.TypesClient(**where)
        self.images: Any = getattr(manager, 'image_client_v2', None)
        self.user_messages = volume.MessagesClient(**where)
        self.attachments = AttachmentsClient(
            manager.auth_provider, **{**_volume_client_config(), **where})

    def show(self, kind: str, resource_id: str) -> dict[str, Any]:
        """Request a resource."""
        if kind == VOLUME:
            return self.volumes.show_volume(resource_id)['volume']
        if kind == BACKUP:
            return self.backups.show_backup(resource_id)['backup']
        if kind == SNAPSHOT:
            return self.snapshots.show_snapshot(resource_id)['snapshot']
        if kind == IMAGE:
            return dict(self.images.show_image(resource_id))
        if kind == ATTACHMENT:
            return self.attachments.show_attachment(
                resource_id)['attachment']
        if kind == VOLUME_TYPE:
            # It has no status: it is there or not.
            return {'status': 'available',
                    **self.volume_types.show_volume_type(
                        resource_id)['volume_type']}
        raise ValueError(f'unknown kind of resource: {kind}')

    def delete(self, kind: str, resource_id: str) -> None:
        """Request the deletion of a resource, without waiting for it."""
        if kind == VOLUME:
            self.volumes.delete_volume(resource_id)
        elif kind == BACKUP:
            self.backups.delete_backup(resource_id)
        elif kind == SNAPSHOT:
            self.snapshots.delete_snapshot(resource_id)
        elif kind == IMAGE:
            self.images.delete_image(resource_id)
        elif kind == ATTACHMENT:
            self.attachments.delete_attachment(resource_id)
        elif kind == VOLUME_TYPE:
            self.volume_types.delete_volume_type(resource_id)
        else:
            raise ValueError(f'unknown kind of resource: {kind}')

    def reset(self, kind: str, resource_id: str) -> None:
        """Set the status to error, from which everything can be deleted."""
        if kind == VOLUME:
            self.volumes.reset_volume_status(resource_id, status='error')
        elif kind == BACKUP:
            self.backups.reset_backup_status(resource_id, 'error')
        elif kind == SNAPSHOT:
            self.snapshots.reset_snapshot_status(resource_id, 'error')
        else:
            raise ValueError(f'the status of a {kind} cannot be reset')

    def find(self, kind: str, name: str) -> list[str]:
        """Find resources of every project by their exact name."""
        if kind == IMAGE:
            found = self.images.list_images({'name': name})['images']
        elif kind == VOLUME_TYPE:
            found = self.volume_types.list_volume_types()['volume_types']
        else:
            found = self._list(kind, name=name)
        return [one['id'] for one in found if one['name'] == name]

    def list_ids(self, kind: str) -> list[str]:
        """List the resources of every project.

        :returns: their ids, of the first thousand or so
        """
        return [one['id'] for one in self._list(kind)]

    def _list(self, kind: str, **params: Any) -> list[dict[str, Any]]:
        params['all_tenants'] = 1
        if kind == VOLUME:
            return self.volumes.list_volumes(params=params)['volumes']
        if kind == BACKUP:
            return self.backups.list_backups(**params)['backups']
        if kind == SNAPSHOT:
            return self.snapshots.list_snapshots(**params)['snapshots']
        raise ValueError(f'resources of kind {kind} cannot be listed')

    def attachments_of(self, volume_id: str) -> list[str]:
        """List the attachments of a volume."""
        return [one['id'] for one in
                self.attachments.list_attachments(volume_id)['attachments']]

    def messages(self, resource_id: str) -> list[str]:
        """Read Cinder's user messages about a resource.

        :returns: the texts, the newest first, or the error of reading them,
            because this is used in a failure's message
        """
        try:
            found = self.user_messages.list_messages()['messages']
        except (lib_exc.RestClientException, AssertionError) as exc:
            return [f'(the user messages cannot be read: {exc})']
        return [one['user_message'] for one in found
                if one.get('resource_uuid') == resource_id]

    def reimage(self, volume_id: str, image_id: str) -> None:
        """Request that an image is written into an existing volume."""
        resp, _ = self.volumes.post(
            f'volumes/{volume_id}/action',
            json.dumps({'os-reimage': {'image_id': image_id}}))
        self.volumes.expected_success(202, resp.status)

    def make_data_volume(self, volume_id: str) -> None:
        """Have a volume that was made of an image boot no more."""
        for name in self.show(VOLUME, volume_id).get(
                'volume_image_metadata') or ():
            self.volumes.delete_volume_image_metadata(volume_id, name)
        self.volumes.set_bootable_volume(volume_id, bootable=False)

    def export_record(self, backup_id: str) -> backup_record.BackupRecord:
        """Export the record of a backup."""
        return backup_record.BackupRecord.from_api(
            self.backups.export_backup(backup_id))

    def import_record(self, record: backup_record.BackupRecord
                      ) -> dict[str, Any]:
        """Request the import of a record, without waiting for it."""
        return self.backups.import_backup(**record.to_api())['backup']


def _volume_client_config() -> dict[str, Any]:
    """Return how its clients reach the volume service."""
    return config.service_client_config('volume')
