# SPDX-License-Identifier: Apache-2.0

"""The program ``cinder-backup-records``."""

import argparse
from collections import Counter
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import dataclasses
import datetime
import json
import logging
import os
import pathlib
import signal
import sys
import threading
import time
from typing import Any
from typing import NoReturn
import warnings

from backup_recovery import exceptions

DONE, WRONG, INTERRUPTED, FAILED = 0, 1, 2, 3
#: The class of a backup that can be restored.
COMPLETE = 'complete'

_DESCRIPTION = """\
Export the records of all backups of a cloud into a file, and import them after
the loss of the database, or at a second site; where the records are lost as
well, make new ones from the storage; restore the backups to new volumes. The
cloud is that of --os-cloud in clouds.yaml, or of the variables OS_*; the user
has to be an administrator.
"""

_EPILOG = """\
exit status: 0 done; 1 done, but for what is named; 2 interrupted, to be
continued by the same command; 3 an error, in one line.
"""


class _Parser(argparse.ArgumentParser):
    """A parser whose errors have the exit status of all other errors."""

    def error(self, message: str) -> NoReturn:
        self.exit(FAILED, f'error: {message}; see {self.prog} --help\n')


class Progress:
    """The progress, on stderr: in one line of a terminal, or now and then."""

    def __init__(self, what: str, interval: float = 10):
        self._what = what
        self._terminal = sys.stderr.isatty()
        self._interval = 0.2 if self._terminal else interval
        self._started = self._last = time.monotonic()

    def __call__(self, done: int, of: int | None = None) -> None:
        now = time.monotonic()
        if now - self._last < self._interval:
            return
        self._last = now
        rate = done / (now - self._started)
        text = (f'{self._what} {done}' + (f' of {of}' if of else '') +
                f', {rate:.1f}/s')
        if of and rate:
            text += f', {_time((of - done) / rate)} left'
        if self._terminal:
            sys.stderr.write(f'\r\033[K{text}')
        else:
            sys.stderr.write(f'{text}\n')
        sys.stderr.flush()

    def close(self) -> None:
        """Clear the line for what is printed next."""
        if self._terminal:
            sys.stderr.write('\r\033[K')


def _time(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (f'{hours} h {minutes} min' if hours else
            f'{minutes} min {seconds} s' if minutes else f'{seconds} s')


def _count(number: int, noun: str) -> str:
    return f'{number} {noun}{"" if number == 1 else "s"}'


def _warn(text: object) -> None:
    print(f'warning: {text}', file=sys.stderr)


def _workers(text: str) -> int:
    if not 1 <= int(text) <= 32:
        raise argparse.ArgumentTypeError(f'{text} is not from 1 to 32')
    return int(text)


def _moment(text: str) -> str:
    """A time in the form of those in files; UTC where no zone is said."""
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f'{text} is not a time in ISO 8601') from None
    if found.tzinfo is None:
        found = found.replace(tzinfo=datetime.UTC)
    return found.astimezone(datetime.UTC).strftime('%Y-%m-%dT%H:%M:%SZ')


