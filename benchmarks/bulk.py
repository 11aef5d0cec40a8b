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

"""Measure the export and the import of many records on a local cloud.

Starts a cloud of its own, makes a chain of backups and many copies of it,
exports all records, loses all rows and imports them, full backups first, with
one and with two workers. Prints a table and a verdict by goal::

    python -m benchmarks.bulk --json bulk.json

Exit codes: 0 measured, also where a goal is missed, since time is no test; 3
it could not be measured. The cloud and all that was made is removed again,
also after an interruption.
"""

import argparse
from collections.abc import Callable
from collections.abc import Sequence
from concurrent import futures
import configparser
import dataclasses
import statistics
import sys
import threading
import time
from typing import Any

from benchmarks import command
from benchmarks import results

MIB = results.MIB

# What cannot be typed by accident: a full disk, or a run of hours.
_RECORDS_MOST = 20_000
_WORKERS_MOST = 16
#: Of the files of a record that are its own: mostly the checksums of 1 GiB.
_ROOM = 2.6 * MIB
#: After so many records a service has what it keeps for good.
_WARM = 100
_LEVELS = ('record', 'presence', 'content')
EXPORT, IMPORT = 'export', 'import'


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog='python -m benchmarks.bulk',
        description='Measure the export and the import of many records on a '
                    'local cloud of its own.')
    made.add_argument('--records', default=1000, metavar='N',
                      type=command.whole(4, _RECORDS_MOST, 2),
                      help='an even number (%(default)s)')
    made.add_argument('--workers', nargs='+', default=[1, 2], metavar='N',
                      type=command.whole(1, _WORKERS_MOST),
                      help='so many at a time, one after the other (1 2)')
    made.add_argument('--backup', default='default',
                      choices=['default', 'in-tree-posix'],
                      help='the backup driver (%(default)s)')
    made.add_argument('--level', choices=_LEVELS, default='presence',
                      help='how far the reference driver verifies on import '
                           '(%(default)s)')
    made.add_argument('--bus', choices=['memory', 'rabbitmq'],
                      default='memory',
                      help='with rabbitmq each service of Cinder has a '
                           'process of its own (%(default)s)')
    command.add_arguments(made, rounds=1, readers=False)
    return made


def check(arguments: Any) -> None:
    """Refuse what would fail only after a long run.

    :raises Failed: with the remedy
    """
    command.check(arguments, arguments.records * _ROOM + 256 * MIB,
                  '--records')
    from benchmarks import clouds

    clouds.check(arguments.backup, arguments.bus)


