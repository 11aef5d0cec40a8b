# SPDX-License-Identifier: Apache-2.0

"""Search histories that break a promise, and make each one short."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import json
import pathlib
import random
import time

from backup_model import engine as engines
from backup_model import history
from backup_model import operations
from backup_model import running

#: Steps of a drawn history.
LENGTHS = (3, 14)

#: A short history of each known defect, as a file of :mod:`.history`.
CORPUS = pathlib.Path(__file__).with_name('corpus')
_KNOWN = pathlib.Path(__file__).with_name('known.json')


def known() -> Mapping[tuple[str, str], str]:
    """The causes that are known, each with the name of its defect."""
    return {(promise, key): name
            for name, causes in json.loads(_KNOWN.read_text()).items()
            for promise, key in causes}


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


class Search:
    """A search, with what it has found so far.

    :param seed: decides which histories are drawn
    :param on_found: called with each new cause, when it is short
    :param on_history: called after each history
    """

    def __init__(self, engine: Engine, seed: int,
                 on_found: Callable[[Found], None] = lambda found: None,
                 on_history: Callable[['Search'], None] = lambda run: None):
        self.engine = engine
        self.seed = seed
        self.on_found = on_found
        self.on_history = on_history
        self.causes: dict[tuple[str, str], Found] = {}
        #: Histories that were run, and their steps, without the shrinking.
        self.histories = 0
        self.steps = 0
        self.known = known()

    def replay(self, steps: Sequence[history.Step]) -> list[running.Failure]:
        """Run a history on an empty cloud, to its end."""
        self.engine.clear()
        return list(running.run(self.engine, steps))

    def run(self, histories: int | None = None, seconds: float | None = None
            ) -> None:
        """Draw and run histories, up to a number or for a time."""
        end = None if seconds is None else time.monotonic() + seconds
        number = 0
        while (histories is None or number < histories) and (
                end is None or time.monotonic() < end):
            steps = drawn(self.seed, number)
            self.histories += 1
            self.steps += len(steps)
            # What follows a failure may be its consequence, unless its
            # cause is known to have none.
            for failure in self.replay(steps):
                old = self.causes.get(failure.cause)
                if old is not None:
                    old.times += 1
                else:
                    self._new(failure, number)
                    break
            number += 1
            self.on_history(self)

    def _new(self, failure: running.Failure, number: int) -> None:
        found = Found(running.shrink(failure, self.replay), number,
                      self.known.get(failure.cause, ''))
        self.causes[failure.cause] = found
        self.on_found(found)

    @property
    def unknown(self) -> list[Found]:
        """The causes that no known defect explains."""
        return [one for one in self.causes.values() if not one.defect]
