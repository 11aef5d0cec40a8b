# SPDX-License-Identifier: Apache-2.0

"""A cloud in memory, with the interface of clients.CloudApi."""

import base64
import itertools
import json
from types import SimpleNamespace

import fixtures
from tempest.lib import exceptions as lib_exc
import testtools

from cinder_backup_recovery_tests import record as backup_record
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.cloud import ledger
from cinder_backup_recovery_tests.cloud import waiters

# A busy machine stops a test for longer than anything takes here.
PATIENCE = waiters.Patience(interval=0.001, timeout=600, backup=600,
                            restore=600)
#: For a wait that must end without its condition.
IMPATIENCE = waiters.Patience(interval=0.001, timeout=0.05)


class CloudCase(testtools.TestCase):
    """A test with a cloud, and a ledger for what is made in it."""

    def setUp(self):
        super().setUp()
        self.useFixture(fixtures.FakeLogger())
        self.cloud = FakeCloud()
        self.ledger = ledger.Ledger(
            self.useFixture(fixtures.TempDir()).path)
        self.addCleanup(self.ledger.close)


class FakeCloud:
    """Keeps resources; each status may be a list that is played down."""

    def __init__(self):
        self.resources = {}
        self.requests = []
        self.said = {}
        self.files = {}
        self.refuse = {}
        self.project_id = 'the-project'
        self.region = None
        self._ids = (f'{number:08d}-0000-4000-8000-000000000000'
                     for number in itertools.count(1))
        self.volumes = SimpleNamespace(
            create_volume=self._create_volume,
            upload_volume=self._upload_volume)
        self.backups = SimpleNamespace(
            create_backup=self._create_backup,
            restore_backup=self._restore_backup)
        self.snapshots = SimpleNamespace(create_snapshot=self._snapshot)
        self.images = SimpleNamespace(
            create_image=self._create_image,
            store_image_file=self._store,
            show_image_file=self._show_file)
        self.attachments = SimpleNamespace(
            create_attachment=self._attach,
            complete_attachment=lambda attachment_id:
                self.requests.append(('complete', attachment_id)))

    def add(self, kind, status='available', **fields):
        resource_id = fields.pop('id', None) or next(self._ids)
        self.resources[kind, resource_id] = {
            'id': resource_id, 'status': status, **fields}
        return resource_id

    def _ask(self, what, *details):
        self.requests.append((what, *details))
        error = self.refuse.get(what)
        if error:
            raise error

    # clients.CloudApi

    def show(self, kind, resource_id):
        try:
            found = self.resources[kind, resource_id]
        except KeyError:
            raise lib_exc.NotFound('no such thing') from None
        status = found['status']
        if isinstance(status, list):
            status = status[0] if len(status) == 1 else status.pop(0)
        if status is None:
            del self.resources[kind, resource_id]
            raise lib_exc.NotFound('no such thing')
        return {**found, 'status': status}

    def delete(self, kind, resource_id):
        self._ask('delete', kind, resource_id)
        found = self.show(kind, resource_id)
        self.resources[kind, resource_id]['status'] = found.get(
            'after_delete', ['deleting', None])

    def reset(self, kind, resource_id):
        self._ask('reset', kind, resource_id)
        self.resources[kind, resource_id]['status'] = 'error'

    def find(self, kind, name):
        return [one['id'] for (its, _), one in self.resources.items()
                if its == kind and one.get('name') == name]

    def attachments_of(self, volume_id):
        return [one['id'] for (its, _), one in self.resources.items()
                if its == clients.ATTACHMENT and
                one['volume_id'] == volume_id]

    def messages(self, resource_id):
        return self.said.get(resource_id, [])

    def export_record(self, backup_id):
        url = json.dumps({'id': backup_id, 'size': 1}).encode()
        return backup_record.BackupRecord(
            'some.driver', base64.b64encode(url).decode())

    def import_record(self, record):
        self._ask('import', record.fields['id'])
        self.add(clients.BACKUP, ['creating', 'available'],
                 id=record.fields['id'])
        return {'id': record.fields['id']}

    def reimage(self, volume_id, image_id):
        self._ask('reimage', volume_id, image_id)
        self.files[volume_id] = self.files[image_id]
        self.resources[clients.VOLUME, volume_id]['status'] = [
            'downloading', 'available']

    # Its service clients

    def _create_volume(self, **kwargs):
        self._ask('create_volume', kwargs)
        volume_id = self.add(clients.VOLUME, ['creating', 'available'],
                             **kwargs)
        if 'imageRef' in kwargs:
            self.files[volume_id] = self.files[kwargs['imageRef']]
        return {'volume': {'id': volume_id}}

    def _create_backup(self, **kwargs):
        self._ask('create_backup', kwargs)
        return {'backup': {'id': self.add(
            clients.BACKUP, ['creating', 'available'], **kwargs)}}

    def _restore_backup(self, backup_id, name=None, volume_id=None):
        self._ask('restore_backup', backup_id, volume_id)
        if volume_id is None:
            volume_id = self.add(clients.VOLUME, name=name)
        return {'restore': {'volume_id': volume_id}}

    def _snapshot(self, **kwargs):
        return {'snapshot': {'id': self.add(clients.SNAPSHOT, **kwargs)}}

    def _create_image(self, **kwargs):
        self._ask('create_image', kwargs)
        return {'id': self.add(clients.IMAGE, 'queued', **kwargs)}

    def _store(self, image_id, data):
        pieces = list(iter(lambda: data.read(65536), b''))
        self.files[image_id] = b''.join(pieces)
        self.resources[clients.IMAGE, image_id].update(
            status='active', size=len(self.files[image_id]))

    def _upload_volume(self, volume_id, **kwargs):
        self._ask('upload_volume', volume_id, kwargs)
        image_id = self.add(clients.IMAGE, ['saving', 'active'],
                            name=kwargs['image_name'])
        self.files[image_id] = self.files[volume_id]
        return {'os-volume_upload_image': {'image_id': image_id}}

    def _show_file(self, image_id, chunked=False):
        self._ask('download', image_id, chunked)
        data = self.files[image_id]

        def stream(size):
            for offset in range(0, len(data), size):
                yield data[offset:offset + size]

        return SimpleNamespace(
            stream=stream,
            close=lambda: self.requests.append(('close', image_id)),
            release_conn=lambda: self.requests.append(
                ('release_conn', image_id)))

    def _attach(self, volume_id, connector):
        self._ask('attach', volume_id, connector)
        return {'attachment': {'id': self.add(
            clients.ATTACHMENT, 'attaching', volume_id=volume_id,
            connection_info=self.resources[clients.VOLUME, volume_id].get(
                'connection_info', {}), after_delete=[None])}}
