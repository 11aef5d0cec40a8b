# SPDX-License-Identifier: Apache-2.0

"""Base of the tests of records: loss of rows, and their way back."""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from oslo_log import log as logging
from oslo_utils import timeutils
from tempest import config
from tempest.common import credentials_factory
from tempest.lib import exceptions as lib_exc

from cinder_backup_recovery_tests import config as recovery_config
from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import record as backup_record
from cinder_backup_recovery_tests import rows
from cinder_backup_recovery_tests import tenant
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.rows import base as rows_base

CONF = config.CONF
LOG = logging.getLogger(__name__)

# What the API shows of a backup and what an import must bring back. The
# availability zone is not in it: it becomes the importing host's.
PRESERVED = ('id', 'name', 'description', 'volume_id', 'snapshot_id', 'size',
             'object_count', 'container', 'is_incremental',
             'has_dependent_backups', 'data_timestamp', 'created_at',
             'metadata', 'fail_reason', 'os-backup-project-attr:project_id')
# Times lose their fractions of seconds in a record.
TIMES = ('created_at', 'data_timestamp')
# What Cinder keeps of a backup for its driver and shows only in a record.
_KEY = 'encryption_key_id'
RECORDED = ('parent_id', 'service', 'service_metadata', 'temp_volume_id',
            'temp_snapshot_id', _KEY)


def comparable(name: str, view: Mapping[str, Any]) -> Any:
    """Return a field of a backup as precisely as a record keeps it."""
    value = view.get(name)
    if name in TIMES and value:
        return timeutils.parse_isotime(value).replace(microsecond=0)
    return value


def recorded(record: backup_record.BackupRecord) -> dict[str, Any]:
    """Return what the record of an imported backup must have unchanged.

    Of an encrypted volume's, that it names a key, and not which: a driver may
    give an import a clone of it.
    """
    fields = {name: record.fields.get(name) for name in RECORDED}
    return {**fields, _KEY: fields[_KEY] is not None}


class BackupRecoveryTest(tenant.TenantTest):
    """Base of the tests of records.

    Everything is done by an administrator of the project that owns the
    volumes: export and import are for administrators, and an imported
    backup belongs to the project that imports it.
    """

    credentials = ['project_admin']

    @classmethod
    def check_configuration(cls) -> None:
        """Refuse a configuration without rows or an administrator."""
        recovery_config.check(CONF)
        if not credentials_factory.is_admin_available(
                identity_version=cls.get_identity_version()):
            raise exceptions.InvalidConfiguration(
                '[auth] gives no administrator: set '
                'use_dynamic_credentials = true with admin_username, or a '
                'test_accounts_file with an admin in it')

    @classmethod
    def before_accounts(cls) -> None:
        """Prove that rows can be reached."""
        cls.rows = rows.make(CONF.cinder_backup_recovery, cls.ledger)
        cls.rows.check(clients.BACKUP)

    # Loss

    def lose_rows(self, records: Sequence[backup_record.BackupRecord],
                  kind: str = rows_base.HARD) -> None:
        """Delete the rows of backups, and prove that they are gone.

        A backup whose row is still lost when the test ends is imported
        again then, so that its stored data can be removed.

        :param records: exported records, for the way back
        """
        backup_ids = [record.fields['id'] for record in records]
        for record in records:
            self.addCleanup(self._undo_loss, record)
        with self.story.step(f'{kind} loss of the row of '
                             f'{" and ".join(backup_ids)}'):
            loss = self.rows.lose(clients.BACKUP, backup_ids, kind,
                                  self.project_id)
            LOG.info('Lost: %s', loss)
        with self.story.step('no row of it is left, and the API answers 404'):
            self.assert_lost(backup_ids, kind)

    def assert_lost(self, backup_ids: Iterable[str], kind: str) -> None:
        """Prove that backups are unknown to the database and to the API."""
        for backup_id, state in self.rows.states(
                clients.BACKUP, backup_ids).items():
            self.assertEqual(
                rows_base.GONE[kind], state,
                f'the row of backup {backup_id} is {state} after its {kind} '
                f'loss: nothing would be recovered')
            try:
                self.cloud.show(clients.BACKUP, backup_id)
            except lib_exc.NotFound:
                continue
            self.fail(f'backup {backup_id} is still shown by the API after '
                      f'the {kind} loss of its row: does Cinder use another '
                      f'database than the configured one?')

    def _undo_loss(self, record: backup_record.BackupRecord) -> None:
        backup_id = record.fields['id']
        if not any(entry.resource_id == backup_id
                   for entry in self.ledger.entries(clients.BACKUP)):
            return
        try:
            self.cloud.show(clients.BACKUP, backup_id)
        except lib_exc.NotFound:
            self.resources.import_record(record)

    # Records

    def assert_recovered(self, before: dict[str, Any],
                         record: backup_record.BackupRecord) -> None:
        """Prove that a backup is the same as before the loss."""
        after = self.cloud.show(clients.BACKUP, record.fields['id'])
        self.assert_same_backup(before, after)
        # That of the host which has imported it, and not that of the record.
        if before.get('availability_zone'):
            self.assertTrue(
                after['availability_zone'],
                f'backup {after["id"]} is in no availability zone after its '
                f'import: hosts of all of them may get its requests')
        exported = self.resources.export_record(record.fields['id'])
        old, new = recorded(record), recorded(exported)
        changed = {name: (old[name], new[name]) for name in RECORDED
                   if old[name] != new[name]}
        self.assertEqual(
            {}, changed,
            f'the record of backup {after["id"]} changed by its import '
            f'(before, after)')

    def assert_same_backup(self, before: dict[str, Any],
                           after: dict[str, Any]) -> None:
        """Compare all fields that must not change."""
        changed = {name: (before.get(name), after.get(name))
                   for name in PRESERVED
                   if comparable(name, before) != comparable(name, after)}
        self.assertEqual(
            {}, changed,
            f'fields of backup {before["id"]} changed (before, after)')

    @classmethod
    def check_driver(cls, record: backup_record.BackupRecord) -> None:
        """Refuse a backup that another driver made than configured."""
        wanted = CONF.cinder_backup_recovery.backup_driver
        if not record.backup_service.startswith(wanted):
            raise exceptions.InvalidConfiguration(
                f'the cloud backs up with {record.backup_service}, not with '
                f'[cinder_backup_recovery] backup_driver = {wanted}')
        able = CONF.cinder_backup_recovery_feature_enabled
        if record.fields.get('driver_info') and not able.import_verify:
            cls.class_story.facts.contradictions.append('import_verify')
