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

"""The contract of a driver that stores as Cinder's driver for Ceph does.

It needs a cluster of its own that can be stopped, and volumes as
:mod:`reference_drivers.contract.images` makes them.
"""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import json
from typing import Any
import uuid

from reference_drivers import options
from reference_drivers.contract import base
from reference_drivers.contract import images
from reference_drivers.contract import records

Context = contextlib.AbstractContextManager[None]


class Damages:
    """What can be done to a backup in Ceph; each is undone afterwards.

    A test case gives ``cinder``, an :class:`images.Environment`, and
    ``cluster``, which can ``stop(keep=True)``, ``start()``, ``pause()`` and
    ``resume()``.
    """

    def place(self: Any, backup: Any) -> tuple[str, str | None]:
        """Name of image and snapshot, found without the driver."""
        kept = json.loads(backup.service_metadata or '{}')
        image = kept.get('base') or (
            f'volume-{backup.volume_id}.backup.' +
            ('base' if backup.snapshot_id else backup.id))
        # Read only: anything else leaves a trace on the image.
        with images.rbd.Image(self.cinder.backups, image,
                              read_only=True) as opened:
            found = [one['name'] for one in opened.list_snaps()
                     if backup.id in one['name']]
        return image, found[0] if found else None

    def open(self: Any, name: str) -> Any:
        return images.rbd.Image(self.cinder.backups, name)

    @contextlib.contextmanager
    def image_missing(self: Any, backup: Any, _: Any) -> Iterator[None]:
        image, _ = self.place(backup)
        images.rbd.RBD().rename(self.cinder.backups, image, 'elsewhere')
        try:
            yield
        finally:
            images.rbd.RBD().rename(self.cinder.backups, 'elsewhere', image)

    @contextlib.contextmanager
    def image_resized(self: Any, backup: Any, _: Any) -> Iterator[None]:
        image, _ = self.place(backup)
        with self.open(image) as opened:
            opened.resize(images.GIB + images.BLOCK)
        try:
            yield
        finally:
            with self.open(image) as opened:
                opened.resize(images.GIB)

    @contextlib.contextmanager
    def snapshot_missing(self: Any, backup: Any, _: Any) -> Iterator[None]:
        image, snapshot = self.place(backup)
        with self.open(image) as opened:
            opened.rename_snap(snapshot, 'elsewhere')
        try:
            yield
        finally:
            with self.open(image) as opened:
                opened.rename_snap('elsewhere', snapshot)

    def parent_missing(self: Any, backup: Any, parent: Any) -> Context:
        return self.snapshot_missing(parent, backup)

    @contextlib.contextmanager
    def snapshot_twice(self: Any, backup: Any, _: Any) -> Iterator[None]:
        image, snapshot = self.place(backup)
        with self.open(image) as opened:
            opened.create_snap(snapshot + '1')
        try:
            yield
        finally:
            with self.open(image) as opened:
                opened.remove_snap(snapshot + '1')

    @contextlib.contextmanager
    def pool_missing(self: Any, backup: Any, _: Any) -> Iterator[None]:
        def rename(old: str, new: str) -> None:
            code, _, text = self.cinder.client.mon_command(json.dumps({
                'prefix': 'osd pool rename', 'srcpool': old,
                'destpool': new}), b'')
            self.assertEqual(0, code, text)
            self.cinder.client.wait_for_latest_osdmap()

        pool = self.cinder.pools[1]
        rename(pool, 'elsewhere')
        try:
            yield
        finally:
            rename('elsewhere', pool)

    @contextlib.contextmanager
    def _object(self: Any, name: str, change: Callable[[bytes], Any]
                ) -> Iterator[None]:
        ioctx = self.cinder.backups
        size, _ = ioctx.stat(name)
        data = ioctx.read(name, size)
        new = change(data)
        if new is None:
            ioctx.remove_object(name)
        else:
            ioctx.write_full(name, new)
        try:
            yield
        finally:
            ioctx.write_full(name, data)

    def _data(self: Any, backup: Any, number: int = 0) -> str:
        image, _ = self.place(backup)
        with self.open(image) as opened:
            prefix = opened.stat()['block_name_prefix']
        return f'{prefix}.{number:016x}'

    def data_missing(self: Any, backup: Any, _: Any) -> Context:
        return self._object(self._data(backup), lambda data: None)

    def byte_changed(self: Any, backup: Any, _: Any) -> Context:
        return self._object(self._data(backup), lambda data: data[:1000] +
                            bytes([data[1000] ^ 1]) + data[1001:])

    def meta_missing(self: Any, backup: Any, _: Any) -> Context:
        return self._object(f'backup.{backup.id}.meta', lambda data: None)

    def meta_changed(self: Any, backup: Any, _: Any) -> Context:
        return self._object(f'backup.{backup.id}.meta',
                            lambda data: data.replace(b'1', b'2'))

    @contextlib.contextmanager
    def cluster_stopped(self: Any, backup: Any, _: Any) -> Iterator[None]:
        self.cluster.stop(keep=True)
        try:
            yield
        finally:
            self.cluster.start()

    @contextlib.contextmanager
    def cluster_hanging(self: Any, backup: Any, _: Any) -> Iterator[None]:
        self.cluster.pause()
        try:
            yield
        finally:
            self.cluster.resume()

    @contextlib.contextmanager
    def blocks_swapped(self: Any, backup: Any, _: Any) -> Iterator[None]:
        names = [self._data(backup, number) for number in (0, 1)]
        ioctx = self.cinder.backups
        first, second = (ioctx.read(one, images.BLOCK) for one in names)
        with (self._object(names[0], lambda data: second),
              self._object(names[1], lambda data: first)):
            yield

    @contextlib.contextmanager
    def image_of_another(self: Any, backup: Any, _: Any) -> Iterator[None]:
        other, = self.chain(base.noise(images.BLOCK, 77))
        image, _ = self.place(backup)
        theirs, _ = self.place(other)
        with self.image_missing(backup, None):
            images.rbd.RBD().rename(self.cinder.backups, theirs, image)
            try:
                yield
            finally:
                images.rbd.RBD().rename(self.cinder.backups, image, theirs)


