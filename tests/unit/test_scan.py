# SPDX-License-Identifier: Apache-2.0

"""Scans of a directory, and their records.

``tests/functional/test_records_scan.py`` has whole clouds, with Swift too.
"""

import errno
import json
import os
import pathlib
import shutil
import time
from unittest import mock

import ddt
import testtools

from backup_recovery import plans
from backup_recovery import records
from backup_stores import filesystem
from reference_drivers.contract import environment
from reference_drivers.scanning import found as found_
from reference_drivers.scanning import rebuilding
from reference_drivers.scanning import source
from reference_drivers.scanning import walk
from reference_drivers.verification import errors
from reference_drivers.verification import store as stores
from tests import leftovers
from tests import old_layouts
from tests.unit import test_verification
from tests.unit.test_verification import BLOCK
from tests.unit.test_verification import CHUNK
from tests.unit.test_verification import text

REFERENCE = 'reference_drivers.default.DefaultBackupDriver'


class ScanCase(test_verification.Case):
    """A directory of Cinder's own driver."""

    def scan(self, store=None, **arguments):
        """All that is found; the backups by their ids."""
        found = list(walk.Walk(store or self.store, 60, **arguments).run())
        self.backups = {one.backup_id: one for one in found if one.fields}
        rebuilding.link_up(self.backups)
        return found

    def kinds(self, **arguments):
        """The classes of all that is found, by the id of the backup."""
        found = self.scan(**arguments)
        self.assertEqual(len(found), len({one.backup_id for one in found}))
        return {one.backup_id: one.kind for one in found}

    def directory(self, backup):
        return os.path.join(self.root, backup.container)

    def objects(self):
        return filesystem.FilesystemStore.from_cinder(self.cinder.config.conf)

    def state(self):
        """Each file with its content and its times."""
        return {path: (os.stat(path).st_mtime_ns, open(path, 'rb').read())
                for top, _, names in os.walk(self.root)
                for path in (os.path.join(top, name) for name in names)}


class FoundTest(ScanCase):
    """Complete backups."""

    def test_chains(self):
        """Of any content and in any container, and nothing is changed."""
        made = [*self.chain(*[text(8 * BLOCK, seed) for seed in (1, 2, 2)]),
                *self.chain(bytes(CHUNK), bytes(BLOCK)),
                *self.chain(text(CHUNK + 1), container='year/month'),
                *self.chain(text(CHUNK), container='year/month')]
        before = self.state()
        self.assertEqual(dict.fromkeys([one.id for one in made], 'complete'),
                         self.kinds())
        self.assertEqual(before, self.state())
        self.assertEqual([1, 1, 0], [
            self.backups[one.id].fields['num_dependent_backups']
            for one in made[:3]])

    def test_fields(self):
        """They are those of the row, but for what the storage lacks."""
        parent, child = self.chain(text(3 * CHUNK), text(3 * CHUNK, 2),
                                   display_name='it\'s "monday"',
                                   display_description='a\nb')
        self.scan()
        row = self.cinder.row(child.id)
        found = self.backups[child.id].fields
        self.assertEqual(parent.id, found['parent_id'])
        for field in ('id', 'display_name', 'display_description',
                      'container', 'service_metadata', 'size', 'object_count',
                      'volume_id', 'parent_id', 'snapshot_id', 'project_id',
                      'user_id', 'encryption_key_id',
                      'num_dependent_backups'):
            self.assertEqual(row[field], found[field], field)
        self.assertEqual(str(row['created_at'])[:19],
                         found['created_at'].replace('T', ' ')[:19])
        self.assertEqual(list(rebuilding.ONLY_IN_RECORD),
                         self.backups[child.id].without)

    def test_container(self):
        one, = self.chain(text(CHUNK), container='year/month')
        other, = self.chain(text(CHUNK), container='year/other')
        self.assertEqual({other.id: 'complete'},
                         self.kinds(containers=['year/other']))
        self.assertEqual({one.id, other.id},
                         set(self.kinds(containers=['year'])))
        self.assertRaises(errors.Missing, self.scan, containers=['month'])
        for place in ('/etc', '..', 'year/../..'):
            self.assertRaises(errors.BadLocation, self.scan,
                              containers=[place])

    def test_old_layouts(self):
        """As releases since Grizzly have stored them."""
        objects = self.objects()
        for change in (old_layouts.before_incremental,
                       old_layouts.always_compressed,
                       old_layouts.old_prefix, old_layouts.counted_one_more):
            backup, = self.chain(text(3 * CHUNK))
            change(objects, backup)
            kinds = self.kinds()
            self.assertEqual('complete', kinds[backup.id], change.__name__)

    def test_before_incremental(self):
        """Without the volume's metadata nothing knows the owner."""
        backup, = self.chain(text(3 * CHUNK))
        old_layouts.before_incremental(self.objects(), backup)
        self.scan()
        found = self.backups[backup.id]
        self.assertEqual([*rebuilding.ONLY_IN_RECORD, 'project_id',
                          'encryption_key_id', 'size', 'sha256file'],
                         found.without)
        self.assertEqual((None, 1), (found.fields['project_id'],
                                     found.fields['size']))

    def test_size_that_only_the_parent_tells(self):
        parent, child = self.chain(text(2 * CHUNK), text(BLOCK))
        self.edit(child, '_metadata',
                  lambda value: value.pop('volume_meta'))
        with open(self.path(parent, '_metadata')) as stream:
            meta = stream.read()
        with open(self.path(parent, '_metadata'), 'w') as stream:
            stream.write(meta.replace('\\"size\\": 1', '\\"size\\": 7'))
        self.scan()
        self.assertEqual([7, 7], [self.backups[one.id].fields['size']
                                  for one in (parent, child)])

    def test_encrypted(self):
        """The key of the backup is only in its row."""
        backup, = self.chain(text(CHUNK))
        with open(self.path(backup, '_metadata')) as stream:
            meta = stream.read()
        with open(self.path(backup, '_metadata'), 'w') as stream:
            stream.write(meta.replace('\\"encryption_key_id\\": null',
                                      '\\"encryption_key_id\\": \\"a\\"'))
        self.scan()
        self.assertIn('encryption_key_id', self.backups[backup.id].without)

    def test_foreign(self):
        """Files, links and names of no encoding, one entry for a place."""
        backup, = self.chain(text(CHUNK))
        for name in (b'a', b'b', b'\xff_backup_x', b'backup_metadata2'):
            with open(os.path.join(self.root.encode(), name), 'wb') as stream:
                stream.write(b'hello')
        os.symlink('/', os.path.join(self.root, 'link'))
        found = [one for one in self.scan() if one.kind == 'foreign']
        self.assertEqual({(4, 20), (1, None)},
                         {(one.objects, one.stored) for one in found})
        self.assertEqual({backup.id}, set(self.backups))

    def test_copies(self):
        """The one in its own directory is used, wherever the other one is."""
        backup, = self.chain(text(CHUNK))
        for place in ('00', 'zz'):
            shutil.copytree(self.directory(backup),
                            os.path.join(self.root, place))
        found = source.Source.__new__(source.Source)
        found.backups, found.remains = {}, []
        for one in walk.Walk(self.store).run():
            found._add(one)
        self.assertEqual(backup.container,
                         found.backups[backup.id].fields['container'])
        self.assertEqual(['copy', 'copy'],
                         [one.kind for one in found.remains])


