# SPDX-License-Identifier: Apache-2.0

"""The database of the local cloud's Cinder."""

import os
import socket
from unittest import mock

import sqlalchemy

from local_cloud import cloud
from local_cloud import exceptions
from local_cloud import options
from local_cloud import releases
from local_cloud import requirements
from local_cloud import template
from local_cloud.machine import programs
from local_cloud.servers import database_servers
from local_cloud.services import database
from local_cloud.services import registry
from tests import cloud_cases


class DatabaseTest(cloud_cases.StateCase):

    def setUp(self):
        super().setUp()
        self.state.record.update(ports={'database': 5, 'cinder': 6},
                                 passwords={'database': 'secret'})

    def test_sqlite_without_a_server(self):
        """The default, also of a cloud that was made before the option."""
        self.assertFalse(database.wanted(self.state))
        self.assertNotIn('database', [one.name for one in
                                      registry.of(self.state)])
        for name in ('keystone', 'cinder', 'cinder-two'):
            self.assertTrue(database.url(
                self.state, name).startswith('sqlite:////'))

    def test_a_database_for_each_cinder(self):
        """By an account that is no administrator's; no other service's."""
        for kind, driver in (('postgresql', 'postgresql+psycopg2'),
                             ('mariadb', 'mysql+pymysql')):
            self.state.record.update(database=kind, second_region=True)
            self.assertIsInstance(registry.of(self.state)[0],
                                  database.Database)
            for name, base in (('cinder', 'cinder'),
                               ('cinder-two', 'cinder_two')):
                url = sqlalchemy.make_url(
                    database.section(self.state, name)['connection'])
                self.assertEqual(
                    (driver, 'cinder', 'secret', '127.0.0.1', 5, base),
                    (url.drivername, url.username, url.password, url.host,
                     url.port, url.database))
            self.assertIn('sqlite', database.url(self.state,
                                                          'keystone'))

    def test_a_password_of_any_characters(self):
        server = database_servers.PostgreSQL('/nowhere', 5, 'p@ss/w:rd%')
        self.assertEqual('p@ss/w:rd%',
                         sqlalchemy.make_url(server.url()).password)

    def test_server_that_hangs(self):
        """It takes the connection and never answers."""
        with (socket.create_server(('127.0.0.1', 0)) as listener,
              mock.patch.object(database_servers, '_ANSWER', 2)):
            for kind in database_servers.SERVERS.values():
                server = kind('/nowhere', listener.getsockname()[1], 'x')
                self.assertIsInstance(server.answers(), str)

    def test_package_is_named(self):
        """The server's, its account's, and the extra of its client."""
        for kind, package, extra in (
                ('postgresql', 'postgresql', 'postgresql'),
                ('mariadb', 'mariadb-server', 'mysql')):
            server = database_servers.SERVERS[kind]
            asked = options.Options(database=kind)
            with mock.patch.object(programs.Software, 'find',
                                   return_value=None):
                error = self.assertRaises(
                    exceptions.MissingPackage, requirements.check, asked)
            self.assertIn(f'{server.SOFTWARE.programs[0]}, ', str(error))
            self.assertTrue(str(error).endswith(
                f'apt-get install --no-install-recommends {package}'))
            with (mock.patch.object(programs.Software, 'find',
                                    return_value='/x'),
                  mock.patch('os.geteuid', return_value=0),
                  mock.patch('pwd.getpwnam', side_effect=KeyError)):
                error = self.assertRaises(
                    exceptions.MissingPackage, requirements.check, asked)
            self.assertIn(f'(the account {server.ACCOUNT} not found)',
                          str(error))
            with mock.patch('importlib.util.find_spec', return_value=None):
                error = self.assertRaises(
                    exceptions.MissingPackage, requirements.check, asked)
            self.assertIn(server.MODULE, str(error))
            self.assertIn(f'[local-cloud,{extra}]', str(error))
        with mock.patch.object(programs.Software, 'find', return_value=None):
            requirements.check(options.Options())

    def test_client_of_another_cinder(self):
        """It is told how to get it; any of its distributions will do."""
        release = {'prefix': '/v', 'python': '/v/bin/python',
                   'packages': {'cinder': '28.0.0', 'psycopg2': '2.9.9'}}
        with mock.patch.object(releases, 'find', return_value=release), \
                mock.patch.object(database_servers.Server, 'missing',
                                  return_value=''):
            error = self.assertRaises(
                exceptions.MissingPackage, cloud.Cloud(self.state).up,
                database='mariadb')
        self.assertIn('not installed in /v: PyMySQL; ', str(error))
        self.assertIn('pip --python /v/bin/python install PyMySQL',
                      str(error))
        releases.check_client(
            release, database_servers.PostgreSQL.DISTRIBUTIONS)

    def test_only_root_changes_the_user(self):
        account = mock.Mock(pw_uid=7, pw_gid=8)
        with mock.patch('pwd.getpwnam', return_value=account):
            with mock.patch('os.geteuid', return_value=0):
                prefix = programs.as_account('another')
            self.assertEqual('setpriv', prefix[0])
            self.assertLessEqual({'--reuid=7', '--regid=8'}, {*prefix})
            with mock.patch('os.geteuid', return_value=1000):
                self.assertEqual([], programs.as_account('another'))

    def test_loss_while_the_server_is_away(self):
        """The error says what to do; nothing else was lost."""
        for kind in database_servers.SERVERS:
            self.state.record['database'] = kind
            error = self.assertRaises(exceptions.InvalidState,
                                      template.renew, self.state)
            self.assertIn('no pristine database snapshot', str(error))
            dumped = database.Database(self.state).dumped
            dumped.parent.mkdir(exist_ok=True)
            dumped.touch()
            error = self.assertRaises(exceptions.ServiceFailed,
                                      template.renew, self.state)
            self.assertIn('"up" starts it', str(error))
            self.assertNotIn('\n', str(error))
            dumped.unlink()

    def test_remains_of_a_cloud_that_never_started(self):
        for ports, passwords in (({}, {}), ({'database': 5}, {}),
                                 ({}, {'database': 'secret'})):
            self.state.record.update(database='mariadb', ports=ports,
                                     passwords=passwords)
            cloud.Cloud(self.state)._end_all()

    def test_another_program_in_the_directory(self):
        """A shell, say, is not the server's."""
        directory = os.getcwd()
        with mock.patch('local_cloud.machine.daemons.stop') as stop:
            database_servers.MariaDB(directory, 5, 'x').end_remains()
        self.assertEqual([], stop.call_args.args[0])
