# SPDX-License-Identifier: Apache-2.0

"""Imports of backups that were damaged on their storage.

Each damage is undone, and at the end of each test the same record must
import. That every byte is right again is shown by a restore once in each
class and not after each damage, since a restore takes longer than all the
rest.
"""

from collections.abc import Iterable
from typing import Any

from tempest import config
from tempest.lib import decorators
from tempest.lib import exceptions as lib_exc

from backup_stores import base as stores_base
from cinder_backup_recovery_tests import capabilities
from cinder_backup_recovery_tests import facts
from cinder_backup_recovery_tests import features
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.cloud import waiters
from cinder_backup_recovery_tests.scenario import backups
from cinder_backup_recovery_tests.scenario import base
from cinder_backup_recovery_tests.scenario import damages

CONF = config.CONF

# Characters of a fail_reason to which nothing more would have fitted; the
# column has 255.
_CUT_OFF = 250


class VerifyScenario(damages.DamageScenario):
    """Base of the tests that import a damaged backup."""

    needed_features = (*damages.DamageScenario.needed_features,
                       'import_verify')

    def damages(self, families: Iterable[str], victim: base.Link,
                of_parent: bool = False) -> list[stores_base.Damage]:
        """Choose the damages that the cloud's driver must find.

        :param of_parent: only such as hit the backups that build on it
        """
        wanted = [
            one for one in self.store.damages(
                stores_base.Backup.from_fields(victim.record.fields))
            if one.family in families and (one.hits_children or
                                           not of_parent)]
        levels = capabilities.LEVELS
        level = (CONF.cinder_backup_recovery_feature_enabled
                 .import_verify_level)
        found = [one for one in wanted
                 if levels.index(one.level) <= levels.index(level)]
        if not found:
            raise (features.skip('import_verify_level', level) if wanted else
                   self.skipException('backup_store has no such damage'))
        return found

    def lose(self, *links: base.Link) -> None:
        """Lose the rows of backups, those of failed imports too."""
        self.rows.lose(clients.BACKUP, [link.backup_id for link in links],
                       project_id=self.project_id)

    def put_right(self, links: Iterable[base.Link]) -> None:
        """Bring the rows back that a failed test has not.

        Without its row, or with that of a failed import, a backup cannot be
        removed from its storage.

        :param links: a parent before its children
        """
        for link in links:
            try:
                view = self.cloud.show(clients.BACKUP, link.backup_id)
            except lib_exc.NotFound:
                pass
            else:
                if view['status'] == 'available':
                    continue
                self.lose(link)
            self.resources.import_record(link.record)

    def ends(self, link: base.Link) -> dict[str, Any]:
        """Import a record and wait for the result.

        :returns: the backup then, available or in an error
        """
        self.cloud.import_record(link.record)
        return self.resources.wait(
            clients.BACKUP, link.backup_id, ('available', 'error'),
            timeout=self.patience.backup)

    def check_refused(self, link: base.Link, names: Iterable[str],
                      victim: base.Link, damage: stores_base.Damage
                      ) -> str | None:
        """Import a damaged backup.

        :param names: what of it is damaged, of which the reason must name
            one, if there are any
        :param victim: the backup that is damaged, it or its parent
        :returns: the mistake in the result, or None
        """
        with self.story.step(f'import {link.what} {link.backup_id}',
                             facts.IMPORT):
            view = self.ends(link)
        reason = waiters.reasons(self.cloud, clients.BACKUP, link.backup_id,
                                 view)
        refused = view['status'] == 'error'
        self.story.facts.answers.append(facts.Answer(
            victim.what, damage.name, link.what, reason if refused else None))
        if not refused:
            return f'the import of {link.what} ended as available'
        self.story.note(f'it ends in an error: {reason}')
        names = list(names)
        # Cinder cuts a long reason off.
        whole = len(view['fail_reason'] or '') < _CUT_OFF
        if names and whole and not any(name in reason for name in names):
            return (f'the import of {link.what} ends in an error that does '
                    f'not name {" or ".join(names)}: {reason}')
        return None

    def check_damages(self, families: Iterable[str], victim: base.Link,
                      imported: list[base.Link]) -> None:
        """Import a backup with each damage, and then without any.

        All of them are tried, also after one was not found. Each is undone,
        and seen to be, before the next one.

        :param imported: what is imported each time, a parent before its
            children
        """
        children = [link for link in imported if link is not victim]
        self.addCleanup(self.put_right, imported)
        self.lose(*imported)
        wrong = []
        for damage in self.damages(families, victim, bool(children)):
            with self.damaged(damage, victim) as plan, self.story.step(
                    f'while {victim.what} has this damage: {damage.name}'):
                # The newest first: it must not need the row of its parent.
                for link in reversed(imported):
                    problem = self.check_refused(link, [
                        *plan.names,
                        *([] if link is victim or not plan.names else
                          ['parent'])], victim, damage)
                    if problem:
                        wrong.append(f'{victim.what} with {damage.name}: '
                                     f'{problem}')
                self.lose(*imported)
        with self.story.step('each of them undone, it imports again'):
            self.put_right(imported)
        self.assertEqual([], wrong, '; '.join(wrong))


