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

"""Call a store that may hang, from cinder-backup's two ways to run."""

from collections.abc import Callable
import queue
import sys
import threading
import time
from typing import Any

from reference_drivers.verification import errors


def native(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function that blocks or computes for long.

    Under eventlet it runs in a native thread, or it would stop every other
    green thread, the one that reports the service as up among them. The
    function must not log there: https://github.com/eventlet/eventlet/issues/432

    :returns: what the function returns
    """
    eventlet = sys.modules.get('eventlet')
    if eventlet is not None:
        from eventlet import patcher
        from eventlet import tpool
        if patcher.is_monkey_patched('thread'):
            return tpool.execute(function, *args)
    return function(*args)


def within(seconds: float | None, what: str, function: Callable[..., Any],
           *args: Any) -> Any:
    """Call a function, but wait only so long for it.

    A read from a hard mounted share whose server is gone never returns and
    cannot be interrupted: its thread is left behind, as a daemon that does
    not keep the process. Under eventlet it is one of its pool, which the end
    of the process waits for.

    :param seconds: how long to wait, None for ever
    :param what: what is asked of the store, for the message
    :returns: what the function returns
    :raises TimedOut: it has not returned in time
    """
    return waiting(seconds, what, native, function, *args)


def waiting(seconds: float | None, what: str, function: Callable[..., Any],
            *args: Any) -> Any:
    """The same, for a function that waits as the other threads here do.

    One that starts a program, and may log, under eventlet as well.

    :param seconds: how long to wait, None for ever
    :param what: what is asked of the store, for the message
    :returns: what the function returns
    :raises TimedOut: it has not returned in time
    """
    answers: queue.Queue = queue.Queue()

    def run() -> None:
        try:
            answers.put((function(*args), None))
        except BaseException as err:
            answers.put((None, err))

    threading.Thread(target=run, daemon=True, name=f'verify {what}').start()
    try:
        value, err = answers.get(timeout=seconds)
    except queue.Empty:
        raise errors.TimedOut(
            f'the storage did not answer within {seconds:g} s: {what}',
            what) from None
    if err is not None:
        raise err
    return value


class Watch:
    """Tells whether a function waits for the store, and since when."""

    def __init__(self) -> None:
        self.since: float | None = None
        self.abandoned = False

    def begin(self) -> None:
        """The store is asked."""
        self.since = time.monotonic()

    def end(self) -> None:
        """The store has answered.

        :raises Stopped: but nobody waits any more; what was answered must
            not be used
        """
        self.since = None
        if self.abandoned:
            raise errors.Stopped('the storage answered too late')


def watched(seconds: float | None, what: str,
            function: Callable[..., Any], *args: Any) -> Any:
    """Call a function that asks a store and does other things between.

    :param seconds: how long one answer of the store may take
    :param what: what is asked of the store, for the message
    :param function: takes a :class:`Watch` first
    :returns: what the function returns
    :raises TimedOut: the store has not answered in time
    """
    answers: queue.Queue = queue.Queue()
    watch = Watch()

    def run() -> None:
        try:
            answers.put((native(function, watch, *args), None))
        except BaseException as err:
            answers.put((None, err))

    threading.Thread(target=run, daemon=True, name=f'read {what}').start()
    while True:
        try:
            value, err = answers.get(timeout=min(1, seconds or 1))
        except queue.Empty:
            since = watch.since
            if (seconds is None or since is None or
                    time.monotonic() - since <= seconds):
                continue
            watch.abandoned = True
            raise errors.TimedOut(
                f'the storage did not answer within {seconds:g} s: {what}',
                what) from None
        if err is not None:
            raise err
        return value
