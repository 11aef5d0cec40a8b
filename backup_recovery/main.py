# SPDX-License-Identifier: Apache-2.0

"""The program ``cinder-backup-records``."""

import argparse
from collections import Counter
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import dataclasses
import json
import logging
import os
import signal
import sys
import threading
from typing import Any
import warnings

from backup_recovery import arguments as arguments_
from backup_recovery import exceptions
from backup_recovery import progress
from backup_recovery import work

DONE, WRONG, INTERRUPTED, FAILED = 0, 1, 2, arguments_.FAILED
#: The class of a backup that can be restored.
COMPLETE = 'complete'
# Seconds in which a volume is detached.
_DETACH = 300.0


def _count(number: int, noun: str) -> str:
    return f'{number} {noun}{"" if number == 1 else "s"}'


def _warn(text: object) -> None:
    print(f'warning: {text}', file=sys.stderr)


def _cloud(arguments: argparse.Namespace) -> Any:
    # Half a second, too long for --help.
    from backup_recovery import clouds

    return clouds.Cloud(arguments.os_cloud, arguments.os_region_name)


def _print(arguments: argparse.Namespace, facts: dict[str, Any],
           text: str) -> None:
    """Print the outcome, for a program or for people."""
    print(json.dumps(facts, indent=2) if arguments.format == 'json' else text)


def _signers(arguments: argparse.Namespace) -> Any:
    from backup_recovery import signing

    return signing.Signers.read(arguments.signed_by)


def _signing(arguments: argparse.Namespace) -> Any:
    from backup_recovery import signing

    sign_old = getattr(arguments, 'sign_old', False)
    if sign_old and not arguments.signing_key:
        raise exceptions.RecoveryError('--sign-old needs --signing-key')
    return signing.Signing.read(arguments.signing_key,
                                getattr(arguments, 'signed_by', ()), sign_old)


def _problems(found: list[Any]) -> list[dict[str, Any]]:
    return [{'line': one.line, 'code': one.code, 'text': one.text}
            for one in found]


def _export(arguments: argparse.Namespace) -> int:
    from backup_recovery import copies
    from backup_recovery import exporting
    from backup_recovery import keys
    from backup_recovery import plans

    if arguments.recipients and not arguments.copies:
        raise exceptions.RecoveryError('--recipient encrypts copies: name '
                                       'a directory with --copies')
    how = _signing(arguments)
    wanted = keys.recipients(arguments.recipients)
    cloud = _cloud(arguments)
    with progress.Progress('exported') as shown:
        report = exporting.export(cloud, arguments.records,
                                  arguments.everything, arguments.workers,
                                  shown, how)
    for problem in report.problems:
        _warn(problem)
    if report.damaged:
        _warn(f'the file as it was is {report.damaged}')
    for backup, status in report.unavailable.items():
        _warn(f'backup {backup} is in status {status}; passed over')
    for backup, reason in report.failed.items():
        _warn(f'backup {backup} cannot be exported: {reason}; passed over')
    for project, count in Counter(report.unproven.values()).items():
        _warn(f'{_count(count, "record")} of encrypted volumes cannot prove '
              f'the key: ' + plans.PROJECT_REASONS[plans.NO_ROLE].format(
                  project=project, user=cloud.admin.user_id))
    if report.gone:
        _warn(f'{len(report.gone)} backups in {arguments.records} are not in '
              f'the cloud any more; their records are kept')
    copy = uncopied = None
    if arguments.copies:
        try:
            copy = copies.make(arguments.records, arguments.copies,
                               arguments.keep, wanted)
        except exceptions.BadFile as error:
            uncopied = str(error)
            _warn(f'the copies are not as they should be: {uncopied}')
    _print(arguments, {
        'records': report.count, 'exported': report.exported,
        'unchanged': report.kept, 'gone': report.gone,
        'unavailable': report.unavailable, 'failed': report.failed,
        'unproven': report.unproven,
        'problems': _problems(report.problems),
        'damaged': report.damaged and str(report.damaged),
        'copy': copy and str(copy), 'uncopied': uncopied},
        f'{_count(report.count, "record")} in {arguments.records}, '
        f'{report.exported} of them new' + (
            f'; the copy is {copy}' if copy else ''))
    return DONE if report.good and not uncopied else WRONG


