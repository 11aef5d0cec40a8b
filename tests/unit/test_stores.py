# SPDX-License-Identifier: Apache-2.0

"""The stores that damage backups, and how a damage is undone."""

import json
import os
from unittest import mock
import uuid

import fixtures
import testtools

from backup_stores import base
from backup_stores import filesystem
from backup_stores import objects
from backup_stores import rbd
from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import stores
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.cloud import ledger
from cinder_backup_recovery_tests.cloud import safe_delete
from cinder_backup_recovery_tests.cmd import cleanup
from cinder_backup_recovery_tests.stores import damaging
from cinder_backup_recovery_tests.stores import repair
from tests.unit import fake_cloud


class _Conf:
    """The part of Tempest's configuration that an adapter reads."""

    def __init__(self, **options):
        self.cinder_backup_recovery = self
        self.__dict__.update(options)


class MakeTest(testtools.TestCase):

    def test_by_its_entry_point(self):
        path = self.useFixture(fixtures.TempDir()).path
        store = stores.make(_Conf(backup_store_path=path), 'filesystem',
                            self.fail)
        store.check()
        self.assertIsInstance(store.store, filesystem.FilesystemStore)

    def test_unknown(self):
        error = self.assertRaises(exceptions.InvalidConfiguration,
                                  stores.make, _Conf(), 'tape', self.fail)
        self.assertEqual(
            '[cinder_backup_recovery] backup_store = tape: unknown '
            'backup_store; known: filesystem, rbd, s3, swift, and classes as '
            'module.Class', str(error))

    def make_vendors(self, name, **options):
        return stores.make(_Conf(backup_store_options=options),
                           f'{__name__}.{name}', self.fail)

    def test_class_of_a_vendor(self):
        """It needs no entry point and no options of its own."""
        store = self.make_vendors('VendorStore', url='memory')
        self.assertEqual('memory', store.url)
        store.write('c', 'n', b'x')
        self.assertEqual((True, b'x'), (
            store.has_containers, store.read('c', 'n')))
        self.assertIs(False, stores.can_copy(f'{__name__}.VendorStore'))

    def test_errors_of_a_vendor(self):
        """They are the kit's, and no failure of the driver."""
        for name, options, error in (
                ('NoStore', {}, 'NoStore cannot be imported: '),
                ('VendorStore', {'uri': ''}, 'check the options backup_')):
            self.assertIn(error, str(self.assertRaises(
                exceptions.InvalidConfiguration, self.make_vendors, name,
                **options)))
        store = self.make_vendors('VendorStore', url='broken')
        error = self.assertRaises(exceptions.InvalidConfiguration,
                                  store.check)
        self.assertIn('check the options backup_store_*: ', str(error))
        self.assertRaises(exceptions.StoreFailed, store.read, 'c', 'n')
        self.assertRaises(exceptions.StoreRefused, store.state, 'object',
                          ['..', 'x'])

    def test_path_missing(self):
        error = self.assertRaises(
            exceptions.InvalidConfiguration, stores.make,
            _Conf(backup_store_path=''), 'filesystem', self.fail)
        self.assertIn('backup_store_path is not set', str(error))

    def test_no_directory(self):
        store = stores.make(_Conf(backup_store_path='/no/such/directory'),
                            'filesystem', self.fail)
        error = self.assertRaises(exceptions.InvalidConfiguration,
                                  store.check)
        self.assertIn('/no/such/directory is not a directory', str(error))


class VendorStore(objects.ObjectStore):
    """A dictionary."""

    def __init__(self, url):
        self.url = url
        self.objects = {}

    def list(self, container, prefix=''):
        if self.url == 'broken':
            raise KeyError('broken\n store')
        return [name for place, name in self.objects
                if place == container and name.startswith(prefix)]

    def read(self, container, name):
        self.list(container)
        return self.objects.get((container, name))

    def write(self, container, name, data):
        self.objects[container, name] = data

    def delete(self, container, name):
        self.objects.pop((container, name), None)


