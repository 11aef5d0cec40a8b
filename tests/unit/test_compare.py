# SPDX-License-Identifier: Apache-2.0
import io
import random
import tracemalloc

import ddt
import testtools

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.content import compare
from cinder_backup_recovery_tests.content import layout
from tests.unit import test_layout

MIB = 1024 * 1024
SIZE = 4 * MIB


@ddt.ddt
class CompareTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.first = layout.Layout(0xabc, SIZE).overwrite(0, MIB)
        self.layout = self.first.overwrite(32768, 65536).zero(512 * 1024,
                                                              65536)
        self.data = bytearray(self.layout.read(0, SIZE))

    def _compare(self, **kwargs):
        kwargs.setdefault('block_size', 65536)
        return compare.compare(self.layout, io.BytesIO(bytes(self.data)),
                               **kwargs)

    def _lines(self, **kwargs):
        return [str(one) for one in self._compare(**kwargs).differences]

    def test_equal(self):
        for block_size in (512, 65536, MIB, 16 * MIB):
            outcome = self._compare(block_size=block_size)
            self.assertTrue(outcome.ok)
            self.assertEqual(SIZE, outcome.checked)
            self.assertEqual({}, outcome.counts)
            outcome.raise_if_different('the volume')
        self.assertEqual(f'{SIZE} bytes are as expected', str(outcome))

    def _compare_two(self, *pieces):
        larger = layout.Layout(0xdef, 2 * SIZE).overwrite(0, 2 * SIZE)
        data = bytearray(self.data + larger.read(SIZE, SIZE))
        for offset in pieces:
            data[offset] ^= 1
        return compare.compare_two(self.layout, larger, io.BytesIO(data),
                                   65536)

    def test_two_in_one_stream(self):
        self.assertTrue(self._compare_two().ok)
        for offset in (0, SIZE - 1, SIZE, 2 * SIZE - 1):
            difference, = self._compare_two(offset).differences
            self.assertEqual(offset // 512 * 512, difference.offset)
        self.assertEqual(
            [compare.TRUNCATED],
            [one.kind for one in compare.compare_two(
                self.layout, self.layout.resized(2 * SIZE),
                io.BytesIO(bytes(self.data)), 65536).differences])
        self.assertRaises(ValueError, compare.compare_two,
                          self.layout, self.layout, io.BytesIO(b''),
                          3 * 65536)

    def test_stream_in_pieces_of_any_size(self):
        rng = random.Random(4)
        pieces = []
        position = 0
        while position < SIZE:
            length = rng.choice((1, 511, 65536, 100000, 300000))
            pieces.append(bytes(self.data[position:position + length]))
            position += length
        outcome = compare.compare(self.layout, pieces, block_size=65536)
        self.assertTrue(outcome.ok)
        self.assertEqual(SIZE, outcome.checked)

        class Short(io.BytesIO):
            def read(self, size=-1):
                return super().read(min(size, 777))

        self.assertTrue(compare.compare(self.layout, Short(self.data)).ok)

    def test_block_size_must_be_whole_sectors(self):
        for block_size in (0, 100, -512):
            self.assertRaises(ValueError, self._compare,
                              block_size=block_size)

    def test_stale(self):
        self.data[:MIB] = self.first.read(0, MIB)
        self.assertEqual(
            ['stale: 65536 bytes at offset 32768 hold generation 1, expected '
             'generation 2',
             'uncleared: 65536 bytes at offset 524288 hold generation 1, '
             'expected zeros of generation 3'], self._lines())

    def test_newer_than_expected_is_stale_too(self):
        newer = self.layout.overwrite(2 * MIB, 512)
        self.data[2 * MIB:2 * MIB + 512] = newer.read(2 * MIB, 512)
        self.assertEqual(['stale: 512 bytes at offset 2097152 hold '
                          'generation 4, expected zeros'], self._lines())

    @ddt.data(512, 4096, 65536, -512, 100, 1, 511, 513, -100, -1, -612)
    def test_shifted(self, by):
        source = self.layout.read(0, SIZE)
        begin, end = 262144, 270336
        self.data[begin:end] = source[begin - by:end - by]
        outcome = self._compare()
        self.assertEqual({'shifted': 1}, outcome.counts)
        self.assertEqual({'shifted': end - begin}, outcome.totals)
        self.assertEqual(begin, outcome.differences[0].offset)
        self.assertIn(f'hold data shifted by {by:+d} bytes',
                      str(outcome.differences[0]))
        self.assertIn('expected generation 1', str(outcome.differences[0]))

    def test_shifted_over_the_edge_of_blocks(self):
        source = self.layout.read(0, SIZE)
        begin, end = 600064, 900096
        for by in (1, 100, 500, -1, -100, -500):
            self.data[begin:end] = source[begin - by:end - by]
            for block_size in (512, 1024, 65536):
                outcome = self._compare(block_size=block_size)
                shifted = outcome.totals['shifted']
                self.assertEqual(1, outcome.counts['shifted'])
                # Where the stamp of the first sector lies over the edge of
                # a block, no stamp is known yet.
                self.assertIn(end - begin - shifted,
                              (0, 512) if block_size == 512 else (0,),
                              (by, block_size))

    def test_first_source_of_shifted_data(self):
        self.data[:1024] = self.data[4096:5120]
        self.assertEqual(
            ['shifted: 1024 bytes at offset 0 hold data shifted by -4096 '
             'bytes, from offset 4096 on, expected generation 1'],
            self._lines())

    def test_shifted_into_zeros(self):
        self.data[2 * MIB:2 * MIB + 512] = self.data[:512]
        self.assertEqual(
            ['shifted: 512 bytes at offset 2097152 hold data shifted by '
             '+2097152 bytes, from offset 0 on, expected zeros'],
            self._lines())

    def test_zeroed(self):
        self.data[65536:131072] = bytes(65536)
        self.assertEqual(
            ['zeroed: 32768 bytes at offset 65536 hold zeros, expected '
             'generation 2',
             'zeroed: 32768 bytes at offset 98304 hold zeros, expected '
             'generation 1'], self._lines())

    def test_zeroed_as_an_older_generation(self):
        newest = self.layout.overwrite(MIB, 1024)
        outcome = compare.compare(
            newest, io.BytesIO(bytes(self.data)),
            history=[self.first, newest, self.layout,
                     layout.Layout(7, SIZE, (layout.Extent(0, 512, 9),))])
        self.assertEqual(
            ['zeroed: 1024 bytes at offset 1048576 hold zeros, expected '
             'generation 4; generation 3 had zeros there'],
            [str(one) for one in outcome.differences])
        self.data[:512] = bytes(512)
        self.assertEqual(['zeroed: 512 bytes at offset 0 hold zeros, '
                          'expected generation 1'],
                         self._lines(history=[self.first]))

    def test_foreign(self):
        other = layout.Layout(0xdef, SIZE, fill=layout.TEXT).overwrite(
            0, SIZE)
        self.data[1024:2048] = other.read(4096, 1024)
        self.data[3 * MIB + 100:3 * MIB + 612] = other.read(0, 512)
        self.assertEqual(
            ['foreign: 1024 bytes at offset 1024 hold data of seed 0xdef, '
             'expected generation 1',
             'foreign: 1024 bytes at offset 3145728 hold data of seed '
             '0xdef, expected zeros'], self._lines())

    def test_garbage(self):
        self.data[1536:2560] = b'x' * 1024
        self.data[3 * MIB + 5] = 1
        self.assertEqual(
            ['garbage: 1024 bytes at offset 1536 hold garbage, first wrong '
             'byte at 1536, expected generation 1',
             'garbage: 512 bytes at offset 3145728 hold garbage, first wrong '
             'byte at 3145733, expected zeros'], self._lines())

    def test_changed_byte_behind_a_stamp(self):
        for offset, seed, where in (
                (1024, 0xabc, 'a stamp of generation 1'),
                (40960, 0xdef, 'a stamp of seed 0xdef')):
            source = layout.Layout(seed, SIZE).overwrite(0, MIB)
            self.data[offset:offset + 512] = source.read(offset, 512)
            self.data[offset + 300] ^= 1
            first = offset + 300 if seed == 0xabc else offset + 8
            outcome = self._compare()
            self.assertIn(f'hold garbage behind {where}',
                          str(outcome.differences[-1]))
            if seed == 0xabc:
                self.assertIn(f'first wrong byte at {first},',
                              str(outcome.differences[-1]))

    def test_shifted_and_changed_is_garbage(self):
        self.data[4096:4608] = self.data[8192:8192 + 512]
        self.data[4096 + 400] ^= 1
        self.assertEqual({'garbage': 1}, self._compare().counts)

    def test_stamp_alone_at_an_odd_place_is_garbage(self):
        self.data[4096:5120] = b'x' * 1024
        self.data[4196:4228] = self.data[8192:8224]
        self.assertEqual({'garbage': 1}, self._compare().counts)

    def test_every_single_byte_is_seen(self):
        rng = random.Random(6)
        for _ in range(100):
            offset = rng.randrange(SIZE)
            self.data[offset] ^= 1 << rng.randrange(8)
            outcome = self._compare()
            self.assertEqual([offset // 512 * 512], [
                one.offset for one in outcome.differences])
            self.data[:] = self.layout.read(0, SIZE)

    def test_truncated(self):
        for length in (0, 100, 512, 65536, 65537, MIB, SIZE - 1):
            outcome = compare.compare(self.layout,
                                      io.BytesIO(self.data[:length]),
                                      block_size=65536)
            self.assertEqual(
                [f'truncated: {SIZE - length} bytes at offset {length} are '
                 f'missing: the stream ended there'],
                [str(one) for one in outcome.differences])
            self.assertEqual(length, outcome.checked)

    def test_truncated_within_a_wrong_sector(self):
        for length in (10, 40, 511):
            self.data[:512] = bytes(512)
            outcome = compare.compare(self.layout,
                                      io.BytesIO(self.data[:length]))
            self.assertEqual(['zeroed', 'truncated'],
                             [one.kind for one in outcome.differences])
            self.data[:512] = b'x' * 512
            outcome = compare.compare(self.layout,
                                      io.BytesIO(self.data[:length]))
            self.assertEqual(['garbage', 'truncated'],
                             [one.kind for one in outcome.differences])

    @ddt.data((1, b'\0', ' (all zeros)'), (70000, b'\0', ' (all zeros)'),
              (1, b'x', ''), (MIB, b'x', ''))
    @ddt.unpack
    def test_longer(self, count, byte, note):
        self.data += byte * count
        outcome = self._compare()
        self.assertEqual([f'longer: {count} bytes at offset {SIZE} are too '
                          f'many{note}'],
                         [str(one) for one in outcome.differences])
        self.assertEqual(SIZE + count, outcome.checked)

    def test_longer_with_one_byte_far_out(self):
        self.data += bytes(200000) + b'x'
        self.assertEqual([f'longer: 200001 bytes at offset {SIZE} are too '
                          f'many'], self._lines())

    def test_runs_are_merged_over_blocks_and_kept_apart_by_kind(self):
        self.data[:MIB] = bytes(MIB)
        self.data[262144:262656] = b'x' * 512
        outcome = self._compare(block_size=512)
        self.assertEqual(
            [(0, 32768, 'zeroed'), (32768, 65536, 'zeroed'),
             (98304, 163840, 'zeroed'), (262144, 512, 'garbage'),
             (262656, 261632, 'zeroed'), (589824, 458752, 'zeroed')],
            [(one.offset, one.length, one.kind)
             for one in outcome.differences])
        self.assertEqual({'zeroed': 5, 'garbage': 1}, outcome.counts)
        self.assertEqual({'zeroed': MIB - 65536 - 512, 'garbage': 512},
                         outcome.totals)

    def test_only_the_first_are_kept_and_all_are_counted(self):
        for number in range(0, 100, 2):
            self.data[number * 512] ^= 1
        outcome = self._compare(keep=7)
        self.assertEqual(7, len(outcome.differences))
        self.assertEqual({'garbage': 50}, outcome.counts)
        self.assertEqual({'garbage': 25600}, outcome.totals)

    def test_message(self):
        for number in range(0, 100, 2):
            self.data[number * 512] ^= 1
        err = self.assertRaises(exceptions.ContentMismatch,
                                self._compare().raise_if_different,
                                'restored volume V')
        self.assertEqual({'garbage'}, err.kinds)
        lines = str(err).splitlines()
        self.assertEqual(
            f'restored volume V: of {SIZE} bytes read, differences are '
            f'50 garbage (25600 bytes)', lines[0])
        self.assertEqual(12, len(lines))
        self.assertThat(lines[1], testtools.matchers.StartsWith(
            '  garbage: 512 bytes at offset 0 '))
        self.assertEqual('  and 40 more', lines[-1])

    def test_random_layouts(self):
        rng = random.Random(8)
        for _ in range(30):
            size = 512 * rng.randrange(1, 2000)
            made, model = test_layout.random_layout(rng, size)
            damaged = bytearray(model)
            for _ in range(rng.randrange(5)):
                begin, source = rng.randrange(size), rng.randrange(size)
                length = rng.randrange(3000)
                piece = rng.choice((
                    model[source:source + length], bytes(length),
                    rng.randbytes(length)))
                damaged[begin:begin + len(piece)] = piece
            del damaged[size:]
            different = {number for number in range(size // 512)
                         if damaged[number * 512:(number + 1) * 512]
                         != model[number * 512:(number + 1) * 512]}
            outcome = compare.compare(made, io.BytesIO(damaged), keep=10000,
                                      block_size=4096)
            reported = [number for one in outcome.differences
                        for number in range(one.offset // 512, (
                            one.offset + one.length) // 512)]
            self.assertEqual(sorted(different), reported)
            self.assertEqual(not different, outcome.ok)

    def test_memory_is_bounded(self):
        made = layout.Layout(1, 16 * MIB).overwrite(0, 16 * MIB)
        older = made.overwrite(0, 16 * MIB)
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        outcome = compare.compare(older, made.blocks(100000))
        self.assertEqual({'stale': 1}, outcome.counts)
        self.assertTrue(tracemalloc.get_traced_memory()[1] < 9 * MIB)
