# SPDX-License-Identifier: Apache-2.0

"""The reference driver and Cinder's own, on damages and old layouts."""

from cinder.backup.drivers import posix
import testtools

from backup_stores import chunked
from reference_drivers import default
from reference_drivers.contract import base
from tests import old_layouts
from tests import pages
from tests.cross_drivers import damages
from tests.functional import test_contract_default as directory
from tests.functional import test_contract_old_layouts as old

#: How the chunks are compressed, and what is changed after a backup.
_LAYOUTS = {
    'as today': ('none', None),
    'as today, compressed': ('zlib', None),
    'old prefix': ('none', old_layouts.old_prefix),
    'old prefix, compressed': ('zlib', old_layouts.old_prefix),
    'always compressed': ('zlib', old_layouts.always_compressed),
    'without checksums': ('none', old_layouts.without_checksums),
    'without checksums, compressed': ('zlib', old_layouts.without_checksums),
    'before incremental': ('zlib', old_layouts.before_incremental),
}
_WITHOUT_CHECKSUMS = (old_layouts.without_checksums,
                      old_layouts.before_incremental)


class DirectoryTest(damages.Answers, directory.Directory, base.Contract,
                    testtools.TestCase):
    """If it fails, a restore ends in another way than Cinder's.

    It may be wrong, or a good backup may be refused.
    """

    in_tree = posix.PosixBackupDriver
    reference = default.DefaultBackupDriver
    differences = damages.CHUNKED

    def make_objects(self):
        super().make_objects()
        return old.OldDirectory.from_cinder(self.cinder.config.conf)

    def contents(self):
        # The last chunk does not compress.
        first = base.text(3 * self.chunk) + base.noise(self.chunk)
        return [first, self.changed(first, 1, 6, 13)]

    def made(self, change, contents):
        backups = self.chain(*contents)
        if change:
            for backup in backups:
                change(self.objects, backup)
        return backups

    def test_every_layout_and_damage(self):
        for name, (compression, change) in _LAYOUTS.items():
            self.cinder.configure(backup_compression_algorithm=compression)
            contents = self.contents()
            if change is old_layouts.before_incremental:
                del contents[1:]
            mine = self.made(change, contents)
            other = self.made(change, [content.translate(damages.INVERTED)
                                       for content in contents])
            for backup, content in zip(mine, contents, strict=True):
                self.compare_undamaged(backup, content, name)
            for number, victim in enumerate(mine):
                for damage in chunked.DAMAGES:
                    if (change in _WITHOUT_CHECKSUMS and
                            'checksum' in damage.name and
                            damage is not chunked.MD5_EDITED):
                        continue
                    new, also = victim is mine[-1], []
                    if not new and damage is chunked.METADATA_CHANGED:
                        # It may be in the properties that the volume had
                        # when the parent was made: Cinder's driver reads
                        # these, too.
                        also = [(damages.REFUSED, damages.RIGHT)]
                    self.compare(damage, victim, other[number], mine[-1],
                                 contents[-1],
                                 f'{name}, backup {number} of the chain',
                                 new, also)
        self.assert_listed()


class PageTest(testtools.TestCase):
    def test_differences(self):
        """The chapter of the drivers has all of them."""
        page = (pages.DOCUMENTS / 'user' / 'drivers.rst').read_text()
        for differences in (damages.CHUNKED, damages.CEPH):
            self.assertIn(damages.table(differences), page)