class CephContract(Damages, records.RecordContract):
    """What must hold for backups in Ceph.

    A vendor gives ``cluster``, and says whether volumes are images.
    """

    #: With ``conf``, ``user`` and what :class:`Damages` needs.
    cluster: Any
    #: False: volumes are sparse files, and every backup is a full copy.
    as_images = True
    # So that three chunks are in two of the image's objects.
    chunk = images.BLOCK // 2
    block = images.BLOCK // 8
    #: The driver compresses nothing.
    compressions = ()
    silent = ('cluster_stopped', 'cluster_hanging')

    damages = {
        'image_missing': ('presence', '{image} is missing'),
        'pool_missing': ('presence', 'pool backups is missing'),
        'meta_missing': ('presence', 'backup.{id}.meta is missing'),
        'meta_changed': ('presence', 'backup.{id}.meta is not what'),
        'image_resized': ('presence', 'and not image_size'),
        'data_missing': ('content', 'content of rbd:backups/{image}'),
        'byte_changed': ('content', 'content of rbd:backups/{image}'),
        'blocks_swapped': ('content', 'content of rbd:backups/{image}'),
        'cluster_stopped': ('presence', 'did not answer within 1 s'),
        'cluster_hanging': ('presence', 'did not answer within 1 s'),
    }
    after_import = {'image_resized': 'more than volume'}
    harmless = ('parent_missing',)

    def setUp(self: Any) -> None:
        of_snapshots = {
            'snapshot_missing': ('presence', 'no snapshot backup.{id}'),
            'snapshot_twice': ('presence', 'has 2 snapshots'),
            'parent_missing': ('presence', 'parent {parent}'),
            'image_of_another': ('presence', 'no snapshot backup.{id}'),
        }
        if self.as_images:
            # The image is larger, its snapshot is not.
            self.damages = {**self.damages, **of_snapshots}
            del self.damages['image_resized']
        else:
            self.damages = {**self.damages, 'image_of_another': (
                'content', 'content of rbd:backups/{image}')}
        super().setUp()

    def make_environment(self: Any) -> images.Environment:
        return images.Environment(
            self.driver, {'backup_ceph_conf': str(self.cluster.conf),
                          'backup_ceph_user': self.cluster.user,
                          'backup_ceph_chunk_size': images.BLOCK,
                          **self.options},
            str(self.cluster.conf), self.cluster.user, self.as_images)

    def make_objects(self: Any) -> images.RadosStore:
        return images.RadosStore(self.cinder.client)

    def chain(self: Any, *contents: bytes, **values: Any) -> list[Any]:
        if self.as_images and 'snapshot_id' not in values:
            return super().chain(*contents, **values)
        volume = self.cinder.create_volume()
        if self.as_images:
            # A copy has all its zeros, and a GiB of them takes long.
            with self.cinder.image(volume.id) as image:
                image.resize(images.SMALL)
        backups = []
        for content in contents:
            self.cinder.write_volume(volume.id, content)
            backups.append(self.cinder.create_backup(volume, **values))
        return backups

    def field(self: Any, backup: Any, name: str) -> Any:
        value = super().field(backup, name)
        if name == 'service_metadata' and value and self.as_images:
            # An import adds the digest that the export has made.
            return json.loads(value)['base']
        return value

    def named(self: Any, backup: Any) -> str:
        return self.place(backup)[0]

    def snapshot(self: Any, *backups: Any) -> dict[tuple[str, str], Any]:
        """The backups' own objects; the pool has others that change."""
        pool = self.cinder.pools[1]
        # All of a chain have one image.
        names = {name for image in {self.named(one) for one in backups}
                 for name in self.objects.of_image(pool, image)}
        names |= {f'backup.{one.id}.meta' for one in backups}
        return {(pool, name): content for name, content in
                self.objects.contents(pool, names).items()}

    def remains(self: Any, backup: Any) -> list[str]:
        pool = self.cinder.pools[1]
        return [one for one in self.objects.list(pool) if backup.id in one]

    def damaged(self: Any, name: str, backup: Any, parent: Any) -> Context:
        if name in self.silent:
            self.cinder.configure(**{f'{options.GROUP}__timeout': 1})
        else:
            self.cinder.configure(**{f'{options.GROUP}__timeout': 10})
        return getattr(self, name)(backup, parent)

    def restore_damaged(self: Any, name: str, backup: Any, part: str,
                        content: bytes) -> None:
        as_images = self.cinder.as_images
        # No volume in Ceph can be made or opened while it does not answer.
        self.cinder.as_images = as_images and name not in self.silent
        try:
            super().restore_damaged(name, backup, part, content)
        finally:
            self.cinder.as_images = as_images

    def hostile(self: Any, backup: Any, other: Any
                ) -> list[tuple[str, dict[str, Any]]]:
        def base_of(one: Any) -> str:
            return json.dumps({'base': self.named(one)})

        unknown = str(uuid.uuid4())
        own = json.loads(backup.service_metadata)
        return [
            ('image', {'service_metadata': base_of(other)}),
            ('the record says', {'service_metadata': base_of(other),
                                 'volume_id': other.volume_id}),
            ('service_metadata', {'service_metadata': '[]'}),
            ('service_metadata', {'service_metadata': ''}),
            ('image', {'service_metadata': json.dumps({'base': ''})}),
            ('image', {'service_metadata': json.dumps(
                {**own, 'base': '../' + own['base']})}),
            ('the record says', {'service_metadata': json.dumps(
                {'base': own['base'], 'copy': self.as_images})}),
            ('image', {'volume_id': unknown}),
            ('the record says', {'container': self.cinder.pools[0]}),
            ('the record says', {'container': 'no-such-pool'}),
            ('container', {'container': ''}),
            ('container', {'container': None}),
            ('its own parent', {'parent_id': backup.id}),
            ('parent_id', {'parent_id': unknown}),
            ('size', {'size': 2}),
            ('size', {'size': 0}),
        ]

    def delete_and_put_back(self: Any, backup: Any, values: dict[str, Any]
                            ) -> None:
        # Only where it must not find anything but its metadata.
        if not {'container', 'volume_id'} & set(values) and (
                f'"{self.named(backup)}"' in
                values.get('service_metadata', backup.service_metadata)):
            return
        meta = f'backup.{backup.id}.meta'
        pool = self.cinder.pools[1]
        data = self.objects.read(pool, meta)
        before = self.snapshot(backup)
        self.cinder.delete(backup.id)
        self.objects.write(pool, meta, data)
        self.assertEqual(
            {name: one[1] for name, one in before.items()},
            {name: one[1] for name, one in self.snapshot(backup).items()})
