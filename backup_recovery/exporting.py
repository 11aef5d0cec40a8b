# SPDX-License-Identifier: Apache-2.0

"""Export the records of all backups into a file."""

from collections import deque
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from concurrent import futures
import dataclasses
import os
import pathlib
from typing import Any

from backup_recovery import books
from backup_recovery import clouds
from backup_recovery import exceptions
from backup_recovery import files
from backup_recovery import keys
from backup_recovery import records
from backup_recovery import signing

_AVAILABLE = 'available'


@dataclasses.dataclass
class Report:
    """The outcome of an export.

    :ivar count: how many records are in the file
    :ivar exported: how many of them are new
    :ivar kept: how many were in the file, unchanged
    :ivar gone: ids of backups that are in the file, and for the first time
        not in the cloud
    :ivar unavailable: the status by the id of each backup that has no record
        at the moment, since it is being made, restored or is damaged
    :ivar failed: the reason by the id of each backup that could not be
        exported
    :ivar unproven: the project by the id of each encrypted backup whose
        record neither proves its key nor has it, since the user may not read
        it
    :ivar problems: of the file
    :ivar damaged: a copy of the file, where it had lines that could not be
        read
    """

    count: int = 0
    exported: int = 0
    kept: int = 0
    gone: list[str] = dataclasses.field(default_factory=list)
    unavailable: dict[str, str] = dataclasses.field(default_factory=dict)
    failed: dict[str, str] = dataclasses.field(default_factory=dict)
    unproven: dict[str, str] = dataclasses.field(default_factory=dict)
    problems: list[books.Problem] = dataclasses.field(default_factory=list)
    damaged: pathlib.Path | None = None

    @property
    def good(self) -> bool:
        """All that could have a record has one."""
        return not self.failed and not self.problems


def export(cloud: Any, path: pathlib.Path, everything: bool = False,
           workers: int = 4,
           progress: Callable[[int, int], None] = lambda done, of: None,
           how: signing.Signing | None = None) -> Report:
    """Export what the file does not have yet.

    A record stays in the file when its backup is no longer in the cloud:
    no one can tell yet whether it was deleted or lost.

    :param cloud: :class:`clouds.Cloud`
    :param path: the file; it is replaced when all is done
    :param everything: also export again what the file has
    :param workers: requests at a time
    :param progress: called with the number of backups that are done, and of
        all
    :param how: the file is signed; a part of the old one with another
        signature is not used
    :raises CloudError, BadFile: the file is unchanged
    """
    cloud.require_administrator()
    report = Report()
    how = how or signing.Signing()
    old = books.Book(path, how.signers)
    if path.exists():
        old.load()
        how.check(old)
    report.problems = old.problems
    found = cloud.backups()
    if old.lossy:
        report.damaged = _copy(path)
    current = {summary.id: summary.facts for summary in old.records.values()
               if not everything and not summary.scanned}
    wanted = {backup.id: backup for backup in found
              if backup.status == _AVAILABLE and
              current.get(backup.id) != backup.facts}
    with futures.ThreadPoolExecutor(workers) as pool:
        new = _in_order(pool, lambda backup: _exported(cloud, backup),
                        wanted.values(), 4 * workers)
        try:
            report.count = records.write(
                path, _all(report, old, found, set(wanted), new, progress),
                how.signer)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return report


def _copy(path: pathlib.Path) -> pathlib.Path:
    """Give the file a second name, under which it stays unchanged."""
    copy = path.with_name(f'{path.name}.damaged-{files.now()}')
    try:
        os.link(path.resolve(), copy)
    except OSError as error:
        raise exceptions.BadFile(f'{copy}: {error.strerror}') from error
    return copy


def _exported(cloud: Any, backup: clouds.Backup
              ) -> records.Record | str:
    """Export one backup.

    :returns: the record, or the reason why there is none
    """
    try:
        service, url = cloud.export(backup)
        found = records.Record(backup.id, backup.facts.project_id or '',
                               service, url, files.now())
        # What could not be imported is no safety.
        _ = found.fields
    except (exceptions.Refused, records.BadLine) as error:
        return str(error)
    return found


def _in_order(pool: futures.Executor, function: Callable[[Any], Any],
              items: Iterable[Any], ahead: int) -> Iterator[Any]:
    """Like map(), but with a limit to the results that wait."""
    waiting: deque[futures.Future[Any]] = deque()
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _all(report: Report, old: books.Book, found: list[clouds.Backup],
         wanted: set[str], new: Iterator[Any],
         progress: Callable[[int, int], None]) -> Iterator[records.Record]:
    """Yield what the new file has, and fill the report."""
    if not old.records:
        yield from _present(report, None, old, found, wanted, new, progress)
        return
    with old.reader() as read:
        yield from _present(report, read, old, found, wanted, new, progress)
        there = {backup.id for backup in found}
        for summary in old.records.values():
            if summary.id not in there:
                if not summary.gone:
                    report.gone.append(summary.id)
                yield dataclasses.replace(read(summary),
                                          gone=summary.gone or files.now())


def _present(report: Report, read: Any, old: books.Book,
             found: list[clouds.Backup], wanted: set[str],
             new: Iterator[Any], progress: Callable[[int, int], None]
             ) -> Iterator[records.Record]:
    """Yield the records of the backups that are in the cloud."""
    for number, backup in enumerate(found, 1):
        if backup.id in wanted:
            exported = next(new)
            if not isinstance(exported, str):
                report.exported += 1
                if keys.unproven(exported.fields):
                    report.unproven[backup.id] = exported.project_id
                yield exported
                progress(number, len(found))
                continue
            report.failed[backup.id] = exported
        elif backup.status != _AVAILABLE:
            report.unavailable[backup.id] = backup.status
        summary = old.records.get(backup.id)
        if summary is not None:
            report.kept += 1
            yield dataclasses.replace(read(summary), gone=None)
        progress(number, len(found))
