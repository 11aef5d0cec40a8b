# SPDX-License-Identifier: Apache-2.0

"""Volumes of every kind of content, recovered after the loss of their rows."""

from tempest import config
from tempest.lib import decorators

from cinder_backup_recovery_tests import features
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.content import access
from cinder_backup_recovery_tests.content import layout as content_layout
from cinder_backup_recovery_tests.rows import base as rows_base
from cinder_backup_recovery_tests.scenario import backups
from cinder_backup_recovery_tests.scenario import base
from cinder_backup_recovery_tests.scenario import sources

CONF = config.CONF


class TextVolumeTest(base.RecoveryScenario):
    """Content that compresses well, restored to volumes of other kinds."""

    needed_features = ('row_loss_hard',)

    @classmethod
    def resource_setup(cls) -> None:
        """Make a volume of text, back it up and export the record."""
        super().resource_setup()
        layout = content_layout.Layout(
            seed=backups.OURS, size_bytes=cls.size_bytes,
            extents=cls.layout(backups.OURS).extents, fill=content_layout.TEXT)
        cls.full = cls.make_full(layout)

    @decorators.idempotent_id('207d1496-b9de-4eb4-9b0d-91296716b9db')
    @features.needs('restore_to_existing_volume')
    def test_restored_onto_larger_volume(self) -> None:
        """A restore onto a larger volume writes nothing past its own end.

        Or zeros up to the volume's end, by a driver that documents it. If it
        fails, a user who restores into a volume that has grown since loses the
        data past the old end, or gets other bytes than were backed up before
        it.
        """
        self.lose_and_import([self.full])
        self.restore_onto_larger(self.full)

    @decorators.idempotent_id('4bef6e73-373e-4fbf-ba26-a4eae9d774f0')
    def test_volume_created_from_backup(self) -> None:
        """A new volume is made of an imported backup in one request.

        If it fails, users who create volumes from backups, as Horizon and
        orchestration do, cannot use what was recovered.
        """
        self.lose_and_import([self.full])
        self.create_and_compare(self.full)


class LargerVolumeTest(base.RecoveryScenario):
    """A volume that is larger than all others, with little in it."""

    needed_features = ('row_loss_hard',)

    @classmethod
    def resource_setup(cls) -> None:
        """Make a volume with data over each GiB and up to its end."""
        super().resource_setup()
        cls.full = cls.make_larger()

    @decorators.idempotent_id('5b7d1c0e-6a2f-4f6b-9c7e-2f0a8d3b4e19')
    def test_restored_behind_the_first_gib(self) -> None:
        """Data past the first GiB is restored, at its place.

        If it fails, all volumes but the smallest are lost in part: a driver
        that counts in GiB, or in chunks of the size of a test volume, has lost
        their ends.
        """
        self.assertEqual(self.size_bytes // access.GIB + 1,
                         self.full.view['size'])
        self.lose_and_import([self.full])
        self.restore_and_compare(self.full)


class EmptyVolumeTest(base.RecoveryScenario):
    """A volume to which nothing was ever written."""

    needed_features = ('row_loss_hard', 'restore_to_existing_volume')

    @classmethod
    def resource_setup(cls) -> None:
        """Make a volume, back it up and export the record."""
        super().resource_setup()
        layout = content_layout.Layout(backups.OURS, cls.size_bytes)
        cls.full = cls.make_full(layout, 'backup of an empty volume')

    @decorators.idempotent_id('754bb83e-1e41-49c2-b3a2-bc15bc02f4f7')
    def test_zeros_restored_onto_existing_volume(self) -> None:
        """Zeros are content, too.

        If it fails, a user who restores an empty volume finds the data of
        another user.
        """
        foreign = self.foreign_layout(backups.FOREIGN)
        target_id = self.content.create_volume(foreign)
        self.lose_and_import([self.full])
        self.restore_and_compare(self.full, onto=target_id,
                                 history=(foreign,))


class SnapshotBackupTest(sources.SourceLossScenario):
    """A backup of a snapshot, and a volume that has gone on since."""

    needed_features = ('row_loss_hard',)
    rewrites_content = True

    @classmethod
    def resource_setup(cls) -> None:
        """Back up a snapshot of a volume that has gone on since."""
        super().resource_setup()
        layout = cls.layout(backups.OURS)
        volume_id = cls.class_content.create_volume(layout)
        cls.volume_id = volume_id
        snapshot_id = cls.class_resources.create_snapshot(volume_id)['id']
        cls.snapshot_id = snapshot_id
        cls.later = layout.overwrite(0, backups.MIB).zero(
            cls.size_bytes - backups.MIB, backups.MIB)
        cls.class_content.rewrite(volume_id, cls.later,
                                  since=layout.generation)
        cls.backup = cls.link(
            'backup of a snapshot', layout,
            cls.make_backup(volume_id, snapshot_id=snapshot_id))

    @decorators.idempotent_id('a7799e50-2fd2-43fc-873e-11dd2e37b162')
    def test_restored_as_it_was_at_the_snapshot(self) -> None:
        """A recovered backup of a snapshot holds the snapshot's moment.

        Also where rows of the snapshot and of its volume are lost, and where
        both are gone with their data. If it fails, users who back up a
        consistent moment of a volume in use get a mixture of that moment and
        of later ones, or nothing.
        """
        if not features.missing(CONF, ['source_row_loss']):
            for kind in rows_base.KINDS:
                with self.lost_sources(kind, self.volume_id,
                                       self.snapshot_id):
                    self._recover()
        self.class_resources.remove(clients.SNAPSHOT, self.snapshot_id)
        self.class_resources.remove(clients.VOLUME, self.volume_id)
        self._recover()

    def _recover(self) -> None:
        self.lose_and_import([self.backup])
        self.restore_and_compare(self.backup, history=(self.later,))