def _parser() -> argparse.ArgumentParser:
    common = _Parser(add_help=False)
    common.add_argument('--os-cloud', metavar='NAME',
                        help='of the cloud in clouds.yaml (default: OS_CLOUD)')
    common.add_argument('--os-region-name', metavar='NAME',
                        help='of the region (default: OS_REGION_NAME)')
    common.add_argument('-f', '--format', choices=('text', 'json'),
                        default='text',
                        help='of the outcome on stdout (%(default)s)')
    workers = _Parser(add_help=False)
    workers.add_argument('--workers', type=_workers, default=4, metavar='N',
                         help='so many at a time, 1 to 32 (%(default)s)')
    parser = _Parser(prog='cinder-backup-records', description=_DESCRIPTION,
                     epilog=_EPILOG)
    verbs = parser.add_subparsers(required=True, metavar='COMMAND')

    def verb(function: Any, name: str, parents: list[Any], help: str
             ) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=help, description=help,
                                 parents=parents, epilog=_EPILOG)
        added.set_defaults(function=function)
        return added

    export = verb(_export, 'export', [common, workers],
                  'export the records of the backups of all projects which '
                  'are not in a file yet; a backup that cannot be exported '
                  'is named, and a record whose backup has gone is kept')
    export.add_argument('records', metavar='FILE', type=pathlib.Path,
                        help='the file of records; made where there is none')
    export.add_argument('--everything', action='store_true',
                        help='export anew what the file has, as after a '
                             'change of the driver')
    scan = verb(_scan, 'scan', [common],
                'make records from the storage alone, where both the database '
                'and the records are lost, on a host of cinder-backup; '
                'nothing is imported, and the storage is only read')
    scan.add_argument('records', metavar='FILE', type=pathlib.Path,
                      help='the file of records that is made')
    scan.add_argument('--config-file', action='append', default=[],
                      metavar='PATH',
                      help="Cinder's configuration (default: where Cinder "
                           "looks)")
    scan.add_argument('--container', action='append', default=[],
                      metavar='NAME',
                      help='look only at this container, bucket or directory '
                           '(default: all; in S3 the bucket of the '
                           'configuration)')
    plan = verb(_plan, 'plan', [common, workers],
                'write down which backups of a file would be imported into '
                'the cloud, in which order and by which project; the cloud '
                'is not changed')
    plan.add_argument('records', metavar='FILE', type=pathlib.Path,
                      help='the file of records')
    plan.add_argument('plan', metavar='PLAN', type=pathlib.Path,
                      help='the plan that is made, a line for each backup; '
                           'lines may be deleted and changed')
    plan.add_argument('--lost-since', metavar='TIME', type=_moment,
                      help='import also what exports have missed in the cloud '
                           'since then, such as 2026-11-29 or '
                           '2026-11-29T02:00, in UTC; what was missed before '
                           'was deleted')
    plan.add_argument('--map', metavar='FILE', type=pathlib.Path,
                      help='ids of projects and names of drivers that are '
                           'others in the cloud, in YAML: projects and '
                           'services, each with old: new')
    plan.add_argument('--owner', metavar='PROJECT',
                      help='the id of the project for backups whose owner a '
                           'scan has not found')
    plan.add_argument('--damaged', action='store_true',
                      help='import also those of which a scan has not found '
                           'all, for a restore of what is left')
    planned = _Parser(add_help=False)
    planned.add_argument('plan', metavar='PLAN', type=pathlib.Path,
                         help='the plan; what was done for it is beside it, '
                              'in PLAN.journal')
    apply = verb(_apply, 'apply', [common, workers, planned],
                 'carry a plan out: import its backups, a parent before its '
                 'children; interrupted or killed, run it again')
    apply.add_argument('--retry', action='store_true',
                       help='delete the rows that imports have left which '
                            'failed, or did not end within --wait, and '
                            'import again; such rows name no data')
    apply.add_argument('--wait', metavar='SECONDS', type=float, default=1800,
                       help='so long one backup may take (%(default)s)')
    apply.add_argument('--recovery-key', metavar='FILE', type=pathlib.Path,
                       help='a private key in PEM: each key of an encrypted '
                            'volume that a record has for it is stored in '
                            'the key manager, as the project of the backup')
    rewrap = verb(_rewrap, 'rewrap', [common],
                  'wrap the keys that a file of records has for a private '
                  'key for others, without a cloud; plans of the file have '
                  'to be made again')
    rewrap.add_argument('records', metavar='FILE', type=pathlib.Path,
                        help='the file of records, which is replaced')
    rewrap.add_argument('--recovery-key', metavar='FILE', required=True,
                        type=pathlib.Path, help='the private key, in PEM')
    rewrap.add_argument('--recipient', metavar='FILE', type=pathlib.Path,
                        required=True, action='append', dest='recipients',
                        help='a public key, in PEM; repeat it for each that '
                             'is to open the records, and leave out those '
                             'that are not to any more')
    restore = verb(_restore, 'restore', [common, workers, planned],
                   'restore the backups of a plan that are in the cloud to '
                   'new volumes of their projects: of each volume the one '
                   'with the newest data; interrupted or killed, run it again')
    restore.add_argument('--all', action='store_true',
                         help='each backup to a volume of its own')
    restore.add_argument('--project', action='append', default=[],
                         metavar='ID', help='only backups of this project; '
                                            'may be repeated')
    restore.add_argument('--volume-type', metavar='NAME',
                         help='where that of the original is not known '
                              '(default: that of the cloud)')
    restore.add_argument('--availability-zone', metavar='NAME',
                         help='where that of the original is not known '
                              '(default: that of the cloud)')
    restore.add_argument('--map', metavar='FILE', type=pathlib.Path,
                         help='volume types and availability zones that are '
                              'others in the cloud, in YAML: types and zones, '
                              'each with old: new; old may also be the id of '
                              'an original volume')
    restore.add_argument('--retry', action='store_true',
                         help='delete the volumes of restores that have '
                              'failed, or did not end within --wait, and '
                              'restore again')
    restore.add_argument('--wait', metavar='SECONDS', type=float,
                         default=86400,
                         help='so long one backup may take (%(default)s)')
    return parser


