# SPDX-License-Identifier: Apache-2.0

"""The local cloud with backups on a real RADOS Gateway."""


import psutil
import testtools

from backup_stores import base as stores_base
from backup_stores import s3 as s3_store
from local_cloud import fixture
from local_cloud import settings
from local_cloud import sites
from local_cloud.machine import daemons
from local_cloud.services import s3
from tests import cloud_cases
from tests.functional import test_contract_s3 as contract

_RECOVERY = ('cinder_backup_recovery_tests.scenario.test_row_loss.'
             'FullBackupRowLossTest.test_hard_loss_restored_to_new_volume')


class S3ProfileTest(cloud_cases.TwoSites, testtools.TestCase):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        contract.need_gateway()
        cls.local = fixture.LocalCloud('s3', second_region=True)
        cls.local.setUp()
        cls.addClassCleanup(cls.local.cleanUp)
        cls.service = s3.S3(cls.local.state)

    def _store(self, site):
        """The adapter of the tests at one site."""
        store = s3_store.S3Store(settings.url(self.local.state, 's3'),
                                 *self.service.keys(site))
        store.check()
        return store

    def test_backup_is_recovered_from_s3(self):
        # The test itself refuses a backup of another driver.
        code, text = cloud_cases.recover(self.local, _RECOVERY)
        self.assertEqual(0, code, text)
        self.assertTrue(self._store(sites.FIRST).has_container(
            'volumebackups'))

    def test_listens_on_loopback_only(self):
        process = daemons.alive(self.local.state, 's3')
        self.assertEqual(
            [('127.0.0.1', self.local.state.record['ports']['s3'])],
            [tuple(one.laddr) for one in process.net_connections('tcp')
             if one.status == psutil.CONN_LISTEN])

    def test_kill_keeps_port_data_and_users(self):
        store = self._store(sites.FIRST)
        store.make_container('kept')
        store.write('kept', 'name', b'data')
        port = self.local.state.record['ports']['s3']
        self.local.cloud.stop('s3')
        self.local.cloud.up('s3', second_region=True)
        self.assertEqual(port, self.local.state.record['ports']['s3'])
        store = self._store(sites.FIRST)
        self.assertEqual(b'data', store.read('kept', 'name'))
        store.write('kept', 'name', b'other')
        self.assertEqual(b'other', store.read('kept', 'name'))

    def test_copied_to_the_buckets_of_the_other_site(self):
        """With all that is said of an object, and nothing else's."""
        here, there = (self._store(site)
                       for site in (sites.FIRST, sites.SECOND))
        container, prefix = 'some-backups', 'volume_1/20261122/az_ü_backup_b'
        said = {'ContentType': 'text/x-backup', 'ContentEncoding': 'zstd',
                'ContentDisposition': 'attachment',
                'Metadata': {'kind': 'full'}}
        here.make_container(container)
        for name, extra in ((f'{prefix}-00001', said),
                            (f'{prefix}_metadata', {}), ('another', {})):
            here._put(container, name, name.encode() * 9, **extra)
        backup = stores_base.Backup('b', '', container, prefix, None, {})
        parts = self.copy(backup, here, there)
        head = there._s3.head_object(Bucket=container, Key=f'{prefix}-00001')
        self.assertEqual(said, {key: head.get(key) for key in said})
        self.remove(backup, parts, here, there)
