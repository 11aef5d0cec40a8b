# SPDX-License-Identifier: Apache-2.0

"""Progress of a run, in a terminal and elsewhere."""

import fcntl
import io
import os
import pty
import select
import struct
import termios
from unittest import mock

import fixtures
import testtools

from cinder_backup_recovery_tests import facts
from cinder_backup_recovery_tests.certification.run import progress
from cinder_backup_recovery_tests.certification.verdict import results

PASS, KNOWN, SKIP, FAIL, ERROR = results.Status


class PlainTest(testtools.TestCase):
    """Where there is no terminal."""

    def setUp(self):
        super().setUp()
        self.out = io.StringIO()

    def progress(self, *tests):
        return progress.Progress(tests, self.out)

    def test_one_line_at_once(self):
        self.out = mock.Mock(wraps=io.StringIO())
        self.out.isatty.return_value = False
        shown = self.progress('m.A.test_1[id-1]', 'm.A.test_2')
        shown.started('m.A.test_1')
        shown.ended(results.Result('m.A.test_1[id-1]', PASS, 61.23))
        shown.close()
        self.assertEqual('[1/2] pass  A.test_1 (61.2 s)\n',
                         self.out._mock_wraps.getvalue())
        self.out.flush.assert_called()

    def test_reasons_and_stories(self):
        self.progress('m.A.test_1').ended(
            results.Result('m.A.test_1', FAIL, 1, 'why', facts.Facts(
                steps=[facts.Step('a step', 0.5, failed=True)])))
        self.assertEqual('[1/1] fail  A.test_1 (1.0 s)\n'
                         '       0.5 s  a step: failed\n    why\n',
                         self.out.getvalue())

    def test_a_set_up_counts_for_its_tests(self):
        self.progress('m.A.test_1', 'm.A.test_2', 'm.B.test_1').ended(
            results.Result('setUpClass (m.A)', SKIP, 0, 'no'))
        self.assertIn('[2/3] skip  A (setUpClass)', self.out.getvalue())


class TerminalTest(testtools.TestCase):
    COLUMNS = 40

    def setUp(self):
        super().setUp()
        self.useFixture(fixtures.EnvironmentVariable('TERM', 'xterm'))
        here, there = pty.openpty()
        self.addCleanup(os.close, here)
        fcntl.ioctl(there, termios.TIOCSWINSZ,
                    struct.pack('HHHH', 24, self.COLUMNS, 0, 0))
        self.terminal = os.fdopen(there, 'w')
        self.addCleanup(self.terminal.close)
        self.here = here
        self.now = 0

    def progress(self, *tests):
        return progress.Progress(tests, self.terminal, lambda: self.now)

    def said(self):
        self.terminal.flush()
        text = b''
        while select.select([self.here], [], [], 0)[0]:
            text += os.read(self.here, 65536)
        return text.decode()

    def screen(self):
        """The lines that a person sees, the last one is the status."""
        return [line.rpartition('\r\x1b[K')[2]
                for line in self.said().replace('\r\n', '\n').split('\n')]

    def test_what_runs_and_how_long_it_takes(self):
        names = [f'm.A.test_{number}' for number in range(4)]
        shown = self.progress(*names)
        shown.started(names[0])
        self.assertEqual(['0/4 | 0:00 | A'], self.screen())
        self.now = 100
        shown.ended(results.Result(names[0], PASS, 100))
        self.assertEqual(['[1/4] pass  A.test_0 (100.0 s)',
                          '1/4 | 1:40 | about 5 min left'], self.screen())
        self.now = 110
        for name in names[1:]:
            shown.ended(results.Result(name, PASS, 3))
        self.assertEqual('4/4 | 1:50', self.screen()[-1])
        shown.close()
        self.assertEqual([''], self.screen())

    def test_a_line_that_is_too_long(self):
        """It would wrap, and could not be wiped."""
        shown = self.progress('m.A.test_1')
        shown.started(f'm.{"Long" * 50}.test_1')
        line, = self.screen()
        self.assertEqual(self.COLUMNS - 1, len(line))

    def test_a_terminal_that_cannot(self):
        self.useFixture(fixtures.EnvironmentVariable('TERM', 'dumb'))
        shown = self.progress('m.A.test_1')
        shown.started('m.A.test_1')
        shown.ended(results.Result('m.A.test_1', PASS, 1))
        shown.close()
        self.assertEqual('[1/1] pass  A.test_1 (1.0 s)\r\n', self.said())
