# SPDX-License-Identifier: Apache-2.0

"""The contract, for backups as older releases have stored them in Ceph."""

import json
from unittest import mock

from backup_stores import rbd
from reference_drivers.contract import images
from tests import old_layouts
from tests.functional import ceph_cases
from tests.functional import test_contract_ceph


class OldStore(rbd.RbdStore):
    """Finds the images that rows do not name."""

    def image_of(self, backup):
        shared = f'volume-{backup.volume_id}.backup.base'
        with self._connected() as ioctx:
            if (backup.service_metadata is None and
                    shared in images.rbd.RBD().list(ioctx)):
                return shared
        return super().image_of(backup)

    def damages(self, backup):
        """Leave out damages to metadata that the backup does not have."""
        found = super().damages(backup)
        if self.state(rbd.OBJECT, (f'backup.{backup.id}.meta',)) is None:
            found = [one for one in found
                     if not one.name.startswith('metadata')]
        return found


class OldBackups:
    """Mixed into a test case with backups of old layouts."""

    def make_objects(self):
        with mock.patch.object(rbd, 'RbdStore', OldStore):
            return super().make_objects()


class SharedBaseTest(OldBackups, test_contract_ceph.Ceph,
                     ceph_cases.ClusterCase):
    """All backups of a volume are snapshots of one image."""

    # The same for each layout.
    test_a_long_chain = None
    test_every_compression = None
    test_every_size = None
    test_record_is_bounded_json = None

    def chain(self, *contents, **values):
        made = super().chain(*contents, **values)
        if 'snapshot_id' not in values:
            old_layouts.ceph_shared_base(self.cinder.backups, images.rbd,
                                         made)
        return made

    def field(self, backup, name):
        # An import names the image, as Cinder does since Train.
        return (None if name == 'service_metadata' else
                super().field(backup, name))

    def hostile(self, backup, other):
        named = mock.Mock(
            id=backup.id, volume_id=backup.volume_id,
            container=backup.container, service_metadata=json.dumps(
                {'base': self.objects.image_of(backup)}))
        found = []
        for part, values in super().hostile(named, other):
            if '"copy"' in values.get('service_metadata', ''):
                part = 'image'
            elif set(values) == {'volume_id'}:
                # The row names no image that could be another volume's.
                part = 'the record says'
            found.append((part, values))
        return found


class HavanaTest(SharedBaseTest):
    """Nor is there an object with the metadata of the volume."""

    # Their backups are not made by chain().
    test_backup_of_a_snapshot = None
    test_properties_of_the_volume = None
    # The same for each layout.
    test_nothing_stays_open = None

    def chain(self, *contents, **values):
        made = super().chain(*contents, **values)
        # There were no backups of snapshots yet.
        if 'snapshot_id' not in values:
            old_layouts.ceph_without_metadata(self.cinder.backups, made)
        return made