@ddt.ddt
class RemainsTest(ScanCase):
    """Incomplete backups, as drivers leave them."""

    @ddt.data(*leftovers.CLASSES)
    def test_planted(self, kind):
        good, backup = (*self.chain(text(CHUNK)),
                        *self.chain(text(4 * CHUNK)))
        leftovers.leave(self.objects(), backup.container,
                        backup.service_metadata, kind)
        self.assertEqual({good.id: 'complete',
                          backup.id: leftovers.CLASSES[kind]}, self.kinds())

    @ddt.data(0, 1, 3)
    def test_backup_that_failed(self, chunks):
        """Cinder leaves the chunks of a backup that ends in an error."""
        driver = type(self.cinder.driver())
        write, done = driver.get_object_writer, []

        def failing(*args, **kwargs):
            if len(done) == chunks:
                raise OSError(errno.ENOSPC, 'no space')
            done.append(args)
            return write(*args, **kwargs)

        with mock.patch.object(driver, 'get_object_writer', failing):
            self.assertRaises(OSError, self.chain, text(4 * CHUNK))
        backup = self.cinder.made[-1]
        self.assertEqual({backup.id: 'unfinished'} if chunks else {},
                         self.kinds())

    @ddt.data(1, 2, 4, 5)
    def test_delete_that_failed(self, count):
        """Of Cinder's driver, on a store that lists in order."""
        driver = type(self.cinder.driver())
        entries = driver.get_container_entries
        backup = self.deleted(driver, count, get_container_entries=lambda
                              self, *args: sorted(entries(self, *args)))
        self.assertEqual({backup.id: 'deleted'}, self.kinds())

    def deleted(self, driver, count, **patches):
        """Delete a backup of six objects, in an order, but for some."""
        backup, = self.chain(text(4 * CHUNK))
        delete, done = driver.delete_object, []

        def failing(self, *args):
            if len(done) == count:
                raise OSError(errno.EIO, 'an error')
            done.append(args)
            return delete(self, *args)

        with mock.patch.multiple(driver, delete_object=failing, **patches):
            self.assertRaises(OSError, self.cinder.delete, backup.id)
        return backup

    def test_parent(self):
        """It is on another storage, or of another volume."""
        _, child = self.chain(text(CHUNK), text(CHUNK, 2))
        other, = self.chain(text(CHUNK))
        self.edit(child, '_metadata',
                  lambda value: value.update(parent_id=other.id))
        self.scan()
        found = self.backups[child.id]
        self.assertEqual(('damaged', 'chain'),
                         (found.kind, found.problems[0]['kind']))
        shutil.rmtree(self.directory(other))
        self.scan()
        found = self.backups[child.id]
        self.assertEqual(('complete', other.id),
                         (found.kind, found.problems[0]['name']))
        self.assertEqual({}, rebuilding.describe(found, self.backups,
                                                 self.store, 'posix'))

    def test_chain_that_leads_back(self):
        parent, child = self.chain(text(CHUNK), text(CHUNK, 2))
        self.edit(parent, '_metadata',
                  lambda value: value.update(parent_id=child.id))
        self.scan()
        self.assertEqual({}, rebuilding.describe(
            self.backups[child.id], self.backups, self.store, 'posix'))

    def test_metadata_of_another(self):
        one, other = (self.chain(text(CHUNK))[0] for _ in range(2))
        self.edit(one, '_metadata',
                  lambda value: value.update(backup_id=other.id))
        self.assertEqual('foreign', self.kinds()[one.id])

    def test_unread(self):
        """An object that cannot be read does not end the scan."""
        good, bad = (self.chain(text(CHUNK))[0] for _ in range(2))

        class Store(stores.PosixStore):
            def read(self, container, name):
                if bad.id in name:
                    raise OSError(errno.EIO, 'an error')
                return super().read(container, name)

        self.assertEqual({good.id: 'complete', bad.id: 'unread'},
                         self.kinds(store=Store(self.cinder.driver())))

    def test_directory_that_cannot_be_listed(self):
        good, bad = (self.chain(text(CHUNK))[0] for _ in range(2))
        scandir = os.scandir

        def failing(path):
            if str(path).endswith(bad.id):
                raise PermissionError(errno.EACCES, 'denied', path)
            return scandir(path)

        with mock.patch('os.scandir', failing):
            found = self.scan()
        self.assertEqual({good.id}, set(self.backups))
        self.assertEqual([bad.container], [
            one.problems[0]['name'] for one in found if one.kind == 'unread'])

    def test_store_that_hangs(self):
        self.chain(text(CHUNK))

        class Store(stores.PosixStore):
            def read(self, container, name):
                time.sleep(60)

        scan = walk.Walk(Store(self.cinder.driver()), 0.2)
        self.assertRaises(errors.TimedOut, list, scan.run())

    def test_store_that_is_missing(self):
        shutil.rmtree(self.root, ignore_errors=True)
        self.assertRaises(errors.Unreadable, self.scan)


