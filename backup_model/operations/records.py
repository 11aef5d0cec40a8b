# SPDX-License-Identifier: Apache-2.0

"""Records, and the loss of what they bring back."""

import base64
import dataclasses
import json
from typing import Any

from backup_model import history
from backup_model import world as worlds
from backup_model.operations import base

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


class Export(base.Operation):
    """The record of a backup is kept outside of the cloud."""

    weight = 6
    admin = True

    def draw(self, chance, names):
        if not names.backups:
            return None
        names.records.append(f'r{len(names.records) + 1}')
        return {'record': names.records[-1],
                'backup': chance.choice(names.backups)}

    def ask(self, world, engine, step):
        backup = base.backup_id(world, step)
        return (backup and engine.request(
            step.actor, 'GET', f'backups/{backup}/export_record')) or None

    def learn(self, world, step, answer, before, after):
        if answer.accepted:
            record = answer.body['backup-record']
            name = step.arguments['backup']
            world.records[step.arguments['record']] = worlds.Record(
                name, record['backup_service'], record['backup_url'],
                not world.damage(name), world.backups[name].told)


class Lose(base.Operation):
    """Rows are lost."""

    weight = 5
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
        return base.DONE


class LoseDatabase(base.Operation):
    """The whole database is lost, and the services begin with a new one."""

    request = False

    def draw(self, chance, names):
        return {} if names.backups else None

    def ask(self, world, engine, step):
        if not world.backups:
            return None
        engine.lose_database()
        for backup in world.backups.values():
            backup.lost = True
        for volume in world.volumes.values():
            volume.gone = True
        world.limits.clear()
        return base.DONE


class Ship(base.Operation):
    """Records and what their backups have stored are taken to another site.

    There they are imported into an empty database, and all are restored.
    """

    weight = 2
    admin = True

    def draw(self, chance, names):
        if not names.records:
            return None
        shipped = chance.sample(names.records,
                                chance.randint(1, len(names.records)))
        return {'records': shipped}

    def ask(self, world, engine, step):
        return base.DONE if self._shipped(world, step) else None

    @staticmethod
    def _shipped(world: worlds.World, step: history.Step) -> list[str]:
        return [one for one in step.arguments['records']
                if one in world.records]

    def there(self, world: worlds.World, step: history.Step
              ) -> tuple[worlds.World, list[str]]:
        """The world as the users of the other site know it, and objects."""
        made = worlds.World()
        made.damaged = dict(world.damaged)
        objects: set[str] = set()
        for record in self._shipped(world, step):
            made.records[record] = world.records[record]
            for name in world.chain(world.records[record].backup):
                made.backups[name] = dataclasses.replace(
                    world.backups[name], lost=True, failed=False,
                    touched=False)
                objects |= world.backups[name].keys
        return made, sorted(objects)


class Import(base.Operation):
    """A record is brought back, as it was or changed."""

    weight = 9
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
