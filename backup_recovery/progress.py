# SPDX-License-Identifier: Apache-2.0

"""The progress of long work, for people."""

import sys
import time


class Progress:
    """The progress, on stderr: in one line of a terminal, or now and then."""

    def __init__(self, what: str, interval: float = 10):
        self._what = what
        self._terminal = sys.stderr.isatty()
        self._interval = 0.2 if self._terminal else interval
        self._started = self._last = time.monotonic()

    def __call__(self, done: int, of: int | None = None) -> None:
        now = time.monotonic()
        if now - self._last < self._interval:
            return
        self._last = now
        rate = done / (now - self._started)
        text = (f'{self._what} {done}' + (f' of {of}' if of else '') +
                f', {rate:.1f}/s')
        if of and rate:
            text += f', {_time((of - done) / rate)} left'
        if self._terminal:
            sys.stderr.write(f'\r\033[K{text}')
        else:
            sys.stderr.write(f'{text}\n')
        sys.stderr.flush()

    def __enter__(self) -> 'Progress':
        return self

    def __exit__(self, *error: object) -> None:
        # For what is printed next.
        if self._terminal:
            sys.stderr.write('\r\033[K')


def _time(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (f'{hours} h {minutes} min' if hours else
            f'{minutes} min {seconds} s' if minutes else f'{seconds} s')
