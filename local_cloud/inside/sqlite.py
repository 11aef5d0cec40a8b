# SPDX-License-Identifier: Apache-2.0

"""Let several threads and processes write to one SQLite database.

oslo.db begins every transaction with a plain ``BEGIN``, which takes no lock.
A transaction that reads first and writes later then fails at once, whatever
the time-out, when another one has written in between: SQLite cannot let it
overwrite what it has read. Writers that take the lock when they begin wait for
each other instead. Readers are unchanged: with a write-ahead log they never
wait.
"""

from oslo_db.sqlalchemy import enginefacade
import sqlalchemy
from sqlalchemy import engine
from sqlalchemy import event

_READER = 'local_cloud_reader'


def _begin(conn, cursor, statement, parameters, context, executemany):
    if (statement == 'BEGIN' and conn.dialect.name == 'sqlite' and
            not conn.get_execution_options().get(_READER)):
        statement = 'BEGIN IMMEDIATE'
    return statement, parameters


def serialize_writers() -> None:
    """Make every writing transaction of this process take the lock first.

    To be called before the service is imported. There is no option of
    oslo.db for it: the statement is its own, so it is changed on its way to
    the cursor, and the facade's readers are marked to be left alone.
    """
    event.listen(engine.Engine, 'before_cursor_execute', _begin, retval=True)
    factory = enginefacade._TransactionFactory
    create_session = factory._create_session
    create_connection = factory._create_connection

    def reading(self) -> sqlalchemy.Engine:
        if not self._started:
            self._start()
        return self._writer_engine.execution_options(**{_READER: True})

    def session(self, mode, bind=None):
        if bind is None and mode is not enginefacade._WRITER:
            bind = reading(self)
        return create_session(self, mode, bind)

    def connection(self, mode):
        if mode is not enginefacade._WRITER:
            return reading(self).connect()
        return create_connection(self, mode)

    factory._create_session = session
    factory._create_connection = connection


def write_ahead(path) -> None:
    """Set the journal of a new database so that readers never wait.

    The mode is kept in the file, and so holds for every later connection.
    """
    url = sqlalchemy.URL.create('sqlite', database=str(path))
    database = sqlalchemy.create_engine(url)
    with database.connect() as conn:
        conn.exec_driver_sql('PRAGMA journal_mode=WAL')
    database.dispose()
