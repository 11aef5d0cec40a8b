# SPDX-License-Identifier: Apache-2.0

"""Backups in a real Ceph cluster, found by what the pool alone has."""

import base64
import datetime
import json
import pathlib
from unittest import mock
import uuid

from backup_recovery import books
from backup_recovery import main
from reference_drivers.contract import images
from reference_drivers.scanning import rebuilding
from reference_drivers.scanning import source
from reference_drivers.verification import errors
from tests import programs
from tests.functional import test_ceph_driver

_SERVICE = 'reference_drivers.ceph.CephBackupDriver'
_OWNED = ['snapshot_id', 'metadata', 'data_timestamp', 'display_name',
          'display_description']


class ScanCase(test_ceph_driver.CephCase):

    def scan(self):
        """The findings of this test, by the id of the backup."""
        before = self.everything()
        found = list(self.cinder.driver().scan())
        self.assertEqual(before, self.everything())
        volumes = {one.volume_id for one in self.cinder.made}
        ids = {one.id for one in self.cinder.made}
        self.foreign = [one for one in found if one.kind == 'foreign']
        return {one.backup_id: one for one in found
                if one.volume_id in volumes or one.backup_id in ids}

    def classes(self):
        return {backup: one.kind for backup, one in self.scan().items()}

    def remove(self, name):
        self.cinder.backups.remove_object(name)

    def recovered(self, backups, contents):
        """Import and restore what a scan has found, rows lost."""
        found = self.scan()
        self.assertEqual({one.id: 'complete' for one in backups},
                         {one: it.kind for one, it in found.items()})
        rebuilding.link_up(found)
        for one in backups:
            fields = found[one.id].fields
            # The name, and of a snapshot its id, is not in the pool.
            for name in ('id', 'volume_id', 'parent_id', 'container', 'size',
                         'project_id', 'user_id', 'object_count'):
                self.assertEqual(one[name], fields[name], name)
            self.assertEqual([], found[one.id].problems)
            made = datetime.datetime.fromisoformat(fields['created_at'])
            self.assertLess(abs(made - one.created_at),
                            datetime.timedelta(minutes=2))
        for level in 'record', 'presence', 'content':
            self.level(level)
            for one in backups:
                self.cinder.lose_row(one.id)
            for one in backups:
                self.assertEqual('available', self.cinder.import_record({
                    'backup_service': _SERVICE, 'backup_url':
                    base64.b64encode(json.dumps({
                        **found[one.id].fields, 'driver_info':
                        found[one.id].info}).encode()).decode()}).status)
        for one, content in zip(backups, contents, strict=True):
            self.assert_restores(one, content)
        return found


