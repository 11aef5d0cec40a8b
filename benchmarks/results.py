# SPDX-License-Identifier: Apache-2.0

"""Series of measurements, goals, tables, and options of several programs."""

import argparse
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import resource
import shutil
import statistics
import sys
import tempfile
import time
from typing import Any

MIB = 1024 * 1024
GIB = 1024 * MIB

#: Bytes of the volume that have a SHA-256 of their own.
BLOCK = 32768

#: Names of the steps of a verification.
PLAIN, PRESENCE, CONTENT, PROVE = 'plain', 'L1', 'L2', 'prove'
#: L2 where no library hashes several blocks at once.
HASHLIB = 'L2, hashlib'
REFERENCE, IN_TREE = 'restore, reference', 'restore, in-tree'
EXPORT, IN_TREE_EXPORT = 'export', 'export, in-tree'
BACKUP, IN_TREE_BACKUP = 'backup, reference', 'backup, in-tree'
CHAIN, IN_TREE_CHAIN = 'chain, reference', 'chain, in-tree'

#: Storages.
DIRECTORY, SWIFT = 'directory', 'swift'

#: Of a volume: each link of a chain changes one that all of them change, and
#: one of its own.
PARTS = 32

#: Follows the name of a step that is the same with nothing to read.
EMPTY = ', empty'


class Failed(Exception):
    """The benchmark cannot go on; its figures would be wrong."""


@dataclasses.dataclass
class Series:
    """One step, measured once in each round.

    :ivar seconds: wall-clock time
    :ivar cpu: seconds that all cores together worked for this process and
        those that it has started; more telling than the wall clock where
        other programs use the machine as well
    """

    seconds: list[float] = dataclasses.field(default_factory=list)
    cpu: list[float] = dataclasses.field(default_factory=list)