def _cloud(arguments: argparse.Namespace) -> Any:
    # Half a second, too long for --help.
    from backup_recovery import cloud

    return cloud.Cloud(arguments.os_cloud, arguments.os_region_name)


def _print(arguments: argparse.Namespace, facts: dict[str, Any],
           text: str) -> None:
    """Print the outcome, for a program or for people."""
    print(json.dumps(facts, indent=2) if arguments.format == 'json' else text)


def _problems(found: list[Any]) -> list[dict[str, Any]]:
    return [{'line': one.line, 'code': one.code, 'text': one.text}
            for one in found]


def _export(arguments: argparse.Namespace) -> int:
    from backup_recovery import exporting
    from backup_recovery import plan as plan_

    progress = Progress('exported')
    cloud = _cloud(arguments)
    try:
        report = exporting.export(cloud, arguments.records,
                                  arguments.everything, arguments.workers,
                                  progress)
    finally:
        progress.close()
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
              f'the key: ' + plan_.PROJECT_REASONS[plan_.NO_ROLE].format(
                  project=project, user=cloud.admin.user_id))
    if report.gone:
        _warn(f'{len(report.gone)} backups in {arguments.records} are not in '
              f'the cloud any more; their records are kept')
    _print(arguments, {
        'records': report.count, 'exported': report.exported,
        'unchanged': report.kept, 'gone': report.gone,
        'unavailable': report.unavailable, 'failed': report.failed,
        'unproven': report.unproven,
        'problems': _problems(report.problems),
        'damaged': report.damaged and str(report.damaged)},
        f'{_count(report.count, "record")} in {arguments.records}, '
        f'{report.exported} of them new')
    return DONE if report.good else WRONG


