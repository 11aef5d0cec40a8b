# SPDX-License-Identifier: Apache-2.0

"""A local cloud to measure, and the CPU time and memory of its processes."""

import argparse
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


def add_bus(parser: argparse.ArgumentParser) -> None:
    """Add the option of the programs that start a cloud."""
    parser.add_argument('--bus', choices=['memory', 'rabbitmq'],
                        default='memory',
                        help='with rabbitmq each service of Cinder has a '
                             'process of its own (%(default)s)')


def check_packages(arguments: argparse.Namespace) -> None:
    """Refuse to start a cloud without the packages that it needs.

    :raises Failed: with the remedy
    """
    with failing():
        requirements.check(options.Options(arguments.backup,
                                           bus=arguments.bus))


@contextlib.contextmanager
def failing() -> Iterator[None]:
    """Report an error of a local cloud as one of the benchmark.

    :raises Failed: with the answer of a service, where it refuses a request
    """
    import requests

    try:
        yield
    except exceptions.LocalCloudError as err:
        raise results.Failed(str(err)) from err
    except requests.RequestException as err:
        answer = err.response.text if err.response is not None else ''
        raise results.Failed(f'{err} {answer}'.strip()) from err


@dataclasses.dataclass(frozen=True)
class Cost:
    """The cost of one service so far.

    :ivar cpu: seconds that it worked, with its children that live
    :ivar memory: bytes, pages shared with others in part (PSS)
    """

    cpu: float
    memory: int


def of_cloud(state: Any) -> dict[str, Cost]:
    """The cost of each service that runs, by name."""
    found = {name: daemons.alive(state, name)
             for name in state.record['processes']}
    return {name: of_process(process) for name, process in found.items()
            if process is not None}


def of_process(root: psutil.Process) -> Cost:
    """The cost of a process and its children so far."""
    cpu, memory = 0.0, 0
    for process in (root, *root.children(recursive=True)):
        # A child may end in between.
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            cpu += times.user + times.system
            memory += process.memory_full_info().pss
    return Cost(cpu, memory)
