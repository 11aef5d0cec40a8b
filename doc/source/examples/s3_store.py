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

"""Backups in S3, damaged by the tests on a cloud."""

import boto3

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.stores import chunked


class S3Store(chunked.ChunkedStore):
    """The buckets that one key may write to."""

    def __init__(self, **connection):
        self.s3 = boto3.client('s3', **connection)

    @classmethod
    def from_config(cls, conf, manager):
        # The keys are where boto3 looks for them.
        return cls(endpoint_url=conf.our_tests.s3_endpoint_url)

    def check(self):
        try:
            self.s3.list_buckets()
        except Exception as error:
            raise exceptions.InvalidConfiguration(
                f'[our_tests] s3_endpoint_url: {error}') from None

    def names(self, container, prefix):
        pages = self.s3.get_paginator('list_objects_v2')
        return [found['Key']
                for page in pages.paginate(Bucket=container, Prefix=prefix)
                for found in page.get('Contents', ())]

    def read(self, container, name):
        try:
            answer = self.s3.get_object(Bucket=container, Key=name)
        except self.s3.exceptions.NoSuchKey:
            return None
        return answer['Body'].read()

    def write(self, container, name, data):
        self.s3.put_object(Bucket=container, Key=name, Body=data)

    def delete(self, container, name):
        self.s3.delete_object(Bucket=container, Key=name)