def _scan(arguments: argparse.Namespace) -> int:
    if not sys.warnoptions:
        # Of Cinder's libraries, about each other.
        warnings.simplefilter('ignore')
    try:
        from backup_recovery.scan import scanning
    except ModuleNotFoundError as error:
        raise exceptions.RecoveryError(
            f'{error.name} is not installed; in the virtualenv of '
            f"cinder-backup run \"pip install '.[drivers]'\" in a clone of "
            f'this project, and scan there') from error
    progress = Progress('scanned')
    try:
        report = scanning.scan(
            arguments.records, arguments.config_file, arguments.container,
            lambda: _cloud(arguments), progress)
    finally:
        progress.close()
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
    from backup_recovery import plan as plan_
    from backup_recovery import planning
    from backup_recovery import records

    names = (planning.Names.read(arguments.map) if arguments.map else
             planning.Names())
    if arguments.owner:
        names = planning.Names({**names.projects, '': arguments.owner},
                               names.services)
    book = records.Book(arguments.records).load()
    cloud = _cloud(arguments)
    plan = planning.make(cloud, book, names, arguments.lost_since,
                         arguments.workers, arguments.damaged)
    plan.write(arguments.plan)
    for problem in book.problems:
        _warn(problem)
    said = set()
    for item in plan.items:
        if item.why in plan_.PROJECT_REASONS:
            said.add(plan_.PROJECT_REASONS[item.why].format(
                project=item.project, user=cloud.admin.user_id))
        elif item.why in plan_.REASONS and item.why != plan_.GONE:
            _warn(f'backup {item.id} ' + plan_.REASONS[item.why].format(
                project=item.project, parent=item.parent))
    for text in [*sorted(said), *plan.remains]:
        _warn(text)
    gone = [book.records[item.id].gone or '' for item in plan.items
            if item.why == plan_.GONE]
    if gone and arguments.lost_since is None:
        _warn(f'{len(gone)} backups were missed in the cloud by exports from '
              f'{min(gone)} to {max(gone)}; they are left out, as if deleted. '
              f'Those that were lost: --lost-since TIME')
    left = Counter(item.why for item in plan.items
                   if item.action == plan_.LEAVE)
    _print(arguments, {
        'records': len(book.records), 'import': len(plan.imports),
        'projects': [dataclasses.asdict(one) for one in plan.projects],
        'left': left, 'remains': Counter(
            one.remains for one in plan.remains),
        'problems': _problems(book.problems)},
        f'{_count(len(book.records), "record")}: '
        f'{_count(len(plan.imports), "backup")} to import into '
        f'{_count(len(plan.projects), "project")}, {left[plan_.EXISTS]} in '
        f'the cloud already, {left.total() - left[plan_.EXISTS]} left out; '
        f'the plan is {arguments.plan}' + (
            f'; {_count(len(plan.remains), "finding")} of a scan set aside'
            if plan.remains else ''))
    expected = {plan_.EXISTS, plan_.GONE if arguments.lost_since else None}
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
    from backup_recovery import journal

    place = arguments.plan.with_name(f'{arguments.plan.name}.journal')
    with _stopping(stop), journal.Journal(place) as written:
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
    from backup_recovery import importing
    from backup_recovery import keys
    from backup_recovery import plan as plan_

    plan = plan_.read(arguments.plan)
    private = arguments.recovery_key and keys.read(arguments.recovery_key)
    options = importing.Options(arguments.wait, arguments.retry)
    progress = Progress('done')
    with _carrying_out(arguments, options.stop) as written:
        try:
            report = applying.Run(_cloud(arguments), plan, written, options,
                                  arguments.workers, progress,
                                  private).run()
        finally:
            progress.close()
    _warn_of_run(report, 'is not imported')
    _print(arguments, dataclasses.asdict(report),
           f'{_count(len(report.imported), "backup")} imported, '
           f'{len(report.existing)} in the cloud already, '
           f'{len(report.failed)} failed' + _left(report))
    return _status(report)


def _restore(arguments: argparse.Namespace) -> int:
    from backup_recovery import plan as plan_
    from backup_recovery import planning
    from backup_recovery import restoring
    from backup_recovery import volumes

    names = (planning.Names.read(arguments.map) if arguments.map else
             planning.Names())
    plan = plan_.read(arguments.plan)
    options = volumes.Options(arguments.wait, arguments.retry)
    wishes = volumes.Wishes(names.types, names.zones, arguments.volume_type,
                            arguments.availability_zone)
    progress = Progress('GiB restored:')
    with _carrying_out(arguments, options.stop) as written:
        try:
            report = restoring.Run(
                _cloud(arguments), plan, written, options, wishes,
                arguments.workers, progress).run(
                    arguments.project, arguments.all)
        finally:
            progress.close()
    for backup, newer in report.newer.items():
        _warn(f'backup {backup} is restored, but the plan leaves out a newer '
              f'one of that volume, {newer}')
    _warn_of_run(report, 'is not restored')
    _print(arguments, dataclasses.asdict(report),
           f'{_count(len(report.restored), "volume")} restored, '
           f'{len(report.existing)} before, {len(report.failed)} failed' +
           _left(report))
    return _status(report)


def _rewrap(arguments: argparse.Namespace) -> int:
    from backup_recovery import keys

    progress = Progress('wrapped')
    try:
        report = keys.rewrap(arguments.records,
                             keys.read(arguments.recovery_key),
                             arguments.recipients, progress)
    finally:
        progress.close()
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


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; returns the exit code."""
    arguments = _parser().parse_args(argv)
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
