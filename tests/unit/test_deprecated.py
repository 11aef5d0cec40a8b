# SPDX-License-Identifier: Apache-2.0
"""Options and programs under their old names."""

import copy
import pathlib
import shlex
import sys
from unittest import mock

import fixtures
from oslo_config import cfg
import testtools

from cinder_backup_recovery_tests import connecting
from cinder_backup_recovery_tests import deprecated
from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import rows
from cinder_backup_recovery_tests.rows import base
from tests import programs
from tests import rows_cases
from tests.unit import test_config
from tests.unit import test_rows_program

A, B = rows_cases.A, rows_cases.B
_OLD = {'state': ['--exists'], 'purge': ['--purge']}


def program(name):
    return [sys.executable, '-c',
            'import sys; from cinder_backup_recovery_tests import deprecated; '
            f'sys.exit(deprecated.{name}())']


class LoseRowsTest(test_rows_program.RowsProgramTest):
    """All that the new program does, by the old one."""

    def _run(self, action, arguments):
        if action in ('save', 'restore'):
            return super()._run(action, arguments)
        with mock.patch('sys.argv', [
                'cinder-backup-lose-rows',
                *_OLD.get(action, ['--kind', action]), *arguments]):
            code = deprecated.lose_rows()
        # A mistake of the command line is one line, without it.
        self.warning = ('warning: cinder-backup-lose-rows is deprecated, use '
                        'cinder-backup-rows\n')
        return code

    def _without_warning(self, err):
        warning = vars(self).pop('warning', '')
        self.assertTrue(err.startswith(warning), err)
        return err.removeprefix(warning)

    def _called(self, *words):
        with mock.patch('sys.argv', ['x', *words]):
            return programs.call(lambda _: deprecated.lose_rows())

    def test_hard_is_the_default(self):
        with mock.patch.dict(_OLD, hard=[]):
            self.test_hard_with_ids_file()

    def test_wrong_options(self):
        code, _, err = self._called('--kind', 'soft', '--purge', A)
        self.assertEqual(3, code)
        self.assertIn('not allowed with', err)

    def test_as_the_command_of_the_suite(self):
        common = [*program('lose_rows'), '--database-url', self.url]
        access = make(rows_cases.Owner(A, B), {
            'row_removal_command': shlex.join([
                *common, '--ids-file', self.ids_file, '--kind', '{kind}',
                '--project={project}', '{ids}']),
            'row_exists_command': shlex.join([
                *common, '--exists', '{ids}'])})
        access.check(base.BACKUP)
        access.lose(base.BACKUP, [A], 'soft', 'p1')
        access.lose(base.BACKUP, [B])
        self.assertEqual({A: 'soft-deleted', B: 'absent'},
                         access.states(base.BACKUP, [A, B]))
        for call in (access.purge, access.save):
            self.assertIn('set [cinder_backup_recovery] row_command', str(
                self.assertRaises(exceptions.InvalidConfiguration, call,
                                  base.BACKUP, [A])))
        self.assertRaises(exceptions.InvalidConfiguration, access.check,
                          base.VOLUME)

    def test_help(self):
        code, out, err = self._called('--help')
        self.assertEqual((0, ''), (code, err))
        self.assertIn('usage: cinder-backup-lose-rows', out)


class OptionsTest(testtools.TestCase):
    def test_templates_that_cannot_be(self):
        for options, word in (
                ({'row_removal_command': 'x {kind}'}, 'lacks {ids}'),
                ({'row_removal_command': 'x {action} {ids}'},
                 'has {action}'),
                ({'row_exists_command': 'x {kind} {ids}'}, 'has {kind}'),
                ({'source_row_command': 'x {action} {what}'}, 'lacks {id}'),
                ({'source_row_command': 'x {action} {what} {id} {ids}'},
                 'has {ids}')):
            self.assertIn(word, str(self.assertRaises(
                exceptions.InvalidConfiguration, make, None, options)))

    def test_restore_was_put_back(self):
        access = make(None, {'source_row_command': 'x {action} {what} {id}'})
        self.assertEqual(['x', 'put-back', '{what}', '{ids}'],
                         access._command_of('restore', base.VOLUME))

    def test_program_that_is_not_installed(self):
        access = make(None, {'row_removal_command': '/nonesuch/x {ids}',
                             'row_exists_command': 'true {ids}'})
        self.assertIn('/nonesuch/x: not found', str(self.assertRaises(
            exceptions.InvalidConfiguration, access.check, base.BACKUP)))

    def test_a_warning_names_the_new_option(self):
        path = pathlib.Path(self.useFixture(fixtures.TempDir()).path, 'x')
        path.write_text('[cinder_backup_recovery]\nrow_removal_timeout = 7\n'
                        'row_removal_command = x {ids}\n')
        conf = cfg.ConfigOpts()
        conf.register_opts(copy.deepcopy(connecting.OPTIONS),
                           group='cinder_backup_recovery')
        conf([], default_config_files=[str(path)])
        with self.assertLogs('oslo_config.cfg') as logs:
            access = rows.make(conf.cinder_backup_recovery, None)
        self.assertEqual(7, access._timeout)
        for name in ('row_removal_command', 'row_removal_timeout'):
            self.assertTrue([line for line in logs.output if name in line and
                             'row_command reaches' in line], logs.output)


def make(owner, options):
    conf = test_config.make_conf(**{
        'cinder_backup_recovery.database_connection': None, **{
            f'cinder_backup_recovery.{name}': value
            for name, value in options.items()}})
    return rows.make(conf.cinder_backup_recovery, owner)
