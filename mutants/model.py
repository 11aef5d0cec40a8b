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
"""A mutant, and what a check says of it."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Mutant:
    """Something with one defect.

    :ivar path: where it is defined, as ``mutants.MODULE.NAME``
    :ivar defect: what it does wrong, in one sentence
    :ivar meant: the checks that are there to find just that; each must
    :ivar resembles: a defect of this kind that real software had
    """

    path: str
    defect: str
    meant: tuple[str, ...]
    resembles: str = ''

    @property
    def name(self) -> str:
        """Module and name, without the name of this room."""
        return self.path.partition('.')[2]


@dataclasses.dataclass
class Outcome:
    """What one check said of one mutant.

    :ivar how: passed, failed, hung, crashed or skipped; or broken, where it
        could not begin
    :ivar reason: the last line of what it said
    :ivar seconds: of the CPU, or of the clock for what waits for others
    """

    check: str
    how: str
    reason: str = ''
    seconds: float = 0.0

    @property
    def killed(self) -> bool:
        """Whether the check has found that something is wrong."""
        return self.how in ('failed', 'hung', 'crashed')


def sentence(documented: object) -> str:
    """The defect of what is documented with it.

    :param documented: a class or a function
    :returns: its docstring in one line
    """
    # Joined, since a docstring may have two lines.
    return ' '.join(str(documented.__doc__).split())
