# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Base of the tests that import what must not be imported.

Two backups are made: the row of one is lost, and bad records are imported in
its place; the other one stands beside it and must not be touched.
"""

from collections.abc import Iterable
import contextlib
import dataclasses
import time
import uuid

from tempest.lib import exceptions as lib_exc

from cinder_backup_recovery_tests import clients
from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import known_defects
from cinder_backup_recovery_tests import record as backup_record
from cinder_backup_recovery_tests import waiters
from cinder_backup_recovery_tests.api import lost_backup
from cinder_backup_recovery_tests.rows import base as rows_base

# What a restore goes by, and what therefore makes a row true.
TRUTH = ('id', 'volume_id', 'container', 'service_metadata', 'service',
         'size', 'object_count', 'parent_id', 'snapshot_id')

GOOD = 'good'
"""The backup is available, and its record is the true one."""
REFUSAL = 'refusal'
"""400 and no row, or 413 for what is too large."""
ERROR = 'error'
"""A row was made that is in error, with a reason."""
WRONG = 'wrong'
"""A row was made that is available and says what is not true."""

# How known defects look: nothing else may be excused with them.
BROKE = 'broke Cinder'
ENDLESS = 'comes to no end'
_LOOKS = {
    'import-deep-json': BROKE,
    'import-id-without-text': BROKE,
    'import-stays-creating': ENDLESS,
}


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of an import."""

    what: str
    said: str


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


