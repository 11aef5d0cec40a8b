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
    test_any_rows_lost_and_imported_in_any_order = None
    test_every_size = None
    test_record_is_bounded_json = None
