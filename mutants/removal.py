# SPDX-License-Identifier: Apache-2.0
"""Drivers that delete too much or too little, or leave their store."""

import contextlib
import os
import shutil
from typing import Any

from cinder import exception
from cinder import objects
from cinder.backup import chunkeddriver

from mutants import catalogue
from reference_drivers import children
from reference_drivers import default
from reference_drivers import driver_info as driver_infos
from reference_drivers.verification import errors
from reference_drivers.verification import store

_DELETE = 'delete_removes_a_backup_and_no_other'
_RECORDS = 'records_that_contradict_the_storage'


@catalogue.mutant(_DELETE)
class DeletesNothing(default.DefaultBackupDriver):
    """The objects of a deleted backup stay."""

    def delete_backup(self, backup: Any) -> None:
        pass


@catalogue.mutant(_DELETE)
class LeavesMetadata(default.DefaultBackupDriver):
    """The metadata of a deleted backup stays."""

    def delete_object(self, container: str, object_name: str) -> None:
        if not object_name.endswith('_metadata'):
            super().delete_object(container, object_name)


@catalogue.mutant(_DELETE)
class DeletesEverything(default.DefaultBackupDriver):
    """The objects of all backups are deleted with those of one."""

    def delete_backup(self, backup: Any) -> None:
        for name in os.listdir(self.backup_path):
            shutil.rmtree(os.path.join(self.backup_path, name))


@catalogue.mutant(_DELETE,
                  resembles="Cinder's Ceph driver: two backups of snapshots "
                            "of one volume share an image")
class DeletesOthersOfVolume(default.DefaultBackupDriver):
    """Other backups of the volume are deleted with one of them."""

    def delete_backup(self, backup: Any) -> None:
        super().delete_backup(backup)
        for one in objects.BackupList.get_all_by_volume(
                self.context, backup.volume_id, backup.project_id):
            super().delete_backup(one)


class _TakesFromParent(default.DefaultBackupDriver):
    """Deletes some objects of the parent with an incremental backup."""

    taken = ''

    def delete_backup(self, backup: Any) -> None:
        super().delete_backup(backup)
        if backup.parent_id is None:
            return
        with contextlib.suppress(exception.BackupNotFound):
            parent = objects.Backup.get_by_id(self.context, backup.parent_id)
            for one in list(self.get_store().entries(
                    parent.container, parent.service_metadata)):
                if one.name.endswith(self.taken):
                    self.delete_object(parent.container, one.name)


@catalogue.mutant(_DELETE)
class DeletesWithParent(_TakesFromParent):
    """The parent is deleted with an incremental backup."""


@catalogue.mutant(_DELETE)
class DeletesChecksumsOfParent(_TakesFromParent):
    """With a backup the checksums go on which the next one is made."""

    taken = '_sha256file'


@catalogue.mutant('driver_info_of_100000_chunks')
class DeletesAThousand(default.DefaultBackupDriver):
    """The first thousand objects of a backup are deleted."""

    @staticmethod
    def _own_objects(*args: Any) -> list[str]:
        return default.DefaultBackupDriver._own_objects(*args)[:1000]


@catalogue.mutant('delete_spares_what_a_child_needs',
                  resembles="Cinder's own drivers, where the child is of "
                            "another project")
class DeletesParents(default.DefaultBackupDriver):
    """A backup is deleted on which an incremental one was made."""

    def _refuse_parent(self, *args: Any) -> None:
        pass


@catalogue.mutant('delete_spares_what_a_child_needs')
class DeletesParentsWithoutRows(default.DefaultBackupDriver):
    """The same, where the row of the child was lost."""

    def _refuse_parent(self, store: Any, backup: Any, container: str) -> None:
        rows = children.rows_of_volume(self.context, backup)
        children.refuse_in_rows(rows, backup)


@catalogue.mutant('rows_that_name_what_is_not_theirs',
                  resembles="Cinder's chunked drivers: they delete whatever "
                            "begins with service_metadata")
class DeletesWhatRowNames(default.DefaultBackupDriver):
    """Whatever begins with the row's service_metadata is deleted."""

    def delete_backup(self, backup: Any) -> None:
        chunkeddriver.ChunkedBackupDriver.delete_backup(self, backup)


class _Tolerates(default.DefaultBackupDriver):
    """Imports a backup from a place that cannot be its own."""

    #: Rules of a location that may be broken.
    rules: tuple[str, ...]
    #: In this field, where it is one.
    field = ''

    def import_verify(self, backup: Any, driver_info: Any
                      ) -> dict[str, Any]:
        try:
            return super().import_verify(backup, driver_info)
        except errors.BadLocation as err:
            if not self._tolerated(err):
                raise
            return driver_infos.model_update(driver_info, None)

    def _compare(self, backup_id: str, values: dict[str, Any],
                 verified: dict[str, Any]) -> None:
        try:
            super()._compare(backup_id, values, verified)
        except errors.BadLocation as err:
            if not self._tolerated(err):
                raise

    def _tolerated(self, err: errors.BadLocation) -> bool:
        return err.detail in self.rules and (
            not self.field or err.name == self.field)


@catalogue.mutant(_RECORDS,
                  resembles="Cinder's POSIX and NFS drivers: they join any "
                            "container to their path")
class LeavesStore(_Tolerates):
    """A container is accepted that leads out of the store."""

    rules = (store.OUTSIDE,)


@catalogue.mutant(_RECORDS)
class AcceptsEmptyPrefix(_Tolerates):
    """An empty service_metadata is accepted, which all objects begin with."""

    rules = (store.EMPTY,)
    field = 'service_metadata'


@catalogue.mutant(_RECORDS)
class AcceptsAnyPrefix(_Tolerates):
    """A service_metadata is accepted that is not of this backup."""

    rules = (store.OF_ANOTHER,)


@catalogue.mutant(_RECORDS)
class AcceptsControlCharacters(_Tolerates):
    """A container with a control character is accepted."""

    rules = (store.CONTROL,)
