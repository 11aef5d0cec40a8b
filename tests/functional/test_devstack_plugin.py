# SPDX-License-Identifier: Apache-2.0

"""The configuration by DevStack's plugin, in a cloud that runs."""

import os
import pathlib
import subprocess
import sys

import ddt
import fixtures
import testtools

from cinder_backup_recovery_tests.certification import main
from local_cloud import fixture
from local_cloud import settings
from local_cloud.services import cinder
from local_cloud.services import database
from local_cloud.services import swift
from tests import devstack_sandbox

# By these the plugin's part of a configuration is known.
_OF_CINDER = 'backup_'
_OF_TEMPEST = 'cinder_backup_recovery'


@ddt.ddt
class DevStackConfigurationTest(testtools.TestCase):
    """Cinder of one local cloud is started anew with each."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.local = fixture.LocalCloud('swift')
        cls.local.setUp()
        cls.addClassCleanup(cls.local.cleanUp)

    @ddt.data('default', 'swift')
    def test_backup_is_recovered(self, driver):
        state = self.local.state
        sandbox = self.useFixture(devstack_sandbox.Sandbox(
            BACKUP_RECOVERY_DRIVER=driver,
            BACKUP_RECOVERY_DATABASE_URL=database.url(state, 'cinder'),
            # It takes a third of the time of images.
            BACKUP_RECOVERY_CONTENT_ACCESS='attachment',
            SWIFT_DEFAULT_BIND_PORT=str(
                state.record['ports'][swift.Swift.name])))
        sandbox.done('stack')
        self._start_cinder(sandbox)
        # The rest of tempest.conf is not the plugin's.
        self._replace(sandbox.tempest_conf, self.local.tempest_conf,
                      sandbox.tempest_conf, _OF_TEMPEST)
        report = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        # It begins with a look at the driver's storage and the database.
        done = subprocess.run(
            [sys.executable, '-m', main.__name__, 'cloud',
             '--profile', str(sandbox.data / 'profile.yaml'),
             '--mode', 'quick', '--report-dir', str(report / 'report'),
             # Volumes are files here, which need no root.
             '--set', 'connect.connector_properties=basic',
             '--set', 'connect.poll_interval=0.1'],
            env={**{name: value for name, value in os.environ.items()
                    if not name.startswith(('OS_', 'TEMPEST_'))},
                 'PYTHONPATH': os.pathsep.join(sys.path),
                 'PYTHONWARNINGS': 'ignore'},
            capture_output=True, text=True, timeout=300,
            stdin=subprocess.DEVNULL)
        said = done.stdout + done.stderr
        # That a quick run certifies nothing is no error.
        self.assertEqual(2, done.returncode, said)
        self.assertIn('the set-up works', said)
        self.assertTrue((report / 'report' / 'report.html').exists())

    def _start_cinder(self, sandbox):
        state = self.local.state
        self.local.cloud.stop(cinder.Cinder.name)
        own = state.config(cinder.Cinder.name)
        self._replace(sandbox.cinder_conf, own, own, _OF_CINDER)
        self.local.cloud.up('swift')

    def _replace(self, new, base, target, prefix):
        """Put the plugin's part in the place of the local cloud's.

        :param new: where the plugin's is
        :param base: what it goes into
        :param target: where the result goes
        :param prefix: of its sections, and of its options in others
        """
        def parts(path, ours):
            return {section: {
                option: value for option, value in options.items()
                if (section.startswith(prefix) or
                    option.startswith(prefix)) == ours}
                for section, options in
                devstack_sandbox.read(path).items()}
        merged = parts(base, False)
        for section, options in parts(new, True).items():
            merged.setdefault(section, {}).update(options)
        settings.write(target, {section: options for section, options
                                in merged.items() if options})
