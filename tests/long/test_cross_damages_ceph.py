# SPDX-License-Identifier: Apache-2.0

"""The drivers for Ceph, Cinder's and ours, on damages and old layouts."""

import uuid

from cinder.backup.drivers import ceph as cinder_ceph

from backup_stores import base as stores_base
from reference_drivers import ceph
from reference_drivers.contract import base
from reference_drivers.contract import ceph as ceph_contract
from reference_drivers.contract import images
from tests import old_layouts
from tests.cross_drivers import damages
from tests.functional import ceph_cases
from tests.functional import test_contract_ceph
from tests.long import test_contract_ceph_old as old


def _as_today(ioctx, backups):
    pass


def _shared_base(ioctx, backups):
    old_layouts.ceph_shared_base(ioctx, images.rbd, backups)


def _own_name(ioctx, backups):
    for backup in backups:
        old_layouts.ceph_own_name(ioctx, images.rbd, backup)


def _of_havana(ioctx, backups):
    _shared_base(ioctx, backups)
    old_layouts.ceph_without_metadata(ioctx, backups)


class Layouts(damages.Answers, old.OldBackups, ceph_contract.Backups,
              base.Contract):
    """Compares the drivers on some layouts.

    Cinder's driver makes the backups. Each is compared with the row that
    Cinder's driver has left, and with the one that an import makes of the
    reference driver's record, which has a digest.

    :cvar layouts: of each, what it is a backup of and what is changed after
    :cvar length: how many backups are in a chain
    """

    in_tree = cinder_ceph.CephBackupDriver
    reference = ceph.CephBackupDriver
    differences = damages.CEPH
    driver = test_contract_ceph.Ceph.driver
    options = test_contract_ceph.Ceph.options
    chunk = test_contract_ceph.Ceph.chunk
    block = test_contract_ceph.Ceph.block
    as_images = True
    make_environment = test_contract_ceph.Ceph.make_environment

    def made(self, source, change, contents):
        self.cinder.manager.service = self.in_tree
        self.cinder.as_images = source != 'file'
        volume = self.cinder.create_volume()
        if self.cinder.as_images:
            # Cinder's driver copies all zeros, and a GiB takes long.
            with self.cinder.image(volume.id) as image:
                image.resize(images.SMALL)
        made = []
        for content in contents:
            if made:
                # The rest stays in the objects that both backups have.
                with self.cinder.image(volume.id) as image:
                    image.write(content[:images.BLOCK], 0)
            else:
                self.cinder.write_volume(volume.id, content)
            made.append(self.cinder.create_backup(
                volume, made[-1] if made else None,
                str(uuid.uuid4()) if source == 'snapshot' else None))
        change(self.cinder.backups, made)
        return [self.cinder.backup(one.id) for one in made]

    def imported(self, backups):
        self.cinder.manager.service = self.reference
        records = [self.cinder.export(one) for one in backups]
        for one in backups:
            self.cinder.lose_row(one.id)
        return [self.cinder.import_record(one) for one in records]

    def test_every_layout_and_damage(self):
        first = base.text(3 * self.chunk)
        # In the first object of the image, and not in the second.
        contents = [first, self.changed(first, 1, 6)][:self.length]
        for name, (source, change) in self.layouts.items():
            mine = self.made(source, change, contents)
            other = self.made(source, change, [
                content.translate(damages.INVERTED) for content in contents])
            self.compare_all(mine, other, contents, f'{name}, no digest',
                             [(damages.WRONG, damages.WRONG)])
            self.compare_all(self.imported(mine), other, contents, name)
        self.assert_listed()

    def compare_all(self, mine, other, contents, where, of_content=()):
        """Compare each backup, undamaged and with each damage.

        :param of_content: answers that agree for damages of the content
        """
        for number, (backup, content) in enumerate(
                zip(mine, contents, strict=True)):
            self.compare_undamaged(backup, content, where)
            for damage in self.objects.damages(backup):
                self.compare(
                    damage, backup, other[number], backup, content,
                    f'{where}, backup {number} of the chain',
                    backup is mine[-1], of_content
                    if damage.level == stores_base.CONTENT else ())


class SnapshotsTest(Layouts, ceph_cases.ClusterCase):
    """If it fails, a restore ends in another way than Cinder's.

    It may be wrong, or a good backup may be refused.
    """

    length = 2
    layouts = {
        'as today': ('image', _as_today),
        'shared base': ('image', _shared_base),
        'Havana': ('image', _of_havana),
    }


class CopiesTest(Layouts, ceph_cases.ClusterCase):
    """The same, of full copies."""

    length = 1
    layouts = {
        'file': ('file', _as_today),
        'file, Havana': ('file', old_layouts.ceph_without_metadata),
        'snapshot': ('snapshot', _as_today),
        'snapshot, own name': ('snapshot', _own_name),
    }
