# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.
"""Databases with Cinder's schema, on servers that a test starts itself."""

import atexit
import functools
import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

import sqlalchemy as sa

PASSWORD = 'p@ss/w:rd%'


def unavailable(reason):
    """Skip, or fail where every database must be tested (the gate).

    Set CBRT_REQUIRE_DATABASES=1 for the latter.
    """
    if os.environ.get('CBRT_REQUIRE_DATABASES') == '1':
        raise AssertionError(f'CBRT_REQUIRE_DATABASES is set, but {reason}')
    raise unittest.SkipTest(reason)


def cinder_manage():
    """Path of the cinder-manage of this interpreter; skips without."""
    path = os.path.join(os.path.dirname(sys.executable), 'cinder-manage')
    if not os.path.exists(path):
        unavailable('the package cinder is not installed beside this '
                    'interpreter, so there is no schema of Cinder')
    return path


def write_config(url, directory):
    """Write the least cinder.conf; returns its path."""
    path = os.path.join(directory, 'cinder.conf')
    with open(path, 'w') as stream:
        stream.write(f'[DEFAULT]\nstate_path = {directory}\n'
                     f'[database]\nconnection = {url}\n')
    return path


def sync(url, directory):
    """Make Cinder's schema with cinder-manage."""
    subprocess.run([cinder_manage(), '--config-file',
                    write_config(url, directory), 'db', 'sync'], check=True,
                   capture_output=True, text=True, timeout=300)


@functools.cache
def sqlite_template():
    """Path of an SQLite file with Cinder's schema, made once a process."""
    cinder_manage()
    directory = tempfile.mkdtemp(prefix='cbrt-schema-')
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    path = os.path.join(directory, 'cinder.sqlite')
    sync(f'sqlite:///{path}', directory)
    return path


class Server:
    """A database server of its own, on loopback, in a directory of its own.

    :param account: whom it runs as when the tests run as root
    """

    def __init__(self, account):
        self.directory = tempfile.mkdtemp(prefix='cbrt-db-')
        self.process = None
        self._prefix = []
        if os.geteuid() == 0:
            user = pwd.getpwnam(account)
            os.chown(self.directory, user.pw_uid, user.pw_gid)
            self._prefix = ['setpriv', f'--reuid={user.pw_uid}',
                            f'--regid={user.pw_gid}', '--clear-groups', '--']
        with socket.socket() as listener:
            listener.bind(('127.0.0.1', 0))
            self.port = listener.getsockname()[1]

    @property
    def environment(self):
        # That of the tests may be for their own user alone.
        return {**os.environ, 'TMPDIR': self.directory}

    def run(self, *command):
        done = subprocess.run(
            [*self._prefix, *command], text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=120, cwd=self.directory,
            env=self.environment)
        if done.returncode:
            raise AssertionError(f'{command[0]} exited with '
                                 f'{done.returncode}: {done.stdout}')

    def start(self, *command, url):
        """Start the server and wait until it answers at a URL."""
        self.log = os.path.join(self.directory, 'log')
        with open(self.log, 'w') as log:
            self.process = subprocess.Popen(
                [*self._prefix, *command], stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, cwd=self.directory,
                env=self.environment)
        engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
        for _ in range(600):
            try:
                engine.connect().close()
            except sa.exc.OperationalError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.1)
            else:
                return engine
        with open(self.log) as log:
            raise AssertionError(f'{command[0]} did not start: {log.read()}')

    def stop(self, number=signal.SIGTERM):
        if self.process is not None:
            self.process.send_signal(number)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def url(self, driver, **changes):
        return sa.URL.create(**{
            'drivername': driver, 'username': 'cinder', 'password': PASSWORD,
            'host': '127.0.0.1', 'port': self.port, 'database': 'cinder',
            **changes}).render_as_string(hide_password=False)


class PostgreSQL(Server):
    driver = 'postgresql+psycopg2'

    def __init__(self):
        found = sorted(glob.glob('/usr/lib/postgresql/*/bin/initdb'))
        initdb = found[-1] if found else shutil.which('initdb')
        if initdb is None:
            unavailable('the package postgresql is not installed')
        super().__init__('postgres')
        data = os.path.join(self.directory, 'data')
        secret = os.path.join(self.directory, 'secret')
        with open(secret, 'w') as stream:
            stream.write(PASSWORD + '\n')
        os.chmod(secret, 0o644)
        self.run(initdb, '-D', data, '-U', 'cinder', '-A', 'scram-sha-256',
                 f'--pwfile={secret}', '-E', 'UTF8', '--no-sync')
        engine = self.start(
            os.path.join(os.path.dirname(initdb), 'postgres'), '-D', data,
            '-p', str(self.port), '-k', self.directory, '-h', '127.0.0.1',
            '-c', 'fsync=off', url=self.url(self.driver,
                                            database='postgres'))
        with engine.connect().execution_options(
                isolation_level='AUTOCOMMIT') as connection:
            for name in ('cinder', 'empty'):
                connection.exec_driver_sql(f'CREATE DATABASE {name}')

    def stop(self):
        # Fast shutdown: does not wait for clients.
        super().stop(signal.SIGINT)


class MariaDB(Server):
    driver = 'mysql+pymysql'

    def __init__(self):
        daemon = shutil.which('mariadbd', path=os.environ.get(
            'PATH', '') + ':/usr/sbin')
        if daemon is None or shutil.which('mariadb-install-db') is None:
            unavailable('the package mariadb-server is not installed')
        super().__init__('mysql')
        data = os.path.join(self.directory, 'data')
        self.run('mariadb-install-db', '--no-defaults', f'--datadir={data}',
                 '--auth-root-authentication-method=normal',
                 '--skip-test-db')
        link = os.path.join(self.directory, 'socket')
        engine = self.start(
            daemon, '--no-defaults', f'--datadir={data}', f'--socket={link}',
            f'--port={self.port}', '--bind-address=127.0.0.1',
            '--innodb-flush-log-at-trx-commit=0',
            f'--pid-file={self.directory}/pid',
            url=f'mysql+pymysql://root@localhost/?unix_socket={link}')
        self.engine = engine
        with engine.begin() as connection:
            for name in ('cinder', 'empty'):
                connection.exec_driver_sql(f'CREATE DATABASE {name}')
                connection.exec_driver_sql(
                    f'GRANT ALL ON {name}.* TO cinder@127.0.0.1 '
                    f'IDENTIFIED BY %s', (PASSWORD,))