class DirectoryCase(testtools.TestCase):
    """Two backups of several chunks, as Cinder's POSIX driver has them."""

    def setUp(self):
        super().setUp()
        self.root = self.useFixture(fixtures.TempDir()).path
        self.store = stores.KitStore(filesystem.FilesystemStore(self.root))
        self.ledger = ledger.Ledger(self.useFixture(fixtures.TempDir()).path)
        self.addCleanup(self.ledger.close)
        self.damager = damaging.Damager(self.store, 'filesystem',
                                        self.ledger, 'project')
        self.backup = self.make([b'one', b'\0' * 9, b'two', b'\0' * 9])
        self.other = self.make([b'uno', b'\0' * 9, b'due', b'\0' * 9])

    def make(self, chunks, owned=True):
        backup_id = str(uuid.uuid4())
        container = f'{backup_id[:2]}/{backup_id[2:4]}/{backup_id}'
        prefix = f'volume_{uuid.uuid4()}_20261122_backup_{backup_id}'
        os.makedirs(os.path.join(self.root, container))
        parts = {f'-{number:05d}': data
                 for number, data in enumerate(chunks, 1)}
        parts['_metadata'] = json.dumps({
            'id': backup_id, 'objects': [{f'{prefix}-00001': {
                'md5': backup_id}}]}).encode()
        parts['_sha256file'] = json.dumps({'sha256s': [backup_id]}).encode()
        for end, data in parts.items():
            with open(os.path.join(self.root, container, prefix + end),
                      'wb') as stream:
                stream.write(data)
        if owned:
            self.ledger.add(clients.BACKUP, backup_id)
        return base.Backup(backup_id, '', container, prefix, None, {})

    def snapshot(self, backup):
        directory = os.path.join(self.root, backup.container)
        found = {}
        for name in os.listdir(directory):
            with open(os.path.join(directory, name), 'rb') as stream:
                found[name[len(backup.service_metadata):]] = stream.read()
        return found

    def kept(self):
        return os.listdir(os.path.join(self.ledger.directory, 'kept'))


class OwnerTest(testtools.TestCase):
    """Files that another user than cinder-backup's makes.

    If it fails, cinder-backup cannot read a backup whose damage was undone,
    and each later test of it fails.
    """

    def setUp(self):
        super().setUp()
        self.root = self.useFixture(fixtures.TempDir()).path
        os.mkdir(os.path.join(self.root, 'one'))
        status = os.stat(os.path.join(self.root, 'one'))
        self.group = status.st_gid
        self.given = {}
        self.useFixture(fixtures.MockPatch('os.chown', self._chown))
        self.member = True

    def _chown(self, path, owner, group):
        """As the kernel does it for a user who is not root."""
        if owner != -1 or (group != -1 and not self.member):
            raise PermissionError(path)
        self.given[os.path.basename(path)] = group

    def test_a_member_gives_them_to_the_group(self):
        store = filesystem.FilesystemStore(self.root)
        store.write('one', 'made', b'data')
        store.make_container('one/more')
        other = filesystem.FilesystemStore(
            self.useFixture(fixtures.TempDir()).path)
        other.make_container('one')
        store.copy_object('one', 'made', other)
        self.assertEqual({'made', 'more', 'one'}, self.given.keys())
        self.assertEqual({self.group}, set(self.given.values()))

    def test_another_user_keeps_them(self):
        self.member = False
        store = filesystem.FilesystemStore(self.root)
        store.write('one', 'made', b'data')
        self.assertEqual(b'data', store.read('one', 'made'))
        self.assertEqual({}, self.given)


