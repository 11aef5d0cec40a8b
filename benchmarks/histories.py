# SPDX-License-Identifier: Apache-2.0

"""Time random histories, in processes and on a local cloud.

Each round draws the same histories for one process and for one for each
processor, with Cinder's own driver in a directory. What is counted begins when
the processes are ready. Then the first of these histories are tests on a local
cloud with the same driver; the start of the cloud, and of the users of each
test, is not counted. With --json the steps and seconds of each are kept.
"""

import argparse
import functools
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
from typing import Any

from backup_model import drawing
from benchmarks import costs
from benchmarks import results
from benchmarks import suite
from reference_drivers.histories import search
from reference_drivers.histories import workers

PACKAGES = ('cinder', 'sqlalchemy')
_DRIVER = 'cinder.backup.drivers.posix.PosixBackupDriver'
_GOAL = 10
_SEED = 1
_BACKUP = 'in-tree-posix'
# Bytes of a cloud, and of the volumes and backups of a history.
_CLOUD_ROOM = 1024 * results.MIB


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--histories', type=results.whole(1, 10**5),
                        default=200, metavar='N',
                        help='of a round (%(default)s)')
    parser.add_argument('--cloud-histories', type=results.whole(0, 1000),
                        default=5, metavar='N',
                        help='so many on a local cloud (%(default)s; 0: do '
                             'not start one)')
    results.add_rounds(parser)


def check(arguments: argparse.Namespace) -> None:
    on_cloud = bool(arguments.cloud_histories)
    results.check_room(256 * results.MIB + on_cloud * _CLOUD_ROOM,
                       '--cloud-histories')
    if on_cloud:
        costs.check_packages(argparse.Namespace(backup=_BACKUP, bus='memory'))


def measure(arguments: argparse.Namespace
            ) -> tuple[dict[str, Any], list[results.Verdict]]:
    """Run histories, print how fast they are, and return all."""
    rates = _in_processes(arguments)
    results.say(results.table(
        ['histories a second', 'median', 'least', 'most'],
        [[name, *(f'{value:.1f}' for value in (
            statistics.median(one), min(one), max(one)))]
         for name, one in rates.items()]))
    on_cloud = _on_cloud(arguments.cloud_histories) if (
        arguments.cloud_histories) else []
    if on_cloud:
        each = [60 * one['steps'] / one['seconds'] for one in on_cloud]
        results.say(results.table(
            ['steps a minute', 'all', 'least', 'most'],
            [['local cloud', *(f'{value:.1f}' for value in (
                60 * sum(one['steps'] for one in on_cloud) /
                sum(one['seconds'] for one in on_cloud),
                min(each), max(each)))]]))
    return {'rates': rates, 'cloud': on_cloud}, [results.limit(
        'histories a second, all processors', _GOAL,
        statistics.median(list(rates.values())[-1]))]


def _in_processes(arguments: argparse.Namespace) -> dict[str, list[float]]:
    """Histories a second of each round, by the number of processes."""
    pools = {processes: workers.Workers(
        (_DRIVER, [], None, None, None), processes)
        for processes in sorted({1, len(os.sched_getaffinity(0))})}
    try:
        results.progress('starting the processes')
        for pool in pools.values():
            # All of them have a cloud then, and what Cinder caches.
            _run(pool, 20)
        steps = {_name(processes): functools.partial(
            _run, pool, arguments.histories)
            for processes, pool in pools.items()}
        measured = results.in_turns(steps, arguments.rounds)
    finally:
        for pool in pools.values():
            pool.stop()
    return {name: [arguments.histories / seconds for seconds in one.seconds]
            for name, one in measured.items()}


def _on_cloud(number: int) -> list[dict[str, Any]]:
    """The steps and the seconds of histories on a local cloud.

    :raises Failed: they could not be run
    """
    results.progress(f'{number} histories on a local cloud')
    with tempfile.TemporaryDirectory() as directory:
        report = pathlib.Path(directory, 'report')
        program = pathlib.Path(sys.executable).with_name(
            'cinder-backup-certify')
        # One at a time, as in one process.
        code = _ended([
            str(program), 'local', '--backup', _BACKUP, '--concurrency', '1',
            '--regex', r'\.RandomHistoryTest\.', '--report-dir', str(report),
            '--set', f'connect.history_count={number}',
            '--set', f'connect.history_seed={_SEED}'])
        # A history that breaks a promise has taken its time, too.
        tests = suite.load(str(report))['tests'] if code in (1, 2) else []
    found = [{'steps': test['histories']['steps'], 'seconds': test['seconds']}
             for test in tests if test.get('histories')]
    if not found:
        raise results.Failed('no history ran on the local cloud; the lines '
                             'above have the reason')
    return found


def _ended(command: list[str]) -> int:
    """Run a program, which takes its cloud down when it is interrupted."""
    # A Ctrl-C is for this program, which passes it on once.
    with subprocess.Popen(command, start_new_session=True) as process:
        try:
            return process.wait()
        except BaseException:
            process.send_signal(signal.SIGINT)
            process.wait()
            raise


def _name(processes: int) -> str:
    return f'{processes} process{"es" * (processes > 1)}'


def _run(pool: workers.Workers, histories: int) -> None:
    for one in [pool.call(search.explore, drawing.drawn(_SEED, number))
                for number in range(histories)]:
        one.result()
