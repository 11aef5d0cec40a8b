# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""The contract where cinder-backup runs under eventlet.

Cinder has two ways to run: with threads, as the other tests, and with green
threads, where whatever blocks has to be sent to a native one.
"""

import os
import subprocess
import sys

import testtools

_PROGRAM = """
import eventlet
eventlet.monkey_patch()
import reference_drivers.contract
from cinder import monkey_patch
monkey_patch.patch(backend='eventlet')
from eventlet import patcher
assert patcher.is_monkey_patched('thread')
import sys
from testtools import run
run.main(['run', *sys.argv[1:]], sys.stdout)
"""

_CASE = 'tests.functional.test_contract_default.DefaultTest.'


class EventletTest(testtools.TestCase):

    def test_green_threads(self):
        root = os.path.dirname(os.path.dirname(os.path.dirname(
            os.path.abspath(__file__))))
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', _PROGRAM,
             *(_CASE + name for name in (
                 'test_every_compression',
                 'test_no_false_alarm_at_any_level',
                 'test_wrong_bytes_are_restored_only_when_asked_for',
                 'test_delete_removes_a_backup_and_no_other'))],
            capture_output=True, text=True, cwd=root, timeout=300)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        self.assertIn('Ran 4 tests', done.stdout)
