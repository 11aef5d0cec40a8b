# SPDX-License-Identifier: Apache-2.0

"""Base of the tests that import bad records.

Two backups are made: the row of one is lost, and bad records are imported in
its place; the other one must stay unchanged.
"""

from collections.abc import Iterable
import contextlib
import dataclasses
import time
import uuid

from tempest.lib import exceptions as lib_exc

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import record as backup_record
from cinder_backup_recovery_tests.api import lost_backup
from cinder_backup_recovery_tests.api import refusals
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.rows import base as rows_base

# What a restore goes by, and what therefore makes a row true.
TRUTH = ('id', 'volume_id', 'container', 'service_metadata', 'service',
         'size', 'object_count', 'parent_id', 'snapshot_id')

GOOD = 'good'
"""The backup is available, and its record is the true one."""
REFUSAL = 'refusal'
"""400 and no row, or 413 where it may be over the quota."""
ERROR = 'error'
"""A row was made that is in error, with a reason."""
WRONG = 'wrong'
"""A row was made that is available, and its record is wrong."""

STAYS = 'import-stays-creating'


class NoEnd(AssertionError):
    """A backup stayed in status creating."""


class NotAllowed(AssertionError):
    """A bad record was imported, or created something."""


# Symptoms of known defects: they excuse nothing else.
_LOOKS = {
    'import-deep-json': refusals.BrokeCinder,
    'import-id-without-text': refusals.BrokeCinder,
    'import-id-not-uuid': NotAllowed,
    'import-negative-size': NotAllowed,
    STAYS: NoEnd,
}


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The result of an import."""

    what: str
    said: str


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


class BadRecordTest(lost_backup.LostBackupTest):
    """Base: a lost backup, and another one that must not be touched."""

    #: Whether an import has stayed in creating for all the time that it has.
    has_stayed = False

    @classmethod
    def resource_setup(cls) -> None:
        """Make another backup, and see how long an import takes."""
        super().resource_setup()
        neighbour = cls.make_backup()
        cls.neighbour_record = cls.class_resources.export_record(neighbour)
        cls.neighbour = cls.cloud.show(clients.BACKUP, neighbour)
        started = time.monotonic()
        cls.class_resources.import_record(cls.record)
        # Where an import is known to never end, this long is waited, and not
        # the whole time-out.
        cls.long = 2 + 4 * (time.monotonic() - started)
        cls.lose(cls.backup_id)

    def outcome(self, record: backup_record.BackupRecord,
                defect: str | None = None, over_quota: bool = False
                ) -> Outcome:
        """Import a bad record, and return the result.

        The row that it makes is deleted again, and the other backup compared.

        :param over_quota: whether it may be over the quota, too
        :raises refusals.BrokeCinder: it was answered with a 5xx
        :raises NoEnd: the backup stays in creating
        :raises AssertionError: an error without a reason, or the other
            backup was changed
        """
        try:
            answer = self.cloud.import_record(record)
        except refusals.ERRORS as exc:
            refusals.check(exc, 'a bad record', over_quota)
            outcome = Outcome(REFUSAL, refusals.text(exc))
            self._assert_no_row(outcome)
        else:
            backup_id = str(answer['id'])
            self._adopt(backup_id)
            outcome = self._settled(backup_id, defect)
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
        state = self.rows.state(clients.BACKUP, self.backup_id)
        self.assertNotEqual(
            rows_base.LIVE, state,
            f'a refused import ({outcome.said}) has left a row')

    def _settled(self, backup_id: str, defect: str | None) -> Outcome:
        # Of ten tests with this defect one waits for the whole time-out. What
        # an import that is only slow would be called then, does not change
        # what is wrong with such a cloud.
        known = defect == STAYS and (
            self.has_stayed or self.is_declared(STAYS))
        limit = self.long if known else self.patience.backup
        try:
            view = self.resources.wait(
                clients.BACKUP, backup_id, ('available', 'error'),
                timeout=limit)
        except exceptions.WaitTimeout as exc:
            if not known:
                type(self).has_stayed = True
            raise NoEnd(
                f'the import of a bad record does not end: {exc}') from exc
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
                                  f'{refusals.text(exc)}')
        true = self.record.fields
        false = {name: (true.get(name), fields.get(name)) for name in TRUTH
                 if true.get(name) != fields.get(name)}
        if false:
            return Outcome(WRONG, f'it is available with (true, imported) '
                                  f'{false}')
        return Outcome(GOOD, '')

    def assert_neighbour(self) -> None:
        """Prove that the other backup is unchanged."""
        now = self.cloud.show(clients.BACKUP, self.neighbour['id'])
        self.assertEqual(
            self.neighbour, now,
            'the import of a bad record has changed another backup')

    def _own_backups(self) -> list[str]:
        """List the project's backups; no other test uses it meanwhile."""
        return sorted(one['id'] for one in
                      self.cloud.backups.list_backups()['backups'])

    def _assert_nothing_made(self, before: list[str], what: str) -> None:
        self._assert_no_row(Outcome(REFUSAL, what))
        self.assertEqual(before, self._own_backups(),
                         f'a refused import ({what}) has made a backup')
        self.assert_neighbour()

    def assert_malformed(self, urls: Iterable[tuple[str, str]],
                         large: bool = False) -> None:
        """Import strings that are not records; each must be refused at once.

        :param urls: what they are called, and what the import is given
        :param large: whether they are larger than what a web server has to
            take: then it may refuse them, see :mod:`refusals`
        :raises refusals.BrokeCinder: one was answered with a 5xx
        :raises AssertionError: one was accepted, or has made something
        """
        before = self._own_backups()
        for name, url in urls:
            record = backup_record.BackupRecord(
                self.record.backup_service, url)
            try:
                answer = self.cloud.import_record(record)
            except refusals.ERRORS as exc:
                if large and refusals.by_web_server(exc):
                    self._assert_nothing_made(
                        before, f'of {name}: {refusals.text(exc)}')
                else:
                    refusals.check(exc, name, over_quota=large)
                continue
            self._adopt(str(answer['id']))
            self.fail(f'the import of {name} was accepted')
        self._assert_nothing_made(before, 'all of them')

    def assert_refused(self, record: backup_record.BackupRecord,
                       defect: str | None = None, shows: bool = True,
                       over_quota: bool = False) -> None:
        """Import a bad record, of which no backup must come.

        :param shows: whether it shows in every cloud that has it
        """
        self._assert_outcome((REFUSAL, ERROR), record, defect, shows,
                             over_quota)

    def assert_harmless(self, record: backup_record.BackupRecord,
                        defect: str | None = None, shows: bool = True
                        ) -> None:
        """Import a record whose fault may be borne: it is true or refused."""
        self._assert_outcome((REFUSAL, ERROR, GOOD), record, defect, shows)

    def known_as(self, defect: str, shows: bool = True
                 ) -> contextlib.AbstractContextManager[None]:
        """Check a behavior that a known defect breaks; excuse nothing else."""
        look = _LOOKS[defect]
        return self.known_defect(
            defect, shows, lambda exc: isinstance(exc, look))

    def assert_outcome(self, allowed: tuple[str, ...], outcome: Outcome
                       ) -> None:
        """Compare the result of an import with those allowed.

        :raises NotAllowed: it is something else
        """
        if outcome.what not in allowed:
            raise NotAllowed(f'the import ended as {outcome.what}, not as '
                             f'{" or ".join(allowed)}: {outcome.said}')

    def _assert_outcome(self, allowed: tuple[str, ...],
                        record: backup_record.BackupRecord,
                        defect: str | None, shows: bool,
                        over_quota: bool = False) -> None:
        with (self.known_as(defect, shows) if defect else
              contextlib.nullcontext()):
            self.assert_outcome(
                allowed, self.outcome(record, defect, over_quota))
