# SPDX-License-Identifier: Apache-2.0

"""Backups come back after the loss of their rows. For every driver."""

import contextlib
import datetime
import filecmp
import itertools
import json
import shutil
import time
from typing import Any
import uuid

from cinder import exception
from oslo_serialization import base64
from oslo_serialization import jsonutils

from reference_drivers.contract import base


class RecoveryContract(base.Contract):
    """The contract for any driver, also for one without hooks."""

    #: Seconds after which a file that is still open counts as left open.
    patience = 30.0

    def test_every_generation_of_a_chain(self: Any) -> None:
        """Full and incremental backups restore to what was backed up."""
        self.needs('incremental')
        contents = self.generations()
        backups = self.chain(*contents)
        for backup, content in zip(backups, contents, strict=True):
            self.assert_restores(backup, content)

    def test_every_compression(self: Any) -> None:
        """Also where compression helps only some of the chunks."""
        for algorithm in self.compressions or (None,):
            if algorithm is not None:
                self.cinder.configure(
                    backup_compression_algorithm=algorithm)
            content = (base.text(self.chunk) + base.noise(self.chunk) +
                       base.text(self.block // 2, 3))
            full, child = self.chain(content, self.changed(content, 0, 6))
            records = [self.cinder.export(one) for one in (full, child)]
            for one in (child, full):
                self.cinder.lose_row(one.id)
            for record in records:
                self.assertEqual('available',
                                 self.cinder.import_record(record).status)
            self.assert_restores(full, content)
            self.assert_restores(child, self.changed(content, 0, 6))

    def test_every_size(self: Any) -> None:
        """No size of a volume is a special case."""
        for size in (1, 512, self.block - 1, self.block, self.chunk - 1,
                     self.chunk, self.chunk + 1, 2 * self.chunk + 512):
            content = base.text(size)
            contents = [content]
            if 'incremental' not in self.denied:
                # What is less than a block may change as well.
                contents.append(content[:-1] + b'\xff')
            backups = self.chain(*contents)
            self.lose_and_import(backups)
            for one, content in zip(backups, contents, strict=True):
                self.assert_restores(one, content)

    def test_onto_a_larger_volume(self: Any) -> None:
        """It stays as large, and nothing foreign gets past the end."""
        self.needs('restore_to_existing_volume')
        content = base.text(2 * self.chunk)
        backup, = self.chain(content)
        old = base.noise(len(content) + self.chunk + 512, 99)
        volume = self.cinder.create_volume(old)
        restored = self.cinder.restore(backup.id, volume)
        self.assertEqual(len(old), len(restored))
        self.assertEqual(True, content == restored[:len(content)],
                         'the volume has another content')
        # Cinder's drivers leave it, but for the one for Ceph.
        rest = restored[len(content):]
        self.assertIn(rest, (old[len(content):], bytes(len(rest))))

    def test_backup_of_a_snapshot(self: Any) -> None:
        """The id of the snapshot is in the record and comes back.

        So does the name, of which no character may be changed into its like.
        """
        content = base.text(2 * self.chunk)
        values = {'snapshot_id': str(uuid.uuid4()),
                  'display_name': 'Ku\u0308che \xfc \u212b \U0001f4be'}
        backup, = self.chain(content, **values)
        record = self.cinder.export(backup)
        self.cinder.lose_row(backup.id)
        imported = self.cinder.import_record(record)
        self.assertEqual(values, {name: getattr(imported, name)
                                  for name in values})
        self.assert_restores(backup, content)

    def test_a_long_chain(self: Any) -> None:
        """Each of its links has data that no other has."""
        self.needs('incremental')
        contents = [base.text(4 * self.chunk)]
        for number in range(1, 13):
            contents.append(self.changed(contents[-1], number, seed=number))
        backups = self.chain(*contents)
        self.lose_and_import(backups)
        for number in (12, 6):
            self.assert_restores(backups[number], contents[number])

    def test_any_rows_lost_and_imported_in_any_order(self: Any) -> None:
        """No order and no subset is a special case."""
        contents = self.generations()[:3]
        backups = self.chain(
            *contents, display_description='Ku\u0308che',
            data_timestamp=datetime.datetime(2026, 1, 2, 3, 4, 5,
                                             tzinfo=datetime.UTC),
            metadata={'purpose': 'test', 'e\u0301': ''})
        records = [self.cinder.export(one) for one in backups]
        for count in (1, 2, 3):
            for lost in itertools.permutations(range(3), count):
                for number in lost:
                    self.cinder.lose_row(backups[number].id,
                                         soft=number == lost[0])
                for number in lost:
                    imported = self.cinder.import_record(records[number])
                    self.assertEqual('available', imported.status)
                    before = backups[number]
                    for field in ('volume_id', 'parent_id', 'container',
                                  'service_metadata', 'size',
                                  'object_count', 'display_name',
                                  'display_description', 'snapshot_id',
                                  'data_timestamp', 'metadata'):
                        self.assertEqual(self.field(before, field),
                                         self.field(imported, field), field)
                restored = self.cinder.restore(backups[2].id)
                self.assertEqual(
                    contents[2],
                    restored.ljust(len(contents[2]), b'\0'))

    def test_properties_of_the_volume(self: Any) -> None:
        """Name, description, properties and what it was booted from.

        Those of each backup's moment, on a new volume without a name. Of a
        volume that was renamed meanwhile, Cinder's own drivers restore the
        name of the full backup.
        """
        self.needs('volume_properties')
        self.restores_properties('renamed never', 'renamed never')
        self.restores_properties('of no image', bootable=False)

    def restores_properties(self: Any, *names: str, bootable: bool = True
                            ) -> None:
        """Compare the volume of each backup of a chain.

        :param names: of the volume at each backup
        :param bootable: whether it was made of an image
        """
        volume = self.cinder.create_volume(base.text(self.chunk))
        backups: list[Any] = []
        moments: list[dict[str, Any]] = []
        for number, name in enumerate(names):
            moments.append({
                'display_name': f'Ku\u0308che {name}',
                'display_description': f'description of {name}',
                'metadata': {'purpose': f'test {number}', 'e\u0301': ''},
                'glance_metadata': {'image_name': f'image {number}',
                                    'min_ram': '64'} if bootable else {},
                'bootable': bootable})
            self.cinder.describe_volume(volume.id, moments[-1])
            backups.append(self.cinder.create_backup(
                volume, self.parent_of_next(backups)))
        self.lose_and_import(backups)
        for backup, moment in zip(backups, moments, strict=True):
            target = self.cinder.create_volume()
            self.cinder.restore(backup.id, target)
            self.assertEqual(moment, self.cinder.description_of(target.id))

    def test_nothing_stays_open(self: Any) -> None:
        """A service that runs for months has no file or thread too many.

        Open or temporary ones, whether its requests succeed or fail.
        """
        content = base.text(self.chunk)
        volume = self.cinder.create_volume(content)
        # Connections and threads that are kept are there after some rounds.
        before = self._rounds(3, volume, content)
        after = self._rounds(12, volume, content)
        deadline = time.monotonic() + self.patience
        while more := {kind: found for kind, found in after.items()
                       if len(found) - len(before[kind]) >= 10}:
            # An abandoned thread may be about to close its own.
            if time.monotonic() > deadline:
                self.fail(f'12 recoveries leave more than before: {more}')
            time.sleep(0.1)
            after = self.cinder.held()

    def _rounds(self: Any, number: int, volume: Any, content: bytes
                ) -> dict[str, list[str]]:
        for _ in range(number):
            backup = self.cinder.create_backup(volume)
            record = self.cinder.export(backup)
            self.cinder.lose_row(backup.id)
            self.refuse_or_import(record)
            self.cinder.import_record(record)
            self.assert_restores(backup, content)
            self.cinder.delete(backup.id)
        return self.cinder.held()

    def refuse_or_import(self: Any, record: dict[str, str]) -> None:
        """Import a record that a driver which verifies refuses."""
        fields = jsonutils.loads(base64.decode_as_text(record['backup_url']))
        wrong = base64.encode_as_text(jsonutils.dump_as_bytes(
            {**fields, 'size': 0}))
        with contextlib.suppress(exception.InvalidBackup):
            self.cinder.import_record({**record, 'backup_url': wrong})
        self.cinder.lose_row(fields['id'])

    def lose_and_import(self: Any, backups: list[Any]) -> None:
        """Export backups, lose their rows, and import the records."""
        records = [self.cinder.export(one) for one in backups]
        for one in backups:
            self.cinder.lose_row(one.id)
        for record in records:
            self.cinder.import_record(record)

    def field(self: Any, backup: Any, name: str) -> Any:
        """The part of a row's field that an import must restore."""
        return getattr(backup, name)

    def remains(self: Any, backup: Any) -> list[str]:
        """The objects that are left of a deleted backup."""
        return self.objects.list(*self.objects.locate(backup))

    def test_export_and_import_change_nothing_on_the_store(self: Any
                                                           ) -> None:
        """However often they are repeated, nor does an export in the row."""
        backups = self.chain(*self.generations())
        before = self.snapshot(*backups)
        rows = [self.cinder.row(one.id) for one in backups]
        records = [self.cinder.export(one) for one in backups]
        for _ in range(10):
            self.assertEqual(records, [self.cinder.export(one)
                                       for one in backups])
        self.assertEqual(rows, [self.cinder.row(one.id) for one in backups])
        for one in reversed(backups):
            self.cinder.lose_row(one.id)
        for record in records:
            self.cinder.import_record(record)
        self.assertEqual(before, self.snapshot(*backups))
        for one in backups:
            self.cinder.restore(one.id)
        self.assertEqual(before, self.snapshot(*backups), 'after restores')

    def test_record_is_bounded_json(self: Any) -> None:
        """It is stored and sent by tools that know nothing of drivers."""
        for backup in self.chain(*self.generations()):
            info = self.driver_info(backup)
            # JSON has no NaN, and not every tool accepts one.
            self.assertLess(len(json.dumps(info, allow_nan=False)), 4096)

    def test_record_has_no_secret(self: Any) -> None:
        """It goes to other sites, and its readers need not be trusted."""
        backup, = self.chain(base.text(self.chunk))
        text = json.dumps(self.driver_info(backup), ensure_ascii=False)
        self.assertEqual([], [name for name, value in self.cinder.secrets()
                              if value in text])

    def driver_info(self: Any, backup: Any) -> Any:
        return backup.decode_record(
            self.cinder.export(backup)['backup_url'])['driver_info']

    def test_delete_removes_a_backup_and_no_other(self: Any) -> None:
        """After an import as well."""
        content = base.text(2 * self.chunk)
        first, second = self.chain(content)[0], self.chain(content)[0]
        record = self.cinder.export(first)
        self.cinder.lose_row(first.id)
        self.cinder.import_record(record)
        before = self.snapshot(second)
        self.cinder.delete(first.id)
        self.assertEqual([], self.remains(first))
        kept = self.snapshot(second)
        self.assertEqual({key: before[key] for key in kept}, kept)
        self.assert_restores(second, content)
        # Nor one of the same volume.
        volume = self.cinder.create_volume(content)
        first, second = (self.cinder.create_backup(volume) for _ in range(2))
        self.cinder.delete(first.id)
        self.assert_restores(second, content)
        if self.parent_of_next([second]) is None:
            return
        # Nor its parent, on which the next one is made then.
        for number in (0, 1):
            changed = self.changed(content, number, 5)
            self.cinder.write_volume(volume.id, changed)
            child = self.cinder.create_backup(volume, second)
            self.assert_restores(child, changed)
            self.cinder.delete(child.id)
            self.assertEqual([], self.remains(child))
            self.assert_restores(second, content)


class ChunksContract(RecoveryContract):
    """The same for a driver that stores chunks, as Cinder's do."""

    def test_options_that_were_changed(self: Any) -> None:
        """Those for new backups are not those of an old one.

        An operator may change them between two backups of a chain.
        """
        volume = self.cinder.create_volume()
        content, contents = base.text(3 * self.chunk), []
        backups: list[Any] = []
        kinds = self.compressions or (None,)
        for number, algorithm in enumerate((*kinds, kinds[0])):
            if algorithm is not None:
                self.cinder.configure(
                    backup_compression_algorithm=algorithm)
            self.cinder.configure(**{
                self.chunk_option: (3 - number % 3) * self.block})
            content = self.changed(content, 0, number + 1, seed=number)
            self.cinder.write_volume(volume.id, content)
            contents.append(content)
            backups.append(self.cinder.create_backup(
                volume, self.parent_of_next(backups)))
        self.cinder.configure(**{self.chunk_option: self.block})
        self.lose_and_import(backups)
        for one, content in zip(backups, contents, strict=True):
            self.assert_restores(one, content)

    def test_more_than_four_gibibytes(self: Any) -> None:
        """No offset is cut to 31 or 32 bits, by backup or by restore.

        The volume is empty but for the blocks where such an offset begins
        again. It is compressed; a driver without compression would store it
        all.
        """
        if not self.compressions:
            self.lacks('chunks', 'it compresses none')
        # Large chunks, so that there are few of them.
        chunk, block, size = 32 << 20, 1 << 20, (4 << 30) + (64 << 20)
        if shutil.disk_usage(self.cinder.directory).free < size:
            self.skipTest(f'{self.cinder.directory} has no '
                          f'{size >> 20} MiB left; set TMPDIR')
        self.cinder.configure(**{
            self.chunk_option: chunk, self.block_option: block,
            'backup_compression_algorithm': self.compressions[-1]})
        volume = self.cinder.create_volume(size=5)
        backups: list[Any] = []
        for seed in (1, 2):
            # The last block is no zeros: a new volume ends with its content.
            self.cinder.write_blocks(volume.id, size, {
                offset: base.text(block, seed + offset) for offset in (
                    (0, 2 << 30, 4 << 30, size - block) if seed == 1 else
                    (4 << 30,))})
            backups.append(self.cinder.create_backup(
                volume, self.parent_of_next(backups)))
        self.lose_and_import(backups)
        restored = self.cinder.restore_volume(backups[-1].id, size=5)
        self.assertEqual(True, filecmp.cmp(
            self.cinder.path(volume.id), self.cinder.path(restored.id),
            shallow=False), 'the new volume has another content')

    #: More names than a page of most listings has.
    pages = 1100

    def test_more_chunks_than_a_page(self: Any) -> None:
        """A listing in pages is read to its end, by restore and deletion."""
        size = self.block // 32
        self.cinder.configure(**{self.chunk_option: size,
                                 self.block_option: size})
        content = base.text(self.pages * size)
        backup, = self.chain(content)
        place = self.objects.locate(backup)
        self.assertLess(self.pages, len(self.objects.list(*place)),
                        'the store adapter does not list all objects')
        record = self.cinder.export(backup)
        self.cinder.lose_row(backup.id)
        self.cinder.import_record(record)
        problems = []
        try:
            if self.cinder.restore(backup.id) != content:
                problems.append('the restored volume has another content')
        except Exception as error:
            problems.append(f'the restore ended in an error: {error}')
        self.cinder.delete(backup.id)
        if left := self.objects.list(*place):
            problems.append(
                f'{len(left)} objects are left after the deletion')
        if problems:
            self.fail('; '.join(problems))
