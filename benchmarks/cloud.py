# SPDX-License-Identifier: Apache-2.0

"""Time the export and the import of many records on a local cloud.

Starts a cloud, makes a chain of backups and many copies of it, exports all
records, deletes all rows and imports them, full backups first, with one and
with two workers.
"""

import argparse
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from concurrent import futures
import configparser
import dataclasses
import statistics
import threading
import time
from typing import Any

from benchmarks import costs
from benchmarks import results

MIB = results.MIB
PACKAGES = ('cinder', 'SQLAlchemy')
#: Of a record's own files: mostly the checksums of 1 GiB.
_ROOM = 2.6 * MIB
#: After so many records a service has all that it caches.
_WARM = 100
EXPORT, IMPORT = 'export', 'import'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--records', default=1000, metavar='N',
                        type=results.whole(4, 20_000, 2),
                        help='an even number (%(default)s)')
    parser.add_argument('--workers', nargs='+', default=[1, 2], metavar='N',
                        type=results.whole(1, 16),
                        help='so many at a time, one after the other (1 2)')
    parser.add_argument('--backup', default='default',
                        choices=['default', 'in-tree-posix'],
                        help='the backup driver (%(default)s)')
    parser.add_argument('--level', default='presence',
                        choices=['record', 'presence', 'content'],
                        help='how far the reference driver verifies on '
                             'import (%(default)s)')
    costs.add_bus(parser)
    results.add_rounds(parser, 1)


def check(arguments: argparse.Namespace) -> None:
    results.check_room(arguments.records * _ROOM + 256 * MIB, '--records')
    costs.check_packages(arguments)


