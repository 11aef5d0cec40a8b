# SPDX-License-Identifier: Apache-2.0

"""Losses on the databases that clouds run on, through their whole APIs."""

import pathlib

import psutil
import sqlalchemy
import testtools

from local_cloud import fixture
from local_cloud import identity
from local_cloud.machine import daemons
from local_cloud.servers import database_servers
from local_cloud.services import database
from tests import cloud_cases
from tests import databases

_SCENARIO = 'cinder_backup_recovery_tests.scenario.'
_LOSSES = (f'{_SCENARIO}test_row_loss.FullBackupRowLossTest.'
           'test_hard_loss_restored_to_new_volume',
           f'{_SCENARIO}test_database_loss.DatabaseLossTest.'
           'test_every_backup_restored_from_its_record')


class DatabaseCases:
    """One cloud for all of these."""

    kind = ''

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        server = database_servers.SERVERS[cls.kind]
        if lacking := server.missing():
            databases.unavailable(lacking)
        cls.local = fixture.LocalCloud(database=cls.kind, second_region=True)
        cls.local.setUp()
        cls.addClassCleanup(cls._down)
        cls.state = cls.local.state

    @classmethod
    def _down(cls):
        """Take it down; all of the server goes with it."""
        processes = cls._server()
        cls.local.cleanUp()
        if left := cloud_cases.left_of(processes):
            raise AssertionError(f'{left} of the database are left')
        segments = pathlib.Path('/proc/sysvipc/shm').read_text()
        for process in processes:
            if f' {process.pid} ' in segments:
                raise AssertionError(f'{process.pid} has left its memory')

    @classmethod
    def _server(cls):
        process = daemons.alive(cls.state, database.Database.name)
        return [process, *process.children(recursive=True)]

    def _select(self, name, what):
        engine = sqlalchemy.create_engine(
            database.url(self.state, name),
            poolclass=sqlalchemy.pool.NullPool)
        with engine.connect() as connection:
            return {*map(tuple, connection.exec_driver_sql(
                f'SELECT {what} FROM services WHERE NOT deleted'))}

    def _hosts(self, name):
        return {host for host, in self._select(name, 'host')}

    def test_losses(self):
        """The tests of the suite, with all requirements.

        Of the second Cinder nothing is lost.
        """
        session = identity.Session(self.state)
        for name in ('cinder', 'cinder-two'):
            session.request('POST', name, '/types', json={
                'volume_type': {'name': 'to-be-forgotten'}})
        code, text = cloud_cases.recover(self.local, *_LOSSES)
        self.assertEqual(0, code, text)
        self.assertIn('Ran 2 tests', text)
        self.assertNotIn('skip', text)
        types = {name: {one['name'] for one in session.get(
            name, '/types')['volume_types']}
            for name in ('cinder', 'cinder-two')}
        self.assertEqual({'__DEFAULT__'}, types['cinder'])
        self.assertEqual({'__DEFAULT__', 'to-be-forgotten'},
                         types['cinder-two'])

    def test_each_cinder_has_its_own(self):
        self.assertEqual({'local', 'local@sparse'}, self._hosts('cinder'))
        self.assertEqual({'second', 'second@sparse'},
                         self._hosts('cinder-two'))
        # Nothing but what has no server is in a file.
        self.assertEqual({'glance.sqlite', 'keystone.sqlite'}, {
            path.name for path in self.state.data.rglob('*.sqlite')})

    def test_killed(self):
        """Its rows are there again, and all that wrote some goes on."""
        def count(name):
            return dict(self._select(name, 'id, report_count'))

        before = self._hosts('cinder')
        self.local.cloud.kill(database.Database.name)
        self.assertRaises(sqlalchemy.exc.OperationalError, self._hosts,
                          'cinder')
        for name in ('cinder', 'cinder-two'):
            log = self.state.log(name)
            cloud_cases.until(
                lambda log=log: 'No heartbeat' in log.read_text(),
                f'a heartbeat of {name} that fails')
        self.local.cloud.up()
        self.assertEqual(before, self._hosts('cinder'))
        for name in ('cinder', 'cinder-two'):
            old = count(name)
            cloud_cases.until(
                lambda name=name, old=old: all(
                    now > old[number] for number, now in count(name).items()),
                f'a heartbeat of each service of {name}')

    def test_loopback_only(self):
        own = {one.pid for one in self._server()}
        self.assertEqual(
            {('127.0.0.1', self.state.record['ports']['database'])},
            {tuple(one.laddr) for one in psutil.net_connections('inet')
             if one.pid in own and one.status == psutil.CONN_LISTEN})

    def test_not_as_root(self):
        for process in self._server():
            self.assertNotEqual(0, process.uids().effective)


class PostgreSQLTest(DatabaseCases, testtools.TestCase):
    kind = 'postgresql'


class MariaDBTest(DatabaseCases, testtools.TestCase):
    kind = 'mariadb'
