# SPDX-License-Identifier: Apache-2.0

"""The contract, for a directory."""

import os

import testtools

from backup_stores import filesystem
from reference_drivers import options
from reference_drivers.contract import base
from reference_drivers.contract import recovery
from reference_drivers.contract import trust
from tests import leftovers
from tests import open_files
from tests.functional import zeros_cases


class Directory:
    driver = 'reference_drivers.default.DefaultBackupDriver'
    options = {'backup_enable_progress_timer': False}

    def make_objects(self):
        root = os.path.join(self.cinder.directory, 'backup')
        self.addCleanup(self.assert_all_closed, root)
        return filesystem.FilesystemStore.from_cinder(
            self.cinder.config.conf)

    def assert_all_closed(self, root):
        self.assertEqual([], open_files.below(root))


class ScanTest(Directory, leftovers.Scanned):
    pass


class DefaultTest(Directory, trust.TrustContract, testtools.TestCase):
    links = 60
    many = 100_000

    def test_volume_that_was_renamed(self):
        """Each backup restores the name of its own moment."""
        self.restores_properties('Monday', 'Tuesday', 'Wednesday')

    def test_container_with_one_slash_more(self):
        """A record of Cinder's driver names it as its user did."""
        self.cinder.configure(
            **{f'{options.GROUP}__without_driver_info': 'accept'})
        content = base.text(self.chunk)
        for container in 'monthly/', 'year//month':
            backup, = self.chain(content, container=container)
            record = self.edited(self.cinder.export(backup), None)
            for level in self.levels:
                self.level(level)
                self.cinder.lose_row(backup.id)
                self.imports(record, container)
            self.assert_restores(backup, content)
            self.cinder.delete(backup.id)
            self.assertEqual({}, self.objects.contents(container))

    def test_children_in_any_container(self):
        """Also where none but the storage knows of it."""
        for places in (('monthly', 'monthly'), (None, 'year/month')):
            volume = self.cinder.create_volume(base.text(self.chunk))
            parent = self.cinder.create_backup(volume, container=places[0])
            child = self.cinder.create_backup(volume, parent,
                                              container=places[1])
            self.cinder.lose_row(child.id)
            err = self.rejected('the delete of a parent', self.cinder.delete,
                                parent.id)
            self.assertIn(child.id, str(err))
            row = self.cinder.backup(parent.id)
            self.assertEqual('error', row.status)
            self.assertIn(child.id, row.fail_reason)


class PosixRecoveryTest(Directory, zeros_cases.ZerosOfIncremental,
                        recovery.ChunksContract, testtools.TestCase):
    """Cinder's own driver, whose records say nothing of the storage."""

    driver = 'cinder.backup.drivers.posix.PosixBackupDriver'
