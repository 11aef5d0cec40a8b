# SPDX-License-Identifier: Apache-2.0

"""The program that runs a command beside busy loops."""

import contextlib
import pathlib
import signal
import subprocess
import sys
import time
import uuid

import fixtures
import psutil
import testtools

_PROGRAM = pathlib.Path(__file__).parents[2] / 'tools' / 'under_load.py'


class UnderLoadTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        # By which its loops are found.
        self.mark = uuid.uuid4().hex
        self.useFixture(fixtures.EnvironmentVariable('MARK', self.mark))
        self.useFixture(fixtures.Timeout(120, gentle=True))

    def start(self, *arguments):
        process = subprocess.Popen(
            [sys.executable, str(_PROGRAM), *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def marked(self):
        """Processes of this test, that of the test itself left out."""
        found = []
        for process in psutil.process_iter():
            try:
                if (process.environ().get('MARK') == self.mark and
                        process.status() != psutil.STATUS_ZOMBIE):
                    found.append(process.pid)
            except psutil.Error:
                continue
        return found

    def assert_nothing_left(self):
        while self.marked():
            time.sleep(0.1)

    def test_counts(self):
        """Those that ended well, whatever the others did."""
        directory = self.useFixture(fixtures.TempDir()).path
        process = self.start(
            '--loops', '2', '--runs', '2', '--', 'sh', '-c',
            f'test -e {directory}/seen || {{ touch {directory}/seen; exit 7; '
            f'}}')
        out, err = process.communicate()
        self.assertEqual((1, ''), (process.returncode, err))
        self.assertIn('run 1 of 2: exit status 7', out)
        self.assertIn('1 of 2 ended with exit status 0', out)
        self.assert_nothing_left()

    def test_limit(self):
        process = self.start('--loops', '1', '--limit', '0.1', '--',
                             'sleep', '60')
        out, _ = process.communicate()
        self.assertEqual(1, process.returncode)
        self.assertIn('interrupted after', out)
        self.assert_nothing_left()

    def test_ended_from_outside(self):
        """Also where it had no time to tidy up."""
        for number in signal.SIGTERM, signal.SIGKILL:
            process = self.start('--loops', '3', '--', sys.executable, '-c',
                                 'import time; print("up", flush=True); '
                                 'time.sleep(600)')
            self.assertEqual('up\n', process.stdout.readline())
            process.send_signal(number)
            process.wait()
            for pid in self.marked():
                # The command is its own once no process is left to end it.
                with contextlib.suppress(psutil.NoSuchProcess):
                    process = psutil.Process(pid)
                    if any('sleep(600)' in word for word in process.cmdline()):
                        process.kill()
            self.assert_nothing_left()

    def test_no_such_command(self):
        process = self.start('--', '/nonexistent')
        _, err = process.communicate()
        self.assertEqual((3, 'error: /nonexistent: No such file or '
                             'directory\n'), (process.returncode, err))
        self.assert_nothing_left()
