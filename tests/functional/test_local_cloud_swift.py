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

"""The local cloud with backups on a real Swift."""

import os
import pathlib
import subprocess
import sys

import psutil
import testtools

from local_cloud import daemons
from local_cloud import fixture
from local_cloud import identity
from local_cloud import swift

_ROOT = pathlib.Path(__file__).parents[2]
_RECOVERY = ('cinder_backup_recovery_tests.scenario.test_row_loss.'
             'FullBackupRowLossTest.test_hard_loss_restored_to_new_volume')


class SwiftProfileTest(testtools.TestCase):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.local = fixture.LocalCloud('swift')
        cls.local.setUp()
        cls.addClassCleanup(cls.local.cleanUp)

    def _session(self):
        return identity.Session(self.local.state)

    def test_backup_is_recovered_from_swift(self):
        # The test itself refuses a backup of another driver. What it stores
        # is in the account of a project of its own.
        devices = self.local.state.data / swift.NAME / 'disk'
        before = set(devices.glob('containers/**/*.db'))
        done = subprocess.run(
            [sys.executable, '-m', 'testtools.run', _RECOVERY], cwd=_ROOT,
            env={**os.environ, **self.local.environment},
            capture_output=True, text=True, timeout=300)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        self.assertNotEqual(
            set(), set(devices.glob('containers/**/*.db')) - before)

    def test_all_servers_listen_on_loopback_only(self):
        process = daemons.alive(self.local.state, swift.NAME)
        sockets = [c.laddr for c in process.net_connections('tcp')
                   if c.status == psutil.CONN_LISTEN]
        self.assertEqual({'127.0.0.1'}, {address.ip for address in sockets})
        self.assertEqual(
            {self.local.state.record['ports'][name]
             for name in swift.SOCKETS},
            {address.port for address in sockets})

    def test_restart_keeps_ports_and_data(self):
        ports = dict(self.local.state.record['ports'])
        session = self._session()
        session.request('PUT', 'swift', '/kept')
        self.local.cloud.stop(swift.NAME)
        self.assertEqual('stopped', self.local.cloud.status()['services'][
            swift.NAME]['state'])
        self.local.cloud.up('swift')
        self.assertEqual(ports, self.local.state.record['ports'])
        self.assertIn('kept', [container['name'] for container in
                               session.get('swift', '?format=json')])

    def test_stranger_is_refused(self):
        session = self._session()
        session._requests.headers['X-Auth-Token'] = 'nobody'
        answer = session._requests.get(session._root('swift'), timeout=10)
        self.assertEqual(401, answer.status_code)
