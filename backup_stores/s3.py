# SPDX-License-Identifier: Apache-2.0

"""Backups in buckets of S3."""

import base64
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import hashlib
from typing import Any
from typing import Self

from oslo_utils import importutils

from backup_stores import chunked

boto3: Any = importutils.try_import('boto3')
exceptions: Any = importutils.try_import('botocore.exceptions')

# What is said of an object besides its name and its bytes.
_METADATA = ('CacheControl', 'ContentDisposition', 'ContentEncoding',
             'ContentType', 'Metadata')


class S3Store(chunked.ChunkedStore):
    """The buckets of one user.

    :param url: the endpoint; without one, key and secret, boto3 searches
        the environment
    """

    can_copy = True
    address_option = 'backup_s3_endpoint_url'

    def __init__(self, url: str | None = None, key: str | None = None,
                 secret: str | None = None) -> None:
        self._s3 = boto3.client(
            's3', endpoint_url=url or None, aws_access_key_id=key or None,
            aws_secret_access_key=secret or None)
        # Not all servers take those that it sends by default since 1.36.
        self._s3.meta.config.request_checksum_calculation = 'when_required'

    @classmethod
    def from_cinder(cls, conf: Any) -> Self:
        return cls(conf.backup_s3_endpoint_url,
                   conf.backup_s3_store_access_key,
                   conf.backup_s3_store_secret_key)

    def check(self) -> None:
        """Raise an error if the user may not list buckets."""
        self._s3.list_buckets()

    def list(self, container: str, prefix: str = '') -> Sequence[str]:
        """Name the objects that begin with a prefix."""
        pages = self._s3.get_paginator('list_objects_v2')
        found: list[str] = []
        with _allowed('NoSuchBucket'):
            for page in pages.paginate(Bucket=container, Prefix=prefix):
                found += [one['Key'] for one in page.get('Contents', ())]
        return found

    def read(self, container: str, name: str) -> bytes | None:
        """Read an object, None if it does not exist."""
        with _allowed('NoSuchBucket', 'NoSuchKey'):
            return self._s3.get_object(Bucket=container,
                                       Key=name)['Body'].read()
        return None

    def write(self, container: str, name: str, data: bytes) -> None:
        """Make an object, or give it other bytes."""
        self._put(container, name, data)

    def delete(self, container: str, name: str) -> None:
        """Remove an object, if it exists."""
        with _allowed('NoSuchBucket'):
            self._s3.delete_object(Bucket=container, Key=name)

    def has_container(self, container: str) -> bool:
        with _allowed('404'):
            self._s3.head_bucket(Bucket=container)
            return True
        return False

    def make_container(self, container: str) -> None:
        """Make a bucket, if it does not exist."""
        with _allowed('BucketAlreadyOwnedByYou'):
            self._s3.create_bucket(Bucket=container)

    def remove_container(self, container: str) -> None:
        """Remove a bucket, if it exists and is empty."""
        with _allowed('NoSuchBucket', 'BucketNotEmpty'):
            self._s3.delete_bucket(Bucket=container)

    def copy_object(self, container: str, name: str, to: Self) -> None:
        """Copy an object with its metadata and its type."""
        found = self._s3.get_object(Bucket=container, Key=name)
        to._put(container, name, found['Body'].read(),
                **{key: found[key] for key in _METADATA if key in found})

    def _put(self, container: str, name: str, data: bytes, **said: Any
             ) -> None:
        # S3 compares the sum, and refuses what was broken on the way.
        md5 = hashlib.md5(data, usedforsecurity=False).digest()
        self._s3.put_object(Bucket=container, Key=name, Body=data,
                            ContentMD5=base64.b64encode(md5).decode(), **said)


@contextlib.contextmanager
def _allowed(*codes: str) -> Iterator[None]:
    """Go on where a request is answered with one of some errors."""
    try:
        yield
    except exceptions.ClientError as err:
        if err.response['Error']['Code'] not in codes:
            raise
