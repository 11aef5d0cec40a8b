# SPDX-License-Identifier: Apache-2.0

"""A cloud that another virtualenv's program starts."""

import json
import os
import pathlib
import sys

import fixtures
import testtools

from local_cloud import exceptions
from local_cloud import fixture
from local_cloud import remote
from local_cloud.machine import cloud_state

# Writes down how it was called, and makes what "up" leaves.
_PROGRAM = f"""\
#!{sys.executable}
import json, os, pathlib, sys
root = pathlib.Path(sys.argv[sys.argv.index('--state-dir') + 1])
with open(os.environ['CALLS'], 'a') as calls:
    print(json.dumps([sys.argv[1:], 'PYTHONPATH' in os.environ]), file=calls)
if 'down' in sys.argv:
    (root / 'cloud.json').unlink()
elif os.environ.get('FAILS'):
    sys.exit('error: no keystone here')
else:
    root.mkdir(exist_ok=True)
    (root / 'cloud.json').write_text(json.dumps(
        {{'id': 'an id', 'ports': {{'keystone': 5000}}, 'processes': {{}},
         'passwords': {{'admin': 'secret'}}}}))
"""


class RemoteTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        directory = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.useFixture(fixtures.MonkeyPatch('tempfile.tempdir',
                                             str(directory)))
        self.path = directory / 'program'
        self.path.write_text(_PROGRAM)
        self.path.chmod(0o700)
        self.calls = directory / 'calls'
        for name, value in ((remote.ENVIRONMENT, str(self.path)),
                            ('CALLS', str(self.calls)),
                            ('PYTHONPATH', os.getcwd())):
            self.useFixture(fixtures.EnvironmentVariable(name, value))

    def called(self):
        return [json.loads(line)
                for line in self.calls.read_text().splitlines()]

    def test_program_starts_it_and_takes_it_down(self):
        """With all options, and without this virtualenv's modules."""
        with fixture.LocalCloud('swift', debug=True, timeout=7,
                                without=('cinder-volume', 'cinder-backup'),
                                volumes='files', second_region=True,
                                second_store='shared',
                                second_backup=True,
                                database='mariadb') as local:
            root = str(local.state.root)
            self.assertEqual('an id', local.state.cloud_id)
            self.assertIsInstance(local.cloud, remote.Cloud)
        self.assertEqual([
            [['--quiet', '--state-dir', root, 'up', '--backup', 'swift',
              '--volumes', 'files', '--without', 'cinder-volume',
              '--without', 'cinder-backup',
              '--second-region', '--second-store', 'shared',
              '--second-backup', '--database', 'mariadb',
              '--debug', '--timeout', '7'], False],
            [['--quiet', '--state-dir', root, 'down'], False],
        ], self.called())
        self.assertFalse(os.path.exists(root))

    def test_its_error_is_told(self):
        self.useFixture(fixtures.EnvironmentVariable('FAILS', '1'))
        cloud = remote.Cloud(str(self.path), cloud_state.State('cloud'))
        error = self.assertRaises(exceptions.ServiceFailed, cloud.up)
        self.assertIn('no keystone here', str(error))

    def test_no_such_program(self):
        """The error names the variable."""
        cloud = remote.Cloud('/nowhere/program', cloud_state.State('cloud'))
        error = self.assertRaises(exceptions.MissingPackage, cloud.up)
        self.assertIn('/nowhere/program', str(error))
        self.assertIn(remote.ENVIRONMENT, str(error))
