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
RECORD = ('import json, sys; json.dump(sys.argv[2:], open(sys.argv[1], "w"))')


def python(program, *args):
    return shlex.join([sys.executable, '-c', program, *args])


@ddt.ddt
class CommandRowsTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.path = os.path.join(self.useFixture(fixtures.TempDir()).path,
                                 'arguments')
        self.owner = rows_cases.Owner(A, B)

    def _rows(self, lose=None, **kwargs):
        if lose is None:
            lose = python(RECORD, self.path, '--kind', '{kind}', '{ids}',
                          '--project={project}', 'all: {ids}', '{.json}')
        return command.CommandRows(lose, self.owner, **kwargs)

    def _arguments(self):
        with open(self.path) as stream:
            return json.load(stream)

    def test_arguments(self):
        outcome = self._rows().lose([A, B, A], 'soft', 'p-1')
        self.assertEqual(base.Loss('soft', (A, B)), outcome)
        self.assertEqual(
            ['--kind', 'soft', A, B, '--project=p-1', f'all: {A} {B}',
             '{.json}'], self._arguments())

    def test_no_project(self):
        self._rows().lose([A])
        self.assertEqual(['--kind', 'hard', A, '--project=', f'all: {A}',
                          '{.json}'], self._arguments())

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
        self.assertRaises(case[0], self._rows().lose, *case[1:])
        self.assertFalse(os.path.exists(self.path))

    @ddt.data(('', 'is empty'), ('   ', 'is empty'),
              ("lose '{ids}", 'cannot be split'),
              ('lose {kind}', 'lacks {ids}'),
              ('lose {id} {ids}', 'has {id}, which is not one of {ids}, '
               '{kind}, {project}'))
    @ddt.unpack
    def test_bad_template(self, template, message):
        err = self.assertRaises(exceptions.InvalidConfiguration, self._rows,
                                template)
        self.assertIn(message, str(err))

    def test_bad_exists_template(self):
        err = self.assertRaises(exceptions.InvalidConfiguration, self._rows,
                                exists_command='look {kind} {ids}')
        self.assertIn('has {kind}, which is not one of {ids}', str(err))

    def test_failure_shows_the_last_lines_of_stderr(self):
        rows = self._rows(python(
            'import sys\nfor n in range(9): print("line", n, '
            'file=sys.stderr)\nsys.exit(7)', '{ids}'))
        err = self.assertRaises(exceptions.RowRemovalCommandFailed,
                                rows.lose, [A])
        self.assertIn('exited 7: line 4 / line 5 / line 6 / line 7 / line 8',
                      str(err))
        self.assertNotIn('line 3', str(err))

    def test_failure_without_a_word_and_odd_bytes(self):
        for program, message in (
                ('import sys; sys.exit(1)', 'exited 1: no word on stderr'),
                (r'import os; os.write(2, b"\xff\n"); os._exit(2)',
                 'exited 2: \ufffd')):
            err = self.assertRaises(
                exceptions.RowRemovalCommandFailed,
                self._rows(python(program, '{ids}')).lose, [A])
            self.assertIn(message, str(err))

    def test_timeout_kills_the_children_too(self):
        rows = self._rows('sh -c "sleep 60 & sleep 60; : {ids}"',
                          timeout=0.3)
        begin = time.monotonic()
        err = self.assertRaises(exceptions.RowRemovalCommandFailed,
                                rows.lose, [A])
        self.assertIn('took longer than 0.3 s', str(err))
        self.assertTrue(time.monotonic() - begin < 20)

    def test_not_installed(self):
        rows = self._rows('/nonesuch/lose {ids}')
        err = self.assertRaises(exceptions.InvalidConfiguration, rows.check)
        self.assertIn('the program /nonesuch/lose is not installed',
                      str(err))
        err = self.assertRaises(exceptions.RowRemovalCommandFailed,
                                rows.lose, [A])
        self.assertIn('cannot be run: No such file', str(err))

    def test_command_that_reads_stdin_does_not_hang(self):
        self._rows(python('import sys; sys.stdin.read()', '{ids}'),
                   timeout=30).lose([A])

    def _looking(self, states, **kwargs):
        program = ('import json, sys\nstates = json.loads(sys.argv[1])\n'
                   'print("Welcome to the controller")\n'
                   'for one in sys.argv[2:]:\n'
                   ' if states.get(one, "absent"):\n'
                   '  print(one, states.get(one, "absent"))')
        return self._rows(exists_command=python(
            program, json.dumps(states), '{ids}'), **kwargs)

    def test_exists(self):
        rows = self._looking({A: 'live', B: 'soft-deleted'})
        self.assertEqual({A: 'live', B: 'soft-deleted',
                          rows_cases.C: 'absent'},
                         rows.exists([A, B, rows_cases.C]))
        rows.check()

    def test_exists_without_a_command(self):
        self.assertRaises(exceptions.InvalidConfiguration,
                          self._rows().exists, [A])
        self._rows().check()

    @ddt.data(('', "'no answer' for"), ('gone', "'gone' for"))
    @ddt.unpack
    def test_exists_answers_nonsense(self, state, message):
        err = self.assertRaises(exceptions.RowRemovalCommandFailed,
                                self._looking({A: state}).exists, [A, B])
        self.assertIn(message, str(err))
        self.assertNotIn(f'for {B}', str(err))

    def test_check_does_not_believe_a_command_that_knows_everything(self):
        rows = self._rows(exists_command=python(
            'import sys; [print(one, "live") for one in sys.argv[1:]]',
            '{ids}'))
        self.assertRaises(exceptions.RowRemovalCommandFailed, rows.check)

    @ddt.data(('hard', 'absent', True), ('hard', 'soft-deleted', False),
              ('hard', 'live', False), ('soft', 'soft-deleted', True),
              ('soft', 'absent', False), ('soft', 'live', False))
    @ddt.unpack
    def test_loss_is_looked_at(self, kind, state, good):
        rows = self._looking({A: state})
        if good:
            rows.lose([A], kind)
        else:
            err = self.assertRaises(exceptions.RowRemovalCommandFailed,
                                    rows.lose, [A], kind)
            self.assertIn(f'exited 0, but backup {A} is {state}', str(err))
