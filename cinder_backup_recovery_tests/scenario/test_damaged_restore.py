# SPDX-License-Identifier: Apache-2.0

"""Restores of backups that were damaged after their import.

An import need not read a backup. A restore does: with whichever driver, it
ends in an error or restores the bytes that were backed up.
"""

from collections.abc import Collection

from tempest.lib import decorators

from backup_stores import base as stores_base
from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.content import compare
from cinder_backup_recovery_tests.scenario import backups
from cinder_backup_recovery_tests.scenario import base
from cinder_backup_recovery_tests.scenario import damages

_MISSING = (stores_base.DESCRIPTION_MISSING, stores_base.DATA_MISSING,
            stores_base.EXTRA)
_CHANGED = (stores_base.LENGTH, stores_base.REPLACED, stores_base.CHANGED,
            stores_base.SWAPPED)


class DamagedRestoreScenario(damages.DamageScenario):
    """Base of the tests that restore a damaged backup."""

    def check_restores(self, families: Collection[str], victim: base.Link,
                       link: base.Link, defect: str,
                       history: tuple[base.Link, ...] = ()) -> None:
        """Restore a backup with each damage.

        All of them are tried, also after one has led to wrong bytes.

        :param link: the restored backup, which is imported
        :param defect: the known defect by which a driver restores wrong
            bytes
        """
        chosen = [
            damage for damage in self.store.damages(
                stores_base.Backup.from_fields(victim.record.fields))
            if damage.family in families and
            (link is victim or damage.hits_children)]
        if not chosen:
            raise self.skipException('backup_store has no such damage')
        wrong = {}
        for damage in chosen:
            with self.damaged(damage, victim), self.story.step(
                    f'{victim.what} was damaged: {damage.name}'):
                mismatch = self._mismatch(damage, link, history)
            if mismatch:
                wrong[damage.name] = mismatch
            self.resources.wait(
                clients.BACKUP, link.backup_id, 'available',
                timeout=self.patience.restore)
        with self.known_defect(defect, looks=_looks):
            if wrong:
                raise _all_of(wrong)

    def _mismatch(self, damage: stores_base.Damage, link: base.Link,
                  history: tuple[base.Link, ...]
                  ) -> exceptions.ContentMismatch | None:
        """Restore a damaged backup; None unless wrong bytes are available."""
        volume_id = self.resources.begin_restore(link.backup_id)
        try:
            self.resources.wait_for_restore(link.backup_id, volume_id)
            self.assert_content(
                volume_id, link.layout, f'{link.what}, restored',
                tuple(one.layout for one in (self.other, *history)))
        except exceptions.ResourceFailed as exc:
            with self.story.step(f'the restore ends in an error: {exc}'):
                return None
        except exceptions.ContentMismatch as exc:
            return exc
        finally:
            # Room, and quota, for the next one: also after a failed restore.
            self.resources.remove(clients.VOLUME, volume_id)
        if damage.ruins_restore:
            self.fail(
                f'with {damage.name} the restored volume is right: does '
                f'[cinder_backup_recovery] backup_store reach the backups '
                f'of this cloud?')
        return None


def _looks(failure: BaseException) -> bool:
    # Bytes of another day, or of a volume that is too short, are no damage's.
    return isinstance(failure, exceptions.ContentMismatch) and (
        failure.kinds <= {compare.FOREIGN, compare.GARBAGE, compare.SHIFTED,
                          compare.ZEROED})


def _all_of(wrong: dict[str, exceptions.ContentMismatch]
            ) -> exceptions.ContentMismatch:
    """Make one failure of those of several damages, by their names."""
    found = exceptions.ContentMismatch('\n'.join(
        f'with {name} the restored volume is available and wrong: {mismatch}'
        for name, mismatch in wrong.items()))
    found.kinds = frozenset().union(*(
        mismatch.kinds for mismatch in wrong.values()))
    return found


class DamagedBackupRestoreTest(DamagedRestoreScenario):
    """A full backup is damaged on its storage, and restored."""

    makes = backups.FULL

    @decorators.idempotent_id('91ed46e6-126e-4233-ae00-a517882c7753')
    def test_damaged_after_import(self) -> None:
        """A restore of changed data never restores wrong bytes as available.

        If it fails, a user gets a volume that is not the one that was backed
        up, or has data of another user in it, and works on with it.
        """
        self.lose_and_import([self.full])
        self.check_restores(_CHANGED, self.full, self.full,
                            'restore-takes-changed-data')
        self.restore_and_compare(self.full, history=(self.other.layout,))

    @decorators.idempotent_id('58aea46c-ff50-446f-bfff-081404ba96e0')
    def test_incomplete_after_import(self) -> None:
        """A restore of an incomplete backup never ends as available.

        Unless the missing or additional part is not needed for it. If it
        fails, a user gets a volume with a hole, which reads as zeros, and
        works on with it.
        """
        self.lose_and_import([self.full])
        self.check_restores(_MISSING, self.full, self.full,
                            'restore-takes-missing-data')
        self.restore_and_compare(self.full, history=(self.other.layout,))


class DamagedParentRestoreTest(DamagedRestoreScenario):
    """The parent of an incremental backup is damaged, the child restored."""

    needed_features = (*DamagedRestoreScenario.needed_features, 'incremental')
    rewrites_content = True
    makes = backups.PAIR

    @decorators.idempotent_id('92df1dc3-a5f5-4b18-9e4a-b8fc93170650')
    def test_parent_damaged_after_import(self) -> None:
        """A restore checks the data of the parents, too.

        If it fails, a user gets a volume whose unchanged blocks are wrong:
        most of it, where little changes from day to day.
        """
        full, child = self.chain
        self.lose_and_import(self.chain)
        self.check_restores(_CHANGED, full, child,
                            'restore-takes-changed-data', (full,))
        self.restore_and_compare(child, history=(full.layout,))
