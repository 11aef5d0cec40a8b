# SPDX-License-Identifier: Apache-2.0

"""The bytes taken out of damaged backups: all that are good, and no others."""

import hashlib
import json
import os
import pathlib
from unittest import mock

import ddt

from backup_recovery import main
from backup_recovery import records
from backup_recovery.prove import salvaging
from backup_stores import filesystem
from reference_drivers.contract import base
from reference_drivers.verification import errors
from reference_drivers.verification import salvage
from reference_drivers.verification import store as stores
from tests import programs
from tests import recovery_keys
from tests import salvage_cases

_BLOCK, _CHUNK = base.Contract.block, base.Contract.chunk


class SalvageCase(salvage_cases.Salvages):
    driver = 'reference_drivers.default.DefaultBackupDriver'
    options = {'backup_enable_progress_timer': False}

    def make_objects(self):
        return filesystem.FilesystemStore.from_cinder(self.cinder.config.conf)

    def remove(self, backup, number):
        path = pathlib.Path(
            self.cinder.directory, 'backup', backup.container,
            f'{backup.service_metadata}-{number:05d}')
        path.unlink()


@ddt.ddt
class EachDamageTest(SalvageCase):

    @ddt.data('none', 'zlib', 'bz2', 'zstd')
    def test_each(self, compression):
        self.cinder.configure(backup_compression_algorithm=compression)
        self.each_damage()


