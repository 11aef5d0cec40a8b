# SPDX-License-Identifier: Apache-2.0

"""Decompression of chunks, piece by piece."""

import bz2
import tracemalloc
from unittest import mock
import zlib

import fixtures
import testtools
import zstd

from reference_drivers.contract import base
from reference_drivers.verification import streams

PIECE = 65536
COMPRESS = {'none': bytes, 'zlib': zlib.compress, 'bz2': bz2.compress,
            'zstd': zstd.compress}


class Cases:
    """Of every way to do it; each class below has one."""

    def setUp(self):
        super().setUp()
        self.useFixture(fixtures.MonkeyPatch(
            'reference_drivers.verification.store.PIECE', PIECE))

    def expand(self, name, stored, size=PIECE):
        stream = streams.make(name)
        for start in range(0, len(stored), size):
            yield from stream.feed(stored[start:start + size])
        yield from stream.finish()

    def assert_refused(self, name, stored, size, length):
        try:
            made = sum(len(one) for one in self.expand(name, stored, size))
        except Exception:
            return
        # What reads the chunk compares its length.
        self.assertNotEqual(length, made, (name, size))

    def test_every_piece_in_order(self):
        content = base.text(3 * PIECE + 5)
        for name, compress in COMPRESS.items():
            stored = compress(content)
            # A store without pieces gives all of it at once.
            for size in (7, 999, PIECE, len(stored)):
                made = b''.join(self.expand(name, stored, size))
                self.assertTrue(content == made, (name, size))

    def test_names_in_any_case(self):
        for name in ('off', 'No', 'GZIP', 'bzip2', 'ZSTD'):
            self.assertIsInstance(streams.make(name), streams.Plain)
        self.assertRaises(LookupError, streams.make, 'lzma')

    def test_cut_off(self):
        content = base.text(3 * PIECE)
        for name in ('zlib', 'bz2', 'zstd'):
            stored = COMPRESS[name](content)
            for length in (0, 1, 4, 9, len(stored) // 2, len(stored) - 1):
                for size in (999, len(stored)):
                    self.assert_refused(name, stored[:length], size,
                                        len(content))

    def test_bytes_after_the_end(self):
        """Also another good stream, and where a new piece begins."""
        content = base.text(3 * PIECE)
        for name in ('zlib', 'bz2', 'zstd'):
            stored = COMPRESS[name](content)
            for more in (b'\0', stored[:10], stored, bytes(2 * PIECE)):
                for size in (999, len(stored), 10 * PIECE):
                    self.assert_refused(name, stored + more, size,
                                        len(content))


class StreamsTest(Cases, testtools.TestCase):
    """However much a stored object expands to, a piece is a piece."""

    def test_pieces_are_bounded(self):
        for name in ('zlib', 'bz2', 'zstd'):
            stored = COMPRESS[name](bytes(64 * PIECE))
            self.assertLess(len(stored), PIECE)
            for size in (7, PIECE):
                pieces = [len(one) for one in self.expand(name, stored, size)]
                self.assertEqual(64 * PIECE, sum(pieces))
                self.assertLessEqual(max(pieces), PIECE, name)

    def test_memory_of_a_whole_object(self):
        content = base.noise(20 * PIECE, 1) + bytes(20 * PIECE)
        for name in ('zlib', 'bz2', 'zstd'):
            stored = COMPRESS[name](content)
            tracemalloc.start()
            self.addCleanup(tracemalloc.stop)
            for _ in self.expand(name, stored, len(stored)):
                pass
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            # The object is there already, and two pieces at a time.
            self.assertLess(peak, 4 * PIECE, name)

    def test_zstd_in_pieces_is_installed(self):
        """Or these tests would pass by the other way."""
        self.assertIsNotNone(streams.in_pieces,
                             'install test-requirements.txt')
        self.assertIsInstance(streams.make('zstd'), streams.Zstd)

    def test_fast_zlib_is_installed(self):
        """Or these tests would pass with Python's own."""
        self.assertIsNot(zlib, streams.zlib, 'install test-requirements.txt')

    def test_checksum_of_zlib(self):
        """With each library that decompresses it."""
        content = base.noise(3 * PIECE, 1)
        stored = zlib.compress(content)
        # Noise is stored as it is: what stands there could be anything.
        place = stored.index(content[2 * PIECE:2 * PIECE + 16])
        for harmed in (stored[:-4] + bytes(4),
                       stored[:place] + bytes(1) + stored[place + 1:]):
            self.assertEqual(len(stored), len(harmed))
            self.assertRaises(streams.zlib.error, lambda stored=harmed: sum(
                len(one) for one in self.expand('zlib', stored)))


class PythonZlibTest(StreamsTest):
    """Without the faster one."""

    def setUp(self):
        super().setUp()
        self.useFixture(fixtures.MonkeyPatch(
            'reference_drivers.verification.streams.zlib', zlib))

    def test_fast_zlib_is_installed(self):
        self.assertIs(zlib, streams.zlib)


class WholeZstdTest(Cases, testtools.TestCase):
    """With the module of Cinder alone."""

    def setUp(self):
        super().setUp()
        self.useFixture(fixtures.MonkeyPatch(
            'reference_drivers.verification.streams.in_pieces', None))
        self.assertIsInstance(streams.make('zstd'), streams.WholeZstd)

    def test_without_any_module(self):
        with mock.patch.dict('sys.modules', {'zstd': None}):
            self.assertRaises(LookupError, streams.make, 'zstd')
