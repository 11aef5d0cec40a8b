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
"""What the commands have in common: options, a list, what they end with."""

import argparse
from collections.abc import Callable
from collections.abc import Iterable
import pathlib
import re
import signal
import sys
from typing import Any
from typing import NoReturn

from cinder_backup_recovery_tests.certification import compact
from mutants import matrix
from mutants import model

GOOD, BAD, STOPPED, WRONG = 0, 1, 2, 3


class Parser(argparse.ArgumentParser):
    """A parser whose mistakes have the exit code of a wrong command.

    :param prog: the name of the command
    :param what: whom it runs, as its help calls them
    """

    def __init__(self, prog: str, what: str, description: str):
        super().__init__(prog=prog, description=description)
        self.add_argument('--list', action='store_true',
                          help=f'print the {what}, their defects and the '
                               f'checks that are meant for them, and run '
                               f'none')
        self.add_argument('--regex', type=_regex, metavar='REGEX',
                          help=f'only {what} whose name has a match, and '
                               f'the checks that are meant for these')
        self.add_argument('--limit', type=_seconds, default=300.0,
                          metavar='SECONDS',
                          help='a check that takes longer has found a '
                               'defect (%(default)g)')
        self.add_argument('--json', type=pathlib.Path, metavar='FILE',
                          help='write what killed which of them')

    def error(self, message: str) -> NoReturn:
        self.exit(WRONG, f'error: {message}; see {self.prog} --help\n')


def _regex(value: str) -> re.Pattern[str]:
    try:
        return re.compile(value)
    except re.error as error:
        raise argparse.ArgumentTypeError(
            f'{value!r} is no regular expression: {error}') from None


def _seconds(value: str) -> float:
    try:
        found = float(value)
    except ValueError:
        found = 0.0
    if not 0 < found < 1e6:
        raise argparse.ArgumentTypeError(f'{value!r} is no time in seconds')
    return found


def chosen(mutants: Iterable[model.Mutant], regex: re.Pattern[str] | None
           ) -> list[model.Mutant]:
    """Those whose name has a match.

    :param mutants: all of them
    :param regex: what a name must have, None for all names
    :raises MatrixError: there is none
    """
    found = [one for one in mutants if not regex or regex.search(one.name)]
    if not found:
        raise matrix.MatrixError('no mutant has such a name')
    return found


def listing(mutants: Iterable[model.Mutant]) -> None:
    """Print mutants, their defects and the checks that are meant for them.

    :param mutants: which
    """
    for one in mutants:
        print(one.name)
        print(f'    {one.defect}')
        if one.resembles:
            print(f'    Like {one.resembles}.')
        print(f'    meant: {", ".join(one.meant)}')


def progress(number: int, of: int, name: str,
             found: list[model.Outcome]) -> None:
    """Print what was found in one mutant.

    :param number: of how many
    :param of: how many there are
    :param name: of the mutant, empty for what has no defect
    :param found: what the checks said
    """
    print(f'[{number}/{of}] {name or "no defect"}: '
          f'{sum(one.killed for one in found)} of {len(found)} checks find '
          f'something, {sum(one.seconds for one in found):.1f} s',
          flush=True)
    for one in found:
        if one.reason:
            print(f'    {one.check} {one.how}: {one.reason}', flush=True)


def run(parser: Parser, argv: list[str] | None,
        mutants: Callable[[argparse.Namespace], list[model.Mutant]],
        make: Callable[[argparse.Namespace, list[model.Mutant]],
                       matrix.Matrix]) -> int:
    """Do what the command line says.

    :param parser: of the command
    :param argv: arguments without the program's name
    :param mutants: makes the catalogue, for what the command line says
    :param make: runs some of them
    :returns: the exit code
    """
    arguments = parser.parse_args(argv)
    try:
        some = chosen(mutants(arguments), arguments.regex)
        if arguments.list:
            listing(some)
            return GOOD
        made = make(arguments, some)
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
    """Have SIGINT and SIGTERM end what is under way, and remove it."""
    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
