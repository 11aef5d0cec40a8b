# SPDX-License-Identifier: Apache-2.0

"""Points between two steps of Cinder where a test can hold requests.

A directory that :mod:`local_cloud.faults` makes arms a point for one backup,
or for the volume of one that is made: a request that arrives there puts a
file into it and waits until the file is gone, alone or with the directory.
Without the directory a request goes on.
"""

from collections.abc import Callable
import functools
import os
import threading
import time
from typing import Any
import uuid

#: Seconds after which a request goes on that a killed test has left.
_PATIENCE = 300


def _hold(directory: str, point: str, resource_id: Any) -> None:
    try:
        # An import's id is whatever its record has; it becomes a path here.
        name = f'{point}.{uuid.UUID(resource_id)}'
    except (AttributeError, TypeError, ValueError):
        return
    # In the order in which they arrive.
    held = os.path.join(directory, name,
                        f'{time.monotonic_ns():020}.{uuid.uuid4().hex}')
    try:
        open(held, 'x').close()
    except FileNotFoundError:
        return
    deadline = time.monotonic() + _PATIENCE
    while os.path.exists(held) and time.monotonic() < deadline:
        time.sleep(0.01)


def _around(owner: Any, name: str, before: Callable[..., None] | None = None,
            after: Callable[..., None] | None = None) -> None:
    original = getattr(owner, name)

    @functools.wraps(original)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if before is not None:
            before(self, *args, **kwargs)
        try:
            return original(self, *args, **kwargs)
        finally:
            if after is not None:
                after(self, *args, **kwargs)

    setattr(owner, name, call)


def install(directory: str) -> None:
    """Add the points to this process."""
    _of_the_api(directory)
    _of_the_service(directory)


def _of_the_api(directory: str) -> None:
    """Between the check of a status and its change by the API."""
    from cinder import quota
    from cinder.backup import api
    from cinder.objects import backup as backup_objects

    # The request of this thread that is in the API's class for backups.
    under_way = threading.local()

    def begin(point: str, resource_id: Any) -> None:
        under_way.at = point, resource_id

    def end(*args: Any, **kwargs: Any) -> None:
        under_way.at = None

    def checked(*points: str) -> Callable[..., None]:
        def hold(*args: Any, **kwargs: Any) -> None:
            at = getattr(under_way, 'at', None)
            if at is not None and at[0] in points:
                _hold(directory, *at)

        return hold

    def creating(self: Any, context: Any, name: Any, description: Any,
                 volume_id: Any, *args: Any, **kwargs: Any) -> None:
        begin('create-request', volume_id)

    def deleting(self: Any, context: Any, backup: Any, force: bool = False
                 ) -> None:
        begin('delete-request', backup.id)

    def restoring(self: Any, context: Any, backup_id: Any, *args: Any,
                  **kwargs: Any) -> None:
        begin('restore-request', backup_id)

    def importing(self: Any) -> None:
        _hold(directory, 'import-request', self.id)

    _around(api.API, 'create', creating, end)
    _around(api.API, 'delete', deleting, end)
    _around(api.API, 'restore', restoring, end)
    # The first call of each after its last check.
    _around(quota.QuotaEngine, 'reserve', checked('create-request'))
    _around(api.API, '_get_available_backup_service_host',
            checked('delete-request', 'restore-request'))
    _around(backup_objects.BackupImport, 'create', importing)


def _of_the_service(directory: str) -> None:
    """In cinder-backup, which has taken a request."""
    from cinder.backup import manager
    from cinder.objects import backup as backup_objects

    # The import of this thread.
    under_way = threading.local()

    def taken(point: str) -> Callable[..., None]:
        def hold(self: Any, context: Any, backup: Any, *args: Any,
                 **kwargs: Any) -> None:
            _hold(directory, point, backup.id)

        return hold

    def importing(self: Any, context: Any, backup: Any, backup_service: str,
                  backup_url: str, backup_hosts: Any) -> None:
        # A host of another driver only forwards it.
        if self._is_our_backup(backup_service):
            _hold(directory, 'import', backup.id)
            under_way.id = backup.id

    def imported(*args: Any, **kwargs: Any) -> None:
        under_way.id = None

    def saved(self: Any) -> None:
        # With the record's fields; its status comes with the next one.
        if self.status == 'creating' and self.id == getattr(
                under_way, 'id', None):
            _hold(directory, 'import-saved', self.id)

    def creating(point: str) -> Callable[..., None]:
        def hold(self: Any, context: Any, backup: Any, *args: Any,
                 **kwargs: Any) -> None:
            _hold(directory, point, backup.volume_id)

        return hold

    def marked(self: Any) -> None:
        _hold(directory, 'delete-quota', self.id)

    for point, name, hold in (
            ('export', 'export_record', taken),
            ('delete', 'delete_backup', taken),
            ('restore', 'restore_backup', taken),
            ('create', 'create_backup', creating),
            ('create-data', 'continue_backup', creating)):
        _around(manager.BackupManager, name, hold(point))
    _around(manager.BackupManager, 'import_record', importing, imported)
    _around(backup_objects.Backup, 'save', after=saved)
    _around(backup_objects.Backup, 'destroy', after=marked)
