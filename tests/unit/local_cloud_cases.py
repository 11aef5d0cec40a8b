# SPDX-License-Identifier: Apache-2.0

"""Tests of the local cloud that call its program and start no cloud."""

import pathlib
import sys

import fixtures
import testtools

from local_cloud import main
from local_cloud.machine import cloud_state
from local_cloud.machine import daemons
from tests import programs


class LocalCloudTestCase(testtools.TestCase):
    def setUp(self):
        super().setUp()
        # Short, because of the longest path that a cloud accepts.
        self.temporary = pathlib.Path(
            self.useFixture(fixtures.TempDir(rootdir='/tmp')).path)
        self.directory = self.temporary / 'cloud'
        self.useFixture(fixtures.EnvironmentVariable(cloud_state.ENVIRONMENT))
        self.useFixture(fixtures.EnvironmentVariable(
            'XDG_STATE_HOME', str(self.temporary / 'xdg-state')))
        self.useFixture(fixtures.MonkeyPatch('tempfile.tempdir',
                                             str(self.temporary)))

    def program(self, *arguments):
        """Call the program; its status, standard output and errors."""
        return programs.call(main.main, *arguments)

    def on(self, *arguments):
        return self.program('--state-dir', self.directory, *arguments)

    def assert_error(self, words, outcome):
        """Status 3, and one line that says why."""
        code, out, err = outcome
        self.assertEqual(3, code, err)
        self.assertEqual('', out)
        self.assertIn(words, err)
        self.assertTrue(err.startswith('error: '), err)
        self.assertEqual(1, err.count('\n'), err)

    def make(self, **record):
        """A cloud on disk that never became ready."""
        state = cloud_state.State(self.directory)
        state.create()
        state.record.update(record)
        state.save()
        return state

    def process(self, state, code='import time; time.sleep(600)', name='p'):
        """A process with the mark of a cloud."""
        child = daemons.spawn(state, name, [sys.executable, '-c', code])
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        return child
