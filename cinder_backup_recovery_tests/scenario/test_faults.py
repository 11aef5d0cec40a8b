# SPDX-License-Identifier: Apache-2.0

"""Recoveries in which cinder-backup, or the storage, is away for a while."""

import functools
import threading

from tempest import config
from tempest.lib import decorators
from tempest.lib import exceptions as lib_exc

from cinder_backup_recovery_tests import config as recovery_config
from cinder_backup_recovery_tests import empty_record
from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import features
from cinder_backup_recovery_tests import record as backup_record
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.cloud import services
from cinder_backup_recovery_tests.cloud import waiters
from cinder_backup_recovery_tests.scenario import backups
from cinder_backup_recovery_tests.scenario import base
from cinder_backup_recovery_tests.scenario import killing

CONF = config.CONF

_STAYS = 'import-killed-stays-creating'
# Seconds that are enough to see that it does: the service has checked for
# interrupted work before it was up again. Where nothing proves that it had
# taken the request, that one may still wait in the bus.
_LONG = 5
_LONG_UNPROVEN = 30
# Seconds between two polls.
_PAUSE = 0.02
# Where requests cannot be held: how many exports are under way at a time, and
# how many other imports. The quota allows ten backups.
_EXPORTS = 4
_OTHERS = 7


# Alone: what other tests are doing would be killed, too.
@decorators.serial
class KilledServiceTest(killing.KillingScenario):
    """The service dies in the middle of its work."""

    @decorators.attr(type=['serial'])
    @decorators.idempotent_id('b16ddb21-3d04-49d5-8e72-0f64e6154f7a')
    def test_killed_during_restore(self) -> None:
        """An interrupted restore does not count as a finished one.

        If it fails, a user works on with a volume of which only a part was
        restored, or the backup cannot be restored again.
        """
        self.until_interrupted('restore', self._restore_interrupted)
        self.restore_and_compare(self.full)

    def _restore_interrupted(self) -> bool:
        """Kill the service during a restore, and check the result.

        :returns: whether the restore was under way
        """
        backup_id = self.full.backup_id
        volume_id = self.resources.begin_restore(backup_id)
        begun = self.cloud.show(clients.BACKUP, backup_id)['status']
        self.kill()
        self.start()
        left = self.settled(clients.VOLUME, volume_id, (
            'available', 'error', 'error_restoring'))['status']
        if left == 'available':
            # It was faster than the kill, or is only called finished.
            self.assert_content(volume_id, self.full.layout,
                                'what is called restored after the kill')
        self.settled(clients.BACKUP, backup_id, ('available',))
        self.resources.remove(clients.VOLUME, volume_id)
        return begun == 'restoring' and left != 'available'

    @decorators.attr(type=['serial'])
    @decorators.idempotent_id('29f19db9-f9fc-4fe5-b53b-f83754b4dad7')
    @features.needs('row_loss_hard')
    def test_killed_during_import(self) -> None:
        """An interrupted import can be made again.

        If it fails, the recovery of a cloud that crashes once more stops, or
        shows backups that were not verified.
        """
        self.lose_rows([self.full.record])
        problem = None
        try:
            self.until_interrupted('import', self._import_interrupted)
        except exceptions.WaitTimeout as exc:
            # It must not keep an administrator from the second try.
            problem = exc
        if problem or not self._is_available():
            self.rows.lose_if_live(self.full.backup_id, self.project_id)
            self.import_all([self.full])
        self.restore_and_compare(self.full)
        # By chance the kill may come when the row names its host already.
        with self.known_defect(_STAYS, shows=self.hold is not None):
            if problem:
                raise problem

    def _import_interrupted(self) -> bool:
        """Kill the service during an import, and wait for the result.

        :returns: whether an import was under way; nothing is left else
        :raises WaitTimeout: one was, and the backup stays in creating
        """
        records = [self.full.record]
        if not self.hold:
            # One of several is more likely to be met.
            records += [empty_record.make(self, self.full.record)
                        for _ in range(_OTHERS)]
        self.crash_during(
            services.IMPORT,
            lambda: self.cloud.import_record(self.full.record),
            [functools.partial(self._import_again_and_again, record)
             for record in records])
        timeout = self.patience.backup
        if _STAYS in recovery_config.declared_defects(CONF):
            timeout = _LONG if self.hold else _LONG_UNPROVEN
        # Nothing is left where the kill came before the row.
        views = [self.settled(
            clients.BACKUP, record.fields['id'],
            ('available', 'error', waiters.GONE), timeout)
            for record in records]
        for view in views:
            if view['status'] == 'error':
                self.assertTrue(view['fail_reason'],
                                'an interrupted import gives no reason')
        if self.hold or views[0]['status'] == 'error':
            return True
        for record in records:
            self.rows.lose_if_live(record.fields['id'], self.project_id)
        return False

    def _import_again_and_again(self, record: backup_record.BackupRecord,
                                killed: threading.Event) -> None:
        """Import, so that the kill may meet one, however fast they are."""
        backup_id = record.fields['id']
        while True:
            self.cloud.import_record(record)
            while self.cloud.show(clients.BACKUP, backup_id)[
                    'status'] == 'creating':
                if killed.wait(_PAUSE):
                    return
            if killed.is_set():
                return
            self.rows.lose_if_live(backup_id, self.project_id)

    def _is_available(self) -> bool:
        return self.settled(clients.BACKUP, self.full.backup_id, (
            'available', 'error', waiters.GONE))['status'] == 'available'

    @decorators.attr(type=['serial'])
    @decorators.idempotent_id('9d516b68-b358-428f-9345-a498e79b5f1e')
    def test_killed_during_export(self) -> None:
        """An export that was interrupted changes nothing.

        If it fails, the nightly export of all records harms a backup when
        the service dies in it.
        """
        self.until_interrupted('export', lambda: self.crash_during(
            services.EXPORT,
            lambda: self.cloud.export_record(self.full.backup_id),
            [self._export_again_and_again] * _EXPORTS))
        self.assert_recovered(self.full.view, self.full.record)
        self.restore_and_compare(self.full)

    def _export_again_and_again(self, killed: threading.Event) -> None:
        """Export, so that the kill meets one, however fast they are."""
        while not killed.is_set():
            self.cloud.export_record(self.full.backup_id)


