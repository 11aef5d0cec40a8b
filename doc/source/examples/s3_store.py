# SPDX-License-Identifier: Apache-2.0

"""Backups in S3, for the tests of a driver and for those of a cloud."""

import boto3

from backup_stores import chunked


class S3Store(chunked.ChunkedStore):
    """The buckets that one key may write to."""

    address_option = 'backup_s3_endpoint_url'

    def __init__(self, url, key=None, secret=None):
        # Without a key, boto3 looks into the environment.
        self.s3 = boto3.client('s3', endpoint_url=url, aws_access_key_id=key,
                               aws_secret_access_key=secret)

    @classmethod
    def from_cinder(cls, conf):
        return cls(conf.backup_s3_endpoint_url,
                   conf.backup_s3_store_access_key,
                   conf.backup_s3_store_secret_key)

    def check(self):
        self.s3.list_buckets()

    def list(self, container, prefix=''):
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
