# SPDX-License-Identifier: Apache-2.0

"""The promises that a user may rely on, one a function.

Each looks at one step: the cloud before it and after it, the answer, and what
the history has made. What it yields is a broken promise, by a short key that
is the same for the same fault.
"""

from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

from backup_model import engine as engines
from backup_model import history
from backup_model import moments
from backup_model import rights
from backup_model import verifying
from backup_model import world as worlds

UNDER_WAY = moments.UNDER_WAY
#: What the API says of a backup that a recovery must bring back.
_KEPT = ('name', 'description', 'size', 'volume_id', 'snapshot_id',
         'container', 'metadata', 'is_incremental', 'object_count',
         'data_timestamp', 'encryption_key_id')
#: Requests that make or remove backups, whose number and size are counted.
_COUNTED = frozenset(('create backup', 'import', 'delete', 'force delete'))


Broken = moments.Broken
Moment = moments.Moment
Found = moments.Found


def answered(moment: Moment, engine: engines.Engine) -> Found:
    """No request ends in an error of the server."""
    if moment.answer.status >= 500:
        changed = moment.step.arguments.get('field', '')
        yield (f'{moment.step.operation} {changed}'.strip(),
               f'{moment.step.operation} is answered with '
               f'{moment.answer.status}: {moment.answer.text}')


def refusal_changes_nothing(moment: Moment, engine: engines.Engine) -> Found:
    """A request that is refused has changed nothing."""
    if moment.answer.accepted:
        return
    for what in ('backups', 'volumes', 'usage', 'stored'):
        old, new = (getattr(view, what)
                    for view in (moment.before, moment.after))
        if what == 'backups':
            old, new = ({key: _lasting(value) for key, value in part.items()}
                        for part in (old, new))
        elif what == 'usage':
            old = _counted_anew(old, new)
        if old != new:
            yield (f'{moment.step.operation} {what}',
                   f'{moment.step.operation} is refused with '
                   f'{moment.answer.status}, and has changed {what}: '
                   f'{_difference(old, new)}')


def _counted_anew(old: dict[str, dict[str, int]],
                  new: dict[str, dict[str, int]]
                  ) -> dict[str, dict[str, int]]:
    """The old usage, where it is less than nothing the new one.

    Cinder counts anew then, whatever it was asked for.
    """
    return {project: {name: new[project][name] if value < 0 else value
                      for name, value in usage.items()}
            for project, usage in old.items()}


def _lasting(backup: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in backup.items()
            if key not in ('updated_at', 'links', 'host')}


def _difference(old: Any, new: Any) -> str:
    return ', '.join(
        f'{key}: {old.get(key)!r} became {new.get(key)!r}'
        for key in sorted({*old, *new}) if old.get(key) != new.get(key))


def work_ends(moment: Moment, engine: engines.Engine) -> Found:
    """All that was asked for ends, well or in an error."""
    for backup_id, backup in moment.after.backups.items():
        if (backup['status'] in UNDER_WAY and
                moment.before.backups.get(backup_id, {}).get('status') !=
                backup['status']):
            changed = moment.step.arguments.get('field', '')
            yield (f'{moment.step.operation} {backup["status"]}',
                   f'after {moment.step.operation} {changed} a backup stays '
                   f'{backup["status"]}')
    for volume_id, status in moment.after.volumes.items():
        if (status in UNDER_WAY and
                moment.before.volumes.get(volume_id) != status):
            yield (f'{moment.step.operation} volume {status}',
                   f'after {moment.step.operation} a volume stays {status}')


def usage_is_that_of_rows(moment: Moment, engine: engines.Engine) -> Found:
    """The quota that a project uses is that of its backups."""
    if moment.step.operation not in _COUNTED and _meets_counted(moment):
        # The other request has changed what is counted.
        return
    old, new = (drift(view) for view in (moment.before, moment.after))
    for key, value in new.items():
        # Cinder counts anew where it has less than nothing.
        if value not in (0, old.get(key, 0)):
            yield (f'{moment.step.operation} {key[1]}',
                   f'after {moment.step.operation} the usage of {key[1]} '
                   f'is off by {value}, and was by {old.get(key, 0)}')
    for backup_id, backup in moment.after.backups.items():
        if (backup['size'] or 0) < 0 and backup_id not in (
                one for one, other in moment.before.backups.items()
                if (other['size'] or 0) < 0):
            yield ('negative', f'a backup has a size of {backup["size"]}')


def _meets_counted(moment: Moment) -> bool:
    return not _COUNTED.isdisjoint(moment.others)


