# SPDX-License-Identifier: Apache-2.0

"""Calls that are made at the same time."""

from collections.abc import Callable
from collections.abc import Sequence
from concurrent import futures
import threading
from typing import Any


def at_once(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Call functions at the same time.

    :returns: what they returned, in the same order
    """
    barrier = threading.Barrier(len(calls))

    def wait_and(call: Callable[[], Any]) -> Any:
        barrier.wait()
        return call()

    with futures.ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(wait_and, calls))
