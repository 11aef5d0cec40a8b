# SPDX-License-Identifier: Apache-2.0

"""The documentation's example, on the S3 API of a real Swift."""

import os
import pathlib
import sys

import fixtures
from oslo_config import cfg
import testtools

from backup_stores import base as stores_base
from cinder_backup_recovery_tests import config
from cinder_backup_recovery_tests import record
from cinder_backup_recovery_tests import stores
from cinder_backup_recovery_tests.cloud import ledger
from cinder_backup_recovery_tests.stores import damaging
from local_cloud import fixture
from local_cloud import identity
from local_cloud import settings
from reference_drivers.contract import recovery
from tests.functional import zeros_cases

_EXAMPLES = pathlib.Path(__file__).parents[2] / 'doc' / 'source' / 'examples'

# Where the driver is found by its name, as in a vendor's virtualenv.
sys.path.append(str(_EXAMPLES))

import test_verified_s3 as example  # noqa: E402


class OnSwift:
    """One Swift and one Keystone for all tests of a class."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        local = fixture.LocalCloud(
            'swift', without=('cinder-volume', 'cinder-backup'))
        local.setUp()
        cls.addClassCleanup(local.cleanUp)
        session = identity.Session(local.state)
        user, = session.get('keystone', '/users?name=' +
                            settings.ADMIN_USER)['users']
        key = session.request(
            'POST', 'keystone', f'/users/{user["id"]}/credentials/OS-EC2',
            json={'tenant_id': session.project_id})['credential']
        cls.variables = {
            'S3_ENDPOINT_URL': settings.url(local.state, 'swift'),
            'S3_ACCESS_KEY': key['access'],
            'S3_SECRET_KEY': key['secret'],
        }

    def setUp(self):
        for name, value in self.variables.items():
            self.useFixture(fixtures.EnvironmentVariable(name, value))
        super().setUp()


class VerifiedS3Test(OnSwift, example.VerifiedS3Test):
    many = 200

    def test_the_same_store_for_a_cloud(self):
        """It damages backups of a real driver, and undoes it."""
        (_, _, top), _, (_, _, other) = self.backups()
        for name, ours in (('AWS_ACCESS_KEY_ID', 'S3_ACCESS_KEY'),
                           ('AWS_SECRET_ACCESS_KEY', 'S3_SECRET_KEY')):
            self.useFixture(fixtures.EnvironmentVariable(
                name, os.environ[ours]))
        conf = cfg.ConfigOpts()
        conf.register_opts(config.BackupStoreOptions,
                           'cinder_backup_recovery')
        conf([])
        conf.set_override('backup_store_options', {
            'url': os.environ['S3_ENDPOINT_URL']}, 'cinder_backup_recovery')
        store = stores.make(conf, 's3_store.S3Store', self.fail)
        store.check()
        own = ledger.Ledger(self.useFixture(fixtures.TempDir()).path)
        self.addCleanup(own.close)
        damager = damaging.Damager(store, 's3', own, 'project')
        backup, its_other = (
            stores_base.Backup.from_fields(record.BackupRecord.from_api(
                self.cinder.export(one)).fields) for one in (top, other))
        for one in (backup, its_other):
            own.add('backup', one.id)
        before = self.objects.contents(top.container)
        for damage in store.damages(backup):
            with damager.damaged(damage, backup, its_other):
                self.assertNotEqual(
                    before, self.objects.contents(top.container), damage)
            self.assertEqual(
                before, self.objects.contents(top.container), damage)


class InTreeS3Test(OnSwift, example.S3, zeros_cases.ZerosOfIncremental,
                   recovery.RecoveryContract, testtools.TestCase):
    """Cinder's own driver, whose records say nothing of the storage."""

    driver = 'cinder.backup.drivers.s3.S3BackupDriver'
