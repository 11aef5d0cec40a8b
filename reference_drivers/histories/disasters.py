# SPDX-License-Identifier: Apache-2.0

"""Losses and damage on a cloud in this process."""

from collections.abc import Collection
from collections.abc import Iterator
import contextlib
import sqlite3
from typing import Any

from reference_drivers.contract import environment
from reference_drivers.histories import away
from reference_drivers.histories import parts


class Disasters(parts.Part):
    """Disasters, and what is done about them."""

    def __init__(self) -> None:
        super().__init__()
        # The content of what was damaged, before that.
        self._damaged: dict[tuple[str, str], bytes] = {}
        # The database of an empty cloud.
        self._empty: sqlite3.Connection

    def _copy_of_database(self) -> sqlite3.Connection:
        made = sqlite3.connect(':memory:', check_same_thread=False)
        self._database.backup(made)
        return made

    def _remember_empty_database(self) -> None:
        # It is in memory, and has one connection.
        connection: Any = environment.db.get_engine().raw_connection()
        self._database = connection.driver_connection
        self._empty = self._copy_of_database()
        self.addCleanup(self._empty.close)

    def _replace_database(self, other: sqlite3.Connection) -> None:
        self._seen = None
        other.backup(self._database)

    def lose_database(self) -> None:
        self._replace_database(self._empty)

    @contextlib.contextmanager
    def second_site(self, objects: Collection[str]) -> Iterator[None]:
        stored = {key: self.store.read(*key) or b''
                  for key in self._objects()}
        for key in stored:
            if '/'.join(key) not in objects:
                self.store.delete(*key)
        with contextlib.closing(self._copy_of_database()) as first:
            self.lose_database()
            try:
                yield
            finally:
                for key in self._objects():
                    self.store.delete(*key)
                for key, content in stored.items():
                    self.store.write(*key, content)
                self._replace_database(first)

    def away(self, after: int) -> contextlib.AbstractContextManager[None]:
        conf = environment.CONF
        return away.kept_away(conf.backup_driver, after) or (
            self.store.stopped(conf) or contextlib.nullcontext())

    def lose(self, backups: list[str], soft: bool) -> None:
        self._seen = None
        for one in backups:
            row = self._project_and_size(one)
            if row is None:
                continue
            project, size = row
            self.cinder.lose_row(one, soft)
            with environment.db.get_engine().begin() as connection:
                for resource, amount in (('backups', 1),
                                         ('backup_gigabytes', size or 0)):
                    connection.exec_driver_sql(
                        'UPDATE quota_usages SET in_use = in_use - ? WHERE '
                        'project_id = ? AND resource = ?',
                        (amount, project, resource))

    @staticmethod
    def _project_and_size(backup: str) -> tuple[str, int | None] | None:
        """Of the row of a backup, None if there is none."""
        with environment.db.get_engine().connect() as connection:
            found = connection.exec_driver_sql(
                'SELECT project_id, size FROM backups WHERE id = ? AND '
                'deleted = 0', (backup,)).first()
            return tuple(found) if found else None

    def damage(self, objects: list[str], gone: bool = False) -> None:
        self._seen = None
        for name in objects:
            for key in self._objects():
                if '/'.join(key) != name:
                    continue
                content = self.store.read(*key) or b''
                if gone:
                    self._damaged.setdefault(key, content)
                    self.store.delete(*key)
                elif key not in self._damaged:
                    self._damaged[key] = content
                    self.store.write(*key, content[:-1] + bytes(
                        [content[-1] ^ 1]) if content else b'x')

    def repair(self) -> None:
        self._seen = None
        for key, content in self._damaged.items():
            self.store.write(*key, content)
        self._damaged.clear()
