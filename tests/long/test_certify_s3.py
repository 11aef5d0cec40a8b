# SPDX-License-Identifier: Apache-2.0

"""The reference driver for S3 as a vendor would certify it."""

from tests.functional import test_certify_s3


class S3ReferenceProfileTest(test_certify_s3.S3Case):
    driver = 'reference_drivers.s3.S3BackupDriver'

    def test_certified(self):
        """All of the contract."""
        done = self.certify('s3')
        self.assertEqual((0, ''), (done.returncode, done.stderr), done)
        self.assertIn('\ncertified (exit status 0)', done.stdout)
