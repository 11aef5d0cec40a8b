# SPDX-License-Identifier: Apache-2.0
"""Requests that a program holds inside Cinder."""

import pathlib
import shlex
import sys
import tempfile
from unittest import mock

import testtools

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.cloud import ledger as resource_ledger
from cinder_backup_recovery_tests.cloud import services

BACKUP_ID = '5d6a0c1e-93b7-4b9b-b0bb-6a4d1de07f2b'

# It counts one more each time.
_PROGRAM = '''
import pathlib, sys
log = pathlib.Path(sys.argv[1])
with log.open('a') as out:
    print(*sys.argv[2:], file=out)
if sys.argv[2] == 'count':
    print(log.read_text().count('count'))
'''


class RequestHoldTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.log = pathlib.Path(temporary.name, 'log')
        self.ledger = resource_ledger.Ledger(temporary.name)
        self.addCleanup(self.ledger.close)
        self.ledger.add(clients.BACKUP, BACKUP_ID)

    def make(self, program=_PROGRAM):
        command = shlex.join([sys.executable, '-c', program, str(self.log),
                              '{action}', '{point}', '{id}'])
        return services.RequestHold.from_config(
            mock.Mock(cinder_backup_recovery=mock.Mock(
                request_hold_command=command, service_timeout=30)),
            self.ledger)

    def actions(self):
        return [line.split()[0] for line in
                self.log.read_text().splitlines()]

    def test_cloud_that_holds_nothing(self):
        self.assertIsNone(services.RequestHold.from_config(
            mock.Mock(cinder_backup_recovery=mock.Mock(
                request_hold_command='')), self.ledger))

    def test_program_that_is_not_there(self):
        self.assertRaises(
            exceptions.InvalidConfiguration,
            services.RequestHold.from_config,
            mock.Mock(cinder_backup_recovery=mock.Mock(
                request_hold_command='/no/such {action} {point} {id}')),
            self.ledger)

    def test_waits_for_as_many(self):
        with self.make().at(services.IMPORT, BACKUP_ID) as held:
            self.assertTrue(held.arrived(3, 30))
        self.assertEqual(['arm', *['count'] * 3, 'release'], self.actions())
        self.assertEqual({f'import {BACKUP_ID}'},
                         {line.split(maxsplit=1)[1] for line in
                          self.log.read_text().splitlines()})

    def test_fewer_are_an_answer(self):
        with self.make().at(services.IMPORT, BACKUP_ID) as held:
            self.assertFalse(held.arrived(1000, 0.2))

    def test_released_after_a_failure(self):
        def fail():
            with self.make().at(services.EXPORT, BACKUP_ID):
                raise RuntimeError('the test has failed')

        self.assertRaises(RuntimeError, fail)
        self.assertEqual(['arm', 'release'], self.actions())

    def test_only_what_is_in_the_ledger(self):
        with testtools.ExpectedException(exceptions.NotInLedger):
            with self.make().at(services.IMPORT,
                                '00000000-0000-4000-8000-000000000000'):
                pass
        self.assertFalse(self.log.exists())

    def test_program_that_does_not_count(self):
        hold = self.make('print("none")')
        error = self.assertRaises(exceptions.ServiceCommandFailed, hold.count,
                                  services.IMPORT, BACKUP_ID)
        self.assertIn("printed 'none'", str(error))
