# SPDX-License-Identifier: Apache-2.0

"""Measure the time that verification, recovery and the local cloud take.

For example::

    python -m benchmarks verification --json measured.json

Exit codes: 0 measured, also where a goal is missed, since time is no test; 3
it could not be measured. Everything that was made is removed again, also after
an interruption.
"""

import argparse
import dataclasses
import datetime
import importlib.metadata
import os
import platform
import signal
import sys
import tempfile
from typing import Any

from benchmarks import backups
from benchmarks import ceph
from benchmarks import cloud
from benchmarks import histories
from benchmarks import results
from benchmarks import start
from benchmarks import suite
from benchmarks import verification
from cinder_backup_recovery_tests.certification.report import compact
from cinder_backup_recovery_tests.cmd import programs

MEASURED, FAILED, INTERRUPTED = 0, 3, 130

#: Each has PACKAGES, whose versions matter, add_arguments(), check(), which
#: raises Failed with the remedy for what would fail only after a long run, and
#: measure(), which prints, and returns all measurements and the verdicts.
PROGRAMS: dict[str, Any] = {
    'verification': verification, 'backups': backups, 'ceph': ceph,
    'cloud': cloud, 'start': start, 'suite': suite, 'histories': histories}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = programs.Parser(
        prog='python -m benchmarks',
        description='Measure the time that verification, recovery and the '
                    'local cloud take. What is made for it is in TMPDIR.')
    commands = made.add_subparsers(dest='program', required=True,
                                   metavar='NAME')
    for name, program in PROGRAMS.items():
        about = program.__doc__.partition('\n')[0]
        command = commands.add_parser(name, help=about, description=about)
        program.add_arguments(command)
        command.add_argument('--json', metavar='FILE',
                             help='also write all measurements there')
    return made


def _check_json(path: str) -> None:
    parent = os.path.dirname(os.path.abspath(path))
    if os.path.isdir(path) or not os.access(parent, os.W_OK):
        raise results.Failed(f'{path} cannot be written; name a file in an '
                             'existing directory')


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        with open('/proc/cpuinfo', encoding='utf-8') as stream:
            return next(line.partition(':')[2].strip() for line in stream
                        if line.startswith('model name'))
    except (OSError, StopIteration):
        return platform.machine()


def machine(program: Any) -> dict[str, Any]:
    """The machine, and the versions of the packages that matter."""
    return {
        'cores': len(os.sched_getaffinity(0)),
        'processor': _processor(),
        'kernel': platform.release(),
        'python': platform.python_version(),
        **{name: _version(name) for name in program.PACKAGES},
        **getattr(program, 'versions', dict)(),
        # Above the number of cores other programs had work as well.
        'load': [round(load, 2) for load in os.getloadavg()],
        'time': datetime.datetime.now(datetime.UTC).isoformat(
            timespec='seconds')}


def _measure(program: Any, arguments: argparse.Namespace) -> dict[str, Any]:
    about = machine(program) if program.PACKAGES else {}
    if about:
        results.say(', '.join(f'{name} {value}'
                              for name, value in about.items()))
    # All temporary files of the run are below this one, so that none is left
    # wherever it is interrupted.
    with tempfile.TemporaryDirectory(prefix='backup-benchmark-') as room:
        usual, tempfile.tempdir = tempfile.tempdir, room
        try:
            measured, verdicts = program.measure(arguments)
        finally:
            tempfile.tempdir = usual
    results.say(f'\nGoals\n\n{results.verdicts_table(verdicts)}')
    options = {name: value for name, value in vars(arguments).items()
               if name != 'json'}
    return {'machine': about, 'options': options, **measured,
            'verdicts': [dataclasses.asdict(verdict)
                         for verdict in verdicts]}


def main(argv: list[str] | None = None) -> int:
    """Run the program.

    :param argv: arguments without the program's name
    :returns: the exit code
    """
    try:
        arguments = parser().parse_args(argv)
    except SystemExit as err:
        return FAILED if err.code else MEASURED
    program = PROGRAMS[arguments.program]
    try:
        if arguments.json:
            _check_json(arguments.json)
        program.check(arguments)
        measured = _measure(program, arguments)
        if arguments.json:
            with open(arguments.json, 'w', encoding='utf-8') as stream:
                stream.write(compact.dumps(measured))
    except KeyboardInterrupt:
        sys.stderr.write('interrupted\n')
        return INTERRUPTED
    except (results.Failed, OSError) as err:
        sys.stderr.write(f'error: {err}\n')
        return FAILED
    return MEASURED


def _terminated(*_: Any) -> None:
    raise KeyboardInterrupt


if __name__ == '__main__':
    signal.signal(signal.SIGTERM, _terminated)
    sys.exit(main())
