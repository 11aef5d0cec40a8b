# SPDX-License-Identifier: Apache-2.0

"""Conditions of the loss of a whole database."""

import os
import shlex
import sys

import fixtures
import testtools

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.cloud import ledger
from cinder_backup_recovery_tests.rows import whole

OURS = '6d2a0e10-5d4f-4d7a-b53b-8d3c0f7a9e01'
FOREIGN = '6d2a0e10-5d4f-4d7a-b53b-8d3c0f7a9e02'


class Cloud:
    """Knows resources until the program has made a file."""

    def __init__(self, path, **ids):
        self.path = path
        self.ids = ids

    def list_ids(self, kind):
        return [] if os.path.exists(self.path) else self.ids.get(kind, [])


class WholeDatabaseTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        directory = self.useFixture(fixtures.TempDir()).path
        self.lost = os.path.join(directory, 'lost')
        self.ledger = ledger.Ledger(os.path.join(directory, 'ledger'))
        self.addCleanup(self.ledger.close)
        self.ledger.add(clients.BACKUP, OURS)
        self.command = shlex.join(
            [sys.executable, '-c', 'import sys; open(sys.argv[1], "w")',
             self.lost])

    def _database(self, command=None, **ids):
        return whole.WholeDatabase(
            self.command if command is None else command,
            Cloud(self.lost, **ids), self.ledger, timeout=60)

    def test_own_backups_are_lost(self):
        database = self._database(backup=[OURS])
        database.check()
        database.lose()
        self.assertTrue(os.path.exists(self.lost))

    def test_nothing_foreign_is_lost(self):
        for kind in (clients.BACKUP, clients.VOLUME, clients.SNAPSHOT):
            database = self._database(**{clients.BACKUP: [OURS],
                                         kind: [OURS, FOREIGN][-2:]})
            refused = self.assertRaises(exceptions.NotInLedger,
                                        database.lose)
            self.assertIn(kind, str(refused))
            self.assertFalse(os.path.exists(self.lost), kind)

    def test_what_was_not_lost(self):
        failed = self.assertRaises(exceptions.DatabaseLossFailed,
                                   self._database('true', backup=[OURS]).lose)
        self.assertIn(f'backup {OURS} still exists', str(failed))

    def test_program_that_fails(self):
        failed = self.assertRaises(
            exceptions.DatabaseLossFailed,
            self._database('ls /there/is/no/such/file').lose)
        self.assertIn('exited 2: ls: ', str(failed))

    def test_program_that_is_not_there(self):
        refused = self.assertRaises(
            exceptions.InvalidConfiguration,
            self._database('there-is-no-such-program --now').check)
        self.assertIn('there-is-no-such-program: not found',
                      str(refused))
        for command in ('', "'open"):
            self.assertRaises(exceptions.InvalidConfiguration,
                              self._database, command)
