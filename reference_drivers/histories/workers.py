# SPDX-License-Identifier: Apache-2.0

"""Processes that run histories, each on a cloud of its own."""

from collections.abc import Callable
from concurrent import futures
import functools
import gc
import logging
import multiprocessing
from multiprocessing import synchronize
from multiprocessing import util
import os
import signal
import tempfile
from typing import Any

from reference_drivers.contract import binding
from reference_drivers.contract import stopping
from reference_drivers.histories import cloud
from reference_drivers.histories import search

# In a worker: what it was begun with.
_stopped: synchronize.Event
_bound: tuple[Any, ...]


class Workers(futures.ProcessPoolExecutor):
    """Carries out what a search asks for.

    :param bound: the arguments of :class:`.binding.Binding`
    :param processes: how many work at the same time
    """

    def __init__(self, bound: tuple[Any, ...], processes: int):
        # A fork has imported Cinder already.
        context = multiprocessing.get_context('fork')
        self._stopped = context.Event()
        self._directory = tempfile.TemporaryDirectory()
        super().__init__(processes, context, _begin, (
            self._stopped, self._directory.name, bound))
        # The first call forks them all. What a signal raises in what Python
        # calls at a fork is lost.
        with stopping.held():
            self.call(cloud.Cloud.clear)

    def call(self, function: Callable[..., Any], *arguments: Any
             ) -> futures.Future[Any]:
        """Call a function with a cloud and these arguments."""
        return self.submit(_call, function, *arguments)

    def stop(self) -> None:
        """End after the history that is being run."""
        self._stopped.set()
        self.shutdown(cancel_futures=True)
        self._directory.cleanup()


def _begin(stopped: synchronize.Event, directory: str,
           bound: tuple[Any, ...]) -> None:
    global _stopped, _bound
    _stopped, _bound = stopped, bound
    tempfile.tempdir = directory
    # Ctrl-C reaches each process of a terminal; the first one says when.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # That is how the executor ends all when one of them was killed.
    signal.signal(signal.SIGTERM, _end)
    # The services of the process log each error that a history causes.
    logging.disable(logging.CRITICAL)


def _end(number: int, frame: Any) -> None:
    try:
        if _engine.cache_info().currsize:
            _engine().cleanUp()
    finally:
        os._exit(1)


@functools.cache
def _engine() -> cloud.Cloud:
    made = _Engine(binding.Binding(*_bound))
    made.setUp()
    # What is there now stays until the end: no collection need look at it,
    # and what a history leaves is little.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 50)
    util.Finalize(made, made.cleanUp, exitpriority=1)
    return made


class _Engine(cloud.Cloud):
    def clear(self) -> None:
        if _stopped.is_set():
            raise search.Stopped
        super().clear()


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(_engine(), *arguments)
