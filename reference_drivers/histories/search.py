# SPDX-License-Identifier: Apache-2.0

"""Search histories that break a promise, and make each one short."""

import collections
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Sequence
from concurrent import futures
import dataclasses
import math
import time
from typing import Any

from backup_model import drawing
from backup_model import engine as engines
from backup_model import history
from backup_model import known
from backup_model import running

# Points at which two requests may meet, or a service may die.
_POINTS = 20


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


def shorten(engine: Engine, failure: running.Failure, patience: float
            ) -> running.Failure:
    """Make the history of a failure short.

    :param patience: seconds that it may take
    """
    end = time.monotonic() + patience
    return running.shrink(failure, lambda steps: explore(
        engine, steps) if time.monotonic() < end else [])


def outcome(engine: Engine, steps: Sequence[history.Step],
            cause: tuple[str, str]) -> list[tuple[str, str]]:
    """Run a history that was kept for a cause, as it is or nearly so.

    Where requests meet, or a service dies, depends on how many transactions
    there are, and that on the driver and on what Cinder has cached: other
    points of the last such step are tried as well.

    :returns: the causes of the run that shows it, or of the history as it is
    """
    last = max((number for number, step in enumerate(steps)
                if {'order', 'after'} & step.arguments.keys()), default=None)
    first = None
    for more in range(1 if last is None else _POINTS):
        again = list(steps)
        if last is not None:
            again[last] = dataclasses.replace(steps[last], arguments={
                key: (value + more) % _POINTS
                if more and key in ('order', 'after') else value
                for key, value in steps[last].arguments.items()})
        found = [one.cause for one in explore(engine, again)]
        if cause in found:
            return found
        first = found if first is None else first
    return first or []


def shows(engine: Engine, steps: Sequence[history.Step],
          cause: tuple[str, str]) -> bool:
    """Tell if a history shows a cause, see :func:`outcome`."""
    return cause in outcome(engine, steps, cause)


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
    :param lacks: see :func:`.drawing.without`
    :param patience: seconds that a cause may take to be made short
    :param shortens_known: make the causes of known defects short, too
    :param goes_on: look at what follows a known defect in a history; it may
        be a consequence, and whose fault it is has to be found out
    """

    def __init__(self, call: Call, seed: int, ahead: int = 1,
                 on_found: Callable[[Found], None] = lambda found: None,
                 on_history: Callable[['Search'], None] = lambda run: None,
                 lacks: Collection[str] = (), patience: float = math.inf,
                 shortens_known: bool = True, goes_on: bool = False):
        self.call = call
        self.seed = seed
        self.ahead = ahead
        self.on_found = on_found
        self.on_history = on_history
        self.lacks = lacks
        self.patience = patience
        self.shortens_known = shortens_known
        self.goes_on = goes_on
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
                steps = drawing.without(
                    drawing.drawn(self.seed, begun), self.lacks)
                waiting.append((steps, self.call(explore, steps)))
                begun += 1
            if not waiting:
                return
            steps, failures = waiting.popleft()
            self._take(steps, failures.result())

    def take(self, steps: Sequence[history.Step]) -> None:
        """Run a history, and remember the causes that it shows."""
        steps = drawing.without(steps, self.lacks)
        self._take(steps, self.call(explore, steps).result())

    def _take(self, steps: Sequence[history.Step],
              failures: list[running.Failure]) -> None:
        number = self.histories
        self.histories += 1
        self.steps += len(steps)
        # What follows a failure may be its consequence, unless its cause is
        # known to have none.
        for failure in failures:
            old = self.causes.get(failure.cause)
            if old is None:
                self._new(failure, number)
                if self.unknown or not self.goes_on:
                    break
                continue
            old.times += 1
        self.on_history(self)

    def _new(self, failure: running.Failure, number: int) -> None:
        defect = self.known.get(failure.cause, '')
        if self.shortens_known or not defect:
            failure = self.call(shorten, failure, self.patience).result()
        found = Found(failure, number, defect)
        self.causes[failure.cause] = found
        self.on_found(found)

    @property
    def unknown(self) -> list[Found]:
        """The causes that no known defect explains."""
        return [one for one in self.causes.values() if not one.defect]
