# SPDX-License-Identifier: Apache-2.0

"""A backup driver that keeps everything in one file of SQLite."""

import contextlib
import io
import sqlite3

from cinder import interface
from cinder.backup import chunkeddriver
from oslo_config import cfg
from oslo_utils import timeutils

from reference_drivers import hooks
from reference_drivers.verification import store

CONF = cfg.CONF
OPTIONS = [
    cfg.StrOpt('backup_sqlite_file', help='Where the backups are.'),
    cfg.IntOpt('backup_sqlite_chunk', default=1024 * 32768,
               help='Bytes of a volume that become one object.'),
    cfg.IntOpt('backup_sqlite_block', default=32768,
               help='Bytes of a volume that have one checksum.'),
]
CONF.register_opts(OPTIONS)


@contextlib.contextmanager
def opened(path):
    """The database, with what is done to it kept at the end."""
    with contextlib.closing(sqlite3.connect(path, timeout=60)) as database:
        database.execute(
            'CREATE TABLE IF NOT EXISTS objects (container TEXT, name TEXT,'
            ' data BLOB, PRIMARY KEY (container, name))')
        with database:
            yield database


class Writer(io.BytesIO):
    """An object that is stored when it is complete."""

    def __init__(self, path, container, name):
        super().__init__()
        self._place = path, container, name

    def __exit__(self, kind, *args):
        path, container, name = self._place
        if kind is None:
            with opened(path) as database:
                database.execute(
                    'INSERT OR REPLACE INTO objects VALUES (?, ?, ?)',
                    (container, name, self.getvalue()))
        super().__exit__(kind, *args)


class SqliteStore(store.FlatStore):
    """Listing of a backup's objects, and search for a backup."""

    def url(self, container, prefix):
        return f'sqlite://{CONF.backup_sqlite_file}#{container}/{prefix}'

    def entries(self, container, prefix):
        found = self.driver.objects(container, prefix)
        if not found and not self.driver.objects(container, ''):
            # Another answer than an empty one: it says what is wrong.
            raise FileNotFoundError(f'there is no container {container}')
        return iter([store.Entry(name, size) for name, size in found])

    def directories(self, container, prefix):
        names = (name for name, _ in self.driver.objects(container, prefix))
        return iter(sorted({prefix + name[len(prefix):].partition('/')[0] +
                            '/' for name in names}))

    def first(self, container, prefix, after):
        return next((name for name, _ in self.driver.objects(
            container, prefix) if name > after), None)


@interface.backupdriver
class SqliteBackupDriver(hooks.VerifyMixin,
                         chunkeddriver.ChunkedBackupDriver):

    store_kind = 'sqlite'

    def __init__(self, context):
        super().__init__(context, CONF.backup_sqlite_chunk,
                         CONF.backup_sqlite_block, 'backups', False)

    @staticmethod
    def get_driver_options():
        return OPTIONS

    def check_for_setup_error(self):
        if not CONF.backup_sqlite_file:
            raise ValueError('backup_sqlite_file is not set')
        with opened(CONF.backup_sqlite_file):
            pass

    def get_store(self):
        return SqliteStore(self)

    def objects(self, container, prefix):
        """Names and lengths, sorted."""
        with opened(CONF.backup_sqlite_file) as database:
            return database.execute(
                'SELECT name, length(data) FROM objects WHERE container = ?'
                ' AND substr(name, 1, ?) = ? ORDER BY name',
                (container, len(prefix), prefix)).fetchall()

    def put_container(self, container):
        """A container exists when something is in it."""

    def get_container_entries(self, container, prefix):
        return [name for name, _ in self.objects(container, prefix)]

    def get_object_writer(self, container, object_name,
                          extra_metadata=None):
        return Writer(CONF.backup_sqlite_file, container, object_name)

    def get_object_reader(self, container, object_name,
                          extra_metadata=None):
        with opened(CONF.backup_sqlite_file) as database:
            found = database.execute(
                'SELECT data FROM objects WHERE container = ? AND name = ?',
                (container, object_name)).fetchone()
        if found is None:
            raise FileNotFoundError(object_name)
        return io.BytesIO(found[0])

    def delete_object(self, container, object_name):
        with opened(CONF.backup_sqlite_file) as database:
            database.execute(
                'DELETE FROM objects WHERE container = ? AND name = ?',
                (container, object_name))

    def _generate_object_name_prefix(self, backup):
        moment = timeutils.utcnow().strftime('%Y%m%d%H%M%S')
        return (f'volume_{backup.volume_id}/{moment}/'
                f'az_{self.az}_backup_{backup.id}')

    def update_container_name(self, backup, container):
        return container

    def get_extra_metadata(self, backup, volume):
        return None
