# SPDX-License-Identifier: Apache-2.0

"""The reference driver for Ceph, on a real cluster.

What the contract does not ask; see ``test_contract_ceph``.
"""

import contextlib
import hashlib
import io
import json
import os
import subprocess
import tempfile
import threading
import time
from unittest import mock
import uuid

from cinder import exception
from cinder import objects
from cinder.backup.drivers import ceph as cinder_ceph
import fixtures
from oslo_serialization import base64
import testtools

from backup_stores import rbd as rbd_store
from local_cloud import exceptions as cloud_exceptions
from local_cloud.machine import programs
from local_cloud.servers import ceph_cluster
from local_cloud.servers import ceph_packages
from reference_drivers import ceph
from reference_drivers import options
from reference_drivers import verify
from reference_drivers.ceph import digest
from reference_drivers.ceph import finding
from reference_drivers.ceph import names as naming
from reference_drivers.ceph import restoring
from reference_drivers.contract import base
from reference_drivers.contract import ceph as ceph_contract
from reference_drivers.contract import images
from reference_drivers.contract import records
from reference_drivers.verification import errors
from reference_drivers.verification import hashing
from tests import old_layouts
from tests.functional import ceph_cases

GIB = images.GIB
BLOCK = images.BLOCK
#: A file's zeros are copied, and a device ends where it ends.
FILE = 10 * BLOCK
blocks = images.blocks


class Environment(images.Environment):
    """A volume is known by its blocks that are not zero."""

    read_volume = images.Environment.read_blocks

    def in_tree(self):
        """Let Cinder's own driver do what follows."""
        self.manager.service = cinder_ceph.CephBackupDriver


class CephCase(ceph_contract.Backups, records.Records,
               ceph_cases.ClusterCase):
    as_images = False

    def setUp(self):
        super().setUp()
        self.cinder = Environment(
            'reference_drivers.ceph.CephBackupDriver', {
                'backup_ceph_conf': str(self.cluster.conf),
                'backup_ceph_user': self.cluster.user,
                'backup_ceph_chunk_size': BLOCK,
                f'{options.GROUP}__timeout': 2},
            str(self.cluster.conf), self.cluster.user, self.as_images)
        self.useFixture(self.cinder)
        self.objects = self.make_objects()

    # Backups

    def contents(self):
        """The content of a volume at each of its backups."""
        end = GIB if self.as_images else FILE
        first = {0: base.noise(100_000), 5 * BLOCK: base.noise(BLOCK, 2),
                 end - 512: base.noise(512, 3)}
        second = {**first, 5 * BLOCK: base.noise(BLOCK, 4),
                  7 * BLOCK + 77: base.noise(BLOCK, 5)}
        third = {**second, 5 * BLOCK: bytes(BLOCK)}
        return [first, second, third]

    def chain(self, contents):
        volume = self.cinder.create_volume()
        backups = []
        for content in contents:
            self.cinder.write_volume(volume.id, content)
            backups.append(self.cinder.create_backup(
                volume, backups[-1] if backups else None))
        return backups

    def info(self, record):
        return json.loads(base64.decode_as_text(
            record['backup_url']))['driver_info']

    @contextlib.contextmanager
    def logged(self):
        with fixtures.FakeLogger('reference_drivers') as log:
            yield log

    def restore_refused(self, backup, part):
        """To a new volume and an old one."""
        for volume in (None, self.cinder.create_volume({0: b'old'})):
            err = self.assertRaises(exception.InvalidBackup,
                                    self.cinder.restore, backup.id, volume)
            self.assertIn(part, str(err))

    def assert_restores(self, backup, content):
        self.assertEqual(True, blocks(content) ==
                         self.cinder.restore(backup.id), 'a new volume')
        old = self.cinder.create_volume(
            {0: base.noise(BLOCK, 9), 7 * BLOCK: base.noise(BLOCK, 9)})
        self.assertEqual(True, blocks(content) ==
                         self.cinder.restore(backup.id, old),
                         'an old volume')

    def everything(self):
        """All objects in the pool of the backups."""
        found = set()
        for one in self.cinder.backups.list_objects():
            # Of some only a snapshot's clone is left.
            with contextlib.suppress(images.rados.ObjectNotFound):
                found.add((one.key, *self.cinder.backups.stat(one.key)))
        return found