@contextlib.contextmanager
def _libraries_of_cinder(verb: str) -> Iterator[None]:
    """Import what is on hosts of cinder-backup only."""
    if not sys.warnoptions:
        # Of these libraries, about each other.
        warnings.simplefilter('ignore')
    try:
        yield
    except ModuleNotFoundError as error:
        raise exceptions.RecoveryError(
            f'{error.name} is not installed; in the virtualenv of '
            f"cinder-backup run \"pip install '.[drivers]'\" in a clone of "
            f'this project, and {verb} there') from error


def _scan(arguments: argparse.Namespace) -> int:
    with _libraries_of_cinder('scan'):
        from backup_recovery.scan import scanning
    how = _signing(arguments)
    with progress.Progress('scanned') as shown:
        report = scanning.scan(
            arguments.records, arguments.config_file, arguments.container,
            lambda: _cloud(arguments), shown, how.signer)
    for one in report.remains:
        _warn(one)
    for project, reason in report.unscanned.items():
        _warn(f'the account of project {project} was not scanned: {reason}')
    complete = report.classes[COMPLETE]
    if not report.classes:
        _warn('nothing is on the storage; check the options of backup_driver '
              'in the configuration')
    if report.unknown:
        _warn(f'{_count(report.unknown, "backup")} without a known owner: '
              f'plan --owner PROJECT')
    _print(arguments, {
        'classes': report.classes, 'unknown_owners': report.unknown,
        'remains': [dataclasses.asdict(one) for one in report.remains],
        'unscanned': report.unscanned},
        f'{_count(complete, "complete backup")} in {arguments.records}, '
        f'{_count(report.classes.total() - complete, "other finding")}; a '
        f'backup that was deleted while the storage did not answer looks '
        f'like a complete one')
    return DONE if report.good else WRONG


def _plan(arguments: argparse.Namespace) -> int:
    from backup_recovery import books
    from backup_recovery import planning
    from backup_recovery import plans

    names = (planning.Names.read(arguments.map) if arguments.map else
             planning.Names())
    if arguments.owner:
        names = planning.Names({**names.projects, '': arguments.owner},
                               names.services)
    book = books.Book(arguments.records, _signers(arguments)).load()
    cloud = _cloud(arguments)
    plan = planning.make(cloud, book, names, arguments.lost_since,
                         arguments.workers, arguments.damaged)
    plan.write(arguments.plan)
    for problem in book.problems:
        _warn(problem)
    said = set()
    for item in plan.items:
        if item.why in plans.PROJECT_REASONS:
            said.add(plans.PROJECT_REASONS[item.why].format(
                project=item.project, user=cloud.admin.user_id))
        elif item.why in plans.REASONS and item.why != plans.GONE:
            _warn(f'backup {item.id} ' + plans.REASONS[item.why].format(
                project=item.project, parent=item.parent))
    for text in [*sorted(said), *plan.remains]:
        _warn(text)
    gone = [book.records[item.id].gone or '' for item in plan.items
            if item.why == plans.GONE]
    if gone and arguments.lost_since is None:
        _warn(f'{len(gone)} backups were missed in the cloud by exports from '
              f'{min(gone)} to {max(gone)}; they are left out, as if deleted. '
              f'Those that were lost: --lost-since TIME')
    # Who has not asked for it has not verified it.
    signed = max(book.signed) if arguments.signed_by else None
    left = Counter(item.why for item in plan.items
                   if item.action == plans.LEAVE)
    _print(arguments, {
        'records': len(book.records), 'signed': signed,
        'import': len(plan.imports),
        'projects': [dataclasses.asdict(one) for one in plan.projects],
        'left': left, 'remains': Counter(
            one.remains for one in plan.remains),
        'problems': _problems(book.problems)},
        f'{_count(len(book.records), "record")}: '
        f'{_count(len(plan.imports), "backup")} to import into '
        f'{_count(len(plan.projects), "project")}, {left[plans.EXISTS]} in '
        f'the cloud already, {left.total() - left[plans.EXISTS]} left out; '
        f'the plan is {arguments.plan}' + (
            f'; the records were signed at {signed}' if signed else '') + (
            f'; {_count(len(plan.remains), "finding")} of a scan set aside'
            if plan.remains else ''))
    expected = {plans.EXISTS, plans.GONE if arguments.lost_since else None}
    return (WRONG if book.problems or plan.remains or
            set(left) - expected else DONE)


