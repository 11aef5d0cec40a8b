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

"""What a test does to a service of a cloud that is up."""

import psutil

from local_cloud import daemons
from local_cloud import exceptions
from local_cloud import services
from local_cloud import state as cloud_state


def service(state: cloud_state.State, name: str) -> services.Service:
    """Find a service by its name.

    :param state: of the cloud, loaded
    :param name: one of its services
    :raises LocalCloudError: if it has no such service
    """
    found = {one.NAME: one for one in services.of(state)}
    if name not in found:
        raise exceptions.LocalCloudError(
            f'There is no service {name} in the cloud in {state.root}; there '
            f'are: {", ".join(found)}.')
    return found[name]


def pause(state: cloud_state.State, name: str) -> None:
    """Let a service hang: it keeps its port open, and answers nothing.

    :param name: one of the cloud's services
    :raises LocalCloudError: if there is no cloud, no such service, or it
        does not run
    """
    for process in _processes(state, name):
        daemons.suspend(process)


def resume(state: cloud_state.State, name: str, timeout: float) -> None:
    """Undo :func:`pause`, and wait until the service answers.

    :param name: one of the cloud's services
    :param timeout: seconds that it has for it
    :raises LocalCloudError: if there is no cloud, no such service, or it
        does not run or answer
    """
    # Also where it was never paused.
    for process in _processes(state, name):
        process.resume()
    module = service(state, name)
    daemons.wait_until(state, name, lambda: module.ready(state), timeout)


def _processes(state: cloud_state.State, name: str) -> list[psutil.Process]:
    """All processes of a service that runs."""
    state.load()
    service(state, name)
    process = daemons.alive(state, name)
    if process is None:
        raise exceptions.LocalCloudError(
            f'{name} of the cloud in {state.root} does not run; "up" starts '
            f'it.')
    return [process, *process.children(recursive=True)]
