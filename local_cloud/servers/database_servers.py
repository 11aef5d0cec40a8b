# SPDX-License-Identifier: Apache-2.0

"""PostgreSQL and MariaDB, each in one directory, on loopback only.

They are the distribution's, started without what that has configured. None of
them waits for a disk: they are for tests.
"""

import contextlib
import glob
import os
import pathlib
import re
import subprocess
from typing import Any
from typing import ClassVar
from typing import IO
from typing import TYPE_CHECKING

import psutil

from local_cloud import exceptions
from local_cloud.machine import daemons
from local_cloud.machine import loopback
from local_cloud.machine import programs

if TYPE_CHECKING:
    import sqlalchemy

HOST = loopback.HOST
#: The owner of the databases, and an administrator with the same password.
USER = 'cinder'
ADMIN = 'admin'

# Seconds for one step of a busy machine.
_TIMEOUT = 120
# Seconds after which a server that hangs does not answer.
_ANSWER = 10


class Server:
    """A database server.

    :param directory: its own; the parent must exist
    :param port: where it listens
    :param password: of both accounts; of characters that SQL does not quote
        where it is a cloud's
    """

    SOFTWARE: ClassVar[programs.Software]
    #: SQLAlchemy's word, what that imports, the distributions on PyPI that
    #: have it, and the extra of this project that brings one.
    DRIVER: ClassVar[str]
    MODULE: ClassVar[str]
    DISTRIBUTIONS: ClassVar[tuple[str, ...]]
    EXTRA: ClassVar[str]
    #: The account that it runs as where root starts it.
    ACCOUNT: ClassVar[str]
    #: Arguments of its client by which a connection is given up.
    _LIMITS: ClassVar[tuple[str, ...]]
    _SYSTEM: ClassVar[str]

    def __init__(self, directory: str | os.PathLike, port: int,
                 password: str):
        self.directory = pathlib.Path(directory)
        self.port = port
        self._password = password

    @classmethod
    def program(cls, name: str) -> str:
        """The path of a program of this server."""
        return cls.SOFTWARE.find(name) or name

    @classmethod
    def missing(cls) -> str:
        """A sentence about the package that this machine lacks, or nothing."""
        return cls.SOFTWARE.missing() or cls.SOFTWARE.missing(
            programs.missing_account(cls.ACCOUNT))

    @classmethod
    def version(cls) -> str:
        """The release of the server."""
        raise NotImplementedError

    def url(self, **changes) -> str:
        """The SQLAlchemy URL of Cinder's database.

        :param changes: as of :func:`sqlalchemy.URL.create`
        """
        # Not where there is no server: it takes a quarter of a second.
        import sqlalchemy
        return sqlalchemy.URL.create(**{
            'drivername': self.DRIVER, 'username': USER,
            'password': self._password, 'host': HOST, 'port': self.port,
            'database': USER, **changes,
        }).render_as_string(hide_password=False)

    def engine(self, **arguments: Any) -> 'sqlalchemy.Engine':
        """The administrator's; every statement is a transaction.

        :param arguments: of the client's connect()
        """
        import sqlalchemy
        return sqlalchemy.create_engine(
            self.url(username=ADMIN, database=self._SYSTEM),
            poolclass=sqlalchemy.pool.NullPool, connect_args=arguments,
            isolation_level='AUTOCOMMIT')

    def initialize(self) -> None:
        """Make the directory.

        :raises ServiceFailed: with what the server's program said
        """
        raise NotImplementedError

    def command(self) -> list[str]:
        """The program that serves it."""
        raise NotImplementedError

    def answers(self) -> bool | str:
        """True if the administrator can connect, else the error."""
        import sqlalchemy
        try:
            self.engine(**dict.fromkeys(self._LIMITS, _ANSWER)
                        ).connect().close()
        except sqlalchemy.exc.DBAPIError as error:
            return str(error.orig).splitlines()[0]
        return True

    def create(self, database: str) -> None:
        """Make an empty database, which replaces one of that name.

        The connections to that one are ended.
        """
        with self.engine().connect() as connection:
            for statement in self._creation(database):
                # Where a driver looks for parameters, and a password has one.
                connection.exec_driver_sql(statement.replace('%', '%%'))

    def _creation(self, database: str) -> tuple[str, ...]:
        raise NotImplementedError

    def dump(self, database: str, path: pathlib.Path) -> None:
        """Write a database into a file, for :meth:`load`."""
        raise NotImplementedError

    def load(self, database: str, path: pathlib.Path) -> None:
        """Fill an empty database."""
        raise NotImplementedError

    def end_remains(self) -> None:
        """End what is left of a server that was killed."""
        # A process of its that has lost its parent ends by itself, a bit
        # later; until then it writes here.
        left = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if (process.name() in self.SOFTWARE.programs and
                        process.cwd() == str(self.directory)):
                    left.append(process)
        daemons.stop(left, grace=0)

    def _run(self, name: str, *arguments: str,
             standard_input: IO | None = None, **variables: str) -> None:
        done = subprocess.run(
            [*programs.as_account(self.ACCOUNT), self.program(name),
             *arguments], stdin=standard_input or subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=_TIMEOUT, cwd=self.directory.parent,
            env={**os.environ, **variables})
        if done.returncode:
            raise exceptions.ServiceFailed(
                f'{name} of {self.SOFTWARE.title} exited with '
                f'{done.returncode}:\n{done.stdout.strip()}')


