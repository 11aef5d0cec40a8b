# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""The reference driver for Ceph, on a real cluster."""

import contextlib
import json
import os
import sys
import tempfile
import time
from unittest import mock
import uuid

from cinder import exception
from cinder import objects
from cinder.objects import fields
import fixtures
from oslo_serialization import base64
import testtools

from local_cloud import ceph as local_ceph
from local_cloud import exceptions as cloud_exceptions

_MISSING = local_ceph.missing()
if not _MISSING:
    # Once they are imported, nobody looks for their files any more.
    with tempfile.TemporaryDirectory() as _directory:
        try:
            sys.path.insert(0, local_ceph.link_bindings(_directory))
            import rados
            import rbd
        except cloud_exceptions.MissingPackage as err:
            _MISSING = str(err)
        finally:
            if sys.path[0] == _directory:
                del sys.path[0]

from cinder.backup.drivers import ceph as cinder_ceph  # noqa: E402
from os_brick.initiator import linuxrbd  # noqa: E402

from reference_drivers import ceph  # noqa: E402
from reference_drivers import options  # noqa: E402
from reference_drivers.ceph import restoring  # noqa: E402
from reference_drivers.contract import base  # noqa: E402
from reference_drivers.contract import environment  # noqa: E402

GIB = 1 << 30
BLOCK = 4 << 20
#: A file's zeros are copied, and a device ends where it ends.
FILE = 10 * BLOCK


def need_ceph():
    """Skip where Ceph is not installed, unless it has to be."""
    if _MISSING:
        if os.environ.get('CBRT_REQUIRE_CEPH') == '1':
            raise AssertionError(_MISSING)
        raise testtools.TestCase.skipException(_MISSING)
    # Another test may have imported these before there were bindings.
    for module in (linuxrbd, cinder_ceph):
        module.rados, module.rbd = rados, rbd


