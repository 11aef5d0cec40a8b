# SPDX-License-Identifier: Apache-2.0

"""The commands about a file of records: export, rewrap and decrypt."""

import argparse
from collections import Counter

from backup_recovery import exceptions
from backup_recovery import progress
from backup_recovery.commands import common


def export(arguments: argparse.Namespace) -> int:
    """Export what is new or was changed."""
    from backup_recovery import copies
    from backup_recovery import exporting
    from backup_recovery import keys
    from backup_recovery import plans

    if arguments.recipients and not arguments.copies:
        raise exceptions.RecoveryError('--recipient encrypts copies: name '
                                       'a directory with --copies')
    how = common.signing_of(arguments)
    wanted = keys.recipients(arguments.recipients)
    cloud = common.connect(arguments)
    with progress.Progress('exported') as shown:
        report = exporting.export(cloud, arguments.records,
                                  arguments.everything, arguments.workers,
                                  shown, how)
    for problem in report.problems:
        common.warn(problem)
    if report.damaged:
        common.warn(f'the file as it was is {report.damaged}')
    for backup, status in report.unavailable.items():
        common.warn(f'backup {backup} is in status {status}; passed over')
    for backup, reason in report.failed.items():
        common.warn(f'backup {backup} cannot be exported: {reason}; passed '
                    f'over')
    for project, count in Counter(report.unproven.values()).items():
        common.warn(f'{common.count(count, "record")} of encrypted volumes '
                    f'cannot prove the key: ' +
                    plans.PROJECT_REASONS[plans.NO_ROLE].format(
                        project=project, user=cloud.admin.user_id))
    if report.gone:
        common.warn(f'{len(report.gone)} backups in {arguments.records} are '
                    f'not in the cloud any more; their records are kept')
    copy = uncopied = None
    if arguments.copies:
        try:
            copy = copies.make(arguments.records, arguments.copies,
                               arguments.keep, wanted)
        except exceptions.BadFile as error:
            uncopied = str(error)
            common.warn(f'the copies are not as they should be: {uncopied}')
    common.tell(arguments, {
        'records': report.count, 'exported': report.exported,
        'unchanged': report.kept, 'gone': report.gone,
        'unavailable': report.unavailable, 'failed': report.failed,
        'unproven': report.unproven,
        'problems': common.problems_of(report.problems),
        'damaged': report.damaged and str(report.damaged),
        'copy': copy and str(copy), 'uncopied': uncopied},
        f'{common.count(report.count, "record")} in {arguments.records}, '
        f'{report.exported} of them new' + (
            f'; the copy is {copy}' if copy else ''))
    return common.DONE if report.good and not uncopied else common.WRONG


def rewrap(arguments: argparse.Namespace) -> int:
    """Wrap the keys of a file for others."""
    from backup_recovery import keys

    how = common.signing_of(arguments)
    with progress.Progress('wrapped') as shown:
        report = keys.rewrap(arguments.records,
                             keys.read(arguments.recovery_key),
                             arguments.recipients, shown, how)
    for problem in report.problems:
        common.warn(problem)
    for backup, reason in report.failed.items():
        common.warn(f'the key of backup {backup} is unchanged: {reason}')
    common.tell(arguments, {
        'records': report.count, 'rewrapped': report.rewrapped,
        'failed': report.failed,
        'problems': common.problems_of(report.problems)},
        f'{common.count(report.count, "record")} in {arguments.records}, the '
        f'keys of {len(report.rewrapped)} wrapped anew')
    return common.WRONG if report.failed or report.problems else common.DONE


def decrypt(arguments: argparse.Namespace) -> int:
    """Decrypt a copy."""
    from backup_recovery import keys
    from backup_recovery import sealing

    sealing.unseal(arguments.copy, arguments.records,
                   keys.read(arguments.recovery_key))
    common.tell(arguments, {'records': str(arguments.records)},
                f'{arguments.copy} is decrypted; the records are '
                f'{arguments.records}')
    return common.DONE
