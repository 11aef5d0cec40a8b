# SPDX-License-Identifier: Apache-2.0
"""Some of the faulty clouds are found, and nothing is left of them."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import fixtures
import testtools

from mutants.clouds import switch

_ROOT = pathlib.Path(__file__).parents[2]
# In the process of Cinder there is no such defect, so that nothing can find
# it.
_WITH_HARMLESS = '''
import sys
from mutants import __main__ as program
from mutants import catalogue

def harmless(original):
    """It has no defect."""

catalogue.clouds()
harmless.__module__ = 'mutants.clouds.exports'
catalogue.defect('cinder.backup.api:API.get',
                 'api.test_export_import.ExportImportTest.'
                 'test_export_agrees_with_api')(harmless)
program.stop_cleanly()
sys.exit(program.main())
'''
_QUICK = 'loses_metadata|drops_metadata|changes_row|harmless'


class MutantCloudsTest(testtools.TestCase):

    def start(self, *words):
        self.directory = self.useFixture(fixtures.TempDir()).path
        process = subprocess.Popen(
            [sys.executable, '-c', _WITH_HARMLESS, 'clouds', *words],
            env={**os.environ, 'TMPDIR': self.directory,
                 'PYTHONPATH': os.pathsep.join([str(_ROOT), *sys.path]),
                 'PYTHONWARNINGS': 'ignore'},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def assert_nothing_left(self, process):
        self.assertEqual([], os.listdir(self.directory))
        # Its session has no process any more.
        self.assertRaises(ProcessLookupError, os.killpg, process.pid, 0)
        # Nor has a cloud, whose services have sessions of their own.
        self.assertEqual([], self.switched())

    def switched(self):
        """Processes that were told where the switch of this test is."""
        mark = f'{switch.ENVIRONMENT}={self.directory}/'.encode()
        found = []
        for path in pathlib.Path('/proc').glob('[0-9]*/environ'):
            try:
                if mark in path.read_bytes():
                    found.append(path.parent.name)
            except OSError:
                continue
        return found

    def test_some(self):
        """Three are found, and one without a defect is a survivor."""
        process = self.start('--regex', _QUICK)
        out, err = process.communicate(timeout=600)
        self.assertEqual((1, ''), (process.returncode, err), out)
        self.assertIn('4 mutants, 1 survived, 0 idle checks', out)
        self.assertIn('clouds.exports.harmless survived api.', out)
        self.assert_nothing_left(process)

    def test_stopped(self):
        """Told to stop while a test runs, it leaves nothing."""
        process = self.start('--regex', _QUICK)
        deadline = time.monotonic() + 300
        while not list(pathlib.Path(self.directory).glob('mutant-*/output')):
            self.assertIsNone(process.poll())
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)
        self.assertNotEqual([], self.switched())
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=600)
        self.assertEqual((2, 'stopped'),
                         (process.returncode, err.splitlines()[-1]))
        self.assert_nothing_left(process)

    def test_wrong_words(self):
        """No mutant, no verdict, and no cloud."""
        process = self.start('--regex', 'nothing-like-it')
        out, err = process.communicate(timeout=600)
        self.assertEqual((3, ''), (process.returncode, out))
        self.assertEqual('error: no mutant has such a name\n', err)
