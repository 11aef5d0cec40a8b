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
"""What killed which mutant, and what that says of the checks."""

from collections.abc import Sequence
import dataclasses
import textwrap
from typing import Any

from mutants import model


class MatrixError(Exception):
    """A file is no matrix."""


@dataclasses.dataclass
class Matrix:
    """The outcomes of all drivers that were run.

    :ivar mutants: those that were run
    :ivar checks: all that may be expected to kill one of them
    :ivar outcomes: by the name of the mutant, '' for the unharmed driver
    :ivar others: checks that no mutant is meant for yet
    """

    mutants: Sequence[model.Mutant]
    checks: Sequence[str]
    outcomes: dict[str, list[model.Outcome]] = dataclasses.field(
        default_factory=dict)
    others: Sequence[str] = ()

    def killers(self, mutant: model.Mutant) -> list[str]:
        """The checks that have found that something is wrong."""
        return [one.check for one in self.outcomes.get(mutant.name, [])
                if one.killed]

    def survivors(self) -> list[tuple[model.Mutant, list[str]]]:
        """Mutants with the checks that were meant to kill them, and did not.

        Each such check is a hole, even if another one has found the mutant
        by chance.
        """
        found = []
        for one in self.mutants:
            killers = self.killers(one)
            left = [check for check in one.meant if check not in killers]
            if left or not one.meant:
                found.append((one, left))
        return found

    def idle(self) -> list[str]:
        """Checks that kill no mutant."""
        busy = {check for one in self.mutants for check in self.killers(one)}
        return [check for check in self.checks if check not in busy]

    def false_alarms(self) -> list[model.Outcome]:
        """What is not a pass of the unharmed driver."""
        return [one for one in self.outcomes.get('', [])
                if one.how != 'passed']

    @property
    def good(self) -> bool:
        """Whether the checks are worth their name."""
        return not (self.survivors() or self.idle() or self.false_alarms())

    @property
    def seconds(self) -> float:
        """Of the CPU."""
        return sum(one.seconds for found in self.outcomes.values()
                   for one in found)

    def to_dict(self) -> dict[str, Any]:
        """The matrix as JSON has it, without what differs with each run."""
        return {
            'checks': list(self.checks),
            'mutants': [{
                'name': one.name, 'defect': one.defect,
                'resembles': one.resembles, 'meant': list(one.meant),
                'killed_by': self.killers(one),
                'run': [found.check for found in
                        self.outcomes.get(one.name, [])],
            } for one in self.mutants],
            'unharmed': {one.check: one.how
                         for one in self.outcomes.get('', [])},
            'others': list(self.others),
        }

    @classmethod
    def from_dict(cls, value: Any) -> 'Matrix':
        """The reverse of :meth:`to_dict`.

        :raises MatrixError: it is no matrix
        """
        try:
            made = cls([model.Mutant(
                f'mutants.{one["name"]}', one['defect'],
                tuple(one['meant']), one['resembles'])
                for one in value['mutants']], value['checks'],
                others=value.get('others', ()))
            for one in value['mutants']:
                made.outcomes[one['name']] = [
                    model.Outcome(check, 'failed' if check in
                                    one['killed_by'] else 'passed')
                    for check in one['run']]
            made.outcomes[''] = [model.Outcome(*item) for item in
                                 value['unharmed'].items()]
        except (KeyError, TypeError, AttributeError) as error:
            raise MatrixError(
                f'it is no matrix of mutants ({type(error).__name__}: '
                f'{error})') from error
        return made


def joined(old: Matrix, new: Matrix, mutants: Sequence[model.Mutant],
           checks: Sequence[str]) -> Matrix:
    """Bring in what was not run this time, and is as it was.

    :param old: of an earlier run
    :param new: of this one
    :param mutants: all that there are
    :param checks: all that there are
    """
    kept = {one.name for one in old.mutants if one in mutants}
    found = {name: outcomes for name, outcomes in old.outcomes.items()
             if name in kept} | new.outcomes
    some = [one for one in mutants if one.name in found]
    meant = {check for one in some for check in one.meant}
    made = Matrix(some, [check for check in checks if check in meant], found,
                  [check for check in checks if check not in meant])
    unharmed = {one.check: one for which in (old, new)
                for one in which.outcomes.get('', [])}
    found[''] = [unharmed[check] for check in made.checks
                 if check in unharmed]
    return made


