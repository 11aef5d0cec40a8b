# SPDX-License-Identifier: Apache-2.0

"""Time backups and restores beside those of Cinder's own drivers.

Backs volumes up and restores them through the reference driver and through
Cinder's own, in process and with Cinder's real objects, to a directory and to
a Swift on this machine: a volume of random data, a full backup of data of
which half compresses, and a chain of incremental ones on it.
"""

import argparse
import dataclasses
from typing import Any

from benchmarks import results

MIB = results.MIB
PACKAGES = ('cinder', 'python-swiftclient', 'swift')

#: Of each storage: the reference driver, Cinder's own, and their option for
#: the length of a chunk.
_DRIVERS = {
    results.DIRECTORY: ('reference_drivers.default.DefaultBackupDriver',
                        'cinder.backup.drivers.posix.PosixBackupDriver',
                        'backup_file_size'),
    results.SWIFT: ('reference_drivers.swift.SwiftBackupDriver',
                    'cinder.backup.drivers.swift.SwiftBackupDriver',
                    'backup_swift_object_size')}
#: Restores of a full backup, to those of Cinder's driver.
_FULL_GOALS = {results.DIRECTORY: 1.5, results.SWIFT: 2.5}

_SPARSE = 'sparse'
# CPU seconds for 1 TiB.
_SPARSE_GOAL = 300


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--size', type=results.whole(32, 8192, 32),
                        default=256, metavar='MIB',
                        help='of a volume (%(default)s)')
    parser.add_argument('--chunk', default=16 * MIB, metavar='BYTES',
                        type=results.whole(results.BLOCK, 1024 * MIB,
                                           results.BLOCK),
                        help='of a volume in a chunk (%(default)s)')
    parser.add_argument('--storage', nargs='+', default=list(_DRIVERS),
                        choices=list(_DRIVERS),
                        help='one after the other (all)')
    parser.add_argument('--chain', default=30, metavar='N',
                        type=results.whole(1, 200),
                        help='incremental backups of the chain (%(default)s)')
    parser.add_argument('--sparse', default=0, metavar='GIB',
                        type=results.whole(0, 2048),
                        help='also back up a sparse volume of this size with '
                             '1 GiB of data; 1024 takes minutes and 12 GiB '
                             'of memory (%(default)s: none)')
    results.add_rounds(parser)
    results.add_readers(parser)


def check(arguments: argparse.Namespace) -> None:
    # Two volumes, a backup of each kind, the changes of the chain, and the
    # restored volume.
    results.check_room(
        (8 + 2 * arguments.chain / results.PARTS) * arguments.size * MIB +
        bool(arguments.sparse) * 8 * results.GIB + 256 * MIB, '--size')


def verdicts(storage: str, series: dict[str, results.Series]
             ) -> list[results.Verdict]:
    """Compare the measurements on one storage with the goals."""
    return [
        results.limit(f'{storage}: random data backed up, to in-tree', 1.8,
                      results.ratio(series[results.IN_TREE_BACKUP],
                                    series[results.BACKUP])),
        results.limit(f'{storage}: full restored, to in-tree',
                      _FULL_GOALS[storage],
                      results.ratio(series[results.IN_TREE],
                                    series[results.REFERENCE])),
        results.limit(f'{storage}: chain restored, seconds to its full', 1.2,
                      results.ratio(series[results.CHAIN],
                                    series[results.REFERENCE]), most=True)]


def measure(arguments: argparse.Namespace
            ) -> tuple[dict[str, Any], list[results.Verdict]]:
    # Cinder takes seconds, too long for --help.
    from benchmarks import backup_steps
    from reference_drivers.contract import environment

    found = {}
    goals = []
    for storage in dict.fromkeys(arguments.storage):
        driver, in_tree, chunk = _DRIVERS[storage]
        with (backup_steps.options(storage) as options,
              environment.Environment(driver, {
                  **options, chunk: arguments.chunk,
                  'backup_import_verify__readers': arguments.readers,
                  'backup_import_verify__backup_threads': arguments.readers,
              }) as cinder):
            results.progress(f'{storage}: a full backup, and a chain')
            backups = backup_steps.Backups(
                cinder, in_tree, arguments.size * MIB, arguments.chain)
            backups.check()
            series = results.in_turns(backups.steps(), arguments.rounds)
            found[storage] = series
            results.say(f'\n{storage}, {arguments.size} MiB, a chain of '
                        f'{arguments.chain}, {arguments.readers} threads, '
                        f'{arguments.rounds} rounds\n\n' +
                        results.steps_table(series, arguments.size * MIB))
            goals += verdicts(storage, series)
            if arguments.sparse and storage == results.DIRECTORY:
                results.progress(f'a sparse volume of {arguments.sparse} GiB')
                series = backup_steps.sparse(cinder, arguments.sparse)
                found[_SPARSE] = series
                goals.append(results.limit(
                    f'CPU seconds of {arguments.sparse} GiB with 1 of data',
                    _SPARSE_GOAL, series[results.BACKUP].cpu[0], most=True))
    return ({storage: {name: dataclasses.asdict(one)
                       for name, one in series.items()}
             for storage, series in found.items()}, goals)
