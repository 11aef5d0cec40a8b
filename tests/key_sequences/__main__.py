# SPDX-License-Identifier: Apache-2.0

"""Ship, delete and restore encrypted backups at random, and count their keys.

Each sequence has two sites, with one Barbican, with one each and records that
carry the keys, or with Cinder's fixed key::

    python -m tests.key_sequences --sequences 100

Exit codes: 0 no key is lost, none is left over, and all data is right; 1 one
is, of which the seed, the number and the steps are printed; 3 it could not be
run; 130 it was interrupted. Nothing that was made is left.
"""

import argparse
import collections
import contextlib
import logging
import random
import signal
import sys
import time

from reference_drivers import programs
from reference_drivers.recovery_keys import wrapping
from tests import barbican
from tests.key_sequences import sites
from tests.key_sequences import steps

RIGHT, WRONG, FAILED, INTERRUPTED = 0, 1, 3, 130

# Seconds between two lines about the progress.
_INTERVAL = 10
# The steps of each sequence.
_LENGTH = 15


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = programs.Parser(
        prog='python -m tests.key_sequences',
        description='Ship, delete and restore backups of encrypted volumes at '
                    'random, at two sites with a real Barbican, and look for '
                    'keys that are lost or left over.')
    made.add_argument('--sequences', type=int, default=100, metavar='N',
                      help='how many (default: %(default)s)')
    made.add_argument('--seed', type=int, metavar='N',
                      help='the sequences are the same for the same one '
                           '(default: another one each time)')
    made.add_argument('--case', type=int, metavar='K',
                      help='run only the sequence of this number')
    made.add_argument('--driver', default=sites.REFERENCE, metavar='CLASS',
                      help='of a directory (default: %(default)s)')
    return made


def run(seed: int, number: int, managers: list[barbican.Barbican],
        driver: str = sites.REFERENCE) -> steps.Sequence:
    """Run one sequence.

    :returns: it, with what was wrong
    """
    kind = sites.KINDS[number % len(sites.KINDS)]
    with sites.Sites(kind, managers, driver) as both:
        sequence = steps.Sequence(both, f'{seed}/{number}')
        try:
            sequence.run(_LENGTH)
        except (steps.Lost, *steps.ERRORS) as err:
            sequence.wrong = f'{type(err).__name__}: {err}'
        return sequence


@contextlib.contextmanager
def quick_fingerprints():
    """Have proofs of keys cost nothing: nothing guesses these keys."""
    usual, wrapping._ITERATIONS = wrapping._ITERATIONS, 1
    try:
        yield
    finally:
        wrapping._ITERATIONS = usual


def _say(text):
    print(text, flush=True)


def _run_all(arguments, seed, numbers):
    done = collections.Counter()
    start = said = time.monotonic()
    with contextlib.ExitStack() as stack:
        stack.enter_context(quick_fingerprints())
        managers = [stack.enter_context(barbican.Barbican())
                    for _ in range(2)]
        for ended, number in enumerate(numbers, 1):
            sequence = run(seed, number, managers, arguments.driver)
            if sequence.wrong:
                _say(f'WRONG: sequence {number} of seed {seed}, '
                     f'{sequence.kind}: {sequence.wrong}\nafter')
                for text in sequence.told:
                    _say(f'  {text}')
                _say(f'to run it again: python -m tests.key_sequences '
                     f'--seed {seed} --case {number}')
                return WRONG
            done.update(sequence.done)
            if time.monotonic() - said >= _INTERVAL:
                said = time.monotonic()
                _say(f'{said - start:5.0f} s: {ended} of {len(numbers)} '
                     f'sequences, {done.total()} steps')
    for name, count in done.most_common():
        _say(f'{name.replace("_", " ")}: {count} times')
    _say(f'no key is lost and none is left over, in {len(numbers)} sequences '
         f'and {time.monotonic() - start:.0f} s')
    return RIGHT


def main(argv: list[str] | None = None) -> int:
    """Run the program and return its exit code."""
    arguments = parser().parse_args(argv)
    if arguments.case is not None and arguments.seed is None:
        sys.stderr.write('error: --case needs the --seed that its number is '
                         'of\n')
        return FAILED
    seed = arguments.seed
    if seed is None:
        seed = random.randrange(1 << 32)
    numbers = (range(arguments.sequences) if arguments.case is None
               else [arguments.case])
    logged = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        _say(f'seed {seed}')
        return _run_all(arguments, seed, numbers)
    except KeyboardInterrupt:
        sys.stderr.write('interrupted\n')
        return INTERRUPTED
    finally:
        logging.disable(logged)


if __name__ == '__main__':
    # As Ctrl-C: nothing is left.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
