# SPDX-License-Identifier: Apache-2.0
import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time

import fixtures
import testtools

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.rows import base
from cinder_backup_recovery_tests.rows import database
from tests import databases
from tests import rows_cases

# The tables and columns of Cinder that matter here, for where Cinder is not
# installed; the same tests run on the real schema below.
SCHEMA = '''
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL);
CREATE TABLE volumes (id VARCHAR(36) NOT NULL PRIMARY KEY);
CREATE TABLE services (id INTEGER NOT NULL PRIMARY KEY, binary VARCHAR(255));
CREATE TABLE backups (
    created_at DATETIME, updated_at DATETIME, deleted_at DATETIME,
    deleted BOOLEAN, id VARCHAR(36) NOT NULL PRIMARY KEY,
    volume_id VARCHAR(36) NOT NULL, user_id VARCHAR(255),
    project_id VARCHAR(255), parent_id VARCHAR(36), status VARCHAR(255),
    service_metadata VARCHAR(255), size INTEGER, temp_volume_id VARCHAR(36),
    num_dependent_backups INTEGER, encryption_key_id VARCHAR(36));
CREATE TABLE backup_metadata (
    created_at DATETIME, updated_at DATETIME, deleted_at DATETIME,
    deleted BOOLEAN, id INTEGER NOT NULL PRIMARY KEY, "key" VARCHAR(255),
    value VARCHAR(255), backup_id VARCHAR(36) NOT NULL
    REFERENCES backups (id));
CREATE TABLE quota_usages (
    created_at DATETIME, updated_at DATETIME, deleted_at DATETIME,
    deleted BOOLEAN, id INTEGER NOT NULL PRIMARY KEY,
    project_id VARCHAR(255), resource VARCHAR(300), in_use INTEGER NOT NULL,
    reserved INTEGER NOT NULL, until_refresh INTEGER, race_preventer BOOLEAN,
    UNIQUE (project_id, resource, race_preventer));
'''


