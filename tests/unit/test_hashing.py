# SPDX-License-Identifier: Apache-2.0

"""The SHA-256 of blocks, by Intel's library and without it."""

import ctypes
import hashlib
from unittest import mock

import ddt
import testtools

from reference_drivers.contract import base
from reference_drivers.verification import hashing
from tests import required


def plain(data, size):
    return [hashlib.sha256(data[at:at + size]).digest()
            for at in range(0, len(data), size)]


def missing():
    required.missing('CBRT_REQUIRE_LIBRARIES',
                     'libipsec-mb is not installed: apt-get install '
                     'libipsec-mb1')


@ddt.ddt
class DigestsTest(testtools.TestCase):
    def use(self, way):
        """Have digests made by the library, or by hashlib only."""
        if way == 'hashlib':
            patch = mock.patch.object(hashing, 'library', return_value=None)
            patch.start()
            self.addCleanup(patch.stop)
            self.addCleanup(hashing._idle.extend, list(hashing._idle))
            hashing._idle.clear()
        elif hashing.library() is None:
            missing()

    @ddt.data('hashlib', 'libipsec-mb')
    def test_same(self, way):
        """Of each number of blocks, with zeros among them."""
        self.use(way)
        for number in (1, 2, 15, 16, 17, 31, 32, 33, 50):
            for length in (1, 100, 4096, 32768):
                content = b''.join(
                    bytes(length) if one % 5 == 3 else
                    base.noise(length, one) for one in range(number))
                for rest in (0, 1, length - 1):
                    data = content + base.noise(rest, 99)
                    self.assertEqual(plain(data, length),
                                     hashing.digests(data, length),
                                     (number, length, rest))

    @ddt.data('hashlib', 'libipsec-mb')
    def test_a_part_of_the_data(self, way):
        self.use(way)
        data = base.noise(3000)
        self.assertEqual(plain(data[7:2907], 100),
                         hashing.digests(data, 100, 7, 2907))
        self.assertEqual(plain(data, 100),
                         hashing.digests(bytearray(data), 100))
        self.assertEqual(plain(bytes(250), 100),
                         hashing.digests(bytes(300), 100, 0, 250))

    @ddt.data('hashlib', 'libipsec-mb')
    def test_less_data_than_said(self, way):
        """Nothing behind the end is read, and each block has a digest."""
        self.use(way)
        data = base.noise(1950)
        found = hashing.digests(data, 100, 0, 3200)
        self.assertEqual(32, len(found))
        self.assertEqual(plain(data, 100), found[:20])
        self.assertEqual([hashlib.sha256().digest()] * 12, found[20:])

    @ddt.data('hashlib', 'libipsec-mb')
    def test_each_of_a_list(self, way):
        """Of lengths that are mixed, none of them among others."""
        self.use(way)
        for lengths in ([], [100], [0] * 16, [100] * 33, [100, 7] * 20,
                        [100] * 20 + [3] + [100] * 13, list(range(40))):
            blocks = [base.noise(length, number)
                      for number, length in enumerate(lengths)]
            self.assertEqual([hashlib.sha256(block).digest()
                              for block in blocks], hashing.each(blocks))

    def test_the_library_is_used(self):
        self.use('libipsec-mb')
        with mock.patch.object(hashing.Manager, 'digests', autospec=True,
                               side_effect=hashing.Manager.digests) as used:
            hashing.digests(base.noise(5000), 100)
            hashing.each([base.noise(100, one) for one in range(40)])
        self.assertEqual(3 + 2, used.call_count)


class LibraryTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        if hashing.library() is None:
            missing()
        hashing.library.cache_clear()
        self.addCleanup(hashing.library.cache_clear)

    def test_not_installed(self):
        with mock.patch.object(ctypes, 'CDLL', side_effect=OSError):
            self.assertIsNone(hashing.library())

    def test_of_another_version(self):
        """Nothing is known of the offsets in it."""
        with mock.patch.dict(hashing._JOBS, clear=True):
            self.assertIsNone(hashing.library())

    def test_that_is_wrong(self):
        """As one whose jobs are otherwise than they should be."""
        with mock.patch.object(hashing, '_HASH_ONLY', bytes(16)):
            self.assertIsNone(hashing.library())
