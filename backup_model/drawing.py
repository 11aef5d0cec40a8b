# SPDX-License-Identifier: Apache-2.0

"""Random histories by number, and those that a driver can carry out."""

from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import random

from backup_model import history
from backup_model import operations
from backup_model.operations import records as of_records

#: Steps of a drawn history, without the loss at its end.
LENGTHS = (3, 14)

# Few drawn histories export and lose the same backup, or go on with one that
# is damaged. In the others the rows that a history has left are audited.
_ENDS_IN_LOSS = 0.6
_ENDS_IN_DAMAGE = 0.15
# A history has these, and of the other operations each second one: those that
# it has meet more often.
_ALWAYS = ('create volume', 'write', 'create backup')


def drawn(seed: int, number: int) -> list[history.Step]:
    """Draw a history: the same one for the same numbers."""
    chance = random.Random(f'{seed}:{number}')  # noqa: S311
    return draw(chance, chance.randint(*LENGTHS))


def draw(chance: random.Random, length: int) -> list[history.Step]:
    """Draw a history.

    :param chance: decides everything
    :param length: the number of steps; the loss at the end has more
    """
    names = operations.Names()
    steps: list[history.Step] = []
    kinds = [kind for kind in operations.ALL
             if kind in _ALWAYS or chance.random() < 0.5]
    weights = [operations.ALL[kind].weight for kind in kinds]
    # Most requests are of one project.
    mixed = 0.0 if chance.random() < 0.5 else 0.3
    while len(steps) < length:
        kind = 'create volume'
        if steps:
            kind, = chance.choices(kinds, weights)
        operation = operations.ALL[kind]
        arguments = operation.draw(chance, names)
        if arguments is not None:
            steps.append(history.Step(
                kind, chance.choice([
                    one for one in history.ACTORS[
                        2 if chance.random() < mixed else 0:][:2]
                    if history.is_admin(one) or not operation.admin
                ]) if operation.request else '', arguments))
    end = chance.random()
    if names.backups and end < _ENDS_IN_LOSS:
        steps += _loss_of_all(chance, names)
    elif names.backups and end < _ENDS_IN_LOSS + _ENDS_IN_DAMAGE:
        steps += _work_on_damage(chance, names)
    return steps


def _loss_of_all(chance: random.Random, names: operations.Names
                 ) -> Iterator[history.Step]:
    """Export all backups and lose them, once or twice.

    They are imported in any order. Before that, a record may be changed, or
    the storage damaged; the audit tries again when that is undone.
    """
    admin = history.ACTORS[1]
    records = [f'r{number}' for number in range(
        len(names.records) + 1, len(names.records) + len(names.backups) + 1)]
    for record, backup in zip(records, names.backups, strict=True):
        yield history.Step('export', admin, {
            'record': record, 'backup': backup})
    for _ in range(chance.choice((1, 2))):
        yield history.Step('lose rows', '', {'backups': list(names.backups)})
        if chance.random() < 0.25:
            field, value = chance.choice(of_records.EDITS)
            yield history.Step('import', admin, {
                'record': chance.choice(records),
                'field': field, 'value': value})
        if chance.random() < 0.4:
            yield _damage(chance, names)
        chance.shuffle(records)
        for record in records:
            yield history.Step('import', admin, {'record': record})


def _damage(chance: random.Random, names: operations.Names) -> history.Step:
    kind = chance.choice(('damage', 'remove'))
    return history.Step(kind, '', operations.ALL[kind].draw(
        chance, names) or {})


def _work_on_damage(chance: random.Random, names: operations.Names
                    ) -> Iterator[history.Step]:
    """Damage a backup, export it, and make another one on it."""
    admin = history.ACTORS[1]
    damage = _damage(chance, names)
    yield damage
    record = f'r{len(names.records) + 1}'
    yield history.Step('export', admin, {
        'record': record, 'backup': damage.arguments['backup']})
    yield history.Step('create backup', admin, {
        'backup': f'b{len(names.backups) + 1}',
        'volume': names.volumes[0], 'incremental': True})


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
        if step.operation not in ('damage', 'remove') or (
                'import_verify' not in lacks):
            left.append(dataclasses.replace(step, arguments=arguments))
    return left
