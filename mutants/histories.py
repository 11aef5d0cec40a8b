# SPDX-License-Identifier: Apache-2.0
"""Faulty drivers, and the histories that find them.

No history was made for any of them: these are the corpus, of Cinder's own
defects, and random ones. A driver is found by the first history with a broken
promise that no known defect of Cinder explains.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import dataclasses
import json
from typing import Any

from backup_model import drawing
from backup_model import history
from backup_model import known
from cinder_backup_recovery_tests.certification.report import table
from mutants import catalogue
from mutants import matrix
from mutants import processes
from mutants import unseen

#: The histories are the same in each run.
SEED = 1


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The verdict of histories on a faulty driver.

    :ivar name: '' for the driver without a defect
    :ivar histories: how many were run, with the one that found it
    :ivar promise: the one that was broken, '' for none
    :ivar key: how it was broken
    :ivar unseen: why no history can find it; then none was run
    :ivar trouble: why they could not be run
    """

    name: str
    defect: str
    histories: int = 0
    promise: str = ''
    key: str = ''
    unseen: str = ''
    trouble: str = ''

    @property
    def good(self) -> bool:
        """Return True if it is as it should be."""
        if self.trouble or not self.name:
            return not self.trouble and not self.promise
        return bool(self.promise or self.unseen)

    def __str__(self) -> str:
        name = self.name or 'no defect'
        if self.unseen:
            return f'{name}: cannot be seen: {self.unseen}'
        if self.trouble:
            return f'{name}: {self.trouble}'
        if self.promise:
            return (f'{name}: found by history {self.histories}: '
                    f'{self.promise} ({self.key})')
        return f'{name}: not found by {self.histories} histories'


def run(mutants: Sequence[catalogue.Mutant], histories: int, limit: float
        ) -> Iterator[Outcome]:
    """Run histories on drivers, first on the one without a defect.

    :param histories: how many are tried on each
    :param limit: seconds that one history may take
    """
    # Cinder is imported here, once for all.
    from mutants import contract
    from reference_drivers.histories import cloud  # noqa: F401
    with contract.running():
        yield _of(contract.UNHARMED, Outcome('', ''), histories, limit)
        for mutant in mutants:
            made = Outcome(mutant.name, mutant.defect,
                           unseen=unseen.reason(mutant.name))
            yield made if made.unseen else _of(
                mutant.path, made, histories, limit)


def _of(driver: str, made: Outcome, histories: int, limit: float) -> Outcome:
    numbers = [str(number) for number in range(1, histories + 1)]
    with contextlib.closing(processes.run(
            lambda: _session(driver), numbers, limit)) as answers:
        for answer in answers:
            number = int(answer.check)
            if answer.how == 'failed':
                return dataclasses.replace(made, histories=number,
                                           **json.loads(answer.reason))
            if answer.how != 'passed':
                return dataclasses.replace(
                    made, histories=number,
                    trouble=f'history {number} {answer.how}: {answer.reason}')
    return dataclasses.replace(made, histories=histories)


@contextlib.contextmanager
def _session(driver: str) -> Iterator[Callable[[str], processes.Answer]]:
    from reference_drivers.contract import binding
    from reference_drivers.histories import cloud
    from reference_drivers.histories import search

    corpus = sorted(known.CORPUS.glob('*.json'))
    with cloud.Cloud(binding.Binding(driver)) as engine:
        found = search.Search(search.at_once(engine), SEED, patience=0,
                              shortens_known=False, goes_on=True)

        def answer(number: str) -> processes.Answer:
            index = int(number) - 1
            found.take(history.read(corpus[index]) if index < len(corpus) else
                       drawing.drawn(SEED, index - len(corpus)))
            for one in found.unknown:
                broken = one.failure.broken
                return 'failed', json.dumps({
                    'promise': broken.promise, 'key': broken.key}), 0.0
            return 'passed', '', 0.0

        yield answer


def to_dict(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The outcomes as JSON has them."""
    return {'seed': SEED,
            'mutants': [dataclasses.asdict(one) for one in outcomes]}


def from_dict(value: Any) -> list[Outcome]:
    """The reverse of :func:`to_dict`.

    :raises MatrixError: it is something else
    """
    try:
        return [Outcome(**one) for one in value['mutants']]
    except (KeyError, TypeError) as error:
        raise matrix.MatrixError(
            f'not the results of histories ({type(error).__name__}: {error})'
        ) from error


def joined(old: Sequence[Outcome], new: Sequence[Outcome],
           mutants: Sequence[catalogue.Mutant]) -> list[Outcome]:
    """Add the earlier outcomes of unchanged mutants that were not run now.

    :param mutants: all that exist
    """
    found = {(one.name, one.defect): one for one in (*old, *new)}
    names = [('', ''), *((one.name, one.defect) for one in mutants)]
    return [found[name] for name in names if name in found]


def rst(outcomes: Sequence[Outcome]) -> str:
    """The outcomes as a table of reStructuredText."""
    rows = [['mutant', 'its one defect', 'found by history',
             'the promise, and how it was broken']]
    for one in outcomes:
        if one.name:
            rows.append([
                f'``{one.name}``', one.defect,
                str(one.histories) if one.promise else 'none' if one.unseen
                else f'none of {one.histories}',
                f'``{one.promise}``: {one.key}' if one.promise else
                one.unseen or one.trouble])
    return '\n'.join(table.list_table(rows)).rstrip('\n') + '\n'
