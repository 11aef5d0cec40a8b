# SPDX-License-Identifier: Apache-2.0

"""Time verification beside plain reading, restores and other programs.

Backs a volume up through the reference driver for a directory, in process
and with Cinder's real objects, and times in turns: reading and hashing the
same objects with the same number of threads, level presence (L1), level
content (L2), a restore by the reference driver and one of the same backup by
Cinder's own driver, and the checks of the same volume by ``restic`` and
``borg``.
"""

import argparse
from collections.abc import Sequence
import dataclasses
import os
import statistics
from typing import Any

from benchmarks import programs
from benchmarks import results

MIB = results.MIB
PACKAGES = ('cinder', 'zstd', 'backports.zstd', 'isal')


def versions() -> dict[str, str | None]:
    """Of the other programs."""
    return {name: programs.version(name) for name in programs.ALL}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--size', type=results.whole(1, 8192), default=256,
                        metavar='MIB', help='of the volume (%(default)s)')
    parser.add_argument('--chunk', default=50 * MIB, metavar='BYTES',
                        type=results.whole(results.BLOCK, 1024 * MIB,
                                           results.BLOCK),
                        help='of the volume in a chunk (%(default)s)')
    parser.add_argument('--compression', nargs='+',
                        choices=['none', 'zlib', 'zstd'],
                        default=['none', 'zlib', 'zstd'],
                        help='of the backups, one after the other (all)')
    parser.add_argument('--compare', nargs='*', choices=list(programs.ALL),
                        help='other programs to measure (those installed of '
                             'restic and borg)')
    parser.add_argument('--listed', type=results.whole(1, 100_000),
                        nargs='*', default=[10, 1000, 100_000],
                        metavar='CHUNKS',
                        help='measure L1 and export for so many chunks '
                             '(10 1000 100000)')
    results.add_rounds(parser)
    results.add_readers(parser)


def check(arguments: argparse.Namespace) -> None:
    absent = programs.missing(arguments.compare or ())
    if absent:
        raise results.Failed(', '.join(absent))
    # Volume, backup, restored volume and repositories; tiny files have 4 KiB
    # each, and their metadata less than half a KiB.
    volumes = 3.1 + programs.ROOM * len(_compared(arguments))
    results.check_room(volumes * arguments.size * MIB +
                       max(arguments.listed, default=0) * 5 * 1024 +
                       16 * MIB, '--size')


def _compared(arguments: argparse.Namespace) -> list[str]:
    """The other programs to measure."""
    if arguments.compare is not None:
        return list(dict.fromkeys(arguments.compare))
    return [name for name in programs.ALL if not programs.missing([name])]


def verdicts(backups: Sequence[results.Backup],
             listings: Sequence[results.Listing]) -> list[results.Verdict]:
    """Compare the measurements with the goals.

    :param listings: by number of chunks, may be empty
    """
    made = []
    for backup in backups:
        name = backup.compression
        made += [
            results.limit(f'{name}: L2 as fast as plain', (
                1.5 if name == 'none' and results.HASHLIB in backup.steps
                else 0.8), backup.ratio(results.PLAIN, results.CONTENT)),
            results.limit(f'{name}: L2 as fast as in-tree restore', 3,
                          backup.ratio(results.IN_TREE, results.CONTENT)),
            results.limit(f'{name}: prove as fast as L2', 0.9,
                          backup.ratio(results.CONTENT, results.PROVE)),
            *(results.limit(f'{name}: L2 as fast as {program}', 3,
                            backup.ratio(program, results.CONTENT))
              for program in backup.programs)]
    if listings:
        made.append(results.limit(
            'cost of export, most chunks to fewest', 1.1,
            listings[-1].export_cost / listings[0].export_cost, most=True))
    return made


def ratios_table(backups: Sequence[results.Backup]) -> str:
    """The ratios of L2 and of a restore."""
    others = list(dict.fromkeys(
        name for backup in backups for name in backup.programs))
    pairs = [(name, results.CONTENT)
             for name in (results.PLAIN, results.HASHLIB, results.IN_TREE,
                          *others)]
    pairs.append((results.IN_TREE, results.REFERENCE))
    return results.table(
        ['compression', 'plain', 'hashlib', 'in-tree', *others,
         'reference to in-tree'],
        [[backup.compression, *(
            f'{backup.ratio(*pair):.2f}' if pair[0] in backup.steps else '-'
            for pair in pairs)] for backup in backups])


def listings_table(listings: Sequence[results.Listing]) -> str:
    """L1 and export against the number of chunks, in seconds."""
    names = results.PRESENCE, results.EXPORT, results.IN_TREE_EXPORT
    return results.table(
        ['chunks', *names],
        [[f'{listing.chunks:,}', *(
            f'{statistics.median(listing.steps[name].seconds):.4f}'
            for name in names)] for listing in listings])


def measure(arguments: argparse.Namespace
            ) -> tuple[dict[str, Any], list[results.Verdict]]:
    # Cinder takes seconds, too long for --help.
    from benchmarks import steps
    from reference_drivers.contract import environment

    compared = _compared(arguments)
    if arguments.compare is None:
        for sentence in programs.missing(programs.ALL):
            results.progress(f'not compared: {sentence}')
    backups = []
    listings = []
    with environment.Environment(
            steps.DRIVER, {'backup_enable_progress_timer': False}) as cinder:
        results.progress(f'writing a volume of {arguments.size} MiB')
        size = arguments.size * MIB
        volume = cinder.create_volume(size=-(-size // results.GIB))
        steps.write_volume(cinder.path(volume.id), size)
        for compression in dict.fromkeys(arguments.compression):
            results.progress(f'compression {compression}: backup, then '
                             f'{arguments.rounds} rounds')
            step = steps.OneBackup(cinder, volume, compression,
                                   arguments.chunk, arguments.readers,
                                   compared)
            backup = step.measure(arguments.rounds)
            backups.append(backup)
            step.remove()
            results.say(
                f'\n{compression}: {backup.chunks} chunks, '
                f'{backup.stored / MIB:.0f} of {arguments.size} MiB stored, '
                f'{arguments.readers} readers, {arguments.rounds} rounds\n\n'
                + results.steps_table(backup.steps, size, [results.PRESENCE]))
        os.remove(cinder.path(volume.id))
        for count in sorted(set(arguments.listed)):
            results.progress(f'level presence and export of {count} chunks')
            listings.append(steps.measure_listing(cinder, count,
                                                  arguments.rounds))
    results.say('\nHow many times as fast L2 is, and a restore\n\n'
                f'{ratios_table(backups)}')
    if listings:
        results.say('\nSeconds by number of chunks\n\n'
                    f'{listings_table(listings)}')
    return ({'backups': [dataclasses.asdict(backup) for backup in backups],
             'listings': [dataclasses.asdict(listing)
                          for listing in listings]},
            verdicts(backups, listings))
