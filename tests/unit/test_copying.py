# SPDX-License-Identifier: Apache-2.0

"""Copies of backups on another site's storage, and what removes them."""

import os
from unittest import mock

import fixtures
import testtools

from backup_stores import base
from backup_stores import filesystem
from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import stores
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.cloud import ledger
from cinder_backup_recovery_tests.cloud import regions
from cinder_backup_recovery_tests.cloud import safe_delete
from cinder_backup_recovery_tests.cmd import cleanup
from cinder_backup_recovery_tests.stores import copying
from cinder_backup_recovery_tests.stores import repair
from tests.unit import fake_cloud
from tests.unit import test_stores


class Killed(BaseException):
    """A kill, after which no clean-up of the same process runs."""


class CopyingCase(test_stores.DirectoryCase):
    """Two directories, of which the second one is empty."""

    def setUp(self):
        super().setUp()
        self.second = self.useFixture(fixtures.TempDir()).path
        self.there = stores.KitStore(
            filesystem.FilesystemStore(self.second))
        self.copier = self.make_copier()

    def make_copier(self, here=None):
        return copying.Copier(here or self.store, self.there, 'filesystem',
                              self.ledger, 'sender', 'receiver')

    def destroy(self, *backups):
        self.copier.destroy(backups)

    def files(self, root, backup=None):
        """The files below a directory: modes, times and bytes."""
        found = {}
        for directory, _, names in os.walk(root):
            for name in names:
                path = os.path.join(directory, name)
                if backup and backup.id not in name:
                    continue
                with open(path, 'rb') as stream:
                    status = os.stat(path)
                    found[os.path.relpath(path, root)] = (
                        status.st_mode, status.st_mtime_ns, stream.read())
        return found

    def entries(self):
        return [(entry.details['second'], entry.details['project_id'])
                for entry in self.ledger.entries(copying.KIND)]


class CopyTest(CopyingCase):

    def setUp(self):
        super().setUp()
        # As a driver has left them some time ago.
        for path in self.files(self.root):
            os.chmod(os.path.join(self.root, path), 0o640)
            os.utime(os.path.join(self.root, path), (1e9, 1e9))

    def test_all_of_one_backup_and_nothing_of_another(self):
        before = self.files(self.root)
        self.copier.copy(self.backup)
        self.assertEqual(before, self.files(self.root))
        copied = self.files(self.second)
        self.assertEqual(6, len(copied))
        self.assertEqual(self.files(self.root, self.backup), copied)
        self.assertEqual([(True, 'receiver')], self.entries())
        self.assertEqual(6, len(self.copier.left(self.backup)))
        self.assertEqual([], self.copier.left(self.other))

    def test_directories_are_as_open_as_the_one_that_they_are_in(self):
        os.chmod(self.second, 0o2770)
        self.copier.copy(self.backup)
        self.assertEqual({0o770}, {
            os.stat(directory).st_mode & 0o777
            for directory, _, _ in os.walk(self.second)})

    def test_removed(self):
        for backup in (self.backup, self.other):
            self.copier.copy(backup)
        self.copier.remove(self.backup)
        self.copier.remove(self.backup)
        self.assertFalse(os.path.exists(
            os.path.join(self.second, self.backup.container)))
        self.assertEqual(self.files(self.root, self.other),
                         self.files(self.second))
        self.assertEqual([(True, 'receiver')], self.entries())

    def test_without_a_part_and_then_with_it(self):
        part = self.copier.parts(self.backup)[3]
        self.assertEqual('-00003', part.label)
        self.copier.copy(self.backup, [part])
        self.assertEqual(5, len(self.files(self.second)))
        self.assertIsNone(self.there.state(part.kind, part.where))
        other = self.copier.parts(self.backup)[4]
        self.copier.copy(self.backup, [other])
        self.assertEqual(5, len(self.files(self.second)))
        self.assertIsNone(self.there.state(other.kind, other.where))
        self.copier.copy(self.backup)
        self.assertEqual(self.files(self.root, self.backup),
                         self.files(self.second))
        self.assertEqual([(True, 'receiver')], self.entries())

    def test_destroyed_at_the_first_site(self):
        self.copier.copy(self.backup)
        copied = self.files(self.second)
        others = self.files(self.root, self.other)
        self.copier.destroy([self.backup])
        self.assertEqual(others, self.files(self.root))
        self.assertFalse(os.path.exists(
            os.path.join(self.root, self.backup.container)))
        self.assertEqual(copied, self.files(self.second))
        self.assertEqual([self.other.id], [
            entry.resource_id
            for entry in self.ledger.entries(clients.BACKUP)])

    def test_only_what_the_suite_has_made(self):
        foreign = self.make([b'theirs'], owned=False)
        before = self.files(self.root)
        for act in (self.copier.copy, self.destroy):
            self.assertRaises(exceptions.NotInLedger, act, foreign)
        self.assertEqual(before, self.files(self.root))
        self.assertEqual({}, self.files(self.second))
        self.assertEqual([], self.entries())

    def test_storage_that_is_shared(self):
        """The copy to be removed would be the backup itself."""
        self.there = self.store
        before = self.files(self.root)
        self.copier = self.make_copier()
        error = self.assertRaises(exceptions.StoreRefused, self.copier.copy,
                                  self.backup)
        self.assertIn('do both regions share one storage?', str(error))
        self.copier.remove(self.backup)
        self.assertEqual(before, self.files(self.root))

    def test_backup_that_is_not_there(self):
        lost = base.Backup(self.backup.id, '', self.backup.container,
                           'volume_x_' + self.backup.id, None, {})
        for act in (self.copier.copy, self.destroy):
            self.assertRaises(exceptions.StoreFailed, act, lost)
        self.assertEqual([], self.entries())

    def test_copy_that_reads_otherwise(self):
        class Bad(filesystem.FilesystemStore):
            def copy_object(self, container, name, to):
                super().copy_object(container, name, to)
                if name.endswith('2'):
                    to.write(container, name, b'')

        error = self.assertRaises(
            exceptions.StoreFailed,
            self.make_copier(stores.KitStore(Bad(self.root))).copy,
            self.backup)
        self.assertIn('-00002: the copy at the second site differs from '
                      'what was written', str(error))

    def test_hostile_record(self):
        for container, prefix in (
                ('..', self.backup.id), ('/etc', self.backup.id),
                (self.other.container, self.other.service_metadata)):
            hostile = base.Backup(self.backup.id, '', container, prefix,
                                  None, {})
            for act in (self.copier.copy, self.destroy):
                self.assertRaises(exceptions.StoreRefused, act, hostile)

    def test_ledger_that_leads_elsewhere(self):
        outside = self.useFixture(fixtures.TempDir()).path
        path = os.path.join(outside, 'precious')
        with open(path, 'w'):
            pass
        for part in (('object', ['..', path]),
                     ('object', ['../' * 20 + outside, 'precious']),
                     ('container', ['../' * 20 + outside]),
                     ('container', ['/']), ('container', []),
                     ('container', ['a', 'b']), ('pool', ['a'])):
            self.ledger.add(copying.KIND, 'x', second=True, parts=[part])
            for entry in self.ledger.entries(copying.KIND):
                self.assertRaises(exceptions.StoreRefused, copying.remove,
                                  self.ledger, self.there, entry)
            self.ledger.gone(copying.KIND, 'x')
        self.assertTrue(os.path.exists(path))


