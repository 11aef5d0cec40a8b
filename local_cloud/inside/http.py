# SPDX-License-Identifier: Apache-2.0

"""A WSGI server around a service's own application."""

import argparse
from collections.abc import Callable
import os
import signal
import socket
import sys
import threading
from typing import Any
from typing import NoReturn

from cheroot import wsgi

from local_cloud.inside import sqlite


class _Input:
    """The body of a request, which an application cannot close.

    Glance closes ``wsgi.input`` after a chunked upload; the server then
    fails at the next request of the same connection.
    """

    def __init__(self, body):
        self._body = body

    def __getattr__(self, name):
        return getattr(self._body, name)

    def __iter__(self):
        return iter(self._body)

    def close(self) -> None:
        pass


class Server(wsgi.Server):
    """A threaded server on an inherited socket that listens."""

    def __init__(self, descriptor: int, application, threads: int):
        self._inherited = socket.socket(fileno=descriptor)
        super().__init__(self._inherited.getsockname(),
                         self._guarded(application), numthreads=threads,
                         request_queue_size=128, timeout=60,
                         shutdown_timeout=1)

    def bind(self, family, type, proto=0):
        self.socket = self._inherited
        return self.socket

    @staticmethod
    def _guarded(application):
        def guarded(environ, start_response):
            environ['wsgi.input'] = _Input(environ['wsgi.input'])
            return application(environ, start_response)
        return guarded


def start(descriptor: int, application, threads: int = 8) -> Server:
    """Serve in a thread."""
    server = Server(descriptor, application, threads)
    server.prepare()
    threading.Thread(target=server.serve, name='http', daemon=True).start()
    return server


def program(bootstrap: Callable[[], None],
            application: Callable[[], Any]) -> None:
    """The program of a service: make its database, or serve its API.

    :param application: makes the WSGI application
    """
    parser = argparse.ArgumentParser()
    verbs = parser.add_subparsers(dest='verb', required=True)
    verbs.add_parser('serve').add_argument('descriptor', type=int)
    verbs.add_parser('bootstrap')
    arguments = parser.parse_args()
    sqlite.serialize_writers()
    if arguments.verb == 'bootstrap':
        bootstrap()
        return
    start(arguments.descriptor, application())
    until_terminated()


def until_terminated() -> NoReturn:
    """Wait for SIGTERM or SIGINT, and end the process at once.

    Whatever its threads are in the middle of: this is a crash to them, as it
    is to a service whose machine stops.
    """
    done = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: done.set())
    done.wait()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
