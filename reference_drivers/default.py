# SPDX-License-Identifier: Apache-2.0

"""The default: a directory, as Cinder's POSIX driver has it."""

from typing import Any

from cinder import interface
from cinder.backup.drivers import posix

from reference_drivers import hooks
from reference_drivers.verification import errors
from reference_drivers.verification import store as stores


class ConfinedMixin:
    """Keeps a driver inside its directory.

    Cinder's driver joins whatever container a user or a record names to its
    path, and an absolute one replaces it.
    """

    backup_path: str

    def get_store(self) -> stores.PosixStore:
        return stores.PosixStore(self)

    def put_container(self, container: str) -> None:
        self.get_store().directory(container)
        super().put_container(container)  # type: ignore[misc]

    def get_container_entries(self, container: str, prefix: str
                              ) -> list[str]:
        return [one.name for one in
                self.get_store().entries(container, prefix)]

    def get_object_reader(self, container: str, object_name: str,
                          extra_metadata: Any = None) -> Any:
        return self.get_store().open(container, object_name)

    def get_object_writer(self, container: str, object_name: str,
                          extra_metadata: Any = None) -> Any:
        self._check(container, object_name)
        return super().get_object_writer(  # type: ignore[misc]
            container, object_name, extra_metadata)

    def delete_object(self, container: str, object_name: str) -> None:
        self._check(container, object_name)
        super().delete_object(container, object_name)  # type: ignore[misc]

    def _check(self, container: str, object_name: str) -> None:
        self.get_store().directory(container)
        if '/' in object_name:
            raise errors.BadLocation(
                f'object {object_name[:100]!r} is not a name', object_name)


@interface.backupdriver
class DefaultBackupDriver(ConfinedMixin, hooks.VerifyMixin,
                          posix.PosixBackupDriver):
    """Backups in a directory, with records that can be trusted."""

    store_kind = 'posix'
