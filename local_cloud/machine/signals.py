# SPDX-License-Identifier: Apache-2.0

"""Requests to end: the first one is heard, and no other disturbs it."""

from collections.abc import Iterator
import contextlib
import signal
import threading

_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ended(BaseException):
    """The program was asked to end.

    :param number: the signal
    """

    def __init__(self, number: int):
        super().__init__(signal.strsignal(number))
        self.number = number

    @property
    def status(self) -> int:
        """The exit status, as a shell reports a signal."""
        return 128 + self.number


def _end(number: int, frame) -> None:
    # What is started is taken down now; a second Ctrl-C must not leave half
    # of it.
    for other in _NUMBERS:
        signal.signal(other, signal.SIG_IGN)
    raise Ended(number)


@contextlib.contextmanager
def heard() -> Iterator[None]:
    """Raise :class:`Ended` on the first SIGINT, SIGTERM or SIGHUP.

    One that was ignored before, by ``nohup`` or by a caller that takes its
    cloud down already, stays ignored.
    """
    before = {number: signal.getsignal(number) for number in _NUMBERS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, _end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def ignored() -> Iterator[None]:
    """Ignore all of them, for what must not be left half done."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN)
              for number in _NUMBERS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
