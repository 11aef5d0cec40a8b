# SPDX-License-Identifier: Apache-2.0
"""Connections to Cinder's database that leave no trace and no password."""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import importlib.util
import os
import sqlite3
from typing import Any
from typing import TypeVar
import urllib.parse

import sqlalchemy as sa

from cinder_backup_recovery_tests import exceptions

NAME = 'row_loss_name'
"""Execution option of a connection: its URL without the password."""

_WRITES = 'row_loss_writes'
# In seconds; Cinder's own transactions on SQLite are short.
_BUSY_TIMEOUT = 60
_ATTEMPTS = 5
# Serialization failure and deadlock of PostgreSQL, deadlock and lock wait
# time-out of MySQL, and the row that changed under a snapshot of MariaDB 11.6:
# the transaction was rolled back and may be tried again.
_CONFLICTS = ('40001', '40P01', 1213, 1205, 1020)
_DRIVERS = {'mysql': ('pymysql', 'MySQLdb'),
            'mariadb': ('pymysql', 'MySQLdb'),
            'postgresql': ('psycopg2', 'psycopg')}
_DRIVER_NAMES = {'MySQLdb': 'mysqldb'}

_T = TypeVar('_T')


class Database:
    """A database by its URL.

    No connection is kept between calls: a pool would hold locks and slots of
    a database that belongs to a running Cinder.

    :param url: as in ``[database] connection`` of cinder.conf
    :raises InvalidConfiguration: the URL cannot be read, or its driver is
        not installed; the message holds no password
    """

    def __init__(self, url: str) -> None:
        try:
            self._url = _with_driver(sa.engine.make_url(url))
        except (sa.exc.ArgumentError, ValueError):
            # Not the text itself: a password may be in it.
            raise exceptions.InvalidConfiguration(
                'the database URL cannot be read, it should be like '
                'mysql+pymysql://user:password@host/cinder') from None
        self.is_sqlite = self._url.get_backend_name() == 'sqlite'
        try:
            self._engine = self._sqlite() if self.is_sqlite else (
                # The counts before and after must be of one state of the
                # tables, whatever Cinder commits in between.
                sa.create_engine(self._url, poolclass=sa.pool.NullPool,
                                 isolation_level='REPEATABLE READ',
                                 execution_options={NAME: str(self)}))
        except ImportError as err:
            raise exceptions.InvalidConfiguration(
                f'the driver of {self} is not installed: {err}') from None
        except sa.exc.ArgumentError as err:
            raise exceptions.InvalidConfiguration(
                f'the database URL cannot be used: {self._clean(err)}'
            ) from None

    def __str__(self) -> str:
        return self._url.render_as_string(hide_password=True)

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Open a connection to read.

        :returns: the connection, in a transaction that is rolled back
        :raises DatabaseUnreachable: it cannot be opened or fails
        """
        with self._reported(), self._engine.connect() as connection:
            yield connection

    def write(self, work: Callable[[sa.Connection], _T],
              commit: bool = True) -> _T:
        """Do something in one transaction.

        :param work: called with the connection; called again when the
            database rolled back for a conflict with another transaction
        :param commit: False rolls all back in the end
        :raises DatabaseUnreachable: the connection cannot be opened or fails
        """
        with self._reported():
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    return self._attempt(work, commit)
                except sa.exc.DBAPIError as err:
                    if attempt == _ATTEMPTS or not _is_conflict(err):
                        raise
        raise AssertionError('not reached')

    def _attempt(self, work: Callable[[sa.Connection], _T],
                 commit: bool) -> _T:
        with self._engine.connect() as plain:
            connection = plain.execution_options(**{_WRITES: True})
            with connection.begin() as transaction:
                outcome = work(connection)
                if not commit:
                    transaction.rollback()
                return outcome

    def _sqlite(self) -> sa.Engine:
        path = self._url.database
        if not path or path == ':memory:' or path.startswith('file:'):
            raise exceptions.InvalidConfiguration(
                f'the database URL {self} names no file')
        path = os.path.abspath(path)

        def connect() -> sqlite3.Connection:
            # mode=rw: a file that is missing must not be made.
            return sqlite3.connect(
                f'file:{urllib.parse.quote(path)}?mode=rw', uri=True,
                timeout=_BUSY_TIMEOUT, isolation_level=None)

        engine = sa.create_engine('sqlite://', creator=connect,
                                  poolclass=sa.pool.NullPool,
                                  execution_options={NAME: str(self)})

        @sa.event.listens_for(engine, 'begin')
        def begin(connection: sa.Connection) -> None:
            # A transaction that starts as a reader and then writes gets
            # "database is locked" at once, whatever the time-out is.
            options = connection.get_execution_options()
            connection.exec_driver_sql(
                'BEGIN IMMEDIATE' if options.get(_WRITES)
                else 'BEGIN')

        return engine

    @contextlib.contextmanager
    def _reported(self) -> Iterator[None]:
        if self.is_sqlite and not os.path.isfile(self._url.database or ''):
            raise exceptions.DatabaseUnreachable(
                f'{self}: the file does not exist')
        try:
            yield
        except sa.exc.DBAPIError as err:
            raise exceptions.DatabaseUnreachable(
                f'{self}: {self._clean(err.orig)}') from None
        except sa.exc.SQLAlchemyError as err:
            raise exceptions.DatabaseUnreachable(
                f'{self}: {self._clean(err)}') from None

    def _clean(self, err: Any) -> str:
        # One line, and never the password, quoted or not.
        text = exceptions.one_line(err)
        password = self._url.password
        for secret in {password, urllib.parse.quote_plus(password or '')}:
            if secret:
                text = text.replace(secret, '***')
        return text


def _with_driver(url: sa.URL) -> sa.URL:
    backend = url.get_backend_name()
    if backend != 'sqlite' and backend not in _DRIVERS:
        raise exceptions.InvalidConfiguration(
            f'databases of the kind {backend!r} are not supported, only '
            f'sqlite, {", ".join(_DRIVERS)}')
    if backend == 'sqlite' or '+' in url.drivername:
        return url
    # What SQLAlchemy takes when the URL names no driver changed between its
    # releases and is seldom what is installed.
    for module in _DRIVERS[backend]:
        if importlib.util.find_spec(module) is not None:
            driver = _DRIVER_NAMES.get(module, module)
            return url.set(drivername=f'{backend}+{driver}')
    raise exceptions.InvalidConfiguration(
        f'no driver for {backend} is installed, one of '
        f'{", ".join(_DRIVERS[backend])} is needed')


def _is_conflict(err: sa.exc.DBAPIError) -> bool:
    orig: Any = err.orig
    args = getattr(orig, 'args', None) or (None,)
    return (getattr(orig, 'pgcode', None) in _CONFLICTS
            or getattr(orig, 'sqlstate', None) in _CONFLICTS
            or args[0] in _CONFLICTS)
