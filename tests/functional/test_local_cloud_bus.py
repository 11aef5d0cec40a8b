# SPDX-License-Identifier: Apache-2.0

"""The local cloud with RabbitMQ, and a process for each of its services."""


import psutil
import testtools

from local_cloud import fixture
from local_cloud import identity
from local_cloud.machine import daemons
from local_cloud.services import rabbitmq
from tests import cloud_cases
from tests import databases

_SCENARIO = 'cinder_backup_recovery_tests.scenario.'
_RECOVERIES = (f'{_SCENARIO}test_row_loss.FullBackupRowLossTest.'
               'test_hard_loss_restored_to_new_volume',
               f'{_SCENARIO}test_faults.KilledServiceTest.'
               'test_killed_during_restore')
_EACH = {'cinder-backup', 'cinder-scheduler', 'cinder-volume'}


class RabbitMQTest(cloud_cases.OneCloud, testtools.TestCase):
    """One cloud for all of these."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if lacking := rabbitmq.SOFTWARE.missing():
            databases.unavailable(lacking)
        cls.local = fixture.LocalCloud(bus='rabbitmq')
        cls.local.setUp()
        cls.addClassCleanup(cls._down)
        cls.cloud = cls.local.cloud
        cls.state = cls.local.state

    @classmethod
    def _down(cls):
        """Take it down; the register of Erlang's nodes goes with it."""
        processes = daemons.all_of(cls.state)
        names = {one.name() for one in processes}
        cls.local.cleanUp()
        if 'epmd' not in names:
            raise AssertionError(f'no epmd among {names}')
        if left := cloud_cases.left_of(processes):
            raise AssertionError(f'{left} are left')

    def test_recoveries(self):
        """Of lost rows, and after a kill of cinder-backup alone."""
        before = self.pids()
        code, text = cloud_cases.recover(self.local, *_RECOVERIES)
        self.assertEqual(0, code, text)
        self.assertIn('Ran 2 tests', text)
        self.assertNotIn('skip', text)
        after = self.pids()
        self.assertNotEqual(before.pop('cinder-backup'),
                            after.pop('cinder-backup'))
        self.assertEqual(before, after)

    def test_each_has_a_process(self):
        status = self.cloud.status()['services']
        self.assertEqual({'rabbitmq', 'keystone', 'glance', 'cinder', *_EACH},
                         {*status})
        self.assertEqual(len(status), len({*self.pids().values()}))
        for name in _EACH:
            self.assertIn(f' --service {name}', ' '.join(psutil.Process(
                status[name]['pid']).cmdline()))

    def test_lost_database(self):
        """Each process of Cinder is another one after it."""
        before = self.pids()
        self.cloud.lose_database()
        after = self.pids()
        self.assertEqual({'cinder', *_EACH},
                         {name for name in before
                          if before[name] != after[name]})
        self.assertEqual({'ready'}, {*self.states().values()})

    def test_killed_broker(self):
        """Services that were connected to it go on with the next one."""
        before = self.pids()
        self.cloud.kill(rabbitmq.RabbitMQ.name)
        self.assertEqual('stopped', self.states()[rabbitmq.RabbitMQ.name])
        self.cloud.up()
        after = self.pids()
        self.assertEqual({rabbitmq.RabbitMQ.name}, {name for name in before
                                           if before[name] != after[name]})
        # By RPC, to the scheduler.
        self.assertTrue(identity.Session(self.state).get(
            'cinder', '/scheduler-stats/get_pools')['pools'])

    def test_loopback_only(self):
        own = {one.pid for one in daemons.all_of(self.state)}
        found = {one.laddr for one in psutil.net_connections('inet')
                 if one.pid in own and one.status == psutil.CONN_LISTEN}
        # The register listens on both, whatever it is told.
        self.assertEqual({'127.0.0.1', '::1'}, {one.ip for one in found})
        self.assertEqual({*self.state.record['ports'].values()},
                         {one.port for one in found})

    def test_no_password_in_logs_and_process_list(self):
        secret = self.state.record['passwords'][rabbitmq.RabbitMQ.name]
        cookie = (self.state.data / rabbitmq.RabbitMQ.name /
                  '.erlang.cookie').read_text()
        shown = [' '.join(one.cmdline())
                 for one in daemons.all_of(self.state)]
        shown += [log.read_text(errors='replace')
                  for log in self.state.logs.glob('*.log')]
        self.assertIn('beam.smp', ' '.join(shown))
        for text in shown:
            self.assertNotIn(secret, text)
            self.assertNotIn(cookie, text)
