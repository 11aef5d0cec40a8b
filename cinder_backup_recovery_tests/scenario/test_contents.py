# SPDX-License-Identifier: Apache-2.0

"""Volumes of every kind of content, recovered after the loss of their rows."""

from tempest import config
from tempest.lib import decorators

from cinder_backup_recovery_tests import facts
from cinder_backup_recovery_tests import features
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.content import access
from cinder_backup_recovery_tests.content import compare
from cinder_backup_recovery_tests.content import layout as content_layout
from cinder_backup_recovery_tests.rows import base as rows_base
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
            seed=base.OURS, size_bytes=cls.size_bytes,
            extents=cls.layout(base.OURS).extents, fill=content_layout.TEXT)
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
        foreign = self.foreign_layout(base.FOREIGN)
        larger = foreign.resized(self.size_bytes + access.GIB).overwrite(
            self.size_bytes, base.MIB)
        target_id = self.content.create_volume(larger)
        self.lose_and_import([self.full])
        self.resources.restore(self.full.backup_id, target_id)
        with self.story.step(f'each of the {larger.size_bytes} bytes of '
                             f'volume {target_id} is the right one',
                             facts.COMPARE):
            keeps = (CONF.cinder_backup_recovery_feature_enabled.
                     restore_keeps_excess)
            rest = larger if keeps else larger.zero(self.size_bytes,
                                                    access.GIB)
            with self.content.read(target_id) as stream:
                comparison = compare.compare_two(self.full.layout, rest,
                                                 stream)
            with self.known_defect(
                    'restore-cuts-files', shows=keeps,
                    looks=lambda _: comparison.counts.keys() <= {
                        compare.TRUNCATED, compare.ZEROED} and
                    comparison.differences[0].offset >= self.size_bytes):
                comparison.raise_if_different(
                    f'larger volume {target_id}, onto which backup '
                    f'{self.full.backup_id} was restored')

    @decorators.idempotent_id('4bef6e73-373e-4fbf-ba26-a4eae9d774f0')
    def test_volume_created_from_backup(self) -> None:
        """A new volume is made of an imported backup in one request.

        If it fails, users who create volumes from backups, as Horizon and
        orchestration do, cannot use what was recovered.
        """
        self.lose_and_import([self.full])
        volume_id = self.resources.create_volume(
            size=self.size_bytes // access.GIB,
            backup_id=self.full.backup_id)['id']
        self.assert_content(
            volume_id, self.full.layout,
            f'{self.full.what} {self.full.backup_id}, made into a volume')


class LargerVolumeTest(base.RecoveryScenario):
    """A volume that is larger than all others, with little in it."""

    needed_features = ('row_loss_hard',)

    @classmethod
    def resource_setup(cls) -> None:
        """Make a volume with data over each GiB and up to its end."""
        super().resource_setup()
        # One of 2 GiB at least: all others have the size of the option.
        size = cls.size_bytes + access.GIB
        layout = cls.layout(base.OURS, size)
        for edge in range(access.GIB, size, access.GIB):
            # Zeros on both sides: no chunk is full.
            layout = layout.overwrite(edge - 4096, 8192)
        cls.full = cls.make_full(layout, 'backup of a larger volume')

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
        layout = content_layout.Layout(base.OURS, cls.size_bytes)
        cls.full = cls.make_full(layout, 'backup of an empty volume')

    @decorators.idempotent_id('754bb83e-1e41-49c2-b3a2-bc15bc02f4f7')
    def test_zeros_restored_onto_existing_volume(self) -> None:
        """Zeros are content, too.

        If it fails, a user who restores an empty volume finds the data of
        another user.
        """
        foreign = self.foreign_layout(base.FOREIGN)
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
        layout = cls.layout(base.OURS)
        volume_id = cls.class_content.create_volume(layout)
        cls.volume_id = volume_id
        snapshot_id = cls.class_resources.create_snapshot(volume_id)['id']
        cls.snapshot_id = snapshot_id
        cls.later = layout.overwrite(0, base.MIB).zero(
            cls.size_bytes - base.MIB, base.MIB)
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
