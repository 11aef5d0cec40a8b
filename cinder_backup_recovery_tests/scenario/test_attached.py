# SPDX-License-Identifier: Apache-2.0

"""The backup of a volume that a server uses, back in a server.

It was never run with a real Nova, which no cloud at hand has. All but the
server was, with a stand-in for it: see tests/attached_cases.py.
"""

from typing import Any

from tempest import config
from tempest.lib import decorators
from tempest.scenario import manager

from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.content import access
from cinder_backup_recovery_tests.scenario import base
from cinder_backup_recovery_tests.scenario import guests

CONF = config.CONF


class AttachedVolumeTest(base.RecoveryScenario, manager.ScenarioTest):
    """A file system that a server writes to is backed up and recovered.

    Never run yet with a real Nova, only with a stand-in for the server.
    """

    needed_features = ('row_loss_hard',)

    @classmethod
    def skip_checks(cls) -> None:
        """Skip where there are no servers, or none that can be reached."""
        super().skip_checks()
        for group, name in (('service_available', 'nova'),
                            ('validation', 'run_validation')):
            if not getattr(getattr(CONF, group), name):
                raise cls.skipException(
                    f'{cls.__name__}: [{group}] {name} is false')

    @classmethod
    def setup_credentials(cls) -> None:
        """Have a network for a server; all is done by one user."""
        cls.set_network_resources(network=True, subnet=True, router=True,
                                  dhcp=True)
        super().setup_credentials()
        # The names that Tempest's base class uses.
        cls.os_primary = cls.os_project_admin
        cls.os_admin = cls.os_project_admin

    @classmethod
    def get_tenant_network(cls, credentials_type: str = 'project_admin'
                           ) -> dict[str, Any]:
        """Give the network of the project that has the volumes."""
        return super().get_tenant_network(credentials_type)

    @decorators.attr(type=['slow', 'nova'])
    @decorators.idempotent_id('c8a8a2f5-61b7-4a6e-a4cf-8b0d9e5f7a13')
    def test_files_of_a_server_recovered(self) -> None:
        """The files of a server are on the restored volume, and whole.

        The volume is attached and mounted while it is backed up, and what is
        written later is not in the backup. If it fails, the backups of
        volumes in use, which are most of them, do not bring a user's files
        back after the loss of the database.
        """
        # First: it is deleted last, when no server has it any more.
        volume_id = self.resources.create_volume(
            size=self.size_bytes // access.GIB)['id']
        server, guest = self._boot()
        disk = self._attach(server, guest, volume_id)
        with self.story.step('the server makes a file system and writes'):
            guest.format(disk)
        with guest.mounted(disk):
            guest.write('kept')
            written = guest.checksums()
            backup_id = self.resources.create_backup(
                volume_id, force=True)['id']
            guest.write('later')
        view = self.cloud.show(clients.BACKUP, backup_id)
        record = self.resources.export_record(backup_id)
        self.check_driver(record)
        self._detach(server, volume_id)

        self.lose_rows([record])
        self.resources.import_record(record)
        self.assert_recovered(view, record)
        restored_id = self.resources.restore(backup_id)

        disk = self._attach(server, guest, restored_id)
        with self.story.step('its files are on the restored volume'):
            with guest.mounted(disk):
                found = guest.checksums()
            self.assertEqual(
                written, found,
                f'the files of volume {restored_id}, restored from backup '
                f'{backup_id}, are not those that the server had written')
        self._detach(server, restored_id)

    def _boot(self) -> tuple[dict[str, Any], guests.Guest]:
        """Start a server and wait until a user can log in."""
        with self.story.step('start a server'):
            keypair = self.create_keypair()
            group = self.create_security_group()
            server = self.create_server(
                key_name=keypair['name'],
                security_groups=[{'name': group['name']}])
            remote = self.get_remote_client(
                self.get_server_ip(server),
                private_key=keypair['private_key'], server=server)
        return server, guests.Guest(
            remote, CONF.compute.build_interval, CONF.compute.build_timeout)

    def _attach(self, server: dict[str, Any], guest: guests.Guest,
                volume_id: str) -> str:
        """Attach a volume, and find out what the server calls it."""
        with self.story.step(f'attach volume {volume_id} to server '
                             f'{server["id"]}'):
            before = guest.disks()
            self.nova_volume_attach(server, {'id': volume_id})
            return guest.new_disk(before)

    def _detach(self, server: dict[str, Any], volume_id: str) -> None:
        with self.story.step(f'detach volume {volume_id}'):
            self.nova_volume_detach(server, {'id': volume_id})
            self.resources.wait(clients.VOLUME, volume_id, 'available')
