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

"""What the programs that measure have in common on the command line."""

import argparse
from collections.abc import Callable
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

MIB = results.MIB

# What cannot be typed by accident: a full disk, or a run of hours.
_ROUNDS_MOST = 50
_READERS_MOST = 16


def whole(least: int, most: int, multiple: int = 1) -> Any:
    """A type of an argument: a whole number in bounds."""
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


def add_arguments(made: argparse.ArgumentParser, rounds: int = 3,
                  readers: bool = True) -> None:
    """Add what each program has.

    :param rounds: how many are usual
    :param readers: whether it reads with several threads
    """
    made.add_argument('--rounds', type=whole(1, _ROUNDS_MOST), default=rounds,
                      metavar='N', help='how often (%(default)s)')
    if readers:
        made.add_argument('--readers', type=whole(1, _READERS_MOST),
                          default=2, metavar='N', help='threads (%(default)s)')
    made.add_argument('--directory', metavar='DIR',
                      help='where all that is made is for the time of the '
                           f'run ({tempfile.gettempdir()})')
    made.add_argument('--json', metavar='FILE',
                      help='also write all that was measured there')


def check(arguments: Any, need: float, smaller: str = '--size') -> None:
    """Refuse what would fail only after a long run.

    :param need: bytes that the run needs on the disk
    :param smaller: the option to take a smaller value of
    :raises Failed: with the remedy
    """
    directory = arguments.directory or tempfile.gettempdir()
    if not os.path.isdir(directory) or not os.access(directory, os.W_OK):
        raise results.Failed(f'{directory} is not a directory that can be '
                           'written to; name one with --directory')
    free = shutil.disk_usage(directory).free
    if free < need:
        raise results.Failed(
            f'{directory} has {free / MIB:.0f} MiB free, {need / MIB:.0f} '
            f'are needed; take a smaller {smaller}, or another --directory')
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


def machine(*packages: str, **more: str | None) -> dict[str, Any]:
    """Where it was measured.

    :param packages: of Python, whose versions matter
    :param more: other versions by name
    """
    return {
        'cores': len(os.sched_getaffinity(0)),
        'processor': _processor(),
        'kernel': platform.release(),
        'python': platform.python_version(),
        **{name: _version(name) for name in packages},
        **more,
        # Above the number of cores others had work as well.
        'load': [round(one, 2) for one in os.getloadavg()],
        'time': datetime.datetime.now(datetime.UTC).isoformat(
            timespec='seconds')}


def options(arguments: Any) -> dict[str, Any]:
    """What was asked for, but for where: that is of this machine only."""
    return {name: value for name, value in vars(arguments).items()
            if name not in ('directory', 'json')}


def say(text: str) -> None:
    """Print what was measured."""
    print(text, flush=True)


def progress(text: str) -> None:
    """Tell who waits what is being done."""
    print(text, file=sys.stderr, flush=True)


def main(parser: argparse.ArgumentParser, prepare: Callable[[Any], None],
         measure: Callable[[Any], dict[str, Any]],
         argv: list[str] | None = None) -> int:
    """Run a program.

    :param prepare: refuses arguments, raises Failed
    :param measure: measures and prints, returns all of it for JSON
    :param argv: arguments without the program's name
    :returns: the exit code
    """
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as err:
        return FAILED if err.code else MEASURED
    try:
        prepare(arguments)
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


def terminate_as_interrupted() -> None:
    """Let SIGTERM do what Ctrl-C does: what was made is removed."""
    def terminated(*_: Any) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, terminated)
