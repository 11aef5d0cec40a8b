# SPDX-License-Identifier: Apache-2.0
"""Stop the tests of a process by a signal, and complete each clean-up.

A handler of a signal may raise anywhere. During a clean-up that would leave
backups on a vendor's storage. Of two exceptions of one test, testtools raises
the last one again, so that a clean-up that fails would hide the signal.
"""

from collections.abc import Iterator
import contextlib
import signal
from typing import Any

_told = False
_held = False


def listen() -> None:
    """Have SIGINT and SIGTERM raise KeyboardInterrupt, where it does no harm.

    The first one waits for the end of :func:`held`, the second one does not.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _handle)


def _handle(number: int, frame: Any) -> None:
    global _told
    again, _told = _told, True
    if again or not _held:
        raise KeyboardInterrupt


def told() -> bool:
    """Return whether a signal to stop was received."""
    return _told


def check() -> None:
    """Raise KeyboardInterrupt if a signal to stop was received."""
    if _told:
        raise KeyboardInterrupt


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Delay a signal to the end of a context."""
    global _held
    before, _held = _held, True
    try:
        yield
    finally:
        _held = before
    check()


@contextlib.contextmanager
def heard() -> Iterator[None]:
    """Stop at once in a context inside of :func:`held`."""
    global _held
    before, _held = _held, False
    try:
        check()
        yield
    finally:
        _held = before
