# SPDX-License-Identifier: Apache-2.0

"""The two calls through the clients and the versions that users have."""

from collections.abc import Sequence
import json
import os
import shlex
import subprocess
import sys
from unittest import mock

from cinderclient import client as cinder_client
import ddt
from keystoneauth1 import session as keystone_session
from keystoneauth1.identity import v3
from tempest import config
from tempest.lib import decorators
from tempest.lib.services.volume import base_client

from cinder_backup_recovery_tests import record as backup_record
from cinder_backup_recovery_tests.api import lost_backup

CONF = config.CONF


@ddt.ddt
class ClientsTest(lost_backup.LostBackupTest):
    """An import and an export, by all that administrators do them with."""

    def assert_same_record(self, exported: backup_record.BackupRecord
                           ) -> None:
        """Compare a client's exported record with the API's."""
        expected = self.cloud.export_record(self.backup_id)
        self.assertEqual(expected.backup_service, exported.backup_service)
        # Cinder writes the time of an import or an export into the row.
        changed = {
            name for name in {**expected.fields, **exported.fields}
            if expected.fields.get(name) != exported.fields.get(name)}
        self.assertEqual(set(), changed - {'updated_at'})
        self.assert_recovered(self.view, self.record)

    def environment(self) -> dict[str, str]:
        """Make the environment that command line clients read."""
        account = self.os_project_admin.credentials
        variables = {
            'OS_AUTH_URL': CONF.identity.uri_v3,
            'OS_IDENTITY_API_VERSION': '3',
            'OS_USERNAME': account.username,
            'OS_PASSWORD': account.password,
            'OS_USER_DOMAIN_NAME': account.user_domain_name,
            'OS_PROJECT_ID': account.project_id,
            'OS_REGION_NAME': CONF.volume.region or CONF.identity.region,
            'OS_VOLUME_API_VERSION': '3',
            'OS_CACERT': CONF.identity.ca_certificates_file or '',
        }
        # Nothing of the caller's own account may have a part in it.
        kept = {name: value for name, value in os.environ.items()
                if not name.startswith('OS_')}
        return {**kept, **{name: value for name, value in variables.items()
                           if value}}

    def run_client(self, command: Sequence[str]) -> str:
        """Run a command line client."""
        done = subprocess.run(command, env=self.environment(),
                              capture_output=True, text=True,
                              timeout=CONF.cinder_backup_recovery.wait_timeout)
        self.assertEqual(
            0, done.returncode,
            f'{" ".join(command)[:200]} failed: {done.stderr[-500:]}')
        return done.stdout

    @decorators.idempotent_id('b1d2c24c-2d10-4d6d-9f7b-55d68c93acb9')
    def test_library(self) -> None:
        """Programs recover backups with python-cinderclient.

        If it fails, whatever an operator has written for the day of the
        disaster exports strings that import nothing.
        """
        account = self.os_project_admin.credentials
        session = keystone_session.Session(
            v3.Password(auth_url=CONF.identity.uri_v3,
                        username=account.username, password=account.password,
                        user_domain_name=account.user_domain_name,
                        project_id=account.project_id),
            verify=(CONF.identity.ca_certificates_file or
                    not CONF.identity.disable_ssl_certificate_validation))
        client = cinder_client.Client(
            '3', session=session,
            region_name=CONF.volume.region or CONF.identity.region)
        answer = client.backups.import_record(**self.record.to_api())
        self.assertEqual(self.backup_id, answer['id'])
        self.resources.wait_for_backup(self.backup_id)
        self.assert_same_record(backup_record.BackupRecord.from_api(
            client.backups.export_record(self.backup_id)))

    @decorators.idempotent_id('c2e3d35d-3e21-4e7e-80ac-66e79da4bdca')
    def test_cinder_command(self) -> None:
        """``cinder backup-export`` and ``backup-import`` are for people.

        If it fails, an administrator who kept what the command printed has
        kept nothing.
        """
        program = [sys.executable, '-m', 'cinderclient.shell']
        self.run_client([*program, 'backup-import',
                         self.record.backup_service, self.record.backup_url])
        self.resources.wait_for_backup(self.backup_id)
        table = self.run_client([*program, 'backup-export', self.backup_id])
        cells = [[cell.strip() for cell in line.strip('|').split('|')]
                 for line in table.splitlines() if line.startswith('|')]
        self.assert_same_record(backup_record.BackupRecord.from_api(
            {row[0]: row[1] for row in cells}))

    @decorators.idempotent_id('d3f4e46e-4f32-4f8f-91bd-77f8aeb5cedb')
    def test_openstack_command(self) -> None:
        """``openstack volume backup record`` is for people, too.

        If it fails, an administrator who kept what the command printed has
        kept nothing.
        """
        command = CONF.cinder_backup_recovery.openstack_command
        if not command:
            raise self.skipException(
                '[cinder_backup_recovery] openstack_command is not set')
        program = [*shlex.split(command), 'volume', 'backup', 'record']
        self.resources.import_record(self.record)
        exported = json.loads(self.run_client(
            [*program, 'export', self.backup_id, '-f', 'json']))
        self.assert_same_record(
            backup_record.BackupRecord.from_api(exported))
        self.lose(self.backup_id)
        with self.known_defect('openstack-import-sent-to-export'):
            self.run_client([*program, 'import', self.record.backup_service,
                             self.record.backup_url])
            self.resources.wait_for_backup(self.backup_id)
            self.assert_recovered(self.view, self.record)

    def newest(self) -> str:
        """Request the newest microversion of the cloud."""
        client = self.os_project_admin.volume_versions_client_latest
        return max((one['version'] for one in
                    client.list_versions()['versions'] if one['version']),
                   key=lambda text: [int(part) for part in text.split('.')])

    @decorators.idempotent_id('e4a5f57f-5043-4a90-82ce-8809bfc6dfec')
    @ddt.data('3.0', 'newest')
    def test_microversion(self, microversion: str) -> None:
        """The calls are the same in the oldest and the newest version.

        If it fails, a record that was exported years ago, or by an old
        program, is not imported by the cloud of today.
        """
        with mock.patch.object(
                base_client, 'VOLUME_MICROVERSION',
                self.newest() if microversion == 'newest' else microversion):
            answer = self.cloud.import_record(self.record)
            self.assertEqual(self.backup_id, answer['id'])
            self.resources.wait_for_backup(self.backup_id)
            exported = self.cloud.export_record(self.backup_id)
        self.assert_same_record(exported)
