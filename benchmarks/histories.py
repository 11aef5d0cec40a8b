# SPDX-License-Identifier: Apache-2.0

"""Time random histories, in one process and in one for each processor.

Each round draws the same histories for both, with Cinder's own driver in a
directory. What is counted begins when the processes are ready.
"""

import argparse
import functools
import os
import statistics
from typing import Any

from backup_model import drawing
from benchmarks import results
from reference_drivers.histories import search
from reference_drivers.histories import workers

PACKAGES = ('cinder', 'sqlalchemy')
_DRIVER = 'cinder.backup.drivers.posix.PosixBackupDriver'
_GOAL = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--histories', type=results.whole(1, 10**5),
                        default=200, metavar='N',
                        help='of a round (%(default)s)')
    results.add_rounds(parser)


def check(arguments: argparse.Namespace) -> None:
    results.check_room(256 * results.MIB, '--histories')


def measure(arguments: argparse.Namespace
            ) -> tuple[dict[str, Any], list[results.Verdict]]:
    """Run histories, print their number in a second, and return all."""
    pools = {processes: workers.Workers(
        (_DRIVER, [], None, None, None), processes)
        for processes in sorted({1, len(os.sched_getaffinity(0))})}
    try:
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
    rates = {name: [arguments.histories / seconds for seconds in one.seconds]
             for name, one in measured.items()}
    results.say(results.table(
        ['histories a second', 'median', 'least', 'most'],
        [[name, *(f'{value:.1f}' for value in (
            statistics.median(one), min(one), max(one)))]
         for name, one in rates.items()]))
    return {'rates': rates}, [results.limit(
        'histories a second, all processors', _GOAL,
        statistics.median(rates[_name(max(pools))]))]


def _name(processes: int) -> str:
    return f'{processes} process{"es" * (processes > 1)}'


def _run(pool: workers.Workers, histories: int) -> None:
    for one in [pool.call(search.explore, drawing.drawn(1, number))
                for number in range(histories)]:
        one.result()
