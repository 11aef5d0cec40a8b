# SPDX-License-Identifier: Apache-2.0

"""Search histories that break a promise, and make each one short."""

import collections
from collections.abc import Callable
from collections.abc import Sequence
from concurrent import futures
import dataclasses
import functools
import random
import time
from typing import Any

from backup_model import engine as engines
from backup_model import history
from backup_model import known
from backup_model import operations
from backup_model import running

#: Steps of a drawn history.
LENGTHS = (3, 14)

def drawn(seed: int, number: int) -> list[history.Step]:
    """Draw a history: the same one for the same numbers."""
    chance = random.Random(f'{seed}:{number}')  # noqa: S311
    return operations.draw(chance, chance.randint(*LENGTHS))


@dataclasses.dataclass
class Found:
    """A cause, and the shortest history that shows it.

    :ivar number: of the history that showed it first
    :ivar times: how many histories showed it
    :ivar defect: the name of the known defect, '' for none
    """

    failure: running.Failure
    number: int
    defect: str = ''
    times: int = 1


class Engine(engines.Engine):
    """An engine that can begin anew."""

    def clear(self) -> None:
        """Begin with an empty cloud."""


class Stopped(Exception):
    """An engine was told to begin no other history."""


def explore(engine: Engine, steps: Sequence[history.Step]
            ) -> list[running.Failure]:
    """Run a history on an empty cloud, to its end."""
    engine.clear()
    return list(running.run(engine, steps))


def shorten(engine: Engine, failure: running.Failure) -> running.Failure:
    """Make the history of a failure short."""
    return running.shrink(failure, functools.partial(explore, engine))


#: Calls a function, now or later, with an engine and these arguments.
Call = Callable[..., futures.Future[Any]]


def at_once(engine: Engine) -> Call:
    """Have an engine of this process carry all out."""
    def call(function: Callable[..., Any], *arguments: Any
             ) -> futures.Future[Any]:
        done: futures.Future[Any] = futures.Future()
        done.set_result(function(engine, *arguments))
        return done

    return call


class Search:
    """A search, with what it has found so far.

    It is the same one for a seed, however many engines take part.

    :param call: carries histories out
    :param seed: decides which histories are drawn
    :param ahead: how many histories may be under way
    :param on_found: called with each new cause, when it is short
    :param on_history: called after each history
    """

    def __init__(self, call: Call, seed: int, ahead: int = 1,
                 on_found: Callable[[Found], None] = lambda found: None,
                 on_history: Callable[['Search'], None] = lambda run: None):
        self.call = call
        self.seed = seed
        self.ahead = ahead
        self.on_found = on_found
        self.on_history = on_history
        self.causes: dict[tuple[str, str], Found] = {}
        #: Histories that were run, and their steps, without the shrinking.
        self.histories = 0
        self.steps = 0
        self.known = known.causes()

    def run(self, histories: int | None = None, seconds: float | None = None
            ) -> None:
        """Draw and run histories, up to a number or for a time."""
        end = None if seconds is None else time.monotonic() + seconds
        begun = 0
        waiting: collections.deque[
            tuple[list[history.Step], futures.Future[Any]]
        ] = collections.deque()
        while True:
            while len(waiting) < self.ahead and (
                    histories is None or begun < histories) and (
                    end is None or time.monotonic() < end):
                steps = drawn(self.seed, begun)
                waiting.append((steps, self.call(explore, steps)))
                begun += 1
            if not waiting:
                return
            steps, failures = waiting.popleft()
            self._take(steps, failures.result())
            self.on_history(self)

    def _take(self, steps: list[history.Step],
              failures: list[running.Failure]) -> None:
        number = self.histories
        self.histories += 1
        self.steps += len(steps)
        # What follows a failure may be its consequence, unless its cause is
        # known to have none.
        for failure in failures:
            old = self.causes.get(failure.cause)
            if old is not None:
                old.times += 1
                continue
            found = Found(self.call(shorten, failure).result(), number,
                          self.known.get(failure.cause, ''))
            self.causes[failure.cause] = found
            self.on_found(found)
            break

    @property
    def unknown(self) -> list[Found]:
        """The causes that no known defect explains."""
        return [one for one in self.causes.values() if not one.defect]
