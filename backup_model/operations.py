# SPDX-License-Identifier: Apache-2.0

"""What users, administrators and disasters do, one class an operation.

Each class draws the arguments of a step, sends its request, and remembers in
the :class:`.world.World` what was accepted.
"""

import base64
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import json
import random
from typing import Any
from typing import cast

from backup_model import engine as engines
from backup_model import history
from backup_model import world as worlds

#: Fields of a record, and values that no export has written there.
EDITS: tuple[tuple[str, Any], ...] = (
    ('size', -100), ('size', 2), ('size', 'large'), ('id', None),
    ('id', 'a/b'), ('id', []), ('volume_id', None), ('container', ''),
    ('service_metadata', None), ('service_metadata', 'backup'),
    ('object_count', 'many'), ('parent_id', 'ffffffff-ffff-4fff-8fff-'
                                            'ffffffffffff'),
    ('display_name', {'a': 1}), ('display_name', 'x' * 300),
    ('created_at', 'yesterday'), ('data_timestamp', 'yesterday'),
    ('metadata', 'none'), ('metadata', {'a': 'b'}), ('snapshot_id', 7),
    ('temp_volume_id', 'ffffffff-ffff-4fff-8fff-ffffffffffff'),
    ('encryption_key_id', 'ffffffff-ffff-4fff-8fff-ffffffffffff'),
    ('status', 'deleting'), ('num_dependent_backups', 5),
    ('restore_volume_id', 'ffffffff-ffff-4fff-8fff-ffffffffffff'),
    ('unknown', 1), ('driver_info', None), ('driver_info', 'none'))


@dataclasses.dataclass
class Names:
    """What the steps so far may have made, by name."""

    volumes: list[str] = dataclasses.field(default_factory=list)
    snapshots: list[str] = dataclasses.field(default_factory=list)
    backups: list[str] = dataclasses.field(default_factory=list)
    records: list[str] = dataclasses.field(default_factory=list)


class Operation:
    """One thing that is done.

    :cvar weight: how often it is drawn, in proportion to others
    :cvar admin: an administrator asks for it
    :cvar request: it is asked of the API, and does not just happen
    """

    weight = 1
    admin = False
    request = True

    def draw(self, chance: random.Random, names: Names
             ) -> dict[str, Any] | None:
        """Draw the arguments, or None where there is nothing to do it to."""
        raise NotImplementedError

    def ask(self, world: worlds.World, engine: engines.Engine,
            step: history.Step) -> engines.Answer | None:
        """Do it.

        :returns: the answer, None where a name in the step stands for
            nothing
        """
        raise NotImplementedError

    def learn(self, world: worlds.World, step: history.Step,
              answer: engines.Answer, before: engines.View,
              after: engines.View) -> None:
        """Remember what came of it."""

    def target(self, world: worlds.World, step: history.Step) -> str:
        """The backup that it is done to, by name."""
        return step.arguments.get('backup', '')


def _backup(world: worlds.World, step: history.Step) -> str:
    """The id of the backup of a step, '' for none."""
    found = world.backups.get(step.arguments['backup'])
    return found.id if found else ''


def _volume(world: worlds.World, step: history.Step) -> str:
    found = world.volumes.get(step.arguments['volume'])
    return found.id if found and not found.gone else ''


def _content(chance: random.Random) -> list[int]:
    content = [chance.choice((0, 1, 2)) for _ in range(engines.BLOCKS)]
    # Drivers leave out what they find to be zeros only in whole chunks.
    zeros = chance.choices((0, 2, engines.BLOCKS), (8, 1, 1))[0]
    return content[:engines.BLOCKS - zeros] + [0] * zeros


def _one(chance: random.Random, names: list[str]) -> str:
    """Choose one, mostly the first, so that chains grow."""
    return names[0] if chance.random() < 0.6 else chance.choice(names)


_DONE = engines.Answer(200)

# Few drawn histories export and lose the same backup. In the others the rows
# that a history has left are audited.
_ENDS_IN_LOSS = 0.6
# A history has these, and of the other operations each second one: those that
# it has meet more often.
_ALWAYS = ('create volume', 'write', 'create backup')


class CreateVolume(Operation):
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
        return _DONE


class Write(Operation):
    """Some blocks of a volume get another content."""

    weight = 5
    request = False

    def draw(self, chance, names):
        return {'volume': chance.choice(names.volumes),
                'content': [chance.choice((None, None, 0, 3, 4))
                            for _ in range(engines.BLOCKS)]}

    def ask(self, world, engine, step):
        if not _volume(world, step):
            return None
        volume = world.volumes[step.arguments['volume']]
        if volume.content is None:
            return None
        volume.content = tuple(
            old if new is None else new for old, new in
            zip(volume.content, step.arguments['content'], strict=True))
        engine.write(volume.id, volume.content)
        return _DONE