class DamagingTest(DirectoryCase):

    def setUp(self):
        super().setUp()
        self.contexts = []

    def test_each_damage_is_done_and_undone(self):
        before = self.snapshot(self.backup)
        theirs = self.snapshot(self.other)
        expected = {
            'metadata missing': {'_metadata': None},
            'checksums missing': {'_sha256file': None},
            'chunk missing': {'-00003': None},
            'everything missing': dict.fromkeys(before),
            'chunk too many': {'-00005': b'two'},
            'chunk cut off': {'-00003': b'tw'},
            'chunk longer': {'-00003': b'two\0'},
            'chunk empty': {'-00003': b''},
            'metadata of another': {'_metadata': theirs['_metadata']},
            'checksums of another': {'_sha256file': theirs['_sha256file']},
            'chunk of another': {'-00003': b'due'},
            'metadata changed': {},
            'checksums changed': {},
            'chunk changed': {'-00003': b'tvo'},
            'checksum in metadata edited': {'_metadata': before[
                '_metadata'].replace(f'"md5": "{self.backup.id}"'.encode(),
                                     b'"md5": "' + b'0' * 32 + b'"')},
            'checksum of a block edited': {
                '_sha256file': b'{"sha256s": ["' + b'0' * 64 + b'"]}'},
            'first chunk changed at its start': {'-00001': b'nne'},
            'last chunk changed at its end': {'-00004': b'\0' * 8 + b'\x80'},
            'chunks swapped': {'-00003': before['-00004'],
                               '-00004': before['-00003']},
        }
        damages = self.store.damages(self.backup)
        self.assertEqual(set(expected), {one.name for one in damages})
        self.assertEqual(set(base.FAMILIES), {one.family for one in damages})
        for damage in damages:
            with self.damager.damaged(damage, self.backup,
                                      self.other) as plan:
                now = self.snapshot(self.backup)
                self.assertNotEqual(before, now, damage.name)
                wanted = {**before, **expected[damage.name]}
                if expected[damage.name]:
                    self.assertEqual(
                        {name: data for name, data in wanted.items()
                         if data is not None}, now, damage.name)
                self.assertEqual(1, len(self.ledger.changes(damaging.KIND)))
            if damage.name not in ('everything missing',
                                   'checksum of a block edited'):
                changed = {name for name in {*before, *now}
                           if before.get(name) != now.get(name)}
                self.assertEqual(changed, set(plan.names), damage.name)
            self.assertEqual(before, self.snapshot(self.backup), damage.name)
            self.assertEqual(theirs, self.snapshot(self.other), damage.name)
            self.assertEqual([], self.ledger.changes(), damage.name)
            self.assertEqual([], self.kept())

    def test_halves_of_a_single_chunk(self):
        backup = self.make([b'123456789'])
        damage = self.damage('chunks swapped')
        with self.damager.damaged(damage, backup, self.other):
            self.assertEqual(b'567812349', self.snapshot(backup)['-00001'])

    def damage(self, name):
        return next(one for one in self.store.damages(self.backup)
                    if one.name == name)

    def test_undone_after_a_failure(self):
        before = self.snapshot(self.backup)
        with testtools.ExpectedException(ZeroDivisionError):
            with self.damager.damaged(self.damage('chunk missing'),
                                      self.backup, self.other):
                raise ZeroDivisionError
        self.assertEqual(before, self.snapshot(self.backup))

    def test_undone_by_the_ledger_alone_after_a_kill(self):
        for name in ('everything missing', 'chunk too many',
                     'chunks swapped'):
            before = self.snapshot(self.backup)
            context = self.damager.damaged(self.damage(name), self.backup,
                                           self.other)
            context.__enter__()
            # It never ends in this process.
            self.contexts.append(context)
            # As another process finds it, which knows only the directory.
            found = ledger.Ledger(self.ledger.directory)
            self.addCleanup(found.close)
            change, = found.changes()
            self.assertEqual('project', change.before['project_id'])
            self.assertIn(self.backup.id, change.key)
            damaging.put_back(
                found, self.store, change)
            self.assertEqual(before, self.snapshot(self.backup), name)
            self.assertEqual([], found.changes())
            self.assertEqual([], self.kept())

    def test_kept_data_that_was_changed_is_not_written(self):
        with testtools.ExpectedException(exceptions.StoreFailed,
                                         '.*has been modified.*'):
            with self.damager.damaged(self.damage('chunk missing'),
                                      self.backup, self.other):
                name, = self.kept()
                with open(os.path.join(self.ledger.directory, 'kept', name),
                          'wb') as stream:
                    stream.write(b'other')
        self.assertNotIn('-00003', self.snapshot(self.backup))
        self.assertEqual(1, len(self.ledger.changes()))

    def test_only_what_the_suite_has_made(self):
        foreign = self.make([b'theirs'], owned=False)
        before = self.snapshot(foreign)
        for backup, other in ((foreign, self.other), (self.backup, foreign)):
            with testtools.ExpectedException(exceptions.NotInLedger):
                with self.damager.damaged(self.damage('chunk of another'),
                                          backup, other):
                    self.fail('it was damaged')
        self.assertEqual(before, self.snapshot(foreign))

    def test_nothing_to_damage(self):
        with testtools.ExpectedException(exceptions.StoreFailed,
                                         '.*hold the same'):
            with self.damager.damaged(self.damage('metadata of another'),
                                      self.backup, self.backup):
                self.fail('it was damaged')

    def test_storage_of_another_cloud(self):
        for name in os.listdir(
                os.path.join(self.root, self.backup.container)):
            os.remove(os.path.join(self.root, self.backup.container, name))
        with testtools.ExpectedException(exceptions.StoreFailed,
                                         'nothing begins with .*'):
            with self.damager.damaged(self.damage('chunk missing'),
                                      self.backup, self.other):
                self.fail('it was damaged')

    def test_remains(self):
        directory = os.path.join(self.root, self.backup.container)
        names = sorted(os.listdir(directory))
        self.assertEqual(6, len(names))
        while names:
            self.assertEqual(
                [f'object {self.backup.container}/{name}' for name in names],
                self.store.remains(self.backup))
            os.remove(os.path.join(directory, names.pop()))
        self.assertEqual([], self.store.remains(self.backup))
        os.rmdir(directory)
        self.assertEqual([], self.store.remains(self.backup))

    def test_store_that_cannot_tell_what_remains(self):
        class Store(filesystem.FilesystemStore):
            remains = base.Store.remains

        self.assertIsNone(Store(self.root).remains(self.backup))

    def test_kept_in_memory_for_the_contract(self):
        before = self.snapshot(self.backup)
        for damage in self.store.damages(self.backup):
            plan = self.store.plan(damage, self.backup, self.other)
            with testtools.ExpectedException(ZeroDivisionError):
                with self.store.damaged(plan):
                    self.assertNotEqual(before, self.snapshot(self.backup))
                    raise ZeroDivisionError
            self.assertEqual(before, self.snapshot(self.backup), damage)


