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
"""Run faulty clouds, and see the tests of the Tempest plugin find each.

For example, in a virtualenv that has the local cloud::

    python -m mutants.clouds
    python -m mutants.clouds --regex imports
    python -m mutants.clouds --backup swift

Exit codes: 0 each mutant is killed by all tests that are meant for it, and a
cloud without a defect passes these; 1 one of these does not hold; 2 it was
told to stop; 3 the command is wrong, or the cloud did not start.
"""

import argparse
import json
import pathlib
import sys

from mutants import matrix
from mutants import model
from mutants import program
from mutants.clouds import catalogue


def parser() -> program.Parser:
    """The command line."""
    made = program.Parser(
        'python -m mutants.clouds', 'clouds',
        'Start a local cloud, give it one defect after the other, run the '
        'tests of the Tempest plugin that are meant to find it, and print '
        'which does. At first all of them are run without a defect.')
    made.add_argument('--backup', choices=sorted(catalogue.DRIVERS),
                      default=catalogue.DEFAULT,
                      help='the backup driver of the cloud; each has '
                           'defects of its own (%(default)s)')
    made.add_argument('--join', type=pathlib.Path, metavar='FILE',
                      help='add what --json has written of clouds that are '
                           'not run this time')
    return made


def _run(arguments: argparse.Namespace, mutants: list[model.Mutant]
         ) -> matrix.Matrix:
    from local_cloud import exceptions
    from mutants.clouds import running
    from mutants.clouds import tests

    earlier = (matrix.Matrix.from_dict(json.loads(
        arguments.join.read_text())) if arguments.join else None)
    meant = {check for one in mutants for check in one.meant}
    everything = list(tests.cases())
    made = matrix.Matrix(mutants, [name for name in everything
                                   if name in meant])
    if not arguments.regex:
        made.others = [name for name in everything if name not in meant]
    runs = [('', list(made.checks))]
    runs += [(one.name, sorted(one.meant, key=made.checks.index))
             for one in mutants]
    try:
        with running.FaultyCloud(arguments.backup) as cloud:
            for number, (name, wanted) in enumerate(runs, 1):
                found = made.outcomes[name] = []
                for outcome in cloud.run(name, wanted, arguments.limit):
                    found.append(outcome)
                program.progress(number, len(runs), name, found)
    except exceptions.LocalCloudError as error:
        raise matrix.MatrixError(str(error)) from error
    if earlier:
        return matrix.joined(earlier, made, catalogue.mutants(), everything)
    return made


def main(argv: list[str] | None = None) -> int:
    """The program.

    :param argv: arguments without the program's name
    :returns: the exit code
    """
    return program.run(parser(), argv, lambda arguments: catalogue.mutants(
        arguments.backup), _run)


if __name__ == '__main__':
    program.stop_cleanly()
    sys.exit(main())
