# SPDX-License-Identifier: Apache-2.0

"""Which worker runs which classes of tests.

stestr shares tests out by how long they took before, and a certification has
no before. What the classes took on the cloud of one machine is written down in
a file of this package; elsewhere they take longer, all of them alike. Nothing
but the duration of a run depends on it. To bring it up to date::

    python -m cinder_backup_recovery_tests.certification.run.workers \\
        certify-report/results.subunit
"""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import datetime
import json
import pathlib
import re
import sys
from typing import Any

import subunit
import testtools

from cinder_backup_recovery_tests.certification.run import suite
from cinder_backup_recovery_tests.cmd import programs

PATH = pathlib.Path(__file__).parents[1] / 'data' / 'seconds.json'
#: What marks an id whose test wants the cloud for itself: all others come
#: before it.
ALONE = r'\[(.*,)?serial[],]'

# Classes that share the key manager, which one of them stops: these take
# turns, and a second worker would wait for its own.
_TAKE_TURNS = re.compile(r'\.(\w*Encrypted|KeyManager)\w+$')
_WORKER = re.compile(r'worker-\d+')
_UNKNOWN = 10.0


def measured() -> dict[str, float]:
    """The seconds of each class, with its set-up, by its name."""
    return json.loads(PATH.read_text())


def share(tests: Iterable[str], count: int,
          seconds: Mapping[str, float]) -> list[list[str]]:
    """Give each worker classes, so that all end at about the same time.

    Those that may wait for one another all go to one of them.

    :param seconds: of each class, by its name; a missing one takes
        as long as others do
    :returns: the whole names of the classes for each worker that has any
    """
    usual = sum(seconds.values()) / len(seconds) if seconds else _UNKNOWN
    takes = {test.split('[')[0].rpartition('.')[0]:
             seconds.get(suite.class_of(test), usual) for test in tests}
    shares: list[list[str]] = [[] for _ in range(count)]
    sums = [0.0] * count
    parts: dict[str, list[str]] = {}
    for name in takes:
        part = _TAKE_TURNS.pattern if _TAKE_TURNS.search(name) else name
        parts.setdefault(part, []).append(name)
    together = {part: sum(takes[name] for name in names)
                for part, names in parts.items()}
    # The longest first, each to the worker that has least to do.
    for part in sorted(parts, key=lambda one: (-together[one], one)):
        least = sums.index(min(sums))
        shares[least] += sorted(parts[part],
                                key=lambda one: (-takes[one], one))
        sums[least] += together[part]
    return [one for one in shares if one]


def write(path: pathlib.Path, shares: Sequence[Sequence[str]]) -> None:
    """Write a file of workers as stestr reads it.

    :param shares: the whole names of the classes for each worker
    """
    # YAML reads JSON.
    path.write_text(json.dumps([
        {'worker': [rf'^{re.escape(name)}\.' for name in one]}
        for one in shares], indent=1) + '\n')


class _Durations(testtools.StreamResult):
    """From the end of the class before, so that the set-up is of it."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: dict[str, float] = {}
        #: The classes of which a test has run.
        self.ran: set[str] = set()
        self._last: dict[str, datetime.datetime] = {}

    def status(self, test_id: str | None = None,
               test_status: str | None = None,
               test_tags: set[str] | None = None,
               timestamp: datetime.datetime | None = None,
               **kwargs: Any) -> None:
        worker = next(filter(_WORKER.fullmatch, test_tags or ()), None)
        if not (test_id and test_status and timestamp and worker):
            return
        before = self._last.setdefault(worker, timestamp)
        self._last[worker] = timestamp
        if re.search(ALONE, test_id):
            return
        name = suite.class_of(test_id)
        if test_status not in ('exists', 'inprogress', 'skip'):
            self.ran.add(name)
        self.seconds[name] = (self.seconds.get(name, 0.0) +
                              (timestamp - before).total_seconds())


def durations(stream: Any) -> dict[str, float]:
    """The seconds of each class in a run, without those that it skipped."""
    found = _Durations()
    found.startTestRun()
    subunit.ByteStreamToStreamResult(
        stream, non_subunit_name='stdout').run(found)
    found.stopTestRun()
    return {name: round(seconds, 1)
            for name, seconds in sorted(found.seconds.items())
            if name in found.ran}


def renewed(old: Mapping[str, float], new: Mapping[str, float]
            ) -> dict[str, float]:
    """What is known after a run, of the classes that it skipped as well.

    Those keep their share: they are scaled by how much faster the others are.

    :param old: the seconds of each class before it
    :param new: the seconds of each class in it
    """
    both = old.keys() & new.keys()
    before = sum(old[name] for name in both)
    factor = sum(new[name] for name in both) / before if before else 1.0
    return dict(sorted({**{name: round(seconds * factor, 1)
                           for name, seconds in old.items()}, **new}.items()))


def main(argv: Sequence[str] | None = None) -> int:
    """Write down how long the classes of a run have taken.

    :returns: the exit status: 0, or 3 if that cannot be read
    """
    parser = programs.Parser(
        prog='python -m '
             'cinder_backup_recovery_tests.certification.run.workers',
        description='Write down how long each class of tests has taken, so '
                    'that the workers of later runs end together.')
    parser.add_argument('stream', type=pathlib.Path,
                        help='results.subunit of a report')
    arguments = parser.parse_args(argv)
    try:
        with open(arguments.stream, 'rb') as stream:
            found = durations(stream)
    except OSError as error:
        print(f'error: {arguments.stream}: {error.strerror}', file=sys.stderr)
        return 3
    if not found:
        print(f'error: {arguments.stream} has no test of a worker',
              file=sys.stderr)
        return 3
    PATH.write_text(json.dumps(renewed(measured(), found), indent=1) + '\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
