# SPDX-License-Identifier: Apache-2.0

"""S3, as Cinder's S3 driver has it."""

from collections.abc import Iterator
import contextlib
import copy
from typing import Any
import urllib.parse

from cinder import interface
from cinder.backup.drivers import s3
from oslo_config import cfg

from reference_drivers import hooks
from reference_drivers import options
from reference_drivers.verification import store as stores
from reference_drivers.verification import threads

CONF = cfg.CONF


class S3Store(stores.FlatStore):
    """Buckets of S3."""

    def clone(self) -> 'S3Store':
        # A client serves many native threads. On eventlet its locks are those
        # of green threads, for which a native one would wait in vain.
        if not threads.green():
            return self
        driver = copy.copy(self.driver)
        driver.conn = self.driver.new_client()
        return type(self)(driver)

    def close(self) -> None:
        self.driver.conn.close()

    def url(self, container: str, prefix: str) -> str:
        # Not the endpoint: that has another name at another site.
        return f's3://{urllib.parse.quote(f"{container}/{prefix}")}'

    def entries(self, container: str, prefix: str
                ) -> Iterator[stores.Entry]:
        for page in self._pages(Bucket=container, Prefix=prefix):
            for found in page.get('Contents', ()):
                # Without an MD5. The ETag is that of the stored bytes only
                # where the store keeps them as they came: not of an object
                # in parts, nor of one that it encrypts with a customer's key
                # or one of a key service. A listing does not tell them
                # apart, and a copy in another bucket may have another ETag.
                yield stores.Entry(found['Key'], found['Size'])

    def pieces(self, container: str, name: str,
               extra_metadata: Any = None) -> Iterator[bytes]:
        query = {'Bucket': container, 'Key': name}
        if (CONF.backup_s3_sse_customer_algorithm and
                CONF.backup_s3_sse_customer_key):
            query.update(
                SSECustomerAlgorithm=CONF.backup_s3_sse_customer_algorithm,
                SSECustomerKey=CONF.backup_s3_sse_customer_key)
        done, left = 0, CONF.backup_s3_retry_max_attempts
        while True:
            answer = self.driver.conn.get_object(**query)
            body = answer['Body']
            try:
                for piece in body.iter_chunks(stores.PIECE):
                    done += len(piece)
                    yield piece
                return
            except (s3.boto_exc.HTTPClientError,
                    s3.boto_exc.IncompleteReadError):
                # The client repeats requests, but reads no answer twice.
                left -= 1
                if left <= 0:
                    raise
                query.update(Range=f'bytes={done}-', IfMatch=answer['ETag'])
            finally:
                body.close()

    def _places(self) -> Iterator[str]:
        conn = self.driver.conn
        yield self.driver.backup_default_container
        # Not each user may list the buckets, nor look into each.
        with contextlib.suppress(s3.boto_exc.ClientError):
            for one in conn.list_buckets()['Buckets']:
                if one['Name'] != self.driver.backup_default_container:
                    with contextlib.suppress(s3.boto_exc.ClientError):
                        conn.head_bucket(Bucket=one['Name'])
                        yield one['Name']

    def directories(self, container: str, prefix: str) -> Iterator[str]:
        for page in self._pages(Bucket=container, Prefix=prefix,
                                Delimiter='/'):
            for found in page.get('CommonPrefixes', ()):
                yield found['Prefix']

    def first(self, container: str, prefix: str, after: str) -> str | None:
        page = self.driver.conn.list_objects_v2(
            Bucket=container, Prefix=prefix, StartAfter=after, MaxKeys=1)
        return page['Contents'][0]['Key'] if page['KeyCount'] else None

    def _pages(self, **query: Any) -> Iterator[dict[str, Any]]:
        return self.driver.conn.get_paginator('list_objects_v2').paginate(
            **query)


@interface.backupdriver
class S3BackupDriver(hooks.VerifyMixin, s3.S3BackupDriver):
    """Backups in S3, with records that can be trusted."""

    store_kind = 's3'

    def __init__(self, context: Any):
        super().__init__(context)
        self._choose_checksums(self.conn)

    def new_client(self) -> Any:
        """One more client like that of Cinder's driver.

        The driver's constructor makes one, too, but takes locks of green
        threads, the database's among them, on which a native one hangs.
        """
        client = s3.boto3.client(
            's3', aws_access_key_id=CONF.backup_s3_store_access_key,
            aws_secret_access_key=CONF.backup_s3_store_secret_key,
            endpoint_url=CONF.backup_s3_endpoint_url,
            config=self.conn.meta.config,
            verify=CONF.backup_s3_verify_ssl and CONF.backup_s3_ca_cert_file)
        self._choose_checksums(client)
        return client

    @staticmethod
    def _choose_checksums(client: Any) -> None:
        # Of a client that exists: Cinder's driver takes no more options for
        # it, and releases of boto3 before 1.36 do not know this one.
        client.meta.config.request_checksum_calculation = (
            CONF[options.GROUP].s3_request_checksums)

    def get_store(self) -> S3Store:
        return S3Store(self)
