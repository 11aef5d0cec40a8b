# SPDX-License-Identifier: Apache-2.0

"""Verify backups outside of an import.

For example from cron, a seventh of all content each night::

    cinder-backup-verify --config-file /etc/cinder/cinder.conf \\
        --all --level content --part $(date +%u)/7 --json

Or a restored volume, whose original is gone::

    cinder-backup-verify --config-file /etc/cinder/cinder.conf \\
        --restored /dev/vdb --records records BACKUP

Exit codes: 0 every backup is good, 1 at least one is damaged, 3 a backup
could not be verified, there is none or the configuration is wrong. Nothing is
written.
"""

import argparse
from collections.abc import Callable
import contextlib
import json
import os
import sys
import time
from typing import Any
from typing import TextIO

from cinder import coordination
from cinder import exception
from cinder import objects
from cinder.objects import fields
from oslo_config import cfg

from reference_drivers import import_verify
from reference_drivers import options
from reference_drivers import programs
from reference_drivers.verification import errors
from reference_drivers.verification import restored
from reference_drivers.verification import verifier

CONF = cfg.CONF


def _part(text: str) -> tuple[int, int]:
    try:
        number, total = (int(word) for word in text.split('/'))
    except ValueError:
        raise argparse.ArgumentTypeError('n/t is expected') from None
    if not 1 <= number <= total:
        raise argparse.ArgumentTypeError(f'there is no part {text}')
    return number, total


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = programs.Parser(
        prog='cinder-backup-verify',
        description='Verify backups on their storage, or a volume to which '
                    'one was restored. Nothing is written.')
    made.add_argument('backups', nargs='*', metavar='BACKUP',
                      help='id of a backup')
    made.add_argument('--all', action='store_true',
                      help='all available backups of this driver')
    programs.add_config_file(made)
    made.add_argument('--level', choices=verifier.LEVELS[1:],
                      default='presence')
    made.add_argument('--restored', metavar='VOLUME',
                      help='compare all of this device or file, to which the '
                           'backup was restored, with the hashes of its '
                           'blocks, and name each extent that differs')
    made.add_argument('--records', metavar='FILE',
                      help='with --restored: a file of cinder-backup-records '
                           'with the record of the backup; without it the '
                           'hashes on the storage are believed')
    made.add_argument('--ignore-rest', action='store_true',
                      help='with --restored: the volume is larger than the '
                           'backup, and had data after its end before')
    made.add_argument('--part', type=_part, default=(1, 1), metavar='N/T',
                      help='read the N-th of T parts of the chunks')
    made.add_argument('--budget', type=int, metavar='BYTES',
                      help='read at most so much of each volume')
    made.add_argument('--readers', type=int, metavar='N')
    made.add_argument('--os-token', metavar='TOKEN',
                      default=os.environ.get('OS_TOKEN'),
                      help='of a user who may read the backups, where the '
                           'storage asks for one: Swift with '
                           'backup_swift_auth = per_user (default: OS_TOKEN)')
    made.add_argument('--os-project-id', metavar='ID',
                      default=os.environ.get('OS_PROJECT_ID'),
                      help='project of that token (default: OS_PROJECT_ID)')
    made.add_argument('--json', action='store_true',
                      help='one line of JSON for each backup')
    made.add_argument('--quiet', action='store_true', help='no progress')
    return made


