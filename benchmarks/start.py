# SPDX-License-Identifier: Apache-2.0

"""Time the start of a local cloud beside the imports of its processes.

A first start makes the template, and Python writes down the imports of each
process. Then, in turns, a cloud is started from the template, and as many
processes at the same time that only import the same modules.
"""

import argparse
from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import dataclasses
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any

import psutil

from benchmarks import costs
from benchmarks import results

PACKAGES = ('cinder', 'keystone', 'glance')
CLOUD, IMPORTS = 'cloud', 'imports'
#: Tells Python to write down each import.
_PROFILE = 'PYTHONPROFILEIMPORTTIME'
_PATIENCE = 180


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--backup', choices=['default', 'swift'],
                        default='default',
                        help='the backup driver, with the services that it '
                             'needs (%(default)s)')
    costs.add_bus(parser)
    results.add_rounds(parser, 5)


def check(arguments: argparse.Namespace) -> None:
    results.check_room(512 * results.MIB, '--rounds')
    costs.check_packages(arguments)


@dataclasses.dataclass
class Start:
    """One start, of a cloud or of processes that only import.

    :ivar ready: seconds until each was ready, by the name of the service
    :ivar cpu: seconds that each had worked by then
    :ivar memory: bytes that each had by then (PSS)
    :ivar seconds: until all of them were usable
    """

    ready: dict[str, float] = dataclasses.field(default_factory=dict)
    cpu: dict[str, float] = dataclasses.field(default_factory=dict)
    memory: dict[str, int] = dataclasses.field(default_factory=dict)
    seconds: float = 0.0

    def add(self, spent: dict[str, costs.Cost]) -> None:
        """Note the cost of the processes."""
        self.cpu = {name: cost.cpu for name, cost in spent.items()}
        self.memory = {name: cost.memory for name, cost in spent.items()}


class Console:
    """Notes when each of a cloud's services is ready, and prints nothing."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self.times: dict[str, float] = {}

    def say(self, text: str) -> None:
        """Print nothing."""

    def ready(self, name: str, address: str, seconds: float) -> None:
        """Note the time."""
        self.times[name] = time.perf_counter() - self._started

    @contextlib.contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Print nothing."""
        yield


@contextlib.contextmanager
def cloud(arguments: argparse.Namespace) -> Iterator[tuple[Any, Start]]:
    """Start a cloud, and take it down at the end, also half-way.

    :returns: its state, and the measurements
    """
    from local_cloud import cloud as local
    from local_cloud import options
    from local_cloud.machine import cloud_state
    from local_cloud.machine import signals

    with tempfile.TemporaryDirectory(prefix='') as room:
        state = cloud_state.State(os.path.join(room, 'c'))
        console: Any = Console()
        made = local.Cloud(state, console, timeout=_PATIENCE)
        try:
            started = time.perf_counter()
            made.start(options.Options(arguments.backup, bus=arguments.bus))
            start = Start(console.times,
                          seconds=time.perf_counter() - started)
            start.add(costs.of_cloud(state))
            yield state, start
        finally:
            with signals.ignored():
                if made.state.remains:
                    made.down()


def learn(state: Any, room: pathlib.Path) -> dict[str, Any]:
    """Find the imports of a cloud's processes in what they have written.

    :returns: for each service that is Python's, the file with the modules,
        and its environment
    """
    from benchmarks import imports
    from local_cloud.machine import cloud_state
    from local_cloud.machine import daemons
    from local_cloud.services import registry

    found = {}
    for service in registry.of(state):
        with open(state.log(service.name), encoding='utf-8',
                  errors='replace') as log:
            names = imports.names(log)
        if not names:
            continue
        path = room / service.name
        path.write_text('\n'.join(names), encoding='utf-8')
        variables = {**daemons.environment(state),
                     **service.environment(),
                     'TMPDIR': str(room), 'XDG_CACHE_HOME': str(room)}
        # Without the marks of that cloud, whose "down" would end it.
        for name in (_PROFILE, cloud_state.PROCESS_MARK,
                     cloud_state.ENVIRONMENT):
            variables.pop(name, None)
        found[service.name] = path, variables
    return found