@contextlib.contextmanager
def _stopping(stop: threading.Event) -> Iterator[None]:
    """End in order on the first signal, and at once on the second."""
    def handle(number: int, frame: Any) -> None:
        if stop.is_set():
            os._exit(INTERRUPTED)
        stop.set()

    before = {}
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        before[number] = signal.getsignal(number)
        # What nohup has told to be ignored stays ignored.
        if before[number] is not signal.SIG_IGN:
            signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _carrying_out(arguments: argparse.Namespace, stop: threading.Event
                  ) -> Iterator[Any]:
    """Open the journal of a plan, and stop in order."""
    from backup_recovery import journals

    place = arguments.plan.with_name(f'{arguments.plan.name}.journal')
    with _stopping(stop), journals.Journal(place) as written:
        yield written


def _warn_of_run(report: Any, failure: str) -> None:
    for reason in report.projects.values():
        _warn(reason)
    for backup, reason in report.failed.items():
        if reason not in report.projects.values():
            _warn(f'backup {backup} {failure}: {reason}')
    for change in report.limits:
        _warn(change)


def _left(report: Any) -> str:
    return (f', {len(report.left)} left: interrupted, run again'
            if report.left else '')


def _status(report: Any) -> int:
    if report.left:
        return INTERRUPTED
    return WRONG if report.failed else DONE


def _apply(arguments: argparse.Namespace) -> int:
    from backup_recovery import applying
    from backup_recovery import keys
    from backup_recovery import plans

    plan = plans.read(arguments.plan)
    private = arguments.recovery_key and keys.read(arguments.recovery_key)
    options = work.Options(arguments.wait, arguments.retry,
                           signers=_signers(arguments))
    with (_carrying_out(arguments, options.stop) as written,
          progress.Progress('done') as shown):
        report = applying.Run(_cloud(arguments), plan, written, options,
                              arguments.workers, shown, private).run()
    _warn_of_run(report, 'is not imported')
    _print(arguments, dataclasses.asdict(report),
           f'{_count(len(report.imported), "backup")} imported, '
           f'{len(report.existing)} in the cloud already, '
           f'{len(report.failed)} failed' + _left(report))
    return _status(report)


def _restore(arguments: argparse.Namespace) -> int:
    from backup_recovery import planning
    from backup_recovery import plans
    from backup_recovery import restoring
    from backup_recovery import volumes

    names = (planning.Names.read(arguments.map) if arguments.map else
             planning.Names())
    plan = plans.read(arguments.plan)
    options = work.Options(arguments.wait, arguments.retry,
                           signers=_signers(arguments))
    wishes = volumes.Wishes(names.types, names.zones, arguments.volume_type,
                            arguments.availability_zone)
    with (_carrying_out(arguments, options.stop) as written,
          progress.Progress('GiB restored:') as shown):
        report = restoring.Run(
            _cloud(arguments), plan, written, options, wishes,
            arguments.workers, shown).run(arguments.project, arguments.all)
    for backup, newer in report.newer.items():
        _warn(f'backup {backup} is restored, but the plan leaves out a newer '
              f'one of that volume, {newer}')
    _warn_of_run(report, 'is not restored')
    _print(arguments, dataclasses.asdict(report),
           f'{_count(len(report.restored), "volume")} restored, '
           f'{len(report.existing)} before, {len(report.failed)} failed' +
           _left(report))
    return _status(report)


def _prove(arguments: argparse.Namespace) -> int:
    from backup_recovery import plans

    with _libraries_of_cinder('prove'):
        from backup_recovery.prove import proving
    plan = plans.read(arguments.plan)
    proving.configure(arguments.config_file)
    options = work.Options(_DETACH, signers=_signers(arguments))
    with (_carrying_out(arguments, options.stop) as written,
          progress.Progress('GiB compared:') as shown):
        report = proving.Run(
            _cloud(arguments), plan, written, options, arguments.again,
            arguments.basic_connector, arguments.workers, shown
        ).run(arguments.project)
    for backup, reason in report.differing.items():
        _warn(f'backup {backup} is not what was restored, {reason}')
    if report.unanchored:
        _warn(f'{_count(len(report.unanchored), "record")} without a digest: '
              f'the volumes were compared with what the storage says by '
              f'itself')
    _warn_of_run(report, 'is not compared')
    _print(arguments, dataclasses.asdict(report),
           f'{_count(len(report.proved), "volume")} proved, '
           f'{len(report.existing)} before, {len(report.differing)} differ, '
           f'{len(report.failed)} not compared' + _left(report))
    return _status(report) or (WRONG if report.differing else DONE)


