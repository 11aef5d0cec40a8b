# SPDX-License-Identifier: Apache-2.0

"""Metadata and hashes of a backup, as text."""

import hashlib
import json
import random
import re
import tracemalloc
from unittest import mock

import ddt
import fixtures
import testtools

from reference_drivers.verification import errors
from reference_drivers.verification import layout
from reference_drivers.verification import store as stores

ID = 'b3d5c1a9-0c5b-4d52-9a7e-0f6f8f7a4e21'
PREFIX = f'volume_1/20260101000000/az_nova_backup_{ID}'


def described(**more):
    """The content of both objects."""
    return {'version': '1.0.0', 'backup_id': ID, 'volume_id': 'a volume',
            **more}


class MemoryTest(testtools.TestCase):
    """Of what a large backup needs there is one copy at a time."""

    def measured(self, step, *arguments):
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        made = step(*arguments)
        kept, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return made, kept, peak

    def metadata(self, count):
        fields = {'offset': 0, 'length': 1024, 'compression': 'zstd',
                  'md5': hashlib.md5(b'').hexdigest()}
        objects = [{f'{PREFIX}-{number + 1:05d}':
                    {**fields, 'offset': number * 1024}}
                   for number in range(count)]
        return json.dumps(described(objects=objects), indent=2,
                          sort_keys=True)

    def test_metadata(self):
        """The parsed JSON is never in memory as a whole."""
        text = self.metadata(10000)
        parsed, kept, peak = self.measured(layout.parse_metadata, text,
                                           PREFIX, ID)
        self.assertEqual(10000, len(parsed[1]))
        # As one tree it would be 2.9 and 3.9.
        self.assertLess(kept, 1.7 * len(text))
        self.assertLess(peak, 1.7 * len(text))

    def test_metadata_of_chunks_that_are_listed(self):
        """The listing has their names already."""
        text = self.metadata(10000)
        entries = {one: stores.Entry(one) for one in (
            f'{PREFIX}-{number + 1:05d}' for number in range(10000))}
        parsed, kept, _ = self.measured(layout.parse_metadata, text,
                                        PREFIX, ID, entries)
        for chunk in parsed[1]:
            self.assertIs(entries[chunk.name].name, chunk.name)
        self.assertLess(kept, 1.2 * len(text))

    def test_hashes(self):
        """Not as texts, which would be several times as much."""
        count = 100000
        raw = json.dumps(described(chunk_size=32768, sha256s=[
            hashlib.sha256(b'%d' % number).hexdigest()
            for number in range(count)]), indent=2).encode()
        (_, hashes), kept, peak = self.measured(layout.parse_hashes, raw,
                                                PREFIX, ID)
        self.assertEqual(count, len(hashes))
        self.assertLess(kept, 33 * count)
        # Read in portions of 1 MiB, of which some thousand texts are made.
        self.assertLess(peak, 2 * 32 * count + 5 * 1024 ** 2)


