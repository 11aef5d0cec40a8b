# SPDX-License-Identifier: Apache-2.0

"""Cinder's database of the contract, with a driver that has one, too."""

import time
from unittest import mock

from cinder.backup.drivers import posix
import fixtures
import sqlalchemy
from sqlalchemy import engine
import testtools

from reference_drivers.contract import environment
from reference_drivers.verification import threads


def _check_foreign_keys(connection, record):
    connection.execute('PRAGMA foreign_keys = ON')


class DatabaseTest(testtools.TestCase):

    def test_a_driver_that_has_foreign_keys_checked(self):
        """It does so for all engines of the process, Cinder's included."""
        arguments = (engine.Engine, 'connect', _check_foreign_keys)
        sqlalchemy.event.listen(*arguments)
        self.addCleanup(sqlalchemy.event.remove, *arguments)
        for _ in range(2):
            # The second one is made of the schema of the first.
            with environment.Environment(
                    'cinder.backup.drivers.posix.PosixBackupDriver') as cinder:
                self.assertTrue(cinder.create_volume().id)


    def test_after_hours(self):
        """A connection that is made anew would have another, empty one."""
        with environment.Environment(
                'cinder.backup.drivers.posix.PosixBackupDriver') as cinder:
            volume = cinder.create_volume(b'data')
            now = time.time
            with mock.patch('sqlalchemy.pool.base.time.time',
                            lambda: now() + 10**6):
                cinder.create_backup(volume)


class DeviceTest(testtools.TestCase):

    def test_as_the_manager_hands_it(self):
        """On eventlet in a proxy, which some drivers rely on."""
        seen = []

        def backup(driver, backup, volume_file, *args):
            seen.append(type(volume_file).__name__)

        self.useFixture(fixtures.MockPatchObject(
            posix.PosixBackupDriver, 'backup', backup))
        with environment.Environment(
                'cinder.backup.drivers.posix.PosixBackupDriver') as cinder:
            cinder.create_backup(cinder.create_volume(b'data'))
        self.assertEqual(['Proxy' if threads.green() else 'BufferedReader'],
                         seen)
