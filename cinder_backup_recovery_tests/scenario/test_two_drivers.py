# SPDX-License-Identifier: Apache-2.0

"""Recovery where the backups of one Cinder are on two storages."""

from tempest import config
from tempest.lib import decorators

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.scenario import backups
from cinder_backup_recovery_tests.scenario import base

CONF = config.CONF


class TwoDriversTest(base.RecoveryScenario):
    """Each of two cinder-backups has a driver of its own."""

    needed_features = ('second_backup_service', 'row_loss_hard')

    @classmethod
    def resource_setup(cls) -> None:
        """Back a volume up by each of the two drivers."""
        super().resource_setup()
        layout = cls.layout(backups.OURS)
        volume_id = cls.class_content.create_volume(layout)
        cls.first = cls.link('backup of the first driver', layout,
                             cls.make_backup(volume_id))
        zone = CONF.cinder_backup_recovery.second_backup_zone
        backup_id = cls.make_backup(volume_id, availability_zone=zone)
        cls.second = base.Link(
            'backup of the other driver', layout,
            cls.cloud.show(clients.BACKUP, backup_id),
            cls.properties(volume_id),
            cls.class_resources.export_record(backup_id))
        if (cls.first.record.backup_service ==
                cls.second.record.backup_service):
            raise exceptions.InvalidConfiguration(
                f'[cinder_backup_recovery] second_backup_zone = {zone}: '
                f'{cls.second.record.backup_service} makes the backups there, '
                f'too')

    @decorators.idempotent_id('7e0b9c34-4bb4-4ad5-8f0c-21c6a90d7f55')
    def test_each_record_finds_its_host(self) -> None:
        """A record is imported by the host that runs its driver.

        If it fails, a backup is looked for on the wrong storage: a site that
        changes its storage, and keeps the old one for its old backups,
        cannot recover those.
        """
        links = [self.first, self.second]
        self.lose_and_import(links)
        for link in links:
            found = self.resources.export_record(link.backup_id)
            for name in ('host', 'availability_zone'):
                self.assertEqual(
                    link.record.fields[name], found.fields[name],
                    f'{name} of {link.what} {link.backup_id}')
            self.restore_and_compare(link)

    @decorators.attr(type=['negative'])
    @decorators.idempotent_id('1f5c3d0e-93b7-4b9b-b0bb-6a4d1de07f2b')
    def test_driver_that_nobody_runs(self) -> None:
        """The import of a record whose driver no host runs ends in an error.

        If it fails, it is handed from host to host without an end, or the last
        one takes a backup that it cannot restore.
        """
        service = 'cinder.backup.drivers.none.NoBackupDriver'
        self.lose_rows([self.first.record])
        self.cloud.import_record(
            self.first.record.edited(backup_service=service))
        view = self.resources.wait(
            clients.BACKUP, self.first.backup_id, ('error', 'available'))
        self.rows.lose(clients.BACKUP, [self.first.backup_id],
                       project_id=self.project_id)
        self.import_all([self.first])
        self.assertEqual('error', view['status'])
        self.assertIn(service, view['fail_reason'])
