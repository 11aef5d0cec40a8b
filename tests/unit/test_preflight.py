# SPDX-License-Identifier: Apache-2.0

"""The checks of a certification before it begins, without a cloud."""

from unittest import mock

import testtools

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.certification.run import preflight
from tests.unit import test_config


class RoomTest(testtools.TestCase):

    def check(self, long_chains=True, **limits):
        """Check a project with room for all tests, but for these limits."""
        found = {}
        for limit, used, needed in (('Backups', 'Backups', 9),
                                    ('BackupGigabytes', 'BackupGigabytes', 18),
                                    ('Volumes', 'Volumes', 2),
                                    ('VolumeGigabytes', 'Gigabytes', 6)):
            found[f'maxTotal{limit}'] = needed + 3
            found[f'total{used}Used'] = 3
        manager = mock.Mock()
        show = manager.volume_limits_client_latest.show_limits
        show.return_value = {'limits': {'absolute': {**found, **limits}}}
        with mock.patch.object(preflight, 'CONF', test_config.make_conf(**{
                'cinder_backup_recovery.volume_size': 2,
                'cinder_backup_recovery_feature_enabled.long_chains':
                    long_chains})):
            preflight._check_room(manager)

    def refused(self, **limits):
        return str(self.assertRaises(exceptions.InvalidConfiguration,
                                     self.check, **limits))

    def test_enough(self):
        self.check()
        self.check(maxTotalBackups=-1, maxTotalVolumes=-1)

    def test_one_too_few(self):
        self.assertEqual(
            'the project has room for 8 more backups, and the tests need 9: '
            'delete some, ask for more, or set can.long_chains to false',
            self.refused(maxTotalBackups=11))
        for limits, what in (
                ({'totalBackupGigabytesUsed': 4}, '17 more GiB of backups'),
                ({'totalVolumesUsed': 4}, '1 more volumes'),
                ({'maxTotalVolumeGigabytes': 8},
                 '5 more GiB of volumes and snapshots')):
            self.assertIn(f'has room for {what}, and', self.refused(**limits))

    def test_without_long_chains(self):
        self.check(long_chains=False, maxTotalBackups=6)
        self.assertEqual(
            'the project has room for 2 more backups, and the tests need 3: '
            'delete some, ask for more',
            self.refused(long_chains=False, maxTotalBackups=5))
