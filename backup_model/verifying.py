# SPDX-License-Identifier: Apache-2.0

"""Promises of drivers that verify what is stored."""

from backup_model import engine as engines
from backup_model import moments

# What a record says of where its backup is stored, and of what.
_VERIFIED = ('size', 'volume_id', 'snapshot_id', 'container',
             'service_metadata', 'object_count', 'parent_id', 'driver_info')


def wrong_is_refused(moment: moments.Moment, engine: engines.Engine
                     ) -> moments.Found:
    """A driver that verifies refuses damage, and false records.

    Where it is not known if a restore needs a damaged object, what was
    accepted nevertheless has to be restored.
    """
    operation, name = moment.step.operation, moment.target
    world = moment.world
    if not engine.finds or not moment.answer.accepted or (
            name not in world.backups):
        return
    backup = world.backups[name]
    before, after = (view.backups.get(backup.id, {}).get('status')
                     for view in (moment.before, moment.after))
    made = (operation in ('import', 'create backup') and
            before != after == 'available')
    # What is killed or meets another request can end badly for that alone.
    if operation == 'restore' and not moment.together and (
            name in world.trusted) and not any(
            world.backups[one].lost or world.backups[one].touched
            for one in world.chain(name)):
        yield from _restored(moment, engine, world.trusted[name])
    damage = world.damage(name)
    if (made or operation == 'export') and not moment.together and damage:
        # Only an import reads all that is stored.
        finds = set(engine.finds) & ({engines.CHANGED, engines.GONE} if (
            operation == 'import') else {engines.GONE})
        if any(one.needed and one.kind in finds for one in damage):
            yield (f'{operation} of damage',
                   f'{operation} of {name} succeeds, and an object is damaged '
                   f'that a restore needs')
        elif all(one.kind in finds for one in damage):
            world.trusted[name] = operation
    field = moment.step.arguments.get('field')
    value = moment.step.arguments.get('value')
    if made and field in _VERIFIED and backup.told.get(field) != value:
        yield (f'import with {field}',
               f'{name} is imported from a record with the {field} {value!r}')


def _restored(moment: moments.Moment, engine: engines.Engine, by: str
              ) -> moments.Found:
    """Say so if a backup is not restored that is damaged and was accepted."""
    volume_id = moment.answer.body['restore']['volume_id']
    content = moment.world.backups[moment.target].content
    status = moment.after.volumes.get(volume_id)
    if status != 'available' or (
            engine.read(volume_id)[:len(content)] != content):
        yield (f'{by} of damage',
               f'{by} of {moment.target} succeeds, and for the damage to the '
               f'storage it is not restored')
