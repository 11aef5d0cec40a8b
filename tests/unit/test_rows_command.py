# SPDX-License-Identifier: Apache-2.0
import json
import os
import shlex
import sys
import time

import ddt
import fixtures
import testtools

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.rows import base
from cinder_backup_recovery_tests.rows import command
from tests import rows_cases

A, B = rows_cases.A, rows_cases.B
#: Writes its arguments to a file, and answers with configured states.
PROGRAM = '''
import json, sys
path, states, action, *arguments = sys.argv[1:]
if action != "state":
    json.dump(arguments, open(path, "w"))
    json.dump(sys.stdin.read(), open(path + ".stdin", "w"))
print("Welcome to the controller")
states = json.loads(states)
for one in arguments[1:]:
    if state := states.get(one, "absent"):
        print(one, state)
'''


def python(program, *args):
    return shlex.join([sys.executable, '-c', program, *args])


@ddt.ddt
class CommandRowsTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.path = os.path.join(self.useFixture(fixtures.TempDir()).path,
                                 'arguments')
        self.owner = rows_cases.Owner(A, B)

    def _rows(self, *template, **states):
        return command.CommandRows(python(
            PROGRAM, self.path, json.dumps(states), '{action}', '{what}',
            *(template or ('{ids}',))), self.owner, 60)

    def _command(self, program, timeout=60):
        return command.CommandRows(
            python(program, '{action}', '{what}', '{ids}'), self.owner,
            timeout)

    def _read(self, name=''):
        with open(self.path + name) as stream:
            return json.load(stream)

    def _fails(self, rows, *args, error=exceptions.RowRemovalCommandFailed):
        return str(self.assertRaises(error, rows.lose, base.BACKUP, [A],
                                     *args))

    def test_arguments(self):
        rows = self._rows('{ids}', '--project={project}', 'all: {ids}',
                          '{.json}', **{A: 'soft-deleted', B: 'soft-deleted'})
        self.assertEqual(
            base.Loss(base.BACKUP, (A, B), 'soft'),
            rows.lose(base.BACKUP, [A, B, A], 'soft', 'p-1'))
        self.assertEqual(['backup', A, B, '--project=p-1', f'all: {A} {B}',
                          '{.json}'], self._read())
        self.assertEqual('', self._read('.stdin'))

    def test_action(self):
        for kind, state in (('hard', 'absent'), ('soft', 'soft-deleted')):
            self._rows('{ids}', 'is {action}', **{A: state}).lose(
                base.BACKUP, [A], kind)
            self.assertEqual(['backup', A, f'is {kind}'], self._read())

    def test_no_project(self):
        self._rows('{ids}', '--project={project}').lose(base.BACKUP, [A])
        self.assertEqual(['backup', A, '--project='], self._read())

    @ddt.data(
        (exceptions.NotInLedger, [rows_cases.C]),
        (exceptions.InvalidConfiguration, ['x; rm -rf /']),
        (exceptions.InvalidConfiguration, [A + '\n']),
        (exceptions.InvalidConfiguration, []),
        (exceptions.InvalidConfiguration, [A], 'other'),
        (exceptions.InvalidConfiguration, [A], 'hard', 'p;q'),
        (exceptions.InvalidConfiguration, [A], 'hard', 'p\n'),
        (exceptions.InvalidConfiguration, [A], 'hard', '-o $(x)'))
    def test_refused_before_anything_is_run(self, case):
        self.assertRaises(case[0], self._rows().lose, base.BACKUP, *case[1:])
        self.assertFalse(os.path.exists(self.path))

    def test_others_are_not_changed(self):
        self.assertRaises(exceptions.NotInLedger, self._rows().restore,
                          base.BACKUP, [rows_cases.C], {})
        self.assertRaises(exceptions.NotInLedger, self._rows().purge,
                          base.BACKUP, [rows_cases.C])
        self.assertFalse(os.path.exists(self.path))

    @ddt.data(('', 'is empty'), ('   ', 'is empty'),
              ("rows '{ids}", 'cannot be split'),
              ('rows {action} {what}', 'lacks {ids}'),
              ('rows {action} {ids}', 'lacks {what}'),
              ('rows {what} {ids}', 'lacks {action}'),
              ('rows {action} {what} {id} {ids}',
               'has {id}; its placeholders are {action}, {ids}, {project}, '
               '{what}'))
    @ddt.unpack
    def test_bad_template(self, template, message):
        err = self.assertRaises(exceptions.InvalidConfiguration,
                                command.CommandRows, template, self.owner)
        self.assertIn(message, str(err))

    def test_failure_shows_the_last_lines_of_stderr(self):
        text = self._fails(self._command(
            'import sys\nfor n in range(9): print("line", n, '
            'file=sys.stderr)\nsys.exit(7)'))
        self.assertIn('exited 7: line 4 / line 5 / line 6 / line 7 / line 8',
                      text)
        self.assertNotIn('line 3', text)

    def test_failure_without_a_word_and_odd_bytes(self):
        for program, message in (
                ('import sys; sys.exit(1)', 'exited 1: no word on stderr'),
                (r'import os; os.write(2, b"\xff\n"); os._exit(2)',
                 'exited 2: \ufffd')):
            self.assertIn(message, self._fails(self._command(program)))

    def test_timeout_kills_the_children_too(self):
        rows = command.CommandRows(
            'sh -c "sleep 60 & sleep 60; : {action} {what} {ids}"',
            self.owner, 0.3)
        begin = time.monotonic()
        self.assertIn('took longer than 0.3 s', self._fails(rows))
        self.assertTrue(time.monotonic() - begin < 20)

    def test_not_installed(self):
        rows = command.CommandRows('/nonesuch/rows {action} {what} {ids}',
                                   self.owner)
        err = self.assertRaises(exceptions.InvalidConfiguration, rows.check,
                                base.BACKUP)
        self.assertEqual('/nonesuch/rows: not found or not executable',
                         str(err))
        self.assertIn('cannot be run: No such file', self._fails(rows))

    def test_command_that_reads_stdin_does_not_hang(self):
        rows = self._command('import sys; sys.stdin.read()\n'
                             'print(sys.argv[3], "absent")', timeout=30)
        rows.lose(base.BACKUP, [A])

    def test_states(self):
        rows = self._rows(**{A: 'live', B: 'soft-deleted'})
        self.assertEqual({A: 'live', B: 'soft-deleted',
                          rows_cases.C: 'absent'},
                         rows.states(base.BACKUP, [A, B, rows_cases.C]))
        rows.check(*base.RESOURCES)
        self.assertFalse(os.path.exists(self.path))

    @ddt.data(('', "'no answer' for"), ('gone', "'gone' for"))
    @ddt.unpack
    def test_states_answers_nonsense(self, state, message):
        err = self.assertRaises(
            exceptions.RowRemovalCommandFailed,
            self._rows(**{A: state}).states, base.BACKUP, [A, B])
        self.assertIn(message, str(err))
        self.assertNotIn(f'for {B}', str(err))

    def test_check_does_not_believe_a_command_that_knows_everything(self):
        rows = self._command(
            'import sys; [print(one, "live") for one in sys.argv[3:]]')
        self.assertIn(
            'reported a non-existent backup as live (self-test)',
            str(self.assertRaises(exceptions.RowRemovalCommandFailed,
                                  rows.check, base.BACKUP)))

    @ddt.data(('hard', 'absent', True), ('hard', 'soft-deleted', False),
              ('hard', 'live', False), ('soft', 'soft-deleted', True),
              ('soft', 'absent', False), ('soft', 'live', False))
    @ddt.unpack
    def test_loss_is_looked_at(self, kind, state, good):
        rows = self._rows(**{A: state})
        if good:
            rows.lose(base.BACKUP, [A], kind)
        else:
            self.assertIn(f'exited 0, but backup {A} is {state}',
                          self._fails(rows, kind))

    def test_purge_is_looked_at(self):
        self.assertEqual(0, self._rows().purge(base.BACKUP, [A]))
        err = self.assertRaises(
            exceptions.RowRemovalCommandFailed,
            self._rows(**{A: 'soft-deleted'}).purge, base.BACKUP, [A])
        self.assertIn('is soft-deleted and should be absent', str(err))
