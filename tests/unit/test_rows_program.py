# SPDX-License-Identifier: Apache-2.0
import functools
import io
import json
import os
import shlex
import sqlite3
import subprocess
import sys
from unittest import mock

import fixtures
import testtools

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.cloud import ledger
from cinder_backup_recovery_tests.cmd import rows as rows_program
from cinder_backup_recovery_tests.rows import base
from cinder_backup_recovery_tests.rows import command
from tests import programs
from tests import rows_cases
from tests.unit import test_rows_sqlite

A, B, C, D = rows_cases.A, rows_cases.B, rows_cases.C, rows_cases.D


class RowsProgramTest(rows_cases.RowsFixture, testtools.TestCase):
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

    def _run(self, action, arguments):
        return rows_program.main([action, base.BACKUP, *arguments])

    def _main(self, action, *args, url=True):
        code, out, err = programs.call(
            functools.partial(self._run, action),
            *(('--database-url', self.url) if url else ()), *args)
        err = self._without_warning(err)
        self.assertEqual(bool(code), bool(err))
        self.assertTrue(err.count('\n') <= 1, err)
        return code, out, err

    def _without_warning(self, err):
        return err

    def _fails(self, code, word, *args, url=True):
        before = self._dump()
        found, out, err = self._main(*args, url=url)
        self.assertEqual((code, ''), (found, out))
        self.assertIn(word, err)
        self.assertTrue(err.startswith('error: '))
        self.assertEqual(before, self._dump())

    def test_hard_with_ids_file(self):
        code, out, _ = self._main('hard', '--ids-file', self.ids_file,
                                  A, B)
        self.assertEqual(0, code)
        self.assertEqual([A, B], json.loads(out)['ids'])
        self.assertEqual({A: 'absent', B: 'absent'},
                         self.rows.states(base.BACKUP, [A, B]))

    def test_soft_with_ledger(self):
        owner = ledger.Ledger(os.path.join(self.directory, 'ledger'))
        self.addCleanup(owner.close)
        owner.add('backup', A)
        self.assertEqual(0, self._main('soft', '--ledger', owner.directory,
                                       '--project', 'p1', A)[0])
        self.assertEqual('soft-deleted', self.rows.state(base.BACKUP, A))
        self._fails(1, f'{B} not created by this suite', 'hard',
                    '--ledger', owner.directory, B)

    def test_exists_needs_no_permission(self):
        self.assertEqual((0, f'{C} live\n{D} soft-deleted\n', ''),
                         self._main('state', C, D))

    def test_purge(self):
        code, out, _ = self._main('purge', '--ids-file', self.ids_file,
                                  D)
        self.assertEqual((0, {'purged': 1}), (code, json.loads(out)))
        self.assertEqual({D: 'absent'}, self.rows.states(base.BACKUP, [D]))

    def test_empty_project_is_none(self):
        self.assertEqual(0, self._main('hard', '--trust-caller',
                                       '--project=', C)[0])

    def test_refusals_exit_1(self):
        allowed = ('--ids-file', self.ids_file)
        self._fails(1, f'{C} not allowed: not in {self.ids_file}', 'hard',
                    *allowed, A, C)
        self._fails(1, 'is soft-deleted', 'hard', *allowed, A, D)
        self._fails(1, 'does not belong to project p2', 'hard', *allowed,
                    '--project', 'p2', A)
        self._fails(1, 'is live', 'purge', *allowed, A)

    def test_mistakes_exit_3(self):
        allowed = ('--ids-file', self.ids_file)
        self._fails(3, 'one of --ledger, --ids-file and --trust-caller',
                    'hard', A)
        self._fails(3, 'one of --ledger', 'purge', D)
        self._fails(3, 'ID', 'hard', *allowed)
        self._fails(3, "'x' is not a UUID", 'hard', *allowed, 'x')
        self._fails(3, 'invalid choice', 'gentle', *allowed, A)
        self._fails(3, 'not allowed with', 'hard', *allowed,
                    '--trust-caller', A)
        self._fails(3, 'cannot be read', 'hard', '--ids-file', '/nonesuch', A)
        self._fails(3, 'is not a directory', 'hard', '--ledger', '/nonesuch',
                    A)
        self._fails(3, '--config-file --database-url is required', 'hard',
                    *allowed, A, url=False)
        self._fails(3, 'the file does not exist', 'hard', *allowed,
                    '--database-url', f'sqlite:///{self.directory}/none', A,
                    url=False)
        self._fails(3, 'not the database of Cinder', 'hard', *allowed,
                    '--database-url', 'sqlite:///' + self._write('new', ''),
                    A, url=False)
        self._fails(3, 'URL cannot be read', 'hard', *allowed,
                    '--database-url', 'secret', A, url=False)

    def test_config_file(self):
        good = self._write('cinder.conf', '[DEFAULT]\nenabled_backends = a\n'
                           f'[database]\nconnection = {self.url}\n')
        self.assertEqual((0, f'{A} live\n', ''), self._main(
            'state', '--config-file', good, A, url=False))
        for path, word in (
                ('/nonesuch', '/nonesuch cannot be read'),
                (self._write('empty', ''), 'has no connection'),
                (self._write('nonsense', 'no option\n'), 'cannot be read')):
            self._fails(3, word, 'state', '--config-file', path, A, url=False)

    def test_saved_and_restored(self):
        before = self._dump()
        code, saved, _ = self._main('save', A)
        self.assertEqual(0, code)
        self._main('hard', '--trust-caller', A)
        self.assertNotEqual(before, self._dump())
        with mock.patch('sys.stdin', io.StringIO(saved)):
            self.assertEqual((0, '', ''),
                             self._main('restore', '--trust-caller', A))
        self.assertEqual(before, self._dump())

    def test_as_the_command_of_the_suite(self):
        config = self._write('cinder.conf',
                             f'[database]\nconnection = {self.url}\n')
        rows = command.CommandRows(shlex.join([
            sys.executable, '-m', 'cinder_backup_recovery_tests.cmd.rows',
            '--config-file', config, '--ids-file', self.ids_file,
            '--project={project}', '{action}', '{what}', '{ids}']),
            rows_cases.Owner(A, B, C))
        rows.check(base.BACKUP)
        rows.lose(base.BACKUP, [A], 'soft', 'p1')
        rows.lose(base.BACKUP, [B])
        self.assertEqual({A: 'soft-deleted', B: 'absent'},
                         rows.states(base.BACKUP, [A, B]))
        self.assertEqual(1, rows.purge(base.BACKUP, [A, B]))
        err = self.assertRaises(exceptions.RowRemovalCommandFailed,
                                rows.lose, base.BACKUP, [C])
        self.assertIn(f'exited 1: error: backup {C} not '
                      f'allowed', str(err))

    def test_help(self):
        done = subprocess.run(
            [sys.executable, '-m',
             'cinder_backup_recovery_tests.cmd.rows', '--help'],
            capture_output=True, text=True, timeout=600)
        self.assertEqual(0, done.returncode)
        for option in ('--config-file', '{state,save,hard,soft,restore,purge}',
                       '--ledger', '--ids-file', '--trust-caller',
                       'Exit codes'):
            self.assertIn(option, done.stdout)
