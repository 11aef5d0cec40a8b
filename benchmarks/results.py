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

#: What follows the name of another program where it has nothing to read.
EMPTY = ', empty'


class Failed(Exception):
    """The benchmark cannot go on; nothing that it would say is true."""


@dataclasses.dataclass
class Series:
    """One step, measured once in each round.

    :ivar seconds: of the clock on the wall
    :ivar cpu: seconds that all cores together worked for this process and
        those that it has started; it says more than the clock where others
        use the machine as well
    """

    seconds: list[float] = dataclasses.field(default_factory=list)
    cpu: list[float] = dataclasses.field(default_factory=list)


def ratio(slower: Series, faster: Series, start: Series | None = None
          ) -> float:
    """How many times as fast one step is as another.

    Taken within each round, where both met nearly the same load of others,
    and then the median. So it is not the quotient of the two medians.

    :param slower: the step to compare with
    :param faster: the step that is judged
    :param start: what the first one takes for nothing, which is taken off
    :returns: above 1 if it is faster indeed
    """
    nothing = start.seconds if start else [0.0] * len(slower.seconds)
    return statistics.median(
        (one - taken) / other for one, taken, other in
        zip(slower.seconds, nothing, faster.seconds, strict=True))


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
        return ratio(self.steps[slower], self.steps[faster],
                     self.steps.get(f'{slower}{EMPTY}'))

    @property
    def programs(self) -> list[str]:
        """Other programs that were measured beside it."""
        return [name.removesuffix(EMPTY) for name in self.steps
                if name.endswith(EMPTY)]


@dataclasses.dataclass
class Listing:
    """What L1 and export cost for a number of chunks.

    :ivar memory: the most bytes that L1 had at a time
    :ivar in_tree_memory: the same of what Cinder's own restore reads before
        the first chunk
    :ivar listings: how often L1 asked the store what it has
    :ivar reads: how many objects L1 has read
    :ivar driver_info: bytes that export adds to the record
    :ivar export_calls: listings and reads of an export
    """

    chunks: int
    memory: int
    in_tree_memory: int
    listings: int
    reads: int
    driver_info: int
    export_calls: int = 0
    presence: Series = dataclasses.field(default_factory=Series)
    export: Series = dataclasses.field(default_factory=Series)
    in_tree_export: Series = dataclasses.field(default_factory=Series)

    @property
    def calls(self) -> int:
        """Listings and reads of L1."""
        return self.listings + self.reads

    @property
    def export_cost(self) -> float:
        """Seconds of an export beyond those of Cinder's own driver."""
        return statistics.median(
            ours - theirs for ours, theirs in
            zip(self.export.seconds, self.in_tree_export.seconds,
                strict=True))


@dataclasses.dataclass(frozen=True)
class Content:
    """The memory of L2 for a number of chunks.

    :ivar chunk: bytes of the volume in a chunk
    :ivar memory: the most bytes that L2 had at a time
    """

    chunks: int
    chunk: int
    readers: int
    memory: int


@dataclasses.dataclass(frozen=True)
class Verdict:
    """One goal, and what was measured."""

    goal: str
    wanted: str
    measured: str
    met: bool


def limit(goal: str, wanted: float, measured: float,
          most: bool = False) -> Verdict:
    """A verdict on a number.

    :param most: whether the number must not be above what is wanted
    """
    # What is judged is what is shown: no 0.80 that misses at least 0.80.
    shown = round(measured, 2)
    return Verdict(goal, f'at {"most" if most else "least"} {wanted:.2f}',
                   f'{shown:.2f}',
                   shown <= wanted if most else shown >= wanted)


def verdicts(backups: Iterable[Backup], listings: Sequence[Listing],
             contents: Sequence[Content]) -> list[Verdict]:
    """Compare what was measured with the goals.

    :param backups: measured in one run
    :param listings: by number of chunks, may be empty
    :param contents: the same
    :returns: a verdict for each goal
    """
    made = []
    for one in backups:
        made += [
            limit(f'{one.compression}: L2 as fast as plain', 0.8,
                   one.ratio(PLAIN, CONTENT)),
            limit(f'{one.compression}: L2 as fast as in-tree restore', 3,
                   one.ratio(IN_TREE, CONTENT)),
            *(limit(f'{one.compression}: L2 as fast as {name}', 3,
                     one.ratio(name, CONTENT)) for name in one.programs),
            limit(f'{one.compression}: memory of L2 in readers times chunk',
                   1, one.memory / (one.readers * one.chunk), most=True)]
    if contents:
        memory = [one.memory for one in contents]
        made.append(limit('memory of L2, most chunks to fewest',
                           1.1, memory[-1] / memory[0], most=True))
    if listings:
        made += _listing_verdicts(listings)
    return made