class ImagesTest(CephCase):
    """Volumes are RBD images, backups are snapshots of one image."""

    as_images = True

    def test_round_trips(self):
        """Rows lost and imported in any order restore bit for bit."""
        contents = self.contents()
        backups = self.chain(contents)
        before = self.everything()
        records = [self.cinder.export(one) for one in backups]
        self.assertEqual(records, [self.cinder.export(one)
                                   for one in backups])
        for order, level in (((0, 1, 2), 'record'), ((2, 1, 0), 'presence'),
                             ((1, 2, 0), 'content')):
            self.level(level)
            for number in order:
                self.cinder.lose_row(backups[number].id)
            for number in order:
                self.imports(records[number])
                for field in ('volume_id', 'parent_id', 'container', 'size',
                              'snapshot_id'):
                    self.assertEqual(
                        backups[number][field],
                        self.cinder.backup(backups[number].id)[field])
        self.assertEqual(before, self.everything())
        for backup, content in zip(backups, contents, strict=True):
            self.assert_restores(backup, content)
        info = self.info(records[2])
        self.assertLess(len(json.dumps(info)), 4096)
        self.assertEqual([backups[1].id, backups[0].id], info['parents'])
        self.assertEqual(
            'rbd:backups/{}@{}'.format(*self.place(backups[2])),
            info['location'])

    def test_restore_never_takes_the_newest_data_instead(self):
        """Cinder's driver does, and calls it a success."""
        full, _ = self.chain(self.contents()[:2])
        image, snapshot = self.place(full)
        with self.open(image) as opened:
            opened.remove_snap(snapshot)
        err = self.assertRaises(exception.InvalidBackup,
                                self.cinder.restore, full.id)
        self.assertIn(f'no snapshot backup.{full.id}', str(err))
        # Its row can go all the same, and takes no other data with it.
        before = self.everything()
        self.cinder.delete(full.id)
        self.assertIn(image, images.rbd.RBD().list(self.cinder.backups))
        self.assertEqual({f'backup.{full.id}.meta'},
                         {one[0] for one in before} -
                         {one[0] for one in self.everything()})

    def test_targets_take_no_space(self):
        """Cinder's driver fills a GiB each, and four fill the cluster."""
        contents = self.contents()[:1]
        backup, = self.chain(contents)
        before = images.rbd.RBD().list(self.cinder.volumes)
        self.assert_restores(backup, *contents)
        self.assertEqual(before, images.rbd.RBD().list(self.cinder.volumes))

    def test_delete_newest_first(self):
        """No parent before its child; the image goes with the last one."""
        contents = self.contents()
        backups = self.chain(contents)
        image, _ = self.place(backups[0])
        self.cinder.delete(backups[2].id)
        self.assert_restores(backups[1], contents[1])
        err = self.assertRaises(exception.InvalidBackup, self.cinder.delete,
                                backups[0].id)
        self.assertIn(f'backup {backups[1].id} is incremental', str(err))
        self.assert_restores(backups[0], contents[0])
        self.cinder.delete(backups[1].id)
        self.assert_restores(backups[0], contents[0])
        self.cinder.delete(backups[0].id)
        self.assertNotIn(image, images.rbd.RBD().list(self.cinder.backups))
        for backup in backups:
            self.assertRaises(images.rados.ObjectNotFound,
                              self.cinder.backups.stat,
                              f'backup.{backup.id}.meta')

    def test_records_that_are_edited(self):
        """Every field of driver_info is looked at."""
        backup, = self.chain(self.contents()[:1])
        record = self.cinder.export(backup)
        self.cinder.lose_row(backup.id)
        for field in self.info(record):
            if field in ('parent_id', 'snapshot_id', 'parents', 'location'):
                continue
            for wrong in (1.5, True, ['x'], {}, -1, 'x'):
                self.level('presence')
                self.refused(self.edited(record, {field: wrong}), backup, '',
                             field)
        self.level('content')
        self.refused(self.edited(record, {'digest': 'sha256:' + '0' * 64}),
                     backup, 'content of')
        self.level('presence')
        self.refused(self.edited(record, {'image_size': 2 * GIB}), backup,
                     'image_size')
        self.refused(self.edited(record, size=2), backup, 'size')
        self.imports(record)

    def test_record_without_digest(self):
        """An undamaged backup imports; an option is stricter."""
        backup, = self.chain(self.contents()[:1])
        self.cinder.configure(**{f'{options.GROUP}__ceph_digest_limit': 0})
        record = self.cinder.export(backup)
        self.assertIsNone(self.info(record)['digest'])
        self.cinder.lose_row(backup.id)
        self.level('content')
        with self.logged() as log:
            self.imports(record)
        self.assertIn('verified at level presence only', log.output)
        self.assertIn(f'rbd:backups/{self.place(backup)[0]}@', log.output)
        # Nothing to compare with is no reason not to restore.
        with self.logged() as log:
            self.assert_restores(backup, self.contents()[0])
        self.assertIn('is not compared while it is restored', log.output)
        self.cinder.lose_row(backup.id)
        self.cinder.configure(
            **{f'{options.GROUP}__ceph_without_digest': 'refuse'})
        self.refused(record, backup, 'ceph_without_digest')
        self.level('presence')
        self.imports(record)


