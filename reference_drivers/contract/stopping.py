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
"""Tell the tests of a process to stop, and lose nothing of the tidying up.

A handler of a signal may raise anywhere. In the midst of a clean-up that
would leave on a vendor's storage what the clean-up was to remove; and of two
exceptions of one test, testtools raises the last one again, so that a
clean-up that fails would hide that the run was told to stop.
"""

from collections.abc import Iterator
import contextlib
import signal
from typing import Any

_told = False
_held = False


def listen() -> None:
    """Have SIGINT and SIGTERM raise KeyboardInterrupt, where it does no harm.

    The first one waits for the end of :func:`held`. Another one does not:
    whoever tells it twice does not want to wait.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _handle)


def _handle(number: int, frame: Any) -> None:
    global _told
    again, _told = _told, True
    if again or not _held:
        raise KeyboardInterrupt


def told() -> bool:
    """Whether the process was told to stop."""
    return _told


def check() -> None:
    """Stop, if the process was told to.

    :raises KeyboardInterrupt: if so
    """
    if _told:
        raise KeyboardInterrupt


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Let what is inside come to its end."""
    global _held
    before, _held = _held, True
    try:
        yield
    finally:
        _held = before
    check()


@contextlib.contextmanager
def heard() -> Iterator[None]:
    """Stop at once in here, inside of what is held."""
    global _held
    before, _held = _held, False
    try:
        check()
        yield
    finally:
        _held = before
