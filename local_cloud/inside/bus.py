# SPDX-License-Identifier: Apache-2.0

"""The bus of a process that has all services of Cinder.

Each thread that serves polls oslo.messaging's ``fake`` transport 20 times a
second. So a request waits for up to 50
milliseconds on its way, and an idle cloud keeps looking. Here a message wakes
them.
"""

import threading
from typing import Any

from oslo_messaging._drivers import impl_fake
from oslo_utils import timeutils

# Seconds after which they poll anyway.
_PATIENCE = 1.0


class _Bell:
    """Wakes all that wait; a ring between look and wait is not missed."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        #: How often it has rung.
        self.rung = 0

    def ring(self) -> None:
        with self._changed:
            self.rung += 1
            self._changed.notify_all()

    def wait(self, rung: int, seconds: float) -> None:
        """Wait until it has rung again, at most some seconds.

        :param rung: its number when there was nothing
        """
        with self._changed:
            self._changed.wait_for(lambda: self.rung != rung, seconds)


_BELL = _Bell()


class _Exchange(impl_fake.FakeExchange):

    def deliver_message(self, *args: Any, **kwargs: Any) -> None:
        super().deliver_message(*args, **kwargs)
        _BELL.ring()


class _Listener(impl_fake.FakeListener):

    def poll(self, timeout: float | None = None, batch_size: int = 1,
             batch_timeout: float | None = None) -> list[Any]:
        with timeutils.StopWatch(batch_timeout or timeout) as watch:
            while True:
                rung = _BELL.rung
                # The original poll, without its pause.
                found = super().poll(timeout=0, batch_size=batch_size)
                left = watch.leftover(return_none=True)
                if found or self._stopped.is_set() or left == 0:
                    return found
                _BELL.wait(rung, _PATIENCE if left is None else
                           min(left, _PATIENCE))

    def stop(self) -> None:
        super().stop()
        _BELL.ring()


def install() -> None:
    """Make the ``fake`` transport of this process wake its listeners."""
    impl_fake.FakeExchange = _Exchange
    impl_fake.FakeListener = _Listener