class FilesTest(CephCase):
    """Volumes are files, backups are full copies."""

    def test_backups_of_snapshots(self):
        """Two share the name of one image; the second one fails."""
        content = self.contents()[0]
        volume = self.cinder.create_volume(content)
        backup = self.cinder.create_backup(volume,
                                           snapshot_id=str(uuid.uuid4()))
        self.assertRaises(images.rbd.ImageExists,
                          self.cinder.create_backup, volume,
                          snapshot_id=str(uuid.uuid4()))
        failed, = (one for one in objects.BackupList.get_all(
            self.cinder.context) if one.id != backup.id)
        record = self.cinder.export(backup)
        # It must not delete what made it fail.
        self.cinder.delete(failed.id)
        self.level('content')
        self.cinder.lose_row(backup.id)
        self.imports(record)
        self.assert_restores(backup, content)
        self.cinder.lose_row(backup.id)
        with self.damaged(rbd_store.METADATA_MISSING, backup):
            self.refused(record, backup, f'backup.{backup.id}.meta')
        self.imports(record)
        self.cinder.delete(backup.id)
        self.assertNotIn(f'volume-{volume.id}.backup.base',
                         images.rbd.RBD().list(self.cinder.backups))

    def test_restore_never_takes_another_backup_instead(self):
        """Cinder's driver falls back to the backup of a snapshot."""
        volume = self.cinder.create_volume(self.contents()[0])
        shared = self.cinder.create_backup(volume,
                                           snapshot_id=str(uuid.uuid4()))
        backup = self.cinder.create_backup(volume)
        image, _ = self.place(backup)
        images.rbd.RBD().remove(self.cinder.backups, image)
        err = self.assertRaises(exception.InvalidBackup,
                                self.cinder.restore, backup.id)
        self.assertIn(f'{image} is missing', str(err))
        self.cinder.delete(backup.id)
        self.assert_restores(shared, self.contents()[0])

    def test_written_zeros_and_holes_are_the_same(self):
        """A copy that is sparser is not damaged."""
        backup, = self.chain([{0: b'x', 3 * BLOCK: b'y'}])
        record = self.cinder.export(backup)
        image, _ = self.place(backup)
        with self.open(image) as opened:
            prefix = opened.stat()['block_name_prefix']
        zeros = f'{prefix}.{1:016x}'
        # They were written.
        self.assertEqual(BLOCK, self.cinder.backups.stat(zeros)[0])
        with self.open(image) as opened:
            opened.discard(BLOCK, BLOCK)
        self.assertRaises(images.rados.ObjectNotFound,
                          self.cinder.backups.stat, zeros)
        self.cinder.lose_row(backup.id)
        self.level('content')
        self.imports(record)


