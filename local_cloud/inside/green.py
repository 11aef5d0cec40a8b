# SPDX-License-Identifier: Apache-2.0

"""Cinder's process on eventlet, as releases before 2026.2 always run.

Nothing may be imported here that eventlet has to patch.
"""

from importlib import util
import os
import signal
import sys
from typing import NoReturn


def patch_for_old_cinder() -> bool:
    """Patch as the programs of those releases do; returns if this is one."""
    if util.find_spec('cinder.monkey_patch') is not None:
        return False
    import eventlet
    eventlet.monkey_patch()
    import threading

    # The names of threads, https://bugs.launchpad.net/bugs/1863021.
    import __original_module_threading as original
    original.current_thread.__globals__['_active'] = (
        threading._active)  # type: ignore[attr-defined]
    return True


def start(descriptor: int, application) -> None:
    """Serve in a green thread, by the server that these releases use."""
    import eventlet
    from eventlet import wsgi
    from eventlet.green import socket
    eventlet.spawn(wsgi.server, socket.socket(fileno=descriptor), application,
                   log_output=False)


def until_terminated() -> NoReturn:
    """Let the green threads run until SIGTERM or SIGINT, and end at once."""
    def end(number, frame):
        # The handler may run in any green thread: it waits for nothing.
        os._exit(0)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    import eventlet
    sys.stdout.flush()
    while True:
        eventlet.sleep(3600)
