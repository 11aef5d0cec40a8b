# SPDX-License-Identifier: Apache-2.0

"""The Cinders of a cloud: one for each region.

A second one has its own database, volumes and services, and shares
Keystone and Glance with the first: two sites, of which one restores what the
other has backed up. The storage of the backups is shared, too, or it is
another one, to which backups must be copied.
"""

import dataclasses

from local_cloud.machine import cloud_state


@dataclasses.dataclass(frozen=True)
class Site:
    """One Cinder.

    :ivar name: of its process, its port and its log
    :ivar region: its region in the catalogue
    :ivar host: its host in its database
    :ivar suffix: of the names of its directories and pools
    """

    name: str
    region: str
    host: str
    suffix: str


FIRST = Site('cinder', 'RegionOne', 'local', '')
SECOND = Site('cinder-two', 'RegionTwo', 'second', '-two')

# The storage of the second one's backups.
OWN = 'own'
SHARED = 'shared'


def of(state: cloud_state.State) -> list[Site]:
    """The sites of a cloud."""
    return [FIRST, *([SECOND] if state.record.get('second_region') else [])]
