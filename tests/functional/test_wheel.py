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

"""The wheel, installed where nothing else is."""

import os
import pathlib
import subprocess
import sys
import tempfile

import testtools

_ROOT = pathlib.Path(__file__).parents[2]

#: What belongs to a cloud and must not come with the plugin.
_SERVICES = ('cinder', 'glance', 'keystone', 'os_brick', 'oslo_messaging')


class PluginAloneTest(testtools.TestCase):
    """Tempest's virtualenv on somebody else's machine."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        temporary = tempfile.TemporaryDirectory(prefix='cbrt-wheel-')
        cls.addClassCleanup(temporary.cleanup)
        cls.root = pathlib.Path(temporary.name)
        cls.run_program(sys.executable, '-m', 'pip', 'wheel', '--quiet',
                        '--no-deps', '--wheel-dir', cls.root, _ROOT)
        cls.wheel, = cls.root.glob('*.whl')
        cls.run_program(sys.executable, '-m', 'venv', cls.root / 'venv')
        cls.bin = cls.root / 'venv' / 'bin'
        cls.run_program(cls.bin / 'pip', 'install', '--quiet', cls.wheel)

    @classmethod
    def run_program(cls, *command, cwd=None):
        environment = {name: value for name, value in os.environ.items()
                       if name != 'PYTHONPATH'}
        done = subprocess.run(
            [str(word) for word in command], capture_output=True, text=True,
            cwd=cwd or cls.root, env=environment, timeout=600)
        if done.returncode != 0:
            raise AssertionError(f'{command} exited with {done.returncode}:\n'
                                 f'{done.stdout}\n{done.stderr}')
        return done.stdout

    def test_no_service_comes_with_it(self):
        found = self.run_program(
            self.bin / 'python', '-c',
            'from importlib import util; print([name for name in '
            f'{_SERVICES!r} if util.find_spec(name)])')
        self.assertEqual('[]', found.strip())

    def test_its_requirements_agree(self):
        self.run_program(self.bin / 'pip', 'check')

    def test_tempest_knows_it(self):
        self.assertIn('cinder_backup_recovery_tests',
                      self.run_program(self.bin / 'tempest', 'list-plugins'))

    def test_tempest_lists_its_tests(self):
        workspace = self.root / 'workspace'
        self.run_program(
            self.bin / 'tempest', 'init', workspace,
            '--workspace-path', self.root / 'workspaces.yaml')
        listed = self.run_program(
            self.bin / 'tempest', 'run', '--list-tests', '--config-file',
            workspace / 'etc' / 'tempest.conf', '--regex',
            r'^cinder_backup_recovery_tests\.', cwd=workspace)
        for room in ('api', 'scenario'):
            self.assertIn(f'cinder_backup_recovery_tests.{room}.test_',
                          listed)

    def test_store_adapters_need_no_storage_to_be_imported(self):
        listed = self.run_program(
            self.bin / 'python', '-c',
            'from importlib import metadata; print(*sorted('
            'one.load().__name__ for one in metadata.entry_points('
            'group="cinder_backup_recovery_tests.backup_stores")))')
        self.assertEqual('FilesystemStore RbdStore SwiftStore',
                         listed.strip())

    def test_other_releases_can_be_installed(self):
        """The local cloud finds what it was tested with."""
        listed = self.run_program(
            self.bin / 'python', '-c',
            'from importlib import resources; print(*sorted(path.name for '
            'path in (resources.files("local_cloud") / "constraints")'
            '.iterdir()))')
        self.assertEqual('cinder-2025.1.txt cinder-2025.2.txt '
                         'cinder-2026.1.txt', listed.strip())

    def test_programs_say_how_to_be_used(self):
        for name in ('cinder-backup-lose-rows', 'cinder-backup-source-rows',
                     'cinder-backup-certify', 'cinder-backup-results-table',
                     'cinder-backup-recovery-cleanup'):
            self.assertIn('usage:', self.run_program(self.bin / name,
                                                     '--help'))
