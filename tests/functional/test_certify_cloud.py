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


"""A cloud that is there, from its profile to the verdict."""

import contextlib
import io
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading

import fixtures
import testtools

from cinder_backup_recovery_tests.certification import main
from local_cloud import fixture
from local_cloud import identity

_PLANTED = 'planted-in-the-environment'
ONE = 'FullBackupRowLossTest.test_hard_loss_restored_to_new_volume'


class CertifyCloudTest(testtools.TestCase):
    """One local cloud for all, which is there like any other."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.local = fixture.LocalCloud()
        cls.local.setUp()
        cls.addClassCleanup(cls.local.cleanUp)
        cls.database = cls.local.state.root / 'data' / 'cinder.sqlite'

    def setUp(self):
        super().setUp()
        self.directory = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path)
        self.temporary = self.directory / 'tmp'
        self.temporary.mkdir()
        self.report = self.directory / 'report'
        self.variables = {
            **{name: value for name, value in os.environ.items()
               if not name.startswith(('OS_', 'TEMPEST_'))},
            **{name: value for name, value in
               self.local.environment.items() if name.startswith('OS_')},
            'TMPDIR': str(self.temporary), 'VENDOR_API_TOKEN': _PLANTED,
            'PYTHONPATH': os.pathsep.join(sys.path),
            'PYTHONWARNINGS': 'ignore'}
        self.profile = self.directory / 'acme.yaml'
        self.profile.write_text(f'''
driver:
  class: reference_drivers.default.DefaultBackupDriver
connect:
  database_url: sqlite:///{self.database}?timeout=60
  content_access: attachment
  connector_properties: basic
  poll_interval: 0.1
can:
  import_verify: true
  import_verify_level: content
run:
  report_dir: {self.report}
''')

    def start(self, *words, **variables):
        return subprocess.Popen(
            [sys.executable, '-m', main.__name__, 'cloud', '--profile',
             str(self.profile), *words], env={**self.variables, **variables},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
            # A shell's background job ignores it, and so would this.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))

    def certify(self, *words, **variables):
        process = self.start(*words, **variables)
        out, err = process.communicate(timeout=300)
        self.assertEqual([], os.listdir(self.temporary))
        return process.returncode, out, err

    def document(self):
        return json.loads((self.report / 'results.json').read_text())

    def left(self):
        """What is in the cloud, but for what was there at first."""
        session = identity.Session(self.local.state)
        found = []
        for kind in ('volumes', 'backups', 'snapshots'):
            found += session.get('cinder', f'/{kind}?all_tenants=1')[kind]
        found += [user for user in session.get('keystone', '/users')['users']
                  if user['name'].startswith('tempest-')]
        return found

    def mistake(self, *words, **variables):
        """The one line that is said, before anything is created."""
        code, _, err = self.certify(*words, **variables)
        self.assertEqual((3, 1), (code, err.count('\n')), err)
        self.assertTrue(err.startswith('error: '), err)
        return err

    def test_mistakes(self):
        for said, variables in (
                ('does not let admin in', {'OS_PASSWORD': 'wrong'}),
                ('Unable to establish connection',
                 {'OS_AUTH_URL': 'http://127.0.0.1:1/v3'})):
            self.assertIn(said, self.mistake('--check', **variables))
        url = self.variables.pop('OS_AUTH_URL')
        self.assertIn('nothing says which cloud it is',
                      self.mistake('--check'))
        self.variables['OS_AUTH_URL'] = url
        other = self.directory / 'other.sqlite'
        shutil.copy(self.database, other)
        with contextlib.closing(sqlite3.connect(other)) as rows, rows:
            rows.execute("UPDATE services SET host = 'elsewhere'")
        keystone = self.database.with_name('keystone.sqlite')
        for said, setting in (
                ('there is no such file',
                 'connect.database_url=sqlite:////nonexistent/x'),
                ('is not the database of Cinder',
                 f'connect.database_url=sqlite:///{keystone}'),
                ('not of this cloud: its backup hosts are elsewhere',
                 f'connect.database_url=sqlite:///{other}'),
                ('was not found', 'connect.cloud=moon'),
                ('connect.tempest_conf: /nonexistent cannot be read',
                 'connect.tempest_conf=/nonexistent'),
                ('backup_store = tape is none of',
                 'connect.backup_store=tape')):
            self.assertIn(said, self.mistake('--set', setting, '--check'))
        # The same where it is not asked for.
        self.assertIn('is not the database of Cinder', self.mistake(
            '--set', f'connect.database_url=sqlite:///{keystone}'))
        self.assertEqual([], self.left())

    def check_report(self, *said):
        """It holds, and neither it nor what was said has a secret in it.

        :param said: what was printed
        """
        texts = {path.name: path.read_text(errors='replace')
                 for path in self.report.rglob('*') if path.is_file()}
        texts['terminal'] = '\n'.join(said)
        self.assertIn('admin_password', texts['results.json'])
        for secret in self.variables['OS_PASSWORD'], _PLANTED:
            self.assertEqual([], [name for name, text in texts.items()
                                  if secret in text])
        with contextlib.redirect_stdout(io.StringIO()) as out:
            code = main.main(['verify-report', str(self.report)])
        self.assertEqual(0, code, out.getvalue())

    def test_check_and_quick(self):
        code, out, err = self.certify('--check')
        self.assertEqual((0, ''), (code, err))
        self.assertIn('a run could begin', out)
        self.assertFalse(self.report.exists())
        code, out, err = self.certify('--mode', 'quick')
        self.assertEqual((2, ''), (code, err), out)
        self.assertIn(f'[1/1] pass  {ONE}', out)
        self.assertIn('certifies nothing', out)
        self.check_report(out)
        self.assertEqual([], self.left())

    def test_a_capability_that_is_denied_and_there(self):
        code, out, err = self.certify(
            '--regex', ONE, '--set', 'can.import_verify=false')
        self.assertEqual((2, ''), (code, err), out)
        self.assertIn('the profile denies import_verify, which the driver '
                      'plainly has', self.document()['reasons'])
        self.check_report(out)
        self.assertEqual([], self.left())

    def test_interrupted(self):
        """All that was begun in the cloud is removed."""
        process = self.start('--regex', 'FullBackupRowLossTest')
        for stream in (process.stdout, process.stderr):
            self.addCleanup(stream.close)
        killer = threading.Timer(300, process.kill)
        killer.start()
        self.addCleanup(killer.cancel)
        for line in process.stdout:
            if line.startswith('['):
                break
        self.assertNotEqual([], self.left())
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
        self.assertEqual((2, ''), (process.returncode, err), out)
        self.assertIn('interrupted, tidying up', out)
        document = self.document()
        self.assertIn('the run was interrupted', document['reasons'])
        self.assertEqual('pass', document['tests'][0]['status'])
        self.assertEqual([], self.left())
        self.assertEqual([], os.listdir(self.temporary))
