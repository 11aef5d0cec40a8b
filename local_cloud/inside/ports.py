# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Ports of servers that bind them themselves."""

import socket


def reserve(descriptor: int) -> socket.socket:
    """Keep the port that was bound for a server, for it to listen on.

    It can bind it beside a socket that does not listen, and nobody else gets
    the port in the meantime.

    :param descriptor: a socket that listens
    """
    with socket.socket(fileno=descriptor) as listener:
        address = listener.getsockname()
    kept = socket.socket()
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    kept.bind(address)
    return kept
