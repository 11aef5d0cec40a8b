# SPDX-License-Identifier: Apache-2.0

"""The contract of a chunked driver whose records can be trusted."""

from collections.abc import Iterator
import functools
import json
from typing import Any
import uuid
import zlib

from cinder import objects

from backup_stores import base as stores_base
from backup_stores import chunked
from reference_drivers import options
from reference_drivers.contract import base
from reference_drivers.contract import records
from reference_drivers.contract import recovery
from reference_drivers.contract import silence

#: By the SHA-256 of its blocks a volume is right after these, whatever the
#: changed bit was. A store that lists MD5s tells which one was edited.
_AFTER_IMPORT: dict[stores_base.Damage, tuple[str, ...]] = {
    chunked.METADATA_CHANGED: (), chunked.MD5_EDITED: ('-00001',)}
_MISSING = (stores_base.DESCRIPTION_MISSING, stores_base.DATA_MISSING)


class TrustContract(silence.SilenceContract, records.RecordContract,
                    recovery.ChunksContract):
    """For a chunked driver with the reference drivers' hooks."""

    early = True
    #: Whether a listing of the store has the MD5 of each object.
    lists_checksums = False

    def contents(self: Any) -> list[bytes]:
        found = [base.text(4 * self.chunk)]
        found.append(self.changed(found[0], 1, 6, 11))
        return [*found, self.changed(found[1], 2, 9, 15, seed=40)]

    def events(self: Any, backups: list[Any], other: list[Any]
               ) -> Iterator[records.Event]:
        for place, number, damages in (
                ('', -1, chunked.DAMAGES), ('parent: ', 0, chunked.DAMAGES),
                ('middle: ', 1, (chunked.CHUNK_MISSING,
                                 chunked.CHUNK_CHANGED))):
            if place and 'incremental' in self.denied:
                return
            for damage in damages:
                edited = damage in _AFTER_IMPORT
                kept = damage is chunked.CHECKSUMS_MISSING
                # Of a parent's metadata no reason must name the object.
                if place and (edited or not damage.hits_children):
                    continue
                yield records.Event(
                    f'{place}{damage.name}', damage.level,
                    functools.partial(self.damaged, damage, backups[number],
                                      other[number]),
                    after_import=_AFTER_IMPORT.get(damage),
                    restore_may_succeed=edited,
                    export_fails=damage.family in _MISSING and not kept,
                    restore_succeeds=kept)

    def test_every_damage_of_compressed_chunks(self: Any) -> None:
        """The metadata does not have their stored lengths."""
        self.cinder.configure(backup_compression_algorithm='zlib')
        self.each_event()

    def test_every_damage(self: Any) -> None:
        """Found at its level and named; undone, it imports again."""
        self.cinder.configure(backup_compression_algorithm='none')
        self.each_event()

    def test_wrong_bytes_are_restored_only_when_asked_for(self: Any) -> None:
        """Unless the option verify_on_restore is false."""
        self.cinder.configure(backup_compression_algorithm='none')
        content = base.text(2 * self.chunk)
        backup, = self.chain(content)
        other, = self.chain(content)
        with self.damaged(chunked.CHUNK_CHANGED, backup, other):
            self.not_restored('chunk changed', backup.id)
            self.cinder.configure(
                **{f'{options.GROUP}__verify_on_restore': False})
            if self.lists_checksums:
                # Known before anything is read.
                self.not_restored('chunk changed', backup.id)
            else:
                self.assertEqual(len(content),
                                 len(self.cinder.restore(backup.id)))

    def test_no_backup_on_a_damaged_parent(self: Any) -> None:
        """It could never be restored, and its user would not know."""
        self.needs('incremental')
        content = base.text(2 * self.chunk)
        parent, = self.chain(content)
        other, = self.chain(content[::-1])
        volume = objects.Volume.get_by_id(self.cinder.context,
                                          parent.volume_id)
        for damage in chunked.DAMAGES:
            if damage.family not in (stores_base.DESCRIPTION_MISSING,
                                     stores_base.DATA_MISSING):
                continue
            with self.damaged(damage, parent, other) as parts:
                err = self.rejected(
                    f'{damage.name}: the incremental backup',
                    self.cinder.create_backup, volume, parent)
                self.assert_names(parts, str(err), damage.name)
        child = self.cinder.create_backup(volume, parent)
        self.assert_restores(child, content)

    def test_containers_that_users_name(self: Any) -> None:
        """A backup is refused, or restored after the loss of its row."""
        content = base.text(self.chunk)
        for container in ('monthly', 'monthly\n', 'a\tb', 'a\x7f', './dot',
                          'a/../b', 'a//b', ' ', '..', '/a', 'a' * 255):
            try:
                backup, = self.chain(content, container=container)
            except Exception:
                # Each driver and store has errors of its own.
                self.assertEqual({}, self._in_container(container))
                continue
            record = self.cinder.export(backup)
            self.cinder.lose_row(backup.id)
            self.imports(record, container)
            self.assert_restores(backup, content)
            self.cinder.delete(backup.id)
            self.assertEqual({}, self._in_container(container))

    def _in_container(self: Any, container: str) -> Any:
        try:
            return self.objects.contents(container)
        except Exception:
            # No store has a container of this name.
            return {}

    # Records that are wrong

    def hostile(self: Any, backup: Any, other: Any
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
            # One more is what Cinder counted until Stein.
            ('object_count', {'object_count': backup.object_count + 2}),
            ('volume_id', {'volume_id': other.volume_id}),
        ]

    def contradictions(self: Any, level: str, backup: Any,
                       record: dict[str, str], values: dict[str, Any]
                       ) -> Iterator[tuple[dict[str, str], str]]:
        names = {'service_metadata': 'prefix'}
        info = {names.get(key, key): value for key, value in values.items()}
        # Only a level that reads the storage can tell whether a wrong record
        # that agrees with itself is wrong.
        yield (self.edited(record, driver_info=info),
               f'a driver_info with {info}')
        outside = {'container', 'service_metadata'} & values.keys()
        if (level != 'record' or outside or
                values.get('parent_id') == backup.id):
            yield (self.edited(record, driver_info=info, **values),
                   f'a record and driver_info with {values}')

    def wrong_values(self: Any, field: str, value: Any
                     ) -> Iterator[tuple[str, Any]]:
        part = field if field != 'prefix' else ''
        wrong: Any
        for wrong in ({}, 1.5, ['x'], 'x', -1, True):
            # For people only.
            if field not in ('location', 'driver') or wrong != 'x':
                yield part, wrong
        if value not in (None, []) and field not in ('lengths',
                                                     'snapshot_id'):
            yield part, None
        if field in ('digest', 'chain_digest'):
            yield '', f'sha256:{0:064x}'

    def without_driver_info(self: Any, record: dict[str, str],
                            backups: list[Any], other: list[Any]) -> None:
        child = backups[-1]
        for field, values in self.hostile(child, other[0]):
            self.refused(self.edited(record, **values), child, field,
                         f'a record without driver_info and with {values}')
        # Also where nothing on the storage is requested.
        self.level('record')
        for field, values in self.hostile(child, other[0]):
            if field in ('container', 'service_metadata', 'parent'):
                self.refused(
                    self.edited(record, **values), child, field,
                    f'a record without driver_info and with {values}')
        if 'incremental' in self.denied:
            return
        self.level('content')
        with self.damaged(chunked.CHUNK_CHANGED, backups[0], other[0]
                          ) as parts:
            self.refused(record, child,
                         [backups[0].service_metadata + part
                          for part in parts], 'parent: chunk changed')
        self.imports(record)

    def test_rows_that_name_what_is_not_theirs(self: Any) -> None:
        """Forced into the database, neither restore nor delete obey."""
        (full, *_), contents, (other, *_) = self.backups()
        everything = self.snapshot(full, other)
        record = self.cinder.export(full)
        for _, values in self.hostile(full, other):
            self._force(full, values)
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

    def test_parents_that_lead_astray(self: Any) -> None:
        """A loop of rows, another volume's chain, a parent that is gone."""
        self.needs('incremental')
        backups, _, other = self.backups()
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
        """A loop of parents that the store has, too."""
        self.needs('incremental')
        backups, _, _ = self.backups()
        full, top = backups[0], backups[2]
        name = full.service_metadata + '_metadata'
        original = self.objects.read(full.container, name)
        # Of a loop each would be refused as a parent.
        self.addCleanup(self.objects.write, full.container, name, original)
        self.objects.write(full.container, name, json.dumps({
            **json.loads(original), 'parent_id': top.id}).encode())
        row = self.cinder.backup(full.id)
        row.parent_id = top.id
        row.save()
        err = self.not_restored('a loop of parents', top.id)
        self.assertIn(f'leads back to backup {top.id}', str(err))

    # Bounds

    #: Backups of a long chain; each is made when all others are verified.
    links = 30

    def test_driver_info_stays_small(self: Any) -> None:
        """Also at the end of a long chain."""
        self.needs('incremental')
        content = base.text(self.block)
        backups = self.chain(*[content] * self.links)
        record = self.cinder.export(backups[-1])
        info = self.driver_info(backups[-1])
        self.assertLess(len(json.dumps(info)), 4096)
        self.assertLess(10, len(info['parents']))
        for one in backups:
            self.cinder.lose_row(one.id)
        # However far away it is.
        with self.damaged(chunked.CHUNK_MISSING, *backups[:2]) as parts:
            self.level('presence')
            self.refused(record, backups[-1], parts, 'parent damaged')
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
        self.cinder.delete(backup.id)
        self.assertEqual([], self.remains(backup))

    #: 100,000 where the store makes files fast enough.
    many = 5000

    def _forget_volume_size(self: Any, backup: Any) -> None:
        name = backup.service_metadata + '_metadata'
        value = json.loads(self.objects.read(backup.container, name))
        value['volume_meta'] = None
        self.objects.write(backup.container, name,
                           json.dumps(value).encode())
