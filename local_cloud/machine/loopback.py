# SPDX-License-Identifier: Apache-2.0

"""Sockets for the services of a local cloud."""

from collections.abc import Mapping
import socket

HOST = '127.0.0.1'


def listen(port: int = 0) -> socket.socket:
    """Bind a port, any by default, for a service that inherits the socket.

    :raises OSError: another program has the port
    """
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind((HOST, port))
        # Named, since a port that the kernel chose for a socket would be lost
        # when that socket stops listening; see reserve().
        made = socket.create_server(free.getsockname(), backlog=128)
    # Servers send an answer in several pieces. Without this the second one
    # waits until the client has acknowledged the first, which takes 40
    # milliseconds. Connections have it of the socket that they come from.
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def reserve(descriptor: int | None = None) -> socket.socket:
    """Keep a port for a server that binds it itself.

    It can bind it next to a socket that does not listen, and no other program
    gets the port in the meantime. The socket stops listening here: the parent
    of this process may have a copy of its descriptor a bit longer.

    :param descriptor: a socket that listens; that of a free port by default
    """
    kept = listen() if descriptor is None else socket.socket(fileno=descriptor)
    kept.shutdown(socket.SHUT_RDWR)
    return kept


def without_proxy(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables by which clients reach loopback without a proxy.

    A machine that needs a proxy for PyPI may only have ``http_proxy``, and
    clients then request the services of this machine from the proxy.
    """
    hosts = [environment.get('no_proxy') or environment.get('NO_PROXY') or '',
             HOST, 'localhost']
    return dict.fromkeys(('no_proxy', 'NO_PROXY'), ','.join(
        dict.fromkeys(host for one in hosts for host in one.split(',')
                      if host)))
