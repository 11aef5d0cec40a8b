# SPDX-License-Identifier: Apache-2.0

"""A cloud for the program of recoveries: a backup host without an API.

The key manager is a real one, which the program finds in a catalogue.
"""

import contextlib
from unittest import mock

from cinder import exception
from keystoneauth1 import access
from keystoneauth1 import fixture as token_fixture
from keystoneauth1.identity import access as access_plugin
from openstack import config
from openstack.config import cloud_region

from backup_recovery import clouds
from backup_recovery import importing
from backup_recovery import journals
from backup_recovery import keys
from backup_recovery import plans
from backup_recovery import records
from backup_recovery import work
from tests import barbican


class Token(access_plugin.AccessInfoPlugin):
    """With a catalogue, and what Keystone's middleware makes of it."""

    def get_headers(self, session, **kwargs):
        return barbican.Headers(
            self.get_project_id(session)).get_headers(session)


class Project:
    """The requests of the program to a cloud, on a host without an API."""

    def __init__(self, cinder, manager):
        self._cinder = cinder
        self.imported = []
        # The program's own, which finds the key manager in a catalogue.
        token = token_fixture.V3Token()
        token.set_project_scope(id=cinder.project_id)
        token.add_service('key-manager').add_standard_endpoints(
            public=manager.url, region='RegionOne')
        found = config.OpenStackConfig(
            load_yaml_config=False, load_envvars=False).get_one(
                auth_type='password', auth={'auth_url': manager.url},
                region_name='RegionOne')
        with mock.patch.object(clouds.connection.Connection, 'block_storage',
                               None):
            self.session = clouds.Session(cloud_region.CloudRegion(
                found.name, 'RegionOne', found.config,
                auth_plugin=Token(access.create(body=token,
                                                auth_token='token'))))

    def request(self, method, path, service='', **arguments):
        if service == 'key-manager':
            return self.session.request(method, path, service, **arguments)
        record = arguments['json']['backup-record']
        self.imported.append(record)
        # The row has the error.
        with contextlib.suppress(exception.InvalidBackup):
            self._cinder.import_record(record)
        return {}

    def backup(self, backup_id):
        try:
            row = self._cinder.backup(backup_id)
        except exception.BackupNotFound:
            return None
        return clouds.Backup(
            row.id, row.status, row.fail_reason, records.Facts(
                row.project_id, '', '', row.volume_id, row.container,
                row.size, 0, '', False, ()), row.encryption_key_id)

    def apply(self, record, private, path, **options):
        """Import a record as the program does, with its key.

        :param private: the file of the private key
        :param path: of the journal, as a new process finds it
        """
        item = plans.Item('import', None, record.id, record.project_id, None,
                         '', record.fields['size'],
                         record.fields['volume_id'], '',
                         record.backup_service, record.digest)
        existing = self.backup(record.id)
        with journals.Journal(path) as written:
            importing.Importer(
                {record.project_id: self},
                {record.id: existing} if existing else {},
                lambda item: record, work.Options(60, **options),
                keys.Keys(keys.read(private), written)).run(item)
