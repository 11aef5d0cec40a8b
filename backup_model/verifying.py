# SPDX-License-Identifier: Apache-2.0

"""Promises of drivers that verify what is stored."""

from backup_model import engine as engines
from backup_model import moments

# What a record says of where its backup is stored, and of what.
_VERIFIED = ('size', 'volume_id', 'snapshot_id', 'container',
             'service_metadata', 'object_count', 'parent_id', 'driver_info')


def wrong_is_refused(moment: moments.Moment, engine: engines.Engine
                     ) -> moments.Found:
    """A driver that verifies refuses what is incomplete, and false records.

    Not each level of verification finds bytes that have changed.
    """
    operation, name = moment.step.operation, moment.target
    if (not engine.verifies or not moment.answer.accepted or
            name not in moment.world.backups):
        return
    backup = moment.world.backups[name]
    before, after = (view.backups.get(backup.id, {}).get('status')
                     for view in (moment.before, moment.after))
    made = (operation in ('import', 'create backup') and
            before != after == 'available')
    based_on = backup.parent if operation == 'create backup' else name
    incomplete = moment.world.incomplete.intersection(
        moment.world.chain(based_on))
    if incomplete and (made or operation == 'export'):
        yield (f'{operation} of incomplete',
               f'{operation} of {name} succeeds, and an object of '
               f'{min(incomplete)} is gone')
    field = moment.step.arguments.get('field')
    value = moment.step.arguments.get('value')
    if made and field in _VERIFIED and backup.told.get(field) != value:
        yield (f'import with {field}',
               f'{name} is imported from a record with the {field} {value!r}')
