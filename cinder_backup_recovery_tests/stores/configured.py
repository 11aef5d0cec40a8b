# SPDX-License-Identifier: Apache-2.0

"""The stores of this project, with the options of Tempest's configuration."""

from collections.abc import Callable
import functools
from typing import Any
from typing import Self

from tempest.lib import exceptions as lib_exc

from backup_stores import filesystem
from backup_stores import rbd
from backup_stores import s3
from backup_stores import swift
from cinder_backup_recovery_tests import exceptions


class FilesystemStore(filesystem.FilesystemStore):
    """Cinder's POSIX and NFS drivers, by a path on the test host."""

    @classmethod
    def from_config(cls, conf: Any, manager: Callable[[], Any]) -> Self:
        return cls._from_option(conf, 'backup_store_path')

    @classmethod
    def second_from_config(cls, conf: Any, manager: Callable[[], Any]
                           ) -> Self:
        return cls._from_option(
            conf, 'second_backup_store_path',
            '[cinder_backup_recovery_feature_enabled] second_store is true '
            'and ')

    @classmethod
    def _from_option(cls, conf: Any, option: str, because: str = '') -> Self:
        path = getattr(conf.cinder_backup_recovery, option)
        if not path:
            raise exceptions.InvalidConfiguration(
                f'{because}[cinder_backup_recovery] backup_store is '
                f'filesystem, but {option} is not set')
        return cls(path)


class RbdStore(rbd.RbdStore):
    """Cinder's Ceph driver."""

    @classmethod
    def from_config(cls, conf: Any, manager: Callable[[], Any]
                    ) -> rbd.RbdStore:
        group = conf.cinder_backup_recovery
        return cls.from_options(group.backup_store_ceph_conf,
                                group.backup_store_ceph_user,
                                group.backup_store_ceph_keyring,
                                group.backup_store_ceph_pool)


class S3Store(s3.S3Store):
    """Cinder's S3 driver, by keys of its user or of one like it."""

    @classmethod
    def from_config(cls, conf: Any, manager: Callable[[], Any]) -> Self:
        group = conf.cinder_backup_recovery
        return cls(group.backup_store_s3_url,
                   group.backup_store_s3_access_key,
                   group.backup_store_s3_secret_key)

    @classmethod
    def second_from_config(cls, conf: Any, manager: Callable[[], Any]
                           ) -> Self:
        group = conf.cinder_backup_recovery
        if not (group.second_backup_store_s3_url or
                group.second_backup_store_s3_access_key):
            raise exceptions.InvalidConfiguration(
                '[cinder_backup_recovery_feature_enabled] second_store is '
                'true and [cinder_backup_recovery] backup_store is s3, but '
                'neither second_backup_store_s3_url nor '
                'second_backup_store_s3_access_key is set')
        return cls(
            group.second_backup_store_s3_url or group.backup_store_s3_url,
            group.second_backup_store_s3_access_key,
            group.second_backup_store_s3_secret_key)


class SwiftStore(swift.SwiftStore):
    """Swift, in the account of the project that owns the backups.

    As with ``backup_swift_auth = per_user``: where all backups are in one
    account of the operator's, a test would need the right to damage those of
    all users.
    """

    @classmethod
    def from_config(cls, conf: Any, manager: Callable[[], Any]) -> Self:
        return cls(requests_of(manager().object_client))

    @classmethod
    def second_from_config(cls, conf: Any, manager: Callable[[], Any]
                           ) -> Self:
        group = conf.cinder_backup_recovery
        return cls(requests_of(manager().object_storage.ObjectClient(
            region=group.second_backup_store_region or group.second_region)))


def requests_of(client: Any) -> swift.Request:
    """Return a function that sends requests with one of Tempest's clients."""
    # The bytes that are stored, also of an object with a content-encoding:
    # urllib3 would decompress what it knows, with backports.zstd also zstd.
    client.http_obj.request = functools.partial(
        client.http_obj.request, decode_content=False)

    def request(method: str, path: str, headers: dict[str, str],
                body: bytes | None) -> tuple[int, dict[str, str], bytes]:
        try:
            found, data = client.request(method, path, headers=headers,
                                         body=body)
        except (lib_exc.NotFound, lib_exc.Conflict) as exc:
            return exc.resp.status, {}, b''
        return found.status, found, data

    return request
