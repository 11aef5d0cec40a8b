# SPDX-License-Identifier: Apache-2.0

"""The parts of a cloud in this process that the others share."""

from collections.abc import Mapping
import contextlib
import hashlib
import sqlite3
from typing import Any

from cinder import context as cinder_context
from cinder import objects
import fixtures

from backup_model import engine as engines
from backup_stores import base as stores_base
from backup_stores import objects as object_stores
from reference_drivers.contract import environment

#: Ids of projects by name; Cinder takes hexadecimal digits.
PROJECTS = {f'project-{digit}': digit * 32 for digit in '12'}
NAMES = {value: key for key, value in PROJECTS.items()}


class Part(fixtures.Fixture):
    """The stored parts of the backups, and the last view of all."""

    cinder: environment.Environment
    store: object_stores.ObjectStore
    _database: sqlite3.Connection
    # That of each volume.
    _type_id: str

    def __init__(self) -> None:
        super().__init__()
        # Where each backup is stored, by its first row.
        self._places: dict[str, tuple[str, str]] = {}
        # The last view, as long as it is true.
        self._seen: engines.View | None = None
        # The backups that the API has listed, and the rows that it has read.
        self._listed: tuple[
            list[list[Any]], list[dict[str, Any]]] | None = None

    def _objects(self) -> dict[tuple[str, str], str]:
        """The objects of the backups that were made here, and no others."""
        return {(container, name): hashlib.md5(
                    self.store.read(container, name) or b'',
                    usedforsecurity=False).hexdigest()
                for container, prefix in self._places.values()
                for name in self.store.list(container, prefix)}

    def _find_places(self, containers: Mapping[str, str | None]) -> None:
        for one, container in containers.items():
            if one in self._places or (
                    self.store.has_containers and not container):
                continue
            # A row of a record that was changed may say anything.
            with contextlib.suppress(stores_base.StoreRefused):
                self._places[one] = self.store.locate(
                    objects.Backup.get_by_id(
                        cinder_context.get_admin_context(), one))
