# SPDX-License-Identifier: Apache-2.0

"""The contract, for a real Ceph cluster."""

from reference_drivers import options
from reference_drivers.contract import ceph
from tests.functional import ceph_cases


class Ceph(ceph.CephContract):
    driver = 'reference_drivers.ceph.CephBackupDriver'
    options = {f'{options.GROUP}__timeout': 10}


class ImagesTest(Ceph, ceph_cases.ClusterCase):
    """Volumes are images, backups are snapshots of one image."""


class FilesTest(Ceph, ceph_cases.ClusterCase):
    """Volumes are files, backups are full copies."""

    as_images = False
    # Full copies have no parents. What these ask of records, and of what is
    # written where, is the same for them, and is asked above.
    test_a_long_chain = None
    test_any_rows_lost_and_imported_in_any_order = None
    test_every_size = None
    test_record_is_bounded_json = None
