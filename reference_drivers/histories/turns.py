# SPDX-License-Identifier: Apache-2.0

"""Requests that take turns, in an order that a seed decides."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from concurrent import futures
import contextlib
import random
import threading
from typing import Any

# Seconds that a turn may take: then it waits for one that has to wait.
_LIMIT = 60


class Stuck(Exception):
    """A request waits for another one that has no turn."""


class Turns:
    """Threads of which one runs at a time.

    Each gives its turn away in :meth:`switch`, which is called before each
    transaction and each message, and gets it back when the seed says so.
    """

    def __init__(self) -> None:
        self._chance = random.Random(0)  # noqa: S311
        self._waiting: dict[int, threading.Event] = {}
        self._mine = threading.local()

    def switch(self) -> None:
        """Let another thread run, if there is one."""
        number = getattr(self._mine, 'number', None)
        if number is None or getattr(self._mine, 'held', False):
            # Not one of them, or one that gives no turn away.
            return
        self._waiting[number].clear()
        self._next()
        self._wait(number)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Give no turn away in a context, as under a lock."""
        self._mine.held = True
        try:
            yield
        finally:
            self._mine.held = False

    def _wait(self, number: int) -> None:
        if not self._waiting[number].wait(_LIMIT):
            raise Stuck('a request has had no turn')

    def _next(self) -> None:
        if self._waiting:
            self._waiting[self._chance.choice(sorted(self._waiting))].set()

    def run(self, calls: Sequence[Callable[[], Any]], seed: int
            ) -> list[Any]:
        """Run calls side by side, and return what each returns.

        :raises Exception: one of them did, and all have ended
        """
        self._chance = random.Random(seed)  # noqa: S311
        self._waiting = {number: threading.Event()
                         for number in range(len(calls))}

        def work(number: int) -> Any:
            self._mine.number = number
            self._wait(number)
            try:
                return calls[number]()
            finally:
                del self._waiting[number]
                self._next()

        with futures.ThreadPoolExecutor(len(calls)) as threads:
            begun = [threads.submit(work, number)
                     for number in range(len(calls))]
            self._next()
        return [one.result() for one in begun]
