# SPDX-License-Identifier: Apache-2.0

"""Search histories of volumes and backups that break a promise.

For example, with Cinder's own driver in a directory that is removed at the
end::

    cinder-backup-histories --seconds 600 \\
        --driver cinder.backup.drivers.posix.PosixBackupDriver

A seed and the versions of this project and of Cinder give the same histories
again. Exit codes: 0 each broken promise has a cause that is known; 1 there is
another one; 2 it was stopped before its end, and all that was found is kept;
3 the driver or the configuration is wrong.
"""

import argparse
from concurrent.futures import process
from importlib import metadata
import json
import os
import pathlib
import random
import sys
import time
from typing import Any

from backup_model import engine
from backup_model import history
from backup_model import known
from backup_model import running
from backup_model import telling
from reference_drivers import programs
from reference_drivers.contract import binding
from reference_drivers.contract import stopping
from reference_drivers.histories import search
from reference_drivers.histories import workers

GOOD, BAD, STOPPED, WRONG = 0, 1, 2, programs.FAILED

#: Seconds between two lines of progress.
_PACE = 15


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = programs.Parser(
        prog='cinder-backup-histories',
        description='Run random histories of volumes, backups, lost rows, '
                    'imports and restores with the API, the backup service '
                    'and the database of Cinder in this process, and say '
                    'which promise each one breaks.',
        epilog='exit status: 0 each broken promise has a known cause; 1 '
               'there is another one; 2 stopped before its end; 3 the '
               'driver or the configuration is wrong.')
    made.add_argument(
        '--driver', metavar='CLASS',
        default='reference_drivers.default.DefaultBackupDriver',
        help='the backup driver, as backup_driver in cinder.conf '
             '(%(default)s)')
    programs.add_config_file(made)
    made.add_argument('--store', metavar='CALLABLE',
                      help='a store adapter of the driver, as for its '
                           'contract')
    made.add_argument('--chunk-option', metavar='OPTION',
                      help="the driver's option for the size of a chunk")
    made.add_argument('--block-option', metavar='OPTION',
                      help="the driver's option for the size of a block")
    made.add_argument('--seed', type=int, metavar='N',
                      help='draw the same histories as another run')
    made.add_argument('--seconds', type=float, metavar='N',
                      help='stop after this time (60, without --histories)')
    made.add_argument('--histories', type=int, metavar='N',
                      help='stop after this number of histories')
    made.add_argument('--processes', type=int, metavar='N',
                      default=len(os.sched_getaffinity(0)),
                      help='run so many histories at the same time '
                           '(%(default)s here)')
    made.add_argument('--replay', type=pathlib.Path, action='append',
                      default=[], metavar='FILE',
                      help='run a history from a file; may be repeated')
    made.add_argument('--output', type=pathlib.Path, metavar='DIRECTORY',
                      default=pathlib.Path('backup-histories'),
                      help='where failing histories and results.json go '
                           '(%(default)s)')
    return made


class Program:
    """One run, with what it writes."""

    def __init__(self, arguments: Any):
        self.arguments = arguments
        self.seed = (random.SystemRandom().randrange(10**6)
                     if arguments.seed is None else arguments.seed)
        self._began = time.monotonic()
        self._said = self._began

    def run(self) -> int:
        """Run, and return the exit code."""
        arguments = self.arguments
        replays = [(path, running.read(path)) for path in arguments.replay]
        bound = (arguments.driver, arguments.config_file, arguments.store,
                 arguments.chunk_option, arguments.block_option)
        binding.Binding(*bound).check(look=False)
        pool = workers.Workers(bound, arguments.processes)
        try:
            if replays:
                return self._replay(pool, replays)
            return self._search(pool)
        finally:
            with stopping.held():
                pool.stop()

    def _search(self, pool: workers.Workers) -> int:
        arguments = self.arguments
        found = search.Search(pool.call, self.seed, 4 * arguments.processes,
                              self._found, self._progress)
        status = GOOD
        seconds = arguments.seconds
        if seconds is None and arguments.histories is None:
            seconds = 60
        try:
            print(f'seed {self.seed}, {arguments.driver}', flush=True)
            found.run(arguments.histories, seconds)
        except KeyboardInterrupt:
            status = STOPPED
        with stopping.held():
            self._write(found, status)
        if found.unknown:
            return status or BAD
        return status

    @staticmethod
    def _replay(pool: workers.Workers,
                replays: list[tuple[pathlib.Path, list[history.Step]]]
                ) -> int:
        causes = known.causes()
        status = GOOD
        for path, steps in replays:
            failures = pool.call(search.explore, steps).result()
            for failure in failures:
                name = causes.get(failure.cause)
                print(f'{path}: {name or "UNKNOWN"}\n'
                      f'{telling.story(failure)}', flush=True)
                status = status if name else BAD
            if not failures:
                print(f'{path}: every promise is kept', flush=True)
        return status

    def _progress(self, found: search.Search) -> None:
        now = time.monotonic()
        if now - self._said >= _PACE:
            self._said = now
            print(f'{found.histories} histories in '
                  f'{now - self._began:.0f} s, {len(found.causes)} causes, '
                  f'{len(found.unknown)} of them unknown', flush=True)

    def _found(self, found: search.Found) -> None:
        name = found.defect or 'UNKNOWN'
        print(f'{name}, by history {found.number}:\n'
              f'{telling.story(found.failure)}', flush=True)
        output = self.arguments.output
        output.mkdir(parents=True, exist_ok=True)
        stem = '-'.join(found.failure.cause).replace(' ', '-')
        history.write(output / f'{stem}.json', found.failure.steps,
                      seed=self.seed, number=found.number,
                      driver=self.arguments.driver,
                      cause=found.failure.cause, defect=found.defect,
                      broken=found.failure.broken.text)
        (output / f'{stem}.sh').write_text(
            telling.script(found.failure.steps))

    def _write(self, found: search.Search, status: int) -> None:
        seconds = time.monotonic() - self._began
        output = self.arguments.output
        output.mkdir(parents=True, exist_ok=True)
        (output / 'results.json').write_text(json.dumps({
            'version': 1, 'seed': self.seed, 'driver': self.arguments.driver,
            'cinder': metadata.version('cinder'),
            'complete': status == GOOD, 'histories': found.histories,
            'steps': found.steps, 'seconds': round(seconds, 1),
            'causes': [{
                'promise': one.failure.broken.promise,
                'key': one.failure.broken.key, 'defect': one.defect,
                'text': one.failure.broken.text, 'times': one.times,
                'number': one.number,
                'steps': [step.to_data() for step in one.failure.steps],
            } for one in found.causes.values()]}, indent=1) + '\n')
        print(f'{found.histories} histories of {found.steps} steps in '
              f'{seconds:.0f} s: {len(found.causes)} causes, '
              f'{len(found.unknown)} of them unknown; {output}')


def main(argv: list[str] | None = None) -> int:
    """Run the program and return its exit code."""
    made = parser()
    arguments = made.parse_args(argv)
    if arguments.processes < 1:
        made.error('--processes must be at least 1')
    stopping.listen()
    try:
        return Program(arguments).run()
    except BrokenPipeError:
        # What is still buffered has no reader.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return WRONG
    except (binding.BindingError, engine.EngineError, history.HistoryError,
            OSError) as error:
        return programs.fail(error)
    except process.BrokenProcessPool:
        return programs.fail(RuntimeError(
            'a process that ran histories was killed; with --processes 1 '
            'they need less memory'))
    except KeyboardInterrupt:
        return STOPPED


if __name__ == '__main__':
    sys.exit(main())
