# SPDX-License-Identifier: Apache-2.0

"""Disasters on the storage, and their end."""

from backup_model import engine as engines
from backup_model.operations import base


class Damage(base.Operation):
    """The storage changes a byte of each object of a backup."""

    request = False

    def draw(self, chance, names):
        if not names.backups:
            return None
        return {'backup': chance.choice(names.backups)}

    def ask(self, world, engine, step):
        name = step.arguments['backup']
        backup = world.backups.get(name)
        if backup is None or not backup.keys or backup.deleted:
            return None
        self.do(engine, sorted(backup.keys))
        world.damaged.add(name)
        return base.DONE

    def do(self, engine: engines.Engine, objects: list[str]) -> None:
        """Do it to the objects of a backup."""
        engine.damage(objects)


class Remove(Damage):
    """The storage loses the first object of a backup."""

    def ask(self, world, engine, step):
        answer = super().ask(world, engine, step)
        if answer is not None:
            world.incomplete.add(step.arguments['backup'])
        return answer

    def do(self, engine, objects):
        engine.damage(objects[:1], gone=True)


class Repair(base.Operation):
    """The storage is as it was."""

    request = False

    def draw(self, chance, names):
        return {}

    def ask(self, world, engine, step):
        if not world.damaged:
            return None
        engine.repair()
        world.damaged.clear()
        world.incomplete.clear()
        return base.DONE
