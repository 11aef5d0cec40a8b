# SPDX-License-Identifier: Apache-2.0

"""Calls in native threads that may be abandoned.

Eventlet's own pool is not enough for a store that hangs: it has a fixed
number of threads, each request that is never answered keeps one, and the end
of the process waits for them. Here such a thread is left behind, and the
next request gets another.
"""

import atexit
import collections
from collections.abc import Callable
import contextlib
import importlib
import logging
import os
from typing import Any

from oslo_utils import importutils

from reference_drivers.verification import green_tls

hubs = importutils.try_import('eventlet.hubs')
patcher = importutils.try_import('eventlet.patcher')
tpool = importutils.try_import('eventlet.tpool')

KEPT = 16
"""The number of threads kept for later requests. More may be at work."""


def green() -> bool:
    """Check whether the threads of this process are green ones of eventlet."""
    return patcher is not None and patcher.is_monkey_patched('thread')


def native(module: str) -> Any:
    """A module as it was before eventlet patched it, if it did.

    :returns: the module, whose locks are those of native threads
    """
    return patcher.original(module) if green() else (
        importlib.import_module(module))


def outside() -> bool:
    """Check whether this is a native thread beside those of eventlet.

    There a function may block, and must not do what switches green threads.
    """
    return (tpool is not None and
            native('threading').current_thread() in tpool._threads)


def _logged(record: logging.LogRecord) -> bool:
    return not outside()


def _drop_logs() -> None:
    """Drop what a store's client logs in native threads.

    The lock of a handler is one of green threads: a native one that finds it
    taken waits without an end. Filters come before it.
    """
    for handler in logging.getLogger().handlers:
        # Nothing is added twice.
        handler.addFilter(_logged)


class Request:
    """A function that is called in a native thread.

    To be used with ``with``, whose end abandons what has not returned yet.

    :param function: what to call; under eventlet what it logs is dropped,
        and it must not touch another lock of a green thread
    """

    def __init__(self, function: Callable[..., Any], *args: Any):
        self._function = function
        self._args = args
        self._value: Any = None
        self._error: BaseException | None = None
        self._returned: Any = None

    def __enter__(self) -> 'Request':
        if green() and not outside():
            _drop_logs()
            self._returned = _Pipe()
        else:
            self._returned = _Event()
        try:
            try:
                worker = _idle.pop()
            except IndexError:
                worker = _Worker()
        except BaseException:
            self._returned.close()
            raise
        worker.requests.put(self)
        return self

    def __exit__(self, *args: Any) -> None:
        self._returned.close()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait as the other threads here do.

        :param seconds: how long, None for no limit
        """
        return self._returned.wait(seconds)

    def result(self) -> Any:
        """The function's result, after :meth:`wait` returned True.

        :raises BaseException: what the function has raised
        """
        if self._error is None:
            return self._value
        try:
            raise self._error
        finally:
            # Its traceback leads back here, and to all that was read.
            self._error = None

    def call(self) -> None:
        """Call the function, in the native thread."""
        try:
            self._value = self._function(*self._args)
        except BaseException as err:
            self._error = err

    def wake(self) -> None:
        """Wake who waits, from the native thread."""
        self._returned.set()


class _Event:
    """Wakes a native thread from another one."""

    def __init__(self) -> None:
        self._event = native('threading').Event()
        self.set = self._event.set
        self.wait = self._event.wait

    def close(self) -> None:
        pass


class _Pipe:
    """Wakes a green thread from a native one.

    A pipe of its own for each request: it costs a few microseconds, and
    there is nothing that green threads, native threads or processes share.
    """

    def __init__(self) -> None:
        self._out, end = os.pipe()
        self._in = [end]
        # The number may be that of a file which was closed unseen.
        hubs.notify_opened(self._out)

    def _take(self) -> int | None:
        # Both threads may come here, and pop() gives it to one of them. No
        # end of it is left open by a request that is never answered.
        try:
            return self._in.pop()
        except IndexError:
            return None

    def set(self) -> None:
        end = self._take()
        if end is None:
            return
        # A byte, since a process that was forked meanwhile keeps the pipe
        # open, and not by what eventlet made of write().
        with contextlib.suppress(BrokenPipeError):
            native('os').write(end, b'.')
        os.close(end)

    def wait(self, seconds: float | None = None) -> bool:
        try:
            hubs.trampoline(self._out, read=True, timeout=seconds,
                            timeout_exc=_Late)
        except _Late:
            return False
        return True

    def close(self) -> None:
        end = self._take()
        if end is not None:
            os.close(end)
        os.close(self._out)


class _Late(BaseException):
    """Thrown into a green thread that has waited long enough."""


class _Worker:
    """A native thread for one request after the other."""

    def __init__(self) -> None:
        if green():
            # Once, and here: the pool answers the thread that sets it up. In
            # ours, which does not listen, all of Cinder's own calls to the
            # pool would wait without a limit.
            tpool.setup()
            green_tls.guard(native('threading').RLock)
        self.requests = native('queue').SimpleQueue()
        self.thread = native('threading').Thread(
            target=self._run, daemon=True, name='request to the storage')
        _workers.add(self)
        if green():
            # So that eventlet knows it for a native one: what hands a call
            # to the pool, as Cinder's volume files do, calls here itself.
            tpool._threads.append(self.thread)
        try:
            self.thread.start()
        except BaseException:
            self._forget()
            raise

    def _run(self) -> None:
        while True:
            request = self.requests.get()
            request.call()
            keep = len(_idle) < KEPT
            # Before anybody is woken, so that the next request finds it.
            if keep:
                _idle.append(self)
            else:
                self._forget()
            request.wake()
            if not keep:
                return
            # Or the thread would keep in memory what was read.
            del request

    def _forget(self) -> None:
        _workers.discard(self)
        if tpool is not None:
            with contextlib.suppress(ValueError):
                tpool._threads.remove(self.thread)


# The methods of these are atomic: they have no lock that a fork or a green
# thread could find taken.
_idle: collections.deque[_Worker] = collections.deque()
_workers: set[_Worker] = set()


def _forget_all() -> None:
    _idle.clear()
    for worker in list(_workers):
        worker._forget()


# A new process has no threads but the one that forked.
os.register_at_fork(after_in_child=_forget_all)
# Before that of eventlet, which was registered when it was imported, and
# waits for all threads that it knows.
atexit.register(_forget_all)
