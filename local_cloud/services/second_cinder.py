# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""The second Cinder of a cloud, in a region of its own."""

from local_cloud import sites
from local_cloud.machine import state as cloud_state
from local_cloud.services import cinder

NAME = sites.SECOND.name
SOCKETS = (NAME,)


def wanted(state: cloud_state.State) -> bool:
    """Whether a cloud has one."""
    return state.record.get('second_region', False)


def configure(state: cloud_state.State) -> None:
    """Write its configuration."""
    cinder.configure(state, sites.SECOND)


def environment(state: cloud_state.State) -> dict[str, str]:
    """Variables that its process needs."""
    return cinder.environment(state)


def serve_command(state: cloud_state.State, *descriptors: int) -> list[str]:
    """The program that serves its API and runs its services."""
    return cinder.serve_command(state, *descriptors, site=sites.SECOND)


def ready(state: cloud_state.State) -> bool | str:
    """Whether all its services are up."""
    return cinder.ready(state, sites.SECOND)


def version(state: cloud_state.State) -> str:
    """The release, the same as that of the first."""
    return cinder.version(state)
