# SPDX-License-Identifier: Apache-2.0

"""The contract of a driver that stores as Cinder's driver for Ceph does.

It needs a cluster of its own that can be stopped, and volumes as
:mod:`reference_drivers.contract.images` makes them.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import functools
import hashlib
import json
from typing import Any
import uuid

from cinder import objects

from backup_stores import rbd
from reference_drivers import options
from reference_drivers.contract import base
from reference_drivers.contract import images
from reference_drivers.contract import records

_META = 'backup.{id}.meta'
#: Of which the reason must have the first one, and after an import the
#: second; the others are of the content.
_REASONS = {
    rbd.IMAGE_MISSING: ('{image} is missing',),
    rbd.METADATA_MISSING: (f'{_META} is missing',),
    rbd.METADATA_CHANGED: (f'{_META} has changed',),
    rbd.METADATA_CUT_OFF: (f'{_META} has changed',),
    rbd.METADATA_OF_ANOTHER: (f'{_META} has changed',),
    rbd.IMAGE_LONGER: ('and not image_size', 'more than volume'),
    rbd.SNAPSHOT_MISSING: ('no snapshot backup.{id}',),
    rbd.SNAPSHOT_TWICE: ('has 2 snapshots',),
    rbd.SNAPSHOTS_OF_ANOTHER: ('no snapshot backup.{id}',),
}


class Backups:
    """Backups in Ceph, and what can be done to them.

    A test case gives ``cinder``, an :class:`images.Environment`, ``objects``
    by :meth:`make_objects`, and ``cluster``, which can ``stop(keep=True)``,
    ``start()``, ``pause()`` and ``resume()``.
    """

    def make_objects(self: Any) -> rbd.RbdStore:
        return rbd.RbdStore(self.cinder.pools[1], lambda:
                            contextlib.nullcontext(self.cinder.backups))

    damaged = records.RecordContract.damaged

    def place(self: Any, backup: Any) -> tuple[str, str | None]:
        """Name of image and snapshot, found without the driver."""
        return (self.objects.image_of(backup),
                self.objects.snapshot_of(backup))

    def open(self: Any, name: str) -> Any:
        return images.rbd.Image(self.cinder.backups, name)

    @contextlib.contextmanager
    def pool_missing(self: Any) -> Iterator[None]:
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
    def cluster_stopped(self: Any) -> Iterator[None]:
        self.cluster.stop(keep=True)
        try:
            yield
        finally:
            self.cluster.start()

    @contextlib.contextmanager
    def cluster_hanging(self: Any) -> Iterator[None]:
        self.cluster.pause()
        try:
            yield
        finally:
            self.cluster.resume()


class CephContract(Backups, records.RecordContract):
    """The contract for backups in Ceph.

    A vendor gives ``cluster``, and whether volumes are images.
    """

    #: With ``conf``, ``user`` and the methods that :class:`Backups` needs.
    cluster: Any
    #: False: volumes are sparse files, and every backup is a full copy.
    as_images = True
    # So that three chunks are in two of the image's objects.
    chunk = images.BLOCK // 2
    block = images.BLOCK // 8
    #: The driver compresses nothing.
    compressions = ()

    def events(self: Any, backups: list[Any], other: list[Any]
               ) -> Iterator[records.Event]:
        parent, top = backups[0], backups[-1]

        def texts(of: Sequence[str]) -> list[str]:
            return [one.format(id=top.id, image=self.place(top)[0])
                    for one in of]

        for damage in self.objects.damages(top):
            first, *after = texts(_REASONS.get(
                damage, ('content of rbd:backups/{image}',)))
            yield records.Event(
                damage.name, damage.level, functools.partial(
                    self._happens, [first], functools.partial(
                        self.damaged, damage, top, other[-1])),
                after_import=after or [first])
        if self.as_images:
            yield records.Event(
                'parent: snapshot missing', 'presence', functools.partial(
                    self._happens, [f'parent {parent.id}'], functools.partial(
                        self.damaged, rbd.SNAPSHOT_MISSING, parent)),
                restore_succeeds=True)
        yield records.Event(
            'pool missing', 'presence', functools.partial(
                self._happens, ['pool backups is missing'],
                self.pool_missing))
        for name, happens in (('cluster stopped', self.cluster_stopped),
                              ('cluster hanging', self.cluster_hanging)):
            yield records.Event(
                name, 'presence', functools.partial(
                    self._happens, ['did not answer within 1 s'], happens, 1),
                silent=True)

    @contextlib.contextmanager
    def _happens(self: Any, parts: list[str], happens: Callable[
            [], contextlib.AbstractContextManager[Any]], timeout: int = 10
            ) -> Iterator[list[str]]:
        as_images = self.cinder.as_images
        self.cinder.configure(**{f'{options.GROUP}__timeout': timeout})
        with happens():
            if timeout == 1:
                # No volume in Ceph can be made or opened meanwhile.
                self.cinder.as_images = False
            try:
                yield parts
            finally:
                self.cinder.as_images = as_images

    def test_no_backup_on_a_damaged_parent(self: Any) -> None:
        """It could never be restored, and its user would not know."""
        if not self.as_images:
            self.lacks('incremental', 'full copies have no parents')
        self.needs('incremental')
        content = base.text(2 * self.chunk)
        parent, = self.chain(content)
        other, = self.chain(content[::-1])
        # Then its row has the sums to compare with.
        record = self.cinder.export(parent)
        self.cinder.lose_row(parent.id)
        self.imports(record)
        parent = self.cinder.backup(parent.id)
        volume = objects.Volume.get_by_id(self.cinder.context,
                                          parent.volume_id)
        for event in self.events([parent], [other]):
            if (event.level != 'presence' or event.silent or
                    event.restore_succeeds):
                continue
            with event.happens() as parts:
                err = self.rejected(
                    f'{event.name}: the incremental backup',
                    self.cinder.create_backup, volume, parent)
                self.assert_names(parts, str(err), event.name)
        child = self.cinder.create_backup(volume, parent)
        self.assert_restores(child, content)

    def make_environment(self: Any) -> images.Environment:
        return images.Environment(
            self.driver, {'backup_ceph_conf': str(self.cluster.conf),
                          'backup_ceph_user': self.cluster.user,
                          'backup_ceph_chunk_size': images.BLOCK,
                          **self.options},
            str(self.cluster.conf), self.cluster.user, self.as_images)

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

    def parent_of_next(self: Any, backups: list[Any]) -> Any:
        # Of files each backup is a full copy.
        return super().parent_of_next(backups) if self.as_images else None

    def field(self: Any, backup: Any, name: str) -> Any:
        value = super().field(backup, name)
        if name == 'service_metadata' and value and self.as_images:
            # An import adds the digest that the export has made.
            return json.loads(value)['base']
        return value

    def snapshot(self: Any, *backups: Any) -> dict[Any, Any]:
        """The backups' own objects; the pool has others that change.

        Time of the last change and sum of the data, of each.
        """
        ioctx = self.cinder.backups
        numbers = set()
        # All of a chain have one image.
        for image in {self.objects.image_of(one) for one in backups}:
            if image in images.rbd.RBD().list(ioctx):
                with images.rbd.Image(ioctx, image, read_only=True) as opened:
                    numbers.add(opened.id())
        names = {one.key for one in ioctx.list_objects()
                 if one.key.split('.')[1:2] in [[one] for one in numbers]}
        found = {}
        for name in names | {f'backup.{one.id}.meta' for one in backups}:
            # Of some only a snapshot's clone is left.
            with contextlib.suppress(images.rados.ObjectNotFound):
                size, when = ioctx.stat(name)
                found[name] = (when, hashlib.sha256(
                    ioctx.read(name, size)).hexdigest())
        return found

    def remains(self: Any, backup: Any) -> list[str]:
        return [one.key for one in self.cinder.backups.list_objects()
                if backup.id in one.key]

    def hostile(self: Any, backup: Any, other: Any
                ) -> list[tuple[str, dict[str, Any]]]:
        def base_of(one: Any) -> str:
            return json.dumps({'base': self.objects.image_of(one)})

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
        named = values.get('service_metadata', backup.service_metadata)
        if not {'container', 'volume_id'} & set(values) and (
                named is None or
                f'"{self.objects.image_of(backup)}"' in named):
            return
        meta = (f'backup.{backup.id}.meta',)
        data = self.objects.state(rbd.OBJECT, meta)
        before = self.snapshot(backup)
        self.cinder.delete(backup.id)
        self.objects.change(rbd.OBJECT, meta, data)
        self.assertEqual(
            {name: one[1] for name, one in before.items()},
            {name: one[1] for name, one in self.snapshot(backup).items()})
