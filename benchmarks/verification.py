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
Cinder's own driver. Prints tables and a verdict by goal::

    python -m benchmarks.verification --json verification.json

Exit codes: 0 measured, also where a goal is missed, since time is no test; 3
it could not be measured. Everything that was made is removed again, also after
an interruption.
"""

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
from typing import Any

from benchmarks import results

MEASURED, FAILED, INTERRUPTED = 0, 3, 130

DRIVER = 'reference_drivers.default.DefaultBackupDriver'
MIB = results.MIB

# What cannot be typed by accident: a full disk, or a run of hours.
_SIZE_MOST = 8192
_ROUNDS_MOST = 50
_READERS_MOST = 16
_CHUNK_MOST = 1024 * MIB
_CHUNKS_MOST = 100_000


def _whole(least: int, most: int, multiple: int = 1) -> Any:
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(
                f'{text!r} is not a number') from None
        if not least <= value <= most or value % multiple:
            of = f', a multiple of {multiple}' if multiple > 1 else ''
            raise argparse.ArgumentTypeError(
                f'{value} is not from {least} to {most}{of}')
        return value

    return parse


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog='python -m benchmarks.verification',
        description='Measure verification against plain reading and against '
                    'restores.')
    made.add_argument('--size', type=_whole(1, _SIZE_MOST), default=256,
                      metavar='MIB', help='of the volume (%(default)s)')
    made.add_argument('--chunk', default=50 * MIB, metavar='BYTES',
                      type=_whole(results.BLOCK, _CHUNK_MOST, results.BLOCK),
                      help='of the volume in a chunk (%(default)s)')
    made.add_argument('--compression', nargs='+',
                      choices=['none', 'zlib', 'zstd'],
                      default=['none', 'zlib', 'zstd'],
                      help='of the backups, one after the other (all)')
    made.add_argument('--rounds', type=_whole(1, _ROUNDS_MOST), default=3,
                      metavar='N', help='how often (%(default)s)')
    made.add_argument('--readers', type=_whole(1, _READERS_MOST), default=2,
                      metavar='N', help='threads (%(default)s)')
    made.add_argument('--listed', type=_whole(1, _CHUNKS_MOST), nargs='*',
                      default=[10, 1000, 10_000], metavar='CHUNKS',
                      help='measure L1 for so many chunks (10 1000 10000)')
    made.add_argument('--directory', metavar='DIR',
                      help='where the volume and its backups are for the '
                           f'time of the run ({tempfile.gettempdir()})')
    made.add_argument('--json', metavar='FILE',
                      help='also write all that was measured there')
    return made


def check(arguments: Any) -> None:
    """Refuse what would fail only after a long run.

    :raises Failed: with the remedy
    """
    directory = arguments.directory or tempfile.gettempdir()
    if not os.path.isdir(directory) or not os.access(directory, os.W_OK):
        raise results.Failed(f'{directory} is not a directory that can be '
                           'written to; name one with --directory')
    # Volume, backup and restored volume; tiny files have 4 KiB each, and
    # their metadata less than half a KiB.
    listed = max(arguments.listed, default=0)
    need = 3.1 * arguments.size * MIB + listed * 5 * 1024 + 16 * MIB
    free = shutil.disk_usage(directory).free
    if free < need:
        raise results.Failed(
            f'{directory} has {free / MIB:.0f} MiB free, {need / MIB:.0f} '
            'are needed; take a smaller --size, or another --directory')
    if arguments.json:
        parent = os.path.dirname(os.path.abspath(arguments.json))
        if (os.path.isdir(arguments.json) or not os.path.isdir(parent) or
                not os.access(parent, os.W_OK)):
            raise results.Failed(f'{arguments.json} cannot be written; name '
                               'a file in a directory that is there')


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        with open('/proc/cpuinfo', encoding='utf-8') as stream:
            for line in stream:
                if line.startswith('model name'):
                    return line.partition(':')[2].strip()
    except OSError:
        pass
    return platform.machine()


def machine() -> dict[str, Any]:
    """Where it was measured."""
    return {
        'cores': len(os.sched_getaffinity(0)),
        'processor': _processor(),
        'kernel': platform.release(),
        'python': platform.python_version(),
        'cinder': _version('cinder'),
        'zstd': _version('zstd'),
        # Above the number of cores others had work as well.
        'load': [round(one, 2) for one in os.getloadavg()],
        'time': datetime.datetime.now(datetime.UTC).isoformat(
            timespec='seconds')}


def measure(arguments: Any) -> dict[str, Any]:
    """Measure and print.

    :param arguments: of :func:`parser`
    :returns: all of it, for JSON
    """
    # Cinder takes seconds, in which nobody should wait for --help, or get
    # a stack trace for an interruption.
    from benchmarks import steps
    from reference_drivers.contract import environment

    def say(text: str) -> None:
        print(text, flush=True)

    def progress(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    where = machine()
    say(', '.join(f'{name} {value}' for name, value in where.items()))
    backups = []
    listings = []
    with environment.Environment(
            DRIVER, {'backup_enable_progress_timer': False}) as cinder:
        progress(f'writing a volume of {arguments.size} MiB')
        size = arguments.size * MIB
        volume = cinder.create_volume(size=max(1, -(-size // steps.GIB)))
        steps.write_volume(cinder.path(volume.id), size)
        for compression in dict.fromkeys(arguments.compression):
            progress(f'compression {compression}: backup, then '
                     f'{arguments.rounds} rounds')
            one = steps.OneBackup(cinder, volume, compression,
                                  arguments.chunk, arguments.readers)
            backups.append(one.measure(arguments.rounds))
            one.remove()
            measured = backups[-1]
            say(f'\n{compression}: {measured.chunks} chunks, '
                f'{measured.stored / MIB:.0f} of {arguments.size} MiB '
                f'stored, {measured.readers} readers, {arguments.rounds} '
                f'rounds\n\n{results.steps_table(measured)}')
        for count in sorted(set(arguments.listed)):
            progress(f'level presence for {count} chunks')
            listings.append(steps.measure_listing(cinder, count,
                                                  arguments.rounds))
    say('\nHow many times as fast, within the same round\n\n'
        f'{results.ratios_table(backups)}')
    if listings:
        say('\nLevel presence by number of chunks\n\n'
            f'{results.listings_table(listings)}')
    say('\n' + results.verdicts_table(results.verdicts(backups, listings)))
    return results.to_dict(backups, listings, machine=where,
                           options=vars(arguments))


def _terminated(*_: Any) -> None:
    raise KeyboardInterrupt


def main(argv: list[str] | None = None) -> int:
    """The program.

    :param argv: arguments without the program's name
    :returns: the exit code
    """
    try:
        arguments = parser().parse_args(argv)
    except SystemExit as err:
        return FAILED if err.code else MEASURED
    try:
        check(arguments)
        # All temporary files of the run are below this one, so that nothing
        # stays wherever it is interrupted.
        with tempfile.TemporaryDirectory(prefix='backup-benchmark-',
                                         dir=arguments.directory) as room:
            usual, tempfile.tempdir = tempfile.tempdir, room
            try:
                measured = measure(arguments)
            finally:
                tempfile.tempdir = usual
        if arguments.json:
            with open(arguments.json, 'w', encoding='utf-8') as stream:
                json.dump(measured, stream, indent=2)
                stream.write('\n')
    except KeyboardInterrupt:
        sys.stderr.write('interrupted\n')
        return INTERRUPTED
    except (results.Failed, OSError) as err:
        sys.stderr.write(f'error: {err}\n')
        return FAILED
    return MEASURED


if __name__ == '__main__':
    # As Ctrl-C: what was made is removed.
    signal.signal(signal.SIGTERM, _terminated)
    sys.exit(main())
