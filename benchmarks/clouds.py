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

"""A local cloud to measure, and what its processes cost."""

from collections.abc import Iterator
import contextlib
import dataclasses
from typing import Any

import psutil

from benchmarks import results
from local_cloud import exceptions
from local_cloud import options
from local_cloud import requirements
from local_cloud.machine import daemons


def check(backup: str, bus: str) -> None:
    """Refuse what would fail only when a cloud is started.

    :raises Failed: with what is not installed, and the remedy
    """
    try:
        requirements.check(options.Options(backup, bus=bus))
    except exceptions.LocalCloudError as err:
        raise results.Failed(str(err)) from err


@contextlib.contextmanager
def started(**options: Any) -> Iterator[Any]:
    """Have a cloud; it is taken down at the end, also half-way.

    :param options: of :class:`local_cloud.fixture.LocalCloud`
    :returns: the fixture
    :raises Failed: it does not start, or does not do what is asked of it
    """
    # Takes a second, in which nobody should wait for --help.
    import fixtures
    import requests

    from local_cloud import fixture

    local = fixture.LocalCloud(timeout=180, **options)
    try:
        try:
            local.setUp()
        except fixtures.MultipleExceptions as err:
            # What went wrong, and then what the clean-up had to say.
            raise err.args[0][1] from None
        try:
            yield local
        finally:
            local.cleanUp()
    except exceptions.LocalCloudError as err:
        raise results.Failed(str(err)) from err
    except requests.RequestException as err:
        said = err.response.text if err.response is not None else ''
        raise results.Failed(f'{err} {said}'.strip()) from err


@contextlib.contextmanager
def taken_down(cloud: Any) -> Iterator[None]:
    """Take a cloud down at the end, also one that was stopped half-way.

    :param cloud: a :class:`local_cloud.cloud.Cloud`
    """
    from local_cloud.machine import signals

    try:
        yield
    finally:
        with signals.ignored():
            if cloud.state.remains:
                cloud.down()


@dataclasses.dataclass(frozen=True)
class Cost:
    """What one service has cost so far.

    :ivar cpu: seconds that it worked, with its children that live
    :ivar memory: bytes, pages shared with others in part (PSS)
    """

    cpu: float
    memory: int


def costs(state: Any) -> dict[str, Cost]:
    """What each service of a cloud has cost so far.

    :param state: the cloud
    :returns: by name, of those that run
    """
    found = {name: daemons.alive(state, name)
             for name in state.record['processes']}
    return {name: cost(process) for name, process in found.items()
            if process is not None}


def cost(process: psutil.Process) -> Cost:
    """What a process and its children have cost so far."""
    cpu, memory = 0.0, 0
    for one in (process, *process.children(recursive=True)):
        # A child may end while it is looked at.
        with contextlib.suppress(psutil.NoSuchProcess):
            times = one.cpu_times()
            cpu += times.user + times.system
            memory += one.memory_full_info().pss
    return Cost(cpu, memory)
