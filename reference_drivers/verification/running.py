# SPDX-License-Identifier: Apache-2.0

"""Call a store that may hang, from cinder-backup's two ways to run."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
import contextlib
import threading
import time
from typing import Any

from reference_drivers.verification import errors
from reference_drivers.verification import threads


class _Patience:
    """Waits for an answer as long as this process runs.

    One that was suspended, that got no processor, or whose threads all stood
    behind one call, finds the time over and the answer beside it, unread. So
    no look counts for more than two pauses, and after the last one there is
    a pause for an answer that only has to be picked up.

    :param seconds: how long to wait, None for no limit
    """

    def __init__(self, seconds: float | None):
        self.pause = None if seconds is None else min(1, seconds / 10)
        self._left = seconds
        self._last = time.monotonic()

    def over(self) -> bool:
        """True if the check after this pause was the last one."""
        if self._left is None or self.pause is None:
            return False
        if self._left <= 0:
            return True
        now = time.monotonic()
        self._left -= min(now - self._last, 2 * self.pause)
        self._last = now
        return False

    def wait(self, answered: Callable[[float | None], bool]) -> bool:
        """Wait for an answer.

        :param answered: waits for so many seconds, and says whether there
            is one
        """
        while not answered(self.pause):
            if self.over():
                return False
        return True


def native(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function that blocks or computes for long.

    Under eventlet it runs in a native thread, or it would stop every other
    green thread, the one that reports the service as up among them. What the
    function logs there is dropped:
    https://github.com/eventlet/eventlet/issues/432
    """
    if not threads.green() or threads.outside():
        return function(*args)
    with threads.Request(function, *args) as request:
        request.wait()
        return request.result()


def within(seconds: float | None, what: str, function: Callable[..., Any],
           *args: Any) -> Any:
    """Call a function in a native thread, but wait only so long for it.

    A read from a hard mounted share whose server is gone never returns and
    cannot be interrupted: its thread is left behind, as a daemon that does
    not keep the process and takes no place in the pool. Under eventlet what
    the function logs is dropped.

    :param seconds: how long to wait, None for no limit; what this process
        stands still itself does not count
    :param what: what is asked of the store, for the message
    :raises TimedOut: it has not returned in time
    """
    with threads.Request(function, *args) as request:
        if not _Patience(seconds).wait(request.wait):
            raise errors.TimedOut(
                f'the storage did not answer within {seconds:g} s: {what}',
                what)
        return request.result()


def waiting(seconds: float | None, what: str, function: Callable[..., Any],
            *args: Any, who: str = 'the storage',
            late: Callable[[Any], None] | None = None) -> Any:
    """The same, in a thread like the others here: a green one of eventlet.

    For a function that starts a program, and may log, under eventlet too.

    :param seconds: how long to wait, None for no limit
    :param what: what is asked, for the message
    :param who: who is asked, for the message
    :param late: called with an answer that comes after the limit
    :raises TimedOut: it has not returned in time
    """
    answers: list[tuple[Any, BaseException | None]] = []
    answered = threading.Event()
    lock = threading.Lock()
    given_up = False

    def run() -> None:
        value, err = None, None
        try:
            value = function(*args)
        except BaseException as raised:
            err = raised
        with lock:
            answers.append((value, err))
            unread = given_up
        answered.set()
        if unread and err is None and late is not None:
            late(value)

    threading.Thread(target=run, daemon=True, name=f'verify {what}').start()
    if not _Patience(seconds).wait(answered.wait):
        with lock:
            given_up = not answers
        if given_up:
            raise errors.TimedOut(
                f'{who} did not answer within {seconds:g} s: {what}', what)
    (value, err), = answers
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

        :raises Stopped: the call was abandoned; what was answered must
            not be used
        """
        self.since = None
        if self.abandoned:
            raise errors.Stopped('the storage answered too late')

    @contextlib.contextmanager
    def asked(self) -> Iterator[None]:
        """Count the requests within as one."""
        self.begin()
        yield
        self.end()

    def answers(self, function: Callable[..., Iterable[Any]], *args: Any
                ) -> Iterator[Any]:
        """Take each of some items as an answer of its own.

        A listing may be long without being slow.

        :param function: returns what asks the store for more, once in a
            while, or asks it for all at once
        """
        clock = time.monotonic
        self.since = clock()
        # Not by the methods: it is done for each of very many.
        for item in function(*args):
            self.since = None
            if self.abandoned:
                break
            yield item
            self.since = clock()
        self.end()


def watched(seconds: float | None, what: str,
            function: Callable[..., Any], *args: Any) -> Any:
    """Call a function that asks a store and does other things between.

    :param seconds: limit of one answer of the store, None for no limit;
        what this process stands still itself does not count
    :param what: what is asked of the store, for the message
    :raises TimedOut: the store has not answered in time
    """
    watch = Watch()
    with threads.Request(function, watch, *args) as request:
        patience, since = _Patience(seconds), None
        try:
            while not request.wait(patience.pause):
                if watch.since is None or watch.since != since:
                    patience, since = _Patience(seconds), watch.since
                elif patience.over():
                    raise errors.TimedOut(
                        f'the storage did not answer within {seconds:g} s: '
                        f'{what}', what)
        except BaseException:
            # Also if this thread is ended otherwise.
            watch.abandoned = True
            raise
        return request.result()
