# SPDX-License-Identifier: Apache-2.0
import hashlib
import io
import json
import os
import random
import tracemalloc
import zlib

import ddt
import fixtures
import testtools

from cinder_backup_recovery_tests.content import layout
from cinder_backup_recovery_tests.content import stamp

MIB = 1024 * 1024


def random_layout(rng, size, writes=8, fill=layout.RANDOM):
    """A layout after some writes, and the bytes that a disk would hold."""
    made = layout.Layout(rng.getrandbits(64), size, fill=fill)
    model = bytearray(size)
    for generation in range(1, rng.randrange(writes) + 1):
        begin = rng.randrange(size // 512)
        count = rng.randrange(1, min(size // 512 - begin, 400) + 1)
        if rng.random() < 0.3:
            made = made.zero(begin * 512, count * 512)
            model[begin * 512:(begin + count) * 512] = bytes(count * 512)
        else:
            made = made.overwrite(begin * 512, count * 512)
            for number in range(begin, begin + count):
                model[number * 512:(number + 1) * 512] = stamp.sectors(
                    made.seed, generation, number, 1, fill)
    return made, bytes(model)


def _data_end(made):
    """Offset past the last byte of data."""
    return max((extent.end for extent in made.extents
                if extent.kind == layout.DATA), default=0)


class StampTest(testtools.TestCase):
    def test_sector_says_what_it_is(self):
        for fill in (stamp.RANDOM, stamp.TEXT):
            made = stamp.sectors(2 ** 64 - 1, 7, 1000, 300, fill)
            self.assertEqual(300 * 512, len(made))
            for number in range(300):
                self.assertEqual((2 ** 64 - 1, 7, 1000 + number, fill),
                                 stamp.read(made, number * 512))

    def test_same_bytes_however_they_are_cut(self):
        whole = stamp.sectors(3, 1, 0, 500, stamp.RANDOM)
        for first, count in ((0, 1), (127, 2), (128, 128), (100, 300),
                             (499, 1)):
            self.assertEqual(whole[first * 512:(first + count) * 512],
                             stamp.sectors(3, 1, first, count, stamp.RANDOM))

    def test_bytes_never_change(self):
        # A layout that was written by one release may be compared by the
        # next, at another site.
        self.assertEqual(
            '17c1b95b39e2cad5', hashlib.sha256(stamp.sectors(
                1, 2, 127, 2, stamp.RANDOM)).hexdigest()[:16])
        self.assertEqual(
            'f374a986a0185591', hashlib.sha256(stamp.sectors(
                1, 2, 127, 2, stamp.TEXT)).hexdigest()[:16])

    def test_no_two_sectors_are_alike(self):
        bodies = {stamp.sectors(seed, generation, number, 1,
                                stamp.RANDOM)[32:]
                  for seed in (0, 1) for generation in (1, 2)
                  for number in range(300)}
        self.assertEqual(1200, len(bodies))

    def test_fill_decides_what_compression_gains(self):
        for fill, least, most in ((stamp.RANDOM, 0.95, 1.01),
                                  (stamp.TEXT, 0, 0.2)):
            made = stamp.sectors(1, 1, 0, 2048, fill)
            ratio = len(zlib.compress(made)) / len(made)
            self.assertTrue(least < ratio < most, f'{fill}: {ratio}')

    def test_any_flipped_bit_makes_the_stamp_invalid(self):
        made = stamp.sectors(1, 1, 5, 1, stamp.RANDOM)
        for bit in range(32 * 8):
            broken = bytearray(made)
            broken[bit // 8] ^= 1 << bit % 8
            self.assertIsNone(stamp.read(bytes(broken)))

    def test_find(self):
        made = stamp.sectors(1, 1, 5, 2, stamp.RANDOM)
        data = b'CBRTrnd1' + b'x' * 92 + made
        self.assertEqual((100, (1, 1, 5, 'random')), stamp.find(data))
        self.assertEqual((612, (1, 1, 6, 'random')), stamp.find(data, 101))
        self.assertIsNone(stamp.find(data, 0, 100))
        self.assertEqual(100, stamp.find(data, 0, 101)[0])
        self.assertIsNone(stamp.find(data, 101, 612))
        self.assertIsNone(stamp.find(data[:131]))


@ddt.ddt
class LayoutTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.rng = random.Random(self.id())

    def test_random_layouts_are_what_a_disk_would_hold(self):
        for number in range(60):
            size = 512 * self.rng.randrange(1, 2000)
            fill = layout.TEXT if number % 5 == 0 else layout.RANDOM
            made, model = random_layout(self.rng, size, fill=fill)
            self.assertEqual(model, made.read(0, size))
            self.assertEqual(hashlib.sha256(model).hexdigest(),
                             made.sha256())
            for block_size in (1, 7000, 65536) if size < 9000 else (7000,
                                                                    65536):
                blocks = list(made.blocks(block_size))
                self.assertEqual(model, b''.join(blocks))
                self.assertTrue(all(len(one) == block_size
                                    for one in blocks[:-1]))
            for _ in range(20):
                offset = self.rng.randrange(size + 600)
                length = self.rng.randrange(5000)
                self.assertEqual(model[offset:offset + length],
                                 made.read(offset, length))
                if made.is_hole(offset, length):
                    self.assertFalse(any(model[offset:offset + length]))
            end = _data_end(made)
            self.assertEqual(len(model.rstrip(b'\0')) > 0, end > 0)
            if end:
                self.assertTrue(any(model[end - 512:end]))
                self.assertFalse(any(model[end:]))

    def test_extents_are_ordered_and_merged(self):
        made = layout.Layout(1, 8192).overwrite_ranges(
            [(1024, 512), (0, 512), (512, 512)])
        self.assertEqual((layout.Extent(0, 1536, 1),), made.extents)
        made = made.zero(512, 512)
        self.assertEqual((layout.Extent(0, 512, 1),
                          layout.Extent(512, 512, 2, 'zeros'),
                          layout.Extent(1024, 512, 1)), made.extents)
        self.assertEqual(2, made.generation)
        self.assertEqual(3, made.overwrite(0, 8192).generation)
        self.assertEqual((layout.Extent(0, 8192, 3),),
                         made.overwrite(0, 8192).extents)

    def test_layout_does_not_change(self):
        made = layout.Layout(1, 8192).overwrite(0, 512)
        made.overwrite(0, 512)
        self.assertEqual((layout.Extent(0, 512, 1),), made.extents)

    def test_extent_at(self):
        made = layout.Layout(1, 8192).overwrite(512, 512)
        self.assertIsNone(made.extent_at(511))
        self.assertEqual(made.extents[0], made.extent_at(512))
        self.assertEqual(made.extents[0], made.extent_at(1023))
        self.assertIsNone(made.extent_at(1024))

    def test_resized(self):
        made = layout.Layout(1, 1024).overwrite(512, 512)
        self.assertEqual(made.read(0, 1024) + bytes(1024),
                         made.resized(2048).read(0, 4096))
        self.assertRaises(ValueError, made.resized, 512)

    @ddt.data(
        lambda: layout.Layout(-1, 512), lambda: layout.Layout(2 ** 64, 512),
        lambda: layout.Layout(1, 513), lambda: layout.Layout(1, -512),
        lambda: layout.Layout(1, 512, fill='x'),
        lambda: layout.Layout(1, 512).overwrite(0, 1024),
        lambda: layout.Layout(1, 512).overwrite(0, 0),
        lambda: layout.Layout(1, 1024).overwrite(1, 512),
        lambda: layout.Layout(1, 1024).overwrite(0, 511),
        lambda: layout.Layout(1, 1024).zero(-512, 512),
        lambda: layout.Layout(1, 1024, (layout.Extent(0, 512, 0),)),
        lambda: layout.Layout(1, 1024, (layout.Extent(0, 512, 1, 'x'),)),
        lambda: layout.Layout(1, 1024, (layout.Extent(0, 1024, 1),
                                        layout.Extent(512, 512, 2))))
    def test_refused(self, call):
        self.assertRaises(ValueError, call)

    def test_json_round_trip(self):
        made, _ = random_layout(self.rng, 512 * 1000, writes=20)
        again = layout.Layout.from_dict(json.loads(json.dumps(
            made.to_dict())))
        self.assertEqual(made, again)
        self.assertEqual(made.sha256(), again.sha256())

    @ddt.data({}, {'version': 2}, {'version': 1},
              {'version': 1, 'seed': 1, 'size_bytes': 512, 'fill': 'random',
               'extents': [{'from': 1}]})
    def test_json_refused(self, data):
        self.assertRaises(ValueError, layout.Layout.from_dict, data)

    def test_scattered(self):
        size = 64 * MIB
        made = layout.Layout.scattered(5, size)
        self.assertEqual(1, made.generation)
        self.assertEqual(size, _data_end(made))
        self.assertFalse(made.is_hole(0, 512))
        for boundary in (32 * 1024, MIB):
            edges = [extent.offset + 512 for extent in made.extents
                     if extent.length == 1024
                     and (extent.offset + 512) % boundary == 0]
            self.assertTrue(len(edges) >= 2, edges)
        largest = max(made.extents, key=lambda extent: extent.length)
        self.assertEqual(4 * MIB, largest.length)
        self.assertNotEqual(0, largest.offset % MIB)
        self.assertTrue(sum(extent.length for extent in made.extents)
                        < 5 * MIB)

    def test_scattered_in_small_volumes(self):
        for sectors in range(1, 200):
            made = layout.Layout.scattered(5, sectors * 512)
            self.assertTrue(_data_end(made))

    def test_zero_blocks_are_cheap(self):
        made = layout.Layout(1, 64 * MIB).overwrite(0, 512).zero(MIB, MIB)
        self.assertEqual(2, len({id(block) for block in list(
            made.blocks(MIB))}))

    def test_memory_is_bounded(self):
        made = layout.Layout(1, 32 * MIB).overwrite(0, 32 * MIB)
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for _ in made.blocks():
            pass
        self.assertTrue(tracemalloc.get_traced_memory()[1] < 8 * MIB)


class ReaderTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        rng = random.Random(1)
        self.layout, self.model = random_layout(rng, 512 * 700, writes=20)
        self.reader = self.layout.open()

    def test_pieces(self):
        rng = random.Random(2)
        pieces = []
        while piece := self.reader.read(rng.randrange(1, 9000)):
            pieces.append(piece)
        self.assertEqual(self.model, b''.join(pieces))
        self.assertEqual(len(self.model), self.reader.tell())

    def test_like_a_file(self):
        self.assertEqual(len(self.model), len(self.reader))
        self.assertTrue(self.layout.resized(0).open()
                        if not self.layout.extents else self.reader)
        self.assertEqual(self.model, self.reader.read())
        self.assertEqual(b'', self.reader.read())
        self.assertEqual(b'', self.reader.read(5))
        self.assertEqual(5, self.reader.seek(5))
        self.assertEqual(self.model[5:], self.reader.readall())
        self.reader.seek(-7, os.SEEK_END)
        self.assertEqual(self.model[-7:], self.reader.read(100))
        self.reader.seek(0)
        self.reader.seek(9, os.SEEK_CUR)
        buffer = bytearray(100)
        self.assertEqual(100, self.reader.readinto(buffer))
        self.assertEqual(self.model[9:109], bytes(buffer))
        self.assertRaises(ValueError, self.reader.seek, -1)
        self.assertEqual(self.model, io.BufferedReader(
            self.layout.open()).read())


class WriteTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.path = os.path.join(
            self.useFixture(fixtures.TempDir()).path, 'volume')

    def _content(self):
        with open(self.path, 'rb') as stream:
            return stream.read()

    def test_new_file_is_whole_and_sparse(self):
        made = layout.Layout(1, 64 * MIB).overwrite(MIB, 512)
        self.assertEqual(512, made.write_to(self.path))
        self.assertEqual(made.sha256(),
                         hashlib.sha256(self._content()).hexdigest())
        self.assertTrue(os.stat(self.path).st_blocks * 512 < MIB)

    def test_random_layouts(self):
        rng = random.Random(3)
        for _ in range(20):
            made, model = random_layout(rng, 512 * 5000)
            made.write_to(self.path)
            self.assertEqual(model, self._content())
            os.unlink(self.path)

    def test_zeros_are_written_over_old_data(self):
        old = layout.Layout(1, 8192).overwrite(0, 8192)
        old.write_to(self.path)
        new = old.zero(512, 1024)
        self.assertEqual(1024, new.write_to(self.path, since=1))
        self.assertEqual(new.read(0, 8192), self._content())

    def test_since_touches_nothing_else(self):
        old = layout.Layout(1, 8192).overwrite(0, 8192)
        old.write_to(self.path)
        with open(self.path, 'r+b') as stream:
            stream.write(b'x')
        old.overwrite(4096, 512).write_to(self.path, since=1)
        self.assertEqual(b'x', self._content()[:1])

    def test_file_gets_the_size_of_the_volume(self):
        made = layout.Layout(1, 8192)
        for before in (b'', b'x' * 9000, b'x' * 100):
            with open(self.path, 'wb') as stream:
                stream.write(before)
            made.write_to(self.path)
            self.assertEqual(before[:8192].ljust(8192, b'\0'),
                             self._content())

    def test_open_files(self):
        made = layout.Layout(1, 8192).overwrite(512, 512)
        memory = io.BytesIO(b'x' * 9000)
        made.write_to(memory)
        self.assertEqual(8192, len(memory.getvalue()))
        memory = io.BytesIO()
        made.write_to(memory)
        self.assertEqual(made.read(0, 8192), memory.getvalue())
        with open(self.path, 'w+b', buffering=0) as stream:
            made.write_to(stream)
        self.assertEqual(made.read(0, 8192), self._content())

        class Short(io.BytesIO):
            def write(self, data):
                return super().write(data[:100])

        memory = Short()
        made.write_to(memory)
        self.assertEqual(made.read(0, 1024), memory.getvalue()[:1024])
