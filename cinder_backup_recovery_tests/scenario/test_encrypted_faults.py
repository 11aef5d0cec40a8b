# SPDX-License-Identifier: Apache-2.0

"""Recovery of encrypted volumes while their key manager is away."""

from tempest import config
from tempest.lib import decorators
from tempest.lib import exceptions as lib_exc

from cinder_backup_recovery_tests import config as recovery_config
from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import features
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.cloud import services
from cinder_backup_recovery_tests.scenario import encrypted

CONF = config.CONF

_STAYS = 'delete-without-key-manager'
# Seconds that are enough to see that it does.
_LONG = 20


class KeyManagerAwayTest(encrypted.EncryptedScenario):
    """The key manager does not answer, and then does again."""

    needed_features = (*encrypted.EncryptedScenario.needed_features,
                       'key_manager_stop', 'separate_keys')
    stops_key_manager = True

    @classmethod
    def full_backups(cls) -> int:
        """Return one for each test."""
        return 2

    @classmethod
    def setup_clients(cls) -> None:
        """Check the programs before anything is created."""
        super().setup_clients()
        cls.manager = services.KeyManager.from_config(CONF, cls.ledger)
        cls.manager.check()

    def setUp(self) -> None:
        """Take a backup that was made while the key manager answered."""
        super().setUp()
        self.stored, self.number = self.take_full()
        self.addCleanup(self.keys.delete,
                        self.stored.record.fields['encryption_key_id'])

    def stop(self) -> None:
        """Stop the key manager, and start it in the end at the latest."""
        self.addCleanup(self.manager.start)
        with self.story.step('the key manager is stopped'):
            self.manager.stop()

    def start(self) -> None:
        """Start the key manager again."""
        with self.story.step('the key manager is started again'):
            self.manager.start()

    @decorators.idempotent_id('521086c8-ba07-40bf-8d81-a7bea23c3a19')
    @features.needs('restore_to_existing_volume')
    def test_away_during_recovery(self) -> None:
        """Exports, restores and imports can be repeated, and no key is lost.

        If it fails, an administrator who recovers a cloud before its key
        manager works again waits indefinitely, or loses the keys of the
        backups with the first try.
        """
        link = self.stored
        target = self.resources.create_volume(size=link.view['size'])
        key_of_target = self.key_of(clients.VOLUME, target['id'])
        self.stop()
        with self.story.step('export it'):
            # A driver that does not prove the key needs none.
            try:
                self.cloud.export_record(link.backup_id)
            except lib_exc.RestClientException as exc:
                self.story.note(f'it is refused: {exc}')
        with self.story.step('a restore ends in an error'):
            self.assertRaises(exceptions.ResourceFailed,
                              self.resources.restore, link.backup_id,
                              target['id'])
            self.resources.wait(clients.BACKUP, link.backup_id, 'available',
                                timeout=self.patience.restore)
        self.lose_rows([link.record])
        status = self._imported()
        self.start()
        if status == 'error':
            self.rows.lose(clients.BACKUP, [link.backup_id],
                           project_id=self.project_id)
        if status != 'available':
            self.import_all([link])
        volume_id = self.create_from(link)
        self.assert_readable(volume_id, link)
        for one in (volume_id, target['id']):
            self.resources.remove(clients.VOLUME, one)
        self.class_resources.remove(clients.BACKUP, link.backup_id)
        if not CONF.cinder_backup_recovery_feature_enabled.import_verify:
            # A driver that writes before it needs the key loses the target's.
            self.keys.delete(key_of_target)
        self.assert_keys(self.number,
                         link.record.fields['encryption_key_id'])

    def _imported(self) -> str:
        """Import the record, and return the result.

        :returns: the status, 'refused' where the request was
        """
        with self.story.step('import it'):
            try:
                self.cloud.import_record(self.stored.record)
            except lib_exc.RestClientException as exc:
                self.assertNotIsInstance(exc, lib_exc.NotFound)
                return 'refused'
            view = self.resources.wait(
                clients.BACKUP, self.stored.backup_id, ('available', 'error'),
                timeout=self.patience.backup)
            if view['status'] == 'error':
                self.assertTrue(view['fail_reason'],
                                'a failed import gives no reason')
                self.story.note(f'it ends in an error: {view["fail_reason"]}')
            return view['status']

    @decorators.idempotent_id('d22b1175-fe89-44d9-a7b7-bc97c23610a3')
    def test_away_during_delete(self) -> None:
        """A delete takes nothing, and can be repeated.

        If it fails, a backup loses its data and stays in ``deleting``, where
        only an administrator can remove it; or its key is left for good.
        """
        link = self.stored
        self.stop()
        with self.known_defect(
                _STAYS,
                looks=lambda exc: isinstance(exc, exceptions.WaitTimeout)):
            self._refused_delete()
        with self.story.step('it has lost nothing'):
            self.cloud.backups.reset_backup_status(link.backup_id,
                                                   'available')
            volume_id = self.create_from(link)
        self.assert_readable(volume_id, link)
        self.resources.remove(clients.VOLUME, volume_id)
        self.class_resources.remove(clients.BACKUP, link.backup_id)
        self.assert_keys(self.number,
                         link.record.fields['encryption_key_id'])

    def _refused_delete(self) -> None:
        """Delete the backup, and start the key manager again.

        :raises WaitTimeout: it stays in deleting
        """
        timeout = (_LONG if _STAYS in recovery_config.declared_defects(CONF)
                   else self.patience.backup)
        try:
            with self.story.step('a delete ends in an error'):
                self.cloud.delete(clients.BACKUP, self.stored.backup_id)
                view = self.resources.wait(
                    clients.BACKUP, self.stored.backup_id, 'error',
                    timeout=timeout)
                self.assertTrue(view['fail_reason'],
                                'a delete that failed gives no reason')
                self.story.note(f'the reason: {view["fail_reason"]}')
        except exceptions.WaitTimeout:
            # It would be deleted only when the service starts again.
            self.manager.start()
            self.cloud.reset(clients.BACKUP, self.stored.backup_id)
            raise
        self.start()
