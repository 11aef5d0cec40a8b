# SPDX-License-Identifier: Apache-2.0

"""Records that name the data of another backup.

An edited record can have the id of one backup and the place of another.
A driver may import it or refuse it, but a restore or a deletion of it must not
harm the user's data.
"""

import ddt
from tempest.lib import decorators
from tempest.lib import exceptions as lib_exc

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import record as backup_record
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.cloud import waiters
from cinder_backup_recovery_tests.content import compare
from cinder_backup_recovery_tests.scenario import backups
from cinder_backup_recovery_tests.scenario import base

_PLACE = ('container', 'service_metadata', 'object_count', 'volume_id')
DIRECT = 'direct'
"""The record has the place of the other backup in its own one's place."""
PATH = 'path'
"""It leads there by a path that starts at its own place and leaves it."""


@ddt.ddt
class ForeignDataTest(base.RecoveryScenario):
    """A backup is imported with the place of another one.

    Both are made by these tests: a driver that is led astray reads, and
    deletes, nothing else.
    """

    needed_features = ('row_loss_hard',)

    @classmethod
    def resource_setup(cls) -> None:
        """Make a backup, and export its record."""
        super().resource_setup()
        cls.ours = cls.make_full(cls.layout(backups.OURS))

    def import_edited(self, way: str, other: base.Link) -> bool:
        """Delete the row of our backup, and import it with another place.

        :param other: whose place the record names
        :returns: whether there is a row, available or in an error
        """
        self.lose_rows([self.ours.record])
        # Before the true record is imported again.
        self.addCleanup(self._lose_edited)
        with self.story.step(f'import {self.ours.backup_id} with the place '
                             f'of {other.backup_id}'):
            try:
                self.cloud.import_record(self._edited(way, other))
            except lib_exc.BadRequest:
                return False
            self.resources.wait(
                clients.BACKUP, self.ours.backup_id, ('available', 'error'),
                timeout=self.patience.backup)
        return True

    def _edited(self, way: str, other: base.Link
                ) -> backup_record.BackupRecord:
        self.ledger.require(clients.BACKUP,
                            [self.ours.backup_id, other.backup_id])
        place = {name: other.record.fields[name] for name in _PLACE}
        if way == PATH:
            own = self.ours.record.fields['container']
            up = '/..' * len(own.split('/'))
            place['container'] = f'{own}{up}/{place["container"]}'
        return self.ours.record.edited(**place)

    def _lose_edited(self) -> None:
        # Not by a request: the driver would delete what the row names.
        self.rows.lose_if_live(self.ours.backup_id, self.project_id)

    @decorators.attr(type=['negative'])
    @decorators.idempotent_id('df0d4bcf-2fb3-4999-85e5-7e909704ea63')
    @ddt.data(DIRECT, PATH)
    def test_not_restored(self, way: str) -> None:
        """The data of another backup is not restored as this one's.

        If it fails, a user gets the data of another user in a volume that
        counts as restored.
        """
        other = self.make_full(self.layout(backups.FOREIGN), 'another backup')
        with self.known_defect('restore-of-another-backup',
                               shows=way == DIRECT, looks=_is_foreign):
            if self.import_edited(way, other):
                self._assert_not_restored(other)

    def _assert_not_restored(self, other: base.Link) -> None:
        try:
            volume_id = self.resources.restore(self.ours.backup_id)
        except (exceptions.ResourceFailed,
                lib_exc.RestClientException) as refused:
            with self.story.step(f'it is not restored: {refused}'):
                return
        self.assert_content(
            volume_id, self.ours.layout,
            f'{self.ours.what} {self.ours.backup_id}, imported with the '
            f'place of {other.backup_id} and restored', (other.layout,))

    @decorators.attr(type=['negative'])
    @decorators.idempotent_id('5efc40e5-e249-4ab3-8beb-b763a8739a3c')
    @ddt.data(DIRECT, PATH)
    def test_not_deleted(self, way: str) -> None:
        """The deletion of a backup removes no data of another one.

        An administrator who has imported a wrong record deletes the backup.
        If it fails, another user's backup is destroyed by that, and still
        called available.
        """
        other = self.make_full(self.layout(backups.FOREIGN), 'another backup')
        if self.import_edited(way, other):
            with self.story.step(f'delete {self.ours.backup_id}'):
                self.cloud.delete(clients.BACKUP, self.ours.backup_id)
                waiters.wait_for_deletion(
                    self.cloud, clients.BACKUP, self.ours.backup_id,
                    self.patience)
        with self.known_defect('deletion-of-another-backup',
                               shows=way == DIRECT, looks=_is_gone):
            self.restore_and_compare(other)


def _is_foreign(failure: BaseException) -> bool:
    # Where the other backup has zeros, its data reads as zeroed.
    return (isinstance(failure, exceptions.ContentMismatch) and
            compare.FOREIGN in failure.kinds <= {compare.FOREIGN,
                                                 compare.ZEROED})


def _is_gone(failure: BaseException) -> bool:
    return isinstance(failure, exceptions.ResourceFailed)
