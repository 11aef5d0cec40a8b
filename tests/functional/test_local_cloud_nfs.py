# SPDX-License-Identifier: Apache-2.0

"""The local cloud with backups on a real NFS share."""

import pathlib
import subprocess
import sys

from local_cloud.machine import uml
from local_cloud.servers import nfs_server
from local_cloud.services import nfs
from tests import cloud_cases
from tests import nfs_uml

_ROOT = pathlib.Path(__file__).parents[2]
_RECOVERY = ('cinder_backup_recovery_tests.scenario.test_row_loss.'
             'FullBackupRowLossTest.test_hard_loss_restored_to_new_volume')

# What Cinder has mounted no other process sees. A deleted backup leaves the
# directories above it on the share.
_COMMAND = f'''
cd {_ROOT} && {sys.executable} -m testtools.run {_RECOVERY} &&
find "$LOCAL_CLOUD_STATE_DIR"/data/nfs/shares/backups -mindepth 2 | wc -l &&
! grep ' nfs4 ' /proc/self/mounts &&
cat /proc/*/mounts 2> /dev/null | grep -c '127.0.0.1:/backups .* nfs4 '
'''


class NFSProfileTest(cloud_cases.CloudCase):

    def setUp(self):
        super().setUp()
        nfs_uml.need(nfs.missing())

    def test_backup_is_recovered_from_nfs(self):
        """On this kernel or in UML: the program finds out which."""
        # The test itself refuses a backup of another driver.
        done = subprocess.run(
            [*cloud_cases.PROGRAM, 'run', '--backup', 'nfs', '--', 'sh',
             '-c', _COMMAND], env=self.environment, cwd=self.temporary,
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=600)
        report = done.stdout + done.stderr
        self.assertEqual(0, done.returncode, report)
        directories, mounts = done.stdout.split()[-2:]
        self.assertLess(0, int(directories), report)
        self.assertLess(0, int(mounts), report)
        self.assertEqual(
            nfs_server.cannot_mount() != '',
            'running in User-Mode Linux' in done.stderr, report)
        self.assertEqual(
            nfs_server.cannot_mount() != '' and uml.limit(4096) != '',
            'warning: vm.max_map_count' in done.stderr, report)
        self.assert_nothing_left()