@ddt.ddt
class WrittenTest(testtools.TestCase):
    """Metadata as Cinder writes it is read in a way of its own, as strict."""

    def setUp(self):
        super().setUp()
        self.rng = random.Random(self.id())

    def text(self, prefix=PREFIX, **more):
        return json.dumps(described(**{'parent_id': None, 'objects': [
            {f'{prefix}-{number + 1:05d}': {
                'offset': number * 10, 'length': 10, 'compression': 'zlib',
                'md5': hashlib.md5(b'%d' % number).hexdigest()}}
            for number in range(5)], **more}), indent=2, sort_keys=True)

    def outcome(self, text, prefix=PREFIX):
        """The result, or the problem with its text."""
        try:
            return layout.parse_metadata(text, prefix, ID)
        except errors.Problem as problem:
            return type(problem), str(problem)

    def assert_as_json(self, text, prefix=PREFIX):
        found = self.outcome(text, prefix)
        with mock.patch.object(layout, '_as_written', return_value=None):
            self.assertEqual(self.outcome(text, prefix), found, text)

    def test_only_the_rest_is_read_as_json(self):
        """Or a hundred thousand chunks take twice as long."""
        text = self.text()
        with mock.patch.object(layout, '_json', wraps=layout._json) as read:
            self.assertEqual(5, len(self.outcome(text)[1]))
        self.assertTrue(all(PREFIX not in call.args[0]
                            for call in read.call_args_list))

    @ddt.data('"', '\\', '\\n', '\u00e9', '%s', '.*')
    def test_prefixes(self, special):
        prefix = f'a{special}z_backup_{ID}'
        text = self.text(prefix)
        self.assertEqual(5, len(self.outcome(text, prefix)[1]))
        self.assert_as_json(text, prefix)
        self.assert_as_json(text)
        self.assert_as_json(self.text(), prefix)

    def test_changed_at_random(self):
        """A character, a line or a part more, less, twice or elsewhere."""
        text = self.text()
        for number in range(3000):
            cut = (text.splitlines(True) if number % 3 else
                   re.split(r'(\W)', text) if number % 2 else list(text))
            at = self.rng.randrange(len(cut))
            other = self.rng.choice(cut)
            cut[at:at + self.rng.randrange(2)] = self.rng.choice(
                [[], [other], [cut[at], other], ['0'], ['-'], ['\u0660']])
            self.assert_as_json(''.join(cut))

    def test_a_list_in_another_place(self):
        """It is not that of the backup, which JSON has."""
        before, listed, after = re.split(
            r'(\n  "objects": .*?\n  \])', self.text(), flags=re.DOTALL)
        for made in (f'{listed}, "objects": []',
                     f'{listed}, "\\u006fbjects": []',
                     f' "objects": [],{listed}',
                     f' "x": {{{listed}}}, "objects": []',
                     f' "x": [{{{listed}}}], "objects": NaN'):
            self.assertIn('objects', json.loads(before + made + after))
            self.assert_as_json(before + made + after)


@ddt.ddt
class HashesTest(testtools.TestCase):
    """A list of them is what it is in JSON, however it is read."""

    def setUp(self):
        super().setUp()
        # Three or four in each.
        self.useFixture(fixtures.MonkeyPatch(
            'reference_drivers.verification.layout._PORTION', 250))

    def parse(self, listed, indent):
        raw = json.dumps(described(chunk_size=1, sha256s=listed),
                         indent=indent).encode()
        return layout.parse_hashes(raw, PREFIX, ID)[1]

    @ddt.data(2, 7, None)
    def test_every_number_of_them(self, indent):
        for count in range(20):
            listed = [hashlib.sha256(b'%d' % number).hexdigest()
                      for number in range(count)]
            found = self.parse(listed, indent)
            self.assertEqual(listed, [found.at(number).hex()
                                      for number in range(len(found))])

    @ddt.data('', ' ', '0' * 62, '0' * 66, 'x' * 64, '0' * 63, 7, None, [],
              '0' * 64 + ',' + '0' * 64, '0' * 63 + '\ud800', '\u0660' * 64,
              '0' * 64 + '","' + '0' * 64, '0' * 62 + '\x0b\x0c')
    def test_one_that_is_none(self, wrong):
        """At any place, also at the border of what is read at a time."""
        for indent in (2, None):
            for place in range(13):
                listed = ['0' * 64] * 12
                listed.insert(place, wrong)
                self.assertRaises(errors.WrongContent, self.parse, listed,
                                  indent)

    def test_two_that_are_one(self):
        """One is as much too long as the other too short."""
        for place in range(12):
            listed = ['0' * 64] * 12
            listed[place:place] = ['0' * 62, '0' * 66]
            self.assertRaises(errors.WrongContent, self.parse, listed, 2)


class KinshipTest(testtools.TestCase):
    """Whose metadata it is, and whose child, without reading its chunks."""

    def test_forms(self):
        for parent in (None, 'p'):
            value = {'backup_id': 'b', 'parent_id': parent,
                     'extra_metadata': {'parent_id': 'x'},
                     'volume_meta': '{\n  "parent_id": "y"\n}',
                     'objects': [{'backup_id': {'md5': 'z'}}]}
            for form in ({'indent': 2, 'sort_keys': True}, {'indent': 2},
                         {'indent': 4}, {}):
                self.assertEqual(
                    ('b', parent),
                    layout.kinship(json.dumps(value, **form).encode()), form)

    def test_before_there_were_parents(self):
        self.assertEqual(('b', None), layout.kinship(
            json.dumps({'backup_id': 'b'}, indent=2).encode()))

    def test_of_no_backup(self):
        for raw in (b'', b'{', b'[]', b'7', b'\xff', b'{}', b'[' * 100000):
            self.assertEqual((None, None), layout.kinship(raw), raw[:9])
