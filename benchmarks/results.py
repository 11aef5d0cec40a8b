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

"""What was measured, as ratios, verdicts and tables. Measures nothing."""

from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses
import statistics
from typing import Any

MIB = 1024 * 1024

#: Bytes of the volume that have a SHA-256 of their own.
BLOCK = 32768

#: Names of the steps.
PLAIN, PRESENCE, CONTENT = 'plain', 'L1', 'L2'
REFERENCE, IN_TREE = 'restore, reference', 'restore, in-tree'


class Failed(Exception):
    """The benchmark cannot go on; nothing that it would say is true."""


@dataclasses.dataclass
class Series:
    """One step, measured once in each round.

    :ivar seconds: of the clock on the wall
    :ivar cpu: seconds that all cores together worked for this process; it
        says more than the clock where others use the machine as well
    """

    seconds: list[float] = dataclasses.field(default_factory=list)
    cpu: list[float] = dataclasses.field(default_factory=list)


def ratio(slower: Series, faster: Series) -> float:
    """How many times as fast one step is as another.

    Taken within each round, where both met nearly the same load of others,
    and then the median. So it is not the quotient of the two medians.

    :param slower: the step to compare with
    :param faster: the step that is judged
    :returns: above 1 if it is faster indeed
    """
    return statistics.median(
        one / other for one, other in
        zip(slower.seconds, faster.seconds, strict=True))


@dataclasses.dataclass
class Backup:
    """What was measured on one backup.

    :ivar size: bytes of the volume
    :ivar chunk: bytes of the volume in a chunk
    :ivar stored: bytes on the storage
    :ivar readers: threads of L2 and of plain reading
    :ivar steps: by name, in the order of the table
    :ivar memory: the most bytes that L2 had at a time
    """

    compression: str
    size: int
    chunk: int
    chunks: int
    stored: int
    readers: int
    steps: dict[str, Series]
    memory: int

    def ratio(self, slower: str, faster: str) -> float:
        """How many times as fast one step is as another."""
        return ratio(self.steps[slower], self.steps[faster])


@dataclasses.dataclass
class Listing:
    """What L1 cost for a number of chunks.

    :ivar listings: how often the store was asked what it has
    :ivar reads: how many objects were read
    :ivar memory: the most bytes that L1 had at a time
    """

    chunks: int
    seconds: list[float]
    listings: int
    reads: int
    memory: int


@dataclasses.dataclass(frozen=True)
class Verdict:
    """One goal, and what was measured."""

    goal: str
    wanted: str
    measured: str
    met: bool


def _limit(goal: str, wanted: float, measured: float,
           most: bool = False) -> Verdict:
    # What is judged is what is shown: no 0.80 that misses at least 0.80.
    shown = round(measured, 2)
    return Verdict(goal, f'at {"most" if most else "least"} {wanted:.2f}',
                   f'{shown:.2f}',
                   shown <= wanted if most else shown >= wanted)


def verdicts(backups: Iterable[Backup], listings: Sequence[Listing]
             ) -> list[Verdict]:
    """Compare what was measured with the goals.

    :param backups: measured in one run
    :param listings: by number of chunks, may be empty
    :returns: a verdict for each goal
    """
    made = []
    for one in backups:
        made += [
            _limit(f'{one.compression}: L2 as fast as plain', 0.8,
                   one.ratio(PLAIN, CONTENT)),
            _limit(f'{one.compression}: L2 as fast as in-tree restore', 3,
                   one.ratio(IN_TREE, CONTENT)),
            _limit(f'{one.compression}: memory of L2 in readers times chunk',
                   1, one.memory / (one.readers * one.chunk), most=True)]
    if listings:
        calls = [one.listings + one.reads for one in listings]
        made.append(Verdict(
            'calls of L1 for any number of chunks', 'the same',
            ', '.join(str(one) for one in calls), len(set(calls)) == 1))
    return made


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A simple table of reStructuredText, which also reads well on a screen.

    :param head: titles of the columns
    :param rows: the cells; the first column is text, the others are numbers
    :returns: its lines
    """
    lines = [list(head), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines)
              for column in range(len(head))]
    rule = '  '.join('=' * width for width in widths)
    made = ['  '.join(
        cell.rjust(width) if column else cell.ljust(width)
        for column, (cell, width) in
        enumerate(zip(line, widths, strict=True))).rstrip()
        for line in lines]
    return '\n'.join([rule, made[0], rule, *made[1:], rule])


def steps_table(one: Backup) -> str:
    """The steps on one backup.

    L1 reads none of the chunks, so that it has no MiB per second.
    """
    rows = []
    for name, series in one.steps.items():
        seconds = statistics.median(series.seconds)
        speed = '-' if name == PRESENCE else f'{one.size / MIB / seconds:.0f}'
        rows.append([name, f'{seconds:.3f}',
                     f'{min(series.seconds):.3f}',
                     f'{max(series.seconds):.3f}',
                     f'{statistics.median(series.cpu):.3f}', speed])
    return table(['step', 'seconds', 'least', 'most', 'CPU seconds',
                  'MiB/s'], rows)


def ratios_table(backups: Sequence[Backup]) -> str:
    """The ratios within the run, and the memory of L2."""
    return table(
        ['compression', 'L2 to plain', 'L2 to in-tree', 'reference to in-tree',
         'L2 peak MiB'],
        [[one.compression, f'{one.ratio(PLAIN, CONTENT):.2f}',
          f'{one.ratio(IN_TREE, CONTENT):.2f}',
          f'{one.ratio(IN_TREE, REFERENCE):.2f}',
          f'{one.memory / MIB:.1f}'] for one in backups])


def listings_table(listings: Iterable[Listing]) -> str:
    """L1 against the number of chunks."""
    return table(
        ['chunks', 'L1 seconds', 'listings', 'reads', 'L1 peak MiB'],
        [[f'{one.chunks:,}', f'{statistics.median(one.seconds):.4f}',
          str(one.listings), str(one.reads), f'{one.memory / MIB:.2f}']
         for one in listings])


def verdicts_table(made: Iterable[Verdict]) -> str:
    """The goals, and whether they are met."""
    return table(['goal', 'wanted', 'measured', 'verdict'],
                 [[one.goal, one.wanted, one.measured,
                   'met' if one.met else 'MISSED'] for one in made])


def to_dict(backups: Iterable[Backup], listings: Sequence[Listing],
            **more: Any) -> dict[str, Any]:
    """All of it, as JSON has it.

    :param more: what else to say of the run
    """
    backups = list(backups)
    return {
        **more,
        'backups': [{**dataclasses.asdict(one), 'ratios': {
            'L2 / plain': round(one.ratio(PLAIN, CONTENT), 3),
            'L2 / in-tree restore': round(one.ratio(IN_TREE, CONTENT), 3),
            'reference / in-tree restore':
                round(one.ratio(IN_TREE, REFERENCE), 3)}}
            for one in backups],
        'listings': [dataclasses.asdict(one) for one in listings],
        'verdicts': [dataclasses.asdict(one)
                     for one in verdicts(backups, listings)]}