class Snapshot(Operation):
    """A snapshot of a volume."""

    def draw(self, chance, names):
        names.snapshots.append(f's{len(names.snapshots) + 1}')
        return {'snapshot': names.snapshots[-1],
                'volume': chance.choice(names.volumes)}

    def ask(self, world, engine, step):
        volume = _volume(world, step)
        if not volume:
            return None
        source = world.volumes[step.arguments['volume']]
        if source.content is None:
            return None
        world.snapshots[step.arguments['snapshot']] = dataclasses.replace(
            source, id=engine.snapshot(step.actor, volume),
            source=step.arguments['volume'])
        return _DONE


class DeleteVolume(Operation):
    """A volume is gone with its snapshots; its backups stay."""

    request = False

    def draw(self, chance, names):
        return {'volume': chance.choice(names.volumes)}

    def ask(self, world, engine, step):
        volume = _volume(world, step)
        if not volume:
            return None
        engine.delete_volume(volume)
        world.volumes[step.arguments['volume']].gone = True
        return _DONE


class Extend(Operation):
    """A volume gets larger."""

    request = False

    def draw(self, chance, names):
        return {'volume': chance.choice(names.volumes)}

    def ask(self, world, engine, step):
        volume = _volume(world, step)
        if not volume:
            return None
        world.volumes[step.arguments['volume']].size += 1
        engine.extend_volume(
            volume, world.volumes[step.arguments['volume']].size)
        return _DONE


class CreateBackup(Operation):
    """A backup of a volume or a snapshot."""

    weight = 8

    def draw(self, chance, names):
        names.backups.append(f'b{len(names.backups) + 1}')
        made: dict[str, Any] = {'backup': names.backups[-1],
                                'volume': _one(chance, names.volumes)}
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
        return made

    def ask(self, world, engine, step):
        volume = _volume(world, step)
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
        for name in ('name', 'description', 'metadata', 'container'):
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
        world.backups[step.arguments['backup']] = worlds.Backup(
            id=backup_id, project=history.project_of(step.actor),
            volume=volume, snapshot=step.arguments.get('snapshot', ''),
            content=source.content or (),
            parent=world.named(told.get('parent_id') or ''),
            # Of two that were made at once, those with its id.
            keys=frozenset({key for key in new if backup_id in key} or new),
            told=told, complete=told.get('status') == 'available')


class Rename(Operation):
    """A backup gets another name."""

    def draw(self, chance, names):
        if not names.backups:
            return None
        return {'backup': chance.choice(names.backups),
                'name': chance.choice(('weekly', 'of last year'))}

    def ask(self, world, engine, step):
        backup = _backup(world, step)
        return (backup and engine.request(
            step.actor, 'PUT', f'backups/{backup}',
            {'backup': {'name': step.arguments['name']}})) or None

    def learn(self, world, step, answer, before, after):
        backup = world.backups[step.arguments['backup']]
        if answer.accepted:
            backup.told = {**backup.told, 'name': step.arguments['name']}


class Export(Operation):
    """The record of a backup is kept outside of the cloud."""

    weight = 5
    admin = True

    def draw(self, chance, names):
        if not names.backups:
            return None
        names.records.append(f'r{len(names.records) + 1}')
        return {'record': names.records[-1],
                'backup': chance.choice(names.backups)}

    def ask(self, world, engine, step):
        backup = _backup(world, step)
        return (backup and engine.request(
            step.actor, 'GET', f'backups/{backup}/export_record')) or None

    def learn(self, world, step, answer, before, after):
        if answer.accepted:
            record = answer.body['backup-record']
            world.records[step.arguments['record']] = worlds.Record(
                step.arguments['backup'], record['backup_service'],
                record['backup_url'],
                world.backups[step.arguments['backup']].told)


class Lose(Operation):
    """Rows are lost."""

    weight = 4
    request = False

    def draw(self, chance, names):
        if not names.backups:
            return None
        lost = sorted(chance.sample(
            names.backups, chance.randint(1, len(names.backups))))
        return {'backups': lost, **(
            {'soft': True} if chance.random() < 0.3 else {})}

    def ask(self, world, engine, step):
        found = [one for one in map(world.backups.get,
                                    step.arguments['backups'])
                 if one is not None and not one.lost and not one.deleted]
        if not found:
            return None
        engine.lose([one.id for one in found],
                    step.arguments.get('soft', False))
        for one in found:
            one.lost = True
        return _DONE


