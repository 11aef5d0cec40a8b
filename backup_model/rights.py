# SPDX-License-Identifier: Apache-2.0

"""Promises about rights, quotas and the state of volumes."""

from collections.abc import Iterator

from backup_model import engine as engines
from backup_model import history
from backup_model import moments
from backup_model import world as worlds

#: The requests that make a row of a backup.
_MAKING = ('create backup', 'import')
#: Those that do something with a backup that is there.
_USING = ('rename', 'restore', 'delete')


def strangers_are_refused(moment: moments.Moment, engine: engines.Engine
                          ) -> moments.Found:
    """A member reaches no backup and no volume of another project."""
    step = moment.step
    if not moment.answer.accepted or not step.actor or (
            history.is_admin(step.actor)):
        return
    own = history.project_of(step.actor)
    told = moment.before.backups.get(moment.target_id)
    if step.operation in _USING and told and told['project'] != own:
        yield (step.operation, f'{step.actor} does {step.operation} with '
                               f'{moment.target} of {told["project"]}')
    for volume in _volumes(moment):
        if volume.project != own:
            yield (f'{step.operation} volume',
                   f'{step.actor} does {step.operation} with a volume of '
                   f'{volume.project}')


def _volumes(moment: moments.Moment) -> Iterator[worlds.Volume]:
    """The volume that a backup was asked of, or a restore onto it."""
    if moment.step.operation in ('create backup', 'restore'):
        found = moment.world.volumes.get(
            moment.step.arguments.get('volume', ''))
        if found:
            yield found


def quota_is_kept(moment: moments.Moment, engine: engines.Engine
                  ) -> moments.Found:
    """A request over a quota is refused, and no other one for a quota."""
    step = moment.step
    if step.operation not in _MAKING:
        return
    if moment.answer.accepted:
        for (project, resource), limit in moment.world.limits.items():
            old, new = (view.usage[project][resource]
                        for view in (moment.before, moment.after))
            if 0 <= limit < new and old < new:
                yield (f'{step.operation} {resource}',
                       f'{step.operation} of {step.actor} is accepted, and '
                       f'{project} uses {new} {resource} of {limit}')
        return
    size = _size(moment)
    if moment.answer.status != 413 or moment.together or size is None:
        return
    projects = {history.project_of(step.actor)}
    if step.operation == 'import':
        projects.add(moment.world.backups[moment.target].project)
    for project in projects:
        usage = moment.before.usage[project]
        for resource, more in (('backups', 1), ('backup_gigabytes', size)):
            limit = moment.world.limits.get((project, resource), -1)
            if 0 <= limit < (usage[resource] + usage[f'{resource} reserved'] +
                             more):
                return
    yield (f'{step.operation} refused',
           f'{step.operation} of {step.actor} is refused, and within the '
           f'quota: {moment.answer.text}')


def _size(moment: moments.Moment) -> int | None:
    """In GiB, of the backup that is to be made, None if it is not known."""
    arguments = moment.step.arguments
    if moment.step.operation == 'import':
        if 'field' in arguments:
            return None
        size: int = moment.world.records[arguments['record']].told['size']
        return size
    if 'snapshot' in arguments:
        # It may be smaller than its volume.
        return moment.world.snapshots[arguments['snapshot']].size
    return moment.world.volumes[arguments['volume']].size


def volumes_are_kept(moment: moments.Moment, engine: engines.Engine
                     ) -> moments.Found:
    """A volume is used for what its state allows, and is in it afterwards.

    One in use is backed up by force only, and one that is too small is not
    restored to; all else is accepted.
    """
    step = moment.step
    if step.operation not in (*_MAKING, *_USING, 'export', 'force delete'):
        return
    target = (moment.answer.body['restore']['volume_id']
              if step.operation == 'restore' and moment.answer.accepted
              else '')
    if moment.together != 'at once':
        for one, status in moment.before.volumes.items():
            new = moment.after.volumes.get(one, status)
            if new != status and one != target and not (
                    {new, status} & set(moments.UNDER_WAY)):
                yield (f'{step.operation} {status} {new}',
                       f'{step.operation} has made a volume or a snapshot '
                       f'{new} that was {status}')
    if step.operation not in ('create backup', 'restore'):
        return
    lacks = (_lacks_for_backup if step.operation == 'create backup' else
             _lacks_for_restore)(moment)
    if moment.answer.accepted and lacks:
        yield (f'{step.operation} {lacks}',
               f'{step.operation} is accepted, and {lacks}')
    elif not (moment.answer.accepted or lacks or moment.together or
              moment.answer.status == 413 or
              step.arguments.get('incremental')):
        yield (f'{step.operation} refused',
               f'{step.operation} is refused: {moment.answer.text}')


def _may(moment: moments.Moment, project: str) -> bool:
    actor = moment.step.actor
    return history.is_admin(actor) or history.project_of(actor) == project


def _lacks_for_backup(moment: moments.Moment) -> str:
    """The reason why a volume cannot be backed up, '' if it can."""
    arguments = moment.step.arguments
    volume = moment.world.volumes[arguments['volume']]
    status = moment.before.volumes.get(volume.id)
    if not _may(moment, volume.project):
        return 'it is that of others'
    if 'snapshot' in arguments:
        snapshot = moment.world.snapshots[arguments['snapshot']]
        if snapshot.source != arguments['volume']:
            return 'the snapshot is of another volume'
        if not _may(moment, snapshot.project):
            return 'the snapshot is that of others'
        return '' if moment.before.volumes.get(
            snapshot.id) == 'available' else 'the snapshot is not available'
    if status == 'in-use' and not arguments.get('force'):
        return 'the volume is in use'
    return '' if status in ('available', 'in-use') else (
        'the volume is not available')


def _lacks_for_restore(moment: moments.Moment) -> str:
    """The reason why a backup cannot be restored, '' if it can."""
    told = moment.before.backups.get(moment.target_id)
    if told is None or told['status'] != 'available':
        return 'the backup is not available'
    if not told['size'] or told['size'] < 0:
        return 'the backup has no size'
    if not _may(moment, told['project']):
        return 'it is that of others'
    for volume in _volumes(moment):
        if not _may(moment, volume.project):
            return 'the volume is that of others'
        if moment.before.volumes.get(volume.id) != 'available':
            return 'the volume is not available'
        if volume.size < told['size']:
            return 'the volume is too small'
    return ''
