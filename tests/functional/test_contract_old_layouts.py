# SPDX-License-Identifier: Apache-2.0

"""The contract, for backups as older releases of Cinder have stored them."""

import contextlib

from cinder import exception
import testtools

from backup_stores import filesystem
from reference_drivers.contract import base
from reference_drivers.contract import recovery
from reference_drivers.contract import trust
from tests import old_layouts
from tests.functional import test_contract_default as directory
from tests.functional import zeros_cases


class OldLayout(directory.Directory):
    """Each backup is changed after it was made.

    :cvar change: the function that does it
    """

    change = None
    # It is about new backups.
    test_containers_that_users_name = None
    # They are about numbers, which are the same in each layout.
    test_more_chunks_than_a_page = None
    test_more_than_four_gibibytes = None
    test_nothing_stays_open = None
    test_driver_info_stays_small = None
    test_driver_info_of_100000_chunks = None

    def chain(self, *contents, **values):
        made = super().chain(*contents, **values)
        for backup in made:
            type(self).change(self.objects, backup)
        return made


class OldDirectory(filesystem.FilesystemStore):
    """The store kit refuses to damage what may be another backup's."""

    def locate(self, backup):
        if backup.service_metadata == 'backup':
            return backup.container, backup.service_metadata
        return super().locate(backup)


class OldPrefix(OldLayout):
    change = staticmethod(old_layouts.old_prefix)

    def make_objects(self):
        super().make_objects()
        return OldDirectory.from_cinder(self.cinder.config.conf)


class AlwaysCompressed(OldLayout):
    change = staticmethod(old_layouts.always_compressed)

    def generations(self):
        return [content + base.noise(2 * self.chunk, 7)
                for content in super().generations()]


class CountedOneMore(OldLayout):
    change = staticmethod(old_layouts.counted_one_more)


class WithoutChecksums(OldLayout):
    change = staticmethod(old_layouts.without_checksums)

    def events(self, backups, other):
        return (event for event in super().events(backups, other)
                if 'checksum' not in event.name)


class WithoutChecksumsTest(WithoutChecksums, trust.TrustContract,
                           testtools.TestCase):
    """Its blocks have no SHA-256, and its chunks an MD5."""

    # None is made on a backup without them.
    test_no_backup_on_a_damaged_parent = None


class PosixWithoutChecksumsTest(
        WithoutChecksums, zeros_cases.ZerosOfIncremental,
        recovery.RecoveryContract, testtools.TestCase):
    """The driver of Cinder restores it, too."""

    driver = 'cinder.backup.drivers.posix.PosixBackupDriver'


class BeforeIncremental(AlwaysCompressed, WithoutChecksums):
    change = staticmethod(old_layouts.before_incremental)
    denied = frozenset({'incremental'})


class CountedOneMoreTest(CountedOneMore, trust.TrustContract,
                         testtools.TestCase):
    """Its row counts an object that does not exist."""

    def test_record_that_counts_another_number(self):
        """It contradicts its driver_info, whichever is the right one."""
        backup, = self.chain(base.text(2 * self.chunk))
        record = self.cinder.export(backup)
        self.cinder.lose_row(backup.id)
        for level in self.levels:
            self.level(level)
            for more in (-1, 1):
                self.refused(self.edited(
                    record, object_count=backup.object_count + more),
                    backup, 'object_count')
        self.imports(record)


class BeforeIncrementalTest(BeforeIncremental, trust.TrustContract,
                            testtools.TestCase):
    """The MD5 of its stored chunks is all that it can be compared with."""

    # As in the test of both.
    test_wrong_bytes_are_restored_only_when_asked_for = None


class PosixBeforeIncrementalTest(
        BeforeIncremental, recovery.RecoveryContract, testtools.TestCase):
    """The driver of Cinder restores it, too."""

    driver = 'cinder.backup.drivers.posix.PosixBackupDriver'


class OldPrefixTest(OldPrefix, trust.TrustContract, testtools.TestCase):
    """Its prefix is "backup"."""

    def hostile(self, backup, other):
        # Of two backups with the same prefix only the container differs.
        return [('container' if values.get('container') == other.container
                 else part, values)
                for part, values in super().hostile(backup, other)]


class AlwaysCompressedTest(AlwaysCompressed, trust.TrustContract,
                           testtools.TestCase):
    """Its chunks are compressed, also where that makes them larger."""

    # zlib has a checksum of its own.
    test_wrong_bytes_are_restored_only_when_asked_for = None


class PosixOldPrefixTest(OldPrefix, zeros_cases.ZerosOfIncremental,
                         recovery.RecoveryContract, testtools.TestCase):
    """The driver of Cinder restores it, too."""

    driver = 'cinder.backup.drivers.posix.PosixBackupDriver'


class PosixAlwaysCompressedTest(
        AlwaysCompressed, zeros_cases.ZerosOfIncremental,
        recovery.RecoveryContract, testtools.TestCase):
    """The driver of Cinder restores it, too."""

    driver = 'cinder.backup.drivers.posix.PosixBackupDriver'


class SharedContainerTest(OldPrefix, base.Contract, testtools.TestCase):
    """Two backups in a container that a user named, with one prefix.

    The second one replaced the first: that is bug 1628768.
    """

    def setUp(self):
        super().setUp()
        self.content = base.text(2 * self.chunk)
        self.first, = self.chain(self.content, container='monthly')
        self.second, = self.chain(self.content[::-1], container='monthly')

    def test_the_first_is_lost(self):
        """It is neither exported nor restored, and takes nothing along."""
        before = self.snapshot(self.second)
        for call in self.cinder.export, self.cinder.driver().delete_backup:
            with contextlib.suppress(exception.InvalidBackup):
                self.assertIsNone(call(self.first))
        err = self.assertRaises(exception.InvalidBackup, self.cinder.restore,
                                self.first.id)
        self.assertIn(f'belongs to backup {self.second.id}', str(err))
        self.assertEqual(before, self.snapshot(self.second))
        self.assert_restores(self.second, self.content[::-1])

    def test_the_second_is_deleted(self):
        self.objects.write('monthly', 'backup_notes', b'not a backup')
        self.cinder.delete(self.second.id)
        self.assertEqual({('monthly', 'backup_notes')},
                         set(self.snapshot(self.second)))

    def test_nothing_tells_whose_it_is(self):
        """A row is not enough to delete what may be another backup's."""
        for data in (b'{', None):
            if data is None:
                self.objects.delete('monthly', 'backup_metadata')
            else:
                self.objects.write('monthly', 'backup_metadata', data)
            before = self.snapshot(self.second)
            self.cinder.driver().delete_backup(self.second)
            self.assertEqual(before, self.snapshot(self.second))
