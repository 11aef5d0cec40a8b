# SPDX-License-Identifier: Apache-2.0

"""Compare the seconds of a certification with its backups and restores.

Reads the ``results.json`` of a report of ``cinder-backup-certify``, which has
the seconds of each test and of each of its steps. No suite could do without
its backups and restores.
"""

import argparse
from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses
import json
import math
import os
from typing import Any

from benchmarks import results
from cinder_backup_recovery_tests import facts
from cinder_backup_recovery_tests.certification.verdict import document

#: A report says nothing of this machine.
PACKAGES = ()
#: No suite could do without these.
UNAVOIDABLE = (facts.FULL, facts.INCREMENTAL, facts.RESTORE)
_REST = 'all else'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('report', help='its directory, or the results.json')
    parser.add_argument('--tests', type=results.whole(0, 1000), default=10,
                        metavar='N',
                        help='show so many tests, those with most seconds '
                             'beside their backups and restores (%(default)s)')
    parser.add_argument('--alone', nargs=3, type=_seconds, default=None,
                        metavar=('FULL', 'INCREMENTAL', 'RESTORE'),
                        help='also compare with these seconds, measured '
                             'without other load')


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < 3600:
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a number of seconds')
    return value


def check(arguments: argparse.Namespace) -> None:
    load(arguments.report)


def load(path: str) -> dict[str, Any]:
    """Read a report.

    :param path: its directory, or its results.json
    :raises Failed: it is not a report
    """
    if os.path.isdir(path):
        path = os.path.join(path, 'results.json')
    try:
        with open(path, encoding='utf-8') as stream:
            found = json.load(stream)
    except (OSError, ValueError) as err:
        raise results.Failed(f'{path} cannot be read: {err}') from err
    for problem in document.problems(found):
        raise results.Failed(f'{path} is not a report: {problem}')
    return found


@dataclasses.dataclass
class Spent:
    """The seconds of a test, or of the set-ups of a class.

    :ivar name: of the test, or of the class
    :ivar seconds: those of the steps, and others
    """

    name: str
    seconds: float
    steps: list[facts.Step]

    @property
    def unavoidable(self) -> float:
        """Seconds of its backups and restores."""
        return sum(step.seconds for step in self.steps
                   if step.kind in UNAVOIDABLE)

    @property
    def beside(self) -> float:
        """The other seconds."""
        return self.seconds - self.unavoidable


def spent(tests: Sequence[dict[str, Any]]) -> list[Spent]:
    """The seconds of each test, and of each set-up of a class.

    The steps of a test begin with those of its class, whose seconds are not
    the test's. They are the same in all tests of the class, and count once.

    :param tests: of a results.json
    :returns: the tests, and then the classes
    """
    made = []
    classes: dict[str, list[facts.Step]] = {}
    for test in tests:
        name = test['id'].partition('[')[0]
        above = name.rpartition('.')[0]
        steps = facts.Facts.of(test).steps
        set_up = [step for step in steps if step.set_up]
        # The last test of a class has the steps of it that ran in between.
        classes[above] = max(classes.get(above, []), set_up, key=len)
        made.append(Spent(name, test['seconds'],
                          [step for step in steps if not step.set_up]))
    return made + [
        Spent(f'{name}, set-up', sum(step.seconds for step in steps), steps)
        for name, steps in classes.items() if steps]


def kinds(made: Iterable[Spent]) -> dict[str, tuple[int, float]]:
    """The number and the seconds of each kind of step.

    Seconds outside of any step are part of the rest.
    """
    counts = dict.fromkeys([*facts.KINDS, _REST], 0)
    seconds = dict.fromkeys(counts, 0.0)
    for test in made:
        seconds[_REST] += test.seconds
        for step in test.steps:
            counts[step.kind or _REST] += 1
            if step.kind:
                seconds[step.kind] += step.seconds
                seconds[_REST] -= step.seconds
    return {kind: (counts[kind], round(seconds[kind], 1)) for kind in counts}


def verdicts(found: dict[str, tuple[int, float]],
             alone: Sequence[float] | None) -> list[results.Verdict]:
    """Compare the seconds with the goal.

    :param found: of :func:`kinds`
    :param alone: seconds of a full backup, of an incremental one and of a
        restore without other load
    :raises Failed: there is nothing to compare with
    """
    total = sum(seconds for _, seconds in found.values())
    least = sum(found[kind][1] for kind in UNAVOIDABLE)
    if not least:
        raise results.Failed('the report has no backup and no restore')
    made = [results.limit('seconds to those of backups and restores', 1.5,
                          total / least, most=True)]
    if alone:
        made.append(results.limit(
            'seconds to those of backups and restores, alone', 1.5,
            total / sum(found[kind][0] * seconds for kind, seconds in
                        zip(UNAVOIDABLE, alone, strict=True)), most=True))
    return made


def kinds_table(found: dict[str, tuple[int, float]]) -> str:
    """The seconds by kind of step."""
    total = sum(seconds for _, seconds in found.values())
    return results.table(
        ['step', 'times', 'seconds', 'share'],
        [[kind, str(count), f'{seconds:.1f}',
          f'{100 * seconds / total:.0f} %'] for kind, (count, seconds) in
         found.items()])


def tests_table(made: Iterable[Spent], count: int) -> str:
    """The tests with the most seconds beside their backups and restores."""
    most = sorted(made, key=lambda test: -test.beside)[:count]
    return results.table(
        ['test', 'seconds', 'unavoidable', 'beside'],
        [[test.name.rpartition('.')[2], f'{test.seconds:.1f}',
          f'{test.unavoidable:.1f}', f'{test.beside:.1f}'] for test in most])


def measure(arguments: argparse.Namespace
            ) -> tuple[dict[str, Any], list[results.Verdict]]:
    report = load(arguments.report)
    made = spent(report['tests'])
    found = kinds(made)
    judged = verdicts(found, arguments.alone)
    total = sum(test.seconds for test in made)
    results.say(
        f'{report.get("backup")}, {len(report["tests"])} tests, '
        f'{report.get("verdict")}: {total:.1f} s of tests and of set-ups of '
        f'classes in {report["seconds"]:.1f} s of the clock')
    results.say(f'\n{kinds_table(found)}')
    if arguments.tests:
        results.say('\nMost seconds beside backups and restores\n\n'
                    f'{tests_table(made, arguments.tests)}')
    return ({'backup': report.get('backup'), 'clock': report['seconds'],
             'kinds': {kind: {'times': count, 'seconds': seconds}
                       for kind, (count, seconds) in found.items()},
             'tests': [{'name': test.name, 'seconds': test.seconds,
                        'unavoidable': round(test.unavoidable, 1)}
                       for test in made]}, judged)
