# SPDX-License-Identifier: Apache-2.0

"""Answers of two drivers that restore the same damaged backup."""

import dataclasses
import itertools
import textwrap

from cinder import exception

from backup_stores import chunked
from reference_drivers.contract import base

REFUSED, RIGHT, WRONG = 'refused', 'right bytes', 'wrong bytes'
#: To make another backup, of which each byte differs.
INVERTED = bytes(255 - byte for byte in range(256))


@dataclasses.dataclass(frozen=True)
class Difference:
    """Damages that only the reference driver refuses.

    :ivar damages: their names in :mod:`backup_stores`
    :ivar answers: what Cinder's driver restores
    :ivar restores: the same for people, and when
    :ivar reason: why the reference driver refuses
    """

    damages: tuple[str, ...]
    answers: tuple[str, ...]
    restores: str
    reason: str


#: The differences of the drivers that cut a volume into chunks.
CHUNKED = (
    Difference(
        ('chunk changed', 'first chunk changed at its start',
         'last chunk changed at its end', 'chunk of another',
         'chunks swapped', 'chunk cut off', 'chunk empty'), (WRONG,),
        'wrong bytes, unless the decompression of the chunk fails',
        'the chunk has another length or other checksums than the backup'),
    Difference(
        ('chunk longer',), (RIGHT, WRONG),
        'a byte too many, which the next chunk may replace',
        'the chunk has another length than in the metadata'),
    Difference(
        ('checksums changed', 'checksums of another',
         'checksum of a block edited'), (RIGHT,),
        'the right bytes: no checksum is read',
        'the checksums are another backup\'s, or differ from the chunks; '
        'either may be what was damaged'),
    Difference(
        ('metadata of another',), (RIGHT,),
        'the right bytes, if all objects of both have the same names, which '
        'those of the prefix ``backup`` may',
        'the metadata names another backup'),
    Difference(
        ('metadata changed',), (RIGHT,),
        'the right bytes, if it does not read the field that was changed',
        'a version, an id or a name in it cannot be right'),
    Difference(
        ('checksum in metadata edited',), (RIGHT,),
        'the right bytes: no checksum is read',
        'without ``_sha256file`` the MD5 is the only checksum of a chunk'),
)

#: The differences of the drivers for Ceph.
CEPH = (
    Difference(
        ('data missing', 'data cut off', 'data of another', 'data changed',
         'data swapped'), (WRONG,),
        'wrong bytes',
        'the content differs from its digest; without a digest in the row '
        'it restores the same bytes, with a warning'),
    Difference(
        ('snapshot missing',), (RIGHT, WRONG),
        'the newest data of the image, which may be a later backup\'s',
        'nothing says which data are this backup\'s'),
    Difference(
        ('image of another',), (WRONG,),
        'the other backup',
        'the image has no snapshot of this backup, or the content of a full '
        'copy differs from its digest'),
    Difference(
        ('image longer',), (RIGHT,),
        'the right bytes, as many as the volume has',
        'the image of a full copy has more bytes than the volume'),
    Difference(
        ('metadata missing', 'metadata of another', 'metadata changed'),
        (RIGHT,),
        'the right bytes, with other properties of the volume or without '
        'them, if the object can be read',
        'the object differs from its sum in the row; if it is missing, also '
        'since nothing else says whose the copy of a snapshot is'),
)


def table(differences):
    """The differences, as the rows of a list-table."""
    rows = []
    for one in differences:
        for mark, text in zip('*  ', (
                ', '.join(one.damages), one.restores, one.reason),
                strict=True):
            rows.append(textwrap.fill(
                text, 79, initial_indent=f'   {mark} - ',
                subsequent_indent=' ' * 7, break_on_hyphens=False,
                break_long_words=False))
    return '\n'.join(rows) + '\n'


class Answers:
    """Mixed into a test case that has ``cinder`` and ``objects``.

    :cvar in_tree: the class of Cinder's driver
    :cvar reference: that of the reference driver
    :cvar differences: all that are expected
    """

    in_tree: type
    reference: type
    differences: tuple[Difference, ...]

    def setUp(self):
        super().setUp()
        self.tried = set()
        self.met = set()

    def answer(self, driver, backup, content, new):
        """Restore a backup with a driver, whatever its row says."""
        self.cinder.manager.service = driver
        old = None if new else self.cinder.create_volume(
            base.noise(len(content), 99))
        try:
            restored = self.cinder.restore(backup.id, old)
        except Exception as err:
            if driver is self.reference:
                self.assertIsInstance(err, exception.InvalidBackup)
            return REFUSED
        return (RIGHT if restored.ljust(len(content), b'\0') == content
                else WRONG)

    def compare_undamaged(self, backup, content, where):
        """Both restore a backup, to a new volume and over an old one."""
        for new in (True, False):
            for driver in (self.in_tree, self.reference):
                self.assertEqual(RIGHT, self.answer(
                    driver, backup, content, new), f'{where}, {driver}')

    def compare(self, damage, victim, other, backup, content, where, new,
                also=()):
        """Both restore a backup while it, or a parent, is damaged.

        :param victim: the backup that is damaged
        :param new: whether to a new volume; one of both, as a restore takes
            its time
        :param also: answers that agree as well, Cinder's first
        """
        self.tried.add(damage.name)
        with self.objects.damaged(self.objects.plan(damage, victim, other)):
            theirs, ours = (self.answer(driver, backup, content, new)
                            for driver in (self.in_tree, self.reference))
        if theirs != ours == REFUSED:
            self.met.add((damage.name, theirs))
            return
        # Never wrong bytes, and hardly anything that only Cinder's refuses.
        self.assertIn((theirs, ours), [(RIGHT, RIGHT), (REFUSED, REFUSED),
                                       *also], f'{damage.name}, {where}')

    def assert_listed(self):
        """All differences that were met are listed, and no others.

        Of the damages that were tried.
        """
        listed = {pair for one in self.differences
                  for pair in itertools.product(one.damages, one.answers)
                  if pair[0] in self.tried}
        # Which field a changed bit is in depends on the length of others.
        self.assertEqual(listed, self.met | {
            (chunked.METADATA_CHANGED.name, RIGHT)} & listed)
