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

"""Defects that releases of Cinder, or drivers of them, are known to have.

The names are those of the Tempest plugin's option ``known_defects``; its
documentation says what they mean.
"""

from local_cloud import backups
from local_cloud import releases
from local_cloud import state as cloud_state

_OF_IMPORT = (
    'import-deep-json',
    'import-failed-keeps-quota',
    'import-id-not-uuid',
    'import-id-without-text',
    'import-keeps-fail-reason',
    'import-killed-stays-creating',
    'import-negative-size',
    'import-stays-creating',
    'import-twice-at-once',
)

#: By the first number of Cinder's version: what was seen in that release.
OF_RELEASE = {
    26: _OF_IMPORT,  # 2025.1
    27: _OF_IMPORT,  # 2025.2
    28: _OF_IMPORT,  # 2026.1
    29: _OF_IMPORT,  # 2026.2
}

_OF_CHUNKED = dict.fromkeys(
    (26, 27, 28),  # 2025.1 to 2026.1; 2026.2 has a cure
    ('zeros-of-incremental',))

#: The same for a driver alone, by its class. The reference drivers have a
#: restore of their own, and the one for Ceph copies what is different.
OF_DRIVER = {
    backups.PROFILES[profile].driver: _OF_CHUNKED
    for profile in ('in-tree-posix', 'in-tree-swift', 'in-tree-nfs')
}

#: Of the clients, which are the same whichever Cinder runs.
OF_CLIENTS = ('openstack-import-sent-to-export',)


def names(state: cloud_state.State) -> tuple[str, ...]:
    """The defects of what a cloud runs.

    Of its release of Cinder, of the backup driver there, and of the clients.
    """
    number = releases.number(state)
    driver = backups.of(state).driver
    return (*OF_RELEASE.get(number, ()),
            *OF_DRIVER.get(driver, {}).get(number, ()), *OF_CLIENTS)