class DamagedBackupTest(VerifyScenario):
    """A full backup is damaged on its storage, and imported."""

    makes = backups.FULL

    @decorators.idempotent_id('113f9649-bfd0-4516-b9f7-36e15d5fe29a')
    def test_unharmed(self) -> None:
        """A backup that nothing has happened to is imported.

        If it fails, the driver refuses what it could restore, and after a
        disaster an administrator takes good backups for lost ones.
        """
        self.lose_and_import([self.full])

    @decorators.idempotent_id('180169b0-d9a7-43b4-b8cd-b0f1b676a22a')
    def test_description_missing(self) -> None:
        """The import finds that the description of the backup is missing.

        If it fails, an administrator deletes the old cloud in the belief that
        all backups were taken over, and some cannot be restored.
        """
        self.check_damages([stores_base.DESCRIPTION_MISSING], self.full,
                           [self.full])

    @decorators.idempotent_id('8127c8ca-ec2f-4a8a-9711-0a94d4d9b07f')
    def test_data_missing(self) -> None:
        """The import finds that data of the backup is gone.

        If it fails, a user learns on the day of the restore that the only
        backup has a hole.
        """
        self.check_damages([stores_base.DATA_MISSING], self.full,
                           [self.full])

    @decorators.idempotent_id('987c4331-a203-451a-a9d1-64c2f2735749')
    def test_something_added(self) -> None:
        """The import finds more than the backup consists of.

        If it fails, it is left to chance which of two states of a volume a
        user gets back.
        """
        self.check_damages([stores_base.EXTRA], self.full, [self.full])

    @decorators.idempotent_id('df5324e3-eb74-48e8-aafa-f4636eb2cf3d')
    def test_length_changed(self) -> None:
        """The import finds that part of the backup has another length.

        If it fails, a copy to another site that was cut off counts as a
        backup.
        """
        self.check_damages([stores_base.LENGTH], self.full, [self.full])

    @decorators.idempotent_id('923fa551-329a-4bc1-a2ba-91c4df5cab0a')
    def test_part_of_another_backup(self) -> None:
        """The import finds data of another backup in the place of this one's.

        If it fails, a user gets the data of another user.
        """
        self.check_damages([stores_base.REPLACED], self.full, [self.full])

    @decorators.idempotent_id('7c32b520-b3bc-4717-b7d2-f8fa19b7ac70')
    def test_bytes_changed(self) -> None:
        """The import finds that bytes are not those that were backed up.

        If it fails, a bit that a disk has lost ends up in a user's database,
        unnoticed.
        """
        self.check_damages([stores_base.CHANGED], self.full, [self.full])

    @decorators.idempotent_id('487f1c1e-d894-417b-befc-96aaf7cafa13')
    def test_parts_swapped(self) -> None:
        """The import finds that two parts of the backup changed places.

        If it fails, a user gets a volume that has all of its data, in the
        wrong places.
        """
        self.check_damages([stores_base.SWAPPED], self.full, [self.full])


class DamagedParentTest(VerifyScenario):
    """The parent of an incremental backup is damaged."""

    needed_features = (*VerifyScenario.needed_features, 'incremental')
    rewrites_content = True
    makes = backups.PAIR

    @decorators.idempotent_id('f31accf7-b0f0-4e16-baa6-7a353158049d')
    def test_unharmed_in_both_orders(self) -> None:
        """A chain that nothing has happened to is imported, either end first.

        If it fails, it depends on the order in which an administrator
        imports whether good backups are taken for lost ones.
        """
        self.addCleanup(self.put_right, self.chain)
        for order in (list(reversed(self.chain)), self.chain):
            self.lose(*self.chain)
            for link in order:
                self.resources.import_record(link.record)
        self.restore_and_compare(
            self.chain[-1], history=(self.chain[0].layout,))

    @decorators.idempotent_id('76db0a98-7560-4676-b02e-269a661e4c60')
    def test_parent_missing(self) -> None:
        """The import of a child finds that its parent is gone.

        If it fails, an incremental backup counts as one, and can never be
        restored.
        """
        self.check_damages([stores_base.DESCRIPTION_MISSING,
                            stores_base.DATA_MISSING],
                           self.chain[0], self.chain)

    @decorators.idempotent_id('40f4e4b8-392b-40a7-87f3-ebe882b86bbf')
    def test_parent_damaged(self) -> None:
        """The import of a child finds that its parent is damaged.

        If it fails, a user gets a volume whose unchanged blocks are wrong:
        most of it, where little changes from day to day.
        """
        self.check_damages([stores_base.LENGTH, stores_base.REPLACED,
                            stores_base.CHANGED, stores_base.SWAPPED],
                           self.chain[0], self.chain)
