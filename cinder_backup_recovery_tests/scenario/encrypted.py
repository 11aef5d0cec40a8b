# SPDX-License-Identifier: Apache-2.0

"""Base of the restores and the recoveries of encrypted volumes."""

from collections.abc import Iterable

from tempest import config

from cinder_backup_recovery_tests.cloud import keys
from cinder_backup_recovery_tests.cloud import locks
from cinder_backup_recovery_tests.cloud import resources as test_resources
from cinder_backup_recovery_tests.content import attachments
from cinder_backup_recovery_tests.content import encrypted
from cinder_backup_recovery_tests.content import layout as content_layout
from cinder_backup_recovery_tests.content import luks
from cinder_backup_recovery_tests.scenario import backups
from cinder_backup_recovery_tests.scenario import base

CONF = config.CONF


def encrypted_type() -> str:
    """Return the name of the type of encrypted volumes."""
    return CONF.cinder_backup_recovery.encrypted_volume_type


class KeysScenario(backups.BackupScenario[backups.Made_]):
    """Backups of encrypted volumes, beside those of plain ones.

    The tests know what was written in clear, and read a restored volume with
    the key that the key manager has for it: what is not readable is not
    restored.
    """

    headers: set[str]

    @classmethod
    def has_keys(cls) -> bool:
        """Check whether the cloud has encrypted volumes."""
        return CONF.cinder_backup_recovery_feature_enabled.encrypted_volumes

    @classmethod
    def skip_checks(cls) -> None:
        """Refuse a machine without what opens a volume."""
        super().skip_checks()
        if cls.has_keys():
            luks.require()

    @classmethod
    def setup_clients(cls) -> None:
        """Find the key manager."""
        super().setup_clients()
        cls.headers = set()
        if cls.has_keys():
            cls.keys = keys.make(CONF, getattr(
                cls, f'os_{cls.credentials[0]}'))

    @classmethod
    def encrypted_content(cls, resources: test_resources.Resources,
                          manager: keys.Keys | None = None
                          ) -> encrypted.EncryptedContent:
        """Make the access to encrypted volumes.

        :param manager: of their keys; None for that of the first site
        """
        return encrypted.EncryptedContent(
            resources, attachments.Host.from_config(CONF),
            manager or cls.keys, cls.headers)

    @classmethod
    def key_of(cls, kind: str, resource_id: str) -> str:
        """Return the id of the key of a volume or a backup.

        :returns: empty with a fixed key, which Cinder does not show
        """
        return cls.cloud.show(kind, resource_id).get('encryption_key_id', '')

    def create_from(self, link: backups.Made) -> str:
        """Make a new encrypted volume of a backup, in one request.

        :returns: the id of the volume
        """
        return self.resources.create_volume(
            size=link.view['size'], backup_id=link.backup_id,
            volume_type=encrypted_type())['id']

    def assert_readable(self, volume_id: str, link: backups.Made,
                        history: Iterable[content_layout.Layout] = ()
                        ) -> None:
        """Compare a restored volume, opened with its key, with the original.

        :param history: other contents by which a difference is named
        :raises ContentMismatch: it is not opened by its key, or differs
        """
        self.assert_content(
            volume_id, link.layout,
            f'{link.what} {link.backup_id}, restored and opened', history,
            self.encrypted_content(self.resources))

    def assert_key(self, key_id: str, exists: bool, whose: str,
                   manager: keys.Keys | None = None) -> None:
        """Check whether a key exists.

        :param whose: whose key it is, for the failure
        :param manager: where it is; None for that of the first site
        """
        with self.story.step(f'the key of {whose} '
                             f'{"exists" if exists else "is gone"}'):
            self.assertEqual(
                exists, (manager or self.keys).exists(key_id),
                f'the key {key_id} of {whose} '
                f'{"does not exist" if exists else "is left"}')

    def assert_keys(self, before: int, *recorded: str) -> None:
        """Count the keys of the project, when all is deleted.

        :param before: how many there were before the test
        :param recorded: ids in the records of lost rows, which may be left:
            another site may have these keys
        """
        with self.story.step('no other key is left, and none is lost'):
            self.assertEqual(
                before + sum(map(self.keys.exists, recorded)),
                self.keys.count())


class EncryptedVolumes(KeysScenario[backups.Made_]):
    """Backups of encrypted volumes only.

    Its classes use the key manager at the same time, but for those that stop
    it: these have it alone.
    """

    needed_features: tuple[str, ...] = ('encrypted_volumes',)
    #: Whether its tests stop the key manager.
    stops_key_manager = False

    @classmethod
    def resource_setup(cls) -> None:
        """Use encrypted volumes in place of plain ones."""
        # Before what the class makes, so that it is released after that.
        cls.addClassResourceCleanup(locks.key_manager(
            cls.ledger.directory, cls.stops_key_manager))
        super().resource_setup()
        # In clear; the header takes the rest.
        cls.size_bytes -= luks.HEADER
        cls.class_content = cls.encrypted_content(cls.class_resources)

    def setUp(self) -> None:
        """Use encrypted volumes in place of plain ones."""
        super().setUp()
        self.content = self.encrypted_content(self.resources)

    @classmethod
    def volume_type(cls) -> str:
        """Return the encrypted type."""
        return encrypted_type()


class EncryptedScenario(EncryptedVolumes[base.Link], base.RecoveryScenario):
    """Recoveries of encrypted volumes."""

    needed_features = ('row_loss_hard', *EncryptedVolumes.needed_features)
    #: Full backups of one volume, which is gone, for tests that take one.
    fulls: list[base.Link]

    @classmethod
    def full_backups(cls) -> int:
        """Return how many of them the class makes."""
        return 0

    @classmethod
    def resource_setup(cls) -> None:
        """Make the full backups."""
        super().resource_setup()
        if cls.full_backups():
            cls.fulls = cls.make_fulls(cls.full_backups(),
                                       cls.layout(backups.OURS))

    def take_full(self) -> tuple[base.Link, int]:
        """Take one of the full backups, or another one where none is left.

        :returns: it, and how many keys the project has without its own
        """
        link = (self.fulls.pop() if self.fulls else
                self.make_full(self.layout(backups.OURS)))
        return link, self.keys.count() - 1
