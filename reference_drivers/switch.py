# SPDX-License-Identifier: Apache-2.0

"""Switch existing backups to the driver that ``cinder.conf`` names now.

Cinder refuses to restore, delete or export a backup whose row names another
driver than ``backup_driver``, also where both store the same. This changes
the rows, for instance after ``backup_driver`` was set to a reference driver::

    cinder-backup-switch-driver --config-file /etc/cinder/cinder.conf \\
        --from cinder.backup.drivers.posix.PosixBackupDriver --dry-run

Exit codes: 0 done, 1 a backup is in use and nothing was changed, or one stays
with the old driver, 3 the configuration is wrong or there is no such backup.
"""

import argparse
import sys
from typing import Any

from cinder import context as cinder_context
from cinder import exception
from cinder import objects
from cinder.objects import fields

from reference_drivers import hooks
from reference_drivers import programs
from reference_drivers.verification import errors
from reference_drivers.verification import store as stores

_BUSY = (fields.BackupStatus.CREATING, fields.BackupStatus.RESTORING,
         fields.BackupStatus.DELETING)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = programs.Parser(
        prog='cinder-backup-switch-driver',
        description='Switch existing backups to the driver that backup_driver '
                    'in cinder.conf names, where one of the two extends the '
                    'other. Stop cinder-backup before. Nothing but the rows '
                    'is changed.',
        epilog='exit status: 0 done; 1 a backup is being made, restored or '
               'deleted, and nothing was changed, or the container of one '
               'has a name that the new driver refuses, and only the others '
               'were switched; 3 the configuration is wrong, or there is no '
               'such backup.')
    programs.add_config_file(made)
    made.add_argument('--from', dest='old', metavar='DRIVER', required=True,
                      help='the class that backup_driver named before')
    made.add_argument('--dry-run', action='store_true',
                      help='print what would be changed, and change nothing')
    return made


def check(old: str, new: str) -> type:
    """Check that two drivers read each other's backups.

    :param old: the class of one, as ``backup_driver`` names it
    :param new: that of the other
    :returns: the class of the new one
    :raises InvalidInput: they do not, or one cannot be imported
    """
    if old == new:
        raise exception.InvalidInput(
            reason=f'backup_driver still is {old}; set the new one first')
    one, other = map(programs.import_driver, (old, new))
    if not (issubclass(one, other) or issubclass(other, one)):
        raise exception.InvalidInput(
            reason=f'neither {old} nor {new} extends the other, so that one '
                   f'need not find the backups of the other')
    return other


def refused(row: Any, driver: type) -> str:
    """The reason why a driver would read nothing from a backup's container.

    Cinder's drivers take any name from a user. With a driver that does not,
    no restore would be possible, and a delete would leave all objects.

    :returns: '' for a container that it accepts
    """
    if row.container is not None and issubclass(driver, hooks.VerifyMixin):
        try:
            stores.check_name('container', row.container, row.id)
        except errors.BadLocation as err:
            return err.what
    return ''


def switch(old: str, new: str, driver: type, dry_run: bool) -> int:
    """Change the rows, and print each.

    As Cinder compares them, rows of releases before Rocky, which name the
    module only, are the class's.

    :param old: the driver that the rows name
    :param new: the driver that they are to name
    :param driver: its class
    :returns: the exit code
    """
    context = cinder_context.get_admin_context()
    rows = list(objects.BackupList.get_all(context))
    todo = [row for row in rows if row.service and
            old.startswith(row.service) and not new.startswith(row.service)]
    left = {row.id: reason for row in todo if (reason := refused(row, driver))}
    done = sum(new == row.service for row in rows)
    if not todo and not done:
        others = ', '.join(sorted({str(row.service) for row in rows}))
        sys.stderr.write(
            f'error: no backup is of {old}; ' +
            (f'those in the database are of {others}\n' if others else
             'there is no backup in this database\n'))
        return programs.FAILED
    busy = [f'{row.id} is {row.status}' for row in todo
            if row.status in _BUSY]
    if busy:
        sys.stderr.write(
            f'error: nothing was changed, since a backup is in use: '
            f'{", ".join(busy)}; wait for its end, then stop cinder-backup; '
            f'if it never ends, "cinder backup-reset-state" sets it to '
            f'error\n')
        return programs.BAD
    for row in todo:
        if row.id in left:
            sys.stderr.write(
                f'error: {row.id} stays {row.service}: {left[row.id]}; '
                f'restore or delete it with that driver\n')
            continue
        print(f'{row.id} {row.service} -> {new}', flush=True)
        if not dry_run:
            # One by one: what was interrupted is repeated.
            row.service = new
            row.save()
    verb = 'would be switched' if dry_run else 'switched'
    print(f'{len(todo) - len(left)} of {len(rows)} backups {verb}; {done} '
          f'were of {new} before')
    return programs.BAD if left else programs.GOOD


def main(argv: list[str] | None = None) -> int:
    """The program."""
    made = parser()
    arguments: Any = made.parse_args(argv)
    try:
        programs.configure(arguments.config_file)
        new = programs.CONF.backup_driver
        driver = check(arguments.old, new)
        return switch(arguments.old, new, driver, arguments.dry_run)
    except Exception as err:
        return programs.fail(err)


if __name__ == '__main__':
    sys.exit(main())