class PostgreSQL(Server):
    # Debian has several releases side by side, none of them in PATH.
    SOFTWARE = programs.Software(
        'PostgreSQL', ('postgresql',),
        ('initdb', 'postgres', 'psql', 'pg_dump'), tuple(sorted(
            glob.glob('/usr/lib/postgresql/[0-9]*/bin'), reverse=True,
            key=lambda path: [*map(int, re.findall('[0-9]+', path))])[:1]))
    DRIVER = 'postgresql+psycopg2'
    MODULE = 'psycopg2'
    DISTRIBUTIONS = ('psycopg2-binary', 'psycopg2')
    EXTRA = 'postgresql'
    ACCOUNT = 'postgres'
    _LIMITS = ('connect_timeout',)
    _SYSTEM = 'postgres'

    @classmethod
    def version(cls) -> str:
        # postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)
        return _output(cls.program('postgres'), '--version').split()[2]

    def initialize(self) -> None:
        secret = self.directory.with_name(f'{self.directory.name}.secret')
        with open(os.open(secret, os.O_WRONLY | os.O_CREAT, 0o600),
                  'w') as file:
            file.write(f'{self._password}\n')
        try:
            self._run('initdb', '-D', str(self.directory), '-U', ADMIN,
                      '-A', 'scram-sha-256', f'--pwfile={secret}',
                      '-E', 'UTF8', '--locale=C', '--no-sync')
        finally:
            secret.unlink()

    def command(self) -> list[str]:
        return [*programs.as_account(self.ACCOUNT), self.program('postgres'),
                '-D', str(self.directory), '-p', str(self.port),
                '-h', HOST, '-k', '', *(
                    word for option in (
                        'fsync=off', 'max_connections=200',
                        'shared_buffers=32MB',
                        # In the directory, where a kill leaves nothing that
                        # does not go with it.
                        'dynamic_shared_memory_type=mmap')
                    for word in ('-c', option))]

    def _creation(self, database: str) -> tuple[str, ...]:
        return (
            f"DO $$ BEGIN CREATE ROLE {USER} LOGIN PASSWORD "
            f"'{self._password}'; EXCEPTION WHEN duplicate_object THEN "
            f"NULL; END $$",
            f'DROP DATABASE IF EXISTS {database} WITH (FORCE)',
            f'CREATE DATABASE {database} OWNER {USER}')

    def _client(self, name: str, database: str, *arguments: str) -> None:
        self._run(name, '-h', HOST, '-p', str(self.port), '-U', USER,
                  '-d', database, *arguments, PGPASSWORD=self._password)

    def dump(self, database: str, path: pathlib.Path) -> None:
        self._client('pg_dump', database, '--no-owner', '--no-acl',
                     '-f', str(path))

    def load(self, database: str, path: pathlib.Path) -> None:
        self._client('psql', database, '-X', '-q', '-v', 'ON_ERROR_STOP=1',
                     '-1', '-f', str(path))

    def end_remains(self) -> None:
        super().end_remains()
        lock = self.directory / 'postmaster.pid'
        # By a segment of the kernel's memory it knows whether another one
        # serves the directory. A kill leaves it, and this file with its id.
        with contextlib.suppress(OSError, IndexError):
            segment = lock.read_text().splitlines()[6].split()[1]
            subprocess.run(['ipcrm', '-m', segment], capture_output=True)
        # By now another program may have its pid, and be taken for it.
        lock.unlink(missing_ok=True)


