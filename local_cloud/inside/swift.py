# SPDX-License-Identifier: Apache-2.0

"""The process of Swift: proxy, account, container and object server.

The four are the real servers, each with its own configuration and its own
port; they talk to each other over HTTP as on four machines. One process has
them all, as Swift's own functional tests do it, for the memory of one.
"""

import argparse
import json
import os
import socket
import sys
import time

import eventlet
from eventlet import wsgi as eventlet_wsgi

eventlet.monkey_patch()

from swift.common import ring  # noqa: E402
from swift.common import wsgi  # noqa: E402

# In the order in which they need each other.
SERVERS = ('account', 'container', 'object', 'proxy')
# One device: enough partitions for a directory each, few enough to be quick.
_PART_POWER = 4


def _build_ring(directory: str, server: str, port: int) -> None:
    """Make the ring of one server with the one device that there is."""
    path = os.path.join(directory, f'{server}.ring.gz')
    if os.path.exists(path):
        return
    builder = ring.RingBuilder(_PART_POWER, 1, 1)
    builder.add_dev({'region': 1, 'zone': 1, 'weight': 1, 'device': 'disk',
                     'ip': '127.0.0.1', 'port': port})
    builder.rebalance()
    builder.get_ring().save(path)


class Cache:
    """A cache in memory, as memcached is for a real Swift's processes.

    Without one, each request reads its account and its container again, and
    each request of S3 goes to Keystone.
    """

    def __init__(self) -> None:
        self._values: dict[str, tuple[str, float]] = {}

    def get(self, key, raise_on_error=False):
        """A value, None if it has gone."""
        value, until = self._values.get(key, ('null', 0))
        return json.loads(value) if time.monotonic() < until else None

    def set(self, key, value, serialize=True, time=0, min_compress_len=0,
            raise_on_error=False):
        """Keep a value, for some seconds if these are given."""
        # As JSON, as memcached has it: what is read is never what another
        # request goes on with.
        self._values[key] = json.dumps(value), _deadline(time)

    def delete(self, key, server_key=None):
        """Forget a value."""
        self._values.pop(key, None)


def _deadline(seconds: float) -> float:
    return time.monotonic() + seconds if seconds else float('inf')


def _with(cache: Cache, application):
    def call(environ, start_response):
        environ['swift.cache'] = cache
        return application(environ, start_response)

    return call


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument('directory')
    parser.add_argument('descriptors', nargs=len(SERVERS), type=int,
                        help=' '.join(SERVERS))
    arguments = parser.parse_args()
    sockets = {
        server: eventlet.greenio.GreenSocket(socket.socket(fileno=number))
        for server, number in zip(SERVERS, arguments.descriptors,
                                  strict=True)}
    for server, listener in sockets.items():
        if server != 'proxy':
            _build_ring(arguments.directory, server,
                        listener.getsockname()[1])
    cache = Cache()
    servers = []
    for server, listener in sockets.items():
        path = os.path.join(arguments.directory, f'{server}-server.conf')
        # Swift's own way to read a configuration and make its application;
        # its way to serve one makes a new event loop for each.
        application, _, logger, _ = wsgi.init_request_processor(
            path, f'{server}-server')
        servers.append(eventlet.spawn(
            eventlet_wsgi.server, listener, _with(cache, application), logger,
            protocol=wsgi.SwiftHttpProtocol, log_output=False,
            capitalize_response_headers=False))
    for server in servers:
        server.wait()
    sys.exit('a server of Swift has ended')


if __name__ == '__main__':
    main()
