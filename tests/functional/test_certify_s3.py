# SPDX-License-Identifier: Apache-2.0

"""The profile of Cinder's own driver for S3, on a real RADOS Gateway.

Apart from the contract, which runs where there is no Tempest, too.
"""

import os
import pathlib
import subprocess
import sys

import testtools

from reference_drivers.contract import base
from tests.functional import test_contract_s3 as contract


class S3ProfileTest(contract.S3, base.Contract, testtools.TestCase):
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
             f'--set=driver.config_files=[{conf}]'],
            env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)},
            capture_output=True, text=True, timeout=200)
        self.assertEqual((2, ''), (done.returncode, done.stderr), done)
        self.assertIn('\n2 pass, 0 known, 0 skip, 0 fail', done.stdout)
        self.assertEqual([], self.objects.list(
            self.options['backup_s3_store_bucket']))
