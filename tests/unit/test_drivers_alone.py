# SPDX-License-Identifier: Apache-2.0

"""The drivers, in cinder-backup's virtualenv."""

import pkgutil
import subprocess
import sys

import testtools

import reference_drivers

_PROGRAM = """
import importlib
import sys
import reference_drivers.contract
for name in sys.argv[1:]:
    importlib.import_module(name)
print(' '.join(sorted({name.partition('.')[0] for name in sys.modules} & {
    'tempest', 'local_cloud', 'cinder_backup_recovery_tests'})))
"""


class DriversAloneTest(testtools.TestCase):

    def test_nothing_of_tempest_is_imported(self):
        names = [one.name for one in pkgutil.walk_packages(
            reference_drivers.__path__, 'reference_drivers.')]
        self.assertIn('reference_drivers.s3', names)
        self.assertIn('reference_drivers.swift', names)
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', _PROGRAM, *names],
            capture_output=True, text=True, check=True, timeout=600,
            cwd=reference_drivers.__path__[0] + '/..')
        self.assertEqual('', done.stdout.strip())
