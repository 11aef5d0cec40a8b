# SPDX-License-Identifier: Apache-2.0

"""The parts that all operations share."""

import dataclasses
import random
from typing import Any

from backup_model import engine as engines
from backup_model import history
from backup_model import world as worlds


@dataclasses.dataclass
class Names:
    """The names of all that the steps so far may have made."""

    volumes: list[str] = dataclasses.field(default_factory=list)
    snapshots: list[str] = dataclasses.field(default_factory=list)
    backups: list[str] = dataclasses.field(default_factory=list)
    records: list[str] = dataclasses.field(default_factory=list)


class Operation:
    """One thing that is done.

    :cvar weight: how often it is drawn, in proportion to others
    :cvar admin: an administrator asks for it
    :cvar request: it is asked of the API, and does not just happen
    """

    weight = 1
    admin = False
    request = True

    def draw(self, chance: random.Random, names: Names
             ) -> dict[str, Any] | None:
        """Draw the arguments, or None where there is nothing to do it to."""
        raise NotImplementedError

    def ask(self, world: worlds.World, engine: engines.Engine,
            step: history.Step) -> engines.Answer | None:
        """Do it.

        :returns: the answer, None where a name in the step stands for
            nothing
        """
        raise NotImplementedError

    def learn(self, world: worlds.World, step: history.Step,
              answer: engines.Answer, before: engines.View,
              after: engines.View) -> None:
        """Remember what came of it."""

    def target(self, world: worlds.World, step: history.Step) -> str:
        """The backup that it is done to, by name."""
        return step.arguments.get('backup', '')


def backup_id(world: worlds.World, step: history.Step) -> str:
    """The id of the backup of a step, '' for none."""
    found = world.backups.get(step.arguments['backup'])
    return found.id if found else ''


def volume_id(world: worlds.World, step: history.Step) -> str:
    """The id of the volume of a step, '' for none."""
    found = world.volumes.get(step.arguments['volume'])
    return found.id if found and not found.gone else ''


def one_of(chance: random.Random, names: list[str]) -> str:
    """Choose one, mostly the first, so that chains grow."""
    return names[0] if chance.random() < 0.6 else chance.choice(names)


#: The answer to what is no request.
DONE = engines.Answer(200)

#: All of them by name, for those that have others inside.
ALL: dict[str, Operation] = {}
