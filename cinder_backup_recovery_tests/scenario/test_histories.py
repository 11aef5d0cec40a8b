# SPDX-License-Identifier: Apache-2.0

"""Histories in which Cinder broke a promise, on this cloud.

Random ones in one process have found them, see ``cinder-backup-histories``.
"""

from tempest import config
from tempest.lib import decorators

from cinder_backup_recovery_tests.cloud import services
from cinder_backup_recovery_tests.scenario import histories

CONF = config.CONF


class DeletedParentTest(histories.HistoryScenario):
    @decorators.idempotent_id('c99d6278-61b8-4770-bf36-52496657934d')
    def test_history(self) -> None:
        """The parent of a backup stays until its child is deleted.

        If it fails, an administrator of another project takes the parent of a
        backup away, which cannot be restored any more.
        """
        self.check('nothing-needed-is-taken-live-child')


class DeletedParentOfLostTest(histories.HistoryScenario):
    @decorators.idempotent_id('97dce223-bbd0-420d-8115-b8c40b5a4ff2')
    def test_history(self) -> None:
        """The parent of a backup whose row is lost stays.

        If it fails, a backup that was lost and has a record cannot be restored
        any more.
        """
        self.check('nothing-needed-is-taken-lost-child')


class OtherImporterTest(histories.HistoryScenario):
    @decorators.idempotent_id('98d783c8-1f53-4199-9c90-86e68a96c3ce')
    def test_history(self) -> None:
        """A backup is that of its project, whichever project imports it.

        If it fails, its owner does not reach it after a recovery, and another
        project does.
        """
        self.check('reached-by-the-same-import')


class ReasonOfRestoreTest(histories.HistoryScenario):
    @decorators.idempotent_id('4980d942-08f2-4a30-be42-39f86458a8ac')
    def test_history(self) -> None:
        """A restore that fails says why.

        If it fails, a user of a damaged backup is not told that it is damaged.
        """
        self.check('restored-as-it-was-no-reason')


class ReasonOfImportTest(histories.HistoryScenario):
    @decorators.idempotent_id('f3bcd8e6-0718-42ff-a4b9-eb544964b916')
    def test_history(self) -> None:
        """A backup that is available has no reason of a failure.

        If it fails, a backup that was recovered looks like one that was not.
        """
        self.check('told-as-it-is-import-fail_reason')


class LostChildrenTest(histories.HistoryScenario):
    @decorators.idempotent_id('f434e4e5-29ab-430e-8133-8236182baded')
    def test_history(self) -> None:
        """An imported backup has the children that are there.

        If it fails, it is refused to delete a backup without any child.
        """
        self.check('told-as-it-is-import-has_dependent_backups')


class SnapshotSizeTest(histories.HistoryScenario):
    @decorators.idempotent_id('deb9ef6b-865d-473c-a60b-491c4c9f46bc')
    def test_history(self) -> None:
        """A backup of a snapshot has the size of the snapshot.

        If it fails, the backup of a snapshot from before its volume was
        extended costs quota that it does not need, and is refused to be
        restored onto a volume of the size that it had.
        """
        self.check('told-as-it-is-create-backup-size')


class QuotaOfFailedImportTest(histories.HistoryScenario):
    @decorators.idempotent_id('01230172-b3a1-4b7d-a2b4-8110398c78f9')
    def test_history(self) -> None:
        """An import that fails takes none of the quota.

        If it fails, each import that fails costs a project a part of its quota
        that it does not get back.
        """
        self.check('usage-is-that-of-rows-import-backup_gigabytes')


class IdWithoutTextTest(histories.HistoryScenario):
    @decorators.idempotent_id('ef233258-aa27-42ea-972b-5d3fd5d26aab')
    def test_history(self) -> None:
        """A record whose id is a list is refused.

        If it fails, an administrator suspects the cloud, and not the record.
        """
        self.check('answered-import-id')


class IdWithSlashTest(histories.HistoryScenario):
    @decorators.idempotent_id('6f2ca3ee-dac0-49e9-a7da-ee231b16d184')
    def test_history(self) -> None:
        """A backup that an import makes can be reached.

        If it fails, no request deletes what a wrong record has made, and it
        keeps its quota.
        """
        self.check('reached-by-the-same-import-id')


