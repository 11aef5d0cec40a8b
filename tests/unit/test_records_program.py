# SPDX-License-Identifier: Apache-2.0

"""The command line of ``cinder-backup-records``."""

import os
import pathlib
import subprocess
import sys

import ddt
import fixtures
import testtools

from backup_recovery import arguments
from backup_recovery import main
from tests import programs


@ddt.ddt
class ProgramTest(testtools.TestCase):
    @ddt.data(
        (['apply', '/nonexistent/plan'], 'No such file'),
        (['restore', '/nonexistent/plan'], 'No such file'),
        (['restore', 'x', '--map', '/nonexistent/map'], 'No such file'),
        (['restore', 'x', '--wait', 'long'], 'invalid float'),
        (['plan', '/nonexistent/records', 'plan'], 'No such file'),
        (['plan', 'x', 'y', '--lost-since', 'monday'], 'ISO 8601'),
        (['export', 'x', '--workers', '99'], '99 is not from 1 to 32'),
        (['export'], 'required: FILE'), ([], 'required: COMMAND'))
    @ddt.unpack
    def test_mistakes(self, arguments, reason):
        """One line, and the exit status of an error."""
        status, _, said = programs.call(main.main, *arguments)
        self.assertEqual(3, status)
        self.assertIn(reason, said)
        self.assertTrue(said.startswith('error: '), said)
        self.assertEqual(1, said.count('\n'))

    def test_scan_without_cinder(self):
        """It is on another host, or in another virtualenv."""
        done = subprocess.run(
            [sys.executable, '-c', 'import sys\n'
             'sys.modules["cinder"] = None\n'
             'from backup_recovery import main\n'
             'sys.exit(main.main(["scan", "/nonexistent/x"]))'],
            capture_output=True, text=True, timeout=600,
            cwd=pathlib.Path(__file__).parents[2])
        self.assertEqual((3, 1), (done.returncode, done.stderr.count('\n')),
                         done.stderr)
        self.assertIn("error: cinder is not installed; in the virtualenv",
                      done.stderr)

    @ddt.data(('cinder-backup-records sal', {'salvage '}),
              ('cinder-backup-records export --rec', {'--recipient '}),
              ('cinder-backup-records scan -f ', {'text', 'json'}))
    @ddt.unpack
    def test_completion(self, typed, completed):
        """As a shell asks for it, by argcomplete."""
        found = pathlib.Path(self.useFixture(fixtures.TempDir()).join('found'))
        subprocess.run(
            [sys.executable, '-c', 'from backup_recovery import main\n'
             'main.main()'], check=True, timeout=600,
            cwd=pathlib.Path(__file__).parents[2], env={
                **os.environ, '_ARGCOMPLETE': '1', 'COMP_LINE': typed,
                'COMP_POINT': str(len(typed)), '_ARGCOMPLETE_IFS': '\n',
                '_ARGCOMPLETE_STDOUT_FILENAME': str(found)})
        self.assertEqual(completed, {*found.read_text().split('\n')})

    @ddt.data(('2026-11-29', '2026-11-29T00:00:00Z'),
              ('2026-11-29T02:00', '2026-11-29T02:00:00Z'),
              ('2026-11-29T02:00+02:00', '2026-11-29T00:00:00Z'))
    @ddt.unpack
    def test_moments(self, text, moment):
        self.assertEqual(moment, arguments.moment(text))