class ImportTest(testtools.TestCase):
    """Records that were made, with the driver that verifies them."""

    def setUp(self):
        super().setUp()
        self.cinder = self.useFixture(environment.Environment(REFERENCE, {
            'backup_file_size': CHUNK, 'backup_sha_block_size_bytes': BLOCK,
            'backup_enable_progress_timer': False}))

    scan = ScanCase.scan
    chain = ScanCase.chain

    def test_driver_info(self):
        """It is what an export says."""
        made = self.chain(text(8 * BLOCK), text(8 * BLOCK, 2),
                          text(8 * BLOCK, 3))
        self.store = self.cinder.driver().get_store()
        self.scan()
        for one in made:
            record = records.Record(one.id, '', '', self.cinder.export(one)[
                'backup_url'])
            self.assertEqual(
                record.fields['driver_info'], rebuilding.describe(
                    self.backups[one.id], self.backups, self.store, 'posix'))

    def test_delete_that_failed(self):
        """The reference driver deletes the metadata first."""
        driver = type(self.cinder.driver())
        for count, kind in ((1, 'unfinished'), (2, 'deleted'),
                            (5, 'deleted')):
            backup = RemainsTest.deleted(self, driver, count)
            self.store = self.cinder.driver().get_store()
            found, = (one.kind for one in self.scan()
                      if one.backup_id == backup.id)
            self.assertEqual(kind, found, count)


class KindsTest(testtools.TestCase):
    def test_schema_has_all(self):
        """The file of records knows each class."""
        schema = json.loads(pathlib.Path(
            records.__file__).with_name('records.schema.json').read_text())
        kinds = {value for name, value in vars(found_).items()
                 if name.isupper() and isinstance(value, str)}
        remains = schema['else']['then']['properties']['remains']['enum']
        self.assertEqual(kinds - {found_.COMPLETE}, set(remains))
        self.assertEqual(set(remains), set(records._REMAINS))
        self.assertLessEqual(set(plans.CLASSES), set(remains))
