# SPDX-License-Identifier: Apache-2.0

"""Run faulty drivers or clouds, and see the checks find each.

For example, in Cinder's virtualenv the drivers, and in one that has the local
cloud the clouds::

    python -m mutants
    python -m mutants --only-meant --regex restores
    python -m mutants clouds --regex imports
    python -m mutants clouds --backup swift
    python -m mutants tenant
    python -m mutants histories

Exit codes: 0 each mutant is killed by all checks that are meant for it, each
check of the contract kills a mutant, and the driver or cloud without a defect
passes; 1 one of these does not hold; 2 it was stopped; 3 the command is wrong,
or the cloud did not start.
"""

import argparse
from collections.abc import Sequence
import json
import pathlib
import re
import signal
import sys
from typing import Any

from cinder_backup_recovery_tests import connecting
from cinder_backup_recovery_tests.certification.report import compact
from cinder_backup_recovery_tests.cmd import programs
from mutants import catalogue
from mutants import histories
from mutants import matrix
from mutants import tenant

GOOD, BAD, STOPPED, WRONG = 0, 1, 2, 3
DRIVERS, CLOUDS, TENANT, HISTORIES = (
    'drivers', 'clouds', 'tenant', 'histories')


def _all(kind: str) -> list[catalogue.Mutant]:
    if kind == TENANT:
        return tenant.mutants()
    return catalogue.clouds() if kind == CLOUDS else catalogue.drivers()


def _regex(value: str) -> re.Pattern[str]:
    try:
        return re.compile(value)
    except re.error as error:
        raise argparse.ArgumentTypeError(
            f'{value!r} is not a regular expression: {error}') from None


def _seconds(value: str) -> float:
    try:
        found = float(value)
    except ValueError:
        found = 0.0
    if not 0 < found < 1e6:
        raise argparse.ArgumentTypeError(
            f'{value!r} is not a duration in seconds')
    return found


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = programs.Parser('python -m mutants', description=(
        'Run drivers that have one defect each through the contract, or give '
        'a local cloud one defect after the other and run the tests of the '
        'Tempest plugin, and print which check finds which defect. The '
        'drivers take about half a minute of a CPU each.'))
    made.add_argument('kind', nargs='?', default=DRIVERS,
                      choices=[DRIVERS, CLOUDS, TENANT, HISTORIES],
                      help='tenant: drivers and clouds, by the tests of a '
                           'user with the role member; histories: the '
                           'drivers, by histories in place of the contract '
                           '(%(default)s)')
    made.add_argument('--list', action='store_true',
                      help='print the mutants, their defects and the checks '
                           'that are meant for them, and run none')
    made.add_argument('--regex', type=_regex, metavar='REGEX',
                      help='only mutants whose name has a match, and the '
                           'checks that are meant for these')
    made.add_argument('--only-meant', action='store_true',
                      help='run a driver through the checks that are meant '
                           'for it only, as clouds always are; all of them '
                           'run without a defect')
    made.add_argument('--limit', type=_seconds, default=300.0,
                      metavar='SECONDS',
                      help='a check that takes longer has found a defect '
                           '(%(default)g)')
    made.add_argument('--histories', type=int, default=118, metavar='N',
                      help='how many are tried on a driver: the corpus first, '
                           'then random ones (%(default)s)')
    made.add_argument('--backup', choices=sorted(catalogue.SWITCHED),
                      default=catalogue.DEFAULT,
                      help='the backup driver of the cloud; each has defects '
                           'of its own (%(default)s)')
    made.add_argument('--content-access',
                      choices=[connecting.ATTACHMENT, connecting.IMAGE],
                      default=connecting.ATTACHMENT,
                      help='how the tests of a user write and read volumes; '
                           'image, by which a certification does unless it '
                           'is told otherwise, takes several times as long '
                           '(%(default)s)')
    made.add_argument('--json', type=pathlib.Path, metavar='FILE',
                      help='write what killed which of them')
    made.add_argument('--join', type=pathlib.Path, metavar='FILE',
                      help='add to it the results in a file of --json of '
                           'mutants that are not run this time')
    return made


def _list(mutants: Sequence[catalogue.Mutant]) -> None:
    for mutant in mutants:
        print(mutant.name)
        print(f'    {mutant.defect}')
        if mutant.resembles:
            print(f'    Like {mutant.resembles}.')
        print(f'    meant: {", ".join(mutant.meant)}')


