# SPDX-License-Identifier: Apache-2.0

"""Backups and restores by a user with the role member, and nothing else."""

from tempest import config
from tempest.lib import decorators
from tempest.lib import exceptions as lib_exc

from cinder_backup_recovery_tests import features
from cinder_backup_recovery_tests import tenant
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.content import layout as content_layout
from cinder_backup_recovery_tests.scenario import backups
from cinder_backup_recovery_tests.scenario import encrypted

CONF = config.CONF

_ASKED = {'description': 'before the upgrade', **backups.DESCRIBED}


class TenantScenario(backups.BackupScenario[backups.Made]):
    """Base of them: no record is exported, which is for administrators."""

    @classmethod
    def link(cls, what: str, layout: content_layout.Layout,
             backup_id: str, volume: dict[str, object] | None = None
             ) -> backups.Made:
        """Look at a backup that is finished."""
        view = cls.cloud.show(clients.BACKUP, backup_id)
        return backups.Made(what, layout, view, volume or
                            cls.properties(view['volume_id']))

    def assert_listed(self, *backup_ids: str) -> None:
        """Find backups in the list by which a user looks for them."""
        with self.story.step('the list of backups has them'):
            self.assertLessEqual(
                set(backup_ids),
                {one['id'] for one in
                 self.cloud.backups.list_backups()['backups']})


class TenantBackupTest(TenantScenario):
    """Backups are shown to users as they asked for them."""

    needed_features = ('incremental',)

    @decorators.idempotent_id('5b0f7f5e-58d1-4e0a-9c3f-0d6d7a0c9e11')
    def test_made_as_asked(self) -> None:
        """A full and an incremental backup have what was asked for.

        If it fails, a user does not find the right backup on the day that it
        is needed.
        """
        volume_id = self.content.create_volume(self.layout(backups.OURS))
        name = self.resources.name('nightly')
        full = self.resources.create_backup(volume_id, name=name, **_ASKED)
        wanted = {**_ASKED, 'name': name, 'volume_id': volume_id,
                  'size': self.cloud.show(clients.VOLUME, volume_id)['size'],
                  'is_incremental': False, 'has_dependent_backups': False}
        self.assertEqual(wanted, {field: full[field] for field in wanted})
        child = self.resources.create_backup(volume_id, incremental=True)
        self.assertEqual((volume_id, True), (
            child['volume_id'], child['is_incremental']))
        self.wait_for_child_of(full['id'])
        self.assert_listed(full['id'], child['id'])

    @decorators.attr(type=['negative'])
    @decorators.idempotent_id('c4a0d8a9-0a0e-4a58-8f0a-2f3a8b8d5c27')
    def test_parent_is_kept(self) -> None:
        """A backup that others build on is not deleted, nor harmed by theirs.

        If it fails, a user who tidies up destroys the backups that are left.
        """
        layout = self.layout(backups.OURS)
        volume_id = self.content.create_volume(layout)
        full = self.resources.create_backup(volume_id)
        child = self.resources.create_backup(volume_id, incremental=True)
        self.wait_for_child_of(full['id'])
        with self.story.step(f'backup {full["id"]}, on which another one '
                             f'builds, is not deleted'):
            self.assertRaises(lib_exc.BadRequest, self.cloud.delete,
                              clients.BACKUP, full['id'])
        self.resources.remove(clients.BACKUP, child['id'])
        # It needs all of the parent, also what only backups read.
        child = self.resources.create_backup(volume_id, incremental=True)
        self.restore_and_compare(self.link(
            'incremental backup, made after another was deleted', layout,
            child['id']))
        for backup in child, full:
            self.resources.remove(clients.BACKUP, backup['id'])


class TenantFullTest(TenantScenario):
    """A full backup, whose volume is gone."""

    makes = backups.FULL

    @decorators.idempotent_id('0a9c6a1e-3a57-4b0e-8d87-7a5a4ad7b6f3')
    def test_restored_to_new_volume(self) -> None:
        """Each byte of a deleted volume comes back.

        If it fails, a user who deletes a volume by mistake has lost it,
        though the cloud says that there is a backup.
        """
        self.assert_listed(self.full.backup_id)
        self.restore_and_compare(self.full)

    @decorators.idempotent_id('be3c3c0a-6a41-49d4-a9d7-6d0d3f8a9f02')
    @features.needs('restore_to_existing_volume')
    def test_restored_onto_existing_volume(self) -> None:
        """A restore leaves nothing of what a volume had before.

        If it fails, a user reads a mixture of two states, and the cloud says
        that the restore has succeeded.
        """
        foreign = self.foreign_layout(backups.FOREIGN)
        volume_id = self.content.create_volume(foreign)
        self.restore_and_compare(self.full, onto=volume_id,
                                 history=(foreign,))

    @decorators.idempotent_id('3f8e1d9b-0c6a-47f5-9b2d-8a4e6c7d1f50')
    def test_volume_created_from_backup(self) -> None:
        """A new volume is made of a backup in one request.

        If it fails, users who create volumes from backups, as Horizon and
        orchestration do, get an empty volume.
        """
        self.create_and_compare(self.full)

    @decorators.idempotent_id('d1c7b2e8-94af-4a3d-8e60-5b9f0a2c6d74')
    @features.needs('restore_to_existing_volume')
    def test_restored_onto_larger_volume(self) -> None:
        """A restore onto a volume that has grown writes its own size only.

        If it fails, a user loses the data past the old end.
        """
        self.restore_onto_larger(self.full)