@dataclasses.dataclass
class Phase:
    """All records exported, or imported, once.

    :ivar seconds: from the first to the last
    :ivar requests: seconds of each request to export or to import
    :ivar waits: seconds from the answer until each was available; only of an
        import
    :ivar polls: how many requests that took
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
        return self.memory[max(self.memory)] / self.memory[min(self.memory)]

    @property
    def name(self) -> str:
        """Its name in a table."""
        return f'{self.what}, {self.workers}'


class Runs:
    """Exports and imports of the records of chains.

    :param state: of the cloud
    :param copies: the chains
    :param session: makes a session, one for each worker
    """

    def __init__(self, state: Any, copies: Any, session: Callable[[], Any]):
        self._state = state
        self._copies = copies
        self._session = session
        self._of_thread = threading.local()
        self._records: dict[str, Any] = {}

    def run(self, workers: int) -> list[Phase]:
        """Export all, delete all rows, import all."""
        made = [self._phase(EXPORT, workers, self._export)]
        self._copies.lose()
        made.append(self._phase(IMPORT, workers, self._import))
        self._copies.check()
        return made

    def _phase(self, what: str, workers: int,
               step: Callable[[Phase, str], None]) -> Phase:
        chains = self._copies.chains
        phase = Phase(what, workers, 2 * len(chains))
        first = min(_WARM, phase.records // 2)
        done = 0
        before = costs.of_cloud(self._state)
        client, started = time.process_time(), time.perf_counter()
        # The measurement in between is not the records' time.
        looked = 0.0
        with futures.ThreadPoolExecutor(workers) as pool:
            # Parents first: children only when all of them are available.
            for backups in ([chain.full for chain in chains],
                            [chain.incremental for chain in chains]):
                for _ in _all(pool, step, phase, backups):
                    done += 1
                    if done == first:
                        now = time.perf_counter()
                        phase.memory[done] = memory(
                            costs.of_cloud(self._state))
                        looked += time.perf_counter() - now
        phase.seconds = time.perf_counter() - started - looked
        phase.client = time.process_time() - client
        after = costs.of_cloud(self._state)
        phase.memory[done] = memory(after)
        phase.cpu = {name: cost.cpu - before[name].cpu
                     for name, cost in after.items()}
        return phase

    @property
    def _own_session(self) -> Any:
        if not hasattr(self._of_thread, 'session'):
            self._of_thread.session = self._session()
        return self._of_thread.session

    def _export(self, phase: Phase, backup: str) -> None:
        session = self._own_session
        started = time.perf_counter()
        self._records[backup] = session.get(
            'cinder', f'/backups/{backup}/export_record')['backup-record']
        phase.requests.append(time.perf_counter() - started)

    def _import(self, phase: Phase, backup: str) -> None:
        from benchmarks import chains

        session = self._own_session
        started = time.perf_counter()
        session.request('POST', 'cinder', '/backups/import_record',
                        json={'backup-record': self._records[backup]})
        answered = time.perf_counter()
        phase.requests.append(answered - started)
        _, polls = chains.wait(session, 'backup', backup)
        phase.waits.append(time.perf_counter() - answered)
        phase.polls += polls


def _all(pool: futures.Executor, step: Callable[[Phase, str], None],
         phase: Phase, backups: Sequence[str]) -> Iterator[None]:
    waiting = [pool.submit(step, phase, backup) for backup in backups]
    try:
        for future in futures.as_completed(waiting):
            yield future.result()
    finally:
        # When a run ends early.
        for future in waiting:
            future.cancel()


def memory(spent: dict[str, costs.Cost]) -> int:
    """Bytes of all processes of Cinder."""
    return sum(cost.memory for name, cost in spent.items()
               if name.startswith('cinder'))


def verdicts(phases: Sequence[Phase]) -> list[results.Verdict]:
    """Compare the measurements with the goals."""
    return [results.limit(
        f"{phase.name}: Cinder's memory, last to {min(phase.memory):,}th",
        1.05, phase.growth, most=True)
        for phase in phases]


def rates_table(phases: Sequence[Phase]) -> str:
    """The rate, and the seconds that a record waits for."""
    return results.table(
        ['phase, workers', 'records/s', 'request ms', 'wait ms', 'polls',
         'memory MiB', 'at the end'],
        [[phase.name, f'{phase.rate:.1f}',
          f'{1000 * statistics.median(phase.requests):.1f}',
          (f'{1000 * statistics.median(phase.waits):.1f}' if phase.waits
           else '-'),
          f'{phase.polls / phase.records:.1f}',
          f'{phase.memory[min(phase.memory)] / MIB:.1f}',
          f'{phase.memory[max(phase.memory)] / MIB:.1f}']
         for phase in phases])


def work_table(phases: Sequence[Phase]) -> str:
    """The CPU time of each process for one record."""
    names = dict.fromkeys(
        name for phase in phases for name, seconds in phase.cpu.items()
        if seconds > 0)
    spent = [{'all': phase.client + sum(phase.cpu.values()),
              'client': phase.client, **phase.cpu} for phase in phases]
    return results.table(
        ['CPU ms a record', *(phase.name for phase in phases)],
        [[name, *(f'{1000 * seconds.get(name, 0) / phase.records:.1f}'
                  for phase, seconds in zip(phases, spent, strict=True))]
         for name in ('all', 'client', *names)])


def measure(arguments: argparse.Namespace
            ) -> tuple[dict[str, Any], list[results.Verdict]]:
    # They take a second, too long for --help.
    from benchmarks import chains
    from local_cloud import backups
    from local_cloud import fixture
    from local_cloud import identity

    results.progress('starting a cloud')
    phases: list[Phase] = []
    with costs.failing(), fixture.started(
            arguments.backup, timeout=180, bus=arguments.bus) as local:
        set_level(local, arguments)
        session = identity.Session(local.state)
        session.request(
            'PUT', 'cinder', f'/os-quota-sets/{session.project_id}',
            json={'quota_set': {'backups': -1, 'backup_gigabytes': -1}})
        results.progress('making a chain of two backups')
        chain, seconds = chains.make(session, local.state.data / 'volumes')
        results.progress(', '.join(f'{kind} {value:.1f} s'
                                   for kind, value in seconds.items()))
        storage = backups.directory(local.state)
        if storage is None:
            raise results.Failed(f'{arguments.backup} has no directory')
        copies = chains.Copies(chain, local.state.database('cinder'), storage)
        results.progress(f'copying it, to {arguments.records} records')
        copies.add(arguments.records // 2 - 1)
        runs = Runs(local.state, copies,
                    lambda: identity.Session(local.state))
        for number in range(arguments.rounds):
            for workers in results.rotated(arguments.workers, number):
                results.progress(f'{workers} workers')
                phases += runs.run(workers)
    results.say(f'\n{arguments.records} records, driver {arguments.backup}, '
                f'level {arguments.level}, bus {arguments.bus}\n\n'
                f'{rates_table(phases)}\n\n{work_table(phases)}')
    return ({'chain': seconds,
             'phases': [dataclasses.asdict(phase) for phase in phases]},
            verdicts(phases))


def set_level(local: Any, arguments: Any) -> None:
    """Set how far the driver verifies, and restart Cinder where it changes.

    The local cloud's own level reads every byte: it is for tests.
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