class DigestTest(CephCase):
    """Uses of the digest in the row."""

    as_images = True

    def copies(self):
        """Full copies: of a file, and of a snapshot."""
        with mock.patch.object(self.cinder, 'as_images', False):
            content = {0: base.noise(100_000), 5 * BLOCK: base.noise(BLOCK)}
            found = []
            for snapshot_id in (None, str(uuid.uuid4())):
                volume = self.cinder.create_volume(content)
                found.append(self.cinder.create_backup(
                    volume, snapshot_id=snapshot_id))
        return found, content

    def test_a_copy_has_it_from_the_backup(self):
        """Damage that is done before the export is found too."""
        (backup, _), content = self.copies()
        self.cinder.configure(**{f'{options.GROUP}__ceph_digest_limit': 0})
        record = self.cinder.export(backup)
        self.assertEqual(json.loads(backup.service_metadata)['digest'],
                         self.info(record)['digest'])
        self.assert_restores(backup, content)
        with self.damaged(rbd_store.DATA_CHANGED, backup):
            record = self.cinder.export(backup)
            self.restore_refused(backup, 'content of rbd:')
            self.cinder.lose_row(backup.id)
            self.level('content')
            self.refused(record, backup, 'content of rbd:')
        self.imports(record)
        # It is the same as what an export computes.
        row = self.cinder.backup(backup.id)
        row.service_metadata = None
        row.save()
        self.cinder.configure(**{f'{options.GROUP}__ceph_digest_limit': 8})
        self.assertEqual(self.info(record)['digest'],
                         self.info(self.cinder.export(row))['digest'])

    def test_cinders_driver_ignores_it(self):
        """It restores and deletes; and what it has made, this one can."""
        before = images.rbd.RBD().list(self.cinder.backups)
        copies, content = self.copies()
        backup, = self.chain([content])
        backups = [*copies, backup]
        for one in backups:
            record = self.cinder.export(one)
            self.cinder.lose_row(one.id)
            self.imports(record)
            row = self.cinder.backup(one.id)
            self.assertIn('"digest"', row.service_metadata)
            self.assertLessEqual(len(row.service_metadata), 255)
        service = self.cinder.manager.service
        self.cinder.in_tree()
        for one in backups:
            self.assertEqual(True, blocks(content) ==
                             self.cinder.restore(one.id))
            self.cinder.delete(one.id)
        self.assertEqual(before, images.rbd.RBD().list(self.cinder.backups))
        copies, content = self.copies()
        backup, = self.chain([content])
        self.cinder.manager.service = service
        for one in (*copies, backup):
            self.assertNotIn('digest', one.service_metadata or '')
            record = self.cinder.export(one)
            self.cinder.lose_row(one.id)
            self.level('content')
            self.imports(record)
            self.assertEqual(True, blocks(content) ==
                             self.cinder.restore(one.id))
            self.cinder.delete(one.id)
        self.assertEqual(before, images.rbd.RBD().list(self.cinder.backups))

    def test_wrong_bytes_are_restored_only_when_asked_for(self):
        """verify_on_restore is what compares."""
        backup, = self.chain(self.contents()[:1])
        record = self.cinder.export(backup)
        self.cinder.lose_row(backup.id)
        self.imports(record)
        with self.damaged(rbd_store.DATA_CHANGED, backup), \
                self.damaged(rbd_store.METADATA_MISSING, backup):
            self.cinder.configure(
                **{f'{options.GROUP}__verify_on_restore': False})
            self.assertEqual(3, len(self.cinder.restore(backup.id)))

    def test_parts_and_budget(self):
        """Each part reads a share; all parts together find it."""
        content = {number * BLOCK: base.noise(2000, number)
                   for number in range(16)}
        backup, = self.chain([content])
        record = self.cinder.export(backup)
        self.cinder.lose_row(backup.id)
        self.level('content')
        for parts in (1, 3, 8, 11):
            self.cinder.configure(**{f'{options.GROUP}__parts': parts})
            found = 0
            for part in range(1, parts + 1):
                self.cinder.configure(**{f'{options.GROUP}__part': part})
                with self.damaged(rbd_store.DATA_CHANGED, backup):
                    try:
                        self.imports(record)
                    except exception.InvalidBackup:
                        found += 1
                self.cinder.lose_row(backup.id)
                self.imports(record)
                self.cinder.lose_row(backup.id)
            # Of more than eight, two may read the same.
            self.assertIn(found, (1, 2) if parts > 8 else (1,), parts)

    @contextlib.contextmanager
    def opened(self, backup):
        """The pool, the image of a backup, and its name."""
        driver = self.cinder.driver()
        names = naming.names_of(backup, backup.id)
        with driver._pool(names.pool) as pool:
            place = finding.look(pool, names).place
            with pool.image(place.image, place.snapshot) as image:
                yield pool, image, place.image

    def test_hashed_together(self):
        """Blocks of zeros between, and fewer than are hashed together."""
        count = 2 * hashing.LANES + 6
        content = {number * BLOCK: base.noise(BLOCK, number)
                   for number in range(count) if number % 7}
        content[3 * BLOCK] = bytes(BLOCK)
        backup, = self.chain([content])
        wanted = digest.Digest(GIB)
        for offset, data in content.items():
            if any(data):
                wanted.add(offset, hashlib.sha256(data).digest())
        for readers in (1, 2, 3):
            with self.opened(backup) as opened:
                found = digest.Reader(readers).digest(*opened)
            self.assertEqual(wanted.whole, found.whole)
            self.assertEqual(wanted.parts, found.parts)

    def test_stopped_while_blocks_are_read(self):
        """No reader begins another one then."""
        asked, read = threading.Event(), []

        class Slow:
            def __init__(self, image):
                self._image = image

            def __getattr__(self, name):
                return getattr(self._image, name)

            def read(self, offset, length):
                read.append(asked.wait(60))
                if not read[-1]:
                    raise OSError('none asked whether to stop')
                return self._image.read(offset, length)

        def stop():
            asked.set()
            return 'it was cancelled'

        backup, = self.chain([{number * BLOCK: base.noise(99, number)
                               for number in range(4 * hashing.LANES)}])
        self.cinder.configure(**{f'{options.GROUP}__timeout': 60})
        with self.opened(backup) as (pool, image, name):
            self.assertRaisesRegex(
                errors.Stopped, 'it was cancelled',
                digest.Reader(2, stop).digest, pool, Slow(image), name)
        self.assertEqual([True] * 2, read)

    def test_rows_with_another_digest(self):
        """One that contradicts driver_info is refused."""
        backup, = self.chain(self.contents()[:1])
        base_ = json.loads(backup.service_metadata)['base']
        record = self.cinder.export(backup)
        digest = self.info(record)['digest']
        for values in ({'digest': 'parts:' + 'x' * 104}, {'digest': 7},
                       {'digest': 'x'}, {'meta': 'x' * 12}, {'meta': 'x'},
                       {'copy': True}, {'copy': 'yes'}):
            self.cinder.lose_row(backup.id)
            self.refused(self.edited(record, service_metadata=json.dumps(
                {'base': base_, 'digest': digest, **values})), backup, '')
        self.imports(record)

    def test_a_cluster_that_hangs_in_a_restore(self):
        """Reading, or writing to a volume in it, ends in an error."""
        content = {number * BLOCK: base.noise(BLOCK, number)
                   for number in range(12)}
        backup, = self.chain([content])
        put = restoring.Writer._put
        for as_images in (True, False):
            pauses = []

            def hang(writer, pool, offset, data, pauses=pauses):
                if offset == 3 * BLOCK:
                    pauses.append(offset)
                    self.cluster.pause()
                put(writer, pool, offset, data)

            self.cinder.as_images = as_images
            start = time.monotonic()
            try:
                with mock.patch.object(restoring.Writer, '_put', hang):
                    err = self.assertRaises(exception.InvalidBackup,
                                            self.cinder.restore, backup.id)
                self.assertLess(time.monotonic() - start, 20)
            finally:
                self.cluster.resume()
            self.assertIn('did not answer within 2 s', str(err))
            self.assertEqual([3 * BLOCK], pauses)
            self.cinder.as_images = True
            self.assertEqual(12, len(self.cinder.restore(backup.id)))