class ExtentsTest(SalvageCase):
    """Exactly what is lost."""

    options = {**SalvageCase.options,
               'backup_compression_algorithm': 'none'}

    def path_of(self, backup, suffix):
        return pathlib.Path(self.cinder.directory, 'backup', backup.container,
                            backup.service_metadata + suffix)

    def flip(self, path, *places):
        data = bytearray(path.read_bytes())
        for at in places:
            data[at] ^= 1
        path.write_bytes(data)

    def test_blocks_of_a_chunk(self):
        """Of a chunk in which a byte was changed only its block is lost."""
        content = base.noise(2 * _CHUNK + _BLOCK + 5)
        backup, = self.chain(content)
        self.flip(self.path_of(backup, '-00002'), _BLOCK, 2 * _BLOCK - 1,
                  2 * _BLOCK)
        self.flip(self.path_of(backup, '-00003'), _BLOCK + 4)
        found = self.salvage(backup, content)
        self.assertEqual([(_CHUNK + _BLOCK, 2 * _BLOCK),
                          (2 * _CHUNK + _BLOCK, 5)], found.lost)
        self.assertEqual(['content', 'content'],
                         [one.kind for one in found.problems])
        self.assertIn('2 blocks', str(found.problems[0]))

    def test_start_of_a_stream(self):
        """All that was decompressed before the first wrong byte is kept."""
        self.cinder.configure(backup_compression_algorithm='zlib')
        content = base.text(_CHUNK)
        backup, = self.chain(content)
        path = self.path_of(backup, '-00001')
        self.flip(path, path.stat().st_size * 3 // 4)
        found = self.salvage(backup, content)
        self.assertEqual([(2 * _BLOCK, 2 * _BLOCK)], found.lost)

    def test_cut_off(self):
        content = base.noise(_CHUNK)
        backup, = self.chain(content)
        path = self.path_of(backup, '-00001')
        os.truncate(path, _BLOCK + 3)
        found = self.salvage(backup, content)
        self.assertEqual([(_BLOCK, 3 * _BLOCK)], found.lost)
        self.assertEqual(['length'], [one.kind for one in found.problems])

    def test_longer(self):
        """Bytes that were added to an object take nothing away."""
        content = base.noise(_CHUNK)
        backup, = self.chain(content)
        with open(self.path_of(backup, '-00001'), 'ab') as stream:
            stream.write(b'x' * 7)
        found = self.salvage(backup, content)
        self.assertEqual(([], {'length'}), (
            found.lost, {one.kind for one in found.problems}))

    def test_zeros(self):
        """The hashes tell where they were."""
        content = base.noise(_CHUNK) + bytes(_CHUNK + 7)
        backup, = self.chain(content)
        self.remove(backup, 2)
        self.remove(backup, 3)
        self.assertEqual([], self.salvage(backup, content).lost)

    def test_no_older_data(self):
        """A lost block is not filled by that of a parent; the rest is."""
        first = base.noise(2 * _CHUNK)
        second = self.changed(first, 1, 2, 6)
        full, top = self.chain(first, second)
        self.remove(top, 1)
        found = self.salvage(top, second)
        self.assertEqual([(_BLOCK, 2 * _BLOCK)], found.lost)
        self.assertEqual([top.id, full.id], found.chain)

    def test_parent(self):
        """Only what no newer backup has is lost with it."""
        first = base.noise(2 * _CHUNK)
        second = self.changed(first, 1, 4)
        full, top = self.chain(first, second)
        self.remove(full, 1)
        found = self.salvage(top, second)
        self.assertEqual([(0, _BLOCK), (2 * _BLOCK, 2 * _BLOCK)], found.lost)
        for path in self.path_of(full, '').parent.iterdir():
            path.unlink()
        found = self.salvage(top, second)
        self.assertEqual([top.id], found.chain)
        self.assertEqual([(0, _BLOCK), (2 * _BLOCK, 2 * _BLOCK),
                          (5 * _BLOCK, 3 * _BLOCK)], found.lost)

    def test_parent_that_has_it(self):
        """The first content again: the full backup has the blocks, too."""
        first = base.noise(_CHUNK)
        backups = self.chain(first, self.changed(first, 1), first)
        self.remove(backups[-1], 1)
        found = self.salvage(backups[-1], first)
        self.assertEqual([], found.lost)
        self.assertTrue(found.complete)

    def test_without_hashes(self):
        """Chunks are lost as a whole, and no older data is in their place."""
        first = base.noise(2 * _CHUNK + 5)
        second = self.changed(first, 1, 2, 6)
        full, top = self.chain(first, second)
        info = self.cinder.driver().export_record(top)
        self.path_of(top, '_sha256file').unlink()
        found = self.salvage(top, second)
        self.assertEqual(([], 'md5', None, True), (
            found.lost, found.by, found.anchored, found.complete))
        # Who can remove the hashes can change what is left.
        found = self.salvage(top, second, info)
        self.assertEqual(([], False, False), (
            found.lost, found.anchored, found.complete))
        self.flip(self.path_of(top, '-00001'), 2 * _BLOCK - 1)
        self.flip(self.path_of(full, '-00002'), 3)
        found = self.salvage(top, second)
        self.assertEqual([(_BLOCK, 2 * _BLOCK), (_CHUNK, 2 * _BLOCK),
                          (_CHUNK + 3 * _BLOCK, _BLOCK)], found.lost)
        self.remove(full, 3)
        self.remove(top, 2)
        self.assertEqual([(_BLOCK, 2 * _BLOCK), (_CHUNK, _CHUNK + 5)],
                         self.salvage(top, second).lost)

    def test_storage_that_fails_once(self):
        """Bytes that are read at the second attempt are not lost."""
        content = base.noise(_CHUNK)
        backup, = self.chain(content)
        checked, calls = salvage.content.checked, []

        def failing(*arguments):
            calls.append(arguments)
            if len(calls) == 1:
                raise errors.Unreadable('Input/output error')
            return checked(*arguments)

        with mock.patch.object(salvage.content, 'checked', failing):
            found = self.salvage(backup, content)
        self.assertEqual(([], [], 2), (found.lost, found.problems,
                                       len(calls)))

    def test_blocks_across_chunks(self):
        """No driver of Cinder makes them; what is in one chunk is found."""
        content = base.noise(2 * _CHUNK)
        backup, = self.chain(content)
        path = self.path_of(backup, '_sha256file')
        size = 3 * _BLOCK // 2
        path.write_text(json.dumps({
            **json.loads(path.read_text()), 'chunk_size': size, 'sha256s': [
                hashlib.sha256(content[start:start + size]).hexdigest()
                for start in range(0, len(content), size)]}))
        self.assertEqual([(2 * size, size)],
                         self.salvage(backup, content).lost)

    def test_hashes_that_cannot_be_read(self):
        content = base.noise(2 * _CHUNK)
        backup, = self.chain(content)
        self.path_of(backup, '_sha256file').write_text('{')
        found = self.salvage(backup, content)
        self.assertEqual(('md5', [], ['content']), (
            found.by, found.lost, [one.kind for one in found.problems]))

    def test_chunks_beyond_the_volume(self):
        """A metadata that was made up fills no disk."""
        content = base.noise(2 * _CHUNK)
        backup, = self.chain(content)
        self.path_of(backup, '_sha256file').unlink()
        path = self.path_of(backup, '_metadata')
        metadata = json.loads(path.read_text())
        for offset in 1 << 60, (2 << 30) - 1:
            metadata['objects'][1][f'{backup.service_metadata}-00002'][
                'offset'] = offset
            path.write_text(json.dumps(metadata))
            with salvage.Target(str(self.path)) as target:
                found = self.cinder.driver().salvage(backup, target)
            self.assertEqual([(_CHUNK, (2 << 30) - _CHUNK)], found.lost)
            self.assertEqual(2 << 30, self.path.stat().st_size)
            self.path.unlink()


class TargetTest(SalvageCase):

    def test_overwritten(self):
        """No old byte is left in what is zeros, or lost."""
        content = bytes(_CHUNK) + base.noise(_CHUNK) + bytes(7)
        backup, = self.chain(content)
        self.remove(backup, 2)
        for hashes in True, False:
            self.path.write_bytes(base.noise(len(content), 5))
            found = self.salvage(backup, content, overwrite=True)
            self.assertEqual([(_CHUNK, _CHUNK)], found.lost)
            pathlib.Path(self.cinder.directory, 'backup', backup.container,
                         f'{backup.service_metadata}_sha256file').unlink(
                             missing_ok=not hashes)

    def test_not_overwritten(self):
        self.path.write_bytes(b'of another')
        error = self.assertRaises(errors.Unreadable, salvage.Target,
                                  str(self.path))
        self.assertIn('File exists', str(error))
        self.assertEqual(b'of another', self.path.read_bytes())

    def test_small_device(self):
        backup, = self.chain(base.noise(_BLOCK))
        self.path.write_bytes(b'x' * 7)
        with mock.patch.object(salvage, 'stat', mock.Mock(
                **{'S_ISREG.return_value': False})):
            error = self.assertRaises(errors.Unreadable, self.salvage, backup,
                                      b'', None, True)
        self.assertIn('has 7 bytes, and the backup 32768', str(error))
        self.assertEqual(b'x' * 7, self.path.read_bytes())

    def test_storage_that_hangs(self):
        """No file looks like the end of it."""
        backup, = self.chain(base.noise(_BLOCK))
        with mock.patch.object(
                salvage.content, 'checked',
                side_effect=errors.TimedOut('did not answer')):
            self.assertRaises(errors.TimedOut, self.salvage, backup, b'')
        self.assertFalse(self.path.exists())


class ProgramTest(SalvageCase):

    def call(self, backup, *arguments, status=0):
        # The configuration is that of the test.
        with (mock.patch.object(salvaging.programs, 'configure'),
              mock.patch.object(salvaging, 'coordination')):
            found, self.printed, self.said = programs.call(
                main.main, 'salvage', backup, self.path, *arguments)
        self.assertEqual(status, found, self.said)
        return self.printed

    def test_good_one(self):
        content = base.text(_CHUNK)
        backup, = self.chain(content)
        self.assertEqual(
            f'{_CHUNK} of {_CHUNK} bytes of backup {backup.id} are in '
            f'{self.path}\n', self.call(backup.id))
        self.assertEqual(content, self.path.read_bytes())
        self.assertEqual('', self.said)

    def test_damaged_one(self):
        """It is never a success, for a person or for a program."""
        content = base.noise(2 * _CHUNK)
        backup, = self.chain(content)
        self.remove(backup, 1)
        self.call(backup.id, status=1)
        self.assertIn(f'; 1 extent LOST, with zeros there:\n  {_CHUNK} bytes '
                      f'at 0\n', self.printed)
        self.assertIn(f'warning: backup {backup.id}: object '
                      f'{backup.service_metadata}-00001 is missing\n',
                      self.said)
        self.path.unlink()
        found = json.loads(self.call(backup.id, '-f', 'json', status=1))
        self.assertEqual(
            (False, [{'offset': 0, 'length': _CHUNK}], _CHUNK, 2 * _CHUNK,
             None, 'sha256'),
            (found['complete'], found['lost'], found['bytes_lost'],
             found['bytes_total'], found['anchored'], found['checksums']))

    def test_without_a_row(self):
        """A record is enough, and what it anchors cannot be changed."""
        content = base.noise(2 * _CHUNK)
        # Where only the record tells.
        volume = self.cinder.create_volume(content)
        first = self.cinder.create_backup(volume, container='monthly')
        self.cinder.write_volume(volume.id, self.changed(content, 1))
        top = self.cinder.create_backup(volume, first)
        exported = self.cinder.export(top)
        file = pathlib.Path(self.cinder.directory, 'records')
        records.write(file, [records.Record(top.id, top.project_id,
                                            **exported)])
        for backup in top, first:
            self.cinder.lose_row(backup.id)
        self.call(top.id, status=3)
        self.assertIn('could not be found', self.said)
        with mock.patch.object(stores.PosixStore, 'locate',
                               return_value=None):
            found = json.loads(self.call(top.id, '--records', file, '-f',
                                         'json'))
        self.assertEqual((True, True), (found['complete'],
                                        found['anchored']))
        metadata = pathlib.Path(
            self.cinder.directory, 'backup', top.container,
            f'{top.service_metadata}_metadata')
        metadata.write_text(metadata.read_text() + ' ')
        self.path.unlink()
        self.call(top.id, '--records', file, status=1)
        self.assertIn('not those that were exported', self.said)
        self.path.unlink()
        self.call(first.id, '--records', file, status=3)
        self.assertIn('has no record of backup', self.said)
        self.assertFalse(self.path.exists())

    def test_signed_record(self):
        """A record of a stranger is not believed."""
        backup, = self.chain(base.noise(_BLOCK))
        _, public = self.useFixture(recovery_keys.Pairs()).make('one')
        file = pathlib.Path(self.cinder.directory, 'records')
        records.write(file, [records.Record(
            backup.id, backup.project_id, **self.cinder.export(backup))])
        by = '--signed-by', public
        self.call(backup.id, '--records', file, *by, status=3)
        self.assertIn('is not signed', self.said)
        self.call(backup.id, *by, status=3)
        self.assertIn('name it with --records', self.said)
        self.assertFalse(self.path.exists())

    def test_nothing_is_left(self):
        backup, = self.chain(base.noise(_BLOCK))
        for path in pathlib.Path(self.cinder.directory, 'backup',
                                 backup.container).iterdir():
            path.unlink()
        self.call(backup.id, status=3)
        self.assertEqual(1, self.said.count('\n'))
        self.assertFalse(self.path.exists())
