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


"""The profile of Cinder's own driver for S3, on the S3 API of a real Swift.

Apart from the contract, which runs where there is no Tempest, too.
"""

import os
import pathlib
import subprocess
import sys

import testtools

from reference_drivers.contract import base
from tests.functional import test_contract_s3 as contract


class S3ProfileTest(contract.OnSwift, contract.example.S3, base.Contract,
                    testtools.TestCase):
    driver = 'cinder.backup.drivers.s3.S3BackupDriver'

    def test_shipped_profile(self):
        """Through the program, and nothing of it stays on the storage."""
        conf = pathlib.Path(self.cinder.directory) / 'cinder.conf'
        conf.write_text('[DEFAULT]\n' + ''.join(
            f'{name} = {value}\n' for name, value in self.options.items()))
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', '-m',
             'cinder_backup_recovery_tests.certification.main', 'driver',
             '--profile', 's3-in-tree', '--regex',
             'of_a_snapshot|removes_a_backup',
             '--report-dir', str(conf.with_name('report')),
             f'--set=driver.config_files=[{conf}]',
             '--set=driver.store=s3_store.S3Store'],
            env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)},
            capture_output=True, text=True, timeout=200)
        self.assertEqual((2, ''), (done.returncode, done.stderr), done)
        self.assertIn('\n2 pass, 0 known, 0 skip, 0 fail', done.stdout)
        self.assertEqual([], self.objects.list(
            self.options['backup_s3_store_bucket']))
