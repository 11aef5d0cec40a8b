# SPDX-License-Identifier: Apache-2.0
"""Row loss on the real schema in the databases that clouds run on."""

from unittest import mock

import sqlalchemy as sa
import testtools

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.rows import base
from cinder_backup_recovery_tests.rows import database
from local_cloud.servers import database_servers
from tests import databases
from tests import rows_cases
from tests import source_rows_cases


class OnServer:
    """Mixed into cases: Cinder's schema on a server of their own."""

    kind = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        databases.cinder_manage()
        cls.server = databases.Server(cls.kind)
        cls.addClassCleanup(cls.server.stop)
        cls.url = cls.server.url(cls.server.driver)
        databases.sync(cls.url, cls.server.directory)

    def setUp(self):
        super().setUp()
        self.prepare()


class ServerCases(OnServer, rows_cases.RowsCases):
    def _during(self, work):
        """Let another connection commit something after the first count."""
        real = database._count
        calls = []

        def count(connection, tables):
            calls.append(1)
            counts = real(connection, tables)
            if len(calls) == 1:
                with self.engine.begin() as other:
                    work(other)
            return counts

        return mock.patch.object(database, '_count', count)

    def test_backup_made_by_cinder_meanwhile(self):
        def work(other):
            other.execute(sa.insert(self.tables['backups']).values(
                id=rows_cases.ABSENT, volume_id=rows_cases.A,
                deleted=False))

        with self._during(work):
            self.rows.lose(base.BACKUP, [rows_cases.A])
        self.assertEqual({rows_cases.A: 'absent', rows_cases.ABSENT: 'live'},
                         self.rows.states(
                             base.BACKUP,
                             [rows_cases.A, rows_cases.ABSENT]))

    def test_usage_changed_by_cinder_meanwhile(self):
        usages = self.tables['quota_usages']

        def work(other):
            other.execute(sa.update(usages).values(
                in_use=usages.c.in_use + 10))

        with self._during(work):
            self.rows.lose(base.BACKUP, [rows_cases.A])
        self.assertEqual({'backups': 11, 'backup_gigabytes': 13,
                          'volumes': 17}, self._usage('p1'))

    def test_wrong_credentials_host_and_name(self):
        driver = self.server.driver
        for changes, word in (
                ({'password': 'wrong/pass'}, ''),
                ({'username': 'nobody'}, ''),
                ({'database': 'nonesuch'}, 'nonesuch'),
                ({'port': 1}, '127.0.0.1:1/')):
            rows = database.DatabaseRows(self.server.url(driver, **changes),
                                         rows_cases.Owner(rows_cases.A))
            for call, *args in ((rows.check,),
                                (rows.states, [rows_cases.A]),
                                (rows.lose, [rows_cases.A])):
                err = self.assertRaises(exceptions.DatabaseUnreachable, call,
                                        base.BACKUP, *args)
                self.assertNotIn('\n', str(err))
                self.assertNotIn('wrong', str(err))
                self.assertNotIn(databases.PASSWORD, str(err))
                self.assertNotIn('p%40ss', str(err))
                self.assertIn(word, str(err))

    def test_account_that_may_only_read(self):
        for statement in self.read_only:
            with self.server.admin.connect() as connection:
                connection.exec_driver_sql(statement)
        rows = database.DatabaseRows(
            self.server.url(self.server.driver, username='reader',
                            password='reader'),
            rows_cases.Owner(rows_cases.A))
        self.assertEqual('live', rows.state(base.BACKUP, rows_cases.A))
        for call, *args in ((rows.check,), (rows.lose, [rows_cases.A])):
            err = self.assertRaises(exceptions.DatabaseUnreachable, call,
                                    base.BACKUP, *args)
            self.assertIn('denied', str(err))

    def test_empty_database(self):
        rows = database.DatabaseRows(
            self.server.url(self.server.driver, database='empty'),
            rows_cases.Owner(rows_cases.A))
        err = self.assertRaises(exceptions.NotCinderDatabase, rows.check,
                                base.BACKUP)
        self.assertIn('/empty is not the database of Cinder: no table '
                      'backups', str(err))
        self.assertNotIn(databases.PASSWORD, str(err))

    def test_no_connection_is_left(self):
        self.rows.check(base.BACKUP)
        self.rows.states(base.BACKUP, [rows_cases.A])
        self.rows.lose(base.BACKUP, [rows_cases.A])
        self.engine.dispose()
        with self.server.admin.connect() as connection:
            count = connection.exec_driver_sql(self.connections).scalar_one()
        self.assertEqual(0, count)


class PostgreSQLTest(ServerCases, testtools.TestCase):
    kind = database_servers.PostgreSQL
    read_only = ('DROP ROLE IF EXISTS reader',
                 "CREATE ROLE reader LOGIN PASSWORD 'reader' IN ROLE "
                 'pg_read_all_data')
    connections = ("SELECT count(*) FROM pg_stat_activity WHERE "
                   "datname = 'cinder'")


class MariaDBTest(ServerCases, testtools.TestCase):
    kind = database_servers.MariaDB
    read_only = ("CREATE OR REPLACE USER reader@127.0.0.1 IDENTIFIED BY "
                 "'reader'", 'GRANT SELECT ON cinder.* TO reader@127.0.0.1')
    connections = ("SELECT count(*) FROM information_schema.processlist "
                   "WHERE user = 'cinder'")


class SourceServerCases(OnServer, source_rows_cases.SourceRowsCases):
    """Of volumes and snapshots."""


class PostgreSQLSourcesTest(SourceServerCases, testtools.TestCase):
    kind = database_servers.PostgreSQL


class MariaDBSourcesTest(SourceServerCases, testtools.TestCase):
    kind = database_servers.MariaDB