@contextlib.contextmanager
def importing(found: dict[str, Any]) -> Iterator[Start]:
    """Start processes that import the same modules.

    :param found: of :func:`learn`
    :raises Failed: one ended, or does not end its imports
    """
    start = Start()
    processes: dict[str, subprocess.Popen] = {}
    try:
        started = time.perf_counter()
        for name, (path, variables) in found.items():
            # In a session of its own, as the cloud's: on a busy machine the
            # kernel divides its time among sessions first.
            processes[name] = subprocess.Popen(
                [sys.executable, '-m', 'benchmarks.imports', str(path)],
                env=variables, stdin=subprocess.PIPE, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                start_new_session=True)

        def wait(name: str, process: Any) -> None:
            if process.stdout.readline().strip():
                start.ready[name] = time.perf_counter() - started

        waiting = [threading.Thread(target=wait, args=item, daemon=True)
                   for item in processes.items()]
        for thread in waiting:
            thread.start()
        for thread in waiting:
            thread.join(_PATIENCE)
        for name in processes:
            if name not in start.ready:
                raise results.Failed(f'the imports of {name} do not end')
        start.seconds = max(start.ready.values())
        start.add({name: costs.of_process(psutil.Process(process.pid))
                   for name, process in processes.items()})
        yield start
    finally:
        for process in processes.values():
            process.kill()
        for process in processes.values():
            process.wait()


def verdicts(clouds: list[Start], alone: list[Start]
             ) -> list[results.Verdict]:
    """Compare the measurements with the goals."""
    def compared(goal: str, cost: Callable[[Start, Start], float]
                 ) -> results.Verdict:
        return results.limit(
            f'{goal}, to those of the imports', 1.2, statistics.median(
                cost(start, other) / cost(other, other)
                for start, other in zip(clouds, alone, strict=True)),
            most=True)

    return [
        compared('seconds to ready', lambda start, _: start.seconds),
        compared('CPU seconds to ready',
                 lambda start, _: sum(start.cpu.values())),
        # Of the services that are Python's.
        compared('MiB when ready', lambda start, other: sum(
            start.memory[name] for name in other.memory))]


def starts_table(clouds: list[Start], alone: list[Start]) -> str:
    """Each service, beside its imports."""
    def row(title: str, *cells: Callable[[Start], float | None]) -> list[str]:
        shown = [title]
        for cell in cells:
            for starts in (clouds, alone):
                found = [value for value in map(cell, starts)
                         if value is not None]
                shown.append(f'{statistics.median(found):.2f}' if found
                             else '-')
        return shown

    def of_service(name: str) -> list[str]:
        return row(
            name, lambda start: start.ready.get(name),
            lambda start: start.cpu.get(name),
            lambda start: (start.memory[name] / results.MIB
                           if name in start.memory else None))

    return results.table(
        ['service', 'seconds', 'imports', 'CPU seconds', 'imports', 'MiB',
         'imports'],
        [*map(of_service, clouds[0].ready),
         row('all', lambda start: start.seconds,
             lambda start: sum(start.cpu.values()),
             lambda start: sum(start.memory.values()) / results.MIB)])


def measure(arguments: argparse.Namespace
            ) -> tuple[dict[str, Any], list[results.Verdict]]:
    room = pathlib.Path(tempfile.mkdtemp())
    clouds: list[Start] = []
    alone: list[Start] = []
    with costs.failing():
        results.progress('a first start, for the imports of the processes')
        os.environ[_PROFILE] = '1'
        try:
            with cloud(arguments) as (state, _):
                found = learn(state, room)
        finally:
            del os.environ[_PROFILE]

        def of_cloud() -> None:
            with cloud(arguments) as (_, start):
                clouds.append(start)

        def of_imports() -> None:
            with importing(found) as start:
                alone.append(start)

        results.in_turns({CLOUD: of_cloud, IMPORTS: of_imports},
                         arguments.rounds)
    results.say(f'\nbackup {arguments.backup}, bus {arguments.bus}, '
                f'{arguments.rounds} rounds\n\n{starts_table(clouds, alone)}')
    return ({'starts': {name: [dataclasses.asdict(start) for start in starts]
                        for name, starts in ((CLOUD, clouds),
                                             (IMPORTS, alone))}},
            verdicts(clouds, alone))
