# SPDX-License-Identifier: Apache-2.0

"""TLS in native threads beside green ones.

To wrap a socket, eventlet puts the unpatched classes into Python's module
``ssl`` and takes them out again. A green thread that makes a context meanwhile
gets an unpatched one, and setting an attribute of it then recurses without an
end; two native threads can leave the unpatched classes in there. Eventlet
wraps in green threads only, one at a time; here native ones do it, too.
"""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import functools
import ssl
from typing import Any

from oslo_utils import importutils

#: Those that look for the classes in their own module.
_MAKERS = 'create_default_context', '_create_unverified_context'


@functools.cache
def guard(make_lock: Callable[[], Any]) -> None:
    """Let one thread at a time wrap a socket or make a context.

    None of both switches to another green thread, so that a native lock is
    soon free.

    :param make_lock: makes a native lock that a thread may take twice
    """
    green_ssl = importutils.import_module('eventlet.green.ssl')
    lock = make_lock()
    usual = green_ssl._original_ssl_context

    @contextlib.contextmanager
    def guarded(*args: Any, **kwargs: Any) -> Iterator[None]:
        with lock, usual(*args, **kwargs):
            yield

    green_ssl._original_ssl_context = guarded
    for name in _MAKERS:
        setattr(ssl, name, _locked(lock, getattr(ssl, name)))


def _locked(lock: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with lock:
            return function(*args, **kwargs)

    return call
