# SPDX-License-Identifier: Apache-2.0

"""Disasters on the storage, and their end."""

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
        engine.damage(sorted(backup.keys))
        world.damaged.add(name)
        return base.DONE


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
        return base.DONE
