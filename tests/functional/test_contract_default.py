# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

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
