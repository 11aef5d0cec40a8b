# SPDX-License-Identifier: Apache-2.0

"""Each byte of a chain is written once, and none after the end."""

import io
import os
import random
import threading

import fixtures
import testtools

from reference_drivers import restoring
from reference_drivers.verification import errors
from reference_drivers.verification import layout

_PATIENCE = 60


def link(number, *extents):
    """A backup with a chunk for each start and end."""
    return layout.Link(
        str(number), 'container', str(number), {}, [
            layout.Chunk(f'{number}-{start:05d}', start, end - start, 'none',
                         None) for start, end in extents], None, {}, '')


class NewestTest(testtools.TestCase):
    def extents(self, *chain):
        return [(one.backup_id, chunk.name, extents)
                for one, chunk, extents in restoring.newest(chain)]

    def test_of_the_newest_that_has_it(self):
        self.assertEqual(
            [('0', '0-00000', [(0, 20), (50, 60)]),
             ('2', '2-00020', [(20, 30)]),
             ('1', '1-00025', [(30, 35), (40, 50)]),
             ('2', '2-00035', [(35, 40)])],
            self.extents(link(2, (20, 30), (35, 40)), link(1, (25, 50)),
                         link(0, (0, 60))))

    def test_replaced(self):
        """Nothing of it is read."""
        self.assertEqual([('1', '1-00000', [(0, 10)]),
                          ('0', '0-00010', [(10, 20)])],
                         self.extents(link(1, (0, 10)),
                                      link(0, (0, 10), (10, 20))))

    def test_each_byte_once(self):
        """Of random chains, as if each link were written over the others."""
        draw = random.Random(1)
        for _ in range(200):
            chain, wanted = [], [None] * 100
            for number in range(draw.randrange(1, 6)):
                ends = sorted(draw.sample(range(101), 2 * draw.randrange(
                    1, 8)))
                extents = list(zip(ends[::2], ends[1::2], strict=True))
                chain.insert(0, link(number, *extents))
                for start, end in extents:
                    wanted[start:end] = [str(number)] * (end - start)
            found = [None] * 100
            for one, chunk, extents in restoring.newest(chain):
                for start, end in extents:
                    self.assertTrue(
                        chunk.offset <= start < end <= chunk.end, chain)
                    self.assertEqual([None] * (end - start),
                                     found[start:end], chain)
                    found[start:end] = [one.backup_id] * (end - start)
            self.assertEqual(wanted, found, chain)


class _Device(io.BytesIO):
    """A volume with one position, and no number, as those of librbd."""

    def fileno(self):
        raise io.UnsupportedOperation


class TargetTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        path = os.path.join(self.useFixture(fixtures.TempDir()).path, 'volume')
        self.file = io.FileIO(path, 'w+')
        self.addCleanup(self.file.close)

    def content(self):
        self.file.seek(0)
        return self.file.read()

    def written(self, target, extents, offset, *pieces):
        part = restoring.Part(target, extents)
        part.seek(offset)
        for piece in pieces:
            part.write(piece)

    def test_only_what_no_newer_one_has(self):
        for device in self.file, _Device(b'-' * 12):
            if device is self.file:
                device.write(b'-' * 12)
            with restoring.Target(device, False) as target:
                self.written(target, [(1, 3), (5, 6), (9, 12)], 0, b'abcd',
                             b'efgh', b'ijkl')
                target.finish(12)
            device.seek(0)
            self.assertEqual(b'-bc--f---jkl', device.read())

    def test_zeros(self):
        """To a new volume none is written; of an old one all are."""
        for is_new, expected in (True, b'\1old\1'), (False, b'\1\0\0\0\1'):
            self.file.seek(0)
            self.file.write(b'-old-')
            with restoring.Target(self.file, is_new) as target:
                extents = [(0, 1), (1, 4), (4, 5)]
                self.written(target, extents, 0, b'\1\0\0\0\1')
            self.assertEqual(expected, self.content())

    def test_a_file_ends_where_the_backup_does(self):
        """As one that Cinder opens so that it is empty."""
        with restoring.Target(self.file, True) as target:
            self.written(target, [(0, 9)], 0, b'a', bytes(8))
            target.finish(9)
        self.assertEqual(9, os.fstat(self.file.fileno()).st_size)
        # One that is longer stays so.
        with restoring.Target(self.file, False) as target:
            target.finish(5)
        self.assertEqual(9, os.fstat(self.file.fileno()).st_size)

    def test_after_the_end(self):
        """An answer that comes too late is not written."""
        with restoring.Target(self.file, False) as target:
            target.write(0, b'a')
        self.assertRaises(errors.Stopped, target.write, 1, b'b')
        self.assertEqual(b'a', self.content())

    def test_end_waits_for_writes(self):
        """Or they might go to what has the number of the file by then."""
        begun, go_on = threading.Event(), threading.Event()

        class Slow(_Device):
            def write(self, data):
                begun.set()
                go_on.wait(_PATIENCE)
                return super().write(data)

        device = Slow()
        target = restoring.Target(device, False)
        ended = []

        def end():
            with target:
                writer.start()
                begun.wait(_PATIENCE)
                threading.Timer(0.2, go_on.set).start()
            ended.append(device.getvalue())

        writer = threading.Thread(target=target.write, args=(0, b'a'))
        end()
        writer.join(_PATIENCE)
        self.assertEqual([b'a'], ended)

    def test_full_device(self):
        with open('/dev/full', 'wb', buffering=0) as device:
            target = restoring.Target(device, False)
            err = self.assertRaises(errors.Unreadable, target.write, 7, b'a')
        self.assertIn('the volume cannot be written at 7: No space', str(err))
