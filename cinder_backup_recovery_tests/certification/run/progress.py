# SPDX-License-Identifier: Apache-2.0

"""The progress and the summary of a run."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import os
import sys
import time
from typing import Any
from typing import TextIO

from cinder_backup_recovery_tests.certification.run import suite
from cinder_backup_recovery_tests.certification.verdict import (
    document as document_,
)
from cinder_backup_recovery_tests.certification.verdict import results

# Before that part of a run is over, the rest cannot be estimated.
_ENOUGH = 0.05
_COLUMNS = 80
_SLOWEST = 10
# How many of the tests that did not run are named.
_SHOWN = 6


def _clock(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f'about {minutes} min' if minutes else 'less than a minute'


class Progress:
    """Say what came of each test, as soon as that is known.

    In a terminal the last line also says what runs, for how long, and how
    long the rest may take. Elsewhere there is a line for each result only.
    """

    def __init__(self, selected: Sequence[str], out: TextIO | None = None,
                 now: Callable[[], float] = time.monotonic):
        self._out = out or sys.stdout
        self._total = len(selected)
        self._left = list(selected)
        self._running: list[str] = []
        self._now = now
        self._begin = now()
        self._live = (self._out.isatty() and
                      os.environ.get('TERM', 'dumb') != 'dumb')

    def started(self, test_id: str) -> None:
        """Note that a test runs."""
        self._running.append(test_id)
        self._draw()

    def ended(self, result: results.Result) -> None:
        """Print one result, with its story or its reason.

        A wrong configuration is the same for every class; the summary says
        it, once.
        """
        self._left = [t for t in self._left if not result.covers(t)]
        self._running = [t for t in self._running if not result.covers(t)]
        self._wipe()
        self._print(f'[{self._total - len(self._left)}/{self._total}] '
                    f'{result.status.value:5} {result.name} '
                    f'({result.seconds:.1f} s)')
        text = result.story
        if result.status is results.Status.KNOWN:
            text = '\n'.join((result.story, result.why))
        elif result.status is not results.Status.PASS and (
                not result.configuration):
            text = '\n'.join(filter(None, (result.story, result.reason)))
        for line in text.strip('\n').splitlines():
            self._print(f'    {line}')
        self._out.flush()
        self._draw()

    def close(self) -> None:
        """Leave nothing half said behind."""
        self._wipe()
        self._live = False

    def _print(self, line: str) -> None:
        self._out.write(line + '\n')

    def _wipe(self) -> None:
        if self._live:
            self._out.write('\r\x1b[K')
            self._out.flush()

    def _draw(self) -> None:
        if not self._live:
            return
        self._wipe()
        try:
            columns = os.get_terminal_size(self._out.fileno()).columns
        except (OSError, ValueError):
            columns = _COLUMNS
        # A line that wraps could not be wiped.
        self._out.write(self.line()[:(columns or _COLUMNS) - 1])
        self._out.flush()

    def line(self) -> str:
        """Name the running tests and their seconds; estimate the rest."""
        spent = self._now() - self._begin
        done = self._total - len(self._left)
        words = [f'{done}/{self._total}',
                 f'{int(spent // 60)}:{int(spent % 60):02d}']
        if self._left and done >= max(1, self._total * _ENOUGH):
            words.append(
                f'{_clock(spent / done * len(self._left))} left')
        names = [suite.class_of(one).rpartition('.')[2] for one in
                 self._running]
        if names:
            words.append(', '.join(dict.fromkeys(names)))
        return ' | '.join(words)


def summary(document: Mapping[str, Any]) -> Iterator[str]:
    """The summary of a run, line by line."""
    outcome = document_.outcome_of(document)
    yield f'\nslowest {_SLOWEST}:'
    for result in sorted(outcome, key=lambda r: -r.seconds)[:_SLOWEST]:
        yield f'  {result.seconds:6.1f} s  {result.name}'
    counts = {status: sum(r.status is status for r in outcome)
              for status in results.Status}
    yield '\n' + ', '.join(f'{count} {status.value}' for status, count in
                           counts.items()) + (
        f'; {document["seconds"]:.0f} s in all')
    for defect in document['known_defects']:
        number = len(defect['tests'])
        yield (f'  known defect {defect["name"]}: {defect["defect"]}: '
               f'{number} {"test" if number == 1 else "tests"}')
    for tier in document['tiers']:
        lacks = ', '.join(sorted(tier['without']))
        yield (f'  tier {tier["name"]}: {tier["state"]}' +
               (f' ({lacks} not tested)' if lacks else ''))
    for reason in document['reasons']:
        yield f'  {reason}'
    # A filter leaves nearly all of them out.
    for name in document['not_run'][:_SHOWN]:
        yield f'    {name}'
    more = len(document['not_run']) - _SHOWN
    if more > 0:
        yield f'    and {more} more (listed in the report)'