class TenantLargerTest(TenantScenario):
    """A volume that is larger than all others, with little in it."""

    @decorators.idempotent_id('a8b4f6d3-1e7c-4d92-b05f-6c3a9e8d2b17')
    def test_restored_behind_the_first_gib(self) -> None:
        """Data past the first GiB is restored, at its place.

        If it fails, all volumes but the smallest are lost in part.
        """
        self.restore_and_compare(self.make_larger())


class TenantChainTest(TenantScenario):
    """Three backups that build on each other, whose volume is gone."""

    needed_features = ('incremental',)
    rewrites_content = True
    makes = backups.CHAIN

    @decorators.idempotent_id('e6f0c5a4-5fd1-4b1c-a2d8-9f4d7e1b3c68')
    def test_each_restored_to_new_volume(self) -> None:
        """Each state that was backed up comes back.

        If it fails, a user who returns to last week gets another week, or a
        volume that never existed.
        """
        for link in self.chain:
            self.restore_and_compare(
                link, history=tuple(one.layout for one in self.chain))


class TenantLongChainTest(TenantScenario):
    """Nine backups that build on each other."""

    needed_features = ('incremental', 'long_chains')
    rewrites_content = True

    @decorators.idempotent_id('9a51d0de-6bb5-4e0b-93d4-2f7c0e6b1a85')
    def test_newest_restored(self) -> None:
        """The newest of nine backups has the changes of all.

        If it fails, a user who backs up each night gets a volume without some
        of the changes, and no chain of a few days shows it.
        """
        # Small, as an image of it is written for each.
        layout = content_layout.Layout(backups.OURS, self.size_bytes)
        history = []
        volume_id = parent_id = backup_id = ''
        for number in range(tenant.LONG_CHAIN):
            layout = layout.overwrite(number * backups.MIB, backups.MIB)
            if volume_id:
                self.content.rewrite(volume_id, layout,
                                     since=layout.generation - 1)
            else:
                volume_id = self.content.create_volume(layout)
            backup_id = self.resources.create_backup(
                volume_id, incremental=number > 0)['id']
            if parent_id:
                self.wait_for_child_of(parent_id)
            parent_id = backup_id
            history.append(layout)
        self.restore_and_compare(
            self.link(f'backup {len(history)} of a chain', layout, backup_id),
            history=tuple(history))


class TenantSnapshotTest(TenantScenario):
    """A backup of a snapshot, whose volume has changed since."""

    rewrites_content = True

    @decorators.idempotent_id('7d2b9a53-9e0f-4c8e-b4a6-1c5e8f2d0b39')
    def test_snapshot_restored(self) -> None:
        """The state of the snapshot comes back, and not that of the volume.

        If it fails, a user who backs up a snapshot of a moment at which a
        database was at rest gets one that cannot be started.
        """
        before = self.layout(backups.OURS)
        after = before.overwrite(16 * backups.MIB, backups.MIB)
        volume_id = self.content.create_volume(before)
        snapshot = self.resources.create_snapshot(volume_id)
        self.content.rewrite(volume_id, after, since=before.generation)
        backup = self.resources.create_backup(
            volume_id, snapshot_id=snapshot['id'])
        self.restore_and_compare(
            self.link('backup of a snapshot', before, backup['id']),
            history=(after,))


class TenantEncryptedTest(encrypted.EncryptedVolumes[backups.Made],
                          TenantScenario):
    """A full backup of an encrypted volume, which is gone with its key."""

    @classmethod
    def resource_setup(cls) -> None:
        """Make the backup, and delete the volume."""
        super().resource_setup()
        cls.full = cls.make_full(cls.layout(backups.OURS))

    @decorators.idempotent_id('c1f4e7a2-8d35-49b6-a0c9-5e2b7d4f8136')
    def test_restored_to_new_volume(self) -> None:
        """Each byte of a deleted volume is read with the restored key.

        If it fails, a user gets a volume that the cloud calls restored and
        that nothing can open.
        """
        volume_id = self.create_from(self.full)
        self.assert_readable(volume_id, self.full)

    @decorators.idempotent_id('6b8d2e91-4c7f-4a05-9e13-d7a6f0c5b284')
    @features.needs('restore_to_existing_volume')
    def test_restored_onto_existing_volume(self) -> None:
        """A restore replaces the content of an encrypted volume and its key.

        If it fails, the volume has the data of one key and the id of another.
        """
        foreign = self.layout(backups.FOREIGN)
        volume_id = self.content.create_volume(foreign)
        old = self.key_of(clients.VOLUME, volume_id)
        self.restore_and_compare(self.full, onto=volume_id,
                                 history=(foreign,))
        if CONF.cinder_backup_recovery_feature_enabled.separate_keys:
            self.assert_key(old, False, 'the replaced content')
