# SPDX-License-Identifier: Apache-2.0

"""A cloud that exists, from its profile to the verdict."""

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys

from cinder_backup_recovery_tests.certification import main
from cinder_backup_recovery_tests.cmd import cleanup
from tests import programs
from tests.functional import certify_cases

ONE = 'FullBackupRowLossTest.test_hard_loss_restored_to_new_volume'


class CertifyCloudTest(certify_cases.CertifyCase):
    verb = 'cloud'

    def describe(self):
        return f'''
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
'''

    def test_mistakes(self):
        for said, variables in (
                ('authentication as admin failed', {'OS_PASSWORD': 'wrong'}),
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
                ('the file does not exist',
                 'connect.database_url=sqlite:////nonexistent/x'),
                ('is not the database of Cinder',
                 f'connect.database_url=sqlite:///{keystone}'),
                ('not of this cloud: its backup hosts are elsewhere',
                 f'connect.database_url=sqlite:///{other}'),
                ('was not found', 'connect.cloud=moon'),
                ('connect.tempest_conf: /nonexistent cannot be read',
                 'connect.tempest_conf=/nonexistent'),
                ('backup_store = tape: unknown backup_store',
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
        for secret in self.variables['OS_PASSWORD'], certify_cases.PLANTED:
            self.assertEqual([], [name for name, text in texts.items()
                                  if secret in text])
        code, out, _ = programs.call(main.main, 'verify-report', self.report)
        self.assertEqual(0, code, out)

    def test_check_and_quick(self):
        """And what is known of the release, which no API tells."""
        code, out, err = self.certify('--check')
        self.assertEqual((0, ''), (code, err))
        self.assertIn('ready to run', out)
        self.assertFalse(self.report.exists())
        code, out, err = self.certify(
            '--mode', 'quick', '--set', 'connect.cinder_version=30.0.0.dev1')
        self.assertEqual((2, ''), (code, err), out)
        self.assertIn(f'[1/1] pass  {ONE}', out)
        self.assertIn('certifies nothing', out)
        versions = self.document()['versions']
        self.assertRegex(versions.pop('cinder API'), r'\A3\.\d+\Z')
        self.assertEqual({'cinder': '30.0.0.dev1 (as configured)'}, versions)
        self.check_report(out)
        self.assertEqual([], self.left())

    def test_a_capability_that_is_denied_and_there(self):
        code, out, err = self.certify(
            '--regex', ONE, '--set', 'can.import_verify=false')
        self.assertEqual((2, ''), (code, err), out)
        self.assertIn('the profile denies import_verify, which the driver '
                      'plainly has', self.document()['reasons'])
        self.assertRegex(self.document()['versions']['cinder'],
                         r'\Awith API 3\.\d+\Z')
        self.check_report(out)
        self.assertEqual([], self.left())

    def cleanup(self):
        """Run the clean-up by the ledger of the report's directory."""
        return subprocess.run(
            [sys.executable, '-m', cleanup.__name__, '--config-file',
             str(self.local.tempest_conf), '--ledger',
             str(self.report / 'ledger')],
            env=self.variables, capture_output=True, text=True, timeout=300)

    def other_report(self):
        return ('--report-dir', str(self.directory / 'other'))

    def refused(self, *words):
        """The error of a certification that does not begin."""
        process = self.start('--regex', ONE, *words)
        _, err = process.communicate(timeout=300)
        return self.error(process.returncode, err)

    def test_two_at_once(self):
        """The second does not begin, and names the first one.

        If it fails, the clean-up at the end of one removes what the other
        one uses, and each counts the failures as the driver's.
        """
        first = self.begin('--regex', r'FullBackupRowLossTest\.test_hard_loss')
        workers = self.suspend(first)
        users = self.users()
        self.assertNotEqual([], users)
        for words in ((), self.other_report()):
            for more in ((), ('--check',)):
                error = self.refused(*words, *more)
                self.assertIn(f'process {first.pid} on host', error)
                self.assertIn(str(self.report), error)
        done = self.cleanup()
        self.assertIn(f'process {first.pid} on host',
                      self.error(done.returncode, done.stderr))
        self.assertEqual(users, self.users())
        for worker in workers:
            worker.resume()
        out, err = first.communicate(timeout=300)
        self.assertEqual((2, ''), (first.returncode, err), out)
        self.assertEqual({'pass'}, {test['status'] for test in
                                    self.document()['tests']})
        self.assertEqual(3, len(self.document()['tests']))
        self.assertEqual([], self.left())
        # And then the other one may.
        code, out, err = self.certify('--regex', ONE, *self.other_report())
        self.assertEqual((2, ''), (code, err), out)
        self.assertEqual([], self.left())

    def test_two_that_begin_at_the_same_moment(self):
        """One of them runs to its end, whichever it is."""
        both = [self.start('--regex', ONE, *words)
                for words in ((), self.other_report())]
        said = [process.communicate(timeout=300) for process in both]
        codes = [process.returncode for process in both]
        self.assertEqual([2, 3], sorted(codes), said)
        refused, ran = codes.index(3), codes.index(2)
        self.assertIn(f'process {both[ran].pid} on host',
                      self.error(3, said[refused][1]))
        self.assertEqual('', said[ran][1])
        self.assertIn('1 pass,', said[ran][0])
        self.assertEqual([], self.left())

    def test_after_a_kill(self):
        """Its rest keeps other runs away, and the next one removes it."""
        process = self.begin('--regex', 'FullBackupRowLossTest')
        workers = self.suspend(process)
        process.kill()
        process.wait()
        error = self.refused(*self.other_report())
        self.assertIn(f'was killed has left its mark on this cloud (process '
                      f'{process.pid} on host', error)
        self.assertIn(f'report directory {self.report}', error)
        # Its tests go on without it.
        self.assertIn('are running', self.refused())
        self.assertIn('are running', self.error(
            3, self.cleanup().stderr))
        self.kill(workers)
        self.assertNotEqual([], self.left())
        shutil.rmtree(self.temporary)
        self.temporary.mkdir()
        code, out, err = self.certify('--regex', ONE)
        self.assertEqual((2, ''), (code, err), out)
        self.assertIn('what an earlier run has left is removed:', out)
        self.assertEqual(['pass'], [test['status'] for test in
                                    self.document()['tests']])
        self.assertEqual([], self.left())

    def test_interrupted(self):
        """All that was begun in the cloud is removed."""
        process = self.begin('--regex', 'FullBackupRowLossTest')
        self.assertNotEqual([], self.left())
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=600)
        self.assertEqual((2, ''), (process.returncode, err), out)
        self.assertIn('interrupted, tidying up', out)
        document = self.document()
        self.assertIn('the run was interrupted', document['reasons'])
        self.assertEqual('pass', document['tests'][0]['status'])
        self.assertEqual([], self.left())
        self.assertEqual([], os.listdir(self.temporary))
