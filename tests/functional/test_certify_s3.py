# SPDX-License-Identifier: Apache-2.0

"""The profiles of the drivers for S3, on a real RADOS Gateway.

Apart from the contract, which runs where there is no Tempest, too.
"""

import os
import pathlib
import subprocess
import sys

import testtools

from reference_drivers.contract import base
from tests.functional import test_contract_s3 as contract


class S3Case(contract.S3, base.Contract, testtools.TestCase):
    driver = 'cinder.backup.drivers.s3.S3BackupDriver'

    def certify(self, profile, *words):
        """Run the program, of which nothing stays on the storage."""
        conf = pathlib.Path(self.cinder.directory) / 'cinder.conf'
        conf.write_text('[DEFAULT]\n' + ''.join(
            f'{name} = {value}\n' for name, value in self.options.items()))
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', '-m',
             'cinder_backup_recovery_tests.certification.main', 'driver',
             '--profile', profile, *words,
             '--report-dir', str(conf.with_name('report')),
             # Each looks at all objects after each step.
             '--set=run.histories=3', '--set=run.histories_seed=7',
             f'--set=driver.config_files=[{conf}]'],
            env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)},
            capture_output=True, text=True, timeout=3600)
        self.assertEqual([], self.objects.list(
            self.options['backup_s3_store_bucket']))
        return done


class S3ProfileTest(S3Case):
    def test_those_that_look_into_the_store(self):
        """By the profile alone, which has the store adapter by its class.

        "make releases" has all of the contract of this driver.
        """
        done = self.certify('s3-in-tree', '--regex',
                            'test_more_chunks_than_a_page|test_any_rows')
        self.assertEqual((2, ''), (done.returncode, done.stderr), done)
        self.assertIn('pass  ChunksContract.test_more_chunks_than_a_page',
                      done.stdout)
        self.assertIn(' 0 fail, 0 error', done.stdout)


class S3ReferenceProfileTest(S3Case):
    driver = 'reference_drivers.s3.S3BackupDriver'

    def test_certified(self):
        """As a vendor would certify it: all of the contract."""
        done = self.certify('s3')
        self.assertEqual((0, ''), (done.returncode, done.stderr), done)
        self.assertIn('\ncertified (exit status 0)', done.stdout)
