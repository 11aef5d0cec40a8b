# SPDX-License-Identifier: Apache-2.0

"""Clients of a local cloud connect over loopback."""

import contextlib
import os
import socket

import testtools

from local_cloud.machine import loopback


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

    def test_port_of_another_program(self):
        self.assertRaises(OSError, loopback.listen,
                          self.bound.getsockname()[1])


class ReserveTest(testtools.TestCase):
    """The server gets its port, also if a process has a copy of the socket."""

    def setUp(self):
        super().setUp()
        self.bound = loopback.listen()
        self.addCleanup(self.bound.close)
        self.address = self.bound.getsockname()
        # The starter keeps its own until it runs again.
        self.kept = loopback.reserve(os.dup(self.bound.fileno()))
        self.addCleanup(self.kept.close)

    def listen(self, reuse):
        made = socket.socket()
        self.addCleanup(made.close)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
        made.bind(self.address)
        made.listen()
        return made

    def test_server(self):
        server = self.listen(1)
        with (socket.create_connection(self.address),
              contextlib.closing(server.accept()[0])):
            pass

    def test_other_programs(self):
        self.assertRaises(OSError, self.listen, 0)
        self.bound.close()
        self.assertRaises(OSError, self.listen, 0)

    def test_no_answer_before_the_server(self):
        self.assertRaises(ConnectionRefusedError, socket.create_connection,
                          self.address)

    def test_free_port(self):
        with loopback.reserve() as kept:
            self.address = kept.getsockname()
            self.assertRaises(OSError, self.listen, 0)
            self.listen(1)
