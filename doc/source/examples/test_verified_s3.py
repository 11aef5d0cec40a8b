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

import boto3
import testtools

from reference_drivers.contract import stores
from reference_drivers.contract import trust


class S3Objects(stores.ObjectStore):
    """How the tests look into the store, and damage it.

    For the program it is ``driver.store`` of a profile.

    :param conf: Cinder's configuration
    """

    def __init__(self, conf):
        self.conf = conf
        self.s3 = boto3.client(
            's3', endpoint_url=conf.backup_s3_endpoint_url,
            aws_access_key_id=conf.backup_s3_store_access_key,
            aws_secret_access_key=conf.backup_s3_store_secret_key)

    def list(self, container, prefix=''):
        pages = self.s3.get_paginator('list_objects_v2')
        return [found['Key']
                for page in pages.paginate(Bucket=container, Prefix=prefix)
                for found in page.get('Contents', ())]

    def read(self, container, name):
        answer = self.s3.get_object(Bucket=container, Key=name)
        return answer['Body'].read()

    def write(self, container, name, data):
        self.s3.put_object(Bucket=container, Key=name, Body=data)

    def delete(self, container, name):
        self.s3.delete_object(Bucket=container, Key=name)

    def stopped(self):
        return stores.redirected(self.conf, 'backup_s3_endpoint_url')

    def paused(self):
        return stores.redirected(self.conf, 'backup_s3_endpoint_url',
                                 hanging=True)


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
        return S3Objects(self.cinder.config.conf)


class VerifiedS3Test(S3, trust.TrustContract, testtools.TestCase):

    driver = 'verified_s3.VerifiedS3BackupDriver'