@dataclasses.dataclass
class Phase:
    """All records exported, or imported, once.

    :ivar seconds: all in all
    :ivar requests: seconds of each request to export or to import
    :ivar waits: seconds from the answer until each was available; only of an
        import
    :ivar polls: how often Cinder was asked for that
    :ivar client: CPU seconds of this program
    :ivar cpu: CPU seconds of each service of the cloud
    :ivar memory: bytes of Cinder after each of some numbers of records
    """

    what: str
    workers: int
    records: int
    seconds: float = 0.0
    requests: list[float] = dataclasses.field(default_factory=list)
    waits: list[float] = dataclasses.field(default_factory=list)
    polls: int = 0
    client: float = 0.0
    cpu: dict[str, float] = dataclasses.field(default_factory=dict)
    memory: dict[int, int] = dataclasses.field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Records a second."""
        return self.records / self.seconds

    @property
    def growth(self) -> float:
        """The memory at the end, to that after the first hundred."""
        least, most = min(self.memory), max(self.memory)
        return self.memory[most] / self.memory[least]

    @property
    def name(self) -> str:
        """What it is called in a table."""
        return f'{self.what}, {self.workers}'

    def to_dict(self) -> dict[str, Any]:
        """All of it, as JSON has it; of each record no figures of its own."""
        def short(values: list[float]) -> dict[str, float]:
            return {'median': statistics.median(values), 'least': min(values),
                    'most': max(values)} if values else {}

        return {**dataclasses.asdict(self), 'rate': round(self.rate, 2),
                'requests': short(self.requests),
                'waits': short(self.waits)}


class Runs:
    """Exports and imports of the records of chains.

    :param local: the cloud
    :param copies: the chains
    :param session: makes a session, one for each worker
    """

    def __init__(self, local: Any, copies: Any, session: Callable[[], Any]):
        self._local = local
        self._copies = copies
        self._session = session
        self._of_thread = threading.local()
        self._records: dict[str, Any] = {}

    def run(self, workers: int) -> list[Phase]:
        """Export all, lose all, import all.

        :returns: what was measured of the two
        """
        made = [self._phase(EXPORT, workers, self._export)]
        self._copies.lose()
        made.append(self._phase(IMPORT, workers, self._import))
        self._copies.check()
        return made

    def _phase(self, what: str, workers: int,
               step: Callable[[Phase, str], None]) -> Phase:
        from benchmarks import clouds

        state = self._local.state
        chains = self._copies.chains
        phase = Phase(what, workers, 2 * len(chains))
        first = min(_WARM, phase.records // 2)
        done = 0
        before = clouds.costs(state)
        client, begin = time.process_time(), time.perf_counter()
        # What is measured in between is not the records' time.
        looked = 0.0
        with futures.ThreadPoolExecutor(workers) as pool:
            # Parents first: their children only when all of them are there.
            for backups in ([one.full for one in chains],
                            [one.incremental for one in chains]):
                for _ in self._in_turn(pool, phase, step, backups):
                    done += 1
                    if done == first:
                        now = time.perf_counter()
                        phase.memory[done] = memory(clouds.costs(state))
                        looked += time.perf_counter() - now
        phase.seconds = time.perf_counter() - begin - looked
        phase.client = time.process_time() - client
        after = clouds.costs(state)
        phase.memory[done] = memory(after)
        phase.cpu = {name: after[name].cpu - before[name].cpu
                     for name in after}
        return phase

    @staticmethod
    def _in_turn(pool: Any, phase: Phase, step: Callable[[Phase, str], None],
                 backups: Sequence[str]) -> Any:
        waiting = [pool.submit(step, phase, one) for one in backups]
        try:
            for one in futures.as_completed(waiting):
                yield one.result()
        finally:
            # Of a run that ends early nobody waits for the rest.
            for one in waiting:
                one.cancel()

    @property
    def _asking(self) -> Any:
        if not hasattr(self._of_thread, 'session'):
            self._of_thread.session = self._session()
        return self._of_thread.session

    def _export(self, phase: Phase, backup: str) -> None:
        session = self._asking
        begin = time.perf_counter()
        self._records[backup] = session.get(
            'cinder', f'/backups/{backup}/export_record')['backup-record']
        phase.requests.append(time.perf_counter() - begin)

    def _import(self, phase: Phase, backup: str) -> None:
        from benchmarks import chains

        session = self._asking
        begin = time.perf_counter()
        session.request('POST', 'cinder', '/backups/import_record',
                        json={'backup-record': self._records[backup]})
        answered = time.perf_counter()
        phase.requests.append(answered - begin)
        _, polls = chains.wait(session, 'backup', backup)
        phase.waits.append(time.perf_counter() - answered)
        phase.polls += polls


def memory(costs: dict[str, Any]) -> int:
    """Bytes of all processes that are of Cinder."""
    return sum(one.memory for name, one in costs.items()
               if name.startswith('cinder'))


def verdicts(phases: Sequence[Phase]) -> list[results.Verdict]:
    """Compare what was measured with the goals."""
    return [results.limit(
        f"{one.name}: Cinder's memory, last to {min(one.memory):,}th",
        1.05, one.growth, most=True)
        for one in phases]


def rates_table(phases: Sequence[Phase]) -> str:
    """How fast, and what a record waits for."""
    return results.table(
        ['phase, workers', 'records/s', 'request ms', 'wait ms', 'polls',
         'memory MiB', 'at the end'],
        [[one.name, f'{one.rate:.1f}',
          f'{1000 * statistics.median(one.requests):.1f}',
          f'{1000 * statistics.median(one.waits):.1f}' if one.waits else '-',
          f'{one.polls / one.records:.1f}',
          f'{one.memory[min(one.memory)] / MIB:.1f}',
          f'{one.memory[max(one.memory)] / MIB:.1f}'] for one in phases])


def work_table(phases: Sequence[Phase]) -> str:
    """Who works how long for one record."""
    names = dict.fromkeys(
        name for one in phases for name, seconds in one.cpu.items()
        if seconds > 0)

    def row(title: str, seconds: Callable[[Phase], float]) -> list[str]:
        return [title, *(f'{1000 * seconds(one) / one.records:.1f}'
                         for one in phases)]

    return results.table(
        ['CPU ms a record', *(one.name for one in phases)],
        [row('all', lambda one: one.client + sum(one.cpu.values())),
         row('client', lambda one: one.client),
         *(row(name, lambda one, name=name:  # type: ignore[misc]
               one.cpu.get(name, 0)) for name in names)])


def measure(arguments: Any) -> dict[str, Any]:
    """Measure and print.

    :param arguments: of :func:`parser`
    :returns: all of it, for JSON
    """
    from benchmarks import chains
    from benchmarks import clouds
    from local_cloud import backups
    from local_cloud import identity

    where = command.machine('cinder', 'SQLAlchemy')
    command.say(', '.join(f'{name} {value}' for name, value in where.items()))
    command.progress('starting a cloud')
    phases: list[Phase] = []
    with clouds.started(backup=arguments.backup,
                        bus=arguments.bus) as local:
        set_level(local, arguments)
        session = identity.Session(local.state)
        session.request(
            'PUT', 'cinder', f'/os-quota-sets/{session.project_id}',
            json={'quota_set': {'backups': -1, 'backup_gigabytes': -1}})
        command.progress('making a chain of two backups')
        chain, seconds = chains.make(session, local.state.data / 'volumes')
        command.progress(', '.join(f'{kind} {value:.1f} s'
                                   for kind, value in seconds.items()))
        storage = backups.directory(local.state)
        if storage is None:
            raise results.Failed(f'{arguments.backup} has no directory')
        copies = chains.Copies(chain, local.state.database('cinder'), storage)
        command.progress(f'copying it, to {arguments.records} records')
        copies.add(arguments.records // 2 - 1)
        runs = Runs(local, copies, lambda: identity.Session(local.state))
        for number in range(arguments.rounds):
            turn = number % len(arguments.workers)
            for workers in (arguments.workers[turn:] +
                            arguments.workers[:turn]):
                command.progress(f'{workers} workers')
                phases += runs.run(workers)
    judged = verdicts(phases)
    command.say(f'\n{arguments.records} records, driver {arguments.backup}, '
                f'level {arguments.level}, bus {arguments.bus}\n\n'
                f'{rates_table(phases)}\n\n{work_table(phases)}')
    command.say(f'\nGoals\n\n{results.verdicts_table(judged)}')
    return {'machine': where, 'options': command.options(arguments),
            'chain': seconds,
            'phases': [one.to_dict() for one in phases],
            'verdicts': [dataclasses.asdict(one) for one in judged]}


def set_level(local: Any, arguments: Any) -> None:
    """Let the driver verify as far as it is asked to.

    The local cloud's own level reads every byte: it is for tests.

    :param local: the cloud; its Cinder starts once more
    """
    section = 'backup_import_verify'
    path = local.state.config('cinder')
    found = configparser.RawConfigParser(default_section='')
    found.optionxform = str  # type: ignore[assignment,method-assign]
    found.read(path)
    if section not in found or found[section]['level'] == arguments.level:
        return
    found[section]['level'] = arguments.level
    with open(path, 'w', encoding='utf-8') as stream:
        found.write(stream)
    local.cloud.stop('cinder-backup' if arguments.bus == 'rabbitmq'
                     else 'cinder')
    local.cloud.up(arguments.backup, bus=arguments.bus)


def main(argv: list[str] | None = None) -> int:
    """The program.

    :param argv: arguments without the program's name
    :returns: the exit code
    """
    return command.main(parser(), check, measure, argv)


if __name__ == '__main__':
    command.terminate_as_interrupted()
    sys.exit(main())
