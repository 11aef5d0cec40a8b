# SPDX-License-Identifier: Apache-2.0

"""A recovery in the local cloud, with the Cinder of this virtualenv.

It is run in the tox environments of old releases, whose virtualenvs there are
anyway; the name keeps it out of the others. The cloud's other services, and
the suite, are those of LOCAL_CLOUD_PROGRAM's virtualenv.
"""

from importlib import metadata
import json
import os
import pathlib
import subprocess
import sys

import fixtures
import testtools

from local_cloud import remote

_TEST = 'FullBackupRowLossTest.test_hard_loss_restored_to_new_volume'


class OldReleaseTest(testtools.TestCase):

    def test_recovery(self):
        """The report says so, and which release it was."""
        program = pathlib.Path(os.environ[remote.ENVIRONMENT])
        report = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        done = subprocess.run(
            [program.with_name('cinder-backup-certify'), 'local',
             '--cinder', sys.executable, '--regex', rf'\.{_TEST}\[',
             '--report-dir', report],
            # What is imported here, and how, is not for the cloud.
            env={name: value for name, value in os.environ.items()
                 if not name.startswith(('OS_', 'PYTHON'))},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=600)
        # One test is no certification.
        self.assertEqual(2, done.returncode, done.stdout)
        document = json.loads((report / 'results.json').read_text())
        self.assertEqual([(_TEST, 'pass')], [
            ('.'.join(test['id'].split('[')[0].split('.')[-2:]),
             test['status']) for test in document['tests']])
        for service in 'cinder', 'cinder-two':
            self.assertEqual(metadata.version('cinder'),
                             document['versions'][service])
