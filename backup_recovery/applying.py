# SPDX-License-Identifier: Apache-2.0

"""Carry a plan out: import its backups, several at a time.

It can be interrupted or killed at any moment, and carried on by another run:
what is in the cloud is not imported again.
"""

from collections import defaultdict
from collections import deque
from collections.abc import Callable
from concurrent import futures
import dataclasses
from typing import Any

from backup_recovery import cloud as cloud_
from backup_recovery import exceptions
from backup_recovery import importing
from backup_recovery import journal as journal_
from backup_recovery import keys
from backup_recovery import plan as plan_
from backup_recovery import quotas
from backup_recovery import records
from reference_drivers.recovery_keys import wrapping


@dataclasses.dataclass
class Report:
    """The outcome of a run.

    :ivar imported: ids of the backups that were imported now
    :ivar existing: ids of those that were in the cloud already
    :ivar failed: the reason by the id of each backup that is not there
    :ivar projects: the reason by the id of each project that gets none
    :ivar left: ids of those that an interruption has left for the next run
    :ivar limits: quotas that are not what they were
    """

    imported: list[str] = dataclasses.field(default_factory=list)
    existing: list[str] = dataclasses.field(default_factory=list)
    failed: dict[str, str] = dataclasses.field(default_factory=dict)
    projects: dict[str, str] = dataclasses.field(default_factory=dict)
    left: list[str] = dataclasses.field(default_factory=list)
    limits: list[quotas.Change] = dataclasses.field(default_factory=list)


