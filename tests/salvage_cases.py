# SPDX-License-Identifier: Apache-2.0

"""Base classes for tests that salvage damaged backups."""

import pathlib

import testtools
from testtools import content as details

from backup_stores import base as stores_base
from reference_drivers.contract import base
from reference_drivers.verification import errors
from reference_drivers.verification import salvage

_BLOCK, _CHUNK = base.Contract.block, base.Contract.chunk
#: Damages of the metadata after which nothing is left of it.
_NOTHING_LEFT = {'metadata missing', 'everything missing',
                 'metadata of another'}


class Salvages(base.Contract, testtools.TestCase):
    """Salvages backups, and compares each byte with the original."""

    def setUp(self):
        super().setUp()
        self.path = pathlib.Path(self.cinder.directory, 'salvaged')

    def salvage(self, backup, content, info=None, overwrite=False):
        """Salvage a backup, and compare each byte with the original.

        :returns: the result
        """
        if not overwrite:
            self.path.unlink(missing_ok=True)
        with salvage.Target(str(self.path), overwrite) as target:
            found = self.cinder.driver().salvage(backup, target, info)
        written = self.path.read_bytes()
        self.assertEqual(len(content), found.end)
        end = 0
        for offset, length in [*found.lost, (len(content), 0)]:
            # In order, apart, and not of nothing.
            self.assertTrue(end <= offset, found.lost)
            self.assertTrue(written[end:offset] == content[end:offset],
                            f'wrong bytes from {end} to {offset}')
            end = offset + length
            self.assertEqual(length, written.count(0, offset, end),
                             'there is something in what was lost')
        return found

    def each_damage(self):
        """In each backup of a chain: no byte is wrong, and few are lost."""
        contents = self.generations()[:2]
        contents.append(self.changed(contents[-1], 2, 9, 10))
        backups = self.chain(*contents)
        other, = self.chain(base.text(3 * _CHUNK, 9) + base.noise(_CHUNK, 9))
        top, content = backups[-1], contents[-1]
        info = self.cinder.driver().export_record(top)
        self.assertEqual([], self.salvage(top, content, info).problems)
        for damage in self.objects.damages(top):
            for backup in backups:
                self.addDetail('damage', details.text_content(
                    f'{damage.name} of {backups.index(backup)}'))
                self._one(damage, backup, other, top, content, info)

    def _one(self, damage, backup, other, top, content, info):
        """Damage one backup of the chain, and salvage the last one."""
        plan = self.objects.plan(damage, backup, other)
        # Without it nothing says what the chunks are.
        hits_metadata = any(part.endswith('_metadata')
                            for change in plan.changes
                            for part in change.where)
        with self.objects.damaged(plan):
            try:
                found = self.salvage(top, content, info)
            except errors.Problem:
                self.assertTrue(backup is top and hits_metadata)
                self.assertFalse(self.path.exists())
                return
        self.assertFalse(backup is top and damage.name in _NOTHING_LEFT)
        if found.lost:
            self.assertNotEqual([], found.problems)
        most = (found.end if hits_metadata else
                2 * _CHUNK if damage.family in (
                    stores_base.SWAPPED, stores_base.REPLACED) else _CHUNK)
        self.assertTrue(found.lost_bytes <= most, (found.lost_bytes, most))
        if damage.ruins_restore and backup is top:
            self.assertFalse(found.complete)


class Salvaged(Salvages):
    """For a store."""

    def test_salvage_of_each_damage(self):
        self.each_damage()
