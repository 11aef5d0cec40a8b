# SPDX-License-Identifier: Apache-2.0

"""Print which modules of tests took the time of the last run.

A module's time is that from the end of what its worker ran before: what it
sets up for all of its tests is part of it.
"""

from collections.abc import Iterator
import datetime
import io
import re
import subprocess
import sys

import subunit
import testtools

_WORKER = re.compile(r'worker-\d+')
# What is less than this part of all is printed as one line.
_LEAST = 0.01


class Shares(testtools.StreamResult):
    """The seconds of each module, and of each worker."""

    def __init__(self) -> None:
        super().__init__()
        self.modules: dict[str, float] = {}
        self.workers: dict[str, float] = {}
        self._last: dict[str, datetime.datetime] = {}

    def status(self, test_id: str | None = None,
               test_status: str | None = None,
               test_tags: set[str] | None = None,
               timestamp: datetime.datetime | None = None,
               **kwargs: object) -> None:
        worker = next(filter(_WORKER.fullmatch, test_tags or ()), None)
        if not (test_id and test_status and timestamp and worker):
            return
        before = self._last.setdefault(worker, timestamp)
        self._last[worker] = timestamp
        seconds = (timestamp - before).total_seconds()
        # That of a set-up is "setUpClass (module.Class)".
        module = test_id.rpartition('(')[2].split('[')[0].rstrip(')')
        module = re.split(r'\.(?=[A-Z])', module)[0]
        self.modules[module] = self.modules.get(module, 0.0) + seconds
        self.workers[worker] = self.workers.get(worker, 0.0) + seconds


def lines(shares: Shares) -> Iterator[str]:
    """The table, as text."""
    whole = sum(shares.modules.values())
    if not whole:
        return
    yield 'Seconds, and the part of all, by module of tests:'
    rest = 0.0
    for module in sorted(shares.modules,
                         key=lambda one: -shares.modules[one]):
        seconds = shares.modules[module]
        if seconds < _LEAST * whole:
            rest += seconds
            continue
        yield f'{seconds:8.0f} {seconds / whole:6.1%}  {module}'
    yield f'{rest:8.0f} {rest / whole:6.1%}  all others'
    yield 'Seconds by worker: ' + ', '.join(
        f'{shares.workers[one]:.0f}' for one in sorted(shares.workers))


def main() -> int:
    """Read the last run of the repository of results that is named.

    :returns: 0, or 1 when there is none
    """
    last = subprocess.run(
        ['stestr', '--repo-url', sys.argv[1], 'last', '--subunit'],
        stdout=subprocess.PIPE)
    shares = Shares()
    shares.startTestRun()
    subunit.ByteStreamToStreamResult(
        io.BytesIO(last.stdout), non_subunit_name='stdout').run(shares)
    shares.stopTestRun()
    for line in lines(shares):
        print(line)
    return 0 if shares.modules else 1


if __name__ == '__main__':
    sys.exit(main())
