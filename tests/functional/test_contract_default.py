# SPDX-License-Identifier: Apache-2.0

"""The contract, for a directory."""

import os

import testtools

from backup_stores import filesystem
from reference_drivers.contract import recovery
from reference_drivers.contract import trust
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


class DefaultTest(Directory, trust.TrustContract, testtools.TestCase):
    many = 100_000


class PosixRecoveryTest(Directory, zeros_cases.ZerosOfIncremental,
                        recovery.RecoveryContract, testtools.TestCase):
    """Cinder's own driver, whose records say nothing of the storage."""

    driver = 'cinder.backup.drivers.posix.PosixBackupDriver'
