# SPDX-License-Identifier: Apache-2.0

"""Cinder's S3 driver, with records that can be trusted."""

from cinder import interface
from cinder.backup.drivers import s3

from reference_drivers import hooks
from reference_drivers.verification import store


class S3Store(store.FlatStore):
    """Lengths of objects, and search for a backup, beyond a listing."""

    def url(self, container, prefix):
        return f's3://{container}/{prefix}'

    def entries(self, container, prefix):
        for page in self._pages(Bucket=container, Prefix=prefix):
            for found in page.get('Contents', ()):
                yield store.Entry(found['Key'], found['Size'])

    def directories(self, container, prefix):
        for page in self._pages(Bucket=container, Prefix=prefix,
                                Delimiter='/'):
            for found in page.get('CommonPrefixes', ()):
                yield found['Prefix']

    def first(self, container, prefix, after):
        page = self.driver.conn.list_objects_v2(
            Bucket=container, Prefix=prefix, StartAfter=after, MaxKeys=1)
        return page['Contents'][0]['Key'] if page['KeyCount'] else None

    def _pages(self, **query):
        paginator = self.driver.conn.get_paginator('list_objects_v2')
        return paginator.paginate(**query)


@interface.backupdriver
class VerifiedS3BackupDriver(hooks.VerifyMixin, s3.S3BackupDriver):

    store_kind = 's3'

    def get_store(self):
        return S3Store(self)
