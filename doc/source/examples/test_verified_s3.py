# SPDX-License-Identifier: Apache-2.0

"""The contract, bound to the driver in verified_s3.py."""

import os
import uuid

import s3_store
import testtools

from reference_drivers.contract import trust


class S3:
    """The driver's options, from the environment."""

    chunk_option = 'backup_s3_object_size'
    block_option = 'backup_s3_block_size'

    def setUp(self):
        self.options = {
            'backup_s3_endpoint_url': os.environ['S3_ENDPOINT_URL'],
            'backup_s3_store_access_key': os.environ['S3_ACCESS_KEY'],
            'backup_s3_store_secret_key': os.environ['S3_SECRET_KEY'],
            # One for each test: no test sees what another one left.
            'backup_s3_store_bucket': f'contract-{uuid.uuid4()}',
            'backup_s3_enable_progress_timer': False,
        }
        super().setUp()

    def make_objects(self):
        return s3_store.S3Store.from_cinder(self.cinder.config.conf)


class VerifiedS3Test(S3, trust.TrustContract, testtools.TestCase):

    driver = 'verified_s3.VerifiedS3BackupDriver'