class Run:
    """One run of a plan.

    :param cloud: :class:`cloud.Cloud`
    :param journal: of the plan, entered
    :param options: how a backup is imported
    :param private: unwraps the keys of encrypted volumes
    :param workers: how many are imported at a time
    :param progress: called with the number of backups that are done, and of
        all
    """

    def __init__(self, cloud: Any, plan: plan_.Plan,
                 journal: journal_.Journal, options: importing.Options,
                 workers: int = 4,
                 progress: Callable[[int, int], None] = lambda done, of: None,
                 private: wrapping.RecoveryKey | None = None):
        self._keys = keys.Keys(private, journal) if private else None
        self._cloud = cloud
        self._plan = plan
        self._journal = journal
        self._options = options
        self._workers = workers
        self._progress = progress
        self._children: dict[str, list[plan_.Item]] = defaultdict(list)
        self._report = Report()

    def run(self) -> Report:
        """Import what is not there yet.

        :raises CloudError: the cloud does not answer, or is another one; what
            was imported until then is
        :raises BadFile: the file of records cannot be read
        """
        self._check_place()
        self._cloud.require_administrator()
        book = records.Book(self._plan.records).load()
        existing = {backup.id: backup for backup in self._cloud.backups()}
        items = [item for item in self._plan.imports
                 if self._has_record(item, book)]
        if self._keys:
            items = self._with_keys(self._keys, items, existing, book)
        sessions = self._sessions(items)
        limits = quotas.Limits(self._cloud, self._journal)
        try:
            for project, own in self._needing(items, existing).items():
                if project in sessions:
                    limits.raise_for(project, len(own), sum(own))
            with book.reader() as read:
                importer = importing.Importer(
                    sessions, existing, lambda item: read(
                        book.records[item.id]), self._options, self._keys)
                self._import(importer, items, existing)
        finally:
            self._report.limits = limits.put_back()
        return self._report

    def _check_place(self) -> None:
        place = self._cloud.place
        if place != self._plan.place:
            raise exceptions.CloudError(
                f'the plan is for region {self._plan.place["region"]} of '
                f'{self._plan.place["auth_url"]}, and not for '
                f'{place["region"]} of {place["auth_url"]}; make another one')

    def _fail(self, item: plan_.Item, reason: str) -> None:
        """Note a backup that is not imported, and all that build on it."""
        failed = deque([(item, reason)])
        while failed:
            item, reason = failed.popleft()
            self._report.failed[item.id] = reason
            self._journal.write('failed', backup=item.id, reason=reason)
            failed += [(child, self._report.projects.get(
                child.project, f'its parent {item.id} is not imported'))
                for child in self._children.pop(item.id, ())]

    def _has_record(self, item: plan_.Item, book: records.Book) -> bool:
        found = book.records.get(item.id)
        if found is not None and found.digest == item.record:
            return True
        self._fail(item, f'the record that was planned is not in '
                         f'{book.path}; make another plan')
        return False

    def _with_keys(self, found: keys.Keys, items: list[plan_.Item],
                   existing: dict[str, cloud_.Backup], book: records.Book
                   ) -> list[plan_.Item]:
        """Leave out what has a key that cannot be unwrapped."""
        kept = []
        with book.reader() as read:
            for item in items:
                reason = (None if item.id in existing else
                          found.refused(read(book.records[item.id])))
                if reason:
                    self._fail(item, reason)
                else:
                    kept.append(item)
        return kept

    def _sessions(self, items: list[plan_.Item]) -> dict[str, Any]:
        """Authenticate for each project that gets something."""
        sessions = {}
        for project in dict.fromkeys(item.project for item in items):
            try:
                sessions[project] = self._cloud.session(project)
            except exceptions.NotAuthorized:
                why = (plan_.NO_ROLE if self._cloud.project(project) else
                       plan_.NO_PROJECT)
                self._report.projects[project] = plan_.PROJECT_REASONS[
                    why].format(project=project,
                                user=self._cloud.admin.user_id)
        return sessions

    def _needing(self, items: list[plan_.Item],
                 existing: dict[str, cloud_.Backup]) -> dict[str, list[int]]:
        """The sizes of what will be imported, by the project."""
        sizes: dict[str, list[int]] = defaultdict(list)
        for item in items:
            if item.id not in existing:
                sizes[item.project].append(item.size)
        return sizes

    def _import(self, importer: importing.Importer, items: list[plan_.Item],
                existing: dict[str, cloud_.Backup]) -> None:
        ready: deque[plan_.Item] = deque()
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
                ready.append(item)
            else:
                self._fail(item, plan_.REASONS[plan_.NO_PARENT].format(
                    parent=item.parent))
        self._carry_out(importer, ready)
        done = {*self._report.imported, *self._report.existing,
                *self._report.failed}
        for item in items:
            if item.id in done:
                continue
            if self._options.stop.is_set():
                self._report.left.append(item.id)
            else:
                # Those of an edited plan, which wait for each other.
                self._fail(item, plan_.REASONS[plan_.CIRCLE].format(
                    parent=item.parent))

    def _carry_out(self, importer: importing.Importer,
                   ready: deque[plan_.Item]) -> None:
        """Import what is ready, and then what builds on it."""
        running: dict[futures.Future[bool], plan_.Item] = {}
        all_of_it = len(self._plan.imports)
        with futures.ThreadPoolExecutor(self._workers) as pool:
            while True:
                while (ready and len(running) < self._workers and
                       not self._options.stop.is_set()):
                    item = ready.popleft()
                    reason = self._report.projects.get(item.project)
                    if reason:
                        self._fail(item, reason)
                        continue
                    running[pool.submit(importer.run, item)] = item
                if not running:
                    return
                ended, _ = futures.wait(
                    running, return_when=futures.FIRST_COMPLETED)
                for future in ended:
                    self._ended(running.pop(future), future, ready)
                self._progress(
                    len(self._report.imported) + len(self._report.existing) +
                    len(self._report.failed), all_of_it)

    def _ended(self, item: plan_.Item, future: futures.Future[bool],
               ready: deque[plan_.Item]) -> None:
        try:
            is_new = future.result()
        except importing.Interrupted:
            return
        except importing.NotAllowed:
            # Nor are the other ones of this project.
            self._report.projects[item.project] = plan_.PROJECT_REASONS[
                plan_.NO_ROLE].format(project=item.project,
                                      user=self._cloud.admin.user_id)
            self._fail(item, self._report.projects[item.project])
            return
        except (importing.Failed, exceptions.Refused) as error:
            self._fail(item, str(error))
            return
        except Exception:
            # The cloud does not answer, or the file has changed: so would all
            # others end, after a long time each.
            self._options.stop.set()
            raise
        if is_new:
            self._report.imported.append(item.id)
            self._journal.write('imported', backup=item.id,
                                project=item.project)
        else:
            self._report.existing.append(item.id)
        ready += self._children.pop(item.id, ())
