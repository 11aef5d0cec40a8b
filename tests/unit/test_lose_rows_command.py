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
import contextlib
import io
import json
import os
import shlex
import sqlite3
import subprocess
import sys

import fixtures
import testtools

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import ledger
from cinder_backup_recovery_tests.cmd import lose_rows
from cinder_backup_recovery_tests.rows import command
from tests import rows_cases
from tests.unit import test_rows_sqlite

A, B, C, D = rows_cases.A, rows_cases.B, rows_cases.C, rows_cases.D


class LoseRowsTest(rows_cases.RowsFixture, testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.directory = self.useFixture(fixtures.TempDir()).path
        path = os.path.join(self.directory, 'cinder.sqlite')
        with sqlite3.connect(path) as connection:
            connection.executescript(test_rows_sqlite.SCHEMA)
        connection.close()
        self.url = f'sqlite:///{path}'
        self.prepare()
        self.ids_file = self._write('ids', f'{A}\n{B}\n{D}\n')

    def _write(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path, 'w') as stream:
            stream.write(text)
        return path

    def _main(self, *args, url=True):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(
                err):
            code = lose_rows.main(
                [*(('--database-url', self.url) if url else ()), *args])
        self.assertEqual(bool(code), bool(err.getvalue()))
        self.assertTrue(err.getvalue().count('\n') <= 1, err.getvalue())
        return code, out.getvalue(), err.getvalue()

    def _fails(self, code, word, *args, url=True):
        before = self._dump()
        found, out, err = self._main(*args, url=url)
        self.assertEqual((code, ''), (found, out))
        self.assertIn(word, err)
        self.assertTrue(err.startswith('error: '))
        self.assertEqual(before, self._dump())

    def test_hard_with_ids_file(self):
        code, out, _ = self._main('--ids-file', self.ids_file, A, B)
        self.assertEqual(0, code)
        self.assertEqual([A, B], json.loads(out)['backup_ids'])
        self.assertEqual({A: 'absent', B: 'absent'},
                         self.rows.exists([A, B]))

    def test_soft_with_ledger(self):
        owner = ledger.Ledger(os.path.join(self.directory, 'ledger'))
        self.addCleanup(owner.close)
        owner.add('backup', A)
        self.assertEqual(0, self._main('--ledger', owner.directory, '--kind',
                                       'soft', '--project', 'p1', A)[0])
        self.assertEqual({A: 'soft-deleted'}, self.rows.exists([A]))
        self._fails(1, f'{B} not created by this suite', '--ledger',
                    owner.directory, B)

    def test_exists_needs_no_permission(self):
        self.assertEqual((0, f'{C} live\n{D} soft-deleted\n', ''),
                         self._main('--exists', C, D))

    def test_purge(self):
        code, out, _ = self._main('--purge', '--ids-file', self.ids_file, D)
        self.assertEqual((0, {'purged': 1}), (code, json.loads(out)))
        self.assertEqual({D: 'absent'}, self.rows.exists([D]))

    def test_empty_project_is_none(self):
        self.assertEqual(0, self._main('--trust-caller', '--project=', C)[0])

    def test_refusals_exit_1(self):
        allowed = ('--ids-file', self.ids_file)
        self._fails(1, f'{C} not allowed: not in {self.ids_file}', *allowed,
                    A, C)
        self._fails(1, 'is already deleted', *allowed, A, D)
        self._fails(1, 'does not belong to project p2', *allowed,
                    '--project', 'p2', A)
        self._fails(1, 'is live', *allowed, '--purge', A)

    def test_mistakes_exit_3(self):
        allowed = ('--ids-file', self.ids_file)
        self._fails(3, 'one of --ledger, --ids-file and --trust-caller', A)
        self._fails(3, 'one of --ledger', '--purge', D)
        self._fails(3, 'BACKUP_ID', *allowed)
        self._fails(3, "'x' is not a UUID", *allowed, 'x')
        self._fails(3, 'invalid choice', *allowed, '--kind', 'gentle', A)
        self._fails(3, 'not allowed with', *allowed, '--trust-caller', A)
        self._fails(3, 'cannot be read', '--ids-file', '/nonesuch', A)
        self._fails(3, 'is not a directory', '--ledger', '/nonesuch', A)
        self._fails(3, '--config-file --database-url is required', *allowed,
                    A, url=False)
        self._fails(3, 'no such file', *allowed, '--database-url',
                    f'sqlite:///{self.directory}/none', A, url=False)
        self._fails(3, 'not the database of Cinder', *allowed,
                    '--database-url', 'sqlite:///' + self._write('new', ''),
                    A, url=False)
        self._fails(3, 'URL cannot be read', *allowed, '--database-url',
                    'secret', A, url=False)

    def test_config_file(self):
        good = self._write('cinder.conf', '[DEFAULT]\nenabled_backends = a\n'
                           f'[database]\nconnection = {self.url}\n')
        self.assertEqual((0, f'{A} live\n', ''), self._main(
            '--config-file', good, '--exists', A, url=False))
        for path, word in (
                ('/nonesuch', '/nonesuch cannot be read'),
                (self._write('empty', ''), 'has no connection'),
                (self._write('nonsense', 'no option\n'), 'cannot be read')):
            self._fails(3, word, '--config-file', path, '--exists', A,
                        url=False)

    def test_as_the_command_of_the_suite(self):
        config = self._write('cinder.conf',
                             f'[database]\nconnection = {self.url}\n')
        program = shlex.join([sys.executable, '-m',
                              'cinder_backup_recovery_tests.cmd.lose_rows',
                              '--config-file', config])
        rows = command.CommandRows(
            f'{program} --ids-file {self.ids_file} --kind {{kind}} '
            f'--project={{project}} {{ids}}', rows_cases.Owner(A, B, C),
            exists_command=f'{program} --exists {{ids}}')
        rows.check()
        rows.lose([A], 'soft', 'p1')
        rows.lose([B])
        self.assertEqual({A: 'soft-deleted', B: 'absent'},
                         rows.exists([A, B]))
        err = self.assertRaises(exceptions.RowRemovalCommandFailed,
                                rows.lose, [C])
        self.assertIn(f'exited 1: error: backup {C} not '
                      f'allowed', str(err))

    def test_help(self):
        done = subprocess.run(
            [sys.executable, '-m',
             'cinder_backup_recovery_tests.cmd.lose_rows', '--help'],
            capture_output=True, text=True, timeout=60)
        self.assertEqual(0, done.returncode)
        for option in ('--config-file', '--kind', '--exists', '--ledger',
                       '--ids-file', '--trust-caller', 'Exit codes'):
            self.assertIn(option, done.stdout)
