# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Measure verification against plain reading and against restores.

Backs a volume up through the reference driver for a directory, in process
and with Cinder's real objects, and times in turns: reading and hashing the
same objects with the same number of threads, level presence (L1), level
content (L2), a restore by the reference driver and one of the same backup by
Cinder's own driver, and what ``restic`` and ``borg`` take to check the same
volume. Prints tables and a verdict by goal::

    python -m benchmarks.verification --json verification.json

Exit codes: 0 measured, also where a goal is missed, since time is no test; 3
it could not be measured. Everything that was made is removed again, also after
an interruption.
"""

import argparse
import os
import sys
from typing import Any

from benchmarks import command
from benchmarks import programs
from benchmarks import results

DRIVER = 'reference_drivers.default.DefaultBackupDriver'
MIB = results.MIB

# What cannot be typed by accident: a full disk, or a run of hours.
_SIZE_MOST = 8192
_CHUNK_MOST = 1024 * MIB
_CHUNKS_MOST = 100_000


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog='python -m benchmarks.verification',
        description='Measure verification against plain reading and against '
                    'restores.')
    made.add_argument('--size', type=command.whole(1, _SIZE_MOST), default=256,
                      metavar='MIB', help='of the volume (%(default)s)')
    made.add_argument('--chunk', default=50 * MIB, metavar='BYTES',
                      type=command.whole(results.BLOCK, _CHUNK_MOST,
                                         results.BLOCK),
                      help='of the volume in a chunk (%(default)s)')
    made.add_argument('--compression', nargs='+',
                      choices=['none', 'zlib', 'zstd'],
                      default=['none', 'zlib', 'zstd'],
                      help='of the backups, one after the other (all)')
    made.add_argument('--compare', nargs='*', choices=list(programs.ALL),
                      help='other programs to measure beside it (what is '
                           'installed of restic and borg)')
    made.add_argument('--listed', type=command.whole(1, _CHUNKS_MOST),
                      nargs='*', default=[10, 1000, 100_000],
                      metavar='CHUNKS',
                      help='measure L1 and export for so many chunks '
                           '(10 1000 100000)')
    command.add_arguments(made)
    return made


def check(arguments: Any) -> None:
    """Refuse what would fail only after a long run.

    :raises Failed: with the remedy
    """
    absent = programs.missing(arguments.compare or ())
    if absent:
        raise results.Failed(', '.join(absent))
    # Volume, backup, restored volume and repositories; tiny files have 4 KiB
    # each, and their metadata less than half a KiB.
    listed = max(arguments.listed, default=0)
    volumes = 3.1 + programs.ROOM * len(_compared(arguments))
    command.check(arguments, volumes * arguments.size * MIB +
                  listed * 5 * 1024 + 16 * MIB)


def _compared(arguments: Any) -> list[str]:
    """The other programs to measure: what was named, or what is there."""
    if arguments.compare is not None:
        return list(dict.fromkeys(arguments.compare))
    return [name for name in programs.ALL if not programs.missing([name])]


def measure(arguments: Any) -> dict[str, Any]:
    """Measure and print.

    :param arguments: of :func:`parser`
    :returns: all of it, for JSON
    """
    # Cinder takes seconds, in which nobody should wait for --help, or get
    # a stack trace for an interruption.
    from benchmarks import growth
    from benchmarks import steps
    from reference_drivers.contract import environment

    where = command.machine(
        'cinder', 'zstd', 'backports.zstd', 'isal',
        **{name: programs.version(name) for name in programs.ALL})
    command.say(', '.join(f'{name} {value}' for name, value in where.items()))
    compared = _compared(arguments)
    if arguments.compare is None:
        for sentence in programs.missing(programs.ALL):
            command.progress(f'not compared: {sentence}')
    backups = []
    listings = []
    with environment.Environment(
            DRIVER, {'backup_enable_progress_timer': False}) as cinder:
        command.progress(f'writing a volume of {arguments.size} MiB')
        size = arguments.size * MIB
        volume = cinder.create_volume(size=max(1, -(-size // steps.GIB)))
        steps.write_volume(cinder.path(volume.id), size)
        for compression in dict.fromkeys(arguments.compression):
            command.progress(f'compression {compression}: backup, then '
                             f'{arguments.rounds} rounds')
            one = steps.OneBackup(cinder, volume, compression,
                                  arguments.chunk, arguments.readers,
                                  compared)
            backups.append(one.measure(arguments.rounds))
            one.remove()
            measured = backups[-1]
            command.say(
                f'\n{compression}: {measured.chunks} chunks, '
                f'{measured.stored / MIB:.0f} of {arguments.size} MiB '
                f'stored, {measured.readers} readers, {arguments.rounds} '
                f'rounds\n\n{results.steps_table(measured)}')
        os.remove(cinder.path(volume.id))
        command.progress('memory of level content')
        contents = list(growth.measure_memory(cinder, size,
                                              arguments.readers))
        for count in sorted(set(arguments.listed)):
            command.progress(f'level presence and export for {count} chunks')
            listings.append(growth.measure_listing(cinder, count,
                                                   arguments.rounds))
    for title, text in (
            ('How many times as fast L2 is, and a restore',
             results.ratios_table(backups)),
            ('Memory of level content by number of chunks',
             results.contents_table(contents)),
            ('Level presence by number of chunks',
             results.listings_table(listings)),
            ('Export by number of chunks', results.exports_table(listings)),
            ('Goals', results.verdicts_table(
                results.verdicts(backups, listings, contents)))):
        command.say(f'\n{title}\n\n{text}')
    return results.to_dict(backups, listings, contents, machine=where,
                           options=command.options(arguments))


def main(argv: list[str] | None = None) -> int:
    """The program.

    :param argv: arguments without the program's name
    :returns: the exit code
    """
    return command.main(parser(), check, measure, argv)


if __name__ == '__main__':
    command.terminate_as_interrupted()
    sys.exit(main())
