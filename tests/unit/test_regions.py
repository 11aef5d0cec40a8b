# SPDX-License-Identifier: Apache-2.0

"""The ledger of another region."""

import fixtures
import testtools

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.cloud import ledger
from cinder_backup_recovery_tests.cloud import regions

BACKUP = clients.BACKUP
SHIPPED = '6d2a0e10-5d4f-4d7a-b53b-8d3c0f7a9e01'


class RegionLedgerTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.here = ledger.Ledger(self.useFixture(fixtures.TempDir()).path)
        self.addCleanup(self.here.close)
        self.there = self._region('RegionTwo')
        self.third = self._region('RegionThree')

    def _region(self, name):
        found = regions.RegionLedger(self.here, name)
        self.addCleanup(found.close)
        return found

    def _ids(self, one):
        return [entry.resource_id for entry in one.entries(BACKUP)]

    def test_one_id_in_two_regions(self):
        self.here.add(BACKUP, SHIPPED)
        self.assertEqual([], self._ids(self.there))
        self.assertFalse(self.there.owns(BACKUP, SHIPPED))
        self.assertRaises(exceptions.NotInLedger, self.there.require, BACKUP,
                          [SHIPPED])
        self.there.add(BACKUP, SHIPPED)
        self.here.gone(BACKUP, SHIPPED)
        self.assertEqual([], self._ids(self.here))
        self.assertEqual([SHIPPED], self._ids(self.there))
        self.assertEqual([], self._ids(self.third))
        self.there.require(BACKUP, [SHIPPED])

    def test_requests(self):
        for one in (self.here, self.there, self.third):
            one.created(one.intend(clients.VOLUME, 'a-name'), 'an-id')
        token = self.there.intend(clients.VOLUME, 'refused')
        self.there.abandon(token)
        entry, = self.there.entries()
        self.assertEqual((clients.VOLUME, 'a-name', 'an-id', ledger.CREATED),
                         (entry.kind, entry.name, entry.resource_id,
                          entry.state))
        self.there.gone(clients.VOLUME, 'an-id')
        self.assertEqual([], self.there.entries())
        self.assertEqual(1, len(self.third.entries()))
        self.assertEqual(1, len(self.here.entries(clients.VOLUME)))

    def test_changes(self):
        self.there.note('quota', 'p/backups', 10, 1)
        self.assertEqual(['quota'],
                         [change.kind for change in self.there.changes()])
        self.assertEqual([], self.here.changes('quota'))
        self.there.restored('quota', 'p/backups')
        self.assertEqual([], self.there.changes())

    def test_what_a_later_process_finds(self):
        self.here.add(clients.IMAGE, 'another')
        self.there.add(BACKUP, SHIPPED)
        found = ledger.Ledger(self.here.directory)
        self.addCleanup(found.close)
        self.assertEqual(['RegionTwo'], regions.named_in(found))
        self.assertEqual(
            [SHIPPED], self._ids(regions.RegionLedger(found, 'RegionTwo')))
        self.there.gone(BACKUP, SHIPPED)
        self.assertEqual([], regions.named_in(found))
