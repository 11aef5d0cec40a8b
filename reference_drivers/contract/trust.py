# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""What a record must prove. For drivers with the reference drivers' hooks.

Damage is done to the real store, and undone: the same record must import
then, and restore bit for bit.
"""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import json
from typing import Any
import uuid
import zlib

from cinder import exception

from reference_drivers import options
from reference_drivers.contract import base
from reference_drivers.contract import recovery
from reference_drivers.contract import silence

#: What is done to the objects of the newest backup of a chain (or with
#: "parent" of its full one), the lowest level that must find it, and what
#: the reason must name.
DAMAGES: dict[str, tuple[str, str]] = {
    'metadata missing': ('presence', '_metadata'),
    'hashes missing': ('presence', '_sha256file'),
    'chunk missing': ('presence', '-00002'),
    'everything missing': ('presence', ''),
    'extra object': ('presence', '-00099'),
    'metadata of another': ('presence', '_metadata'),
    'hashes of another': ('presence', '_sha256file'),
    'chunk of another': ('content', '-00002'),
    'chunk cut off': ('presence', '-00002'),
    'chunk longer': ('presence', '-00002'),
    'chunk empty': ('presence', '-00002'),
    'byte changed': ('content', '-00002'),
    'first byte changed': ('content', '-00001'),
    'last byte changed': ('content', '-00003'),
    'chunks swapped': ('content', '-0000'),
    'metadata edited': ('presence', '_metadata'),
    'hashes edited': ('presence', ''),
    'parent: metadata missing': ('presence', '_metadata'),
    'parent: chunk missing': ('presence', '-00002'),
    'parent: everything missing': ('presence', ''),
    'parent: chunk cut off': ('presence', '-00002'),
    'parent: byte changed': ('content', '-00002'),
    'parent: metadata of another': ('presence', '_metadata'),
}


class TrustContract(silence.SilenceContract, recovery.RecoveryContract):
    """Everything above, for a driver whose records can be trusted."""

    #: Whether a listing of the store has the MD5 of each object.
    lists_checksums = False

    @contextlib.contextmanager
    def damaged(self: Any, name: str, backup: Any, other: Any
                ) -> Iterator[None]:
        """Damage a backup's objects and put them back."""
        container, prefix = self.objects.locate(backup)
        before = {one: self.objects.read(container, one)
                  for one in self.objects.list(container, prefix)}
        try:
            self._damage(name.removeprefix('parent: '), container, prefix,
                         before, other)
            yield
        finally:
            for one in self.objects.list(container, prefix):
                if one not in before:
                    self.objects.delete(container, one)
            for one, data in before.items():
                self.objects.write(container, one, data)

    def _damage(self: Any, name: str, container: str, prefix: str,
                before: dict[str, bytes], other: Any) -> None:
        what, _, how = name.partition(' ')
        target = prefix + {'metadata': '_metadata', 'hashes': '_sha256file',
                           'first': '-00001', 'last': '-00003'
                           }.get(what, '-00002')
        data = before[target]
        theirs = other.service_metadata + target[len(prefix):]
        if name == 'everything missing':
            for one in before:
                self.objects.delete(container, one)
        elif how == 'missing':
            self.objects.delete(container, target)
        elif name == 'extra object':
            self.objects.write(container, prefix + '-00099', data)
        elif how == 'of another':
            self.objects.write(container, target, self.objects.read(
                other.container, theirs))
        elif name == 'chunks swapped':
            self.objects.write(container, target, before[prefix + '-00001'])
            self.objects.write(container, prefix + '-00001', data)
        elif name == 'metadata edited':
            value = json.loads(data)
            value['objects'][0][prefix + '-00001']['md5'] = '0' * 32
            self.objects.write(container, target, json.dumps(value).encode())
        elif name == 'hashes edited':
            value = json.loads(data)
            value['sha256s'][0] = '0' * 64
            self.objects.write(container, target, json.dumps(value).encode())
        else:
            changes: dict[str, Callable[[bytes], bytes]] = {
                'cut off': lambda data: data[:-1],
                'longer': lambda data: data + b'\0',
                'empty': lambda data: b'',
                'byte changed': lambda data: (
                    bytes([data[0] ^ 1]) + data[1:] if what == 'first' else
                    data[:-1] + bytes([data[-1] ^ 1])),
                'changed': lambda data: (data[:len(data) // 2] + bytes(
                    [data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1:]),
            }
            self.objects.write(container, target, changes[how](data))

    def _backups(self: Any) -> tuple[list[Any], list[bytes], Any]:
        """A chain of three, and a chain of another volume like it."""
        contents = [base.text(4 * self.chunk)]
        contents.append(self.changed(contents[0], 1, 6, 11))
        contents.append(self.changed(contents[1], 2, 9, 15, seed=40))
        # Like it, so that its plain chunks have the same lengths.
        other = self.chain(*(bytes(255 - byte for byte in one)
                             for one in contents))
        return self.chain(*contents), contents, other

    def _each_damage(self: Any, algorithm: str) -> None:
        self.cinder.configure(backup_compression_algorithm=algorithm)
        backups, contents, other = self._backups()
        top = backups[2]
        record = self.cinder.export(top)
        for name, (lowest, part) in DAMAGES.items():
            parent = name.startswith('parent')
            if parent and 'incremental' in self.denied:
                continue
            victim, its_other = (backups[0], other[0]) if parent else (
                top, other[2])
            with self.damaged(name, victim, its_other):
                if name.endswith('missing'):
                    # No record may claim what no restore can keep.
                    self.rejected(f'{name}: the export', self.cinder.export,
                                  top)
                self.cinder.lose_row(top.id)
                for level in ('record', 'presence', 'content'):
                    self.level(level)
                    if level == 'record':
                        imported = self.cinder.import_record(record)
                        self.assertEqual('available', imported.status, name)
                        self._restore_refused(name, imported, part)
                        self.cinder.lose_row(top.id)
                    elif (level, lowest) == ('presence', 'content'):
                        # May be found so early, and need not be.
                        with contextlib.suppress(exception.InvalidBackup):
                            self.cinder.import_record(record)
                        self.cinder.lose_row(top.id)
                    else:
                        self.refused(record, top, part, name)
            self.assertEqual('available',
                             self.cinder.import_record(record).status)
        self.assert_restores(top, contents[2])

    def _restore_refused(self: Any, name: str, backup: Any, part: str
                         ) -> None:
        """Damaged after its import, or imported without a look."""
        # By an edited MD5 the volume is right all the same: the SHA-256 of
        # its blocks say so.
        for volume in (None, self.cinder.create_volume(b'old')):
            try:
                restored = self.cinder.restore(backup.id, volume)
            except exception.InvalidBackup as err:
                # A store that lists MD5s tells which one was edited.
                self.assertIn('-00001' if name == 'metadata edited' else
                              part, str(err), name)
                continue
            if name != 'metadata edited':
                self.fail(f'{name}: restored {len(restored)} bytes')

    def test_every_damage(self: Any) -> None:
        """Found at its level and named; undone, it imports again."""
        self._each_damage('none')

    def test_every_damage_of_compressed_chunks(self: Any) -> None:
        """The metadata does not have their stored lengths."""
        self._each_damage('zlib')

    def test_no_false_alarm_at_any_level(self: Any) -> None:
        """Undamaged backups import, whatever they look like."""
        backups = []
        for algorithm in self.compressions:
            self.cinder.configure(backup_compression_algorithm=algorithm)
            backups += self.chain(*self.generations())
            backups += self.chain(base.text(3), base.text(3), b'abc')
            backups += self.chain(bytes(self.chunk + 512))
            backups += self.chain(base.text(self.block),
                                  snapshot_id=str(uuid.uuid4()))
        records = [self.cinder.export(one) for one in backups]
        for level in ('record', 'presence', 'content'):
            self.level(level)
            for one in backups:
                self.cinder.lose_row(one.id)
            # Children first: their parents have no rows then.
            for record in reversed(records):
                imported = self.cinder.import_record(record)
                self.assertIsNone(imported.fail_reason)
                self.assertEqual('available', imported.status)

    def test_wrong_bytes_are_restored_only_when_asked_for(self: Any) -> None:
        """verify_on_restore is what compares."""
        self.cinder.configure(backup_compression_algorithm='none')
        content = base.text(2 * self.chunk)
        backup, = self.chain(content)
        other, = self.chain(content)
        with self.damaged('byte changed', backup, other):
            self.not_restored('byte changed', backup.id)
            self.cinder.configure(
                **{f'{options.GROUP}__verify_on_restore': False})
            if self.lists_checksums:
                # Known before anything is read.
                self.not_restored('byte changed', backup.id)
            else:
                self.assertEqual(len(content),
                                 len(self.cinder.restore(backup.id)))

    # Records that are wrong

    def _hostile(self: Any, backup: Any, other: Any
                 ) -> list[tuple[str, dict[str, Any]]]:
        prefix = backup.service_metadata
        return [
            ('container', {'container': other.container + '/..'}),
            ('container', {'container': '../..'}),
            ('container', {'container': '/etc'}),
            ('container', {'container': ''}),
            ('container', {'container': 'a\0b'}),
            ('container', {'container': None}),
            ('service_metadata', {'service_metadata': ''}),
            ('service_metadata', {'service_metadata': None}),
            ('service_metadata', {'service_metadata': 'volume_'}),
            ('service_metadata', {'service_metadata': prefix[:-1]}),
            ('service_metadata', {'service_metadata': '../' + prefix}),
            ('service_metadata', {'service_metadata': '\0'}),
            ('service_metadata', {
                'container': other.container,
                'service_metadata': other.service_metadata}),
            ('parent', {'parent_id': backup.id}),
            ('parent_id', {'parent_id': other.id}),
            ('size', {'size': 2}),
            ('size', {'size': 100}),
            ('object_count', {'object_count': backup.object_count + 1}),
            ('volume_id', {'volume_id': other.volume_id}),
        ]

    def test_records_that_contradict_the_storage(self: Any) -> None:
        """Whether the field of the row or driver_info was edited."""
        (full, *_), contents, (other, *_) = self._backups()
        record = self.cinder.export(full)
        names = {'service_metadata': 'prefix'}
        for level in ('record', 'presence', 'content'):
            self.level(level)
            for field, values in self._hostile(full, other):
                info = {names.get(key, key): value
                        for key, value in values.items()}
                self.cinder.lose_row(full.id)
                self.refused(self.edited(record, **values), full, field,
                             f'a record with {values}')
                # Only the level that looks can tell whether a wrong record
                # that agrees with itself is wrong.
                self.refused(self.edited(record, driver_info=info), full,
                             name=f'a driver_info with {info}')
                outside = {'container', 'service_metadata'} & values.keys()
                if (level != 'record' or outside or
                        values.get('parent_id') == full.id):
                    self.refused(
                        self.edited(record, driver_info=info, **values),
                        full, name=f'a record and driver_info with {values}')
        self.cinder.import_record(record)
        self.assert_restores(full, contents[0])

    def test_driver_info_that_is_damaged(self: Any) -> None:
        """A newer version, a lost field, a field of another type."""
        backup, = self.chain(base.text(self.chunk))
        record = self.cinder.export(backup)
        info = self.driver_info(backup)
        self.cinder.lose_row(backup.id)
        self.refused(self.edited(record, driver_info={'version': 99}),
                     backup, 'version', 'a driver_info of version 99')
        for field, value in info.items():
            wrong: Any
            for wrong in ({}, 1.5, ['x'], 'x', -1, True, None):
                # What is for people only, or may be left out.
                if field in ('location', 'driver') and wrong == 'x':
                    continue
                if wrong is None and value in (None, []):
                    continue
                if field in ('lengths', 'snapshot_id') and wrong is None:
                    continue
                self.refused(
                    self.edited(record, driver_info={field: wrong}),
                    backup, field if field != 'prefix' else '',
                    f'a driver_info with {field} {wrong!r}')
        for field in ('digest', 'chain_digest'):
            wrong = f'sha256:{0:064x}'
            self.refused(self.edited(record, driver_info={field: wrong}),
                         backup, name=f'a driver_info with another {field}')
        self.cinder.import_record(record)

    def test_record_without_driver_info(self: Any) -> None:
        """By one option: refused, or found by its id and verified."""
        full, child = self.chain(base.text(2 * self.chunk),
                                 self.changed(base.text(2 * self.chunk), 3))
        other, = self.chain(base.text(2 * self.chunk))
        record = self.edited(self.cinder.export(child), driver_info=None)
        self.cinder.lose_row(child.id)
        self.refused(record, child, 'without_driver_info',
                     'a record without driver_info')
        self.cinder.configure(
            **{f'{options.GROUP}__without_driver_info': 'accept'})
        self.assertEqual('available',
                         self.cinder.import_record(record).status)
        self.cinder.lose_row(child.id)
        for field, values in self._hostile(child, other):
            self.refused(self.edited(record, **values), child, field,
                         f'a record without driver_info and with {values}')
        # Also where nothing on the storage is asked.
        self.level('record')
        for field, values in self._hostile(child, other):
            if field in ('container', 'service_metadata', 'parent'):
                self.refused(
                    self.edited(record, **values), child, field,
                    f'a record without driver_info and with {values}')
        if 'incremental' in self.denied:
            return
        self.level('content')
        with self.damaged('parent: byte changed', full, other):
            self.refused(record, child, full.service_metadata + '-00002',
                         'parent: byte changed')
        self.cinder.import_record(record)

    def test_rows_that_name_what_is_not_theirs(self: Any) -> None:
        """Forced into the database, neither restore nor delete obey."""
        (full, *_), contents, (other, *_) = self._backups()
        everything = self.snapshot(full, other)
        record = self.cinder.export(full)
        for _, values in self._hostile(full, other):
            self._force(full.id, values)
            old = self.cinder.create_volume(b'untouched' * 1000)
            self.not_restored(f'a row with {values}', full.id, old)
            self.assertEqual(b'untouched' * 1000,
                             self.cinder.read_volume(old.id))
            if {'container', 'service_metadata'} & values.keys():
                self.cinder.delete(full.id)
                self.assertEqual(everything, self.snapshot(full, other))
            self.cinder.lose_row(full.id)
            self.cinder.import_record(record)
        self.assert_restores(full, contents[0])

    def _force(self: Any, backup_id: str, values: dict[str, Any]) -> None:
        """Give a row what no import would give it."""
        row = self.cinder.backup(backup_id)
        row.update(values)
        row.save()

    def test_parents_that_lead_astray(self: Any) -> None:
        """A loop of rows, another volume's chain, a parent that is gone."""
        self.needs('incremental')
        backups, _, other = self._backups()
        top = backups[2]
        for parent_id, name in ((top.id, 'parent_id'),
                                (other[1].id, 'parent_id'),
                                (str(uuid.uuid4()), 'parent_id'),
                                (None, 'parent_id')):
            row = self.cinder.backup(top.id)
            row.parent_id = parent_id
            row.save()
            err = self.not_restored(f'parent_id {parent_id}', top.id)
            self.assertIn(name, str(err))
        row.parent_id = backups[1].id
        row.save()
        self.cinder.lose_row(backups[1].id)
        err = self.not_restored('a parent without a row', top.id)
        self.assertIn(backups[1].id, str(err))

    def test_a_wrong_parent_in_the_row_and_in_the_metadata(self: Any
                                                           ) -> None:
        """Somebody who can write to the store closes a loop there too."""
        self.needs('incremental')
        backups, _, _ = self._backups()
        full, top = backups[0], backups[2]
        name = full.service_metadata + '_metadata'
        value = json.loads(self.objects.read(full.container, name))
        value['parent_id'] = top.id
        self.objects.write(full.container, name, json.dumps(value).encode())
        row = self.cinder.backup(full.id)
        row.parent_id = top.id
        row.save()
        err = self.not_restored('a loop of parents', top.id)
        self.assertIn(f'leads back to backup {top.id}', str(err))

    # Bounds

    def test_driver_info_stays_small(self: Any) -> None:
        """Also at the end of a chain of 60."""
        self.needs('incremental')
        content = base.text(self.block)
        backups = self.chain(*[content] * 60)
        record = self.cinder.export(backups[-1])
        info = self.driver_info(backups[-1])
        self.assertLess(len(json.dumps(info)), 4096)
        self.assertLess(10, len(info['parents']))
        for one in backups:
            self.cinder.lose_row(one.id)
        self.level('content')
        self.assertEqual('available',
                         self.cinder.import_record(record).status)

    def test_driver_info_of_100000_chunks(self: Any) -> None:
        """Made by writing metadata and not data: it stays below 4 KiB."""
        backup, = self.chain(zlib.compress(base.noise(100)))
        container, prefix = backup.container, backup.service_metadata
        name = prefix + '_metadata'
        value = json.loads(self.objects.read(container, name))
        (one, fields), = value['objects'][0].items()
        chunk = self.objects.read(container, one)
        count = self.many
        value['objects'] = [
            {f'{prefix}-{number + 1:05d}':
             {**fields, 'offset': number * self.block,
              'length': self.block, 'compression': 'zlib'}}
            for number in range(count)]
        for number in range(count):
            self.objects.write(container, f'{prefix}-{number + 1:05d}', chunk)
        self.objects.write(container, name, json.dumps(value).encode())
        name = prefix + '_sha256file'
        value = json.loads(self.objects.read(container, name))
        value['sha256s'] = value['sha256s'] * count
        self.objects.write(container, name, json.dumps(value).encode())
        backup.object_count = count
        backup.size = max(1, count * self.block // 1024 ** 3)
        backup.save()
        self._forget_volume_size(backup)
        self.assertLess(len(json.dumps(self.driver_info(backup))), 4096)

    #: 100,000 where the store makes files fast enough.
    many = 5000

    def _forget_volume_size(self: Any, backup: Any) -> None:
        name = backup.service_metadata + '_metadata'
        value = json.loads(self.objects.read(backup.container, name))
        value['volume_meta'] = None
        self.objects.write(backup.container, name,
                           json.dumps(value).encode())
