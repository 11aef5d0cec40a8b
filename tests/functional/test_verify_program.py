# SPDX-License-Identifier: Apache-2.0

"""The program that verifies, as an operator starts it."""

import os
import shutil
import subprocess
import sys
import tempfile
import uuid

import testtools

from tests import databases


class VerifyProgramTest(testtools.TestCase):

    def run_program(self, *words):
        root = os.path.dirname(os.path.dirname(os.path.dirname(
            os.path.abspath(__file__))))
        return subprocess.run(
            [sys.executable, '-W', 'ignore', '-m', 'reference_drivers.verify',
             *words], capture_output=True, text=True, cwd=root, timeout=600)

    def configure(self, driver):
        directory = tempfile.mkdtemp(prefix='cbrt-verify-')
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        database = os.path.join(directory, 'cinder.sqlite')
        shutil.copy(databases.sqlite_template(), database)
        path = databases.write_config(f'sqlite:///{database}', directory)
        with open(path) as stream:
            text = stream.read()
        with open(path, 'w') as stream:
            stream.write(text.replace(
                '[DEFAULT]\n', f'[DEFAULT]\nbackup_driver = {driver}\n') +
                f'[coordination]\nbackend_url = file://{directory}\n')
        return path

    def test_all_of_none(self):
        path = self.configure('reference_drivers.default.DefaultBackupDriver')
        done = self.run_program('--config-file', path, '--all')
        self.assertEqual((3, ''), (done.returncode, done.stdout), done)
        self.assertIn('and there is no other\n', done.stderr)

    def test_backup_that_is_not_there(self):
        path = self.configure('reference_drivers.default.DefaultBackupDriver')
        backup_id = str(uuid.uuid4())
        done = self.run_program('--config-file', path, backup_id)
        self.assertEqual(3, done.returncode, done)
        self.assertIn(f'{backup_id} NOT VERIFIED', done.stdout)

    def test_bad_configuration_is_no_pass(self):
        for driver, what in (
                ('cinder.backup.drivers.posix.PosixBackupDriver',
                 'is not a reference driver'),
                ('nowhere.Driver', 'nowhere')):
            done = self.run_program('--config-file', self.configure(driver),
                                    '--all')
            self.assertEqual(3, done.returncode, done)
            self.assertIn(what, done.stderr)
        done = self.run_program('--config-file', '/nonexistent', '--all')
        self.assertEqual(3, done.returncode, done)
