# SPDX-License-Identifier: Apache-2.0

"""Restore the backups of a plan to new volumes, several at a time.

It can be interrupted or killed at any moment, and carried on by another run:
no backup is restored twice.
"""

from collections import deque
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
import dataclasses
import threading
from typing import Any

from backup_recovery import books
from backup_recovery import clouds
from backup_recovery import exceptions
from backup_recovery import journals
from backup_recovery import plans
from backup_recovery import quotas
from backup_recovery import records
from backup_recovery import running
from backup_recovery import volumes
from backup_recovery import work


@dataclasses.dataclass
class Report(running.Report):
    """The outcome of a run.

    :ivar restored: ids of the volumes that were made now, by the backup
    :ivar existing: ids of those that were complete before
    :ivar newer: ids of backups that the plan leaves out, by the older one of
        the same volume that is restored
    """

    restored: dict[str, str] = dataclasses.field(default_factory=dict)
    existing: dict[str, str] = dataclasses.field(default_factory=dict)
    newer: dict[str, str] = dataclasses.field(default_factory=dict)


def select(plan: plans.Plan, existing: Mapping[str, clouds.Backup],
           projects: Collection[str] = (), everything: bool = False
           ) -> tuple[list[plans.Item], dict[str, str]]:
    """Choose the backups of a plan that are restored.

    :param existing: the backups of the cloud
    :param projects: only of these; of all where there are none
    :param everything: all backups of a volume, and not only that with the
        newest data
    :returns: the backups, and :attr:`Report.newer`
    :raises BadFile: the plan has no backup of one of the projects
    """
    unknown = set(projects) - {item.project for item in plan.items}
    if unknown:
        raise exceptions.BadFile(
            f'the plan has no backup of project {min(unknown)}; give an id '
            f'that it has')
    items = [item for item in plan.items
             if item.why != plans.GONE and
             (not projects or item.project in projects)]
    chosen = [item for item in items if _is_restorable(item)]
    if everything:
        return chosen, {}

    def age(item: plans.Item) -> str:
        found = existing.get(item.id)
        return (found and found.data_timestamp) or item.created[:19]

    def newest(items: list[plans.Item]) -> dict[str, plans.Item]:
        # Of the same second, the last one: a parent is before its children.
        return {item.volume or item.id: item
                for item in sorted(items, key=age)}

    best, newest_of_all = newest(chosen), newest(items)
    wanted = {item.id for item in best.values()}
    return ([item for item in chosen if item.id in wanted],
            {item.id: newest_of_all[volume].id
             for volume, item in best.items()
             if newest_of_all[volume] is not item})


def _is_restorable(item: plans.Item) -> bool:
    return item.action == plans.IMPORT or item.why == plans.EXISTS


class Run(running.OfVolumes):
    """One run of a plan, which restores its backups.

    :param options: how a backup is restored
    :param names: of types and zones
    :param progress: called with the GiB that are done, and with all
    """

    report: Report

    def __init__(self, cloud: Any, plan: plans.Plan,
                 journal: journals.Journal, options: work.Options,
                 wishes: volumes.Wishes, workers: int = 4,
                 progress: running.Progress = lambda done, of: None):
        super().__init__(cloud, plan, journal, Report(), options.stop,
                         workers, progress)
        self._options = options
        self._wishes = wishes

    def run(self, projects: Collection[str] = (), everything: bool = False
            ) -> Report:
        """Restore what is not restored yet.

        :param projects: see :func:`select`
        :param everything: see :func:`select`
        :raises CloudError: the cloud does not answer, or is another one; what
            was restored until then is
        :raises BadFile: the file of records cannot be read
        """
        self.check_cloud()
        book = books.Book(self._plan.records, self._options.signers).load()
        existing = {backup.id: backup for backup in self._cloud.backups()}
        items, self.report.newer = select(
            self._plan, existing, projects, everything)
        self._all = sum(item.size for item in items)
        sessions = self.sessions(items)
        made = volumes.Made(self._journal)
        limits = quotas.Limits(self._cloud, self._journal, clouds.OF_VOLUMES)
        try:
            limits.raise_for_all(
                item for item in items if item.project in sessions and
                item.id in existing and item.id not in made.volumes)
            with book.reader() as read:
                restorer = volumes.Restorer(
                    sessions, made, self._wish(book, read), self._options)
                self.carry_out(restorer.run, deque(items))
        finally:
            self.report.limits = limits.put_back()
        done = {*self.report.restored, *self.report.existing,
                *self.report.failed}
        self.report.left = [item.id for item in items
                            if item.id not in done]
        return self.report

    def _wish(self, book: books.Book,
              read: Callable[[books.Summary], records.Record]
              ) -> Callable[[Any, plans.Item], dict[str, str]]:
        reading = threading.Lock()

        def wish(session: Any, item: plans.Item) -> dict[str, str]:
            original = session.volume(item.volume) if item.volume else None
            with reading:
                recorded = _type(read, book.records.get(item.id))
            return self._wishes.of(item.volume, original or {}, recorded)
        return wish

    def succeed(self, item: plans.Item, result: tuple[str, bool]) -> None:
        volume, is_new = result
        (self.report.restored if is_new else self.report.existing)[
            item.id] = volume
        super().succeed(item, result)


def _type(read: Callable[[books.Summary], records.Record],
          summary: books.Summary | None) -> str | None:
    """The name of the volume type that a record of an encrypted backup has.

    The reference drivers write it.
    """
    if summary is None:
        return None
    info = read(summary).fields.get('driver_info')
    encryption = info.get('encryption') if isinstance(info, dict) else None
    found = encryption.get('type') if isinstance(encryption, dict) else None
    return found if isinstance(found, str) else None