def blocks(content):
    """The blocks of a volume that are not zero."""
    found = {}
    for offset, data in content.items():
        for number in range(offset // BLOCK,
                            -(-(offset + len(data)) // BLOCK)):
            start = number * BLOCK
            block = found.setdefault(start, bytearray(BLOCK))
            low, high = max(start, offset), min(start + BLOCK,
                                                offset + len(data))
            block[low - start:high - start] = data[low - offset:
                                                   high - offset]
    return {start: bytes(block) for start, block in found.items()
            if block.count(0) != BLOCK}


class Environment(environment.Environment):
    """Volumes of one GiB, as sparse files or as RBD images."""

    cluster = None
    as_images = False

    def _setUp(self):
        super()._setUp()
        self.client = rados.Rados(conffile=str(self.cluster.conf),
                                  name='client.admin')
        self.client.connect()
        self.addCleanup(self.client.shutdown)
        self.volumes = self.client.open_ioctx('volumes')
        self.backups = self.client.open_ioctx('backups')
        self.addCleanup(self.volumes.close)
        self.addCleanup(self.backups.close)

    def image(self, volume_id):
        return rbd.Image(self.volumes, f'volume-{volume_id}')

    def in_tree(self):
        """Let Cinder's own driver do what follows."""
        self.manager.service = cinder_ceph.CephBackupDriver

    def write_volume(self, volume_id, content):
        if not self.as_images:
            with open(self.path(volume_id), 'ab'):
                pass
            with open(self.path(volume_id), 'r+b') as stream:
                stream.truncate(FILE)
                for offset, data in (content or {}).items():
                    stream.seek(offset)
                    stream.write(data)
            return
        with contextlib.suppress(rbd.ImageExists):
            rbd.RBD().create(self.volumes, f'volume-{volume_id}', GIB)
        with self.image(volume_id) as image:
            for offset, data in (content or {}).items():
                image.write(data, offset)

    def read_volume(self, volume_id):
        found = {}
        with (self.image(volume_id) if self.as_images else
              open(self.path(volume_id), 'rb')) as source:
            for start in range(0, GIB, BLOCK):
                if self.as_images:
                    data = source.read(start, BLOCK)
                else:
                    source.seek(start)
                    data = source.read(BLOCK)
                if data.count(0) != len(data):
                    found[start] = data.ljust(BLOCK, b'\0')
        return found

    def device(self, volume_id):
        if not self.as_images:
            return open(self.path(volume_id), 'rb')
        # As os-brick's connector does it.
        client = linuxrbd.RBDClient(self.cluster.user, 'volumes',
                                    conffile=str(self.cluster.conf),
                                    rados=rados, rbd=rbd)
        volume = linuxrbd.RBDVolume(client, f'volume-{volume_id}')
        return linuxrbd.RBDVolumeIOWrapper(linuxrbd.RBDImageMetadata(
            volume, 'volumes', self.cluster.user, str(self.cluster.conf)))

    @contextlib.contextmanager
    def _attached(self):
        opened = []

        def attach(context, volume, properties, **kwargs):
            if not self.as_images:
                return {'device': {'path': self.path(volume.id)},
                        'conn': {}}
            opened.append(self.device(volume.id))
            return {'device': {'path': opened[-1]}, 'conn': {}}

        with mock.patch.object(self.manager, '_attach_device', attach):
            try:
                yield
            finally:
                for device in opened:
                    device.close()

    def restore(self, backup_id, volume=None):
        with self._attached():
            return super().restore(backup_id, volume)

    def create_backup(self, volume, parent=None, snapshot_id=None,
                      **values):
        backup = objects.Backup(
            self.context, volume_id=volume.id, size=volume.size,
            user_id=self.context.user_id, project_id=self.project_id,
            host='contract-host', service=self.driver_name,
            availability_zone='nova', snapshot_id=snapshot_id,
            parent_id=parent.id if parent else None,
            status=fields.BackupStatus.CREATING, display_name='ceph')
        backup.create()
        with self.device(volume.id) as device:
            try:
                updates = self.driver().backup(backup, device)
            except Exception:
                backup.status = fields.BackupStatus.ERROR
                backup.save()
                raise
        backup.update({**updates, 'status': fields.BackupStatus.AVAILABLE})
        backup.save()
        return self.backup(backup.id)


class CephCase(testtools.TestCase):
    as_images = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if _MISSING:
            return
        cls._directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls._directory.cleanup)
        cls.cluster = local_ceph.Cluster(
            os.path.join(cls._directory.name, 'ceph'))
        cls.cluster.start()
        cls.addClassCleanup(cls.cluster.stop)

    def setUp(self):
        super().setUp()
        need_ceph()
        self.cinder = Environment('reference_drivers.ceph.CephBackupDriver')
        self.cinder.cluster = self.cluster
        self.cinder.as_images = self.as_images
        self.cinder.options = {
            'backup_ceph_conf': str(self.cluster.conf),
            'backup_ceph_user': self.cluster.user,
            'backup_ceph_chunk_size': BLOCK,
            f'{options.GROUP}__timeout': 2}
        self.useFixture(self.cinder)

    # Backups

    def contents(self):
        """What a volume has at each of its backups."""
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

    def edited(self, record, driver_info=..., **values):
        fields_ = json.loads(base64.decode_as_text(record['backup_url']))
        if driver_info is None:
            del fields_['driver_info']
        elif driver_info is not ...:
            fields_['driver_info'].update(driver_info)
        fields_.update(values)
        return {**record, 'backup_url': base64.encode_as_text(
            json.dumps(fields_))}

    @contextlib.contextmanager
    def logged(self):
        with fixtures.FakeLogger('reference_drivers') as log:
            yield log

    def level(self, level):
        self.cinder.configure(**{f'{options.GROUP}__level': level})

    def imports(self, record, name=''):
        self.assertEqual('available',
                         self.cinder.import_record(record).status, name)

    def refused(self, record, backup, part, name=''):
        err = self.assertRaises(exception.InvalidBackup,
                                self.cinder.import_record, record)
        row = self.cinder.backup(backup.id)
        self.assertEqual('error', row.status, name)
        self.assertIn(part, row.fail_reason, name)
        self.assertIn(row.fail_reason, str(err))
        self.cinder.lose_row(backup.id)

    def restore_refused(self, backup, part, name):
        """Damaged after its import, to a new volume and an old one."""
        if name == 'parent_missing':
            # A snapshot has all that a restore needs.
            return
        # No volume in Ceph can be made or opened while it does not answer.
        with mock.patch.object(self.cinder, 'as_images', self.as_images and
                               not name.startswith('cluster')):
            # Zeros of a gibibyte take their time in a file.
            old = ([self.cinder.create_volume({0: b'old'})]
                   if self.as_images else [])
            for volume in (None, *old):
                start = time.monotonic()
                err = self.assertRaises(exception.InvalidBackup,
                                        self.cinder.restore, backup.id,
                                        volume)
                self.assertIn('more than volume' if name == 'image_resized'
                              else part, str(err), name)
                self.assertLess(time.monotonic() - start, 6, name)

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
            with contextlib.suppress(rados.ObjectNotFound):
                found.add((one.key, *self.cinder.backups.stat(one.key)))
        return found

    # Damage

    def place(self, backup):
        """Name of image and snapshot, found without the driver."""
        for image in (json.loads(backup.service_metadata or '{}').get(
                'base'), f'volume-{backup.volume_id}.backup.{backup.id}'):
            if image:
                with self.open(image) as opened:
                    snaps = [one['name'] for one in opened.list_snaps()
                             if backup.id in one['name']]
                return image, snaps[0] if snaps else None

    def open(self, name):
        return rbd.Image(self.cinder.backups, name)

    @contextlib.contextmanager
    def image_missing(self, backup, _):
        image, _ = self.place(backup)
        rbd.RBD().rename(self.cinder.backups, image, 'elsewhere')
        yield
        rbd.RBD().rename(self.cinder.backups, 'elsewhere', image)

    @contextlib.contextmanager
    def image_resized(self, backup, _):
        image, _ = self.place(backup)
        with self.open(image) as opened:
            opened.resize(GIB + BLOCK)
        yield
        with self.open(image) as opened:
            opened.resize(GIB)

    @contextlib.contextmanager
    def snapshot_missing(self, backup, _):
        image, snapshot = self.place(backup)
        with self.open(image) as opened:
            opened.rename_snap(snapshot, 'elsewhere')
        yield
        with self.open(image) as opened:
            opened.rename_snap('elsewhere', snapshot)

    def parent_missing(self, backup, parent):
        return self.snapshot_missing(parent, backup)

    @contextlib.contextmanager
    def snapshot_twice(self, backup, _):
        image, snapshot = self.place(backup)
        with self.open(image) as opened:
            opened.create_snap(snapshot + '1')
        yield
        with self.open(image) as opened:
            opened.remove_snap(snapshot + '1')

    @contextlib.contextmanager
    def pool_missing(self, backup, _):
        def rename(old, new):
            code, _, text = self.cinder.client.mon_command(json.dumps({
                'prefix': 'osd pool rename', 'srcpool': old,
                'destpool': new}), b'')
            self.assertEqual(0, code, text)
            self.cinder.client.wait_for_latest_osdmap()

        rename('backups', 'elsewhere')
        yield
        rename('elsewhere', 'backups')

    @contextlib.contextmanager
    def _object(self, name, change):
        ioctx = self.cinder.backups
        size, _ = ioctx.stat(name)
        data = ioctx.read(name, size)
        new = change(data)
        if new is None:
            ioctx.remove_object(name)
        else:
            ioctx.write_full(name, new)
        yield
        ioctx.write_full(name, data)

    def _data(self, backup):
        image, _ = self.place(backup)
        with self.open(image) as opened:
            prefix = opened.stat()['block_name_prefix']
        return f'{prefix}.{5:016x}'

    def data_missing(self, backup, _):
        return self._object(self._data(backup), lambda data: None)

    def byte_changed(self, backup, _):
        return self._object(self._data(backup), lambda data: data[:1000] +
                            bytes([data[1000] ^ 1]) + data[1001:])

    def meta_missing(self, backup, _):
        return self._object(f'backup.{backup.id}.meta', lambda data: None)

    def meta_changed(self, backup, _):
        return self._object(f'backup.{backup.id}.meta',
                            lambda data: data.replace(b'1', b'2'))

    @contextlib.contextmanager
    def cluster_stopped(self, backup, _):
        self.cluster.stop(keep=True)
        yield
        self.cluster.start()

    @contextlib.contextmanager
    def cluster_hanging(self, backup, _):
        self.cluster.pause()
        yield
        self.cluster.resume()

    common = {
        'image_missing': ('presence', '{image} is missing'),
        'pool_missing': ('presence', 'pool backups is missing'),
        'meta_missing': ('presence', 'backup.{id}.meta is missing'),
        'meta_changed': ('presence', 'backup.{id}.meta is not what'),
        'data_missing': ('content', 'content of rbd:backups/{image}'),
        'byte_changed': ('content', 'content of rbd:backups/{image}'),
        'cluster_stopped': ('presence', 'did not answer within 2 s'),
        'cluster_hanging': ('presence', 'did not answer within 2 s'),
    }

    def each_damage(self, damages, backup, parent, content):
        record = self.cinder.export(backup)
        for name, (lowest, text) in damages.items():
            self.cinder.lose_row(backup.id)
            part = text.format(
                id=backup.id, image=self.place(backup)[0],
                parent=parent and parent.id)
            with getattr(self, name)(backup, parent):
                for level in ('record', 'presence', 'content'):
                    self.level(level)
                    start = time.monotonic()
                    if level == 'record' or (level, lowest) == (
                            'presence', 'content'):
                        self.imports(record, name)
                        self.cinder.lose_row(backup.id)
                    else:
                        self.refused(record, backup, part, name)
                    self.assertLess(time.monotonic() - start, 6, name)
                self.level('record')
                self.imports(record, name)
                self.restore_refused(backup, part, name)
                self.cinder.lose_row(backup.id)
            self.imports(record, name)
        self.assert_restores(backup, content)


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

    def test_every_damage(self):
        """Each is found at its level; undone, the backup is good again."""
        contents = self.contents()[:2]
        parent, backup = self.chain(contents)
        self.each_damage({
            **self.common,
            'snapshot_missing': ('presence', 'no snapshot backup.{id}'),
            'snapshot_twice': ('presence', 'has 2 snapshots'),
            'parent_missing': ('presence', 'parent {parent}'),
        }, backup, parent, contents[1])

    def test_restore_never_takes_the_newest_data_instead(self):
        """Cinder's driver does, and calls it a success."""
        full, _ = self.chain(self.contents()[:2])
        image, snapshot = self.place(full)
        with self.open(image) as opened:
            opened.remove_snap(snapshot)
        err = self.assertRaises(exception.InvalidBackup,
                                self.cinder.restore, full.id)
        self.assertIn(f'no snapshot backup.{full.id}', str(err))
        # Its row can go all the same, and takes nobody's data with it.
        before = self.everything()
        self.cinder.delete(full.id)
        self.assertIn(image, rbd.RBD().list(self.cinder.backups))
        self.assertEqual({f'backup.{full.id}.meta'},
                         {one[0] for one in before} -
                         {one[0] for one in self.everything()})

    def test_delete_in_any_order(self):
        """The image goes with the last snapshot in it."""
        contents = self.contents()
        backups = self.chain(contents)
        image, _ = self.place(backups[0])
        self.cinder.delete(backups[2].id)
        self.assert_restores(backups[1], contents[1])
        self.cinder.delete(backups[0].id)
        self.assert_restores(backups[1], contents[1])
        self.cinder.delete(backups[1].id)
        self.assertNotIn(image, rbd.RBD().list(self.cinder.backups))
        for backup in backups:
            self.assertRaises(rados.ObjectNotFound, self.cinder.backups.stat,
                              f'backup.{backup.id}.meta')

    def test_rows_that_name_what_is_not_theirs(self):
        """Refused on import; forced, restore and delete do not obey."""
        contents = self.contents()
        # The newest data in its image is not its own.
        backup, _ = self.chain(contents[:2])
        other, = self.chain(contents[:1])
        record = self.cinder.export(backup)
        everything = self.everything()
        for part, values in (
                ('image', {'service_metadata': other.service_metadata}),
                ('image', {'service_metadata': other.service_metadata,
                           'volume_id': other.volume_id}),
                ('service_metadata', {'service_metadata': '[]'}),
                ('', {'service_metadata': None}),
                ('', {'container': 'volumes'}),
                ('', {'container': 'no-such-pool'})):
            for level in ('record', 'presence', 'content'):
                self.level(level)
                self.cinder.lose_row(backup.id)
                self.refused(self.edited(record, **values), backup,
                             'the record says' if part in ('', 'image') and
                             len(values) > 1 else part)
            self.imports(record)
            row = self.cinder.backup(backup.id)
            row.update(values)
            row.save()
            if values == {'service_metadata': None}:
                self.assert_restores(backup, contents[0])
            else:
                self.assertRaises(exception.InvalidBackup,
                                  self.cinder.restore, backup.id)
            if values.get('service_metadata'):
                meta = f'backup.{backup.id}.meta'
                data = self.cinder.backups.read(meta)
                self.cinder.delete(backup.id)
                self.cinder.backups.write_full(meta, data)
                self.assertEqual({one[0] for one in everything},
                                 {one[0] for one in self.everything()})
            self.cinder.lose_row(backup.id)
            self.imports(record)
        self.assert_restores(backup, contents[0])

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

    def test_record_without_driver_info(self):
        """By one option: refused, or looked for by its fields."""
        backup, = self.chain(self.contents()[:1])
        record = self.edited(self.cinder.export(backup), None)
        self.cinder.lose_row(backup.id)
        self.refused(record, backup, 'without_driver_info')
        self.cinder.configure(
            **{f'{options.GROUP}__without_driver_info': 'accept'})
        with self.snapshot_missing(backup, None):
            self.refused(record, backup, f'no snapshot backup.{backup.id}')
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

    def test_every_damage(self):
        """As for images, and the size of the image."""
        content = self.contents()[1]
        backup, = self.chain([content])
        kept = json.loads(backup.service_metadata)
        self.assertEqual(self.place(backup)[0], kept['base'])
        self.assertLessEqual(len(backup.service_metadata), 255)
        self.each_damage({
            **self.common,
            'image_resized': ('presence', 'and not image_size'),
        }, backup, None, content)

    def test_backups_of_snapshots(self):
        """Two share the name of one image; the second one fails."""
        content = self.contents()[0]
        volume = self.cinder.create_volume(content)
        backup = self.cinder.create_backup(volume,
                                           snapshot_id=str(uuid.uuid4()))
        self.assertRaises(rbd.ImageExists, self.cinder.create_backup, volume,
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
        with self.meta_missing(backup, None):
            self.refused(record, backup, f'backup.{backup.id}.meta')
        self.imports(record)
        self.cinder.delete(backup.id)
        self.assertNotIn(f'volume-{volume.id}.backup.base',
                         rbd.RBD().list(self.cinder.backups))

    def test_restore_never_takes_another_backup_instead(self):
        """Cinder's driver falls back to the backup of a snapshot."""
        volume = self.cinder.create_volume(self.contents()[0])
        shared = self.cinder.create_backup(volume,
                                           snapshot_id=str(uuid.uuid4()))
        backup = self.cinder.create_backup(volume)
        image, _ = self.place(backup)
        rbd.RBD().remove(self.cinder.backups, image)
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
            opened.discard(5 * BLOCK, BLOCK)
        self.cinder.lose_row(backup.id)
        self.level('content')
        self.imports(record)


class DigestTest(CephCase):
    """What the digest in the row is good for."""

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
        with self.byte_changed(backup, None):
            record = self.cinder.export(backup)
            self.restore_refused(backup, 'content of rbd:', 'byte_changed')
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
        before = rbd.RBD().list(self.cinder.backups)
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
        self.assertEqual(before, rbd.RBD().list(self.cinder.backups))
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
        self.assertEqual(before, rbd.RBD().list(self.cinder.backups))

    def test_wrong_bytes_are_restored_only_when_asked_for(self):
        """verify_on_restore is what compares."""
        backup, = self.chain(self.contents()[:1])
        record = self.cinder.export(backup)
        self.cinder.lose_row(backup.id)
        self.imports(record)
        with self.byte_changed(backup, None), \
                self.meta_missing(backup, None):
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
                with self.byte_changed(backup, None):
                    try:
                        self.imports(record)
                    except exception.InvalidBackup:
                        found += 1
                self.cinder.lose_row(backup.id)
                self.imports(record)
                self.cinder.lose_row(backup.id)
            # Beyond eight some read the same.
            self.assertEqual(1, found, parts)

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


class OldRecordsTest(CephCase):
    """Records of every version that was ever exported.

    ``ceph_records_v1.json`` has the records of the first release and how
    the images looked then: of a chain of two, of a full copy and of a copy
    of a snapshot. It is never made again.
    """

    def rebuild(self, images, objects_):
        content = {}
        for name, steps in images.items():
            rbd.RBD().create(self.cinder.backups, name, GIB)
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
        need_ceph()
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = os.path.join(directory.name, 'ceph')

    def test_start_again(self):
        """What it has outlives a stop; a last stop leaves nothing."""
        for store in ('memstore', 'bluestore'):
            cluster = local_ceph.Cluster(self.path, ['one'], store)
            self.addCleanup(cluster.stop)
            cluster.start()
            self._object(cluster, b'kept')
            cluster.stop(keep=True)
            # Another program, with nothing but the directory.
            other = local_ceph.Cluster(self.path, ['one'], store)
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
        client = rados.Rados(conffile=str(cluster.conf),
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
        cluster = local_ceph.Cluster(self.path)
        spawn = cluster._spawn
        with mock.patch.object(cluster, '_spawn', lambda name, command: spawn(
                name, ['false'] if name == 'osd' else command)):
            err = self.assertRaises(cloud_exceptions.ServiceFailed,
                                    cluster.start)
        self.assertIn('osd ended while it was starting', str(err))
        self.assertEqual(False, os.path.exists(self.path))


class MissingTest(testtools.TestCase):
    def test_packages_are_named(self):
        with mock.patch.dict(os.environ, {'PATH': '/nonexistent'}):
            err = self.assertRaises(
                cloud_exceptions.MissingPackage,
                local_ceph.Cluster('/nonexistent/ceph').start)
        for package in local_ceph.PACKAGES:
            self.assertIn(package, str(err))

    def test_driver_without_bindings(self):
        """It can be imported, and says what is missing."""
        driver = mock.Mock(rados=None, rbd=None)
        err = self.assertRaises(exception.InvalidBackup,
                                ceph.CephBackupDriver._pool, driver, 'x')
        self.assertIn('rados and rbd', str(err))
