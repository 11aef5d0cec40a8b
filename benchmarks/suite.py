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

"""Say where the time of a certification went.

Reads the ``results.json`` of a report of ``cinder-backup-certify``, which has
the seconds of each test and of each step that it tells of, and compares all of
them with what no suite could do without, its backups and restores::

    python -m benchmarks.suite certify-report --json suite.json

Exit codes: 0 said, also where a goal is missed, since time is no test; 3 there
is no such report.
"""

import argparse
from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses
import json
import math
import os
import sys
from typing import Any

from benchmarks import command
from benchmarks import results
from cinder_backup_recovery_tests import facts

_SCHEMA = 2
_TESTS_MOST = 1000
#: What cannot be done without.
UNAVOIDABLE = (facts.FULL, facts.INCREMENTAL, facts.RESTORE)
_REST = 'all else'


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog='python -m benchmarks.suite',
        description='Say where the time of a certification went.')
    made.add_argument('report', help='its directory, or the results.json')
    made.add_argument('--tests', type=command.whole(0, _TESTS_MOST),
                      default=10, metavar='N',
                      help='name so many tests, those with most seconds '
                           'beside their backups and restores (%(default)s)')
    made.add_argument('--alone', nargs=3, type=_seconds, default=None,
                      metavar=('FULL', 'INCREMENTAL', 'RESTORE'),
                      help='also compare with these seconds, of one that '
                           'nothing ran beside')
    made.add_argument('--json', metavar='FILE',
                      help='also write all that was found there')
    made.set_defaults(directory=None)
    return made


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < 3600:
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a number of seconds')
    return value


def check(arguments: Any) -> None:
    """Refuse what cannot be written.

    :raises Failed: with the remedy
    """
    command.check(arguments, 0)


def load(path: str) -> dict[str, Any]:
    """Read a report.

    :param path: its directory, or its results.json
    :raises Failed: it is none
    """
    if os.path.isdir(path):
        path = os.path.join(path, 'results.json')
    try:
        with open(path, encoding='utf-8') as stream:
            found = json.load(stream)
    except OSError as err:
        raise results.Failed(f'{path} cannot be read: {err.strerror}') from err
    except ValueError as err:
        raise results.Failed(f'{path} is not JSON: {err}') from err
    if not isinstance(found, dict) or found.get('schema') != _SCHEMA:
        raise results.Failed(f'{path} is not the results.json of a report, '
                             f'of schema {_SCHEMA}')
    try:
        for test in found['tests']:
            if not (isinstance(test['id'], str) and
                    all(facts.Step(**step).kind in ('', *facts.KINDS)
                        for step in test['steps'])):
                raise TypeError
            float(test['seconds'])
        float(found['seconds'])
    except (KeyError, TypeError, ValueError) as err:
        raise results.Failed(f'{path} does not have what the schema of a '
                             'report asks for; see cinder-backup-certify '
                             'verify-report') from err
    return found


@dataclasses.dataclass
class Spent:
    """What a test, or the set-ups of a class, took.

    :ivar name: of the test, or of the class
    :ivar seconds: all of it
    :ivar steps: those that it tells of
    """

    name: str
    seconds: float
    steps: list[facts.Step]

    @property
    def unavoidable(self) -> float:
        """Seconds of its backups and restores."""
        return sum(one.seconds for one in self.steps
                   if one.kind in UNAVOIDABLE)

    @property
    def beside(self) -> float:
        """Seconds of all else."""
        return self.seconds - self.unavoidable


