# SPDX-License-Identifier: Apache-2.0

"""Base of all tests: clients, resources, row loss and comparison."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
from typing import Any

from oslo_log import log as logging
from oslo_utils import timeutils
from tempest import config
from tempest.common import credentials_factory
from tempest.lib import exceptions as lib_exc
import tempest.test
import urllib3

from cinder_backup_recovery_tests import config as recovery_config
from cinder_backup_recovery_tests import connecting
from cinder_backup_recovery_tests import content
from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import facts
from cinder_backup_recovery_tests import features
from cinder_backup_recovery_tests import known_defects
from cinder_backup_recovery_tests import record as backup_record
from cinder_backup_recovery_tests import rows
from cinder_backup_recovery_tests import steps
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.cloud import ledger as resource_ledger
from cinder_backup_recovery_tests.cloud import locks
from cinder_backup_recovery_tests.cloud import resources as test_resources
from cinder_backup_recovery_tests.cloud import waiters
from cinder_backup_recovery_tests.content import access
from cinder_backup_recovery_tests.content import compare
from cinder_backup_recovery_tests.content import layout as content_layout
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
RECORDED = ('parent_id', 'service', 'service_metadata', 'temp_volume_id',
            'temp_snapshot_id', 'encryption_key_id')

# Where drivers cut a volume, unless they are configured otherwise: blocks of
# checksums, objects of RBD, of Swift's driver, and of the local cloud's.
_BOUNDARIES = (32 << 10, 1 << 20, 4 << 20, 50 << 20, 64 << 20)


def comparable(name: str, view: Mapping[str, Any]) -> Any:
    """Return a field of a backup as precisely as a record keeps it."""
    value = view.get(name)
    if name in TIMES and value:
        return timeutils.parse_isotime(value).replace(microsecond=0)
    return value


class BackupRecoveryTest(tempest.test.BaseTestCase):
    """Base of every test of this package.

    Everything is done by an administrator of the project that owns the
    volumes: export and import are for administrators, and an imported
    backup belongs to the project that imports it.
    """

    credentials: list[Any] = ['project_admin']

    # Options of [cinder_backup_recovery_feature_enabled] without which all
    # tests of the class are skipped.
    needed_features: tuple[str, ...] = ()
    #: What the record of an imported backup must have unchanged.
    recorded: tuple[str, ...] = RECORDED
    # Whether the tests change the content of a volume after its creation.
    rewrites_content = False

    _accounts: list[tuple[str, str]] = []
    # Keeps clean-up from the ledger while the class runs.
    _writer: locks.Writer | None = None
    #: What the set-up of the class has raised.
    class_problem: Exception | None = None

    @classmethod
    def setUpClass(cls) -> None:
        """Set the class up; each of its tests raises a failure of that.

        A test can hand over facts about it, which a class cannot.
        """
        cls.class_story = steps.Story()
        cls.class_problem = None
        try:
            super().setUpClass()
        except Exception as exc:
            cls.class_problem = exc
            cls.class_traceback = exc.__traceback__

    @classmethod
    def tearDownClass(cls) -> None:
        """Tear the class down, once: a failed set-up has done so already."""
        if cls.class_problem is None:
            super().tearDownClass()

    @classmethod
    def skip_checks(cls) -> None:
        """Refuse a wrong configuration, skip tests of missing capabilities."""
        super().skip_checks()
        recovery_config.check(CONF)
        if not credentials_factory.is_admin_available(
                identity_version=cls.get_identity_version()):
            raise exceptions.InvalidConfiguration(
                '[auth] gives no administrator: set '
                'use_dynamic_credentials = true with admin_username, or a '
                'test_accounts_file with an admin in it')
        reason = features.missing(CONF, cls.needed_features,
                                  cls.rewrites_content)
        if reason:
            raise reason

    @classmethod
    def setup_credentials(cls) -> None:
        """Prove that rows can be reached before a user is made."""
        cls._accounts = []
        cls.ledger = resource_ledger.Ledger(
            CONF.cinder_backup_recovery.ledger_dir)
        cls._writer = locks.Writer(cls.ledger.directory)
        cls.rows = rows.make(CONF.cinder_backup_recovery, cls.ledger)
        cls.rows.check(clients.BACKUP)
        cls.set_network_resources()
        try:
            super().setup_credentials()
        except lib_exc.Unauthorized as exc:
            raise exceptions.InvalidConfiguration(
                f'authentication failed for the accounts in [auth]: '
                f'{" ".join(str(exc).split())}') from None
        except urllib3.exceptions.HTTPError as exc:
            raise exceptions.InvalidConfiguration(
                f'[identity] uri_v3 = {CONF.identity.uri_v3} does not '
                f'answer: {exc}') from None
        if CONF.auth.use_dynamic_credentials:
            cls._record_accounts()

    @classmethod
    def _record_accounts(cls) -> None:
        """List the users and projects that Tempest has made for the tests.

        Tempest removes them itself, unless it is killed.
        """
        for credentials_type in cls.credentials:
            made = getattr(cls, f'os_{credentials_type}').credentials
            for kind, resource_id, name in (
                    (clients.PROJECT, made.project_id, made.project_name),
                    (clients.USER, made.user_id, made.username)):
                if (kind, resource_id) not in cls._accounts:
                    cls._accounts.append((kind, resource_id))
                    cls.ledger.add(kind, resource_id, name)

    @classmethod
    def clear_credentials(cls) -> None:
        """Cross out the users and projects that Tempest removes."""
        super().clear_credentials()
        while cls._accounts:
            cls.ledger.gone(*cls._accounts.pop())
        cls.ledger.close()
        if cls._writer:
            cls._writer.close()
            cls._writer = None

    @classmethod
    def setup_clients(cls) -> None:
        """Wrap the administrator's clients."""
        super().setup_clients()
        cls.cloud = clients.CloudApi(cls.os_project_admin)
        cls.project_id = cls.cloud.project_id

    @classmethod
    def resource_setup(cls) -> None:
        """Choose the microversion, and how resources are made."""
        super().resource_setup()
        cls.setup_api_microversion_fixture(
            volume_microversion=recovery_config.MICROVERSION)
        cls.patience = waiters.Patience.from_config(CONF)
        cls.size_bytes = (CONF.cinder_backup_recovery.volume_size *
                          access.GIB)
        cls.class_resources = cls._make_resources(
            cls.addClassResourceCleanup, cls.class_story)
        cls.class_content = content.make(CONF, cls.class_resources)

    def setUp(self) -> None:
        """Create the helpers that register clean-ups of this test."""
        self.story = steps.Story(self.class_story)
        for name, detail in self.story.details().items():
            self.addDetail(name, detail)
        self.addOnException(self._record_exception)
        if self.class_problem is not None:
            raise self.class_problem.with_traceback(self.class_traceback)
        super().setUp()
        self.resources = self._make_resources(self.addCleanup, self.story)
        self.content = content.make(CONF, self.resources)

    def _record_exception(self, exc_info: Any) -> None:
        """Record an exception as data, in addition to its text."""
        found = self.story.facts
        refusal = facts.Refusal.of(exc_info[1])
        if refusal:
            found.refusals.append(refusal)
        found.lacks = features.lacking(exc_info[1]) or found.lacks

    @classmethod
    def _make_resources(cls, add_cleanup: Any, story: steps.Story,
                        cloud: clients.CloudApi | None = None,
                        ledger: resource_ledger.Ledger | None = None
                        ) -> test_resources.Resources:
        defaults = {}
        if cls.volume_type():
            defaults['volume_type'] = cls.volume_type()
        return test_resources.Resources(
            cloud or cls.cloud, ledger or cls.ledger, cls.patience,
            add_cleanup,
            CONF.cinder_backup_recovery.name_prefix, defaults, story)

    @classmethod
    def volume_type(cls) -> str:
        """Return the type of the volumes; empty for the cloud's default."""
        return CONF.volume.volume_type

    def known_defect(self, name: str, shows: bool = True,
                     looks: Callable[[BaseException], bool] | None = None
                     ) -> contextlib.AbstractContextManager[None]:
        """Check a behavior that a known defect of Cinder breaks.

        :param shows: whether it shows in every cloud that has it
        :param looks: whether a failure is a symptom of the defect
        """
        return known_defects.expected(
            self, self.story.facts, recovery_config.declared_defects(CONF),
            name, shows, looks)

    # Content

    @classmethod
    def layout(cls, seed: int, size_bytes: int | None = None
               ) -> content_layout.Layout:
        """Create a layout with data where drivers have made mistakes."""
        return content_layout.Layout.scattered(
            seed, size_bytes or cls.size_bytes, _BOUNDARIES)

    @classmethod
    def foreign_layout(cls, seed: int) -> content_layout.Layout:
        """Create the layout of a volume that is to be overwritten.

        Through an attachment it is full. Through an image, which would
        move all of it, every 64 MiB hold one MiB, and the end does.
        """
        size = cls.size_bytes
        if (CONF.cinder_backup_recovery.content_access ==
                connecting.ATTACHMENT):
            extents = [(0, size)]
        else:
            mib = 1024 * 1024
            extents = [(offset, mib) for offset in range(0, size, 64 * mib)]
            extents.append((size - mib, mib))
        return content_layout.Layout(
            seed=seed, size_bytes=size,
            extents=tuple(content_layout.Extent(offset, length, 1)
                          for offset, length in extents))

    def assert_content(self, volume_id: str,
                       expected: content_layout.Layout, what: str,
                       history: Iterable[content_layout.Layout] = (),
                       content: access.VolumeContent | None = None
                       ) -> None:
        """Compare every byte of a volume with what it must hold (L3).

        :param what: how a failure calls the volume
        :param history: older contents, by which a failure is named
        :raises ContentMismatch: saying where and what the difference is
        """
        with self.story.step(f'each of the {expected.size_bytes} bytes of '
                             f'volume {volume_id} is the original one',
                             facts.COMPARE):
            with (content or self.content).read(volume_id) as stream:
                comparison = compare.compare(expected, stream, history)
            comparison.raise_if_different(f'{what} (volume {volume_id})')

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
        changed = {
            name: (record.fields.get(name), exported.fields.get(name))
            for name in self.recorded
            if record.fields.get(name) != exported.fields.get(name)}
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
