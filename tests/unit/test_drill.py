# SPDX-License-Identifier: Apache-2.0

"""The choice of a drill, and what it refuses before anything is made."""

import dataclasses
import pathlib
import threading
from unittest import mock
import uuid

import fixtures
import testtools

from backup_recovery import books
from backup_recovery import exceptions
from backup_recovery import records
from backup_recovery.drill import choosing
from backup_recovery.drill import copying
from backup_recovery.drill import drilling
from reference_drivers.verification import store as stores
from tests import records_cases


class DrillCase(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.directory = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path)

    def book(self, *made):
        path = self.directory / 'records'
        records.write(path, made)
        return books.Book(path).load()


class ChoosingTest(DrillCase):
    @staticmethod
    def chain(**others):
        """A full backup, and an incremental one on it that is newer."""
        volume = str(uuid.uuid4())
        full = records_cases.record(volume_id=volume, **others)
        return full, records_cases.record(
            volume_id=volume, parent_id=full.id,
            created_at='2026-11-30T02:00:00Z', **others)

    def test_newest(self):
        made = [self.chain() for number in range(3)]
        book = self.book(*(one for chain in made for one in chain))
        children = {child.id for _, child in made}
        self.assertEqual(children, {*choosing.newest(book, 9, 1)})
        drawn = choosing.newest(book, 1, 1)
        self.assertEqual(drawn, choosing.newest(book, 1, 1))
        self.assertEqual(1, len(drawn))
        # Each volume is drawn by some seed.
        self.assertEqual(children, {
            choosing.newest(book, 1, seed)[0] for seed in range(50)})

    def test_not_what_is_gone(self):
        full, child = self.chain()
        child = dataclasses.replace(child, gone='2026-11-30T03:00:00Z')
        self.assertEqual([full.id], choosing.newest(
            self.book(full, child), 3, 1))
        book = self.book(child, *self.chain(scan='damaged'))
        error = self.assertRaises(exceptions.BadFile, choosing.newest, book,
                                  3, 1)
        self.assertIn('has no record of a backup that is there', str(error))

    def test_chains(self):
        """Each parent once, before what builds on it."""
        full, child = self.chain()
        second = records_cases.record(parent_id=full.id)
        book = self.book(second, child, *self.chain(), full)
        self.assertEqual([full.id, child.id, second.id], [
            one.id for one in choosing.chains(book, [child.id, second.id])])

    def test_wrong_parents(self):
        """One that is missing, or a circle, is for the plan to name."""
        one = records_cases.record(parent_id=str(uuid.uuid4()))
        self.assertEqual([one.id], [
            found.id for found in choosing.chains(self.book(one), [one.id])])
        one = records_cases.record()
        other = records_cases.record(parent_id=one.id)
        one = records_cases.record(one.id, parent_id=other.id)
        self.assertEqual({one.id, other.id}, {
            found.id for found in choosing.chains(self.book(one, other),
                                                  [one.id])})


class RefusedTest(DrillCase):
    def test_no_local_cloud(self):
        with mock.patch.object(drilling, '_PROGRAM', 'not-installed'):
            error = self.assertRaises(exceptions.RecoveryError,
                                      drilling.local_cloud)
        self.assertIn("pip install '.[local-cloud]'", str(error))

    def test_kind(self):
        """A storage that a local cloud has, and its own class only."""
        with mock.patch.object(copying.sources, 'Source') as source:
            source.return_value.name = 'vendor.Driver'
            source.return_value.kind = type('Driver', (), {})
            error = self.assertRaises(exceptions.RecoveryError,
                                      copying.open_source, [])
        self.assertIn('backups of vendor.Driver cannot be copied',
                      str(error))

    def copier(self, entries, room=0):
        store = mock.Mock(spec=stores.Store)
        store.entries.return_value = entries
        store.pieces.return_value = [b'data']
        source = mock.MagicMock(per_user=False)
        source.opened.return_value.__enter__.return_value = mock.Mock(
            get_store=lambda: store)
        source.opened.return_value.__exit__.return_value = False
        return store, copying.Copier(
            source, mock.Mock(), self.directory / 'objects', room,
            threading.Event(), lambda done, of: None)

    def test_no_room(self):
        """The disk of a host of cinder-backup is never filled."""
        record = records_cases.record()
        prefix = record.fields['service_metadata']
        store, copier = self.copier([stores.Entry(f'{prefix}-00001', 1 << 60)])
        error = self.assertRaises(exceptions.RecoveryError, copier.copy,
                                  [record])
        self.assertIn('MiB free', str(error))
        store.pieces.assert_not_called()

    def test_no_room_for_volumes(self):
        _, copier = self.copier([], 1 << 60)
        self.assertRaises(exceptions.RecoveryError, copier.copy,
                          [records_cases.record()])

    def test_own_objects_only(self):
        """An object of another backup in the listing is not read."""
        record = records_cases.record()
        prefix = record.fields['service_metadata']
        store, copier = self.copier([
            stores.Entry(f'{prefix}-00001', 4),
            stores.Entry(f'{prefix}-00001.other', 4)])
        self.assertEqual(1, copier.copy([record]).objects)
        store.pieces.assert_called_once_with(
            record.fields['container'], f'{prefix}-00001')
