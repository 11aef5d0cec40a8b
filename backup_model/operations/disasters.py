# SPDX-License-Identifier: Apache-2.0

"""Disasters on the storage, and their end."""

from typing import Any

from backup_model import engine as engines
from backup_model import world as worlds
from backup_model.operations import base


class Damage(base.Operation):
    """The storage changes a byte of an object of a backup, or of each one.

    :cvar each: what it does to, without a number of an object
    """

    weight = 2
    request = False
    kind = engines.CHANGED
    each = slice(None)

    def draw(self, chance, names):
        if not names.backups:
            return None
        made: dict[str, Any] = {'backup': chance.choice(names.backups)}
        if chance.random() < 0.5:
            made['object'] = chance.randrange(10)
        return made

    def ask(self, world, engine, step):
        name = step.arguments['backup']
        backup = world.backups.get(name)
        if backup is None or not backup.keys or backup.deleted:
            return None
        objects = sorted(backup.keys)
        if 'object' in step.arguments:
            objects = [objects[step.arguments['object'] % len(objects)]]
        else:
            objects = objects[self.each]
        engine.damage(objects, gone=self.kind == engines.GONE)
        world.damaged.setdefault(name, set()).add(worlds.Damage(
            self.kind, 'object' not in step.arguments))
        world.trusted = {one: by for one, by in world.trusted.items()
                         if name not in world.chain(one)}
        return base.DONE


class Remove(Damage):
    """The storage loses an object of a backup, the first one or another."""

    kind = engines.GONE
    each = slice(1)


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
        world.trusted.clear()
        return base.DONE