class VerifyTest(CephCase):
    """cinder-backup-verify, by the rows."""

    def run_command(self, *words):
        arguments = verify.parser().parse_args(words)
        self.out, log = io.StringIO(), io.StringIO()
        code = verify.Command(arguments, self.cinder.driver(),
                              self.cinder.context, self.out, log).run()
        return code, log.getvalue()

    def test_command(self):
        content = {number * BLOCK: base.noise(2000, number)
                   for number in range(16)}
        good, bad = self.chain([content])[0], self.chain([content])[0]
        self.assertEqual(0, self.run_command('--all')[0])
        code, log = self.run_command('--json', '--level', 'content', good.id)
        self.assertEqual(0, code)
        self.assertIn(f'{good.id} {16 * BLOCK}/{16 * BLOCK} bytes', log)
        report = json.loads(self.out.getvalue())
        self.assertEqual((True, 16 * BLOCK, [good.id]),
                         (report['ok'], report['bytes_read'],
                          report['chain']))
        with self.damaged(rbd_store.DATA_CHANGED, bad):
            self.assertEqual(0, self.run_command('--all')[0])
            self.assertEqual(1, self.run_command('--all', '--level',
                                                 'content')[0])
            self.assertIn(f'{bad.id} DAMAGED\n  content: the content of '
                          f'rbd:backups/{self.place(bad)[0]} differs',
                          self.out.getvalue())
            self.assertIn(f'{good.id} good', self.out.getvalue())
            codes = []
            for part in range(1, 5):
                codes.append(self.run_command(
                    '--level', 'content', '--part', f'{part}/4', '--json',
                    bad.id)[0])
                self.assertEqual(4 * BLOCK, json.loads(
                    self.out.getvalue())['bytes_read'])
            # The part that the damaged block belongs to.
            self.assertEqual([0, 0, 0, 1], sorted(codes))
        self.run_command('--level', 'content', '--budget', str(5 * BLOCK),
                         '--json', good.id)
        self.assertEqual(4 * BLOCK,
                         json.loads(self.out.getvalue())['bytes_read'])
        with self.damaged(rbd_store.IMAGE_MISSING, bad):
            self.assertEqual(1, self.run_command('--all')[0])
            self.assertIn('missing: image', self.out.getvalue())
        row = self.cinder.backup(bad.id)
        row.service_metadata = None
        row.save()
        self.assertEqual(0, self.run_command('--all')[0])
        self.assertEqual(3, self.run_command('--level', 'content',
                                             bad.id)[0])
        self.assertIn('no digest: its row has no digest',
                      self.out.getvalue())
        with self.cluster_stopped():
            self.assertEqual(3, self.run_command('--all')[0])
            self.assertIn('did not answer', self.out.getvalue())


    def test_restored(self):
        """The part that differs is named; a record needs no cluster."""
        content = {number * BLOCK: base.noise(2000, number)
                   for number in range(16)}
        backup, = self.chain([content])
        record = self.cinder.export(backup)
        records = os.path.join(self.cinder.directory, 'records')
        with open(records, 'w') as stream:
            json.dump({'id': backup.id, 'exported': None, **record}, stream)
        path = os.path.join(self.cinder.directory, 'restored')

        def prove(*words, size=GIB, change=None):
            with open(path, 'wb') as stream:
                for offset, data in {**content, **(change or {})}.items():
                    stream.seek(offset)
                    stream.write(data)
                stream.truncate(size)
            code, _ = self.run_command('--json', '--restored', path, *words,
                                       backup.id)
            found = json.loads(self.out.getvalue())
            return (code, [tuple(one.values()) for one in found['extents']],
                    found)

        self.assertEqual((0, []), prove()[:2])
        wrong = {11 * BLOCK: b'x'}
        self.assertEqual(
            (1, [('differs', 3 * BLOCK, BLOCK, 8 * BLOCK)]),
            prove(change=wrong)[:2])
        code, _, found = prove(size=GIB + BLOCK)
        self.assertEqual((0, {'offset': GIB, 'length': BLOCK}),
                         (code, found['rest']))
        code, extents, _ = prove(size=GIB + BLOCK, change={GIB: b'x'})
        self.assertEqual((1, 'behind', GIB), (code, *extents[0][:2]))
        self.assertEqual((1, [('missing', GIB - 4096, 4096, None)]),
                         prove(size=GIB - 4096)[:2])
        with self.cluster_stopped():
            code, _, found = prove('--records', records)
            self.assertEqual((0, True), (code, found['anchored']))
            self.assertEqual(1, prove('--records', records,
                                      change=wrong)[0])
        row = self.cinder.backup(backup.id)
        row.service_metadata = None
        row.save()
        self.assertEqual(3, self.run_command('--restored', path,
                                             backup.id)[0])
        self.assertIn('there is no digest of its content',
                      self.out.getvalue())


