# SPDX-License-Identifier: Apache-2.0

"""The programs of the reference drivers, as an operator starts them."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from unittest import mock
import uuid

import testtools

from tests import databases


class ProgramCase(testtools.TestCase):
    """A program with a database of its own.

    :cvar module: the program
    """

    module = ''

    def run_program(self, *words):
        root = os.path.dirname(os.path.dirname(os.path.dirname(
            os.path.abspath(__file__))))
        return subprocess.run(
            [sys.executable, '-W', 'ignore', '-m', self.module,
             *words], capture_output=True, text=True, cwd=root, timeout=600)

    def configure(self, driver):
        directory = tempfile.mkdtemp(prefix='cbrt-verify-')
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        self.database = os.path.join(directory, 'cinder.sqlite')
        shutil.copy(databases.sqlite_template(), self.database)
        path = databases.write_config(f'sqlite:///{self.database}', directory)
        with open(path) as stream:
            text = stream.read()
        with open(path, 'w') as stream:
            stream.write(text.replace(
                '[DEFAULT]\n', f'[DEFAULT]\nbackup_driver = {driver}\n') +
                f'[coordination]\nbackend_url = file://{directory}\n')
        return path


class TemplateTest(testtools.TestCase):
    def test_it_outlives_the_test_that_made_it(self):
        """A test of the contract has a place for temporary files."""
        with tempfile.TemporaryDirectory() as place, mock.patch.object(
                tempfile, 'tempdir', place):
            path = databases.sqlite_template.__wrapped__()
        self.assertTrue(os.path.exists(path))


class VerifyTest(ProgramCase):
    module = 'reference_drivers.verify'

    def test_all_of_none(self):
        path = self.configure('reference_drivers.default.DefaultBackupDriver')
        done = self.run_program('--config-file', path, '--all')
        self.assertEqual((3, ''), (done.returncode, done.stdout), done)
        self.assertIn('and there is no other\n', done.stderr)

    def test_backup_that_is_not_there(self):
        path = self.configure('reference_drivers.default.DefaultBackupDriver')
        backup_id = str(uuid.uuid4())
        done = self.run_program('--config-file', path, backup_id)
        self.assertEqual(3, done.returncode, done)
        self.assertIn(f'{backup_id} NOT VERIFIED', done.stdout)

    def test_bad_configuration_is_no_pass(self):
        for driver, what in (
                ('cinder.backup.drivers.posix.PosixBackupDriver',
                 'is not a reference driver'),
                ('nowhere.Driver', 'nowhere')):
            done = self.run_program('--config-file', self.configure(driver),
                                    '--all')
            self.assertEqual(3, done.returncode, done)
            self.assertIn(what, done.stderr)
        done = self.run_program('--config-file', '/nonexistent', '--all')
        self.assertEqual(3, done.returncode, done)


class SwitchTest(ProgramCase):
    """Only the rows of the old driver, and only their field service."""

    module = 'reference_drivers.switch'
    OLD = 'cinder.backup.drivers.posix.PosixBackupDriver'
    NEW = 'reference_drivers.default.DefaultBackupDriver'
    OTHER = 'cinder.backup.drivers.swift.SwiftBackupDriver'

    def setUp(self):
        super().setUp()
        self.path = self.configure(self.NEW)

    def fill(self, *rows):
        """Write backups with these services, statuses, and True if deleted.

        :returns: their ids
        """
        ids = [str(uuid.uuid4()) for _ in rows]
        with sqlite3.connect(self.database) as connection:
            connection.executemany(
                'INSERT INTO backups (id, service, status, deleted, size, '
                'user_id, project_id, volume_id) VALUES (?, ?, ?, ?, 1, '
                "'user', 'project', 'volume')",
                [(one, *row) for one, row in zip(ids, rows, strict=True)])
        return ids

    def rows(self):
        with sqlite3.connect(self.database) as connection:
            connection.row_factory = sqlite3.Row
            return {row['id']: {name: row[name] for name in row.keys()  # noqa: SIM118
                                if name != 'updated_at'}
                    for row in connection.execute('SELECT * FROM backups')}

    def switch(self, *words, old=OLD, code=0):
        done = self.run_program('--config-file', self.path, '--from', old,
                                *words)
        self.assertEqual(code, done.returncode, done)
        self.assertNotIn('Traceback', done.stderr)
        return done

    def test_rows(self):
        ids = self.fill(
            (self.OLD, 'available', False), (self.OLD, 'error', False),
            # As releases before Rocky have written it.
            ('cinder.backup.drivers.posix', 'available', False),
            (self.OTHER, 'available', False), (None, 'error', False),
            (self.OLD, 'deleted', True), (self.NEW, 'available', False))
        before = self.rows()
        done = self.switch('--dry-run')
        self.assertIn('3 of 6 backups would be switched; 1 were of '
                      f'{self.NEW} before\n', done.stdout)
        self.assertEqual(before, self.rows())
        done = self.switch()
        self.assertEqual(
            {*(f'{one} {before[one]["service"]} -> {self.NEW}'
               for one in ids[:3]),
             f'3 of 6 backups switched; 1 were of {self.NEW} before'},
            {*done.stdout.splitlines()})
        self.assertEqual({one: {**row, 'service': self.NEW}
                          if one in ids[:3] else row
                          for one, row in before.items()}, self.rows())
        self.assertIn('0 of 6 backups switched; 4 were',
                      self.switch().stdout)

    def test_container_that_is_refused(self):
        """A delete by the new driver would leave all that is in it."""
        kept, other = self.fill((self.OLD, 'available', False),
                                (self.OLD, 'available', False))
        with sqlite3.connect(self.database) as connection:
            connection.execute('UPDATE backups SET container = ? WHERE id = ?',
                               ('monthly\n', kept))
        before = self.rows()
        done = self.switch('--dry-run', code=1)
        self.assertIn('1 of 2 backups would be switched; 0 were', done.stdout)
        self.assertEqual(before, self.rows())
        done = self.switch(code=1)
        self.assertIn(f"error: {kept} stays {self.OLD}: container "
                      f"'monthly\\n' has a control character; restore or "
                      f"delete it with that driver\n", done.stderr)
        self.assertIn('1 of 2 backups switched', done.stdout)
        self.assertEqual((self.OLD, self.NEW), tuple(
            self.rows()[one]['service'] for one in (kept, other)))
        # It is repeated as often as one likes, and the way back is open.
        self.switch(code=1)
        self.path = self.configure_again(self.OLD)
        self.switch(old=self.NEW)

    def test_and_back(self):
        one, = self.fill((self.NEW, 'available', False))
        self.path = self.configure_again(self.OLD)
        self.switch(old=self.NEW)
        self.assertEqual(self.OLD, self.rows()[one]['service'])

    def configure_again(self, driver):
        with open(self.path) as stream:
            text = stream.read()
        with open(self.path, 'w') as stream:
            stream.write(text.replace(self.NEW, driver))
        return self.path

    def test_one_in_use(self):
        for status in ('creating', 'restoring', 'deleting'):
            busy, _ = self.fill((self.OLD, status, False),
                                (self.OLD, 'available', False))
            before = self.rows()
            done = self.switch(code=1)
            self.assertIn(f'nothing was changed, since a backup is in use: '
                          f'{busy} is {status};', done.stderr)
            self.assertEqual(before, self.rows())
            with sqlite3.connect(self.database) as connection:
                connection.execute('DELETE FROM backups')

    def test_mistakes(self):
        self.fill((self.OTHER, 'available', False))
        before = self.rows()
        for old, what in (
                (self.OTHER, 'extends the other'),
                ('cinder.backup.drivers.swift',
                 'is not the class of an installed driver (Class swift '
                 'cannot be found)'),
                ('cinder.backup.manager.CONF', 'is not the class of a '),
                (self.NEW, 'set the new one first'),
                ('nowhere.Driver', "installed driver (No module named "
                                   "'nowhere')"),
                ('nowhere', 'is not the class of an installed driver'),
                (self.OLD, f'no backup is of {self.OLD}; those in the '
                           f'database are of {self.OTHER}')):
            done = self.switch(old=old, code=3)
            self.assertIn(what, done.stderr)
            self.assertEqual(1, done.stderr.count('error: '), done)
        self.assertEqual(before, self.rows())
        self.assertEqual(3, self.run_program(
            '--config-file', '/nonexistent', '--from', self.OLD).returncode)

    def test_no_backup_at_all(self):
        self.assertIn('there is no backup in this database',
                      self.switch(code=3).stderr)