class Command:
    """Verifies backups one after the other."""

    def __init__(self, arguments: Any, driver: Any, context: Any,
                 out: TextIO, log: TextIO):
        self.arguments = arguments
        self.driver = driver
        self.context = context
        self.out = out
        self.log = log

    def run(self) -> int:
        """Verify what the command line names."""
        found = self._ids()
        if not found:
            self.log.write(
                f'error: no available backup was made by '
                f'{CONF.backup_driver}{self._of_others()}\n')
            return programs.FAILED
        worst = programs.GOOD
        for backup_id in found:
            worst = max(worst, self._verify(backup_id))
        return worst

    def _ids(self) -> list[str]:
        if not self.arguments.all:
            return self.arguments.backups
        name = CONF.backup_driver
        return [one.id for one in self._available()
                if one.service and name.startswith(one.service)]

    def _available(self) -> Any:
        return objects.BackupList.get_all(
            self.context, filters={'status': fields.BackupStatus.AVAILABLE})

    def _of_others(self) -> str:
        others = sorted({str(one.service) for one in self._available()})
        return f'; those in the database are of {", ".join(others)}' if (
            others) else ', and there is no other'

    def _verify(self, backup_id: str) -> int:
        try:
            backup = objects.Backup.get_by_id(self.context, backup_id)
            self.driver.check_access(backup)
            report = (self._proof(backup) if self.arguments.restored else
                      self._report(backup))
        except (exception.CinderException, ValueError) as err:
            kind = err.kind if isinstance(err, errors.Problem) else 'error'
            self._say({'backup_id': backup_id, 'ok': None, 'problems': [
                {'kind': kind, 'backup_id': backup_id, 'name': None,
                 'message': str(err)}]})
            return programs.FAILED
        found = report.to_dict()
        unread = [isinstance(one, errors.Unreadable)
                  for one in report.problems]
        if unread and all(unread):
            # It may be whole all the same.
            found['ok'] = None
        self._say(found)
        if any(unread):
            return programs.FAILED
        return programs.GOOD if report.ok else programs.BAD

    def _progress(self, backup: Any) -> Callable[[int, int], None]:
        def progress(done: int, total: int) -> None:
            if not self.arguments.quiet:
                self.log.write(f'{backup.id} {done}/{total} bytes\n')
        return progress

    def _proof(self, backup: Any) -> restored.Proof:
        begin = time.monotonic()
        info = (read_driver_info(self.arguments.records, backup.id)
                if self.arguments.records else None)
        with restored.Volume(
                self.arguments.restored,
                self.arguments.readers or CONF[options.GROUP].readers,
                self._progress(backup)) as volume:
            proof = self.driver.prove(backup, volume, info,
                                      not self.arguments.ignore_rest)
        proof.seconds = time.monotonic() - begin
        return proof

    def _report(self, backup: Any) -> verifier.Report:
        def stop() -> str | None:
            with backup.as_read_deleted():
                backup.refresh()
            if backup.status in (fields.BackupStatus.DELETING,
                                 fields.BackupStatus.DELETED):
                return f'the backup became {backup.status}'
            return None

        return self.driver.verify(
            backup, self.arguments.level, part=self.arguments.part,
            budget=self.arguments.budget, readers=self.arguments.readers,
            should_stop=stop, progress=self._progress(backup))

    def _say(self, report: dict[str, Any]) -> None:
        if self.arguments.json:
            self.out.write(json.dumps(report) + '\n')
            return
        state = {True: 'good', False: 'DAMAGED', None: 'NOT VERIFIED'}
        self.out.write(f'{report["backup_id"]} {state[report["ok"]]}\n')
        for problem in report['problems']:
            self.out.write(f'  {problem["kind"]}: {problem["message"]}\n')
        for extent in report.get('extents', ()):
            every = (f', and each {extent["every"]} bytes further'
                     if extent['every'] else '')
            self.out.write(f'  {extent["kind"]}: {extent["length"]} bytes at '
                           f'{extent["offset"]}{every}\n')
        if report.get('extents_omitted'):
            self.out.write(f'  and {report["extents_omitted"]} more\n')
        if report.get('rest'):
            self.out.write(f'  the volume has {report["rest"]["length"]} '
                           f'bytes after the end of the backup\n')


def read_driver_info(path: str, backup_id: str) -> dict[str, Any]:
    """Read the drivers' part of a record, which was exported last.

    :param path: of a file of records, by the form of ``cinder-backup-records``
    :raises InvalidInput: it has none
    """
    def wrong(what: str) -> exception.InvalidInput:
        return exception.InvalidInput(reason=f'{path} {what}')

    found: dict[str, Any] = {}
    try:
        with open(path, encoding='utf-8') as stream:
            for line in stream:
                # Not each line is one of this backup, or can be read at all.
                if backup_id not in line:
                    continue
                with contextlib.suppress(ValueError, LookupError, TypeError):
                    one = json.loads(line)
                    if one['id'] == backup_id and one['backup_url'] and (
                            one['exported'] or '') >= (
                                found.get('exported') or ''):
                        found = one
    except (OSError, UnicodeDecodeError) as err:
        raise wrong(f'cannot be read: {err}') from err
    if not found:
        raise wrong(f'has no record of backup {backup_id}')
    info = objects.Backup.decode_record(found['backup_url']).get(
        'driver_info')
    if not info:
        raise wrong(f'has a record of backup {backup_id} which no reference '
                    f'driver has exported: without --records, the hashes on '
                    f'the storage are believed')
    return info


def open_driver(name: str, context: Any) -> Any:
    """Make a driver that verifies outside of a request.

    :raises InvalidInput: it is not one that verifies
    :raises CinderException: what it needs for its storage is missing
    """
    driver = programs.import_driver(name)(context)
    if not isinstance(driver, import_verify.ImportVerifyMixin):
        raise exception.InvalidInput(
            reason=f'{name} is not a reference driver')
    driver.connect()
    return driver


def main(argv: list[str] | None = None) -> int:
    """The program."""
    made = parser()
    arguments = made.parse_args(argv)
    if bool(arguments.backups) == arguments.all:
        made.error('name backups, or --all')
    if arguments.restored is None and (arguments.records or
                                       arguments.ignore_rest):
        made.error('--records and --ignore-rest need --restored')
    if arguments.restored is not None and (
            len(arguments.backups) != 1 or arguments.part != (1, 1) or
            arguments.budget is not None):
        made.error('--restored compares all of one backup: name one, without '
                   '--part and --budget')
    try:
        programs.configure(arguments.config_file)
        # Cinder's NFS driver mounts under a lock.
        coordination.COORDINATOR.start()
        context = programs.context_of(arguments.os_token,
                                      arguments.os_project_id)
        driver = open_driver(CONF.backup_driver, context)
    except Exception as err:
        return programs.fail(err)
    try:
        return Command(arguments, driver, context, sys.stdout,
                       sys.stderr).run()
    except KeyboardInterrupt:
        return programs.fail(Exception('interrupted'))
    finally:
        coordination.COORDINATOR.stop()


if __name__ == '__main__':
    sys.exit(main())
