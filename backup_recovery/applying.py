# SPDX-License-Identifier: Apache-2.0

"""Carry a plan out: import its backups, several at a time.

It can be interrupted or killed at any moment, and carried on by another run:
what is in the cloud is not imported again.
"""

from collections import defaultdict
from collections import deque
import dataclasses
from typing import Any

from backup_recovery import books
from backup_recovery import clouds
from backup_recovery import importing
from backup_recovery import journals
from backup_recovery import keys
from backup_recovery import plans
from backup_recovery import quotas
from backup_recovery import running
from backup_recovery import work
from reference_drivers.recovery_keys import wrapping

#: Events of the journal: it was imported now, or was there already.
IMPORTED, EXISTS = 'imported', 'exists'


@dataclasses.dataclass
class Report(running.Report):
    """The outcome of a run.

    :ivar imported: ids of the backups that were imported now
    :ivar existing: ids of those that were in the cloud already
    """

    imported: list[str] = dataclasses.field(default_factory=list)
    existing: list[str] = dataclasses.field(default_factory=list)


class Run(running.Run):
    """One run of a plan, which imports its backups.

    :param options: how a backup is imported
    :param private: unwraps the keys of encrypted volumes
    :param progress: called with the number of backups that are done, and of
        all
    """

    report: Report

    def __init__(self, cloud: Any, plan: plans.Plan,
                 journal: journals.Journal, options: work.Options,
                 workers: int = 4,
                 progress: running.Progress = lambda done, of: None,
                 private: wrapping.RecoveryKey | None = None):
        super().__init__(cloud, plan, journal, Report(), options.stop,
                         workers, progress)
        self._keys = keys.Keys(private, journal) if private else None
        self._options = options
        self._journaled = {entry['backup'] for entry in journal.entries
                           if entry['event'] in (IMPORTED, EXISTS)}
        self._children: dict[str, list[plans.Item]] = defaultdict(list)
        self._ready: deque[plans.Item] = deque()
        # Told after each of them: it is not counted anew each time.
        self._count = len(plan.imports)

    def run(self) -> Report:
        """Import what is not there yet.

        :raises CloudError: the cloud does not answer, or is another one; what
            was imported until then is
        :raises BadFile: the file of records cannot be read
        """
        self.check_cloud()
        book = books.Book(self._plan.records, self._options.signers).load()
        existing = {backup.id: backup for backup in self._cloud.backups()}
        items = [item for item in self._plan.imports
                 if self._has_record(item, book)]
        if self._keys:
            items = self._with_keys(self._keys, items, existing, book)
        sessions = self.sessions(items)
        limits = quotas.Limits(self._cloud, self._journal)
        try:
            limits.raise_for_all(item for item in items if
                                 item.id not in existing and
                                 item.project in sessions)
            with book.reader() as read:
                importer = importing.Importer(
                    sessions, existing, lambda item: read(
                        book.records[item.id]), self._options, self._keys)
                self._import(importer, items, existing)
        finally:
            self.report.limits = limits.put_back()
        return self.report

    def fail(self, item: plans.Item, reason: str) -> None:
        """Note a backup that is not imported, and all that build on it."""
        failed = deque([(item, reason)])
        while failed:
            item, reason = failed.popleft()
            super().fail(item, reason)
            failed += [(child, self.report.projects.get(
                child.project, f'its parent {item.id} is not imported'))
                for child in self._children.pop(item.id, ())]

    def _has_record(self, item: plans.Item, book: books.Book) -> bool:
        found = book.records.get(item.id)
        if found is not None and found.digest == item.record:
            return True
        where = 'what is signed of ' if self._options.signers else ''
        self.fail(item, f'the record that was planned is not in {where}'
                        f'{book.path}; make another plan')
        return False

    def _with_keys(self, found: keys.Keys, items: list[plans.Item],
                   existing: dict[str, clouds.Backup], book: books.Book
                   ) -> list[plans.Item]:
        """Leave out what has a key that cannot be unwrapped."""
        kept = []
        with book.reader() as read:
            for item in items:
                reason = (None if item.id in existing else
                          found.refused(read(book.records[item.id])))
                if reason:
                    self.fail(item, reason)
                else:
                    kept.append(item)
        return kept

    def _import(self, importer: importing.Importer, items: list[plans.Item],
                existing: dict[str, clouds.Backup]) -> None:
        planned = {item.id for item in items}
        for item in items:
            if item.parent in planned:
                self._children[item.parent or ''].append(item)
        for item in items:
            if item.parent in planned:
                continue
            parent = existing.get(item.parent or '')
            if item.parent is None or (parent is not None and
                                       not parent.imported_in_part):
                self._ready.append(item)
            else:
                self.fail(item, plans.REASONS[plans.NO_PARENT].format(
                    parent=item.parent))
        self.carry_out(importer.run, self._ready)
        done = {*self.report.imported, *self.report.existing,
                *self.report.failed}
        for item in items:
            if item.id in done:
                continue
            if self._options.stop.is_set():
                self.report.left.append(item.id)
            else:
                # Those of an edited plan, which wait for each other.
                self.fail(item, plans.REASONS[plans.CIRCLE].format(
                    parent=item.parent))

    def succeed(self, item: plans.Item, result: bool) -> None:
        if result:
            self.report.imported.append(item.id)
            self._journal.write(IMPORTED, backup=item.id,
                                project=item.project)
        else:
            self.report.existing.append(item.id)
            if item.id not in self._journaled:
                # Its run was killed before it could say so.
                self._journal.write(EXISTS, backup=item.id,
                                    project=item.project)
        self._ready += self._children.pop(item.id, ())

    def so_far(self) -> tuple[int, int]:
        return (len(self.report.imported) + len(self.report.existing) +
                len(self.report.failed), self._count)
