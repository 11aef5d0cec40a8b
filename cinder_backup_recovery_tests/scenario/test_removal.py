# SPDX-License-Identifier: Apache-2.0

"""Backups that were recovered, and are not wanted any more."""

import time

from tempest.lib import decorators
from tempest.lib import exceptions as lib_exc

from backup_stores import base as stores_base
from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.cloud import waiters
from cinder_backup_recovery_tests.scenario import backups
from cinder_backup_recovery_tests.scenario import base
from cinder_backup_recovery_tests.scenario import stores

# Seconds after which a list of objects must agree with their deletion: that
# of Swift may be late.
_LATE = 60


class RemovalTest(stores.StoreScenario):
    """A chain is imported, and then deleted."""

    needed_features = ('row_loss_hard', 'incremental')
    rewrites_content = True
    makes = backups.CHAIN

    def remains(self, link: base.Link) -> list[str]:
        """List the objects of a backup on the storage."""
        found = self.store.remains(
            stores_base.Backup.from_fields(link.record.fields))
        if found is None:
            raise self.skipException(
                'the adapter of [cinder_backup_recovery] backup_store does '
                'not list the remains of a backup')
        return list(found)

    @decorators.idempotent_id('b0a5a4c9-3a52-4b0c-9d43-7f1a6f0f3c58')
    def test_deleted_from_the_storage(self) -> None:
        """An imported backup is deleted from the storage with its row.

        A parent is not deleted before its children. If it fails, a site that
        has recovered its backups pays for them indefinitely; or the deletion
        of an old backup destroys all that build on it.
        """
        for link in self.chain:
            self.assertNotEqual([], self.remains(link))
        self.lose_and_import(self.chain)
        for number in reversed(range(len(self.chain))):
            link = self.chain[number]
            for parent in self.chain[:number]:
                self._refused(parent)
            with self.story.step(f'delete {link.what} {link.backup_id}'):
                self.class_resources.remove(clients.BACKUP, link.backup_id)
            with self.story.step('nothing of it is on the storage'):
                self._wait_until_free(link)
            for parent in self.chain[:number]:
                self.assertNotEqual(
                    [], self.remains(parent),
                    f'with {link.what}, {parent.what} {parent.backup_id} was '
                    f'removed from the storage')

    def _refused(self, parent: base.Link) -> None:
        before = self.remains(parent)
        with self.story.step(f'{parent.what} {parent.backup_id} has children '
                             f'and is not deleted'):
            self.assertRaises(lib_exc.BadRequest, self.cloud.delete,
                              clients.BACKUP, parent.backup_id)
            self.assertEqual('available', self.cloud.show(
                clients.BACKUP, parent.backup_id)['status'])
            self.assertEqual(before, self.remains(parent))

    def _wait_until_free(self, link: base.Link) -> None:
        started = time.monotonic()
        while left := self.remains(link):
            if time.monotonic() - started > _LATE:
                self.fail(f'{link.what} {link.backup_id} is deleted, but '
                          f'still on the storage: {", ".join(left)}')
            time.sleep(self.patience.interval)


class ParentRemovalTest(base.RecoveryScenario):
    """An incremental backup has lost its row, and its parent has not."""

    needed_features = ('row_loss_hard', 'incremental')
    rewrites_content = True
    makes = backups.PAIR

    @decorators.attr(type=['negative'])
    @decorators.idempotent_id('8f1f3f0e-7a86-4d92-9a35-0c3d7be1a2f4')
    def test_parent_deleted_meanwhile(self) -> None:
        """No deletion takes what a lost backup needs to be recovered.

        The storage knows of the child. If it fails, who deletes old backups
        before all rows are recovered destroys the newer ones with them, and
        learns it when one is to be restored.
        """
        parent, child = self.chain
        self.lose_rows([child.record])
        with self.story.step(f'delete {parent.what} {parent.backup_id}'):
            try:
                self.cloud.delete(clients.BACKUP, parent.backup_id)
                waiters.wait_for_deletion(self.cloud, clients.BACKUP,
                                          parent.backup_id, self.patience)
            except (exceptions.ResourceFailed,
                    lib_exc.BadRequest) as refused:
                self.story.note(f'it is refused: {refused}')
        self.resources.import_record(child.record)
        with self.known_defect('deletion-of-parent', looks=lambda exc:
                               isinstance(exc, exceptions.ResourceFailed)):
            self.restore_and_compare(child)
