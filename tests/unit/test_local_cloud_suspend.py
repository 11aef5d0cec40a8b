# SPDX-License-Identifier: Apache-2.0
"""A process that is suspended does nothing more."""

import pathlib
import subprocess
import sys
from unittest import mock

import psutil
import testtools

from local_cloud import exceptions
from local_cloud.machine import daemons

# Threads that run side by side, outside of Python's lock.
_BUSY = '''
import hashlib
import sys
import threading
data = bytes(1 << 24)
def work():
    while True:
        hashlib.sha256(data)
for _ in range(8):
    threading.Thread(target=work, daemon=True).start()
print('begun', flush=True)
sys.stdin.read()
'''


class SuspendTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        child = subprocess.Popen(
            [sys.executable, '-c', _BUSY], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)
        self.addCleanup(child.communicate)
        self.addCleanup(child.kill)
        child.stdout.readline()
        self.process = psutil.Process(child.pid)

    def states(self):
        return {path.read_text().rpartition(')')[2].split()[0] for path in
                pathlib.Path(f'/proc/{self.process.pid}/task').glob('*/stat')}

    def test_no_thread_goes_on(self):
        for _ in range(20):
            daemons.suspend(self.process)
            self.assertEqual({'T'}, self.states())
            self.process.resume()

    def test_a_thread_that_does_not_stop(self):
        with mock.patch.object(self.process, 'suspend'):
            error = self.assertRaises(exceptions.ServiceFailed,
                                      daemons.suspend, self.process, 0.1)
        self.assertIn('does not stop', str(error))
