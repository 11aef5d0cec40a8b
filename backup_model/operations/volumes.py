# SPDX-License-Identifier: Apache-2.0

"""Operations on volumes and snapshots."""

import dataclasses
import random

from backup_model import engine as engines
from backup_model import history
from backup_model import world as worlds
from backup_model.operations import base


def _content(chance: random.Random) -> list[int]:
    return [chance.choice((0, 1, 2)) for _ in range(engines.BLOCKS)]


class CreateVolume(base.Operation):
    """A volume with a content."""

    def draw(self, chance, names):
        if len(names.volumes) > 2:
            return None
        names.volumes.append(f'v{len(names.volumes) + 1}')
        return {'volume': names.volumes[-1], 'content': _content(chance)}

    def ask(self, world, engine, step):
        made = worlds.Volume(
            engine.create_volume(step.actor, 1),
            history.project_of(step.actor), tuple(step.arguments['content']))
        engine.write(made.id, made.content)
        world.volumes[step.arguments['volume']] = made
        return base.DONE


class Write(base.Operation):
    """Some blocks of a volume get another content."""

    weight = 3
    request = False

    def draw(self, chance, names):
        return {'volume': chance.choice(names.volumes),
                'content': [chance.choice((None, None, 0, 3, 4))
                            for _ in range(engines.BLOCKS)]}

    def ask(self, world, engine, step):
        if not base.volume_id(world, step):
            return None
        volume = world.volumes[step.arguments['volume']]
        if volume.content is None:
            return None
        volume.content = tuple(
            old if new is None else new for old, new in
            zip(volume.content, step.arguments['content'], strict=True))
        engine.write(volume.id, volume.content)
        return base.DONE


class Snapshot(base.Operation):
    """A snapshot of a volume."""

    def draw(self, chance, names):
        names.snapshots.append(f's{len(names.snapshots) + 1}')
        return {'snapshot': names.snapshots[-1],
                'volume': chance.choice(names.volumes)}

    def ask(self, world, engine, step):
        volume = base.volume_id(world, step)
        if not volume:
            return None
        source = world.volumes[step.arguments['volume']]
        if source.content is None:
            return None
        world.snapshots[step.arguments['snapshot']] = dataclasses.replace(
            source, id=engine.snapshot(step.actor, volume),
            source=step.arguments['volume'])
        return base.DONE


class DeleteVolume(base.Operation):
    """A volume is gone with its snapshots; its backups stay."""

    request = False

    def draw(self, chance, names):
        return {'volume': chance.choice(names.volumes)}

    def ask(self, world, engine, step):
        volume = base.volume_id(world, step)
        if not volume:
            return None
        engine.delete_volume(volume)
        world.volumes[step.arguments['volume']].gone = True
        return base.DONE


class Extend(base.Operation):
    """A volume gets larger."""

    request = False

    def draw(self, chance, names):
        return {'volume': chance.choice(names.volumes)}

    def ask(self, world, engine, step):
        volume = base.volume_id(world, step)
        if not volume:
            return None
        world.volumes[step.arguments['volume']].size += 1
        engine.extend_volume(
            volume, world.volumes[step.arguments['volume']].size)
        return base.DONE