class OldRecordsTest(CephCase):
    """Records of every version that was ever exported.

    ``ceph_records_v1.json`` has the records of the first release and how
    the images looked then: of a chain of two, of a full copy and of a copy
    of a snapshot. It is never made again.
    """

    def rebuild(self, kept, objects_):
        content = {}
        for name, steps in kept.items():
            images.rbd.RBD().create(self.cinder.backups, name, GIB)
            content[name] = []
            with self.open(name) as image:
                now = {}
                for step in steps:
                    for offset, text, times in step['write']:
                        now[offset] = text.encode() * times
                        image.write(now[offset], offset)
                    content[name].append(dict(now))
                    if 'snapshot' in step:
                        image.create_snap(step['snapshot'])
        for name, text in objects_.items():
            self.cinder.backups.write_full(name, text.encode())
        return content

    def test_version_1(self):
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                            'ceph_records_v1.json')
        with open(path) as stream:
            kept = json.load(stream)
        content = self.rebuild(kept['images'], kept['objects'])
        wanted = [one for image in kept['images'] for one in content[image]]
        for level in ('record', 'presence', 'content'):
            self.level(level)
            for record, data in zip(kept['records'], wanted, strict=True):
                info = self.info(record)
                self.assertEqual(1, info['version'])
                self.imports(record)
                backup = self.cinder.backup(info['backup_id'])
                self.assertEqual(True, blocks(data) ==
                                 self.cinder.restore(backup.id))
                self.cinder.lose_row(backup.id)


class ClusterTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        ceph_cases.need_ceph()
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = os.path.join(directory.name, 'ceph')

    def test_start_again(self):
        """Its content outlives a stop; a last stop leaves nothing."""
        for store in ('memstore', 'bluestore'):
            cluster = ceph_cluster.Cluster(self.path, ['one'], store)
            self.addCleanup(cluster.stop)
            cluster.start()
            self._object(cluster, b'kept')
            cluster.stop(keep=True)
            # Another program, with nothing but the directory.
            other = ceph_cluster.Cluster(self.path, ['one'], store)
            other.start()
            self.assertEqual(b'kept', self._object(cluster))
            processes = [cluster.process(name) for name in ('mon', 'osd')]
            cluster.stop()
            self.assertEqual([False, False],
                             [one.is_running() and one.status() != 'zombie'
                              for one in processes])
            self.assertEqual(False, os.path.exists(self.path))
            other.stop()

    def _object(self, cluster, data=None):
        client = images.rados.Rados(conffile=str(cluster.conf),
                             rados_id=cluster.user)
        client.connect()
        try:
            with client.open_ioctx('one') as ioctx:
                if data is not None:
                    ioctx.write_full('rbd_test', data)
                return ioctx.read('rbd_test')
        finally:
            client.shutdown()

    def test_a_daemon_that_ends(self):
        """Named, with its log, and nothing is left."""
        cluster = ceph_cluster.Cluster(self.path)
        spawn = cluster._spawn
        with mock.patch.object(
                cluster, '_spawn', lambda name, command, log: spawn(
                    name, ['false'] if name == 'osd' else command, log)):
            err = self.assertRaises(cloud_exceptions.ServiceFailed,
                                    cluster.start)
        self.assertIn('osd ended while it was starting', str(err))
        self.assertEqual(False, os.path.exists(self.path))


