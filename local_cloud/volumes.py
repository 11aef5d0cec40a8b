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

"""Where the volumes of a cloud are: what Cinder's volume service is told."""

from collections.abc import Callable
import dataclasses
from typing import Any

from local_cloud import state as cloud_state


@dataclasses.dataclass(frozen=True)
class Backend:
    """One back end of volumes.

    :ivar name: its section in ``cinder.conf``, which is its
        ``volume_backend_name`` too
    :ivar protocol: the storage protocol that its driver reports
    :ivar options: makes the options of that section for a cloud
    """

    name: str
    protocol: str
    options: Callable[[cloud_state.State], dict[str, Any]]


def _files(state: cloud_state.State) -> dict[str, Any]:
    directory = state.data / 'volumes'
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return {
        'volume_driver': 'local_cloud.inside.volume_driver.SparseFileDriver',
        'sparse_file_directory': directory,
    }


FILES = Backend('sparse', 'local', _files)