def text(matrix: Matrix) -> str:
    """The matrix for a terminal: a column for each check.

    :param matrix: what was run
    :returns: lines; X is a kill that was meant, x another one, ! a check
        that was meant and did not kill, . a pass, and a blank was not run
    """
    lines = [f'{number + 1:3} {name}'
             for number, name in enumerate(matrix.checks)]
    width = max([len(one.name) for one in matrix.mutants] or [0])
    lines += ['', ' ' * width + ''.join(
        f'{number + 1:3}' for number in range(len(matrix.checks)))]
    for one in matrix.mutants:
        run = {found.check: found.killed
               for found in matrix.outcomes.get(one.name, [])}
        cells = []
        for check in matrix.checks:
            meant = check in one.meant
            if check not in run:
                cells.append(' ')
            elif run[check]:
                cells.append('X' if meant else 'x')
            else:
                cells.append('!' if meant else '.')
        lines.append(f'{one.name:{width}}' + ''.join(
            f'{cell:>3}' for cell in cells).rstrip())
    return '\n'.join(lines)


def findings(matrix: Matrix) -> list[str]:
    """What is wrong with the checks, one line for each."""
    lines = []
    for one, left in matrix.survivors():
        lines.append(
            f'{one.name} survived {", ".join(left)}: {one.defect}' if left
            else f'{one.name} is not meant to be killed: {one.defect}')
    lines += [f'{check} kills no mutant' for check in matrix.idle()]
    lines += [f'{found.check} {found.how} with the driver that has no '
              f'defect: {found.reason}' for found in matrix.false_alarms()]
    return lines


def idle_yet(matrix: Matrix) -> list[str]:
    """The checks that no mutant is meant for, one line for each."""
    if not matrix.others:
        return []
    return [f'{len(matrix.others)} kill nothing yet:',
            *(f'    {name}' for name in matrix.others)]


def _row(*cells: str) -> list[str]:
    lines = []
    for number, cell in enumerate(cells):
        lines += textwrap.wrap(
            cell, 79, break_long_words=False, break_on_hyphens=False,
            initial_indent='   * - ' if number == 0 else '     - ',
            subsequent_indent='       ') or ['     -']
    return lines


def rst(matrix: Matrix) -> str:
    """The matrix as two tables of reStructuredText.

    :param matrix: what was run
    :returns: the mutants with what kills them, and the checks with how many
        they kill
    """
    lines = ['.. list-table::', '   :header-rows: 1', '',
             *_row('mutant', 'its one defect', 'killed by')]
    for one in matrix.mutants:
        killers = matrix.killers(one)
        defect = one.defect
        if one.resembles:
            defect += f' Like {one.resembles}.'
        names = [f'**{check}**' for check in one.meant if check in killers]
        others = len(set(killers) - set(one.meant))
        if others:
            names.append(f'{others} more')
        lines += _row(f'``{one.name}``', defect,
                      ', '.join(names) or 'nothing')
    lines += ['', '.. list-table::', '   :header-rows: 1', '',
              *_row('check', 'meant for', 'kills', 'alone')]
    for check in matrix.checks:
        killed = [one for one in matrix.mutants
                  if check in matrix.killers(one)]
        lines += _row(
            # A name that ends with _ would be a reference.
            f'``{check}``',
            str(sum(check in one.meant for one in matrix.mutants)),
            str(len(killed)),
            str(sum(matrix.killers(one) == [check] for one in killed)))
    if matrix.others:
        lines += ['', f'{len(matrix.others)} more kill nothing yet:', '',
                  *(f'* ``{name}``' for name in matrix.others)]
    return '\n'.join(lines) + '\n'
