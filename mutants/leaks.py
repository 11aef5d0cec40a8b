# SPDX-License-Identifier: Apache-2.0
"""Drivers that leave something in their process, or beside their store."""

import os
import tempfile
import threading
from typing import Any

from mutants import catalogue
from reference_drivers import default
from reference_drivers.verification import errors

_OPEN = 'nothing_stays_open'


@catalogue.mutant(_OPEN)
class LeavesFilesOpen(default.DefaultBackupDriver):
    """Each import opens a file that nothing closes."""

    def import_record(self, backup: Any, driver_info: Any) -> None:
        super().import_record(backup, driver_info)
        os.open(self.backup_path, os.O_RDONLY)


@catalogue.mutant(_OPEN)
class LeavesFilesOpenOnRefusal(default.DefaultBackupDriver):
    """Each refused import opens a file that nothing closes."""

    def import_record(self, backup: Any, driver_info: Any) -> None:
        super().import_record(backup, driver_info)
        update = backup.update

        def refusing(values: dict[str, Any]) -> None:
            try:
                update(values)
            except errors.Problem:
                os.open(self.backup_path, os.O_RDONLY)
                raise

        backup.update = refusing


@catalogue.mutant(_OPEN)
class LeavesFilesOpenOnDelete(default.DefaultBackupDriver):
    """Each deletion opens a file that nothing closes."""

    def delete_backup(self, backup: Any) -> None:
        super().delete_backup(backup)
        os.open(self.backup_path, os.O_RDONLY)


@catalogue.mutant(_OPEN)
class LeavesThreads(default.DefaultBackupDriver):
    """Each restore starts a thread that does not end."""

    def restore(self, backup: Any, volume_id: str, volume_file: Any,
                volume_is_new: bool) -> None:
        super().restore(backup, volume_id, volume_file, volume_is_new)
        threading.Thread(target=threading.Event().wait, daemon=True).start()


@catalogue.mutant(_OPEN)
class LeavesTemporaryFiles(default.DefaultBackupDriver):
    """Each backup leaves a temporary file."""

    def backup(self, backup: Any, volume_file: Any,
               backup_metadata: bool = True) -> Any:
        os.close(tempfile.mkstemp()[0])
        return super().backup(backup, volume_file, backup_metadata)
