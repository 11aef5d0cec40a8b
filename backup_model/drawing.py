# SPDX-License-Identifier: Apache-2.0

"""Random histories by number, and those that a driver can carry out."""

from collections.abc import Collection
from collections.abc import Sequence
import dataclasses
import random

from backup_model import history
from backup_model import operations

#: Steps of a drawn history.
LENGTHS = (3, 14)


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
        if step.operation not in ('damage', 'remove') or (
                'import_verify' not in lacks):
            left.append(dataclasses.replace(step, arguments=arguments))
    return left
