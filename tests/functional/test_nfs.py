# SPDX-License-Identifier: Apache-2.0

"""The NFS server, and tests that run where a share can be mounted."""

import os

import fixtures
import psutil
import testtools

from local_cloud.servers import nfs_server
from tests import nfs_uml


class ServerTest(testtools.TestCase):
    """The server alone; it needs no client of this kernel."""

    def setUp(self):
        super().setUp()
        nfs_uml.need(nfs_server.missing())
        if os.geteuid() != 0:
            nfs_uml.need('the NFS server opens files by their handles, '
                           'which takes root')
        self.server = nfs_server.Server(
            os.path.join(self.useFixture(fixtures.TempDir()).path, 's'))
        self.server.start()
        self.addCleanup(self.server.stop)

    def test_listens_on_loopback_only(self):
        found = {(c.laddr.ip, c.laddr.port) for c in
                 self.server.process('nfs').net_connections('inet')
                 if c.type.name == 'SOCK_DGRAM' or
                 c.status == psutil.CONN_LISTEN}
        self.assertEqual({('::ffff:127.0.0.1', self.server.port)}, found)

    def test_pause_and_restart(self):
        port = self.server.port
        self.server.pause()
        self.assertEqual('timed out', nfs_server.answers(port))
        self.server.resume()
        self.assertIs(True, nfs_server.answers(port))
        self.server.pause()
        self.server.stop(keep=True)
        self.assertIn('refused', nfs_server.answers(port))
        self.assertIsNone(self.server.process('nfs'))
        self.server.start()
        self.assertIs(True, nfs_server.answers(port))
        self.server.stop()
        self.assertFalse(self.server.directory.exists())


class InnerTest(testtools.TestCase):
    """A failure inside is one outside."""

    def result_of(self, name):
        """The outer test's result for an inner one."""

        class Outer(nfs_uml.InnerCase):

            def test(self):
                self.run_inner(f'tests.broken_cases.{name}', timeout=600)

        result = testtools.TestResult()
        Outer('test').run(result)
        self.assertEqual(1, result.testsRun)
        return result

    def test_all_that_can_go_wrong(self):
        result = self.result_of('BrokenTests')
        (_, text), = result.failures
        for words in ('BrokenTests.test_a_fails', 'what was wrong inside',
                      'BrokenTests.test_a_is_skipped', 'a reason to skip',
                      'BrokenTests.test_ends_the_process', 'inprogress'):
            self.assertIn(words, text)

    def test_no_test_or_no_module(self):
        for name in ('NoTests', 'NoSuchTests'):
            result = self.result_of(name)
            self.assertEqual(1, len(result.failures + result.errors))
