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

"""What clients of a local cloud talk to its services through."""

import contextlib
import socket

import testtools

from local_cloud import loopback


class LoopbackTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.bound = loopback.listen()
        self.addCleanup(self.bound.close)

    def test_nothing_waits_for_an_acknowledgement(self):
        with (socket.create_connection(self.bound.getsockname()),
              contextlib.closing(self.bound.accept()[0]) as connection):
            self.assertTrue(connection.getsockopt(socket.IPPROTO_TCP,
                                                  socket.TCP_NODELAY))

    def test_only_this_machine_reaches_it(self):
        self.assertEqual('127.0.0.1', self.bound.getsockname()[0])

    def test_port_of_somebody_else(self):
        self.assertRaises(OSError, loopback.listen,
                          self.bound.getsockname()[1])