class BadRecordTest(lost_backup.LostBackupTest):
    """Base: a lost backup, and another one that must not be touched."""

    @classmethod
    def resource_setup(cls) -> None:
        """Make another backup, and see how long an import takes."""
        super().resource_setup()
        neighbour = cls.make_backup()
        cls.neighbour_record = cls.class_resources.export_record(neighbour)
        cls.neighbour = cls.cloud.show(clients.BACKUP, neighbour)
        started = time.monotonic()
        cls.class_resources.import_record(cls.record)
        # Where it is known that an import may never end, nobody waits for
        # the whole time-out: this long says enough.
        cls.long = 2 + 4 * (time.monotonic() - started)
        cls.lose(cls.backup_id)

    def outcome(self, record: backup_record.BackupRecord,
                stuck: bool = False, too_large: bool = False) -> Outcome:
        """Import a bad record, and see what comes of it.

        The row that it makes is lost again, and the other backup compared.

        :param record: what to import
        :param stuck: whether it may stay in creating for ever
        :param too_large: whether it may be over the quota, too
        :raises AssertionError: a 5xx, a backup without an end, an error
            without a reason, or the other backup was changed
        """
        try:
            answer = self.cloud.import_record(record)
        except self._refusals(too_large) as exc:
            outcome = Outcome(REFUSAL, ' '.join(str(exc).split())[:300])
            self._assert_no_row(outcome)
        except lib_exc.ServerFault as exc:
            self.fail(f'the import of a bad record was not refused but '
                      f'{BROKE}: {" ".join(str(exc).split())[:300]}')
        else:
            backup_id = str(answer['id'])
            self._adopt(backup_id)
            outcome = self._settled(backup_id, stuck)
            self._discard(backup_id)
        self.assert_neighbour()
        return outcome

    def _adopt(self, backup_id: str) -> None:
        """List the row of an id that no backup of the suite has."""
        if not self.ledger.owns(clients.BACKUP, backup_id):
            self.ledger.add(clients.BACKUP, backup_id)
            self.addCleanup(self._discard, backup_id)

    def _discard(self, backup_id: str) -> None:
        if not _is_uuid(backup_id):
            self.resources.remove(clients.BACKUP, backup_id)
            return
        self.lose(backup_id)
        if (backup_id != self.backup_id and
                self.ledger.owns(clients.BACKUP, backup_id)):
            self.ledger.gone(clients.BACKUP, backup_id)

    def _assert_no_row(self, outcome: Outcome) -> None:
        # Marked deleted it may be, by a request of another test.
        state = self.rows.exists([self.backup_id])[self.backup_id]
        self.assertNotEqual(
            rows_base.LIVE, state,
            f'a refused import ({outcome.said}) has left a row')

    def _settled(self, backup_id: str, stuck: bool) -> Outcome:
        limit = self.long if stuck else self.patience.backup
        try:
            view = waiters.wait_for_status(
                self.cloud, clients.BACKUP, backup_id,
                ('available', 'error'), self.patience, timeout=limit)
        except exceptions.WaitTimeout as exc:
            self.fail(f'the import of a bad record {ENDLESS}: {exc}')
        if view['status'] == 'error':
            self.assertTrue(
                view['fail_reason'],
                f'the import of a bad record of backup {backup_id} failed '
                f'without a reason')
            return Outcome(ERROR, view['fail_reason'])
        return self._judge_available(backup_id)

    def _judge_available(self, backup_id: str) -> Outcome:
        try:
            fields = self.cloud.export_record(backup_id).fields
        except (lib_exc.BadRequest, lib_exc.ServerFault) as exc:
            return Outcome(WRONG, f'it is available but cannot be exported: '
                                  f'{" ".join(str(exc).split())[:300]}')
        true = self.record.fields
        false = {name: (true.get(name), fields.get(name)) for name in TRUTH
                 if true.get(name) != fields.get(name)}
        if false:
            return Outcome(WRONG, f'it is available with (true, imported) '
                                  f'{false}')
        return Outcome(GOOD, '')

    def assert_neighbour(self) -> None:
        """Prove that the other backup is as it was."""
        now = self.cloud.show(clients.BACKUP, self.neighbour['id'])
        self.assertEqual(
            self.neighbour, now,
            'the import of a bad record has changed another backup')

    @staticmethod
    def _refusals(too_large: bool) -> tuple[type[Exception], ...]:
        # Over quota is no answer to anything else: it would hide what the
        # import would have done.
        return ((lib_exc.BadRequest, lib_exc.OverLimit) if too_large else
                (lib_exc.BadRequest,))

    def assert_malformed(self, urls: Iterable[tuple[str, str]],
                         too_large: bool = False) -> None:
        """Import what is no record at all: each must be refused at once.

        :param urls: what they are called, and what the import is given
        :param too_large: whether 413 is an answer, too
        """
        for name, url in urls:
            record = backup_record.BackupRecord(
                self.record.backup_service, url)
            try:
                answer = self.cloud.import_record(record)
            except self._refusals(too_large):
                continue
            except lib_exc.ServerFault as exc:
                self.fail(f'the import of {name} was not refused but '
                          f'{BROKE}: {" ".join(str(exc).split())[:300]}')
            self._adopt(str(answer['id']))
            self.fail(f'the import of {name} was accepted')
        self._assert_no_row(Outcome(REFUSAL, 'all of them'))
        self.assert_neighbour()

    def assert_refused(self, record: backup_record.BackupRecord,
                       defect: str | None = None, shows: bool = True,
                       too_large: bool = False) -> None:
        """Import a bad record, of which no backup must come.

        :param record: what to import
        :param defect: a known defect of Cinder that may show
        :param shows: whether it shows in every cloud that has it
        :param too_large: whether it may be over the quota, too
        """
        self._assert_outcome((REFUSAL, ERROR), record, defect, shows,
                             too_large)

    def assert_harmless(self, record: backup_record.BackupRecord,
                        defect: str | None = None, shows: bool = True
                        ) -> None:
        """Import a record whose fault may be borne: it is true or refused.

        :param record: what to import
        :param defect: a known defect of Cinder that may show
        :param shows: whether it shows in every cloud that has it
        """
        self._assert_outcome((REFUSAL, ERROR, GOOD), record, defect, shows)

    def known_as(self, defect: str, shows: bool = True
                 ) -> contextlib.AbstractContextManager[None]:
        """Check what a known defect breaks, and excuse nothing else.

        :param defect: its name
        :param shows: whether it shows in every cloud that has it
        """
        words = _LOOKS.get(defect)
        return self.known_defect(
            defect, shows, known_defects.says(words) if words else None)

    def _assert_outcome(self, allowed: tuple[str, ...],
                        record: backup_record.BackupRecord,
                        defect: str | None, shows: bool,
                        too_large: bool = False) -> None:
        if defect is None:
            outcome = self.outcome(record, too_large=too_large)
            self.assertIn(outcome.what, allowed, outcome.said)
            return
        with self.known_as(defect, shows):
            outcome = self.outcome(record, self.is_declared(defect),
                                   too_large)
            self.assertIn(outcome.what, allowed, outcome.said)