class Import(Operation):
    """A record is brought back, as it was or changed."""

    weight = 7
    admin = True

    def draw(self, chance, names):
        if not names.records:
            return None
        made: dict[str, Any] = {'record': chance.choice(names.records)}
        if chance.random() < 0.15:
            made['service'] = chance.choice(('cinder.backup.drivers.other',
                                             ''))
        elif chance.random() < 0.3:
            made['field'], made['value'] = chance.choice(EDITS)
        return made

    def ask(self, world, engine, step):
        record = world.records.get(step.arguments['record'])
        if record is None:
            return None
        url = record.url
        if 'field' in step.arguments:
            values = json.loads(base64.b64decode(url))
            values[step.arguments['field']] = step.arguments['value']
            url = base64.b64encode(json.dumps(values).encode()).decode()
        return engine.request(
            step.actor, 'POST', 'backups/import_record',
            {'backup-record': {
                'backup_url': url,
                'backup_service': step.arguments.get(
                    'service', record.service)}})

    def target(self, world, step):
        record = world.records.get(step.arguments['record'])
        return record.backup if record else ''

    def learn(self, world, step, answer, before, after):
        backup = world.backups[self.target(world, step)]
        if not answer.accepted or answer.body.get('backup', {}).get(
                'id') != backup.id:
            return
        backup.lost = False
        backup.told = world.records[step.arguments['record']].told
        backup.touched = 'field' in step.arguments
        backup.failed = after.backups.get(backup.id, {}).get(
            'status') != 'available'


class Restore(Operation):
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
        backup = _backup(world, step)
        body = {}
        if 'volume' in step.arguments:
            body['volume_id'] = _volume(world, step)
            if not body['volume_id']:
                return None
        return (backup and engine.request(
            step.actor, 'POST', f'backups/{backup}/restore',
            {'restore': body})) or None

    def learn(self, world, step, answer, before, after):
        if answer.accepted and 'volume' in step.arguments:
            # The promise compares it.
            world.volumes[step.arguments['volume']].content = None


class Delete(Operation):
    """A backup is deleted."""

    weight = 5

    def draw(self, chance, names):
        if not names.backups:
            return None
        return {'backup': chance.choice(names.backups)}

    def ask(self, world, engine, step):
        backup = _backup(world, step)
        return (backup and engine.request(
            step.actor, 'DELETE', f'backups/{backup}')) or None

    def learn(self, world, step, answer, before, after):
        backup = world.backups[step.arguments['backup']]
        if answer.accepted and backup.id not in after.backups:
            # The row of a failed import knows nothing of what is stored: it
            # is deleted so that the record can be imported again.
            backup.deleted = backup.deleted or not backup.failed
            backup.lost = not backup.deleted


class ForceDelete(Delete):
    """A backup is deleted in whatever state it is."""

    weight = 1
    admin = True

    def ask(self, world, engine, step):
        backup = _backup(world, step)
        return (backup and engine.request(
            step.actor, 'POST', f'backups/{backup}/action',
            {'os-force_delete': {}})) or None


class ResetStatus(Operation):
    """An administrator sets the status of a backup."""

    admin = True

    def draw(self, chance, names):
        if not names.backups:
            return None
        return {'backup': chance.choice(names.backups),
                'status': chance.choice(('available', 'error'))}

    def ask(self, world, engine, step):
        backup = _backup(world, step)
        return (backup and engine.request(
            step.actor, 'POST', f'backups/{backup}/action',
            {'os-reset_status': {'status': step.arguments['status']}})) or None

    def learn(self, world, step, answer, before, after):
        if answer.accepted:
            world.backups[step.arguments['backup']].touched = True


class Damage(Operation):
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
        return _DONE

    def do(self, engine: engines.Engine, objects: list[str]) -> None:
        engine.damage(objects)


class Remove(Damage):
    """The storage loses the first object of a backup."""

    def do(self, engine, objects):
        engine.damage(objects[:1], gone=True)


class Repair(Operation):
    """The storage is as it was."""

    request = False

    def draw(self, chance, names):
        return {}

    def ask(self, world, engine, step):
        if not world.damaged:
            return None
        engine.repair()
        world.damaged.clear()
        return _DONE


class Inner(Operation):
    """What is done with other steps, which are in its arguments.

    :ivar answers: to each of them, when it was asked
    """

    request = False
    answers: Sequence[engines.Answer] = ()

    @staticmethod
    def steps(step: history.Step) -> list[history.Step]:
        """The steps inside."""
        return [history.Step.of_data(one) for one in step.arguments['steps']]

    def target(self, world, step):
        return ''


