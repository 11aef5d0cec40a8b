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

"""What level presence asks of a store that is a server."""

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import statistics
from typing import Any

from benchmarks import command
from benchmarks import results

MIB = results.MIB


@dataclasses.dataclass
class Listed:
    """L1 for a number of chunks.

    :ivar requests: all that L1 has sent, those for a token as well
    :ivar pages: how many of them were for a page of a listing
    :ivar in_tree_requests: what Cinder's own restore sends before the first
        chunk
    :ivar memory: the most bytes that L1 had at a time
    :ivar reads: how many of the requests of L1 were for a part of an object,
        where one does not get all of it
    """

    chunks: int
    requests: int
    pages: int
    in_tree_requests: int
    memory: int
    reads: int = 0
    presence: results.Series = dataclasses.field(
        default_factory=results.Series)
    in_tree: results.Series = dataclasses.field(
        default_factory=results.Series)

    @property
    def others(self) -> int:
        """Requests that are neither a page of a listing nor a part."""
        return self.requests - self.pages - self.reads


def measure(made: Listed, verify: Callable[[], None],
            read: Callable[[], None], rounds: int,
            before: Callable[[], None] = lambda: None) -> None:
    """Time L1, and what Cinder's own restore reads, in turns.

    :param made: gets the times
    :param verify: the one
    :param read: the other
    :param rounds: how often
    :param before: called before each of them, and not timed
    """
    # It imports Cinder, which takes seconds.
    from benchmarks import steps

    timed = [(made.presence, verify), (made.in_tree, read)]
    for number in range(rounds):
        turn = number % len(timed)
        for series, step in timed[turn:] + timed[:turn]:
            before()
            steps.timed(series, step)


def table(listed: Sequence[Listed]) -> str:
    """L1 against the number of chunks.

    The pages are of its requests, and so are the reads.
    """
    reads = any(one.reads for one in listed)
    return results.table(
        ['chunks', 'L1 s', *([] if reads else ['CPU s']), 'in-tree s',
         'requests', 'pages', *(['reads'] if reads else []),
         'in-tree requests', 'peak MiB'],
        [[f'{one.chunks:,}', f'{statistics.median(one.presence.seconds):.3f}',
          *([] if reads else [f'{statistics.median(one.presence.cpu):.3f}']),
          f'{statistics.median(one.in_tree.seconds):.3f}', str(one.requests),
          str(one.pages), *([str(one.reads)] if reads else []),
          str(one.in_tree_requests), f'{one.memory / MIB:.2f}']
         for one in listed])


def tell(name: str, arguments: Any, machine: dict[str, Any],
         listed: Sequence[Listed], judged: Sequence[results.Verdict]
         ) -> dict[str, Any]:
    """Print what was measured.

    :param name: of the storage, as the JSON has it
    :param arguments: of the program
    :param machine: that of the measurement
    :returns: all of it, for JSON
    """
    command.say(f'\n{arguments.rounds} rounds\n\n{table(listed)}')
    command.say(f'\nGoals\n\n{results.verdicts_table(judged)}')
    return {'machine': machine, 'options': command.options(arguments),
            name: [dataclasses.asdict(one) for one in listed],
            'verdicts': [dataclasses.asdict(one) for one in judged]}
