# SPDX-License-Identifier: Apache-2.0

"""Run histories, and make failing ones short."""

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import pathlib

from backup_model import engine as engines
from backup_model import history
from backup_model import operations
from backup_model import promises
from backup_model import world as worlds


@dataclasses.dataclass(frozen=True)
class Failure:
    """A promise that a history has broken.

    :ivar steps: up to the one that broke it
    """

    broken: promises.Broken
    steps: tuple[history.Step, ...]

    @property
    def cause(self) -> tuple[str, str]:
        """The same for the same fault."""
        return self.broken.promise, self.broken.key


def read(path: pathlib.Path) -> list[history.Step]:
    """Read a history that can be run from a file.

    :raises history.HistoryError: the file has none
    """
    steps = history.read(path)
    for step in steps:
        for one in (step, *operations.Inner.steps(step)) if (
                'steps' in step.arguments) else (step,):
            if one.operation not in operations.ALL:
                raise history.HistoryError(
                    f'{path} has an unknown operation {one.operation!r}; '
                    f'known: {", ".join(operations.ALL)}')
    return steps


def run(engine: engines.Engine, steps: Iterable[history.Step],
        on_step: Callable[[history.Step], None] = lambda step: None,
        ) -> Iterator[Failure]:
    """Carry a history out on an empty cloud, and audit it at the end.

    :param on_step: called with each step before it is done, also those of
        the audit
    :returns: each broken promise, when it is found
    """
    world = worlds.World()

    def told() -> Iterator[history.Step]:
        for step in _with_audit(world, steps):
            on_step(step)
            yield step

    yield from _carried_out(engine, world, told())


def _carried_out(engine: engines.Engine, world: worlds.World,
                 steps: Iterable[history.Step]) -> Iterator[Failure]:
    before = engine.view()
    done: list[history.Step] = []
    for step in steps:
        operation = operations.ALL[step.operation]
        answer = operation.ask(world, engine, step)
        if answer is None:
            continue
        done.append(step)
        engine.settle()
        after = engine.view()
        parts, together = [(step, answer)], ''
        if isinstance(operation, operations.Inner):
            together = step.operation
            parts = list(zip(operation.steps(step), operation.answers,
                             strict=True))
        moments = [_learned(promises.Moment(
            world, one, reply, before, after, together, tuple(
                other.operation for number, (other, _) in enumerate(parts)
                if number != place)))
            for place, (one, reply) in enumerate(parts)]
        for moment in moments:
            for broken in promises.judge(moment, engine):
                yield Failure(broken, tuple(done))
        before = after
        if isinstance(operation, operations.Ship):
            there, objects = operation.there(world, step)
            with engine.second_site(objects):
                for failure in _carried_out(engine, there, _recovery(
                        there, step.actor)):
                    yield dataclasses.replace(failure, steps=tuple(done))


def _learned(moment: promises.Moment) -> promises.Moment:
    """Remember what came of a step."""
    operation = operations.ALL[moment.step.operation]
    target = operation.target(moment.world, moment.step)
    operation.learn(moment.world, moment.step, moment.answer, moment.before,
                    moment.after)
    target = target or operation.target(moment.world, moment.step)
    backup = moment.world.backups.get(target)
    return dataclasses.replace(
        moment, target=target, target_id=backup.id if backup else '')


def _with_audit(world: worlds.World, steps: Iterable[history.Step]
                ) -> Iterator[history.Step]:
    """The steps, and those that prove at the end what is promised.

    What a driver has accepted that finds damage is restored as it is. When
    the storage is repaired, each backup that was lost and has a record is
    imported, and each backup is restored, by its owner.
    """
    yield from steps
    for name in list(world.trusted):
        yield history.Step('restore', _owner(world.backups[name]),
                           {'backup': name})
    yield history.Step('repair')
    for project, resource in list(world.limits):
        yield history.Step('set quota', history.ACTORS[1], {
            'project': project, 'resource': resource, 'limit': -1})
    yield from _recovery(world)


def _recovery(world: worlds.World, actor: str = '') -> Iterator[history.Step]:
    """Import all that was lost, and restore all that is there.

    :param actor: who does it, by default an administrator of each's project
    """
    for name, record in list(world.records.items()):
        backup = world.backups[record.backup]
        if backup.lost and not backup.deleted:
            yield history.Step('import', actor or _owner(backup),
                               {'record': name})
    for name, backup in list(world.backups.items()):
        if not backup.deleted and not backup.lost:
            yield history.Step('restore', actor or _owner(backup),
                               {'backup': name})


def _owner(backup: worlds.Backup) -> str:
    return f'admin-{backup.project[-1]}'


def first(engine: engines.Engine, steps: Sequence[history.Step],
          known: Collection[tuple[str, str]] = ()) -> Failure | None:
    """The first failure of a history whose cause is not known yet."""
    return next((one for one in run(engine, steps)
                 if one.cause not in known), None)


def _simpler(step: history.Step) -> Iterator[history.Step]:
    """The same step with less in it."""
    for name in ('soft', 'metadata', 'name', 'description', 'container',
                 'incremental', 'force', 'gib', 'volume', 'service'):
        if step.arguments.get(name) and (
                name != 'volume' or step.operation == 'restore') and (
                name != 'name' or step.operation == 'create backup'):
            yield dataclasses.replace(step, arguments={
                key: value for key, value in step.arguments.items()
                if key != name})
    for name in ('backups', 'records'):
        found = step.arguments.get(name, ())
        for number in range(len(found) if len(found) > 1 else 0):
            yield dataclasses.replace(step, arguments={
                **step.arguments,
                name: found[:number] + found[number + 1:]})
    simple = history.ACTORS[1]
    if step.actor not in ('', simple):
        yield dataclasses.replace(step, actor=simple)


def shrink(failure: Failure, again: Callable[
        [Sequence[history.Step]], Iterable[Failure]]) -> Failure:
    """Leave out all that a failure does not need.

    :param again: runs a history on an empty cloud
    :returns: a failure of the same cause
    """
    best = failure

    def fails(steps: Sequence[history.Step]) -> bool:
        """Tell if it still fails, and take these steps if so."""
        nonlocal best
        found = next((one for one in again(steps)
                      if one.cause == failure.cause and
                      len(one.steps) <= len(best.steps)), None)
        best = found or best
        return found is not None

    before = None
    while before != best.steps:
        before = best.steps
        position = len(best.steps)
        while position > 0:
            position -= 1
            if position < len(best.steps):
                fails(best.steps[:position] + best.steps[position + 1:])
        for position in range(len(best.steps)):
            if position < len(best.steps):
                for simpler in _simpler(best.steps[position]):
                    if fails((*best.steps[:position], simpler,
                              *best.steps[position + 1:])):
                        break
    return best
