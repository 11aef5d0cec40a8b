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

"""What runs only where there is a Nova, with a stand-in for it."""

import os
import pathlib
import subprocess
import sys

import testtools

from local_cloud import clients
from local_cloud import fixture
from local_cloud import tempest_conf

_ROOT = pathlib.Path(__file__).parents[2]


class AttachedVolumeTest(testtools.TestCase):
    def test_all_but_the_server(self):
        with fixture.LocalCloud() as local:
            path = tempest_conf.path(local.state)
            path.write_text(path.read_text().replace(
                'nova = false', 'nova = true'))
            done = subprocess.run(
                [sys.executable, '-m', 'testtools.run',
                 'tests.attached_cases.AttachedVolumeTest'],
                cwd=_ROOT, env={**os.environ,
                                **clients.variables(local.state)},
                capture_output=True, text=True, timeout=300)
        text = done.stdout + done.stderr
        self.assertEqual(0, done.returncode, text)
        # And was not skipped.
        self.assertIn('Ran 1 test', text)
