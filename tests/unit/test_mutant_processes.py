# SPDX-License-Identifier: Apache-2.0
"""The processes in which a mutant meets the checks can be told to stop."""

import os
import pathlib
import signal
import subprocess
import sys

import ddt
import fixtures
import testtools

# A signal that arrives during the fork, exactly there.
_PROGRAM = '''
import contextlib
import os
import signal
import sys
import time
from mutants import __main__ as program
from mutants import processes

@contextlib.contextmanager
def session():
    yield lambda check: time.sleep(60)

told = []
def tell():
    if not told:
        told.append(os.getpid())
        os.kill(os.getpid(), signal.Signals[sys.argv[2]])

program.stop_cleanly()
os.register_at_fork(**{sys.argv[1]: tell})
try:
    list(processes.run(session, ['one'], 60))
except KeyboardInterrupt:
    sys.exit(2)
'''


@ddt.ddt
class StopTest(testtools.TestCase):

    @ddt.data(('before', 'SIGTERM'), ('before', 'SIGINT'),
              ('after_in_parent', 'SIGTERM'), ('after_in_parent', 'SIGINT'))
    @ddt.unpack
    def test_told_to_stop_during_the_fork(self, when, number):
        directory = self.useFixture(fixtures.TempDir()).path
        process = subprocess.Popen(
            [sys.executable, '-c', _PROGRAM, when, number],
            env={**os.environ, 'TMPDIR': directory, 'PYTHONPATH':
                 str(pathlib.Path(__file__).parents[2])},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        _, err = process.communicate(timeout=600)
        self.assertEqual((2, ''), (process.returncode, err))
        self.assertEqual([], os.listdir(directory))
        # Its session has no process any more.
        self.assertRaises(ProcessLookupError, os.killpg, process.pid,
                          signal.SIGCONT)
