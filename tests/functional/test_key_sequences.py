# SPDX-License-Identifier: Apache-2.0

"""Random sequences of what is done with encrypted volumes at two sites."""

import contextlib

from cinder.volume import volume_utils
import ddt
import fixtures
import testtools

from backup_recovery import keys as travelling
from reference_drivers import keys
from tests import barbican
from tests import programs
from tests.key_sequences import __main__ as program
from tests.key_sequences import sites

_SEED = 22


class Case(testtools.TestCase):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.managers = [barbican.Barbican() for _ in range(2)]
        for manager in cls.managers:
            manager.setUp()
            cls.addClassCleanup(manager.cleanUp)

    def setUp(self):
        super().setUp()
        context = program.quick_fingerprints()
        context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)


class RandomTest(Case):
    """A small part of them, the same each time.

    If it fails, a user has a volume or a backup that can never be read again,
    or a key manager fills with keys of deleted data; "make key-sequences" has
    more of them.
    """

    def test_no_key_is_lost_or_left_over(self):
        met = set()
        for number in range(len(sites.KINDS)):
            sequence = program.run(_SEED, number, self.managers)
            self.assertIsNone(sequence.wrong, '\n'.join(sequence.told))
            met.add(sequence.kind)
        self.assertEqual({*sites.KINDS}, met)


def _same_key(asked, key_id, described, volume_meta, own):
    return key_id


#: Where each is, what is there instead, the kind that it is found with, and
#: what is found.
_FAULTS = {
    'copy with the key of the original': (
        keys.Keys, 'adopt', _same_key, sites.SHARED,
        'is that of .*, too, or was lost'),
    'deletes that leave keys': (
        volume_utils, 'delete_encryption_key', lambda *args: None,
        sites.SHARED, 'are left over'),
    'secret of an import that stays': (
        travelling.Keys, 'settle', lambda *args: None, sites.SEPARATE,
        'are left over'),
    'delete of the data first': (
        keys, 'check_delete', lambda *args: None, sites.SHARED,
        '"the key manager did not give key" is not in the error'),
}


@ddt.ddt
class FaultTest(Case):
    """Each planted fault is found.

    If it fails, keys can be lost without a failed test.
    """

    @ddt.data(*_FAULTS)
    def test_found(self, name):
        where, attribute, fault, kind, expected = _FAULTS[name]
        self.useFixture(fixtures.MockPatchObject(where, attribute, fault))
        for number in range(sites.KINDS.index(kind), 30, len(sites.KINDS)):
            sequence = program.run(_SEED, number, self.managers)
            if sequence.wrong:
                self.assertRegex(sequence.wrong, expected)
                return
        self.fail('nothing is found')

    def test_sequence_is_run_again(self):
        """From the line that is printed, with the same steps."""
        self.useFixture(fixtures.MockPatchObject(
            volume_utils, 'delete_encryption_key', lambda *args: None))
        self.useFixture(fixtures.MockPatchObject(
            barbican, 'Barbican', lambda: contextlib.nullcontext(
                self.managers[0])))
        found = []
        for _ in range(2):
            status, out, _ = programs.call(program.main, '--seed', _SEED,
                                           '--case', 0)
            self.assertEqual(program.WRONG, status)
            self.assertIn(f'python -m tests.key_sequences --seed {_SEED} '
                          f'--case 0\n', out)
            # The ids differ.
            found.append([' '.join(
                word for word in line.split() if len(word) < 30)
                for line in out.splitlines()
                if line.startswith('  ')])
        self.assertEqual(*found)
        self.assertNotEqual([], found[0])
