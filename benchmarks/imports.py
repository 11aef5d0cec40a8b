# SPDX-License-Identifier: Apache-2.0

"""Import the modules of a service, and nothing else.

A program of its own: its argument is a file with a module's name in each
line, in the order of the service. It writes a line when all are imported,
with how many could not be, and lives until its standard input ends, so that
its memory can be measured.
"""

from collections.abc import Iterable
import importlib
import re
import sys

#: Python's line about an import that has ended, below those that it has
#: itself made: two spaces for each level.
_LINE = re.compile(r'import time: +\d+ \| +\d+ \| ((?:  )*)(\S+)$')
#: Such a module is the service: to import it is to start it.
_SERVICE = '.wsgi.api'


def names(log: Iterable[str]) -> list[str]:
    """The modules that a process imported, in an order that works again.

    :param log: the output of a process with PYTHONPROFILEIMPORTTIME=1, and
        other lines
    :returns: those first that were not imported by others, in their order;
        they bring the others, but for the late imports of the process itself
    """
    ended: list[tuple[int, str]] = []
    for line in log:
        found = _LINE.match(line.rstrip())
        if not found:
            continue
        depth, name = len(found[1]) // 2, found[2]
        if not name.endswith(_SERVICE):
            ended.append((depth, name))
            continue
        # Its own imports replace it.
        for number in range(len(ended) - 1, -1, -1):
            if ended[number][0] <= depth:
                break
            ended[number] = ended[number][0] - 1, ended[number][1]
    return list(dict.fromkeys(
        [name for depth, name in ended if not depth] +
        [name for depth, name in ended if depth]))


def main() -> None:
    missing = 0
    with open(sys.argv[1], encoding='utf-8') as stream:
        wanted = stream.read().split()
    # Some modules look for arguments of their own.
    del sys.argv[1:]
    for name in wanted:
        if name in sys.modules:
            continue
        try:
            importlib.import_module(name)
        except (Exception, SystemExit):
            # Optional ones, which the service does not have either.
            missing += 1
    print(missing, flush=True)
    sys.stdin.read()


if __name__ == '__main__':
    main()
