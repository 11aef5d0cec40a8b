# SPDX-License-Identifier: Apache-2.0

"""The commands of a recovery: plan, apply, restore, prove and report."""

import argparse
from collections import Counter
from collections.abc import Iterator
import contextlib
import dataclasses
import threading
from typing import Any

from backup_recovery import progress
from backup_recovery import work
from backup_recovery.commands import common

# Seconds in which a volume is detached.
_DETACH = 300.0


def plan(arguments: argparse.Namespace) -> int:
    """Compare a file of records with the cloud."""
    from backup_recovery import books
    from backup_recovery import planning
    from backup_recovery import plans

    names = (planning.Names.read(arguments.map) if arguments.map else
             planning.Names())
    if arguments.owner:
        names = planning.Names({**names.projects, '': arguments.owner},
                               names.services)
    book = books.Book(arguments.records, common.signers_of(arguments)).load()
    cloud = common.connect(arguments)
    plan = planning.make(cloud, book, names, arguments.lost_since,
                         arguments.workers, arguments.damaged)
    plan.write(arguments.plan)
    for problem in book.problems:
        common.warn(problem)
    said = set()
    for item in plan.items:
        if item.why in plans.PROJECT_REASONS:
            said.add(plans.PROJECT_REASONS[item.why].format(
                project=item.project, user=cloud.admin.user_id))
        elif item.why in plans.REASONS and item.why != plans.GONE:
            common.warn(f'backup {item.id} ' + plans.REASONS[item.why].format(
                project=item.project, parent=item.parent))
    for text in [*sorted(said), *plan.remains]:
        common.warn(text)
    gone = [book.records[item.id].gone or '' for item in plan.items
            if item.why == plans.GONE]
    if gone and arguments.lost_since is None:
        common.warn(f'{len(gone)} backups were missed in the cloud by exports '
                    f'from {min(gone)} to {max(gone)}; they are left out, as '
                    f'if deleted. Those that were lost: --lost-since TIME')
    # Who has not asked for it has not verified it.
    signed = max(book.signed) if arguments.signed_by else None
    left = Counter(item.why for item in plan.items
                   if item.action == plans.LEAVE)
    common.tell(arguments, {
        'records': len(book.records), 'signed': signed,
        'import': len(plan.imports),
        'projects': [dataclasses.asdict(one) for one in plan.projects],
        'left': left, 'remains': Counter(
            one.remains for one in plan.remains),
        'problems': common.problems_of(book.problems)},
        f'{common.count(len(book.records), "record")}: '
        f'{common.count(len(plan.imports), "backup")} to import into '
        f'{common.count(len(plan.projects), "project")}, '
        f'{left[plans.EXISTS]} in the cloud already, '
        f'{left.total() - left[plans.EXISTS]} left out; '
        f'the plan is {arguments.plan}' + (
            f'; the records were signed at {signed}' if signed else '') + (
            f'; {common.count(len(plan.remains), "finding")} of a scan set '
            f'aside' if plan.remains else ''))
    expected = {plans.EXISTS, plans.GONE if arguments.lost_since else None}
    return (common.WRONG if book.problems or plan.remains or
            set(left) - expected else common.DONE)


@contextlib.contextmanager
def _carrying_out(arguments: argparse.Namespace, stop: threading.Event
                  ) -> Iterator[Any]:
    """Open the journal of a plan, and stop in order."""
    from backup_recovery import journals

    place = arguments.plan.with_name(f'{arguments.plan.name}.journal')
    with common.stopping(stop), journals.Journal(place) as written:
        yield written


def _warn_of_run(report: Any, failure: str) -> None:
    for reason in report.projects.values():
        common.warn(reason)
    for backup, reason in report.failed.items():
        if reason not in report.projects.values():
            common.warn(f'backup {backup} {failure}: {reason}')
    for change in report.limits:
        common.warn(change)


def _left(report: Any) -> str:
    return (f', {len(report.left)} left: interrupted, run again'
            if report.left else '')


def _status(report: Any) -> int:
    if report.left:
        return common.INTERRUPTED
    return common.WRONG if report.failed else common.DONE


