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
"""Run faulty drivers through the contract, and see it find each.

For example, in Cinder's virtualenv::

    python -m mutants
    python -m mutants --only-meant --regex restores

Exit codes: 0 each mutant is killed by all checks that are meant for it, each
check kills a mutant, and the driver without a defect passes; 1 one of these
does not hold; 2 it was told to stop; 3 the command is wrong.
"""

import argparse
import sys

from mutants import matrix
from mutants import model
from mutants import program


def parser() -> program.Parser:
    """The command line."""
    made = program.Parser(
        'python -m mutants', 'drivers',
        'Run drivers that have one defect each through the contract, and '
        'print which check finds which defect. All of it takes about half a '
        'minute of a CPU for each driver.')
    made.add_argument('--only-meant', action='store_true',
                      help='run a driver through the checks that are meant '
                           'for it only; the driver without a defect is run '
                           'through all')
    return made


def _run(arguments: argparse.Namespace, mutants: list[model.Mutant]
         ) -> matrix.Matrix:
    from mutants import catalogue
    from mutants import running

    checks = catalogue.checks()
    if arguments.regex:
        checks = [check for check in checks
                  if any(check in one.meant for one in mutants)]
    made = matrix.Matrix(mutants, checks)
    running.prepare()
    drivers = [(one.name, one.path, list(one.meant) if
                arguments.only_meant else checks) for one in mutants]
    drivers.insert(0, ('', catalogue.UNHARMED, checks))
    for number, (name, driver, wanted) in enumerate(drivers, 1):
        found = made.outcomes[name] = []
        for outcome in running.run(driver, wanted, arguments.limit):
            found.append(outcome)
        program.progress(number, len(drivers), name, found)
    return made


def main(argv: list[str] | None = None) -> int:
    """The program.

    :param argv: arguments without the program's name
    :returns: the exit code
    """
    def mutants(arguments: argparse.Namespace) -> list[model.Mutant]:
        # Cinder is imported with it, and takes seconds.
        from mutants import catalogue
        return catalogue.mutants()

    return program.run(parser(), argv, mutants, _run)


if __name__ == '__main__':
    program.stop_cleanly()
    sys.exit(main())
