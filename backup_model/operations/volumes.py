# SPDX-License-Identifier: Apache-2.0

"""Operations on volumes and snapshots."""

import dataclasses
import random

from backup_model import engine as engines
from backup_model import history
from backup_model import world as worlds
from backup_model.operations import base

#: The projects of the actors.
PROJECTS = tuple(dict.fromkeys(map(history.project_of, history.ACTORS)))


def _content(chance: random.Random) -> list[int]:
    content = [chance.choice((0, 1, 2)) for _ in range(engines.BLOCKS)]
    # Drivers leave out what they find to be zeros only in whole chunks.
    zeros = chance.choices((0, 2, engines.BLOCKS), (8, 1, 1))[0]
    return content[:engines.BLOCKS - zeros] + [0] * zeros


class CreateVolume(base.Operation):
    """A volume with a content."""

    weight = 3

    def draw(self, chance, names):
        if len(names.volumes) > 2:
            return None
        names.volumes.append(f'v{len(names.volumes) + 1}')
        size = 2 if chance.random() < 0.3 else 1
        return {'volume': names.volumes[-1],
                'content': [one for _ in range(size)
                            for one in _content(chance)]}

    def ask(self, world, engine, step):
        content = tuple(step.arguments['content'])
        size = len(content) // engines.BLOCKS
        made = worlds.Volume(
            engine.create_volume(step.actor, size),
            history.project_of(step.actor), content, size)
        engine.write(made.id, made.content)
        world.volumes[step.arguments['volume']] = made
        return base.DONE


class Write(base.Operation):
    """Some blocks of a volume get another content."""

    weight = 6
    request = False

    def draw(self, chance, names):
        return {'volume': chance.choice(names.volumes),
                'content': [chance.choice((None, None, 0, 3, 4))
                            for _ in range(engines.BLOCKS)],
                **({'gib': 1} if chance.random() < 0.2 else {})}

    def ask(self, world, engine, step):
        if not base.volume_id(world, step):
            return None
        volume = world.volumes[step.arguments['volume']]
        if volume.content is None:
            return None
        start = step.arguments.get('gib', 0) % volume.size * engines.BLOCKS
        end = start + engines.BLOCKS
        volume.content = (*volume.content[:start], *(
            old if new is None else new for old, new in
            zip(volume.content[start:end], step.arguments['content'],
                strict=True)), *volume.content[end:])
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
            project=history.project_of(step.actor),
            source=step.arguments['volume'])
        return base.DONE


class DeleteVolume(base.Operation):
    """A volume is gone with its snapshots; its backups stay."""

    request = False

    def draw(self, chance, names):
        return {'volume': chance.choice(names.volumes)}

    def ask(self, world, engine, step):
        volume = base.volume_id(world, step)
        if not volume or world.volumes[step.arguments['volume']].attached:
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
        made = world.volumes[step.arguments['volume']]
        made.size += 1
        if made.content is not None:
            made.content += (0,) * engines.BLOCKS
        engine.extend_volume(volume, made.size)
        return base.DONE


class Attach(base.Operation):
    """A server uses a volume."""

    request = False

    def draw(self, chance, names):
        return {'volume': chance.choice(names.volumes)}

    def ask(self, world, engine, step):
        volume = base.volume_id(world, step)
        if engine.view().volumes.get(volume) != 'available':
            return None
        engine.attach(volume)
        world.volumes[step.arguments['volume']].attached = True
        return base.DONE


class Detach(base.Operation):
    """No server uses a volume any more."""

    request = False

    def draw(self, chance, names):
        return {'volume': chance.choice(names.volumes)}

    def ask(self, world, engine, step):
        volume = base.volume_id(world, step)
        if engine.view().volumes.get(volume) != 'in-use':
            return None
        engine.detach(volume)
        world.volumes[step.arguments['volume']].attached = False
        return base.DONE


class Transfer(base.Operation):
    """A volume becomes that of another project; its backups do not."""

    request = False

    def draw(self, chance, names):
        return {'volume': chance.choice(names.volumes),
                'project': chance.choice(PROJECTS)}

    def ask(self, world, engine, step):
        volume = base.volume_id(world, step)
        if not volume:
            return None
        made = world.volumes[step.arguments['volume']]
        snapshots = [one for one in world.snapshots.values()
                     if one.source == step.arguments['volume']]
        giver, taker = made.project, step.arguments['project']
        if giver == taker or any(
                engine.view().volumes[one.id] != 'available'
                for one in (made, *snapshots)):
            return None
        engine.transfer(volume, *(
            f'member-{one[-1]}' for one in (giver, taker)))
        for one in (made, *snapshots):
            one.project = taker
        return base.DONE
