# SPDX-License-Identifier: Apache-2.0

"""Points between two steps of Cinder where a test can hold requests.

A directory that :mod:`local_cloud.faults` makes arms a point for one backup:
a request that arrives there puts a file into it and waits until the directory
is gone. Without the directory a request goes on.
"""

from collections.abc import Callable
import functools
import os
import time
from typing import Any
import uuid

#: Seconds after which a request goes on that a killed test has left.
_PATIENCE = 300


def _hold(directory: str, point: str, backup_id: Any) -> None:
    try:
        # An import's id is whatever its record has; it becomes a path here.
        name = f'{point}.{uuid.UUID(backup_id)}'
    except (AttributeError, TypeError, ValueError):
        return
    place = os.path.join(directory, name)
    try:
        open(os.path.join(place, uuid.uuid4().hex), 'x').close()
    except FileNotFoundError:
        return
    deadline = time.monotonic() + _PATIENCE
    while os.path.isdir(place) and time.monotonic() < deadline:
        time.sleep(0.01)


def _before(owner: Any, name: str, hold: Callable[..., None]) -> None:
    original = getattr(owner, name)

    @functools.wraps(original)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        hold(self, *args, **kwargs)
        return original(self, *args, **kwargs)

    setattr(owner, name, call)


def install(directory: str) -> None:
    """Add the points to this process."""
    from cinder.backup import manager
    from cinder.objects import backup as backup_objects

    def exporting(self: Any, context: Any, backup: Any) -> None:
        _hold(directory, 'export', backup.id)

    def importing(self: Any, context: Any, backup: Any, backup_service: str,
                  backup_url: str, backup_hosts: Any) -> None:
        # A host of another driver only forwards it.
        if self._is_our_backup(backup_service):
            _hold(directory, 'import', backup.id)

    def making(self: Any) -> None:
        _hold(directory, 'import-request', self.id)

    _before(manager.BackupManager, 'export_record', exporting)
    _before(manager.BackupManager, 'import_record', importing)
    _before(backup_objects.BackupImport, 'create', making)