class CleanupTest(DirectoryCase):

    def run_it(self, dry_run=False):
        self.lines = []
        self.cloud = fake_cloud.FakeCloud()
        for backup in (self.backup, self.other):
            self.cloud.add(clients.BACKUP, id=backup.id)
        return cleanup.Cleanup(
            safe_delete.SafeDelete(
                self.cloud, self.ledger, fake_cloud.PATIENCE),
            mock.Mock(), mock.Mock(), self.lines.append, dry_run,
            repair=repair.Repair(
                _Conf(backup_store_path=self.root), None, self.ledger)).run()

    def test_damage_of_a_killed_run(self):
        before = self.snapshot(self.backup)
        context = self.damager.damaged(
            self.store.damages(self.backup)[0], self.backup, self.other)
        context.__enter__()
        self.assertEqual([], self.run_it(dry_run=True))
        self.assertRegex(self.lines[0], f'^damage {self.backup.id} metadata '
                                        'missing .* would be undone$')
        self.assertNotEqual(before, self.snapshot(self.backup))
        self.assertEqual([], self.run_it(), self.lines)
        # Before the backup is deleted: Cinder may need all of it for that.
        self.assertRegex(self.lines[0], 'undone$')
        self.assertEqual(before, self.snapshot(self.backup))
        self.assertEqual([], self.ledger.changes())
        context.__exit__(None, None, None)

    def test_killed_before_anything_was_damaged(self):
        with mock.patch.object(self.ledger, 'note', side_effect=OSError):
            context = self.damager.damaged(
                self.store.damages(self.backup)[0], self.backup, self.other)
            self.assertRaises(OSError, context.__enter__)
        self.assertEqual(1, len(self.kept()))
        self.assertEqual([], self.run_it())
        self.assertFalse(os.path.exists(
            os.path.join(self.ledger.directory, 'kept')))

    def test_storage_that_cannot_be_reached(self):
        context = self.damager.damaged(
            self.store.damages(self.backup)[0], self.backup, self.other)
        context.__enter__()
        root, self.root = self.root, ''
        kept = self.kept()
        # Both, since data of the other one may be in its place.
        self.assertEqual(3, len(self.run_it()))
        self.assertRegex(self.lines[0],
                         'could not remove .*backup_store_path is not set')
        for line in self.lines[1:]:
            self.assertRegex(line, '^could not remove backup .*: damage .* '
                                   'was not undone')
        self.assertEqual(2, len(self.ledger.entries(clients.BACKUP)))
        self.assertEqual(kept, self.kept())
        self.root = root
        self.assertEqual([], self.run_it(), self.lines)
        context.__exit__(None, None, None)


