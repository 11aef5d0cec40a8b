# SPDX-License-Identifier: Apache-2.0

"""The test that needs a Nova, with a stand-in for it."""

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
