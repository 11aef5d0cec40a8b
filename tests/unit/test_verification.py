# SPDX-License-Identifier: Apache-2.0

"""Verification of backups that Cinder's own driver made in a directory."""

import bz2
import contextlib
import gc
import itertools
import json
import os
import random
import shutil
import time
import tracemalloc
from unittest import mock
import uuid
import zlib

from eventlet import patcher
import fixtures
import testtools
import zstd

from reference_drivers.contract import environment
from reference_drivers.verification import content
from reference_drivers.verification import errors
from reference_drivers.verification import layout
from reference_drivers.verification import presence
from reference_drivers.verification import store as stores
from reference_drivers.verification import verifier
from tests import open_files

BLOCK = 32768
CHUNK = 4 * BLOCK
POSIX = 'cinder.backup.drivers.posix.PosixBackupDriver'

# Of the native threads that a driver's requests run in, also where eventlet
# has patched the module.
Event = patcher.original('threading').Event


def noise(length, seed=1):
    return random.Random(seed).randbytes(length)


def text(length, seed=1):
    """Content that compresses, but not to nothing."""
    return (noise(length // 4 + 1, seed).hex() * 2)[:length].encode()


def changed(data, *blocks, seed=2):
    """The same content with other blocks."""
    data = bytearray(data)
    for block in blocks:
        part = data[block * BLOCK:(block + 1) * BLOCK]
        data[block * BLOCK:(block + 1) * BLOCK] = text(len(part),
                                                       seed + block)
    return bytes(data)


class CountingStore(stores.PosixStore):
    """Counts what is asked of the storage."""

    def __init__(self, driver):
        super().__init__(driver)
        self.listings = 0
        self.reads = []

    def entries(self, container, prefix):
        self.listings += 1
        return super().entries(container, prefix)

    def pieces(self, container, name, extra_metadata=None):
        self.reads.append(name)
        return super().pieces(container, name, extra_metadata)


class Case(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.cinder = environment.Environment(POSIX, {
            'backup_file_size': CHUNK, 'backup_sha_block_size_bytes': BLOCK,
            'backup_enable_progress_timer': False,
            'backup_compression_algorithm': 'zlib'})
        self.useFixture(self.cinder)
        self.root = os.path.join(self.cinder.directory, 'backup')
        self.store = CountingStore(self.cinder.driver())

    def chain(self, *contents, **values):
        """Back up the same volume again and again, newest last."""
        volume = self.cinder.create_volume()
        backups = []
        for data in contents:
            self.cinder.write_volume(volume.id, data)
            backups.append(self.cinder.create_backup(
                volume, backups[-1] if backups else None, **values))
        return backups

    def target(self, backup, **known):
        return verifier.Target(
            backup.id, backup.container, backup.service_metadata,
            **{'volume_id': backup.volume_id, 'size': backup.size,
               'parent_id': backup.parent_id,
               'object_count': backup.object_count,
               'of_snapshot': backup.snapshot_id is not None, **known})

    def verify(self, backup, level='presence', known=None, **kwargs):
        return verifier.Verifier(self.store, **kwargs).verify(
            self.target(backup, **(known or {})), level)

    def path(self, backup, suffix):
        return os.path.join(self.root, backup.container,
                            backup.service_metadata + suffix)

    def edit(self, backup, suffix, function):
        """Change what one JSON object says."""
        with open(self.path(backup, suffix)) as stream:
            value = json.load(stream)
        function(value)
        with open(self.path(backup, suffix), 'w') as stream:
            json.dump(value, stream, sort_keys=True, indent=2)

    def assert_good(self, backup, **kwargs):
        for level in ('presence', 'content'):
            report = self.verify(backup, level, **kwargs)
            self.assertEqual([], [str(one) for one in report.problems],
                             level)
        return report

    def assert_found(self, kind, name, backup, level='presence', **kwargs):
        """The lowest level that must find it does, and names it."""
        if level == 'content':
            self.assertTrue(self.verify(backup, 'presence', **kwargs).ok)
        for one in ('presence', 'content'):
            if one == 'content' or level == 'presence':
                report = self.verify(backup, one, **kwargs)
                self.assertEqual([kind],
                                 [type(one) for one in report.problems],
                                 [str(one) for one in report.problems])
                self.assertIn(name, str(report.problems[0]))
                self.assertLess(len(str(report.problems[0])), 256)


class NoFalseAlarmTest(Case):
    """A backup by Cinder's driver of any volume is good at every level."""

    def test_every_compression(self):
        for algorithm in ('none', 'off', 'no', 'zlib', 'gzip', 'bz2', 'bzip2',
                          'zstd', 'ZLIB'):
            self.cinder.configure(backup_compression_algorithm=algorithm)
            full, child = self.chain(
                text(3 * CHUNK), changed(text(3 * CHUNK), 0, 1, 5, 11))
            with open(self.path(full, '_metadata')) as stream:
                used = json.load(stream)['objects'][0]
            # As configured, and so also by its old names.
            self.assertEqual(
                algorithm.lower() if algorithm not in ('off', 'no')
                else 'none', next(iter(used.values()))['compression'])
            self.assert_good(full)
            report = self.assert_good(child)
            self.assertEqual(report.total, report.read)
            self.assertEqual(3 * CHUNK + 4 * BLOCK, report.read)

    def test_compression_that_did_not_help(self):
        for algorithm in ('zlib', 'bz2', 'zstd'):
            self.cinder.configure(backup_compression_algorithm=algorithm)
            full, = self.chain(noise(CHUNK) + text(CHUNK) + noise(BLOCK))
            with open(self.path(full, '_metadata')) as stream:
                used = [next(iter(one.values()))['compression']
                        for one in json.load(stream)['objects']]
            self.assertEqual(['none', algorithm, 'none'], used)
            self.assert_good(full)

    def test_objects_of_many_pieces(self):
        """An object is larger than what is read of it at once."""
        self.useFixture(fixtures.MonkeyPatch(
            'reference_drivers.verification.store.PIECE', 1000))
        for algorithm in ('none', 'zlib', 'bz2', 'zstd'):
            self.cinder.configure(backup_compression_algorithm=algorithm)
            full, = self.chain(text(CHUNK))
            self.assertLess(2000, os.path.getsize(self.path(full, '-00001')))
            self.assert_good(full)

    def test_every_size(self):
        for size in (1, 511, 512, BLOCK - 1, BLOCK, BLOCK + 1, CHUNK - 1,
                     CHUNK, CHUNK + 1, 2 * CHUNK + 5 * 512):
            full, child = self.chain(text(size),
                                     text(size - 1) + b'#')
            self.assert_good(full)
            self.assert_good(child)

    def test_zeros(self):
        full, child = self.chain(bytes(2 * CHUNK + 512),
                                 changed(bytes(2 * CHUNK + 512), 8))
        self.assert_good(full)
        self.assert_good(child)

    def test_empty_incremental(self):
        backups = self.chain(*[text(CHUNK)] * 3)
        self.assertEqual(0, backups[2].object_count)
        self.assert_good(backups[2])

    def test_every_kind_of_change(self):
        data = text(3 * CHUNK)
        contents = [data, changed(data, 3, 4), changed(data, 3, 4, 11),
                    bytes(3 * CHUNK), data, changed(data, *range(12))]
        for backup in self.chain(*contents):
            self.assert_good(backup)

    def test_backup_of_a_snapshot(self):
        full, = self.chain(text(CHUNK), snapshot_id=str(uuid.uuid4()))
        self.assert_good(full)

    def test_snapshot_of_a_volume_that_grew_during_the_backup(self):
        full, = self.chain(text(CHUNK), snapshot_id=str(uuid.uuid4()))
        full.size = 1
        self.edit(full, '_metadata', lambda value: value.update(
            volume_meta=json.dumps(
                {'version': 2, 'volume-base-metadata': {'size': 2}})))
        self.assert_good(full)

    def test_from_before_incremental_backups(self):
        full, = self.chain(text(2 * CHUNK))
        os.remove(self.path(full, '_sha256file'))
        self.edit(full, '_metadata', lambda value: (
            value.pop('parent_id'), value.pop('volume_meta')))
        self.assert_good(full)
        with open(self.path(full, '-00002'), 'r+b') as stream:
            stream.write(zlib.compress(text(CHUNK, 9)))
        self.assert_found(errors.WrongContent, '-00002', full, 'content')

    def test_hashes_without_line_breaks(self):
        full, = self.chain(text(CHUNK))
        with open(self.path(full, '_sha256file')) as stream:
            value = json.load(stream)
        with open(self.path(full, '_sha256file'), 'w') as stream:
            json.dump(value, stream)
        self.assert_good(full)

    def test_names_and_descriptions_do_not_matter(self):
        full, = self.chain(
            text(CHUNK), display_name='a\n  "sha256s": [\n"00"]',
            display_description='\n "sha256s": [] \u2713')
        self.assert_good(full)

    def test_chunks_of_another_size_in_the_same_chain(self):
        data = text(4 * CHUNK)
        full, = self.chain(data)
        volume = environment.objects.Volume.get_by_id(self.cinder.context,
                                                      full.volume_id)
        self.cinder.configure(backup_file_size=2 * BLOCK)
        self.cinder.write_volume(volume.id, changed(data, 1, 2, 9))
        child = self.cinder.create_backup(volume, full)
        self.assertEqual(3, child.object_count)
        self.assert_good(child)

    def test_store_that_knows_no_lengths(self):
        self.store = stores.Store(self.cinder.driver())
        *_, child = self.chain(text(CHUNK), changed(text(CHUNK), 2))
        # Nor does it find a parent by its id.
        self.assert_found(errors.BrokenChain, child.parent_id, child)
        parent = self.cinder.backup(child.parent_id)
        self.assert_good(child, find_parent=lambda *_: self.target(parent))

    def test_nothing_is_changed(self):
        *_, child = self.chain(text(CHUNK), changed(text(CHUNK), 2))
        before = self._state()
        self.assert_good(child)
        self.assertEqual(before, self._state())

    def _state(self):
        state = []
        for path, _, names in os.walk(self.root):
            for name in ['.', *names]:
                status = os.stat(os.path.join(path, name))
                state.append((path, name, status.st_mtime_ns, status.st_size,
                              status.st_ino, status.st_mode))
        return sorted(state)


class DamageTest(Case):
    """Every damage of a chunked backup, at its level, by its name."""

    def setUp(self):
        super().setUp()
        data = text(4 * CHUNK)
        self.full, self.child = self.chain(data, changed(data, 1, 6, 7))
        self.other, = self.chain(text(4 * CHUNK, 7))

    def test_metadata_missing(self):
        os.remove(self.path(self.full, '_metadata'))
        self.assert_found(errors.Missing, '_metadata is missing', self.full)

    def test_hashes_missing(self):
        """A restore does not need them, and MD5s are left."""
        for backup in self.full, self.child:
            os.remove(self.path(backup, '_sha256file'))
            self.assert_good(self.child)
        with open(self.path(self.full, '-00002'), 'r+b') as stream:
            stream.write(zlib.compress(text(CHUNK, 9)))
        self.assert_found(errors.WrongContent, '-00002', self.child,
                          'content')

    def test_chunk_missing(self):
        os.remove(self.path(self.full, '-00003'))
        self.assert_found(errors.Missing, '-00003 is missing', self.full)

    def test_last_chunk_missing(self):
        os.remove(self.path(self.child, '-00002'))
        self.assert_found(errors.Missing, '-00002 is missing', self.child)

    def test_extra_object(self):
        for suffix in ('-00005', '_metadata.bak', '0'):
            shutil.copy(self.path(self.full, '-00001'),
                        self.path(self.full, suffix))
            self.assert_found(errors.Extra, suffix, self.full)
            os.remove(self.path(self.full, suffix))

    def test_everything_missing(self):
        for suffix in ('-00001', '-00002', '_metadata', '_sha256file'):
            os.remove(self.path(self.child, suffix))
        self.assert_found(errors.Missing, self.child.service_metadata,
                          self.child)

    def test_container_missing(self):
        shutil.rmtree(os.path.join(self.root, self.full.container))
        self.assert_found(errors.Missing,
                          f'container {self.full.container} is missing',
                          self.full)

    def test_store_missing(self):
        os.rename(self.root, self.root + '.away')
        self.assert_found(errors.Unreadable, self.root, self.full)

    def test_metadata_of_another_backup(self):
        shutil.copy(self.path(self.other, '_metadata'),
                    self.path(self.full, '_metadata'))
        self.assert_found(errors.Foreign, '_metadata belongs to backup '
                          f'{self.other.id}', self.full)

    def test_hashes_of_another_backup(self):
        shutil.copy(self.path(self.other, '_sha256file'),
                    self.path(self.full, '_sha256file'))
        self.assert_found(errors.Foreign, '_sha256file belongs to backup '
                          f'{self.other.id}', self.full)

    def test_hashes_of_another_volume(self):
        self.edit(self.full, '_sha256file', lambda value: value.update(
            volume_id=str(uuid.uuid4())))
        self.assert_found(errors.Foreign, '_sha256file', self.full)

    def test_chunk_of_another_backup(self):
        shutil.copy(self.path(self.other, '-00002'),
                    self.path(self.full, '-00002'))
        self.assert_found(errors.WrongContent, '-00002 is damaged: block 4',
                          self.full, 'content')

    def test_chunks_swapped(self):
        shutil.move(self.path(self.full, '-00002'), self.root + '/keep')
        shutil.move(self.path(self.full, '-00003'),
                    self.path(self.full, '-00002'))
        shutil.move(self.root + '/keep', self.path(self.full, '-00003'))
        self.assert_found(errors.WrongContent, '-00002', self.full,
                          'content', readers=1)
        report = verifier.Verifier(self.store).verify(
            self.target(self.full), 'content', all_problems=True)
        self.assertEqual(['-00002', '-00003'],
                         sorted(one.name[-6:] for one in report.problems))

    def test_byte_changed_anywhere(self):
        for algorithm in ('none', 'zlib', 'bz2', 'zstd'):
            self.cinder.configure(backup_compression_algorithm=algorithm)
            backup, = self.chain(text(CHUNK + BLOCK))
            path = self.path(backup, '-00001')
            size = os.path.getsize(path)
            for offset in (0, 1, size // 3, size - 1):
                with open(path, 'r+b') as stream:
                    stream.seek(offset)
                    byte = stream.read(1)
                    stream.seek(offset)
                    stream.write(bytes([byte[0] ^ 0x10]))
                report = self.verify(backup, 'content')
                if (algorithm, offset) != ('bz2', size - 1):
                    # The last byte of a bz2 stream may be padding.
                    self.assertEqual(
                        ['-00001'],
                        [one.name[-6:] for one in report.problems],
                        (algorithm, offset))
                with open(path, 'r+b') as stream:
                    stream.seek(offset)
                    stream.write(byte)
            self.assert_good(backup)

    def test_byte_changed_in_a_block_that_is_not_full(self):
        self.cinder.configure(backup_compression_algorithm='none')
        for size in (BLOCK // 2, BLOCK + 1, CHUNK + 7):
            backup, = self.chain(text(size))
            last = f'-{backup.object_count:05d}'
            with open(self.path(backup, last), 'r+b') as stream:
                stream.seek(-1, os.SEEK_END)
                stream.write(b'?')
            self.assert_found(errors.WrongContent, last, backup, 'content')

    def test_zeros(self):
        """Blocks of zeros are compared and not hashed."""
        self.cinder.configure(backup_compression_algorithm='none')
        data = text(4 * CHUNK + BLOCK + 7)
        for first, last in ((BLOCK, 5 * BLOCK), (6 * BLOCK + 2, 12 * BLOCK),
                            (16 * BLOCK, 17 * BLOCK)):
            data = data[:first] + bytes(last - first) + data[last:]
        backup, = self.chain(data)
        self.assert_good(backup)
        with mock.patch.object(stores, 'PIECE', BLOCK + 1):
            # What is read at once begins and ends within blocks, and once
            # with zeros that go on into the next block.
            self.assert_good(backup)
        for offset, damage, block in (
                # Of the zeros the first and the last byte,
                (BLOCK, b'?', 1), (5 * BLOCK - 1, b'?', 4),
                # at the end of the volume,
                (17 * BLOCK - 1, b'?', 16),
                # and a block of data that is zeros now.
                (6 * BLOCK, bytes(BLOCK), 6)):
            chunk = offset // CHUNK
            path = self.path(backup, f'-{chunk + 1:05d}')
            with open(path, 'r+b') as stream:
                whole = stream.read()
                stream.seek(offset - chunk * CHUNK)
                stream.write(damage)
            self.assert_found(
                errors.WrongContent,
                f'-{chunk + 1:05d} is damaged: block {block} of the volume',
                backup, 'content')
            with open(path, 'wb') as stream:
                stream.write(whole)
        self.assert_good(backup)

    def test_plain_chunk_cut_off_or_longer(self):
        self.cinder.configure(backup_compression_algorithm='none')
        backup, = self.chain(text(2 * CHUNK))
        for size in (0, 1, CHUNK - 1, CHUNK + 1):
            os.truncate(self.path(backup, '-00002'), size)
            self.assert_found(errors.WrongLength,
                              f'-00002 has {size} bytes', backup)

    def test_compressed_chunk_cut_off_or_longer(self):
        for algorithm in ('zlib', 'bz2', 'zstd'):
            self.cinder.configure(backup_compression_algorithm=algorithm)
            backup, = self.chain(text(2 * CHUNK))
            link = self.verify(backup).chain[0]
            recorded = {'lengths': tuple(presence.lengths(link, 16)[0])}
            self.assert_good(backup, known=recorded)
            path = self.path(backup, '-00002')
            with open(path, 'rb') as stream:
                whole = stream.read()
            for data in (whole[:-1], whole[:9], whole + b'\0',
                         whole + whole[:10]):
                with open(path, 'wb') as stream:
                    stream.write(data)
                self.assert_found(errors.WrongLength,
                                  '-00002 has another length', backup,
                                  known=recorded)
                # Without what the export recorded, by reading.
                report = self.verify(backup, 'content')
                self.assertEqual(['-00002'], [one.name[-6:] for one in
                                              report.problems])
            for size in (0, CHUNK if algorithm == 'zstd' else 2 * CHUNK):
                os.truncate(path, size)
                self.assert_found(errors.WrongLength,
                                  f'-00002 has {size} bytes', backup)

    def test_one_of_many_compressed_chunks_cut_off(self):
        link = self.verify(self.full).chain[0]
        recorded = {'lengths': tuple(presence.lengths(link, 2)[0])}
        self.assert_good(self.full, known=recorded)
        path = self.path(self.full, '-00004')
        os.truncate(path, os.path.getsize(path) - 1)
        self.store.reads.clear()
        self.assertIn('-00004',
                      self.verify(self.full, known=recorded).problems[0].name)
        # Only the group with the damage is read. Of the other chunk in it not
        # always: the readers stop when the damage is found.
        read = {name[len(self.full.service_metadata):]
                for name in self.store.reads}
        self.assertEqual({'-00004', '_metadata', '_sha256file'},
                         read - {'-00003'})

    def test_content_that_expands_beyond_its_extent(self):
        for algorithm, compress in (('zlib', zlib.compress),
                                    ('bz2', bz2.compress),
                                    ('zstd', zstd.compress)):
            self.cinder.configure(backup_compression_algorithm=algorithm)
            backup, = self.chain(text(CHUNK))
            with open(self.path(backup, '-00001'), 'wb') as stream:
                stream.write(compress(bytes(64 * 1024 * 1024)))
            tracemalloc.start()
            self.addCleanup(tracemalloc.stop)
            report = self.verify(backup, 'content')
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            self.assertIn('-00001', str(report.problems[0]))
            self.assertLess(peak, 16 * 1024 * 1024)

    def test_parent_missing(self):
        shutil.rmtree(os.path.join(self.root, self.full.container))
        self.assert_found(errors.BrokenChain, self.full.id, self.child)

    def test_parent_damaged(self):
        os.remove(self.path(self.full, '-00002'))
        self.assert_found(errors.Missing, self.full.service_metadata +
                          '-00002 is missing', self.child)

    def test_parent_without_metadata(self):
        os.remove(self.path(self.full, '_metadata'))
        self.assert_found(
            errors.Missing, f'in parent {self.full.id}: object', self.child,
            find_parent=lambda *_: self.target(self.full))

    def test_byte_of_the_parent_changed(self):
        shutil.copy(self.path(self.other, '-00001'),
                    self.path(self.full, '-00001'))
        self.assert_found(errors.WrongContent, self.full.service_metadata +
                          '-00001', self.child, 'content')

    def test_foreign_parent(self):
        self.edit(self.child, '_metadata', lambda value: value.update(
            parent_id=self.other.id))
        self.child.parent_id = self.other.id
        self.assert_found(errors.BrokenChain,
                          f'parent {self.other.id} is a backup of another '
                          'volume', self.child)

    def test_parent_of_another_time(self):
        data = text(4 * CHUNK)
        full, _child, last = self.chain(data, changed(data, 1, 6),
                                       changed(data, 1, 6, 9))
        self.assertTrue(self.verify(last).ok)
        self.edit(last, '_metadata', lambda value: value.update(
            parent_id=full.id))
        last.parent_id = full.id
        self.assert_found(errors.BrokenChain, 'block 1 has another hash',
                          last)

    def test_chunk_far_behind_the_end(self):
        """It takes no time that depends on where the chunk is said to be."""
        def add(value):
            (name, last), = value['objects'][-1].items()
            value['objects'].append({f'{name}1': {
                **last, 'offset': BLOCK << 40, 'length': BLOCK}})

        self.edit(self.child, '_metadata', add)
        report = verifier.Verifier(self.store).verify(
            self.target(self.child), all_problems=True)
        self.assertIn(f'the chunks cover {(1 << 40) + 1} blocks', ' '.join(
            map(str, report.problems)))

    def test_chain_that_leads_back(self):
        for parent in (self.full, self.child):
            self.edit(self.full, '_metadata', lambda value, parent=parent:
                      value.update(parent_id=parent.id))
            report = self.verify(self.child)
            self.assertIn(f'leads back to backup {parent.id}',
                          str(report.problems[0]))

    def test_record_says_otherwise(self):
        for field, value in (('volume_id', str(uuid.uuid4())),
                             ('object_count', 3), ('size', 2),
                             ('parent_id', str(uuid.uuid4()))):
            self.assert_found(errors.WrongRecord, field, self.full,
                              known={field: value})

    def test_size_without_metadata_of_the_volume(self):
        # Not in the metadata of backups made without it.
        self.edit(self.full, '_metadata',
                  lambda value: value.update(volume_meta=None))
        self.assert_good(self.full)
        self.assert_found(errors.WrongRecord, 'size 2 GiB', self.full,
                          known={'size': 2})
        link = self.verify(self.full).chain[0]
        for blocks, size, good in (
                (32768, 1, True), (32769, 1, True), (32768, 2, False),
                (65536, 1, False), (65536, 2, True), (65537, 2, True),
                (65535, 2, True), (32768 * 7, 6, False)):
            link.hashes = layout.Hashes(BLOCK, bytes(32 * blocks))
            found = list(presence.check_size(link, size, False))
            self.assertEqual(good, not found, (blocks, size))

    def test_metadata_edited(self):
        def objects(value):
            return [next(iter(one.values())) for one in value['objects']]

        link = self.verify(self.full).chain[0]
        for change, what in (
                (lambda value: value['objects'].pop(), '-00004 is not in'),
                (lambda value: value['objects'].pop(1), '-00002 is not in'),
                (lambda value: value['objects'].append(value['objects'][0]),
                 'names a chunk twice'),
                (lambda value: objects(value)[1].update(offset=BLOCK),
                 'overlap at'),
                (lambda value: objects(value)[3].update(
                    offset=objects(value)[3]['offset'] + BLOCK),
                 'no chunk for bytes'),
                (lambda value: objects(value)[3].update(length=5 * CHUNK),
                 'the chunks cover 32 blocks'),
                (lambda value: objects(value)[3].update(length=-1),
                 'describes'),
                (lambda value: objects(value)[3].update(md5='00'),
                 'describes'),
                (lambda value: value['objects'][3].update(
                    {f'{self.full.service_metadata}-00004': 7}),
                 'describes'),
                (lambda value: value['objects'].append(7),
                 'an entry that is not one object'),
                (lambda value: value['objects'].append({}),
                 'an entry that is not one object'),
                (lambda value: value['objects'][0].update(
                    value['objects'][1]), 'an entry that is not one object'),
                (lambda value: value.update(objects=value['objects'][0]),
                 'no objects'),
                (lambda value: value.update(objects=None), 'no objects'),
                (lambda value: value.update(version='2.0.0'),
                 'version 2.0.0'),
                (lambda value: value['objects'].append(
                    {'../../etc/passwd-00001': objects(value)[0]}),
                 'not of this backup'),
                (lambda value: value['objects'].append(
                    {f'{self.other.service_metadata}-00001':
                     objects(value)[0]}), 'not of this backup')):
            path = self.path(self.full, '_metadata')
            shutil.copy(path, self.root + '/keep')
            self.edit(self.full, '_metadata', change)
            report = self.verify(self.full)
            self.assertIn(what, str(report.problems[0]))
            report = verifier.Verifier(self.store).verify(
                self.target(self.full, digest=link.digest), all_problems=True)
            if report.chain:
                self.assertIn('at export', str(report.problems[0]))
            os.rename(self.root + '/keep', path)
        self.assert_good(self.full, known={'digest': link.digest})

    def test_hashes_edited(self):
        for change, what in (
                (lambda value: value['sha256s'].pop(), '15 hashes'),
                (lambda value: value['sha256s'].append('0' * 64),
                 '17 hashes'),
                (lambda value: value['sha256s'].append('0' * 63),
                 'not a SHA-256'),
                (lambda value: value['sha256s'].extend(['0' * 62, '0' * 66]),
                 'not a SHA-256'),
                (lambda value: value['sha256s'].append('x' * 64),
                 'not a SHA-256'),
                (lambda value: value.update(chunk_size=0), 'block size'),
                (lambda value: value.update(sha256s=7), 'list of hashes')):
            path = self.path(self.full, '_sha256file')
            shutil.copy(path, self.root + '/keep')
            self.edit(self.full, '_sha256file', change)
            self.assertIn(what, str(self.verify(self.full).problems[0]))
            shutil.move(self.root + '/keep', path)

    def test_objects_that_are_no_json(self):
        for suffix in ('_metadata', '_sha256file'):
            path = self.path(self.full, suffix)
            shutil.copy(path, self.root + '/keep')
            for data in (b'', b'{', b'[]', b'\xff', b'[' * 100000):
                with open(path, 'wb') as stream:
                    stream.write(data)
                self.assert_found(errors.WrongContent, suffix, self.full)
            shutil.move(self.root + '/keep', path)

    def test_parents_are_not_those_of_the_export(self):
        good = self.verify(self.child)
        known = {'chain_digest': good.digest}
        self.assert_good(self.child, known=known)
        self.edit(self.full, '_metadata', lambda value: value.update(
            backup_description='another'))
        self.assert_found(errors.BrokenChain, 'the parents', self.child,
                          known=known)


class OpenFilesTest(Case):
    """An object of which the rest is not wanted does not stay open."""

    def setUp(self):
        super().setUp()
        self.useFixture(fixtures.MonkeyPatch(
            'reference_drivers.verification.store.PIECE', 1000))
        self.backup, = self.chain(text(4 * CHUNK))
        # It would close them, some time or other.
        gc.disable()
        self.addCleanup(gc.enable)

    def assert_all_closed(self):
        self.assertEqual([], open_files.below(self.root, 5))

    def damage(self):
        with open(self.path(self.backup, '-00002'), 'r+b') as stream:
            stream.seek(100)
            stream.write(b'#' * 10)

    def test_damaged_at_its_begin(self):
        self.damage()
        report = self.verify(self.backup, 'content')
        self.assertEqual([errors.WrongContent],
                         [type(one) for one in report.problems])
        self.assert_all_closed()

    def test_plain_chunk(self):
        self.cinder.configure(backup_compression_algorithm='none')
        self.backup, = self.chain(text(4 * CHUNK))
        self.test_damaged_at_its_begin()

    def test_longer_than_its_extent(self):
        with open(self.path(self.backup, '-00002'), 'wb') as stream:
            stream.write(zlib.compress(noise(2 * CHUNK)))
        report = self.verify(self.backup, 'content')
        self.assertFalse(report.ok)
        self.assert_all_closed()

    def test_stopped(self):
        link = self.verify(self.backup).chain[0]
        problems = content.Readers(self.store, should_stop=lambda: 'enough'
                                   ).run([(link, one) for one in link.chunks])
        self.assertRaises(errors.Stopped, next, problems)
        self.assert_all_closed()

    def test_left(self):
        link = self.verify(self.backup).chain[0]
        with contextlib.closing(content.checked(
                self.store, link, link.chunks[1])) as parts:
            next(parts)
            self.assertNotEqual([], open_files.below(self.root, 0))
        # While this is still there.
        self.assert_all_closed()
        self.assertEqual([], list(parts))

    def test_close_that_fails(self):
        """Nor is it hidden what was found."""
        class Store(CountingStore):
            def pieces(self, *args):
                try:
                    yield from super().pieces(*args)
                except GeneratorExit:
                    raise OSError('stale') from None

        self.store = Store(self.cinder.driver())
        self.damage()
        report = self.verify(self.backup, 'content')
        self.assertEqual([errors.WrongContent],
                         [type(one) for one in report.problems])

    def test_store_without_anything_to_close(self):
        class Store(CountingStore):
            def pieces(self, *args):
                return [b''.join(super().pieces(*args))]

        self.store = Store(self.cinder.driver())
        self.assert_good(self.backup)


class LocationTest(Case):
    """A record cannot lead the verification out of the store."""

    def setUp(self):
        super().setUp()
        self.full, = self.chain(text(CHUNK))

    def refused(self, reason, **place):
        before = len(self.store.reads), self.store.listings
        for name, value in place.items():
            setattr(self.full, name, value)
        report = verifier.Verifier(self.store).verify(verifier.Target(
            self.full.id, place.get('container', self.full.container),
            place.get('prefix', self.full.service_metadata)))
        self.assertEqual([errors.BadLocation],
                         [type(one) for one in report.problems])
        self.assertIn(reason, str(report.problems[0]))
        self.assertEqual(before, (len(self.store.reads),
                                  self.store.listings))

    def test_containers(self):
        for container, reason in (
                ('', 'is empty'), (None, 'is not text'), ('/', 'is absolute'),
                ('/etc', 'is absolute'), ('..', 'outside'),
                ('a/../../b', 'outside'), ('.', 'outside'),
                ('a\0b', 'control'), ('a\nb', 'control'),
                ('a' * 256, 'longer')):
            self.refused(reason, container=container)

    def test_prefixes(self):
        good = self.full.service_metadata
        for prefix, reason in (
                ('', 'is empty'), (None, 'is not text'),
                ('/' + good, 'absolute'), ('../' + good, 'outside'),
                ('a/' + good, 'directory'), (good[:-1], 'not a prefix'),
                ('volume_', 'not a prefix'), (good + '-0000', 'not a prefix'),
                (good + '\0', 'control'),
                (f'xbackup_{self.full.id}', 'not a prefix')):
            self.refused(reason, prefix=prefix)

    def test_container_that_is_a_link_out_of_the_store(self):
        outside = os.path.join(self.cinder.directory, 'outside')
        os.makedirs(outside)
        os.symlink(outside, os.path.join(self.root, 'link'))
        self.refused('leads outside', container='link')
        self.refused('leads outside', container='link/x')

    def test_store_that_is_a_link_itself(self):
        os.rename(self.root, self.root + '-real')
        os.symlink(self.root + '-real', self.root)
        self.assert_good(self.full)

    def test_objects_that_are_links(self):
        for suffix in ('-00001', '_metadata', '_sha256file'):
            path = self.path(self.full, suffix)
            os.rename(path, self.root + '/keep')
            os.symlink(self.root + '/keep', path)
            self.assert_found(errors.BadLocation, suffix, self.full)
            os.remove(path)
            os.mkfifo(path)
            self.assert_found(errors.BadLocation, suffix, self.full)
            os.remove(path)
            os.rename(self.root + '/keep', path)
        self.assert_good(self.full)

    def test_reading_a_link_that_the_listing_did_not_show(self):
        os.symlink('/etc/passwd', self.path(self.full, '-00002'))
        for name in (self.full.service_metadata + '-00002', '../x', '..', ''):
            self.assertRaises(errors.BadLocation, self.store.read,
                              self.full.container, name)


class CostTest(Case):
    """Requests of a verification, and its time limit."""

    def test_requests_of_presence_do_not_grow_with_the_chunks(self):
        small, = self.chain(text(CHUNK))
        large, = self.chain(text(40 * CHUNK))
        for backup in (small, large):
            self.store.reads.clear()
            self.store.listings = 0
            self.assertTrue(self.verify(backup).ok)
            self.assertEqual(1, self.store.listings)
            self.assertEqual(['_metadata', '_sha256file'], [
                name[len(backup.service_metadata):]
                for name in self.store.reads])

    def test_rotation_is_exhaustive(self):
        backups = self.chain(text(5 * CHUNK), changed(text(5 * CHUNK), 3, 9))
        seen = []
        for number in (1, 2, 3):
            self.store.reads.clear()
            report = self.verify(backups[1], 'content', part=(number, 3))
            self.assertTrue(report.ok)
            self.assertLess(report.read, report.total)
            seen += [name for name in self.store.reads if '-0' in name[-6:]]
        self.assertEqual(7, len(seen))
        self.assertEqual(7, len(set(seen)))

    def test_budget(self):
        full, = self.chain(text(20 * CHUNK))
        for budget, chunks in ((0, 1), (CHUNK, 1), (2 * CHUNK + 1, 2),
                               (20 * CHUNK, 20), (10 ** 12, 20)):
            self.store.reads.clear()
            report = self.verify(full, 'content', budget=budget)
            self.assertEqual(chunks * CHUNK, report.read)
            self.assertEqual(chunks + 2, len(self.store.reads))

    def test_budget_is_spread(self):
        jobs = [(None, layout.Chunk(str(one), one, 1, 'none', None))
                for one in range(1000)]
        chosen = [chunk.offset for _, chunk in content.select(
            jobs, budget=50)]
        self.assertEqual(50, len(chosen))
        gaps = [after - before for before, after in
                itertools.pairwise(chosen)]
        self.assertLess(max(gaps), 50)

    def test_impossible_part(self):
        for part in ((0, 1), (2, 1), (-1, 3)):
            self.assertRaises(ValueError, verifier.Verifier, self.store,
                              part=part)

    def test_progress(self):
        full, = self.chain(text(4 * CHUNK))
        seen = []
        self.verify(full, 'content',
                    progress=lambda *numbers: seen.append(numbers))
        self.assertEqual([(one * CHUNK, 4 * CHUNK) for one in (1, 2, 3, 4)],
                         seen)

    def test_stop(self):
        full, = self.chain(text(4 * CHUNK))
        for level in ('presence', 'content'):
            err = self.assertRaises(errors.Stopped, self.verify, full, level,
                                    should_stop=lambda: 'it is deleted')
            self.assertIn('it is deleted', str(err))

    def test_stop_is_asked_once_a_second(self):
        """Not for each chunk: the answer may need a database."""
        full, = self.chain(text(32 * CHUNK))
        asked = []
        begin = time.monotonic()
        self.verify(full, 'content',
                    should_stop=lambda: asked.append(time.monotonic()))
        # Before each backup, and while its chunks are read.
        self.assertLessEqual(len(asked), 2 + (time.monotonic() - begin))

    def test_stop_while_reading(self):
        full, = self.chain(text(4 * CHUNK))
        gate = Event()
        self.addCleanup(gate.set)
        real = self.store.pieces

        def slow(container, name, extra_metadata=None):
            if name.endswith('-00003'):
                gate.wait(60)
            yield from real(container, name)

        self.store.pieces = slow
        begin = time.monotonic()
        self.assertRaises(
            errors.Stopped, self.verify, full, 'content', should_stop=lambda:
            'deleted' if time.monotonic() - begin > 0.5 else None)
        self.assertLess(time.monotonic() - begin, 100)

    def test_store_that_hangs(self):
        full, = self.chain(text(4 * CHUNK))
        gate = Event()
        self.addCleanup(gate.set)
        real = self.store.pieces
        for hanging, level in (('_metadata', 'presence'),
                               ('_sha256file', 'presence'),
                               ('-00002', 'content')):
            def hang(container, name, extra_metadata=None, end=hanging):
                if name.endswith(end):
                    gate.wait(60)
                yield from real(container, name)

            self.store.pieces = hang
            begin = time.monotonic()
            err = self.assertRaises(errors.TimedOut, self.verify, full, level,
                                    timeout=1)
            self.assertIn('within 1 s', str(err))
            self.assertLess(time.monotonic() - begin, 100)

    def test_listing_that_hangs(self):
        full, = self.chain(text(4 * CHUNK))
        gate = Event()
        self.addCleanup(gate.set)
        real = self.store.entries

        def hang(container, prefix):
            for number, one in enumerate(real(container, prefix)):
                if number == 3:
                    gate.wait(60)
                yield one

        self.store.entries = hang
        begin = time.monotonic()
        self.assertRaises(errors.TimedOut, self.verify, full, 'presence',
                          timeout=1)
        self.assertLess(time.monotonic() - begin, 100)

    def test_listing_that_is_long(self):
        """Each of its pages is an answer, and so is what is read then."""
        full, = self.chain(text(4 * CHUNK))
        real = self.store.entries, layout.parse_metadata

        def slow(container, prefix):
            for one in real[0](container, prefix):
                time.sleep(0.3)
                yield one

        def parse(*args):
            time.sleep(2.5)
            return real[1](*args)

        self.store.entries = slow
        with mock.patch.object(layout, 'parse_metadata', parse):
            self.assertTrue(self.verify(full, 'presence', timeout=2).ok)

    def test_reader_that_gets_no_connection(self):
        full, = self.chain(text(4 * CHUNK))
        gate = Event()
        self.addCleanup(gate.set)

        def refuse():
            raise OSError(111, 'Connection refused')

        def hang():
            gate.wait(60)
            return self.store

        for clone, wrong, what in (
                (refuse, errors.Unreadable, 'Connection refused'),
                (hang, errors.TimedOut, 'within 1 s')):
            with mock.patch.object(self.store, 'clone', clone):
                begin = time.monotonic()
                err = self.assertRaises(wrong, self.verify, full, 'content',
                                        timeout=1)
                self.assertIn(what, str(err))
                self.assertLess(time.monotonic() - begin, 100)

    def test_store_that_fails(self):
        full, = self.chain(text(2 * CHUNK))
        real = self.store.pieces
        for failing in ('_metadata', '-00002'):
            def fail(container, name, extra_metadata=None, end=failing):
                if name.endswith(end):
                    raise OSError(5, 'Input/output error')
                yield from real(container, name)

            self.store.pieces = fail
            report = self.verify(full, 'content')
            self.assertIn(f'{failing} cannot be read', str(
                report.problems[0]))

    def test_memory_is_bounded(self):
        self.cinder.configure(backup_compression_algorithm='none',
                              backup_file_size=256 * BLOCK)
        full, = self.chain(noise(4 * 256 * BLOCK))
        for store, bound in (
                # The piece that is checked, and the next one.
                (stores.PosixStore(self.cinder.driver()),
                 2 * 2 * stores.PIECE),
                (stores.Store(self.cinder.driver()), 2 * 256 * BLOCK)):
            self.store = store
            self.assertLess(self.peak(full), bound + stores.PIECE)

    def test_memory_of_a_chain(self):
        """Not the hashes of the whole volume for each of its backups."""
        self.cinder.configure(backup_sha_block_size_bytes=512,
                              backup_file_size=512 * 4096,
                              backup_compression_algorithm='none')
        data = noise(512 * 4096)
        chain = self.chain(data, *(
            data[:512 * number] + bytes(512) + data[512 * (number + 1):]
            for number in range(20)))
        least = self.peak(chain[1], level='presence')
        self.assertLess(self.peak(chain[-1], level='presence'),
                        least + 5 * 32 * 4096)
        self.assert_good(chain[-1])

    def peak(self, backup, readers=2, level='content'):
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        self.assertTrue(self.verify(backup, level, readers=readers).ok)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    def chain_of_zstd(self, length):
        """Chunks of which nine tenths are stored."""
        self.cinder.configure(backup_compression_algorithm='zstd',
                              backup_file_size=length)
        full, = self.chain(b''.join(
            noise(length * 9 // 10, seed) + bytes(length - length * 9 // 10)
            for seed in range(8)))
        return full

    def test_memory_of_compressed_chunks(self):
        """As of those that are not, in pieces."""
        length = 256 * BLOCK
        full = self.chain_of_zstd(length)
        for store, bound in (
                (stores.PosixStore(self.cinder.driver()), 0),
                (stores.Store(self.cinder.driver()), length)):
            self.store = store
            for readers in (1, 2):
                self.assertLess(self.peak(full, readers),
                                readers * (bound + 4 * stores.PIECE) +
                                stores.PIECE, f'{readers} readers')

    def test_memory_of_chunks_that_are_decompressed_as_a_whole(self):
        """Only one reader at a time holds the object and its content."""
        self.useFixture(fixtures.MonkeyPatch(
            'reference_drivers.verification.streams.in_pieces', None))
        length = 256 * BLOCK
        full = self.chain_of_zstd(length)
        for store in (stores.PosixStore(self.cinder.driver()),
                      stores.Store(self.cinder.driver())):
            self.store = store
            for readers in (1, 2, 4):
                self.assertLess(self.peak(full, readers),
                                (readers + 1) * length + 2 * stores.PIECE,
                                f'{readers} readers')

    def test_report_as_json(self):
        full, = self.chain(text(2 * CHUNK))
        os.remove(self.path(full, '-00002'))
        value = json.loads(json.dumps(self.verify(full).to_dict()))
        self.assertFalse(value['ok'])
        self.assertEqual('missing', value['problems'][0]['kind'])
        self.assertEqual(full.service_metadata + '-00002',
                         value['problems'][0]['name'])