class AnyFormTest(testtools.TestCase):
    """Objects of which nothing is known, in one place."""

    def setUp(self):
        super().setUp()
        self.store = VendorStore('')
        self.store.has_containers = False
        self.backup, self.other = (base.Backup(
            str(uuid.uuid4()), '', None, None) for _ in range(2))
        for backup in (self.backup, self.other):
            for end in 'abcd':
                self.store.write('', f'{backup.id}_{end}',
                                 f'{end} of {backup.id}'.encode())

    def test_each_damage_of_three_objects(self):
        before = dict(self.store.objects)
        damages = self.store.damages(self.backup)
        self.assertEqual(24, len({one.name for one in damages}))
        changed = []
        for damage in damages:
            plan = self.store.plan(damage, self.backup, self.other)
            with self.store.damaged(plan):
                (_, name), = (key for key in before if before[key] !=
                              self.store.objects.get(key))
                self.assertEqual([name], plan.names)
            changed.append(name[-1])
            self.assertEqual(before, self.store.objects)
        self.assertEqual('a' * 8 + 'd' * 8 + 'c' * 8, ''.join(changed))

    def test_places_that_are_none(self):
        for where in (['x', 'y'], ['', '../y'], ['', ''], ['y']):
            self.assertRaises(base.StoreRefused, self.store.change,
                              'object', where, None)
        self.assertRaises(
            base.StoreRefused, self.store.locate,
            base.Backup(self.backup.id, '', None, self.other.id))


class HostileRecordTest(DirectoryCase):

    def test_names_that_lead_elsewhere(self):
        outside = self.useFixture(fixtures.TempDir()).path
        os.symlink(outside, os.path.join(self.root, 'link'))
        own = self.backup.id
        for container, prefix in (
                (None, self.backup.service_metadata),
                (self.backup.container, None),
                (self.backup.container, ''),
                (self.backup.container, 'volume_'),
                (self.other.container, self.other.service_metadata),
                (self.backup.container, '../' + own),
                (self.backup.container, 'a/' + own),
                ('..', own), ('../..', own), ('/etc', own), ('.', own),
                ('link', own), ('a//b', own), ('a\0b', own)):
            hostile = base.Backup(own, '', container, prefix, None, {})
            for damage in self.store.damages(self.backup):
                context = self.damager.damaged(damage, hostile, self.other)
                self.assertRaises(
                    (exceptions.StoreRefused, exceptions.StoreFailed),
                    context.__enter__)
        self.assertEqual([], self.ledger.changes())

    def test_ledger_that_leads_elsewhere(self):
        outside = os.path.join(
            self.useFixture(fixtures.TempDir()).path, 'precious')
        for where in (('..', outside), ('/', outside),
                      (os.path.dirname(outside), 'precious'),
                      ('../' * 20 + os.path.dirname(outside), 'precious')):
            self.assertRaises(exceptions.StoreRefused, self.store.change,
                              'object', where, b'lost')
        self.assertFalse(os.path.exists(outside))


class RbdNamesTest(testtools.TestCase):
    """Names that a record may have in Ceph; the rest is on a cluster."""

    def setUp(self):
        super().setUp()
        self.store = rbd.RbdStore('backups', self.fail)
        self.ids = [str(uuid.uuid4()) for _ in range(3)]

    def image(self, **fields):
        backup_id, volume_id, _ = self.ids
        return self.store.image_of(base.Backup(**{
            'id': backup_id, 'volume_id': volume_id, 'container': 'backups',
            'service_metadata': None, 'parent_id': None, 'driver_info': {},
            **fields}))

    def test_image(self):
        backup_id, volume_id, first = self.ids
        self.assertEqual(f'volume-{volume_id}.backup.{backup_id}',
                         self.image())
        for end in (first, 'base'):
            name = f'volume-{volume_id}.backup.{end}'
            self.assertEqual(name, self.image(
                service_metadata=json.dumps({'base': name})))

    def test_hostile(self):
        backup_id, volume_id, other_id = self.ids
        for fields in (
                {'container': 'volumes'}, {'container': None},
                {'service_metadata': '[]'}, {'service_metadata': 'x'},
                {'service_metadata': '{}'},
                *({'service_metadata': json.dumps({'base': name})}
                  for name in (None, 7, '', f'volume-{volume_id}',
                               f'volume-{other_id}.backup.{backup_id}',
                               f'volume-{volume_id}.backup.base@x'))):
            self.assertRaises(base.StoreRefused, self.image, **fields)

    def test_ledger_that_leads_elsewhere(self):
        backup_id, volume_id, _ = self.ids
        image = f'volume-{volume_id}.backup.{backup_id}'
        for kind, where in (
                ('object', ['rbd_directory']), ('object', ['rbd_header.1']),
                ('object', [image]), ('object', []),
                (rbd.IMAGE, [image]), (rbd.IMAGE, [image, 'volume-x']),
                (rbd.SNAPSHOT, [image, 'snapshot', 'other']),
                (rbd.SIZE, [image, '0', '-1']), ('pool', ['backups'])):
            self.assertRaises(base.StoreRefused, self.store.change,
                              kind, where, None)
