# SPDX-License-Identifier: Apache-2.0

"""Operations with others inside: requests that meet, a service that dies."""

from collections.abc import Sequence
import random
from typing import Any
from typing import cast

from backup_model import engine as engines
from backup_model import history
from backup_model.operations import base


class Inner(base.Operation):
    """An operation on other steps, which are in its arguments.

    :ivar answers: to each of them, when it was asked
    """

    request = False
    answers: Sequence[engines.Answer] = ()

    @staticmethod
    def steps(step: history.Step) -> list[history.Step]:
        """The steps inside."""
        return [history.Step.of_data(one) for one in step.arguments['steps']]

    def target(self, world, step):
        return ''


class AtOnce(Inner):
    """Two requests are sent at the same time."""

    weight = 6
    kinds = ('import', 'import', 'delete', 'create backup', 'restore')

    def draw(self, chance, names):
        first = _drawn(chance, names, chance.choice(self.kinds))
        if first is None:
            return None
        # A backup and a record are made once, by their names.
        second = first if chance.random() < 0.5 and (
            first.operation in ('import', 'delete', 'restore')) else _drawn(
                chance, names, chance.choice(self.kinds))
        if second is None:
            return None
        return {'steps': [first.to_data(), second.to_data()],
                'order': chance.randrange(100)}

    def ask(self, world, engine, step):
        inner = self.steps(step)
        kept = _Keeper()
        for one in inner:
            base.ALL[one.operation].ask(world, cast(engines.Engine, kept), one)
        if len(kept.requests) < len(inner):
            return None
        self.answers = engine.together(kept.requests,
                                       step.arguments['order'])
        return base.DONE


class Killed(Inner):
    """cinder-backup dies while it does what it was asked for."""

    weight = 3
    kinds = ('import', 'delete', 'create backup', 'restore')

    def draw(self, chance, names):
        made = _drawn(chance, names, chance.choice(self.kinds))
        return made and {'steps': [made.to_data()],
                         'after': chance.randrange(12)}

    def ask(self, world, engine, step):
        inner, = self.steps(step)
        answer = base.ALL[inner.operation].ask(world, engine, inner)
        if answer is not None:
            self.answers = [answer]
            engine.settle(killed_after=step.arguments['after'])
        return answer


class Away(Inner):
    """The storage does not answer any more, until something has ended."""

    weight = 2
    kinds = ('import', 'delete', 'create backup', 'restore', 'export')

    def draw(self, chance, names):
        made = _drawn(chance, names, chance.choice(self.kinds))
        return made and {'steps': [made.to_data()],
                         'after': chance.choice((0, 0, 1, 2, 3, 4, 6, 8))}

    def ask(self, world, engine, step):
        inner, = self.steps(step)
        with engine.away(step.arguments['after']):
            answer = base.ALL[inner.operation].ask(world, engine, inner)
            if answer is not None:
                self.answers = [answer]
                engine.settle()
        return answer


class _Keeper:
    """Keeps the requests of an operation in place of sending them."""

    def __init__(self) -> None:
        self.requests: list[engines.Request] = []

    def request(self, *arguments: Any) -> engines.Answer:
        self.requests.append(engines.Request(*arguments))
        return engines.Answer(0)


def _drawn(chance: random.Random, names: base.Names, kind: str
           ) -> history.Step | None:
    """Draw one step of a kind, for the main project."""
    operation = base.ALL[kind]
    arguments = operation.draw(chance, names)
    if arguments is None or 'field' in arguments or 'service' in arguments:
        return None
    return history.Step(kind, history.ACTORS[1], arguments)
