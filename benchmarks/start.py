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

"""Measure the start of a local cloud against the imports of its processes.

A first start makes the template, and has Python write down what each process
imports. Then, in turns, a cloud is started from the template, and as many
processes at the same time that only import the same modules. Prints a table
and a verdict by goal::

    python -m benchmarks.start --json start.json

Exit codes: 0 measured, also where a goal is missed, since time is no test; 3
it could not be measured. Everything that was started is stopped again, also
after an interruption.
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

from benchmarks import command
from benchmarks import results

MIB = results.MIB
CLOUD, IMPORTS = 'cloud', 'imports'
#: What Python is told to write down its imports by.
_PROFILE = 'PYTHONPROFILEIMPORTTIME'
_PATIENCE = 180


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog='python -m benchmarks.start',
        description='Measure the start of a local cloud against the imports '
                    'of its processes alone.')
    made.add_argument('--backup', choices=['default', 'swift'],
                      default='default',
                      help='the backup driver, with what it needs '
                           '(%(default)s)')
    made.add_argument('--bus', choices=['memory', 'rabbitmq'],
                      default='memory',
                      help='with rabbitmq each service of Cinder has a '
                           'process of its own (%(default)s)')
    command.add_arguments(made, rounds=5, readers=False)
    return made


def check(arguments: Any) -> None:
    """Refuse what would fail only after a long run.

    :raises Failed: with the remedy
    """
    command.check(arguments, 512 * MIB, '--rounds')
    from benchmarks import clouds

    clouds.check(arguments.backup, arguments.bus)


@dataclasses.dataclass
class Start:
    """One start, of a cloud or of processes that only import.

    :ivar ready: seconds until each was there, by the name of the service
    :ivar cpu: seconds that each had worked by then
    :ivar memory: bytes that each had by then (PSS)
    :ivar seconds: until all of it was usable
    """

    ready: dict[str, float] = dataclasses.field(default_factory=dict)
    cpu: dict[str, float] = dataclasses.field(default_factory=dict)
    memory: dict[str, int] = dataclasses.field(default_factory=dict)
    seconds: float = 0.0

    def add(self, costs: dict[str, Any]) -> None:
        """Write down what its processes have cost."""
        self.cpu = {name: one.cpu for name, one in costs.items()}
        self.memory = {name: one.memory for name, one in costs.items()}


class Console:
    """Notes when each of a cloud's services is ready."""

    def __init__(self) -> None:
        self._begin = time.perf_counter()
        self.times: dict[str, float] = {}

    def say(self, text: str) -> None:
        """Nothing: this is for people."""

    def ready(self, name: str, address: str, seconds: float) -> None:
        """Take note of a service."""
        self.times[name] = time.perf_counter() - self._begin

    @contextlib.contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Nothing: this is not a service."""
        yield


@contextlib.contextmanager
def cloud(backup: str, bus: str) -> Iterator[tuple[Any, Start]]:
    """Have a cloud, and how long it took to become usable.

    :returns: its state, and what was measured
    :raises LocalCloudError: it does not start
    """
    from benchmarks import clouds
    from local_cloud import cloud as clouds_of_one
    from local_cloud import options
    from local_cloud.machine import state as cloud_state

    asked = options.Options(backup, bus=bus)
    with tempfile.TemporaryDirectory(prefix='') as room:
        state = cloud_state.State(os.path.join(room, 'c'))
        console: Any = Console()
        made = clouds_of_one.Cloud(state, console, timeout=_PATIENCE)
        with clouds.taken_down(made):
            begin = time.perf_counter()
            made.start(asked)
            start = Start(console.times,
                          seconds=time.perf_counter() - begin)
            start.add(clouds.costs(state))
            yield state, start


def learn(state: Any, room: pathlib.Path) -> dict[str, Any]:
    """What the processes of a cloud have imported.

    :param state: of a cloud that was started with the account of Python
    :param room: a directory for what is found
    :returns: for each service that is Python's, the file with the modules,
        and its environment
    """
    from benchmarks import imports
    from local_cloud.machine import daemons
    from local_cloud.machine import state as cloud_state
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
        # It is not of that cloud, whose "down" would end it.
        for name in (_PROFILE, cloud_state.PROCESS_MARK,
                     cloud_state.ENVIRONMENT):
            variables.pop(name, None)
        found[service.name] = path, variables
    return found


@contextlib.contextmanager
def importing(found: dict[str, Any]) -> Iterator[Start]:
    """Have processes that import the same, and how long they took.

    :param found: of :func:`learn`
    :raises Failed: one ended, or does not end to import
    """
    from benchmarks import clouds

    start = Start()
    processes: dict[str, subprocess.Popen] = {}
    try:
        begin = time.perf_counter()
        for name, (path, variables) in found.items():
            # In a session of its own, as the cloud's: on a busy machine the
            # kernel divides its time among sessions first.
            processes[name] = subprocess.Popen(
                [sys.executable, '-m', 'benchmarks.imports', str(path)],
                env=variables, stdin=subprocess.PIPE, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                start_new_session=True)
        waiting = [threading.Thread(
            target=_await, args=(start, name, process, begin), daemon=True)
            for name, process in processes.items()]
        for one in waiting:
            one.start()
        for one in waiting:
            one.join(_PATIENCE)
        for name in processes:
            if name not in start.ready:
                raise results.Failed(f'the imports of {name} do not end')
        start.seconds = max(start.ready.values())
        start.add({name: clouds.cost(psutil.Process(process.pid))
                   for name, process in processes.items()})
        yield start
    finally:
        for process in processes.values():
            process.kill()
        for process in processes.values():
            process.wait()


def _await(start: Start, name: str, process: Any, begin: float) -> None:
    if process.stdout.readline().strip():
        start.ready[name] = time.perf_counter() - begin


def series(starts: list[Start]) -> results.Series:
    """What all services together took in each round."""
    return results.Series([one.seconds for one in starts],
                          [sum(one.cpu.values()) for one in starts])


def verdicts(clouds: list[Start], alone: list[Start]
             ) -> list[results.Verdict]:
    """Compare what was measured with the goals."""
    return [
        results.limit('seconds to ready, to those of the imports', 1.2,
                      results.ratio(series(clouds), series(alone)),
                      most=True),
        results.limit('CPU seconds to ready, to those of the imports', 1.2,
                      statistics.median(
                          one / other for one, other in zip(
                              series(clouds).cpu, series(alone).cpu,
                              strict=True)), most=True),
        results.limit('memory when ready, to that of the imports', 1.2,
                      statistics.median(
                          sum(one.memory[name] for name in other.memory) /
                          sum(other.memory.values())
                          for one, other in zip(clouds, alone, strict=True)),
                      most=True)]


def starts_table(clouds: list[Start], alone: list[Start]) -> str:
    """Each service, beside its imports."""
    def row(title: str, cells: list[Callable[[Start], float | None]]
            ) -> list[str]:
        shown = [title]
        for take in cells:
            for starts in (clouds, alone):
                found = [take(one) for one in starts]
                known = [one for one in found if one is not None]
                shown.append(f'{statistics.median(known):.2f}' if known
                             else '-')
        return shown

    def of(values: str, name: str, unit: float = 1
           ) -> Callable[[Start], float | None]:
        def take(one: Start) -> float | None:
            found = getattr(one, values).get(name)
            return None if found is None else found / unit
        return take

    rows = [row(name, [of('ready', name), of('cpu', name),
                       of('memory', name, MIB)]) for name in clouds[0].ready]
    rows.append(row('all', [
        lambda one: one.seconds, lambda one: sum(one.cpu.values()),
        lambda one: sum(one.memory.values()) / MIB]))
    return results.table(
        ['service', 'seconds', 'imports', 'CPU seconds', 'imports', 'MiB',
         'imports'], rows)


def measure(arguments: Any) -> dict[str, Any]:
    """Measure and print.

    :param arguments: of :func:`parser`
    :returns: all of it, for JSON
    :raises Failed: the cloud does not start
    """
    from local_cloud import exceptions

    try:
        return _measure(arguments)
    except exceptions.LocalCloudError as err:
        raise results.Failed(str(err)) from err


def _measure(arguments: Any) -> dict[str, Any]:
    where = command.machine('cinder', 'keystone', 'glance')
    command.say(', '.join(f'{name} {value}' for name, value in where.items()))
    room = pathlib.Path(tempfile.mkdtemp())
    command.progress('what the processes import')
    os.environ[_PROFILE] = '1'
    try:
        with cloud(arguments.backup, arguments.bus) as (state, _):
            found = learn(state, room)
    finally:
        del os.environ[_PROFILE]
    starts: dict[str, list[Start]] = {CLOUD: [], IMPORTS: []}

    def of_cloud() -> None:
        with cloud(arguments.backup, arguments.bus) as (_, start):
            starts[CLOUD].append(start)

    def of_imports() -> None:
        with importing(found) as start:
            starts[IMPORTS].append(start)

    command.progress(f'{arguments.rounds} rounds')
    for number in range(arguments.rounds):
        steps = [of_cloud, of_imports]
        for step in steps[number % 2:] + steps[:number % 2]:
            step()
    judged = verdicts(starts[CLOUD], starts[IMPORTS])
    command.say(f'\nbackup {arguments.backup}, bus {arguments.bus}, '
                f'{arguments.rounds} rounds\n\n'
                f'{starts_table(starts[CLOUD], starts[IMPORTS])}')
    command.say(f'\nGoals\n\n{results.verdicts_table(judged)}')
    return {'machine': where, 'options': command.options(arguments),
            'starts': {name: [dataclasses.asdict(one) for one in made]
                       for name, made in starts.items()},
            'verdicts': [dataclasses.asdict(one) for one in judged]}


def main(argv: list[str] | None = None) -> int:
    """The program.

    :param argv: arguments without the program's name
    :returns: the exit code
    """
    return command.main(parser(), check, measure, argv)


if __name__ == '__main__':
    command.terminate_as_interrupted()
    sys.exit(main())
