#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0

"""Run a command several times beside busy loops, and count the good ends.

What a busy machine breaks shows only there. The certification, six loops, five
runs::

    tools/under_load.py --loops 6 --runs 5 -- cinder-backup-certify local

The loops end with this program, whatever ends it, and by themselves after
``--limit`` seconds. Exit codes: 0 each run ended with 0; 1 one did not; 3 the
command cannot be started.
"""

import argparse
from collections.abc import Iterator
import contextlib
import os
import signal
import subprocess
import sys
import time

# A loop ends when the other end of its standard input is closed.
_LOOP = '''
import os, sys, threading, time
end = time.monotonic() + float(sys.argv[1])
threading.Thread(target=lambda: (os.read(0, 1), os._exit(0)),
                 daemon=True).start()
while time.monotonic() < end:
    pass
'''


@contextlib.contextmanager
def busy(loops: int, limit: float) -> Iterator[None]:
    """Keep processors busy during a context.

    :param loops: how many loops run
    :param limit: seconds after which each ends by itself
    """
    with contextlib.ExitStack() as stack:
        for _ in range(loops):
            process = subprocess.Popen(
                [sys.executable, '-c', _LOOP, str(limit)],
                stdin=subprocess.PIPE)
            stack.callback(process.wait)
            stack.callback(process.kill)
        yield


def run(command: list[str], limit: float) -> tuple[int | None, float]:
    """Run the command once.

    :param command: with its arguments
    :param limit: seconds after which it is interrupted
    :returns: its exit status, None if the limit ended it, and its seconds
    :raises OSError: it cannot be started
    """
    begin = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        return process.wait(limit), time.monotonic() - begin
    except subprocess.TimeoutExpired:
        return None, time.monotonic() - begin
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def main() -> int:
    """Run the program.

    :returns: the exit status
    """
    parser = argparse.ArgumentParser(
        description='Run a command several times beside busy loops, and '
                    'count how often it ends well.')
    parser.add_argument('--loops', type=int, default=6,
                        help='busy loops (default: %(default)s)')
    parser.add_argument('--runs', type=int, default=1,
                        help='how often the command runs (default: '
                             '%(default)s)')
    parser.add_argument('--limit', type=float, default=7200,
                        help='seconds that one run may take (default: '
                             '%(default)g)')
    parser.add_argument('command', nargs='+',
                        help='after --, the command and its arguments')
    arguments = parser.parse_args()
    good, lines = 0, []
    # As Ctrl-C: what runs is ended, and what was counted is printed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with busy(arguments.loops, arguments.runs * arguments.limit):
            for number in range(1, arguments.runs + 1):
                status, seconds = run(arguments.command, arguments.limit)
                good += status == 0
                lines.append(
                    f'run {number} of {arguments.runs}: ' +
                    (f'interrupted after {seconds:.0f} s' if status is None
                     else f'exit status {status} after {seconds:.0f} s') +
                    f', load {os.getloadavg()[0]:.1f}')
                print(lines[-1], flush=True)
    except OSError as error:
        print(f'error: {arguments.command[0]}: {error.strerror}',
              file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
    print('\n'.join(['', f'{" ".join(arguments.command)}',
                     f'beside {arguments.loops} busy loops on '
                     f'{os.cpu_count()} processors:', *lines,
                     f'{good} of {arguments.runs} ended with exit status 0']))
    return int(good != arguments.runs)


if __name__ == '__main__':
    sys.exit(main())