class NegativeSizeTest(histories.HistoryScenario):
    @decorators.idempotent_id('3046b161-34dd-4b01-ba46-ffadc9107e61')
    def test_history(self) -> None:
        """A record with a negative size makes no backup of that size.

        If it fails, a project makes more backups than its quota allows.
        """
        self.check('usage-is-that-of-rows-negative')


class TimeWithoutDateTest(histories.HistoryScenario):
    @decorators.idempotent_id('c7fd38cd-ddfb-459f-bf5d-64a3e5ec3d56')
    def test_history(self) -> None:
        """The import of a record with a wrong time ends.

        If it fails, a backup stays in status creating, and nothing says why.
        """
        self.check('work-ends-import-creating')


class MeetingScenario(histories.HistoryScenario):
    """Base: requests that meet, by a program that holds them."""

    needed_features = (*histories.HistoryScenario.needed_features,
                       'request_hold')


class ImportsAtOnceTest(MeetingScenario):
    @decorators.idempotent_id('52997375-20c2-44aa-900c-9eba8a8e1c65')
    def test_history(self) -> None:
        """Of two imports of a record at the same time one makes the backup.

        If it fails, an import that was accepted leaves no backup.
        """
        self.check('answered-at-once-import')


class RestoresAtOnceTest(MeetingScenario):
    @decorators.idempotent_id('dd84568c-d27a-42b8-9933-f24255a6640b')
    def test_history(self) -> None:
        """Two restores onto a volume at the same time leave it restored.

        If it fails, a volume ends in an error that an administrator removes.
        """
        self.check('restored-as-it-was-at-once-not')


class DeletesAtOnceTest(MeetingScenario):
    @decorators.idempotent_id('59939378-6f60-46a8-a51e-a71a676d4121')
    def test_history(self) -> None:
        """Two deletions of a backup at the same time free its quota once.

        If it fails, a project makes more backups than its quota allows.
        """
        self.check('usage-is-that-of-rows-at-once-delete-backups')


class BackupsAtOnceTest(MeetingScenario):
    @decorators.idempotent_id('f1b63a1c-ef51-4652-9182-60c6f3f34a8b')
    def test_history(self) -> None:
        """Two backups of a volume at the same time leave it available.

        If it fails, no user can attach or delete the volume any more.
        """
        self.check('work-ends-at-once-create-backup-volume-backing-up')


class KillingHistoryScenario(MeetingScenario):
    """Base: cinder-backup dies at a step that a program chooses."""

    needed_features = (*MeetingScenario.needed_features, 'service_kill')

    @classmethod
    def setup_clients(cls) -> None:
        """Check the programs before anything is created."""
        super().setup_clients()
        services.BackupService.from_config(CONF).check()


# Alone: what other tests are doing would be killed, too.
@decorators.serial
class KilledCreationTest(KillingHistoryScenario):
    @decorators.attr(type=['serial'])
    @decorators.idempotent_id('d50094a0-5b13-44f1-9546-fb9012daef23')
    def test_history(self) -> None:
        """A refused backup takes nothing of the quota.

        If it fails, each try after an interrupted backup costs a project a
        part of its quota that it does not get back.
        """
        self.check('refusal-changes-nothing-create-backup-usage')


@decorators.serial
class KilledDeletionTest(KillingHistoryScenario):
    @decorators.attr(type=['serial'])
    @decorators.idempotent_id('44d54a0f-9028-4cf7-8923-a4c46610491b')
    def test_history(self) -> None:
        """A deletion that was interrupted frees its quota.

        If it fails, a project does not get back what a backup took that is
        deleted.
        """
        self.check('usage-is-that-of-rows-killed-delete-backups')


@decorators.serial
class KilledImportTest(KillingHistoryScenario):
    @decorators.attr(type=['serial'])
    @decorators.idempotent_id('63d84e70-778e-403e-a723-4d965ec87c71')
    def test_history(self) -> None:
        """An import that was interrupted ends.

        If it fails, a backup stays in status creating, and can neither be
        restored nor imported.
        """
        self.check('work-ends-killed-import-creating')


@decorators.serial
class KilledLateImportTest(KillingHistoryScenario):
    @decorators.attr(type=['serial'])
    @decorators.idempotent_id('5bc5f53b-62c7-4596-86a6-4e3b8b0ac7c9')
    def test_history(self) -> None:
        """The deletion of a failed import removes nothing that is stored.

        If it fails, the row that an interrupted import has left is deleted so
        that the record can be imported again, and the data goes with it.
        """
        self.check('storage-is-exact-delete-takes-what-was-not-imported')
