# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""What clients talk to the services of a local cloud through."""

import socket
import urllib.request

from cheroot import server as cheroot_server
import fixtures
import testtools

from local_cloud.inside import http


class HttpTest(testtools.TestCase):
    """A server on a socket that somebody else has bound."""

    def test_nothing_waits_for_an_acknowledgement(self):
        seen = []

        class Connection(cheroot_server.HTTPConnection):
            def __init__(self, server, sock, *args, **kwargs):
                super().__init__(server, sock, *args, **kwargs)
                seen.append(sock.getsockopt(socket.IPPROTO_TCP,
                                            socket.TCP_NODELAY))

        def application(environ, start_response):
            start_response('200 OK', [('Content-Type', 'text/plain')])
            return [b'well']

        self.useFixture(fixtures.MonkeyPatch(
            'local_cloud.inside.http.Server.ConnectionClass', Connection))
        with socket.create_server(('127.0.0.1', 0)) as bound:
            port = bound.getsockname()[1]
            server = http.start(bound.detach(), application)
        self.addCleanup(server.stop)
        with urllib.request.urlopen(f'http://127.0.0.1:{port}/',
                                    timeout=30) as answer:
            self.assertEqual(b'well', answer.read())
        self.assertEqual([True], [bool(one) for one in seen])
