# SPDX-License-Identifier: Apache-2.0
"""Databases with Cinder's schema, on servers that a test starts itself."""

import atexit
import functools
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import psutil
import sqlalchemy as sa

from cinder_backup_recovery_tests.rows import connection as connections
from local_cloud.machine import daemons
from local_cloud.servers import database_servers
from tests import required

PASSWORD = 'p@ss/w:rd%'

# The contract gives a driver a place of its own, which a test removes.
_TEMPORARY = tempfile.gettempdir()


def unavailable(reason):
    """Skip the tests of a database."""
    required.missing('CBRT_REQUIRE_DATABASES', reason)


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
    directory = tempfile.mkdtemp(prefix='cbrt-schema-', dir=_TEMPORARY)
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    path = os.path.join(directory, 'cinder.sqlite')
    sync(f'sqlite:///{path}', directory)
    return path


class Server:
    """A database server of its own, with Cinder's database and an empty one.
    """

    def __init__(self, kind):
        if lacking := kind.missing():
            unavailable(lacking)
        self.directory = tempfile.mkdtemp(prefix='cbrt-db-')
        self.driver = kind.DRIVER
        with socket.socket() as listener:
            listener.bind((database_servers.HOST, 0))
            port = listener.getsockname()[1]
        self._server = kind(os.path.join(self.directory, 'data'), port,
                            PASSWORD)
        self._process = None
        try:
            self._server.initialize()
            self._start()
            for name in ('cinder', 'empty'):
                self._server.create(name)
        except BaseException:
            self.stop()
            raise
        self.admin = self._server.engine()

    def _start(self):
        path = os.path.join(self.directory, 'log')
        with open(path, 'w') as log:
            self._process = subprocess.Popen(
                self._server.command(), stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, cwd=self.directory)
        deadline = time.monotonic() + 60
        while self._server.answers() is not True:
            if (self._process.poll() is not None or
                    time.monotonic() > deadline):
                with open(path) as log:
                    raise AssertionError(f'It did not start: {log.read()}')
            time.sleep(0.1)

    def stop(self):
        if self._process is not None and self._process.poll() is None:
            daemons.stop([psutil.Process(self._process.pid)])
        self._server.end_remains()
        shutil.rmtree(self.directory, ignore_errors=True)

    def url(self, driver, **changes):
        return self._server.url(drivername=driver, **changes)


class FilledTables:
    """Mixed into a test case that sets ``url`` to Cinder's schema.

    It says which ``TABLES``, what ``fill`` writes into them, and what the
    ``rows`` under test are.
    """

    url = None
    TABLES = ()

    def prepare(self):
        self.engine = connections.Database(self.url)._engine
        self.addCleanup(self.engine.dispose)
        metadata = sa.MetaData()
        self.tables = {name: sa.Table(name, metadata, resolve_fks=False,
                                      autoload_with=self.engine)
                       for name in self.TABLES}
        self.fill()
        self.rows = self.make_rows()
