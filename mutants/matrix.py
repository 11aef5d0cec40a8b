# SPDX-License-Identifier: Apache-2.0
"""Killers of each mutant, and conclusions about the checks."""

from collections.abc import Sequence
import dataclasses
from typing import Any

from cinder_backup_recovery_tests.certification.report import table
from mutants import catalogue


class MatrixError(Exception):
    """There is no matrix, or a file is not one."""


@dataclasses.dataclass
class Outcome:
    """The result of one check on one mutant.

    :ivar how: passed, failed, hung, crashed or skipped; or broken, where it
        could not start
    :ivar reason: the last line of its message
    :ivar seconds: of the CPU, or of the clock where it waits for a cloud
    """

    check: str
    how: str
    reason: str = ''
    seconds: float = 0.0

    @property
    def killed(self) -> bool:
        """True if the check has found a defect."""
        return self.how in ('failed', 'hung', 'crashed')


@dataclasses.dataclass
class Matrix:
    """The outcomes of all mutants that were run.

    :ivar checks: all that may be expected to kill one of them
    :ivar outcomes: by the name of the mutant, '' for the run without a defect
    :ivar others: checks that no mutant is meant for yet
    """

    mutants: Sequence[catalogue.Mutant]
    checks: Sequence[str]
    outcomes: dict[str, list[Outcome]] = dataclasses.field(
        default_factory=dict)
    others: Sequence[str] = ()

    def killers(self, mutant: catalogue.Mutant) -> list[str]:
        """The checks that have found a defect."""
        return [outcome.check for outcome in
                self.outcomes.get(mutant.name, []) if outcome.killed]

    def survivors(self) -> list[tuple[catalogue.Mutant, list[str]]]:
        """Mutants with the checks that were meant to kill them, and did not.

        Each such check is a hole, even if another one has found the mutant
        by chance.
        """
        found = []
        for mutant in self.mutants:
            killers = self.killers(mutant)
            left = [check for check in mutant.meant if check not in killers]
            if left or not mutant.meant:
                found.append((mutant, left))
        return found

    def idle(self) -> list[str]:
        """Checks that kill no mutant."""
        busy = {check for mutant in self.mutants
                for check in self.killers(mutant)}
        return [check for check in self.checks if check not in busy]

    def false_alarms(self) -> list[Outcome]:
        """Results other than a pass, where there is no defect."""
        return [outcome for outcome in self.outcomes.get('', [])
                if outcome.how != 'passed']

    @property
    def good(self) -> bool:
        """True if the checks find what they should, and nothing else."""
        return not (self.survivors() or self.idle() or self.false_alarms())

    @property
    def seconds(self) -> float:
        """Those of all checks."""
        return sum(outcome.seconds for found in self.outcomes.values()
                   for outcome in found)

    def to_dict(self) -> dict[str, Any]:
        """The matrix as JSON has it, without what differs with each run."""
        return {
            'mutants': [{
                'name': mutant.name, 'defect': mutant.defect,
                'resembles': mutant.resembles, 'meant': list(mutant.meant),
                'killed_by': self.killers(mutant),
                'run': [outcome.check for outcome in
                        self.outcomes.get(mutant.name, [])],
            } for mutant in self.mutants],
            'unharmed': {outcome.check: outcome.how
                         for outcome in self.outcomes.get('', [])},
            'others': list(self.others),
        }

    @classmethod
    def from_dict(cls, value: Any) -> 'Matrix':
        """The reverse of :meth:`to_dict`.

        :raises MatrixError: it is not a matrix
        """
        try:
            made = cls([], [*value['unharmed']],
                       others=value.get('others', ()))
            made.mutants = [catalogue.Mutant(
                f'mutants.{entry["name"]}', entry['defect'],
                tuple(entry['meant']), entry['resembles'])
                for entry in value['mutants']]
            for entry in value['mutants']:
                made.outcomes[entry['name']] = [
                    Outcome(check, 'failed' if check in entry['killed_by']
                            else 'passed') for check in entry['run']]
            made.outcomes[''] = [Outcome(*item) for item in
                                 value['unharmed'].items()]
        except (KeyError, TypeError, AttributeError) as error:
            raise MatrixError(
                f'not a matrix of mutants ({type(error).__name__}: '
                f'{error})') from error
        return made