def _listing_verdicts(listings: Sequence[Listing]) -> list[Verdict]:
    fewest, most = listings[0], listings[-1]
    size = max(one.driver_info for one in listings)
    return [
        same('calls of L1 for any number of chunks',
             [one.calls for one in listings]),
        limit('memory of L1 to that of Cinder, most chunks', 1,
               most.memory / most.in_tree_memory, most=True),
        same('calls of export for any number of chunks',
             [one.export_calls for one in listings]),
        limit('cost of export, most chunks to fewest', 1.1,
               most.export_cost / fewest.export_cost, most=True),
        Verdict('bytes that export adds to the record', 'below 4096',
                str(size), size < 4096)]


def same(goal: str, measured: Sequence[int]) -> Verdict:
    """A verdict on numbers that must not differ."""
    return Verdict(goal, 'the same', ', '.join(str(one) for one in measured),
                   len(set(measured)) == 1)


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

    L1 reads none of the chunks, and of an empty repository there is nothing
    to read, so that they have no MiB per second.
    """
    rows = []
    for name, series in one.steps.items():
        seconds = statistics.median(series.seconds)
        speed = ('-' if name == PRESENCE or name.endswith(EMPTY) else
                 f'{one.size / MIB / seconds:.0f}')
        rows.append([name, f'{seconds:.3f}',
                     f'{min(series.seconds):.3f}',
                     f'{max(series.seconds):.3f}',
                     f'{statistics.median(series.cpu):.3f}', speed])
    return table(['step', 'seconds', 'least', 'most', 'CPU seconds',
                  'MiB/s'], rows)


def ratios_table(backups: Sequence[Backup]) -> str:
    """The ratios of L2, of a restore, and the memory of L2."""
    programs = list(dict.fromkeys(
        name for one in backups for name in one.programs))
    return table(
        ['compression', 'plain', 'in-tree', *programs,
         'reference to in-tree', 'L2 peak MiB'],
        [[one.compression, f'{one.ratio(PLAIN, CONTENT):.2f}',
          f'{one.ratio(IN_TREE, CONTENT):.2f}',
          *(f'{one.ratio(name, CONTENT):.2f}' if name in one.programs else '-'
            for name in programs),
          f'{one.ratio(IN_TREE, REFERENCE):.2f}',
          f'{one.memory / MIB:.1f}'] for one in backups])


def listings_table(listings: Iterable[Listing]) -> str:
    """L1 against the number of chunks."""
    return table(
        ['chunks', 'L1 seconds', 'listings', 'reads', 'L1 peak MiB',
         'Cinder peak MiB'],
        [[f'{one.chunks:,}', f'{statistics.median(one.presence.seconds):.4f}',
          str(one.listings), str(one.reads), f'{one.memory / MIB:.2f}',
          f'{one.in_tree_memory / MIB:.2f}']
         for one in listings])


def exports_table(listings: Iterable[Listing]) -> str:
    """Export against the number of chunks."""
    return table(
        ['chunks', 'export seconds', 'in-tree seconds', 'calls',
         'driver_info bytes'],
        [[f'{one.chunks:,}', f'{statistics.median(one.export.seconds):.4f}',
          f'{statistics.median(one.in_tree_export.seconds):.4f}',
          str(one.export_calls), str(one.driver_info)]
         for one in listings])


def contents_table(contents: Iterable[Content]) -> str:
    """The memory of L2 against the number of chunks."""
    return table(
        ['chunks', 'MiB in each', 'readers', 'L2 peak MiB'],
        [[f'{one.chunks:,}', f'{one.chunk / MIB:.2f}', str(one.readers),
          f'{one.memory / MIB:.2f}'] for one in contents])


def verdicts_table(made: Iterable[Verdict]) -> str:
    """The goals, and whether they are met."""
    return table(['goal', 'wanted', 'measured', 'verdict'],
                 [[one.goal, one.wanted, one.measured,
                   'met' if one.met else 'MISSED'] for one in made])


def to_dict(backups: Iterable[Backup], listings: Sequence[Listing],
            contents: Sequence[Content], **more: Any) -> dict[str, Any]:
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
                round(one.ratio(IN_TREE, REFERENCE), 3),
            **{f'L2 / {name}': round(one.ratio(name, CONTENT), 3)
               for name in one.programs}}}
            for one in backups],
        'listings': [dataclasses.asdict(one) for one in listings],
        'contents': [dataclasses.asdict(one) for one in contents],
        'verdicts': [dataclasses.asdict(one)
                     for one in verdicts(backups, listings, contents)]}