class ImagesTest(ScanCase):
    """Volumes are images: a backup is a snapshot of one."""

    as_images = True

    def test_recovered(self):
        contents = self.contents()
        backups = self.chain(contents)
        found = self.recovered(backups, contents)
        self.assertEqual([_OWNED] * 3, [found[one.id].without
                                        for one in backups])
        self.assertEqual([1, 1, 0], [
            found[one.id].fields['num_dependent_backups']
            for one in backups])

    def test_program(self):
        """By the driver of the configuration, Cinder's own as well."""
        contents = self.contents()[:2]
        backups = self.chain(contents)
        for driver in ('cinder.backup.drivers.ceph.CephBackupDriver',
                       _SERVICE):
            self.cinder.configure(backup_driver=driver)
            path = pathlib.Path(self.cinder.directory, driver)
            # The configuration is that of the test.
            with (mock.patch.object(source.programs, 'configure'),
                  mock.patch.object(source, 'coordination')):
                status, printed, said = programs.call(
                    main.main, 'scan', path, '-f', 'json')
            # Metadata objects are what other tests leave.
            self.assertIn(status, (0, 1), said)
            found = json.loads(printed)['classes']
            self.assertEqual((2, set()), (found['complete'],
                                          found.keys() - {'complete',
                                                          'deleted'}))
            book = books.Book(path).load()
            with book.reader() as read:
                found = [read(book.records[one.id]) for one in backups]
            self.assertEqual([driver == _SERVICE] * 2, [
                bool(one.fields['driver_info']) for one in found])
        for one in backups:
            self.cinder.lose_row(one.id)
        for one in found:
            self.cinder.import_record({'backup_service': one.backup_service,
                                       'backup_url': one.backup_url})
        self.assert_restores(backups[1], contents[1])

    def test_what_is_left(self):
        """Of deletions and of backups that were interrupted."""
        full, second, third = self.chain(self.contents())
        image, _ = self.place(full)
        expected = dict.fromkeys((full.id, second.id, third.id), 'complete')
        self.assertEqual(expected, self.classes())
        # What it says is not needed for a restore.
        self.remove(f'backup.{second.id}.meta')
        self.assertEqual(expected, self.classes())
        without = self.scan()[second.id].without
        self.assertEqual([*_OWNED[:3], 'project_id', 'encryption_key_id',
                          'size', *_OWNED[3:]], without)
        with self.open(image) as opened:
            opened.create_snap(f'backup.{third.id}.snap.1.0')
        self.assertEqual({**expected, third.id: 'damaged'}, self.classes())
        # The newest one first, as they are deleted.
        with self.open(image) as opened:
            for one in list(opened.list_snaps()):
                if third.id in one['name']:
                    opened.remove_snap(one['name'])
        self.assertEqual({**expected, third.id: 'deleted'}, self.classes())
        self.remove(f'backup.{third.id}.meta')
        del expected[third.id]
        self.assertEqual(expected, self.classes())
        # No snapshot is left: the image is no copy of the first backup.
        with self.open(image) as opened:
            for one in list(opened.list_snaps()):
                opened.remove_snap(one['name'])
        self.assertEqual({full.id: 'deleted'}, self.classes())
        found = self.scan()[full.id]
        self.assertIsNone(found.fields)
        self.assertEqual(f'rbd:backups/{image}', found.place)

    def test_metadata_of_another(self):
        backup, = self.chain(self.contents()[:1])
        other, = self.chain(self.contents()[:1])
        size, _ = self.cinder.backups.stat(f'backup.{other.id}.meta')
        self.cinder.backups.write_full(
            f'backup.{backup.id}.meta', self.cinder.backups.read(
                f'backup.{other.id}.meta', size))
        self.assertEqual({backup.id: 'damaged', other.id: 'complete'},
                         self.classes())

    def test_image_that_cannot_be_opened(self):
        backup, = self.chain(self.contents()[:1])
        image, _ = self.place(backup)
        # By this object its header is found.
        name = f'rbd_id.{image}'
        self.addCleanup(self.cinder.backups.write_full, name,
                        self.cinder.backups.read(name))
        self.remove(name)
        found = self.scan()[backup.id]
        self.assertEqual(('damaged', ['missing']), (
            found.kind, [one['kind'] for one in found.problems]))


class FilesTest(ScanCase):
    """Volumes are files: a backup is an image."""

    def test_recovered(self):
        """A copy of a volume, and one of a snapshot in the shared image."""
        content = self.contents()[0]
        volume = self.cinder.create_volume(content)
        other = self.cinder.create_volume(content)
        backups = [self.cinder.create_backup(volume),
                   self.cinder.create_backup(volume,
                                             snapshot_id=str(uuid.uuid4())),
                   self.cinder.create_backup(other)]
        self.recovered(backups, [content] * 3)

    def test_what_is_left(self):
        content = self.contents()[0]
        volume = self.cinder.create_volume(content)
        copy = self.cinder.create_backup(volume)
        shared = self.cinder.create_backup(volume,
                                           snapshot_id=str(uuid.uuid4()))
        expected = {copy.id: 'complete', shared.id: 'complete'}
        self.assertEqual(expected, self.classes())
        # It is written last.
        self.remove(f'backup.{copy.id}.meta')
        self.assertEqual({**expected, copy.id: 'unfinished'},
                         self.classes())
        self.remove(f'backup.{shared.id}.meta')
        self.assertEqual({copy.id: 'unfinished', None: 'unfinished'},
                         self.classes())

    def test_image_that_is_gone(self):
        backup, = self.chain(self.contents()[:1])
        images.rbd.RBD().remove(self.cinder.backups, self.place(backup)[0])
        self.assertEqual({backup.id: 'deleted'}, self.classes())

    def test_foreign(self):
        """All of it is one finding, and what RBD needs is none."""
        backup, = self.chain(self.contents()[:1])
        before = self.classes()
        self.assertEqual([], self.foreign)
        images.rbd.RBD().create(self.cinder.backups, 'photos', 1 << 20)
        self.addCleanup(images.rbd.RBD().remove, self.cinder.backups,
                        'photos')
        self.cinder.backups.write_full('cat.jpg', b'x')
        self.addCleanup(self.remove, 'cat.jpg')
        self.assertEqual(before, self.classes())
        (found,) = self.foreign
        self.assertEqual((2, 'rbd:backups/cat.jpg'),
                         (found.objects, found.place))
        self.assertIn(backup.id, before)


class MissingTest(ScanCase):

    def test_pool(self):
        self.cinder.configure(backup_ceph_pool='gone')
        error = self.assertRaises(errors.Missing, self.scan)
        self.assertIn('pool gone is missing', str(error))