def joined(old: Matrix, new: Matrix, mutants: Sequence[catalogue.Mutant],
           checks: Sequence[str]) -> Matrix:
    """Add the earlier results of unchanged mutants that were not run now.

    :param mutants: all that exist
    :param checks: all that exist
    """
    kept = {mutant.name for mutant in old.mutants if mutant in mutants}
    found = {name: outcomes for name, outcomes in old.outcomes.items()
             if name in kept} | new.outcomes
    some = [mutant for mutant in mutants if mutant.name in found]
    meant = {check for mutant in some for check in mutant.meant}
    made = Matrix(some, [check for check in checks if check in meant], found,
                  [check for check in checks if check not in meant])
    unharmed = {outcome.check: outcome for which in (old, new)
                for outcome in which.outcomes.get('', [])}
    found[''] = [unharmed[check] for check in made.checks
                 if check in unharmed]
    return made


def text(matrix: Matrix) -> str:
    """The matrix for a terminal: a column for each check.

    :returns: lines; X is a kill that was meant, x another one, ! a check
        that was meant and did not kill, . a pass, and a blank was not run
    """
    lines = [f'{number + 1:3} {name}'
             for number, name in enumerate(matrix.checks)]
    width = max((len(mutant.name) for mutant in matrix.mutants), default=0)
    lines += ['', ' ' * width + ''.join(
        f'{number + 1:3}' for number in range(len(matrix.checks)))]
    for mutant in matrix.mutants:
        killed = {outcome.check: outcome.killed
                  for outcome in matrix.outcomes.get(mutant.name, [])}
        cells = ''.join(
            ' ' if check not in killed else
            ('X!' if check in mutant.meant else 'x.')[not killed[check]]
            for check in matrix.checks)
        lines.append(f'{mutant.name:{width}}' + ''.join(
            f'{cell:>3}' for cell in cells).rstrip())
    return '\n'.join(lines)


def findings(matrix: Matrix) -> list[str]:
    """The faults of the checks, one line for each."""
    lines = []
    for mutant, left in matrix.survivors():
        lines.append(
            f'{mutant.name} survived {", ".join(left)}: {mutant.defect}'
            if left else
            f'{mutant.name} is not meant to be killed: {mutant.defect}')
    lines += [f'{check} kills no mutant' for check in matrix.idle()]
    lines += [f'{outcome.check} {outcome.how} without a defect: '
              f'{outcome.reason}' for outcome in matrix.false_alarms()]
    return lines


def idle_yet(matrix: Matrix) -> list[str]:
    """The checks that no mutant is meant for, one line for each."""
    if not matrix.others:
        return []
    return [f'{len(matrix.others)} kill nothing yet:',
            *(f'    {name}' for name in matrix.others)]


def rst(matrix: Matrix) -> str:
    """The matrix as two tables of reStructuredText.

    :returns: the mutants with the checks that kill them, and the checks with
        how many they kill
    """
    rows = [['mutant', 'its one defect', 'killed by']]
    for mutant in matrix.mutants:
        killers = matrix.killers(mutant)
        names = [f'**{check}**' for check in mutant.meant if check in killers]
        others = len(set(killers) - set(mutant.meant))
        if others:
            names.append(f'{others} more')
        like = f' Like {mutant.resembles}.' if mutant.resembles else ''
        rows.append([f'``{mutant.name}``', mutant.defect + like,
                     ', '.join(names) or 'nothing'])
    lines = table.list_table(rows)
    rows = [['check', 'meant for', 'kills', 'alone']]
    for check in matrix.checks:
        killers_of = [matrix.killers(mutant) for mutant in matrix.mutants]
        rows.append([
            # A name that ends with _ would be a reference.
            f'``{check}``',
            str(sum(check in mutant.meant for mutant in matrix.mutants)),
            str(sum(check in killers for killers in killers_of)),
            str(killers_of.count([check]))])
    lines += table.list_table(rows)
    if matrix.others:
        lines += [f'{len(matrix.others)} more kill nothing yet:', '',
                  *(f'* ``{name}``' for name in matrix.others)]
    return '\n'.join(lines).rstrip('\n') + '\n'