def apply(arguments: argparse.Namespace) -> int:
    """Import the backups of a plan."""
    from backup_recovery import applying
    from backup_recovery import keys
    from backup_recovery import plans

    plan = plans.read(arguments.plan)
    private = arguments.recovery_key and keys.read(arguments.recovery_key)
    options = work.Options(arguments.wait, arguments.retry,
                           signers=common.signers_of(arguments))
    with (_carrying_out(arguments, options.stop) as written,
          progress.Progress('done') as shown):
        report = applying.Run(
            common.connect(arguments), plan, written, options,
            arguments.workers, shown, private).run()
    _warn_of_run(report, 'is not imported')
    common.tell(arguments, dataclasses.asdict(report),
                f'{common.count(len(report.imported), "backup")} imported, '
                f'{len(report.existing)} in the cloud already, '
                f'{len(report.failed)} failed' + _left(report))
    return _status(report)


def restore(arguments: argparse.Namespace) -> int:
    """Restore the backups of a plan to new volumes."""
    from backup_recovery import planning
    from backup_recovery import plans
    from backup_recovery import restoring
    from backup_recovery import volumes

    names = (planning.Names.read(arguments.map) if arguments.map else
             planning.Names())
    plan = plans.read(arguments.plan)
    options = work.Options(arguments.wait, arguments.retry,
                           signers=common.signers_of(arguments))
    wishes = volumes.Wishes(names.types, names.zones, arguments.volume_type,
                            arguments.availability_zone)
    with (_carrying_out(arguments, options.stop) as written,
          progress.Progress('GiB restored:') as shown):
        report = restoring.Run(
            common.connect(arguments), plan, written, options, wishes,
            arguments.workers, shown).run(arguments.project, arguments.all)
    for backup, newer in report.newer.items():
        common.warn(f'backup {backup} is restored, but the plan leaves out a '
                    f'newer one of that volume, {newer}')
    _warn_of_run(report, 'is not restored')
    common.tell(arguments, dataclasses.asdict(report),
                f'{common.count(len(report.restored), "volume")} restored, '
                f'{len(report.existing)} before, {len(report.failed)} failed' +
                _left(report))
    return _status(report)


def prove(arguments: argparse.Namespace) -> int:
    """Compare the restored volumes with their backups."""
    from backup_recovery import plans

    with common.libraries_of_cinder('prove'):
        from backup_recovery.prove import proving
    plan = plans.read(arguments.plan)
    cloud = common.connect(arguments)
    proving.configure(arguments.config_file, cloud.admin)
    options = work.Options(_DETACH, signers=common.signers_of(arguments))
    with (_carrying_out(arguments, options.stop) as written,
          progress.Progress('GiB compared:') as shown):
        report = proving.Run(
            cloud, plan, written, options, arguments.again,
            arguments.basic_connector, arguments.workers, shown
        ).run(arguments.project)
    for backup, reason in report.differing.items():
        common.warn(f'backup {backup} is not what was restored, {reason}')
    if report.unanchored:
        common.warn(f'{common.count(len(report.unanchored), "record")} '
                    f'without a digest: the volumes were compared with what '
                    f'the storage says by itself')
    _warn_of_run(report, 'is not compared')
    common.tell(arguments, dataclasses.asdict(report),
                f'{common.count(len(report.proved), "volume")} proved, '
                f'{len(report.existing)} before, '
                f'{len(report.differing)} differ, '
                f'{len(report.failed)} not compared' + _left(report))
    return _status(report) or (
        common.WRONG if report.differing else common.DONE)


def report(arguments: argparse.Namespace) -> int:
    """Write the report of a plan, or compare it with one."""
    from backup_recovery import reports

    with _carrying_out(arguments, threading.Event()) as written:
        report = reports.make(arguments.plan, written)
    if arguments.check:
        others = reports.differences(report, arguments.report)
        common.tell(arguments, {'differences': others},
                    f'{arguments.report} is ' + (
                   f'not the report of {arguments.plan} as it is now: '
                   f'{", ".join(others)}' if others else
                   f'the report of {arguments.plan}'))
        return common.WRONG if others else common.DONE
    page = reports.write(report, arguments.report)
    found = ', '.join(f'{number} {state}' for state, number in
                      report['states'].items())
    common.tell(arguments, {'states': report['states'], 'page': str(page)},
                f'{found or "no backup"}; the page is {page}')
    return common.DONE if reports.good(report) else common.WRONG
