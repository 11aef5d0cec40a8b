# SPDX-License-Identifier: Apache-2.0

"""Compare the reference driver for a directory with Cinder's own driver.

Random chains of backups are made by one of the two, lost, and imported,
restored and deleted by the other, both ways::

    python -m tests.cross_drivers --backups 1000

Exit codes: 0 no difference; 1 a difference, of which the seed, the number and
a simpler case are printed; 3 it could not be run; 130 it was interrupted.
Nothing that was made is left.
"""

import argparse
import logging
import os
import random
import signal
import sys
import tempfile
import time

from reference_drivers import programs
from tests.cross_drivers import cases
from tests.cross_drivers import processes

SAME, DIFFERENT, FAILED, INTERRUPTED = 0, 1, 3, 130

# Seconds between two lines about the progress, and for a simpler case.
_INTERVAL = 10
_PATIENCE = 60


class _Failed(Exception):
    """The drivers cannot be compared, for a reason that is not theirs."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = programs.Parser(
        prog='python -m tests.cross_drivers',
        description="Compare the reference driver for a directory with "
                    "Cinder's own: what one has backed up at random, the "
                    "other recovers. What is made for it is in TMPDIR.")
    made.add_argument('--backups', type=int, default=1000, metavar='N',
                      help='how many each of the two recovers at least '
                           '(default: %(default)s)')
    made.add_argument('--seed', type=int, metavar='N',
                      help='the cases are the same for the same one '
                           '(default: another one each time)')
    made.add_argument('--case', type=int, metavar='K',
                      help='run only the case of this number')
    made.add_argument('--processes', type=int, metavar='N',
                      default=len(os.sched_getaffinity(0)),
                      help='how many cases run at a time (default: one for '
                           'each processor, %(default)s)')
    return made


def _say(text):
    print(text, flush=True)


def _planned(seed, backups):
    """The least cases by which each driver recovers so many backups."""
    wanted = dict.fromkeys(cases.OTHER, backups)
    found = []
    while max(wanted.values()) > 0:
        case = cases.make(seed, len(found))
        wanted[case.restorer] -= case.crossing
        found.append(case)
    return found


def _simplified(case, message):
    """The simplest case that was found to fail in the same way."""
    end = time.monotonic() + _PATIENCE
    kind = message.partition(':')[0]
    candidates = cases.simpler(case)
    while time.monotonic() < end:
        candidate = next(candidates, None)
        if candidate is None:
            break
        _, found = processes.attempt(candidate)
        if found is not None and found.partition(':')[0] == kind:
            case, message = candidate, found
            candidates = cases.simpler(case)
    return case, message


def _report(seed, number, case, message):
    _say(f'DIFFERENT: case {number} of seed {seed}: {message}')
    _say('looking for a simpler case')
    case, message = _simplified(case, message)
    _say(f'simplest found: {message}\n{case}\n'
         f'to run the case again: python -m tests.cross_drivers '
         f'--seed {seed} --case {number}')
    return DIFFERENT


def _compare(seed, backups, count, directory):
    planned = _planned(seed, backups)
    done = dict.fromkeys(cases.OTHER, 0)
    met, ended, start, said = [], 0, time.monotonic(), 0.0
    with processes.workers(seed, range(len(planned)), count, directory
                           ) as receivers:
        for result in processes.results(receivers, _INTERVAL):
            passed = time.monotonic() - start
            if result is not None:
                number, defects, message = result
                if message is not None:
                    break
                met += defects
                ended += 1
                done[planned[number].restorer] += planned[number].crossing
            if passed - said >= _INTERVAL:
                said = passed
                _say(f'{passed:5.0f} s: {ended} of {len(planned)} chains, '
                     f'{sum(done.values())} backups')
        else:
            if ended < len(planned):
                raise _Failed(f'{len(planned) - ended} of {len(planned)} '
                              f'chains have no result; a process has ended')
            for driver, number in done.items():
                _say(f'{number} backups of {cases.OTHER[driver]} were '
                     f'recovered by {driver}')
            for name in sorted(set(met)):
                _say(f'excused in this release of Cinder: {name}, '
                     f'{met.count(name)} times')
            _say(f'no difference, in {passed:.0f} s')
            return SAME
    return _report(seed, number, planned[number], message)


def _run(arguments):
    for name in ('backups', 'processes'):
        if getattr(arguments, name) < 1:
            raise _Failed(f'--{name} must be at least 1')
    try:
        import zstd  # noqa: F401
    except ImportError:
        raise _Failed('Cinder cannot compress with zstd: pip install zstd'
                      ) from None
    seed = arguments.seed
    if seed is None:
        if arguments.case is not None:
            raise _Failed('--case needs the --seed that its number is of')
        seed = random.randrange(1 << 32)
    logged = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix='cross-drivers-') as directory:
        usual, tempfile.tempdir = tempfile.tempdir, directory
        try:
            _say(f'seed {seed}')
            if arguments.case is None:
                return _compare(seed, arguments.backups, arguments.processes,
                                directory)
            case = cases.make(seed, arguments.case)
            _say(str(case))
            _, message = processes.attempt(case)
            if message is not None:
                return _report(seed, arguments.case, case, message)
            _say('no difference')
            return SAME
        finally:
            tempfile.tempdir = usual
            logging.disable(logged)


def main(argv: list[str] | None = None) -> int:
    """Run the program and return its exit code."""
    arguments = parser().parse_args(argv)
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        sys.stderr.write('interrupted\n')
        return INTERRUPTED
    except (_Failed, OSError) as err:
        sys.stderr.write(f'error: {err}\n')
        return FAILED


if __name__ == '__main__':
    # As Ctrl-C: the processes are ended, and nothing is left.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