def _salvage(arguments: argparse.Namespace) -> int:
    with _libraries_of_cinder('salvage'):
        from backup_recovery.prove import salvaging
    with progress.Progress('bytes read:') as shown:
        found = salvaging.salvage(
            arguments.backup, arguments.target, arguments.config_file,
            arguments.records, _signers(arguments), arguments.overwrite, shown)
    for problem in found.problems:
        _warn(f'backup {found.backup_id}: {problem.what}')
    if found.anchored is False:
        _warn('the checksums of the backup are not those that were exported: '
              'what is called good may have been changed with them')
    lost = ''.join(f'\n  {length} bytes at {offset}'
                   for offset, length in found.lost)
    _print(arguments, found.to_dict(),
           f'{found.end - found.lost_bytes} of {found.end} bytes of backup '
           f'{found.backup_id} are in {arguments.target}' + (
               f'; {_count(len(found.lost), "extent")} LOST, with zeros '
               f'there:{lost}' if lost else ''))
    return DONE if found.complete else WRONG


def _report(arguments: argparse.Namespace) -> int:
    from backup_recovery import reports

    with _carrying_out(arguments, threading.Event()) as written:
        report = reports.make(arguments.plan, written)
    if arguments.check:
        others = reports.differences(report, arguments.report)
        _print(arguments, {'differences': others},
               f'{arguments.report} is ' + (
                   f'not the report of {arguments.plan} as it is now: '
                   f'{", ".join(others)}' if others else
                   f'the report of {arguments.plan}'))
        return WRONG if others else DONE
    page = reports.write(report, arguments.report)
    found = ', '.join(f'{number} {state}' for state, number in
                      report['states'].items())
    _print(arguments, {'states': report['states'], 'page': str(page)},
           f'{found or "no backup"}; the page is {page}')
    return DONE if reports.good(report) else WRONG


def _rewrap(arguments: argparse.Namespace) -> int:
    from backup_recovery import keys

    how = _signing(arguments)
    with progress.Progress('wrapped') as shown:
        report = keys.rewrap(arguments.records,
                             keys.read(arguments.recovery_key),
                             arguments.recipients, shown, how)
    for problem in report.problems:
        _warn(problem)
    for backup, reason in report.failed.items():
        _warn(f'the key of backup {backup} is unchanged: {reason}')
    _print(arguments, {
        'records': report.count, 'rewrapped': report.rewrapped,
        'failed': report.failed, 'problems': _problems(report.problems)},
        f'{_count(report.count, "record")} in {arguments.records}, the keys '
        f'of {len(report.rewrapped)} wrapped anew')
    return WRONG if report.failed or report.problems else DONE


def _decrypt(arguments: argparse.Namespace) -> int:
    from backup_recovery import keys
    from backup_recovery import sealing

    sealing.unseal(arguments.copy, arguments.records,
                   keys.read(arguments.recovery_key))
    _print(arguments, {'records': str(arguments.records)},
           f'{arguments.copy} is decrypted; the records are '
           f'{arguments.records}')
    return DONE


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; returns the exit code."""
    arguments = arguments_.parse({
        'export': _export, 'scan': _scan, 'plan': _plan, 'apply': _apply,
        'rewrap': _rewrap, 'decrypt': _decrypt, 'restore': _restore,
        'prove': _prove, 'salvage': _salvage, 'report': _report}, argv)
    # What libraries log, without a handler, goes to stderr.
    logging.getLogger().addHandler(logging.NullHandler())
    try:
        return arguments.function(arguments)
    except exceptions.RecoveryError as error:
        print(f'error: {error}', file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has gone; what is still buffered has none.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


if __name__ == '__main__':
    sys.exit(main())
