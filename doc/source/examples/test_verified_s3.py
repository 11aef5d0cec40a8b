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
