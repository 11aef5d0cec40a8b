# SPDX-License-Identifier: Apache-2.0
"""Rows of volumes and snapshots: on SQLite, by the program, by the ledger."""

import io
import os
import shlex
import shutil
import sys
from unittest import mock

import fixtures
import testtools

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import rows as access
from cinder_backup_recovery_tests.cloud import ledger
from cinder_backup_recovery_tests.cmd import rows as rows_program
from cinder_backup_recovery_tests.rows import base
from cinder_backup_recovery_tests.rows import command as row_command
from cinder_backup_recovery_tests.rows import database
from cinder_backup_recovery_tests.rows import temporary
from tests import databases
from tests import programs
from tests import source_rows_cases
from tests.unit import test_config
from tests.unit import test_deprecated

VOLUME, OTHER = source_rows_cases.VOLUME, source_rows_cases.OTHER
FOREIGN = source_rows_cases.FOREIGN


class SQLiteCase(source_rows_cases.SourceRowsCases, testtools.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.template = databases.sqlite_template()

    def setUp(self):
        super().setUp()
        self.directory = self.useFixture(fixtures.TempDir()).path
        path = os.path.join(self.directory, 'cinder.sqlite')
        shutil.copyfile(self.template, path)
        self.url = f'sqlite:///{path}'
        self.prepare()

    def test_not_cinders(self):
        path = os.path.join(self.directory, 'new')
        with open(path, 'w'):
            pass
        self.assertIn('no table alembic_version', str(self.assertRaises(
            exceptions.NotCinderDatabase, database.DatabaseRows(
                f'sqlite:///{path}', None).check, base.VOLUME)))


class ProgramTest(SQLiteCase):
    """All of it again, by the program on the database's host."""

    def prepare(self):
        super().prepare()
        ids = os.path.join(self.directory, 'ids')
        with open(ids, 'w') as stream:
            stream.write(' '.join((VOLUME, OTHER, source_rows_cases.SNAPSHOT,
                                   source_rows_cases.DELETED)))
        self.program = [
            sys.executable, '-m',
            'cinder_backup_recovery_tests.cmd.rows',
            '--database-url', self.url, '--ids-file', ids]
        # In this process: an interpreter for each call would take minutes.
        self.rows = InProcess(shlex.join([
            *self.program, '--project={project}', '{action}', '{what}',
            '{ids}']), source_rows_cases.Owner())

    def _refused(self, error, word, method, *args):
        if error not in (exceptions.NotInLedger,
                         exceptions.InvalidConfiguration):
            error = exceptions.RowRemovalCommandFailed
        super()._refused(error, word, method, *args)

    def test_another_interpreter(self):
        rows = row_command.CommandRows(
            self.rows.command, source_rows_cases.Owner())
        before = self._dump()
        rows.check(base.VOLUME, base.SNAPSHOT)
        saved = rows.save(base.VOLUME, [OTHER])
        rows.lose(base.VOLUME, [OTHER], base.HARD, 'p1', saved)
        self.assertNotEqual(before, self._dump())
        rows.restore(base.VOLUME, [OTHER], saved)
        self.assertEqual(before, self._dump())
        err = self.assertRaises(
            exceptions.RowRemovalCommandFailed, rows.lose, base.VOLUME,
            [OTHER], base.HARD, 'p2', saved)
        self.assertIn('exited 1: error: volume', str(err))

    def test_mistakes_exit_3(self):
        for arguments, text, word in (
                (['save', 'volume', 'x'], '', "'x' is not a UUID"),
                (['save', 'group', VOLUME], '', 'invalid choice'),
                (['lose', 'volume', VOLUME], '', 'invalid choice'),
                (['hard', 'volume', VOLUME], 'x', 'stdin is not the output'),
                (['hard', 'volume', VOLUME], '[]', 'not an object')):
            self.assertIn(word, self._fails(
                [*self.program[3:], *arguments], text, 3))
        self.assertIn('--trust-caller is needed', self._fails(
            ['--database-url', self.url, 'hard', 'volume', VOLUME], '{}', 3))
        self.assertIn(f'{FOREIGN} not allowed', self._fails(
            [*self.program[3:], 'hard', 'volume', FOREIGN], '{}', 1))

    def _fails(self, arguments, text, code):
        before = self._dump()
        found, out, err = run_main(arguments, text)
        self.assertEqual((code, ''), (found, out))
        self.assertTrue(err.startswith('error: '))
        self.assertEqual(before, self._dump())
        return err

    def test_old_option(self):
        rows = test_deprecated.make(source_rows_cases.Owner(), {
            'row_removal_command': 'x {ids}',
            'source_row_command': shlex.join([
                *test_deprecated.program('source_rows'), *self.program[3:],
                '--project={project}', '{action}', '{what}', '{id}'])})
        before = self._dump()
        rows.check(base.VOLUME)
        saved = rows.save(base.VOLUME, [OTHER])
        rows.lose(base.VOLUME, [OTHER], base.HARD, 'p1', saved)
        self.assertNotEqual(before, self._dump())
        rows.restore(base.VOLUME, [OTHER], saved)
        self.assertEqual(before, self._dump())

    def test_a_program_that_does_nothing(self):
        saved = self.rows.save(base.VOLUME, [OTHER])
        rows = row_command.CommandRows(
            f'sh -c "echo {OTHER} live" {{action}} {{what}} {{ids}}',
            source_rows_cases.Owner())
        err = self.assertRaises(
            exceptions.RowRemovalCommandFailed, rows.lose, base.VOLUME,
            [OTHER], base.SOFT, None, saved)
        self.assertIn('is live and should be soft-deleted', str(err))
        self.assertIn('not a line of JSON', str(self.assertRaises(
            exceptions.RowRemovalCommandFailed, rows.save, base.VOLUME,
            [OTHER])))


def run_main(arguments, text):
    with mock.patch('sys.stdin', io.StringIO(text)):
        return programs.call(rows_program.main, *arguments)


class InProcess(row_command.CommandRows):
    """Calls the program's main function instead of the program."""

    def __init__(self, command, owner):
        super().__init__(command, owner)
        self.command = command

    def _run(self, *args, **kwargs):
        with mock.patch('cinder_backup_recovery_tests.commands.run', _run):
            return super()._run(*args, **kwargs)


def _run(words, timeout, name, failure, unknown, text=None):
    code, out, err = run_main(words[3:], text or '')
    if code:
        raise failure(err.strip())
    return out


class LostForAWhileTest(SQLiteCase):
    """By the ledger, also after a kill."""

    def setUp(self):
        super().setUp()
        self.ledger = ledger.Ledger(os.path.join(self.directory, 'ledger'))
        self.addCleanup(self.ledger.close)
        self.ledger.add('volume', OTHER)
        self.before = self._dump()

    def lost(self, one=OTHER):
        return temporary.lost(self.rows, self.ledger, base.VOLUME, one,
                              base.HARD, 'p1')

    def test_put_back(self):
        with self.lost():
            self.assertEqual(base.ABSENT,
                             self.rows.state(base.VOLUME, OTHER))
            self.assertEqual(1, len(self.ledger.changes(temporary.KIND)))
        self.assertEqual(self.before, self._dump())
        self.assertEqual([], self.ledger.changes())

    def test_put_back_after_a_failure(self):
        def fail():
            with self.lost():
                raise KeyError
        self.assertRaises(KeyError, fail)
        self.assertEqual(self.before, self._dump())
        self.assertEqual([], self.ledger.changes())

    def test_foreign(self):
        def lose():
            with self.lost(FOREIGN):
                pass
        self.assertRaises(exceptions.NotInLedger, lose)
        self.assertEqual([], self.ledger.changes())

    def test_killed(self):
        context = self.lost()
        context.__enter__()
        # Nothing of the context is run; a clean-up that thinks the volume
        # gone must not keep it from being removed.
        self.ledger.gone('volume', OTHER)
        change, = self.ledger.changes(temporary.KIND)
        conf = test_config.make_conf(**{
            'cinder_backup_recovery.database_connection': self.url})
        temporary.restore(
            access.make(conf.cinder_backup_recovery, self.ledger),
            self.ledger, change)
        self.assertEqual(self.before, self._dump())
        self.assertEqual([OTHER], [entry.resource_id for entry in
                                   self.ledger.entries('volume')])
        with mock.patch.object(temporary, 'restore'):
            self.assertRaises(GeneratorExit, context.gen.throw, GeneratorExit)

    def test_by_command(self):
        conf = test_config.make_conf(**{
            'cinder_backup_recovery.row_command':
                'x {action} {what} {ids}'})
        self.assertIsInstance(
            access.make(conf.cinder_backup_recovery, self.ledger),
            row_command.CommandRows)
