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

"""Defects that releases of Cinder are known to have.

The names are those of the Tempest plugin's option ``known_defects``; its
documentation says what they mean.
"""

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

#: Of the clients, which are the same whichever Cinder runs.
OF_CLIENTS = ('openstack-import-sent-to-export',)


def names(state: cloud_state.State) -> tuple[str, ...]:
    """The defects of the release that a cloud runs, and of its clients."""
    return (*OF_RELEASE.get(releases.number(state), ()), *OF_CLIENTS)