def spent(tests: Sequence[dict[str, Any]]) -> list[Spent]:
    """What each test took, and each set-up of a class.

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
        steps = [facts.Step(**step) for step in test['steps']]
        set_up = [step for step in steps if step.set_up]
        # What a class did while its tests ran is told by the last of them.
        classes[above] = max(classes.get(above, []), set_up, key=len)
        made.append(Spent(name, float(test['seconds']),
                          [step for step in steps if not step.set_up]))
    return made + [
        Spent(f'{name}, set-up', sum(step.seconds for step in steps), steps)
        for name, steps in classes.items() if steps]


def kinds(made: Iterable[Spent]) -> dict[str, tuple[int, float]]:
    """How often there is each kind of step, and its seconds.

    What no step tells of is part of the rest.
    """
    counts = dict.fromkeys([*facts.KINDS, _REST], 0)
    seconds = dict.fromkeys(counts, 0.0)
    total = 0.0
    for one in made:
        total += one.seconds
        for part in one.steps:
            counts[part.kind or _REST] += 1
            seconds[part.kind or _REST] += part.seconds
    seconds[_REST] = total - sum(value for kind, value in seconds.items()
                                 if kind != _REST)
    return {kind: (counts[kind], round(seconds[kind], 1)) for kind in counts}


def verdicts(found: dict[str, tuple[int, float]],
             alone: Sequence[float] | None) -> list[results.Verdict]:
    """Compare what was found with the goal.

    :param found: of :func:`kinds`
    :param alone: seconds of a full backup, of an incremental one and of a
        restore that nothing ran beside
    :raises Failed: there is nothing to compare with
    """
    total = sum(seconds for _, seconds in found.values())
    least = sum(found[kind][1] for kind in UNAVOIDABLE)
    if not least:
        raise results.Failed('the report tells of no backup and no restore')
    made = [results.limit('seconds to those of backups and restores', 1.5,
                          total / least, most=True)]
    if alone:
        made.append(results.limit(
            'seconds to those of backups and restores, alone', 1.5,
            total / sum(found[kind][0] * seconds for kind, seconds in
                        zip(UNAVOIDABLE, alone, strict=True)), most=True))
    return made


def kinds_table(found: dict[str, tuple[int, float]]) -> str:
    """Where the time went."""
    total = sum(seconds for _, seconds in found.values())
    return results.table(
        ['step', 'times', 'seconds', 'share'],
        [[kind, str(count), f'{seconds:.1f}',
          f'{100 * seconds / total:.0f} %'] for kind, (count, seconds) in
         found.items()])


def tests_table(made: Iterable[Spent], count: int) -> str:
    """Those with the most seconds beside their backups and restores."""
    most = sorted(made, key=lambda one: -one.beside)[:count]
    return results.table(
        ['test', 'seconds', 'unavoidable', 'beside'],
        [[one.name.rpartition('.')[2], f'{one.seconds:.1f}',
          f'{one.unavoidable:.1f}', f'{one.beside:.1f}'] for one in most])


def measure(arguments: Any) -> dict[str, Any]:
    """Read the report, and print.

    :param arguments: of :func:`parser`
    :returns: all of it, for JSON
    """
    report = load(arguments.report)
    made = spent(report['tests'])
    found = kinds(made)
    judged = verdicts(found, arguments.alone)
    total = sum(one.seconds for one in made)
    command.say(
        f'{report.get("backup")}, {len(report["tests"])} tests, '
        f'{report.get("verdict")}: {total:.1f} s of tests and of set-ups of '
        f'classes in {report["seconds"]:.1f} s of the clock')
    command.say(f'\n{kinds_table(found)}')
    if arguments.tests:
        command.say('\nMost seconds beside backups and restores\n\n'
                    f'{tests_table(made, arguments.tests)}')
    command.say(f'\nGoals\n\n{results.verdicts_table(judged)}')
    return {'backup': report.get('backup'), 'clock': report['seconds'],
            'kinds': {kind: {'times': count, 'seconds': seconds}
                      for kind, (count, seconds) in found.items()},
            'tests': [{'name': one.name, 'seconds': one.seconds,
                       'unavoidable': round(one.unavoidable, 1)}
                      for one in made],
            'verdicts': [dataclasses.asdict(one) for one in judged]}


def main(argv: list[str] | None = None) -> int:
    """The program.

    :param argv: arguments without the program's name
    :returns: the exit code
    """
    return command.main(parser(), check, measure, argv)


if __name__ == '__main__':
    sys.exit(main())
