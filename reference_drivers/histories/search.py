# SPDX-License-Identifier: Apache-2.0

"""Search histories that break a promise, and make each one short."""

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import json
import math
import pathlib
import random
import time

from backup_model import engine as engines
from backup_model import history
from backup_model import operations
from backup_model import running

#: Steps of a drawn history.
LENGTHS = (3, 14)

# Points at which two requests may meet, or a service may die.
_POINTS = 20

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


def without(steps: Sequence[history.Step], lacks: Collection[str]
            ) -> list[history.Step]:
    """A history that asks for nothing that a driver lacks.

    :param lacks: names of capabilities, as a profile has them; a driver
        without ``import_verify`` need not find damage
    """
    left = []
    for step in steps:
        arguments = dict(step.arguments)
        if 'steps' in arguments:
            arguments['steps'] = [one.to_data() for one in without(
                list(map(history.Step.of_data, arguments['steps'])), lacks)]
        if 'incremental' in lacks:
            arguments.pop('incremental', None)
        if step.operation == 'restore' and (
                'restore_to_existing_volume' in lacks):
            arguments.pop('volume', None)
        if step.operation != 'damage' or 'import_verify' not in lacks:
            left.append(dataclasses.replace(step, arguments=arguments))
    return left


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
    :param lacks: see :func:`without`
    :param patience: seconds that a cause may take to be made short
    :param shortens_known: make the causes of known defects short, too, and
        leave what follows one; otherwise it is looked at, and whose fault it
        is has to be found out
    """

    def __init__(self, engine: Engine, seed: int,
                 on_found: Callable[[Found], None] = lambda found: None,
                 on_history: Callable[['Search'], None] = lambda run: None,
                 lacks: Collection[str] = (), patience: float = math.inf,
                 shortens_known: bool = True):
        self.engine = engine
        self.seed = seed
        self.on_found = on_found
        self.on_history = on_history
        self.lacks = lacks
        self.patience = patience
        self.shortens_known = shortens_known
        self.causes: dict[tuple[str, str], Found] = {}
        #: Histories that were run, and their steps, without the shrinking.
        self.histories = 0
        self.steps = 0
        self.known = known()

    def replay(self, steps: Sequence[history.Step]) -> list[running.Failure]:
        """Run a history on an empty cloud, to its end."""
        self.engine.clear()
        return list(running.run(self.engine, steps))

    def shows(self, steps: Sequence[history.Step], cause: tuple[str, str]
              ) -> bool:
        """Whether a history shows a cause, as it is or nearly so.

        Where requests meet, or a service dies, depends on how many
        transactions there are, and that on the driver and on what Cinder has
        cached: other points of the last such step count as well.
        """
        last = max((number for number, step in enumerate(steps)
                    if {'order', 'after'} & step.arguments.keys()),
                   default=None)
        for more in range(1 if last is None else _POINTS):
            again = list(steps)
            if last is not None:
                again[last] = dataclasses.replace(
                    steps[last], arguments={
                        key: (value + more) % _POINTS
                        if more and key in ('order', 'after') else value
                        for key, value in steps[last].arguments.items()})
            if cause in (one.cause for one in self.replay(again)):
                return True
        return False

    def run(self, histories: int | None = None, seconds: float | None = None
            ) -> None:
        """Draw and run histories, up to a number or for a time."""
        end = math.inf if seconds is None else time.monotonic() + seconds
        while (histories is None or self.histories < histories) and (
                time.monotonic() < end):
            self.take(drawn(self.seed, self.histories))

    def take(self, steps: Sequence[history.Step]) -> None:
        """Run a history, and remember the causes that it shows."""
        number = self.histories
        steps = without(steps, self.lacks)
        self.histories += 1
        self.steps += len(steps)
        # What follows a failure may be its consequence, unless its cause is
        # known to have none.
        for failure in self.replay(steps):
            old = self.causes.get(failure.cause)
            if old is not None:
                old.times += 1
            else:
                self._new(failure, number)
                if self.shortens_known or self.unknown:
                    break
        self.on_history(self)

    def _new(self, failure: running.Failure, number: int) -> None:
        defect = self.known.get(failure.cause, '')
        if self.shortens_known or not defect:
            end = time.monotonic() + self.patience
            failure = running.shrink(failure, lambda steps: self.replay(
                steps) if time.monotonic() < end else [])
        found = Found(failure, number, defect)
        self.causes[failure.cause] = found
        self.on_found(found)

    @property
    def unknown(self) -> list[Found]:
        """The causes that no known defect explains."""
        return [one for one in self.causes.values() if not one.defect]
