# SPDX-License-Identifier: Apache-2.0
"""Run checks in a process of their own."""

from collections.abc import Callable
from collections.abc import Generator
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

from mutants import matrix

#: How a check ended, the last line of its message, and its time.
Answer = tuple[str, str, float]
#: Makes a context whose value runs a check.
Session = Callable[
    [], contextlib.AbstractContextManager[Callable[[str], Answer]]]


def in_a_line(text: str) -> str:
    """The last line of a text, without what is too long."""
    lines = text.strip().splitlines()
    return ' '.join(lines[-1].split())[:300] if lines else ''


def ask(case: Any, clock: Callable[[], float] = time.process_time
        ) -> Answer:
    """Run one test case."""
    started = clock()
    result = unittest.TestResult()
    case.run(result)
    seconds = clock() - started
    for _, text in result.failures + result.errors:
        return 'failed', in_a_line(text), seconds
    if result.skipped:
        return 'skipped', str(result.skipped[0][1]), seconds
    return 'passed', '', seconds


def _child(pipe: connection.Connection, session: Session,
           checks: Sequence[str], directory: str) -> None:
    """Run in the process that was forked, and end there."""
    # The parent gets the signal, too, and ends this.
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
        # The parent has ended.
        pass
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    # Threads of a mutant that hang must not keep it.
    os._exit(0)


def _last_line(directory: str) -> str:
    with contextlib.suppress(OSError):
        return in_a_line(pathlib.Path(directory, 'output').read_text(
            errors='replace'))
    return ''


@contextlib.contextmanager
def _held_back() -> Iterator[None]:
    """Delay the handling of signals to stop.

    An exception of a handler while Python calls the hooks of a fork is printed
    and forgotten, and the program would continue. To block the signals is not
    enough: another thread could still receive one, and then the main thread
    runs the handler nevertheless.
    """
    received: list[int] = []
    handlers = {number: signal.signal(
        number, lambda number, frame: received.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for told in received:
            signal.raise_signal(told)


def _end(process: Any) -> None:
    if process.pid is None:
        # It was not started.
        return
    # More than once: it may have been forked and not have started.
    for _ in range(50):
        process.terminate()
        process.join(0.1)
        if not process.is_alive():
            break
    else:
        process.kill()
        process.join()


def _run_some(session: Session, checks: Sequence[str], limit: float
              ) -> Iterator[matrix.Outcome]:
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
                    yield matrix.Outcome(current, 'hung',
                                        f'no answer within {limit:g} s')
                    return
                try:
                    current, answer = ours.recv()
                except EOFError:
                    process.join()
                    if process.exitcode:
                        yield matrix.Outcome(current, 'crashed',
                                            _last_line(directory))
                    return
                if answer:
                    yield matrix.Outcome(current, *answer)
        finally:
            _end(process)
            ours.close()


def run(session: Session, checks: Sequence[str], limit: float
        ) -> Generator[matrix.Outcome, None, None]:
    """Run checks in processes of their own, to the end or until it is closed.

    :param checks: their names
    :param limit: seconds that one check may take
    """
    left = list(checks)
    while left:
        for outcome in _run_some(session, left, limit):
            left.remove(outcome.check)
            yield outcome
