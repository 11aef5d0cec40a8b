# SPDX-License-Identifier: Apache-2.0

"""Keep a store from answering one driver, by the driver's own options."""

from collections.abc import Iterator
import contextlib
import socket
from typing import Any
import urllib.parse


@contextlib.contextmanager
def replaced(conf: Any, option: str, value: Any) -> Iterator[None]:
    """Give an option of a driver another value for a while.

    The driver must read it for each request, as Cinder makes a driver for
    each.

    :param conf: a configuration of oslo.config
    :param option: its name in [DEFAULT]
    """
    before = getattr(conf, option)
    conf.set_override(option, value)
    try:
        yield
    finally:
        conf.set_override(option, before)


@contextlib.contextmanager
def redirected(conf: Any, option: str, hanging: bool = False
               ) -> Iterator[None]:
    """Point a driver to a port that never answers, for a while.

    :param option: has the address of the store, as a URL or as host:port
    :param hanging: whether the port accepts connections; they are refused
        otherwise
    """
    value = str(getattr(conf, option))
    with socket.socket() as one:
        # A socket that does not listen keeps the port, and refuses.
        one.bind(('127.0.0.1', 0))
        if hanging:
            one.listen()
        address = f'127.0.0.1:{one.getsockname()[1]}'
        if '://' in value:
            address = urllib.parse.urlsplit(value)._replace(
                netloc=address).geturl()
        with replaced(conf, option, address):
            yield