def drift(view: engines.View) -> dict[tuple[str, str], int]:
    """The usage of each project beyond its backups, by resource."""
    found = {}
    for project, usage in view.usage.items():
        rows = [one for one in view.backups.values()
                if one['project'] == project]
        expected = {'backups': len(rows), 'backup_gigabytes': sum(
            one['size'] or 0 for one in rows)}
        for resource, value in usage.items():
            found[project, resource] = value - expected.get(resource, 0)
    return found


def told_as_it_is(moment: Moment, engine: engines.Engine) -> Found:
    """What the API says of a backup is so, also after a recovery."""
    made = moment.world.backups.get(moment.target)
    if moment.step.operation == 'create backup' and made and (
            made.complete and made.told['size'] !=
            len(made.content) // engines.BLOCKS and made.content):
        yield ('create backup size',
               f'{moment.target} has a size of {made.told["size"]}, and what '
               f'it was made of one of '
               f'{len(made.content) // engines.BLOCKS}')
    for name, backup in moment.world.backups.items():
        told = moment.after.backups.get(backup.id)
        if told is None or not backup.complete:
            continue
        before = moment.before.backups.get(backup.id, {})
        if told['status'] == 'available' and not backup.touched:
            for field in _KEPT:
                old, new = backup.told.get(field), told.get(field)
                if (_seconds(old) != _seconds(new) and
                        (not before or before.get(field) != new)):
                    yield (f'{moment.step.operation} {field}',
                           f'{field} of {name} was {old!r}, and after '
                           f'{moment.step.operation} is {new!r}')
        # Of two requests at once the other one may be a restore that fails.
        if (moment.step.operation == 'import' and moment.answer.accepted and
                (not moment.together or name == moment.target) and
                told['status'] == 'available' and told['fail_reason'] and
                (before.get('fail_reason'), before.get('status')) !=
                (told['fail_reason'], told['status'])):
            yield ('import fail_reason',
                   f'{name} is available, and has a fail_reason: '
                   f'{told["fail_reason"]}')
        # As a deletion asks: a child that was never finished counts, too.
        live = any(one['parent_id'] == backup.id
                   for one in moment.after.backups.values())
        if (bool(told['has_dependent_backups']) != live and
                not backup.touched and
                told['has_dependent_backups'] !=
                before.get('has_dependent_backups', live)):
            yield (f'{moment.step.operation} has_dependent_backups',
                   f'after {moment.step.operation} the API says of {name} '
                   f'has_dependent_backups={told["has_dependent_backups"]}, '
                   f'and there are {"some" if live else "none"}')


def _seconds(value: Any) -> Any:
    """A time as every database keeps it, other values as they are."""
    return value.split('.')[0] if isinstance(value, str) else value


def reached_by_the_same(moment: Moment, engine: engines.Engine) -> Found:
    """A backup is its project's, also after a recovery."""
    for backup_id in moment.after.backups.keys() - moment.before.backups:
        if not moment.world.named(backup_id) and not engine.request(
                history.ACTORS[1], 'GET', f'backups/{backup_id}').accepted:
            yield (f'{moment.step.operation} id',
                   f'{moment.step.operation} has made a backup {backup_id!r}, '
                   f'which no request reaches')
    for name, backup in moment.world.backups.items():
        told = moment.after.backups.get(backup.id)
        if (told is not None and not backup.deleted and
                told['project'] != backup.project):
            yield (moment.step.operation,
                   f'{name} was a backup of {backup.project}, and after '
                   f'{moment.step.operation} is one of {told["project"]}')
            # From now on it is theirs.
            backup.project = told['project']


def others_are_untouched(moment: Moment, engine: engines.Engine) -> Found:
    """A request for one backup changes no other."""
    if not moment.by_request:
        return
    own = {moment.target_id}
    if moment.target in moment.world.backups:
        own.update(moment.world.backups[one].id
                   for one in moment.world.chain(moment.target))
    for backup_id, old in moment.before.backups.items():
        new = moment.after.backups.get(backup_id)
        if backup_id in own or (new is None and backup_id in own):
            continue
        if new is None or _lasting(_shown(new)) != _lasting(_shown(old)):
            yield (moment.step.operation,
                   f'{moment.step.operation} has changed another backup, '
                   f'{moment.world.named(backup_id)}: '
                   f'{_difference(old, new or {})}')


def _shown(backup: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in backup.items()
            if key != 'has_dependent_backups'}


def _reaches(moment: Moment, engine: engines.Engine) -> bool:
    """Tell if the request of a step can find what is stored of its target."""
    return (not engine.apart or moment.world.backups[moment.target].project ==
            history.project_of(moment.step.actor))


def storage_is_exact(moment: Moment, engine: engines.Engine) -> Found:
    """What is deleted leaves the storage, and nothing else does."""
    if not moment.by_request:
        return
    taken = moment.before.stored.keys() - moment.after.stored.keys()
    backup = moment.world.backups.get(moment.target)
    own = backup.keys if backup else frozenset()
    deleting = moment.step.operation in ('delete', 'force delete')
    for name, other in moment.world.backups.items():
        if taken & other.keys and (other is not backup or not deleting):
            yield (f'{moment.step.operation} takes',
                   f'{moment.step.operation} of '
                   f'{moment.target or "another backup"} has removed '
                   f'objects of {name}')
    if deleting and backup and backup.lost and taken & own:
        # Its import has failed, and yet its row knew what it is made of.
        yield (f'{moment.step.operation} takes what was not imported',
               f'the row that a failed import of {moment.target} has left is '
               f'deleted, and {len(taken & own)} objects of it with the row')
        # Nothing is promised of it from now on.
        backup.deleted = True
    added = moment.after.stored.keys() - moment.before.stored.keys()
    # A record that was changed may name any other objects.
    if (added and moment.step.operation != 'create backup' and
            'field' not in moment.step.arguments):
        yield (f'{moment.step.operation} adds',
               f'{moment.step.operation} has added {len(added)} objects')
    changed = {key for key, value in moment.before.stored.items()
               if moment.after.stored.get(key, value) != value}
    if changed:
        yield (f'{moment.step.operation} changes',
               f'{moment.step.operation} has changed {len(changed)} objects '
               f'that were there')
    if (deleting and backup and backup.deleted and
            moment.target_id in moment.before.backups and
            moment.target_id not in moment.after.backups and
            own & moment.after.stored.keys()):
        yield (f'{"" if _reaches(moment, engine) else "apart "}'
               f'{moment.step.operation} leaves',
               f'{moment.target} is deleted, and '
               f'{len(own & moment.after.stored.keys())} of its objects are '
               f'still there')


def nothing_needed_is_taken(moment: Moment, engine: engines.Engine) -> Found:
    """What was accepted takes nothing away that another backup needs."""
    backup = moment.world.backups.get(moment.target)
    if (backup is None or not backup.deleted or
            backup.keys <= moment.after.stored.keys()):
        return
    for name in moment.world.children(moment.target):
        child = moment.world.backups[name]
        if child.deleted:
            continue
        how = 'lost' if child.lost else 'live'
        yield (f'{how} child',
               f'{moment.target} is deleted, and its {how} child {name} '
               f'cannot be restored any more')
        # Nothing is promised of it from now on.
        for other in list(moment.world.backups):
            if name in moment.world.chain(other):
                moment.world.backups[other].deleted = True


def _same_size(parent: worlds.Backup, child: worlds.Backup) -> bool:
    """Check by what they say, and by what they were made of."""
    return parent.told['size'] == child.told.get('size') and (
        not parent.content or not child.content or
        len(parent.content) == len(child.content))


def accepted(moment: Moment, engine: engines.Engine) -> Found:
    """What a user may ask for is not refused."""
    name, backup = moment.target, moment.world.backups.get(moment.target)
    step = moment.step
    if moment.together and step.operation != 'import':
        # One of two requests may find that the other one has begun.
        return
    if step.operation == 'create backup' and moment.answer.accepted and (
            backup is not None and not backup.complete) and (
                not backup.parent or (
                    moment.world.recoverable(backup.parent) and
                    # Of a volume that was extended a full one is needed.
                    _same_size(moment.world.backups[backup.parent],
                               backup))):
        yield ('create backup', f'{name} becomes {backup.told.get("status")}: '
                                f'{backup.told.get("fail_reason")}')
    if (backup is None or backup.touched or not moment.world.intact(name) or
            not _reaches(moment, engine)):
        return
    old = moment.before.backups.get(backup.id)
    new = moment.after.backups.get(backup.id)
    own = (old or {'project': backup.project})['project'] == (
        history.project_of(step.actor))
    may = own or history.is_admin(step.actor)
    if step.operation == 'import':
        if (old is None and not {'service', 'field'} & step.arguments.keys()
                and moment.answer.status != 413
                # The storage is as it was at its export.
                and moment.world.records[step.arguments['record']].whole
                and (new is None or new['status'] != 'available')):
            yield ('import', f'the record of {name} is not imported: ' + (
                moment.answer.text if new is None else
                f'{new["status"]}, {new["fail_reason"]}'))
    elif old is None or old['status'] != 'available' or not may:
        return
    elif step.operation == 'export' and not moment.answer.accepted:
        yield ('export', f'{name} is not exported: {moment.answer.text}')
    elif step.operation == 'delete' and not any(
            one.parent == name and not one.deleted
            for one in moment.world.backups.values()) and new is not None:
        yield ('delete', f'{name} is not deleted: {moment.answer.text} '
                         f'{new["status"]} {new["fail_reason"]}')


def restored_as_it_was(moment: Moment, engine: engines.Engine) -> Found:
    """A restore brings every bit back, or says why it cannot."""
    if moment.step.operation != 'restore' or not moment.answer.accepted:
        return
    name = moment.target
    backup = moment.world.backups[name]
    volume_id = moment.answer.body['restore']['volume_id']
    status = moment.after.volumes.get(volume_id)
    told = moment.after.backups.get(backup.id, {})
    if status == 'available':
        found = engine.read(volume_id)
        if found[:len(backup.content)] != backup.content:
            damaged = not moment.world.intact(name)
            yield ('of damage' if damaged else 'wrong',
                   f'{name} is restored as {_blocks(found)}, and was '
                   f'{_blocks(backup.content)}'
                   f'{", of which a part is damaged" * damaged}')
        volume = moment.world.volumes.get(
            moment.step.arguments.get('volume', ''))
        rest = found[len(backup.content):]
        # What is past the end of the backup is kept, or cleared.
        kept = (0,) * len(rest) if volume is None else (
            volume.was and volume.was[len(backup.content):])
        if kept and any(one not in (0, old) for one, old in
                        zip(rest, kept, strict=True)):
            yield ('past the end',
                   f'{name} is restored, and past its end the volume has '
                   f'{_blocks(rest)}')
        if volume is not None:
            volume.content = found
    elif moment.together not in ('killed', 'away'):
        if (moment.world.recoverable(name) and not backup.touched and
                _reaches(moment, engine)):
            yield ('not', f'{name} is not restored: the volume is {status}, '
                          f'{told.get("fail_reason")}')
        if not told.get('fail_reason') and not moment.together:
            yield ('no reason', f'{name} is not restored, and nothing says '
                                f'why')


def _blocks(content: engines.Content) -> str:
    return ' '.join('?' if one == engines.GARBAGE else str(one)
                    for one in content) or '(nothing)'


#: The promises by name, in the order in which a step is judged.
ALL: dict[str, Callable[[Moment, engines.Engine], Found]] = {
    one.__name__.replace('_', '-'): one for one in (
        answered, refusal_changes_nothing, work_ends, nothing_needed_is_taken,
        storage_is_exact, restored_as_it_was, verifying.wrong_is_refused,
        accepted, usage_is_that_of_rows, told_as_it_is, reached_by_the_same,
        others_are_untouched, rights.strangers_are_refused,
        rights.quota_is_kept, rights.volumes_are_kept)}


def judge(moment: Moment, engine: engines.Engine) -> Iterator[Broken]:
    """Ask whether each promise was kept."""
    for name, promise in ALL.items():
        if promise not in _EXCEPT.get(moment.together, ()):
            for key, text in promise(moment, engine):
                if moment.together and not _is_alike(promise, moment):
                    key = f'{moment.together} {key}'
                yield Broken(name, key, text)


def _is_alike(promise: Callable[..., Found], moment: Moment) -> bool:
    """Check whether a fault is the same one as where a step is alone."""
    if moment.together == 'away':
        return promise in _ALIKE_AWAY
    return promise in _ALIKE or (
        promise is usage_is_that_of_rows and bool(moment.others) and
        not _meets_counted(moment))


# The same fault, however it came about.
_ALIKE = (told_as_it_is, nothing_needed_is_taken, reached_by_the_same)
# Nor does it matter that the storage was away.
_ALIKE_AWAY = tuple(one for one in ALL.values() if one is not storage_is_exact)
# Of two requests at once, neither is known to have changed what has changed;
# and what was killed need not have done what it was asked for.
_EXCEPT = {
    'at once': (refusal_changes_nothing, others_are_untouched,
                storage_is_exact),
    'killed': (refusal_changes_nothing, others_are_untouched,
               storage_is_exact, accepted),
    # What was asked for need not be done.
    'away': (accepted,),
}
