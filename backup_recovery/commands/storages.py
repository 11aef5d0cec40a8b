# SPDX-License-Identifier: Apache-2.0

"""The commands on a host of cinder-backup: scan, salvage and drill."""

import argparse
import dataclasses
import secrets
import sys
import threading

from backup_recovery import progress
from backup_recovery.commands import common

#: The class of a backup that can be restored.
COMPLETE = 'complete'


def scan(arguments: argparse.Namespace) -> int:
    """Make records from the storage alone."""
    with common.libraries_of_cinder('scan'):
        from backup_recovery.scan import scanning
    how = common.signing_of(arguments)
    with progress.Progress('scanned') as shown:
        report = scanning.scan(
            arguments.records, arguments.config_file, arguments.container,
            lambda: common.connect(arguments), shown, how.signer)
    for one in report.remains:
        common.warn(one)
    for project, reason in report.unscanned.items():
        common.warn(f'the account of project {project} was not scanned: '
                    f'{reason}')
    complete = report.classes[COMPLETE]
    if not report.classes:
        common.warn('nothing is on the storage; check the options of '
                    'backup_driver in the configuration')
    if report.unknown:
        common.warn(f'{common.count(report.unknown, "backup")} without a '
                    f'known owner: plan --owner PROJECT')
    common.tell(arguments, {
        'classes': report.classes, 'unknown_owners': report.unknown,
        'remains': [dataclasses.asdict(one) for one in report.remains],
        'unscanned': report.unscanned},
        f'{common.count(complete, "complete backup")} in '
        f'{arguments.records}, '
        f'{common.count(report.classes.total() - complete, "other finding")}; '
        f'a backup that was deleted while the storage did not answer looks '
        f'like a complete one')
    return common.DONE if report.good else common.WRONG


def salvage(arguments: argparse.Namespace) -> int:
    """Write what is good of a damaged backup."""
    with common.libraries_of_cinder('salvage'):
        from backup_recovery.prove import salvaging
    with progress.Progress('bytes read:') as shown:
        found = salvaging.salvage(
            arguments.backup, arguments.target, arguments.config_file,
            lambda: common.connect(arguments), arguments.records,
            common.signers_of(arguments), arguments.overwrite, shown)
    for problem in found.problems:
        common.warn(f'backup {found.backup_id}: {problem.what}')
    if found.anchored is False:
        common.warn('the checksums of the backup are not those that were '
                    'exported: what is called good may have been changed with '
                    'them')
    lost = ''.join(f'\n  {length} bytes at {offset}'
                   for offset, length in found.lost)
    common.tell(arguments, found.to_dict(),
                f'{found.end - found.lost_bytes} of {found.end} bytes of '
                f'backup {found.backup_id} are in {arguments.target}' + (
                    f'; {common.count(len(found.lost), "extent")} LOST, with '
                    f'zeros there:{lost}' if lost else ''))
    return common.DONE if found.complete else common.WRONG


def drill(arguments: argparse.Namespace) -> int:
    """Recover copies of backups in a cloud on this machine."""
    with common.libraries_of_cinder('drill'):
        from backup_recovery.drill import drilling
    stop = threading.Event()
    seed = secrets.randbits(32) if arguments.seed is None else arguments.seed
    with (common.stopping(stop),
          progress.Progress('objects copied:') as shown):
        report = drilling.drill(
            arguments.records, arguments.directory, arguments.config_file,
            lambda: common.connect(arguments), arguments.backup,
            arguments.volumes, seed, common.signers_of(arguments), stop,
            lambda text: print(text, file=sys.stderr), shown)
    for backup, reason in report.uncopied.items():
        common.warn(f'backup {backup} is not copied: {reason}')
    proved = report.states.get('proved', 0)
    common.tell(
        arguments, dataclasses.asdict(report),
        f'{proved} of {common.count(len(report.chosen), "backup")} proved in '
        f'{report.seconds:.0f} s' + (
            '' if arguments.backup else f', drawn with --seed {seed}') +
        f'; the page is {report.page}')
    return common.DONE if report.good else common.WRONG