class MariaDB(Server):
    SOFTWARE = programs.Software(
        'MariaDB', ('mariadb-server',),
        ('mariadbd', 'mariadb-install-db', 'mariadb', 'mariadb-dump'))
    DRIVER = 'mysql+pymysql'
    MODULE = 'pymysql'
    DISTRIBUTIONS = ('PyMySQL',)
    EXTRA = 'mysql'
    ACCOUNT = 'mysql'
    _LIMITS = ('connect_timeout', 'read_timeout')
    _SYSTEM = ''

    _LOG = '--innodb-log-file-size=8M'

    @classmethod
    def version(cls) -> str:
        # mariadbd  Ver 10.11.18-MariaDB-0+deb12u1 for debian-linux-gnu ...
        return _output(cls.program('mariadbd'), '--version').split(
            'Ver ')[1].split('-')[0]

    @property
    def _accounts(self) -> pathlib.Path:
        return self.directory / 'accounts.sql'

    def initialize(self) -> None:
        # Its root has no password: only the system's root connects as that,
        # by the socket in the directory.
        self._run('mariadb-install-db', '--no-defaults',
                  f'--datadir={self.directory}', self._LOG,
                  '--auth-root-authentication-method=socket',
                  '--skip-test-db')
        with open(os.open(self._accounts, os.O_WRONLY | os.O_CREAT, 0o600),
                  'w') as file:
            for user in (USER, ADMIN):
                file.write(f"CREATE USER IF NOT EXISTS {user}@'{HOST}' "
                           f"IDENTIFIED BY '{self._password}';\n")
            file.write(f"GRANT ALL ON *.* TO {ADMIN}@'{HOST}' "
                       f"WITH GRANT OPTION;\n")

    def command(self) -> list[str]:
        return [*programs.as_account(self.ACCOUNT), self.program('mariadbd'),
                '--no-defaults',
                f'--datadir={self.directory}', f'--port={self.port}',
                f'--bind-address={HOST}', '--skip-name-resolve',
                f'--socket={self.directory}/socket',
                f'--pid-file={self.directory}/pid',
                f'--tmpdir={self.directory}',
                # Read before the first connection.
                f'--init-file={self._accounts}', self._LOG,
                '--innodb-flush-log-at-trx-commit=0',
                '--innodb-flush-method=nosync',
                '--innodb-buffer-pool-size=32M', '--max-connections=300']

    def _creation(self, database: str) -> tuple[str, ...]:
        return (f'DROP DATABASE IF EXISTS {database}',
                f'CREATE DATABASE {database}',
                f"GRANT ALL ON {database}.* TO {USER}@'{HOST}'")

    def _client(self, name: str, database: str, *arguments: str,
                standard_input: IO | None = None) -> None:
        self._run(name, '--no-defaults', f'--host={HOST}',
                  f'--port={self.port}', f'--user={USER}', *arguments,
                  database, standard_input=standard_input,
                  MYSQL_PWD=self._password)

    def dump(self, database: str, path: pathlib.Path) -> None:
        self._client('mariadb-dump', database, '--single-transaction',
                     f'--result-file={path}')

    def load(self, database: str, path: pathlib.Path) -> None:
        with open(path) as file:
            self._client('mariadb', database, standard_input=file)


SERVERS: dict[str, type[Server]] = {
    'mariadb': MariaDB, 'postgresql': PostgreSQL}


def _output(*command) -> str:
    return subprocess.run(command, capture_output=True, text=True,
                          check=True).stdout
