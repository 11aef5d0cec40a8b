# SPDX-License-Identifier: Apache-2.0

"""How the tests look into the file of SQLite, without the driver."""

import contextlib
import sqlite3

from backup_stores import chunked


class SqliteObjects(chunked.ChunkedStore):
    """The table of all objects."""

    path_option = 'backup_sqlite_file'

    def __init__(self, path):
        self.path = path

    @classmethod
    def from_cinder(cls, conf):
        return cls(conf.backup_sqlite_file)

    def _execute(self, statement, *values):
        with contextlib.closing(sqlite3.connect(
                self.path, timeout=60)) as database, database:
            return database.execute(statement, values).fetchall()

    def list(self, container, prefix=''):
        return [name for name, in self._execute(
            'SELECT name FROM objects WHERE container = ?', container)
            if name.startswith(prefix)]

    def read(self, container, name):
        for data, in self._execute(
                'SELECT data FROM objects WHERE container = ? AND name = ?',
                container, name):
            return data

    def write(self, container, name, data):
        self._execute('INSERT OR REPLACE INTO objects VALUES (?, ?, ?)',
                      container, name, data)

    def delete(self, container, name):
        self._execute('DELETE FROM objects WHERE container = ? AND name = ?',
                      container, name)

    @contextlib.contextmanager
    def paused(self, conf):
        # All others wait for this lock.
        with contextlib.closing(sqlite3.connect(
                self.path, timeout=60, isolation_level=None,
                check_same_thread=False)) as database:
            database.execute('BEGIN EXCLUSIVE')
            yield