def _progress(number: int, of: int, name: str,
              found: Sequence[matrix.Outcome]) -> None:
    print(f'[{number}/{of}] {name or "no defect"}: '
          f'{sum(outcome.killed for outcome in found)} of {len(found)} checks '
          f'find something, {sum(outcome.seconds for outcome in found):.1f} s',
          flush=True)
    for outcome in found:
        if outcome.reason:
            print(f'    {outcome.check} {outcome.how}: {outcome.reason}',
                  flush=True)


def _run(arguments: argparse.Namespace,
         mutants: Sequence[catalogue.Mutant]) -> matrix.Matrix:
    # Cinder or Tempest is imported with it, and takes seconds.
    subject: Any
    clouds = arguments.kind != DRIVERS
    member = arguments.kind == TENANT
    if clouds:
        from mutants.clouds import tests as subject
    else:
        from mutants import contract as subject
    earlier = (matrix.Matrix.from_dict(json.loads(arguments.join.read_text()))
               if arguments.join else None)
    everything = subject.checks()
    if member:
        everything = [check for check in everything if tenant.is_check(check)]
    meant = {check for mutant in mutants for check in mutant.meant}
    made = matrix.Matrix(mutants, [
        check for check in everything if check in meant or not (
            clouds or arguments.regex)])
    if not arguments.regex:
        made.others = [check for check in everything
                       if check not in made.checks]
    with subject.running(arguments.backup, **({
            'member': True, 'content_access': arguments.content_access}
            if member else {})) as run:
        for number, mutant in enumerate([None, *mutants]):
            name = mutant.name if mutant else ''
            some = clouds or arguments.only_meant
            made.outcomes[name] = list(run(mutant, [
                check for check in made.checks
                if not mutant or not some or check in mutant.meant],
                arguments.limit))
            _progress(number + 1, len(mutants) + 1, name, made.outcomes[name])
    if earlier:
        return matrix.joined(earlier, made, _all(arguments.kind), everything)
    return made


def _histories(arguments: argparse.Namespace,
               mutants: Sequence[catalogue.Mutant]) -> int:
    """Run histories, and return the exit code."""
    earlier = (histories.from_dict(json.loads(arguments.join.read_text()))
               if arguments.join else [])
    outcomes = []
    for outcome in histories.run(mutants, arguments.histories,
                                 arguments.limit):
        outcomes.append(outcome)
        print(outcome, flush=True)
    if arguments.json:
        arguments.json.write_text(compact.dumps(
            histories.to_dict(histories.joined(
                earlier, outcomes, catalogue.drivers()))))
    found, left = (sum(bool(getattr(one, name)) for one in outcomes)
                   for name in ('promise', 'unseen'))
    print(f'{len(mutants)} mutants, {found} found by histories, {left} cannot '
          f'be seen')
    return GOOD if all(one.good for one in outcomes) else BAD


def main(argv: list[str] | None = None) -> int:
    """Run the program.

    :param argv: arguments without the program's name
    :returns: the exit code
    """
    arguments = parser().parse_args(argv)
    try:
        mutants = [
            mutant for mutant in _all(arguments.kind)
            if mutant.backup == arguments.backup and (
                not arguments.regex or arguments.regex.search(mutant.name))]
        if not mutants:
            raise matrix.MatrixError('no mutant has such a name')
        if arguments.list:
            _list(mutants)
            return GOOD
        if arguments.json and not arguments.json.parent.is_dir():
            # Not only after a long run.
            raise matrix.MatrixError(
                f'{arguments.json.parent} is not a directory')
        if arguments.kind == HISTORIES:
            return _histories(arguments, mutants)
        made = _run(arguments, mutants)
        if arguments.json:
            arguments.json.write_text(compact.dumps(made.to_dict()))
    except (OSError, ValueError, matrix.MatrixError) as error:
        sys.stderr.write(f'error: {error}\n')
        return WRONG
    except KeyboardInterrupt:
        sys.stderr.write('stopped\n')
        return STOPPED
    print(f'\n{matrix.text(made)}\n')
    for line in (*matrix.idle_yet(made), *matrix.findings(made)):
        print(line)
    print(f'{len(made.mutants)} mutants, {len(made.survivors())} survived, '
          f'{len(made.idle())} idle checks, {made.seconds:.0f} s')
    return GOOD if made.good else BAD


def stop_cleanly() -> None:
    """Have SIGINT and SIGTERM end the work under way, and remove it."""
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


if __name__ == '__main__':
    stop_cleanly()
    sys.exit(main())