class AtOnce(Inner):
    """Two requests are sent at the same time."""

    weight = 6
    kinds = ('import', 'import', 'delete', 'create backup', 'restore')

    def draw(self, chance, names):
        first = _drawn(chance, names, chance.choice(self.kinds))
        if first is None:
            return None
        # A backup and a record are made once, by their names.
        second = first if chance.random() < 0.5 and (
            first.operation in ('import', 'delete', 'restore')) else _drawn(
                chance, names, chance.choice(self.kinds))
        if second is None:
            return None
        return {'steps': [first.to_data(), second.to_data()],
                'order': chance.randrange(100)}

    def ask(self, world, engine, step):
        inner = self.steps(step)
        kept = _Keeper()
        for one in inner:
            ALL[one.operation].ask(world, cast(engines.Engine, kept), one)
        if len(kept.requests) < len(inner):
            return None
        self.answers = engine.together(kept.requests,
                                       step.arguments['order'])
        return _DONE


class Killed(Inner):
    """cinder-backup dies while it does what it was asked for."""

    weight = 3
    kinds = ('import', 'delete', 'create backup', 'restore')

    def draw(self, chance, names):
        made = _drawn(chance, names, chance.choice(self.kinds))
        return made and {'steps': [made.to_data()],
                         'after': chance.randrange(12)}

    def ask(self, world, engine, step):
        inner, = self.steps(step)
        answer = ALL[inner.operation].ask(world, engine, inner)
        if answer is not None:
            self.answers = [answer]
            engine.settle(killed_after=step.arguments['after'])
        return answer


class _Keeper:
    """Keeps the requests of an operation in place of sending them."""

    def __init__(self) -> None:
        self.requests: list[engines.Request] = []

    def request(self, *arguments: Any) -> engines.Answer:
        self.requests.append(engines.Request(*arguments))
        return engines.Answer(0)


def _drawn(chance: random.Random, names: Names, kind: str
           ) -> history.Step | None:
    """Draw one step of a kind, for the main project."""
    operation = ALL[kind]
    arguments = operation.draw(chance, names)
    if arguments is None or 'field' in arguments or 'service' in arguments:
        return None
    return history.Step(kind, history.ACTORS[1], arguments)


ALL: Mapping[str, Operation] = {
    'create volume': CreateVolume(), 'write': Write(),
    'snapshot': Snapshot(), 'extend': Extend(),
    'delete volume': DeleteVolume(),
    'create backup': CreateBackup(), 'rename': Rename(),
    'export': Export(), 'lose rows': Lose(), 'import': Import(),
    'restore': Restore(), 'delete': Delete(),
    'force delete': ForceDelete(), 'reset status': ResetStatus(),
    'damage': Damage(), 'remove': Remove(), 'repair': Repair(),
    'at once': AtOnce(), 'killed': Killed(),
}


def draw(chance: random.Random, length: int) -> list[history.Step]:
    """Draw a history.

    :param chance: decides everything
    :param length: the number of steps
    """
    names = Names()
    steps: list[history.Step] = []
    kinds = [kind for kind in ALL
             if kind in _ALWAYS or chance.random() < 0.5]
    weights = [ALL[kind].weight for kind in kinds]
    # Most requests are of one project.
    mixed = 0.0 if chance.random() < 0.5 else 0.3
    while len(steps) < length:
        kind = 'create volume'
        if steps:
            kind, = chance.choices(kinds, weights)
        operation = ALL[kind]
        arguments = operation.draw(chance, names)
        if arguments is not None:
            steps.append(history.Step(
                kind, chance.choice([
                    one for one in history.ACTORS[
                        2 if chance.random() < mixed else 0:][:2]
                    if history.is_admin(one) or not operation.admin
                ]) if operation.request else '', arguments))
    if chance.random() < _ENDS_IN_LOSS:
        steps += _loss_of_all(chance, names)
    return steps


def _loss_of_all(chance: random.Random, names: Names
                 ) -> Iterator[history.Step]:
    """Export all backups and lose them, once or twice.

    They are imported in any order. Before that, a record may be changed, or
    the storage damaged; the audit tries again when that is undone.
    """
    if not names.backups:
        return
    admin = history.ACTORS[1]
    records = [f'r{number}' for number in range(
        len(names.records) + 1, len(names.records) + len(names.backups) + 1)]
    for record, backup in zip(records, names.backups, strict=True):
        yield history.Step('export', admin, {
            'record': record, 'backup': backup})
    for _ in range(chance.choice((1, 2))):
        yield history.Step('lose rows', '', {'backups': list(names.backups)})
        if chance.random() < 0.25:
            field, value = chance.choice(EDITS)
            yield history.Step('import', admin, {
                'record': chance.choice(records),
                'field': field, 'value': value})
        if chance.random() < 0.25:
            yield history.Step(chance.choice(('damage', 'remove')), '', {
                'backup': chance.choice(names.backups)})
        chance.shuffle(records)
        for record in records:
            yield history.Step('import', admin, {'record': record})