class SmallSchemaTest(rows_cases.RowsCases, testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.directory = self.useFixture(fixtures.TempDir()).path
        self.path = os.path.join(self.directory, 'cinder.sqlite')
        self._make()
        self.url = f'sqlite:///{self.path}'
        self.prepare()

    def _make(self):
        with sqlite3.connect(self.path) as connection:
            connection.executescript(SCHEMA)
        connection.close()

    def test_waits_for_a_transaction_of_cinder(self):
        other = sqlite3.connect(self.path, isolation_level=None,
                                check_same_thread=False)
        self.addCleanup(other.close)
        other.execute('BEGIN IMMEDIATE')
        other.execute('UPDATE quota_usages SET in_use = in_use + 10')
        timer = threading.Timer(0.7, other.execute, ['COMMIT'])
        begin = time.monotonic()
        timer.start()
        self.addCleanup(timer.join)
        self.rows.lose(base.BACKUP, [rows_cases.A])
        self.assertTrue(time.monotonic() - begin > 0.5)
        self.assertEqual(11, self._usage('p1')['backups'])

    def test_leaves_no_lock(self):
        self.rows.check(base.BACKUP)
        self.rows.states(base.BACKUP, [rows_cases.A])
        self.rows.lose(base.BACKUP, [rows_cases.A])
        self.assertRaises(exceptions.RowsMismatch, self.rows.lose,
                          base.BACKUP, [rows_cases.A])
        other = sqlite3.connect(self.path, timeout=0)
        self.addCleanup(other.close)
        other.execute('UPDATE quota_usages SET in_use = 1')
        other.commit()

    def test_reader_does_not_wait_for_a_writer(self):
        other = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(other.close)
        other.execute('PRAGMA journal_mode=WAL')
        other.execute('BEGIN IMMEDIATE')
        begin = time.monotonic()
        self.rows.states(base.BACKUP, [rows_cases.A])
        self.assertTrue(time.monotonic() - begin < 5)


class RealSchemaTest(SmallSchemaTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.template = databases.sqlite_template()

    def _make(self):
        shutil.copyfile(self.template, self.path)

    def _cinder(self, program, *args):
        """Run a program with Cinder's own database code."""
        config = databases.write_config(self.url, self.directory)
        program = textwrap.dedent('''
            import sys
            from cinder import context, db, exception, objects, rpc
            from oslo_config import cfg
            from cinder.db import api
            objects.register_all()
            cfg.CONF(['--config-file', sys.argv[1]], project='cinder')
            admin = context.get_admin_context()
            ''') + textwrap.dedent(program)
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', program, config, *args],
            capture_output=True, text=True, timeout=600)
        self.assertEqual(0, done.returncode, done.stderr)
        return done.stdout

    def test_soft_loss_is_what_cinder_itself_does(self):
        self._cinder('''
            api.backup_destroy(admin, sys.argv[2])
            ''', rows_cases.A)
        expected = self._dump()
        self.fill()
        self.rows.lose(base.BACKUP, [rows_cases.A], kind='soft')
        found = self._dump()
        # Cinder changes the quota elsewhere; times are those of now; the
        # rows of metadata were made anew.
        for dump in (expected, found):
            del dump['quota_usages']
            self.assertIsNotNone(dump['backups'][rows_cases.A].pop(
                'deleted_at'))
            for _, row in sorted(dump.pop('backup_metadata').items()):
                dump.setdefault('metadata', []).append(
                    {name: value for name, value in row.items()
                     if name not in ('id', 'deleted_at')})
        self.assertEqual(expected, found)

    def test_cinder_sees_what_was_lost(self):
        program = '''
            for one in sys.argv[2:]:
                for deleted in ('no', 'yes'):
                    try:
                        found = objects.Backup.get_by_id(
                            admin.elevated(read_deleted=deleted), one)
                        print(found.status, sorted(found.metadata))
                    except exception.BackupNotFound:
                        print('none')
            '''
        ids = (rows_cases.A, rows_cases.B)
        self.assertEqual(
            ['available', 'available', 'available', 'available'],
            [line.split()[0] for line in
             self._cinder(program, *ids).splitlines()])
        self.rows.lose(base.BACKUP, [rows_cases.A], kind='hard')
        self.rows.lose(base.BACKUP, [rows_cases.B], kind='soft')
        self.assertEqual('none\nnone\nnone\ndeleted []\n',
                         self._cinder(program, *ids))


class UnreachableTest(testtools.TestCase):
    def _refused(self, error, url):
        for call in ('check', 'lose', 'states', 'save', 'purge'):
            args = (base.BACKUP, *(
                () if call == 'check' else ([rows_cases.A],)))
            err = self.assertRaises(error, lambda name=call, args=args: (
                getattr(database.DatabaseRows(
                    url, rows_cases.Owner(rows_cases.A)), name)(*args)))
            self.assertNotIn('\n', str(err))
            self.assertNotIn('secret', str(err))
        return str(err)

    def test_missing_file_is_not_made(self):
        directory = self.useFixture(fixtures.TempDir()).path
        message = self._refused(exceptions.DatabaseUnreachable,
                                f'sqlite:///{directory}/none.sqlite')
        self.assertIn(f'{directory}/none.sqlite: the file does not exist',
                      message)
        self.assertEqual([], os.listdir(directory))

    def test_directory_and_other_file(self):
        directory = self.useFixture(fixtures.TempDir()).path
        self._refused(exceptions.DatabaseUnreachable,
                      f'sqlite:///{directory}')
        path = os.path.join(directory, 'text')
        with open(path, 'w') as stream:
            stream.write('not a database\n' * 1000)
        self.assertIn('not a database', self._refused(
            exceptions.DatabaseUnreachable, f'sqlite:///{path}'))

    def test_empty_file(self):
        path = os.path.join(self.useFixture(fixtures.TempDir()).path, 'new')
        with open(path, 'w'):
            pass
        message = self._refused(exceptions.NotCinderDatabase,
                                f'sqlite:///{path}')
        self.assertIn(f'sqlite:///{path} is not the database of Cinder: no '
                      f'table backups, no table backup_metadata', message)
        self.assertEqual(0, os.path.getsize(path))

    def test_path_with_odd_characters(self):
        path = os.path.join(self.useFixture(fixtures.TempDir()).path,
                            'a#b c')
        with sqlite3.connect(path) as connection:
            connection.executescript(SCHEMA)
        connection.close()
        database.DatabaseRows(f'sqlite:///{path}', rows_cases.Owner()).check(
            base.BACKUP)

    def test_bad_urls(self):
        for url in ('', 'secret', 'sqlite://', 'sqlite:///:memory:',
                    'sqlite:///file:x?uri=true',
                    'oracle://cinder:secret@host/cinder',
                    'mysql+nonesuch://cinder:secret@host/cinder',
                    'postgresql://cinder:secret@host:port/cinder'):
            self._refused(exceptions.InvalidConfiguration, url)

    def test_no_server_listens(self):
        for driver in ('mysql', 'mysql+pymysql', 'postgresql',
                       'postgresql+psycopg2', 'mariadb+pymysql'):
            message = self._refused(
                exceptions.DatabaseUnreachable,
                f'{driver}://cinder:secret@127.0.0.1:1/cinder')
            self.assertIn('cinder:***@127.0.0.1:1/cinder', message)