def _worked() -> float:
    """CPU seconds of this process and of those that it has waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def rotated(items: Sequence[Any], number: int) -> list[Any]:
    """Items in the order of a round; each round starts with another one."""
    turn = number % len(items)
    return [*items[turn:], *items[:turn]]


def in_turns(steps: Mapping[str, Callable[[], None]], rounds: int
             ) -> dict[str, Series]:
    """Time all steps once in each round.

    Each round starts with another step, so that none is always the one after
    the writes of a restore. Rounds can take minutes, so each is named.
    """
    made = {name: Series() for name in steps}
    for number in range(rounds):
        progress(f'round {number + 1} of {rounds}')
        for name in rotated(list(steps), number):
            worked, started = _worked(), time.perf_counter()
            steps[name]()
            made[name].seconds.append(time.perf_counter() - started)
            made[name].cpu.append(_worked() - worked)
    return made


def ratio(slower: Series, faster: Series, start: Series | None = None
          ) -> float:
    """The ratio of the speeds of two steps.

    Taken within each round, where both met nearly the same load, and then the
    median. So it is not the quotient of the two medians.

    :param start: what the slower step takes for nothing, to be subtracted
    """
    nothing = start.seconds if start else [0.0] * len(slower.seconds)
    return statistics.median(
        (seconds - taken) / other for seconds, taken, other in
        zip(slower.seconds, nothing, faster.seconds, strict=True))


@dataclasses.dataclass
class Backup:
    """The measurements on one backup.

    :ivar size: bytes of the volume
    :ivar stored: bytes on the storage
    """

    compression: str
    size: int
    chunks: int
    stored: int
    steps: dict[str, Series]

    def ratio(self, slower: str, faster: str) -> float:
        """The ratio of the speeds of two steps."""
        return ratio(self.steps[slower], self.steps[faster],
                     self.steps.get(f'{slower}{EMPTY}'))

    @property
    def programs(self) -> list[str]:
        """The other programs that were measured."""
        return [name.removesuffix(EMPTY) for name in self.steps
                if name.endswith(EMPTY)]


@dataclasses.dataclass
class Listing:
    """L1 and export for a number of chunks."""

    chunks: int
    steps: dict[str, Series]

    @property
    def export_cost(self) -> float:
        """Seconds of an export beyond those of Cinder's own driver."""
        return statistics.median(
            ours - theirs for ours, theirs in
            zip(self.steps[EXPORT].seconds,
                self.steps[IN_TREE_EXPORT].seconds, strict=True))


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A goal, and the measurement."""

    goal: str
    wanted: str
    measured: str
    met: bool


def limit(goal: str, wanted: float, measured: float,
          most: bool = False) -> Verdict:
    """A verdict on a number.

    :param most: the number must not be above what is wanted, instead of not
        below
    """
    # The number as it is shown is judged: no 0.80 misses "at least 0.80".
    shown = round(measured, 2)
    return Verdict(goal, f'at {"most" if most else "least"} {wanted:.2f}',
                   f'{shown:.2f}',
                   shown <= wanted if most else shown >= wanted)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A simple table of reStructuredText, which also reads well on a screen.

    The first column is text, the others are numbers.
    """
    lines = [list(head), *(list(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rule = '  '.join('=' * width for width in widths)
    made = ['  '.join(
        cell.rjust(width) if column else cell.ljust(width)
        for column, (cell, width) in
        enumerate(zip(line, widths, strict=True))).rstrip()
        for line in lines]
    return '\n'.join([rule, made[0], rule, *made[1:], rule])


def steps_table(steps: Mapping[str, Series], size: int,
                without_data: Iterable[str] = ()) -> str:
    """Steps that read a content.

    :param size: bytes of the content
    :param without_data: steps that read none of it, and so have no speed, as
        those on nothing
    """
    rows = []
    for name, series in steps.items():
        seconds = statistics.median(series.seconds)
        speed = ('-' if name in without_data or name.endswith(EMPTY) else
                 f'{size / MIB / seconds:.0f}')
        rows.append([name, f'{seconds:.3f}', f'{min(series.seconds):.3f}',
                     f'{max(series.seconds):.3f}',
                     f'{statistics.median(series.cpu):.3f}', speed])
    return table(['step', 'seconds', 'least', 'most', 'CPU seconds',
                  'MiB/s'], rows)


def verdicts_table(verdicts: Iterable[Verdict]) -> str:
    """The goals, and whether they are met."""
    return table(['goal', 'wanted', 'measured', 'verdict'],
                 [[verdict.goal, verdict.wanted, verdict.measured,
                   'met' if verdict.met else 'MISSED']
                  for verdict in verdicts])


def whole(least: int, most: int, multiple: int = 1) -> Any:
    """A type of an argument: a whole number in bounds.

    The bounds are of what cannot be typed by accident: a full disk, or a run
    of hours.
    """
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(
                f'{text!r} is not a number') from None
        if not least <= value <= most or value % multiple:
            of = f', a multiple of {multiple}' if multiple > 1 else ''
            raise argparse.ArgumentTypeError(
                f'{value} is not from {least} to {most}{of}')
        return value

    return parse


def add_rounds(parser: argparse.ArgumentParser, usual: int = 3) -> None:
    """Add the option that most programs have."""
    parser.add_argument('--rounds', type=whole(1, 50), default=usual,
                        metavar='N', help='how often (%(default)s)')


def add_readers(parser: argparse.ArgumentParser) -> None:
    """Add the option of those that read with several threads."""
    parser.add_argument('--readers', type=whole(1, 16), default=2,
                        metavar='N', help='threads (%(default)s)')


def check_room(need: float, option: str) -> None:
    """Refuse a run that would fill the disk.

    :param need: bytes
    :param option: the one to choose a smaller value of
    :raises Failed: with the remedy
    """
    directory = tempfile.gettempdir()
    free = shutil.disk_usage(directory).free
    if free < need:
        raise Failed(
            f'{directory} has {free / MIB:.0f} MiB free, {need / MIB:.0f} are '
            f'needed; choose a smaller {option}, or another TMPDIR')


def say(text: str) -> None:
    """Print measurements."""
    print(text, flush=True)


def progress(text: str) -> None:
    """Print the step that is under way."""
    print(text, file=sys.stderr, flush=True)