class _StorageScenario(base.RecoveryScenario):
    """The storage of the backups is stopped, and started again."""

    makes = backups.FULL
    state = services.AWAY

    @classmethod
    def setup_clients(cls) -> None:
        """Check the programs before anything is created."""
        super().setup_clients()
        cls.storage = services.BackupStorage.from_config(
            CONF, cls.ledger, cls.state)
        cls.storage.check()

    def stop_storage(self, step: str) -> None:
        """Stop the storage, and start it in the end at the latest."""
        self.addCleanup(self.storage.start)
        with self.story.step(step):
            self.storage.stop()

    def end_of_import(self, timeout: float) -> str:
        """Wait for the end of the import; returns the status."""
        view = self.resources.wait(
            clients.BACKUP, self.full.backup_id, ('available', 'error'),
            timeout=timeout)
        if view['status'] == 'error':
            self.assertTrue(view['fail_reason'],
                            'a failed import gives no reason')
            self.story.note(f'it ends in an error: {view["fail_reason"]}')
        return view['status']


# Alone: what other tests are doing would fail, too.
@decorators.serial
class StorageAwayTest(_StorageScenario):
    """The storage of the backups does not answer, and then does again."""

    needed_features = ('store_stop', 'row_loss_hard')

    @decorators.attr(type=['serial'])
    @decorators.idempotent_id('e2d7c1ab-0f43-4a25-93c4-5b8f0d6c7e92')
    def test_away_during_import(self) -> None:
        """Without its storage a backup is neither verified nor restored.

        And an import can be tried again. If it fails, an administrator who
        recovers a cloud before its storage works again gets a false success,
        waits indefinitely, or cannot try again.
        """
        self.lose_rows([self.full.record])
        self.stop_storage('the storage of the backups is stopped')
        status = self._imported()
        if status == 'available':
            # By a driver that reads nothing before a restore.
            with self.story.step('a restore ends in an error'):
                self.assertRaises(exceptions.ResourceFailed,
                                  self.resources.restore,
                                  self.full.backup_id)
                self.resources.wait(
                    clients.BACKUP, self.full.backup_id, 'available',
                    timeout=self.patience.restore)
        with self.story.step('the storage is started again'):
            self.storage.start()
        if status == 'error':
            self.rows.lose(clients.BACKUP, [self.full.backup_id],
                           project_id=self.project_id)
        if status != 'available':
            self.import_all([self.full])
        self.restore_and_compare(self.full)

    def _imported(self) -> str:
        """Import the record, and return the result.

        :returns: the status, 'refused' where the request was
        """
        verifies = CONF.cinder_backup_recovery_feature_enabled.import_verify
        with self.story.step('import it'):
            try:
                self.cloud.import_record(self.full.record)
            except lib_exc.RestClientException as exc:
                self.assertNotIsInstance(exc, lib_exc.NotFound)
                return 'refused'
            status = self.end_of_import(self.patience.backup)
        if status == 'available' and verifies:
            self.fail('the import reported "available" although the storage '
                      'is unreachable')
        return status


@decorators.serial
class StorageHangsTest(_StorageScenario):
    """The storage of the backups takes requests, and answers none."""

    # A driver without import verify never reads the storage.
    needed_features = ('import_verify', 'store_pause', 'row_loss_hard')
    state = services.HANGS

    @decorators.attr(type=['serial'])
    @decorators.idempotent_id('0c9f7c0b-5d8e-4f3a-9a53-6d1f2b7e8c40')
    def test_hangs_during_import(self) -> None:
        """An import ends in an error while the storage hangs.

        And can be tried again afterwards. If it fails, one storage that is
        stuck stops the recovery of a cloud: its imports neither end nor give a
        reason, and those of other storages wait for them.
        """
        self.lose_rows([self.full.record])
        self.stop_storage('the storage of the backups hangs')
        with self.story.step('import it'):
            self.cloud.import_record(self.full.record)
            status = self.end_of_import(
                CONF.cinder_backup_recovery.store_hang_timeout)
        self.assertEqual(
            'error', status,
            'the import reported "available" although the storage hangs')
        with self.story.step('the storage answers again'):
            self.storage.start()
        self.rows.lose(clients.BACKUP, [self.full.backup_id],
                       project_id=self.project_id)
        self.import_all([self.full])
        self.restore_and_compare(self.full)
