# SPDX-License-Identifier: Apache-2.0

"""Which backups are exported, by whom, and how they are described."""

from concurrent import futures
import time
import uuid

from tempest import config
from tempest.lib import decorators
from tempest.lib import exceptions as lib_exc

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import features
from cinder_backup_recovery_tests.api import lost_backup
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.cloud import safe_delete
from cinder_backup_recovery_tests.cloud import waiters
from cinder_backup_recovery_tests.rows import base as rows_base

CONF = config.CONF

# Names and descriptions: of many scripts, decomposed, empty, and as long as
# can be. Not beyond the basic plane: Cinder takes no such description, and not
# every database such a name.
NAMES = (
    ('Sauvegarde — 備份 — резервная копия',
     'δεν χάθηκε τίποτα, سطر "quoted" \\ \'\' & <tag>'),
    # Letters and their accents, of which no composed letter may be made.
    ('Ku\u0308che', 'e\u0301 \u212b'),
    ('', ''),
    ('n' * 255, 'ä' * 255),
)

# How often a restore is started that an export is to meet.
_TRIES = 5
# Seconds between two exports of a backup that is being made, at most.
_PAUSE = 0.1


class ExportTest(lost_backup.LostBackupTest):
    """Exports by all kinds of users, of all kinds of backups."""

    credentials = ['project_admin', 'project_member', 'project_reader',
                   'project_alt_admin', 'project_alt_member']

    @classmethod
    def setup_clients(cls) -> None:
        """Wrap the clients of the others, too."""
        super().setup_clients()
        cls.others = {
            name: clients.CloudApi(getattr(cls, f'os_{name}'))
            for name in cls.credentials if name != 'project_admin'}

    def have_it(self) -> None:
        """Bring the backup back, for the tests that want it there."""
        self.resources.import_record(self.record)

    @decorators.idempotent_id('f5b6a680-6154-4ba1-83df-991acad7e0fd')
    def test_names(self) -> None:
        """A name and a description survive, whatever they are made of.

        If it fails, users find their backups under names that are not
        theirs, or an old name of a backup that was renamed.
        """
        self.have_it()
        for name, description in NAMES:
            self.cloud.backups.update_backup(
                self.backup_id, name=name, description=description)
            before = self.cloud.show(clients.BACKUP, self.backup_id)
            self.assertEqual((name, description),
                             (before['name'], before['description']))
            record = self.resources.export_record(self.backup_id)
            self.assert_described(record, display_name=name,
                                  display_description=description)
            self.lose(self.backup_id)
            self.resources.import_record(record)
            self.assert_recovered(before, record)

    @decorators.idempotent_id('a6c7b791-7265-4cb2-94e0-aa2bdbe8f10e')
    @features.needs('incremental')
    def test_incremental_while_creating_and_deleting(self) -> None:
        """A record names the backup that an incremental one builds on.

        If it fails, a chain cannot be assembled again; or a record was
        exported of a backup that cannot be restored yet, or no longer.
        """
        self.have_it()
        name = self.resources.name('backup')
        with futures.ThreadPoolExecutor(1) as pool:
            made = pool.submit(self.resources.create_backup, self.volume_id,
                               name=name, incremental=True)
            self._export_while_creating(name, made)
            child = made.result()
        record = self.resources.export_record(child['id'])
        self.assert_described(record, parent_id=self.backup_id)
        self._export_while_deleting(child['id'])

    def _export_while_deleting(self, backup_id: str) -> None:
        started = time.monotonic()
        self.cloud.delete(clients.BACKUP, backup_id)
        while time.monotonic() - started < self.patience.backup:
            # From the answer to the deletion on there is nothing to export.
            refused = self.assertRaises(
                (lib_exc.BadRequest, lib_exc.NotFound),
                self.cloud.export_record, backup_id)
            if isinstance(refused, lib_exc.NotFound):
                break
            time.sleep(self.patience.interval)
        waiters.wait_for_deletion(self.cloud, clients.BACKUP, backup_id,
                                  self.patience)
        for kind in (clients.BACKUP, safe_delete.RECORD):
            self.ledger.gone(kind, backup_id)

    def _export_while_creating(self, name: str, made: futures.Future) -> None:
        refused = 0
        while not made.done():
            for backup_id in self.cloud.find(clients.BACKUP, name):
                try:
                    self.cloud.export_record(backup_id)
                except lib_exc.BadRequest:
                    # Whatever it was by then: it was not exported too early.
                    refused += 1
                    continue
                status = self.cloud.show(clients.BACKUP, backup_id)['status']
                self.assertEqual('available', status)
            time.sleep(min(self.patience.interval, _PAUSE))
        if not refused and not made.exception():
            raise exceptions.MomentMissed(
                'an incremental backup was made before an export came: set '
                '[cinder_backup_recovery] volume_size to more')

    @decorators.idempotent_id('b7d8c8a2-8376-4dc3-a5f1-bb3cecf9021f')
    def test_of_snapshot(self) -> None:
        """A record names the snapshot that a backup was made of.

        If it fails, an import verify does not know the source, and the backup
        is refused or taken for one of the volume.
        """
        snapshot_id = self.resources.create_snapshot(self.volume_id)['id']
        backup = self.resources.create_backup(
            self.volume_id, snapshot_id=snapshot_id)
        record = self.resources.export_record(backup['id'])
        self.assert_described(record, snapshot_id=snapshot_id)
        self.lose_rows([record])
        self.resources.import_record(record)
        self.assert_recovered(backup, record)

    @decorators.attr(type=['negative'])
    @decorators.idempotent_id('5d8ab9a7-8f0b-4f3c-a2be-3c8ab7a5e9d1')
    def test_while_restoring(self) -> None:
        """A backup that is being restored is not exported, nor harmed.

        If it fails, an export at the wrong moment ends the restore that a
        user waits for, or gives a record of a state that does not last.
        """
        self.have_it()
        for _ in range(_TRIES):
            if self._export_while_restoring():
                break
        else:
            raise exceptions.MomentMissed(
                f'{_TRIES} restores were over before an export came: set '
                f'[cinder_backup_recovery] volume_size to more')
        self.assert_recovered(self.view, self.record)

    def _export_while_restoring(self) -> bool:
        """Restore the backup, and export it before the end.

        :returns: whether the export was refused, False where the restore
            may have ended before it
        """
        volume_id = self.resources.begin_restore(self.backup_id)
        # It is so from the answer on, until all bytes are written.
        refused = None
        try:
            self.cloud.export_record(self.backup_id)
        except lib_exc.BadRequest as exc:
            refused = exc
        else:
            self.assertEqual(
                'available',
                self.cloud.show(clients.BACKUP, self.backup_id)['status'],
                'a backup was exported that is being restored')
        self.resources.wait(
            clients.VOLUME, volume_id, 'available',
            timeout=self.patience.restore)
        self.resources.wait(
            clients.BACKUP, self.backup_id, 'available',
            timeout=self.patience.restore)
        self.assert_content(volume_id, self.content_before,
                            'what was restored during an export')
        self.resources.remove(clients.VOLUME, volume_id)
        if refused:
            self.assertIn('restoring', str(refused))
        return refused is not None

    @decorators.attr(type=['negative'])
    @decorators.idempotent_id('c8e9d9b3-9487-4ed4-b6a2-cc4dfd0a1320')
    def test_in_error(self) -> None:
        """A backup in error is not exported.

        If it fails, an administrator keeps the record of a backup that Cinder
        itself marks as unreliable.
        """
        self.have_it()
        self.cloud.reset(clients.BACKUP, self.backup_id)
        # The manager does it, after the answer.
        self.resources.wait(clients.BACKUP, self.backup_id, ('error',))
        refused = self.assertRaises(
            lib_exc.BadRequest, self.cloud.export_record, self.backup_id)
        self.assertIn('available', str(refused))

    @decorators.attr(type=['negative'])
    @decorators.idempotent_id('d9faeac4-a598-4fe5-87b3-dd5e0e1b2431')
    def test_unknown(self) -> None:
        """A backup that does not exist is not found.

        If it fails, a mistyped id gives a record of something.
        """
        for backup_id in (str(uuid.uuid4()), 'no-such-backup'):
            self.assertRaises(lib_exc.NotFound, self.cloud.export_record,
                              backup_id)

    @decorators.attr(type=['negative'])
    @decorators.idempotent_id('ea0bfbd5-b6a9-40f6-98c4-ee6f1f2c3542')
    def test_refused_to_others(self) -> None:
        """Records are for administrators only.

        If it fails, a user reads where the data of others lies, or makes
        its own backups of it.
        """
        personas = ('project_member', 'project_reader', 'project_alt_member')
        self.have_it()
        for persona in personas:
            # Of another project one does not even learn that it is there.
            self.assertRaises(
                (lib_exc.Forbidden, lib_exc.NotFound),
                self.others[persona].export_record, self.backup_id)
        self.lose(self.backup_id)
        for persona in personas:
            self.assertRaises(lib_exc.Forbidden,
                              self.others[persona].import_record, self.record)
        self.assertNotEqual(
            rows_base.LIVE, self.rows.state(clients.BACKUP, self.backup_id))

    @decorators.idempotent_id('fb1c0ce6-c7ba-41a7-a9d5-ff702b3d4653')
    def test_into_another_project(self) -> None:
        """An imported backup belongs to the project that imported it.

        If it fails, an administrator who recovers a lost cloud for another
        project cannot hand the backups over, or takes them away from their
        owners.
        """
        self.have_it()
        other = self.others['project_alt_admin']
        # The storage keeps projects apart, and the driver reads it.
        apart = self.verifies and bool(
            features.missing(CONF, ['other_project']))
        if not apart:
            self.assert_described(other.export_record(self.backup_id))
        self.lose(self.backup_id)
        other.import_record(self.record)
        self.addCleanup(self.rows.lose_if_live, self.backup_id,
                        other.project_id)
        after = self.resources.wait(
            clients.BACKUP, self.backup_id, ('available', 'error'))
        owner = 'os-backup-project-attr:project_id'
        self.assertEqual(other.project_id, after[owner])
        self.assertEqual(self.os_project_alt_admin.credentials.user_id,
                         after['user_id'])
        if apart:
            # Its project cannot read the data, and gets the reason.
            self.assertEqual('error', after['status'])
            self.assertTrue(after['fail_reason'])
            return
        self.assertEqual('available', after['status'])
        self.assert_same_backup({**self.view, owner: other.project_id}, after)

    @decorators.attr(type=['negative'])
    @decorators.idempotent_id('0c2d1df7-d8cb-42b8-bae6-00813c4e5764')
    def test_unknown_service(self) -> None:
        """The import of a record whose driver no host runs ends in an error.

        If it fails, an administrator waits for a backup that no host imports,
        or gets one that no host can restore.
        """
        service = 'cinder.backup.drivers.none.NoBackupDriver'
        self.cloud.import_record(
            self.record.edited(backup_service=service))
        view = self.resources.wait(
            clients.BACKUP, self.backup_id, ('error', 'available'))
        self.assertEqual('error', view['status'])
        self.assertIn(service, view['fail_reason'])
