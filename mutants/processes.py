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
"""Run checks in a process of their own."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import multiprocessing
from multiprocessing import connection
import os
import pathlib
import signal
import tempfile
import time
import traceback
from typing import Any
import unittest

from mutants import model

#: How a check ended, the last line of what it said, and its time.
Answer = tuple[str, str, float]
#: Makes a context that gives what runs a check.
Session = Callable[
    [], contextlib.AbstractContextManager[Callable[[str], Answer]]]


def _reason(result: unittest.TestResult) -> str:
    problems = [text for _, text in result.failures + result.errors]
    lines = [line for line in problems[0].splitlines() if line.strip()]
    return ' '.join(lines[-1].split())[:300] if lines else ''


def ask(case: Any, clock: Callable[[], float] = time.process_time
        ) -> Answer:
    """Run one test case.

    :param case: the test
    :param clock: by which its time is taken
    :returns: how it ended, the last line of what it said, and its time
    """
    begin = clock()
    result = unittest.TestResult()
    case.run(result)
    seconds = clock() - begin
    if result.failures or result.errors:
        return 'failed', _reason(result), seconds
    if result.skipped:
        return 'skipped', str(result.skipped[0][1]), seconds
    return 'passed', '', seconds


def _child(pipe: connection.Connection, session: Session,
           checks: Sequence[str], directory: str) -> None:
    """Run in the process that was forked, and end there."""
    # The parent is told to stop, too, and ends this.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    output = os.open(os.path.join(directory, 'output'),
                     os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for number in (1, 2):
        os.dup2(output, number)
    tempfile.tempdir = directory
    try:
        with session() as answer:
            for check in checks:
                pipe.send((check, None))
                pipe.send((check, answer(check)))
    except BrokenPipeError:
        # Nobody waits any more.
        pass
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    # Threads of a mutant that hang must not keep it.
    os._exit(0)


def _last_line(directory: str) -> str:
    with contextlib.suppress(OSError):
        text = pathlib.Path(directory, 'output').read_text(errors='replace')
        lines = text.strip().splitlines()
        return ' '.join(lines[-1].split())[:300] if lines else ''
    return ''


@contextlib.contextmanager
def _held_back() -> Iterator[None]:
    """Hear what tells the program to stop when this is over.

    What a handler raises while Python calls the hooks of a fork is printed
    and forgotten, so that the program would go on. To block the signals would
    not do: another thread could still receive one, and then the main thread
    runs the handler nevertheless.
    """
    heard: list[int] = []
    handlers = {number: signal.signal(
        number, lambda number, frame: heard.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for told in heard:
            signal.raise_signal(told)


def _end(process: Any) -> None:
    if process.pid is None:
        # It was not started.
        return
    # More than once: it may have been forked and not have begun.
    for _ in range(50):
        process.terminate()
        process.join(0.1)
        if not process.is_alive():
            break
    else:
        process.kill()
        process.join()


def _run_some(session: Session, checks: Sequence[str], limit: float
              ) -> Iterator[model.Outcome]:
    """Run checks until one has ended the process, or has to be ended."""
    fork = multiprocessing.get_context('fork')
    with tempfile.TemporaryDirectory(prefix='mutant-') as directory:
        ours, theirs = fork.Pipe(duplex=False)
        process = fork.Process(target=_child, daemon=True, args=(
            theirs, session, checks, directory))
        current = checks[0]
        try:
            with _held_back():
                process.start()
            theirs.close()
            while True:
                if not ours.poll(limit):
                    yield model.Outcome(current, 'hung',
                                        f'no answer within {limit:g} s')
                    return
                try:
                    current, answer = ours.recv()
                except EOFError:
                    process.join()
                    if process.exitcode:
                        yield model.Outcome(current, 'crashed',
                                            _last_line(directory))
                    return
                if answer:
                    yield model.Outcome(current, *answer)
        finally:
            _end(process)
            ours.close()


def run(session: Session, checks: Sequence[str], limit: float
           ) -> Iterator[model.Outcome]:
    """Run checks in processes of their own.

    :param session: makes there a context, which gives what runs a check
    :param checks: their names
    :param limit: seconds that one check may take
    :returns: what they said, one by one
    """
    left = list(checks)
    while left:
        for outcome in _run_some(session, left, limit):
            left.remove(outcome.check)
            yield outcome