class MissingTest(testtools.TestCase):
    def test_packages_are_named(self):
        with mock.patch.dict(os.environ, {'PATH': '/nonexistent'}), \
                mock.patch.object(programs, 'SYSTEM_PATH', '/nonexistent'):
            err = self.assertRaises(
                cloud_exceptions.MissingPackage,
                ceph_cluster.Cluster('/nonexistent/ceph').start)
        for package in ceph_packages.SOFTWARE.packages:
            self.assertIn(package, str(err))

    def test_driver_without_bindings(self):
        """It can be imported, and says what is missing."""
        driver = mock.Mock(rados=None, rbd=None)
        err = self.assertRaises(exception.InvalidBackup,
                                ceph.CephBackupDriver._pool, driver, 'x')
        self.assertIn('rados and rbd', str(err))


class OldCopyTest(CephCase):
    """The full copy of a snapshot has an image of its own name.

    As in very old releases (bug 1895035).
    """

    def setUp(self):
        super().setUp()
        self.content = {0: base.noise(100_000)}
        self.volume = self.cinder.create_volume(self.content)
        self.backup = self.copy_of_snapshot()
        old_layouts.ceph_own_name(self.cinder.backups, images.rbd,
                                  self.backup)

    def copy_of_snapshot(self):
        return self.cinder.create_backup(self.volume,
                                         snapshot_id=str(uuid.uuid4()))

    def test_round_trip(self):
        record = self.cinder.export(self.backup)
        for level in ('record', 'presence', 'content'):
            self.level(level)
            self.cinder.lose_row(self.backup.id)
            self.imports(record)
            self.assert_restores(self.backup, self.content)
        again = self.cinder.export(self.cinder.backup(self.backup.id))
        self.assertEqual(self.info(record), self.info(again))

    def test_image_missing(self):
        record = self.cinder.export(self.backup)
        self.cinder.lose_row(self.backup.id)
        with self.damaged(rbd_store.IMAGE_MISSING, self.backup) as names:
            self.refused(record, self.backup, names)
        self.imports(record)

    def test_delete(self):
        """Another snapshot's copy has the shared name now."""
        other = self.copy_of_snapshot()
        for _ in range(2):
            # Also when it is interrupted and repeated.
            self.cinder.driver().delete_backup(self.backup)
            self.assertEqual([], [
                one.key for one in self.cinder.backups.list_objects()
                if self.backup.id in one.key])
            self.assert_restores(other, self.content)
        self.restore_refused(self.backup, 'is missing')

    def test_interrupted_delete(self):
        """The image is gone, and the object with metadata goes first."""
        other = self.copy_of_snapshot()
        with mock.patch('reference_drivers.ceph.deletion.delete_from',
                        side_effect=OSError('stopped')):
            self.assertRaises(OSError, self.cinder.driver().delete_backup,
                              self.backup)
        images.rbd.RBD().remove(self.cinder.backups,
                                self.objects.image_of(self.backup))
        self.cinder.driver().delete_backup(self.backup)
        self.assert_restores(other, self.content)


class MovedImageTest(CephCase):
    """The image of a chain, copied by the program rbd."""

    as_images = True

    def rbd(self, *words):
        subprocess.run(
            ['rbd', '--conf', str(self.cluster.conf), '--id', 'admin',
             '--no-progress', *words], check=True, capture_output=True)

    def move(self, backup, *options):
        """Export an image, remove it, and import it again."""
        image = f'{self.cinder.pools[1]}/{self.objects.image_of(backup)}'
        path = os.path.join(self.cinder.directory, 'moved')
        self.rbd('export', *options, image, path)
        self.rbd('snap', 'purge', image)
        self.rbd('rm', image)
        self.rbd('import', *options, path, image)

    def test_with_its_snapshots(self):
        contents = self.contents()
        backups = self.chain(contents)
        records = [self.cinder.export(one) for one in backups]
        self.move(backups[0], '--export-format', '2')
        for backup, record, content in zip(backups, records, contents,
                                           strict=True):
            self.cinder.lose_row(backup.id)
            self.level('content')
            self.imports(record)
            self.assert_restores(backup, content)

    def test_without_them(self):
        """The newest content would be restored as any of them."""
        backups = self.chain(self.contents())
        record = self.cinder.export(backups[0])
        self.move(backups[0])
        self.cinder.lose_row(backups[0].id)
        self.refused(record, backups[0],
                     f'has no snapshot backup.{backups[0].id}')
