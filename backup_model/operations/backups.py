# SPDX-License-Identifier: Apache-2.0

"""Operations on backups."""

from typing import Any

from backup_model import history
from backup_model import world as worlds
from backup_model.operations import base


class CreateBackup(base.Operation):
    """A backup of a volume or a snapshot."""

    weight = 10

    def draw(self, chance, names):
        names.backups.append(f'b{len(names.backups) + 1}')
        made: dict[str, Any] = {'backup': names.backups[-1],
                                'volume': base.one_of(chance, names.volumes)}
        if len(names.backups) > 1 and chance.random() < 0.6:
            made['incremental'] = True
        if names.snapshots and chance.random() < 0.4:
            made['snapshot'] = chance.choice(names.snapshots)
        if chance.random() < 0.2:
            made['metadata'] = {'key': 'value'}
        if chance.random() < 0.2:
            made['name'] = 'nightly'
        if chance.random() < 0.2:
            made['description'] = 'before the upgrade'
        if chance.random() < 0.2:
            made['container'] = 'another'
        if chance.random() < 0.3:
            made['force'] = True
        return made

    def ask(self, world, engine, step):
        volume = base.volume_id(world, step)
        arguments = step.arguments
        body: dict[str, Any] = {
            'volume_id': volume,
            'incremental': arguments.get('incremental', False)}
        if not volume:
            return None
        if 'snapshot' in arguments:
            found = world.snapshots.get(arguments['snapshot'])
            if found is None or world.volumes[found.source].gone:
                return None
            body['snapshot_id'] = found.id
        for name in ('name', 'description', 'metadata', 'container', 'force'):
            if name in arguments:
                body[name] = arguments[name]
        return engine.request(step.actor, 'POST', 'backups',
                              {'backup': body})

    def learn(self, world, step, answer, before, after):
        if not answer.accepted:
            return
        backup_id = answer.body['backup']['id']
        told = after.backups.get(backup_id, {})
        volume = step.arguments['volume']
        source = world.volumes[volume]
        if 'snapshot' in step.arguments:
            source = world.snapshots[step.arguments['snapshot']]
        new = set(after.stored) - set(before.stored)
        # Of two that were made at once, those with its id; one that failed
        # may have none.
        others = {key for key in new for one in after.backups
                  if one != backup_id and one in key}
        world.backups[step.arguments['backup']] = worlds.Backup(
            id=backup_id, project=history.project_of(step.actor),
            volume=volume, snapshot=step.arguments.get('snapshot', ''),
            content=source.content or (),
            parent=world.named(told.get('parent_id') or ''),
            keys=frozenset({key for key in new if backup_id in key} or
                           new - others),
            told=told, complete=told.get('status') == 'available')


class Rename(base.Operation):
    """A backup gets another name."""

    def draw(self, chance, names):
        if not names.backups:
            return None
        return {'backup': chance.choice(names.backups),
                'name': chance.choice(('weekly', 'of last year'))}

    def ask(self, world, engine, step):
        backup = base.backup_id(world, step)
        return (backup and engine.request(
            step.actor, 'PUT', f'backups/{backup}',
            {'backup': {'name': step.arguments['name']}})) or None

    def learn(self, world, step, answer, before, after):
        backup = world.backups[step.arguments['backup']]
        if answer.accepted:
            backup.told = {**backup.told, 'name': step.arguments['name']}


class Restore(base.Operation):
    """A backup is restored to a new volume, or onto one that is there."""

    weight = 4

    def draw(self, chance, names):
        if not names.backups:
            return None
        made = {'backup': chance.choice(names.backups)}
        if chance.random() < 0.4:
            made['volume'] = chance.choice(names.volumes)
        return made

    def ask(self, world, engine, step):
        backup = base.backup_id(world, step)
        body = {}
        if 'volume' in step.arguments:
            body['volume_id'] = base.volume_id(world, step)
            if not body['volume_id']:
                return None
        return (backup and engine.request(
            step.actor, 'POST', f'backups/{backup}/restore',
            {'restore': body})) or None

    def learn(self, world, step, answer, before, after):
        if answer.accepted and 'volume' in step.arguments:
            # The promise compares it.
            volume = world.volumes[step.arguments['volume']]
            volume.was, volume.content = volume.content, None


class Delete(base.Operation):
    """A backup is deleted."""

    weight = 5

    def draw(self, chance, names):
        if not names.backups:
            return None
        return {'backup': chance.choice(names.backups)}

    def ask(self, world, engine, step):
        backup = base.backup_id(world, step)
        return (backup and engine.request(
            step.actor, 'DELETE', f'backups/{backup}')) or None

    def learn(self, world, step, answer, before, after):
        backup = world.backups[step.arguments['backup']]
        if answer.accepted and backup.id not in after.backups:
            # The row of a failed import knows nothing of what is stored: it
            # is deleted so that the record can be imported again.
            backup.deleted = backup.deleted or not backup.failed
            backup.lost = not backup.deleted
        elif answer.accepted and not backup.failed and after.backups[
                backup.id]['status'].startswith('error'):
            # A part of it may be gone.
            backup.deleted = True


class ForceDelete(Delete):
    """A backup is deleted in whatever state it is."""

    weight = 1
    admin = True

    def ask(self, world, engine, step):
        backup = base.backup_id(world, step)
        return (backup and engine.request(
            step.actor, 'POST', f'backups/{backup}/action',
            {'os-force_delete': {}})) or None


class ResetStatus(base.Operation):
    """An administrator sets the status of a backup."""

    admin = True

    def draw(self, chance, names):
        if not names.backups:
            return None
        return {'backup': chance.choice(names.backups),
                'status': chance.choice(('available', 'error'))}

    def ask(self, world, engine, step):
        backup = base.backup_id(world, step)
        return (backup and engine.request(
            step.actor, 'POST', f'backups/{backup}/action',
            {'os-reset_status': {'status': step.arguments['status']}})) or None

    def learn(self, world, step, answer, before, after):
        if answer.accepted:
            world.backups[step.arguments['backup']].touched = True
