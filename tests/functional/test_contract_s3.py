# SPDX-License-Identifier: Apache-2.0

"""The contract, for S3: a real RADOS Gateway on a real Ceph."""

from unittest import mock
import uuid

from botocore import awsrequest
from cinder import exception
from oslo_utils import importutils
import testtools

from backup_stores import s3 as s3_store
from local_cloud import fixture
from local_cloud import settings
from local_cloud import sites
from local_cloud.servers import ceph_packages
from local_cloud.services import s3 as local_s3
from reference_drivers import options
from reference_drivers.contract import base
from reference_drivers.contract import records
from reference_drivers.contract import recovery
from reference_drivers.contract import trust
from reference_drivers.verification import threads
from tests import leftovers
from tests import required
from tests import salvage_cases
from tests.functional import unanswered_cases
from tests.functional import zeros_cases


def need_gateway():
    """Skip where it is not installed, unless it has to be."""
    if missing := ceph_packages.missing_for_gateway():
        required.missing('CBRT_REQUIRE_CEPH', missing)


class S3:
    """One gateway for all tests of a class."""

    driver = 'reference_drivers.s3.S3BackupDriver'
    chunk_option = 'backup_s3_object_size'
    block_option = 'backup_s3_block_size'
    # More than a page of a listing has.
    many = 1100

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        need_gateway()
        cls.local = fixture.LocalCloud('s3', without=unanswered_cases.WITHOUT)
        cls.local.setUp()
        cls.addClassCleanup(cls.local.cleanUp)
        key, secret = local_s3.S3(cls.local.state).keys(sites.FIRST)
        cls.options = {
            'backup_s3_endpoint_url': settings.url(cls.local.state, 's3'),
            'backup_s3_store_access_key': key,
            'backup_s3_store_secret_key': secret,
            'backup_s3_enable_progress_timer': False,
        }

    def setUp(self):
        # A bucket for each test, or each would look at more objects.
        self.options = {**self.options,
                        'backup_s3_store_bucket': uuid.uuid4().hex}
        super().setUp()

    def make_objects(self):
        return s3_store.S3Store.from_cinder(self.cinder.config.conf)


class S3Test(S3, unanswered_cases.Unanswered, records.Records,
             leftovers.Scanned, salvage_cases.Salvaged):
    backend = 's3'

    def test_s3_hangs(self):
        """An error within the time-out; undone, all is well."""
        self.assert_unanswered(self.hanging, local_s3.S3.name,
                               'did not answer')

    def test_s3_is_stopped(self):
        """The client asks again and again.

        Until the time is over, or until it has made all its attempts, between
        which it waits for random times.
        """
        self.assert_unanswered(self.stopped, local_s3.S3.name,
                               'did not answer', 'Could not connect')

    def _sent(self):
        """The headers with which an object is written without an MD5."""
        self.cinder.configure(backup_s3_md5_validation=False)
        found = []
        real = awsrequest.AWSPreparedRequest.__init__

        def prepared(request, method, url, headers, *args, **kwargs):
            if method == 'PUT':
                found.append({name.lower() for name in headers})
            real(request, method, url, headers, *args, **kwargs)

        with mock.patch.object(awsrequest.AWSPreparedRequest, '__init__',
                               prepared):
            backup, = self.chain(base.text(self.chunk))
        self.assert_restores(backup, base.text(self.chunk))
        return {name for one in found for name in one
                if name.startswith('x-amz-checksum')}

    def test_checksums_of_requests(self):
        """As the option says, and not as the client would by default."""
        self.assertEqual(set(), self._sent())
        self.cinder.configure(**{
            f'{options.GROUP}__s3_request_checksums': 'when_supported'})
        self.assertNotEqual(set(), self._sent())

    def test_missing_bucket_and_missing_object(self):
        """Told apart from each other, and from what may not be read."""
        backup, = self.chain(base.text(self.chunk))
        record = self.cinder.export(backup)

        def reason(**changes):
            self.cinder.lose_row(backup.id)
            self.cinder.configure(**changes)
            self.assertRaises(exception.InvalidBackup,
                              self.cinder.import_record, record)
            return self.cinder.backup(backup.id).fail_reason

        refused = reason(backup_s3_store_secret_key='x' * 40)
        self.assertIn('cannot be listed', refused)
        self.assertIn('SignatureDoesNotMatch', refused)
        secret = self.options['backup_s3_store_secret_key']
        name = f'{backup.service_metadata}_metadata'
        self.objects.delete(backup.container, name)
        self.assertIn(f'object {name} is missing', reason(
            backup_s3_store_secret_key=secret))
        for one in self.objects.list(backup.container):
            self.objects.delete(backup.container, one)
        self.assertIn('no object with prefix', reason())
        self.objects.remove_container(backup.container)
        self.assertIn(f'container {backup.container} is missing', reason())

    def test_located_in_a_bucket_of_a_user(self):
        """As it is asked for where the row of a parent is lost."""
        backup, = self.chain(base.text(self.chunk))
        self.cinder.configure(backup_s3_store_bucket=uuid.uuid4().hex)
        # A bucket that is missing is no answer.
        self.objects.make_container(
            self.cinder.driver().backup_default_container)
        self.assertEqual(
            (backup.container, backup.service_metadata),
            self.cinder.driver().get_store().locate(
                backup.id, backup.volume_id))

    def test_client_for_one_more_reader(self):
        """It is configured as the one that Cinder's driver makes."""
        self.cinder.configure(
            backup_s3_timeout=7, backup_s3_retry_max_attempts=2,
            backup_s3_max_pool_connections=3, backup_s3_verify_ssl=False)
        driver = self.cinder.driver()
        store = driver.get_store()
        with mock.patch.object(threads, 'green', return_value=True):
            other = store.clone()
        self.addCleanup(other.close)
        self.assertIsNot(store.driver.conn, other.driver.conn)
        one, two = (client.meta.config
                    for client in (driver.conn, other.driver.conn))
        for name in ('connect_timeout', 'read_timeout', 'retries',
                     'max_pool_connections', 'proxies',
                     'request_checksum_calculation'):
            self.assertEqual(getattr(one, name), getattr(two, name), name)


class Certified:
    """A contract, where it is not a part of a certification."""

    @classmethod
    def setUpClass(cls):
        if importutils.try_import('tempest'):
            raise cls.skipException('test_certify_s3 certifies the driver')
        super().setUpClass()


class WholeS3Test(Certified, S3, trust.TrustContract, testtools.TestCase):
    """All of the contract of the reference driver."""


class InTreeS3Test(Certified, S3, zeros_cases.ZerosOfIncremental,
                   recovery.ChunksContract, testtools.TestCase):
    """Cinder's own driver, whose records say nothing of the storage."""

    driver = 'cinder.backup.drivers.s3.S3BackupDriver'