class CleanupTest(CopyingCase):
    """Copies of a killed run are removed by the ledger only."""

    def setUp(self):
        super().setUp()
        self.cloud = fake_cloud.FakeCloud()
        self.cloud_there = fake_cloud.FakeCloud()
        self.cloud.add(clients.BACKUP, id=self.backup.id)

    def run_it(self, second=None):
        self.lines = []
        # As another process finds it, which knows only the directory.
        found = ledger.Ledger(self.ledger.directory)
        there = regions.RegionLedger(found, 'RegionTwo')
        for one in (found, there):
            self.addCleanup(one.close)
        return cleanup.Cleanup(
            safe_delete.SafeDelete(self.cloud, found, fake_cloud.PATIENCE),
            mock.Mock(), mock.Mock(), self.lines.append, False,
            [safe_delete.SafeDelete(self.cloud_there, there,
                                    fake_cloud.PATIENCE)],
            repair=repair.Repair(
                test_stores._Conf(
                    backup_store_path=self.root,
                    second_backup_store_path=(
                        self.second if second is None else second)),
                None, found)).run()

    def adopt(self):
        self.cloud_there.add(clients.BACKUP, id=self.backup.id)
        there = regions.RegionLedger(self.ledger, 'RegionTwo')
        self.addCleanup(there.close)
        there.add(clients.BACKUP, self.backup.id)

    def kill(self, act, after):
        """Do something that is killed at one of the changes."""
        real = filesystem.FilesystemStore
        done = []

        def change(method):
            def changed(*args):
                if len(done) == after:
                    raise Killed
                done.append(args)
                return method(*args)
            return changed

        with mock.patch.multiple(
                real, copy_object=change(real.copy_object),
                delete=change(real.delete),
                remove_container=change(real.remove_container)):
            self.assertRaises(Killed, act, self.backup)

    def test_copy_that_was_killed(self):
        for after in (0, 3, 5):
            self.kill(self.copier.copy, after)
            self.assertEqual(after, len(self.files(self.second)))
            before = self.files(self.root)
            self.assertEqual([], self.run_it(), self.lines)
            self.assertEqual({}, self.files(self.second))
            self.assertFalse(os.path.exists(
                os.path.join(self.second, self.backup.container)))
            self.assertEqual(before, self.files(self.root))
            self.assertEqual([], self.ledger.entries())
            self.ledger.add(clients.BACKUP, self.backup.id)

    def test_site_that_was_burning_down(self):
        """Of a chain, Cinder could not import what has lost its parent."""
        for after in (0, 3, 6, 7, 9, 13):
            chain = [self.make([b'one', b'two', b'three', b'four'])
                     for _ in range(2)]
            for one in (self.backup, self.other):
                self.ledger.gone(clients.BACKUP, one.id)
            others = {name: data for name, data in self.files(
                self.root).items() if not any(
                    one.id in name for one in chain)}
            self.kill(lambda _, chain=chain: self.destroy(*chain), after)
            self.assertEqual(others, {
                name: data for name, data in self.files(self.root).items()
                if name in others})
            self.assertEqual([], self.run_it(), self.lines)
            self.assertEqual(others, self.files(self.root))
            for one in chain:
                self.assertFalse(os.path.exists(
                    os.path.join(self.root, one.container)))
            self.assertEqual([], self.cloud.requests)

    def test_site_that_was_about_to_burn_down(self):
        """Killed while the ledger was written: all of it is still there."""
        chain = [self.make([b'one', b'two']) for _ in range(2)]
        for one in (self.backup, self.other):
            self.ledger.gone(clients.BACKUP, one.id)
        for method in ('add', 'gone'):
            for after in range(2):
                events = [None] * after + [Killed]
                real = getattr(self.ledger, method)

                def event(*args, events=events, real=real, **kwargs):
                    error = events.pop(0)
                    if error:
                        raise error
                    return real(*args, **kwargs)

                with mock.patch.object(self.ledger, method, event):
                    self.assertRaises(Killed, self.destroy, *chain)
                for one in chain:
                    # For Cinder to delete, or for the clean-up.
                    self.assertTrue(
                        [entry for entry in self.ledger.entries()
                         if one.id in entry.resource_id])
                    self.assertEqual(4, len(self.files(self.root, one)))

    def test_copy_goes_after_its_backup(self):
        self.copier.copy(self.backup)
        self.adopt()
        self.assertEqual([], self.run_it(), self.lines)
        self.assertEqual([('delete', clients.BACKUP, self.backup.id)],
                         self.cloud_there.requests)
        self.assertEqual(
            [f'backup {self.backup.id} removed',
             f'stored-backup {self.backup.id} at the second site removed'],
            [line for line in self.lines if self.backup.id in line
             and 'gone' not in line][-2:])
        self.assertEqual({}, self.files(self.second))

    def test_copy_stays_while_its_backup_does(self):
        self.copier.copy(self.backup)
        before = self.files(self.second)
        self.adopt()
        self.cloud_there.resources[clients.BACKUP, self.backup.id][
            'after_delete'] = ['error_deleting']
        self.assertEqual(2, len(self.run_it()), self.lines)
        self.assertIn('its backup could not be removed',
                      '\n'.join(self.lines))
        self.assertEqual(before, self.files(self.second))
        del self.cloud_there.resources[clients.BACKUP, self.backup.id]
        self.assertEqual([], self.run_it(), self.lines)
        self.assertEqual({}, self.files(self.second))

    def test_storage_that_cannot_be_reached(self):
        self.copier.copy(self.backup)
        before = self.files(self.second)
        self.assertEqual(1, len(self.run_it(second='')), self.lines)
        self.assertIn('second_backup_store_path is not set',
                      '\n'.join(self.lines))
        self.assertEqual(before, self.files(self.second))


class MakeTest(testtools.TestCase):

    def test_which_can_copy(self):
        self.assertEqual(
            {'filesystem': True, 's3': True, 'swift': True, 'rbd': False},
            {name: stores.can_copy(name)
             for name in ('filesystem', 's3', 'swift', 'rbd')})

    def test_class_of_a_vendor_that_does_not_say(self):
        with mock.patch.object(stores, '_class', return_value=object):
            self.assertIs(False, stores.can_copy('tape'))

    def test_no_directory(self):
        path = self.useFixture(fixtures.TempDir()).path
        manager = mock.Mock()
        conf = test_stores._Conf(
            backup_store='filesystem', backup_store_path=path,
            second_backup_store_path='/no/such/directory')
        error = self.assertRaises(exceptions.InvalidConfiguration,
                                  copying.make, conf, None, manager, manager)
        self.assertIn('/no/such/directory is not a directory', str(error))
        self.assertIn('check the options second_backup_store_*', str(error))
