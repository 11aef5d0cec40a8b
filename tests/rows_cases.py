# SPDX-License-Identifier: Apache-2.0
"""Row loss, with the same tests on each database and schema."""

import datetime
from unittest import mock

import sqlalchemy as sa

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.rows import base
from cinder_backup_recovery_tests.rows import database
from tests import databases

TABLES = ('backups', 'backup_metadata', 'quota_usages')
A, B, C, D, E, ABSENT = (
    f'6f1f7b3e-8f6b-4a52-9c0f-00000000000{number}' for number in range(6))


class Owner:
    """A ledger that owns some ids."""

    def __init__(self, *ids):
        self.ids = ids

    def require(self, kind, ids):
        foreign = [one for one in ids if one not in self.ids]
        if kind != 'backup' or foreign:
            raise exceptions.NotInLedger(f'{kind} {foreign}')


class RowsFixture(databases.FilledTables):
    """Mixed into a test case that sets ``url`` to a schema without rows."""

    TABLES = TABLES

    def make_rows(self):
        return database.DatabaseRows(self.url,
                                     Owner(A, B, C, D, E, ABSENT))

    def fill(self):
        now = datetime.datetime(2026, 1, 2, 3, 4, 5)
        backup = {'user_id': 'u', 'volume_id': ABSENT, 'deleted': False,
                  'status': 'available', 'updated_at': now,
                  'parent_id': None, 'num_dependent_backups': 0,
                  'encryption_key_id': 'key', 'temp_volume_id': 'temp',
                  'service_metadata': 'prefix', 'deleted_at': None}
        backups = [
            {'id': A, 'project_id': 'p1', 'size': 2,
             'num_dependent_backups': 1},
            {'id': B, 'project_id': 'p1', 'size': 3, 'parent_id': A},
            {'id': C, 'project_id': 'p2', 'size': 5},
            {'id': D, 'project_id': 'p1', 'size': 7, 'deleted': True,
             'status': 'deleted', 'deleted_at': now},
            {'id': E, 'project_id': 'p3', 'size': None}]
        columns = {column.name for column in self.tables['backups'].columns}
        usage = {'reserved': 0, 'deleted': False, 'race_preventer': True,
                 'updated_at': now}
        usages = [
            {'project_id': 'p1', 'resource': 'backups', 'in_use': 2},
            {'project_id': 'p1', 'resource': 'backup_gigabytes',
             'in_use': 5},
            {'project_id': 'p1', 'resource': 'volumes', 'in_use': 7},
            {'project_id': 'p2', 'resource': 'backups', 'in_use': 4},
            {'project_id': 'p2', 'resource': 'backup_gigabytes',
             'in_use': 3},
            {'project_id': 'p1', 'resource': 'backups', 'in_use': 99,
             'deleted': True, 'race_preventer': None}]
        metadata = [(A, 'k1', False), (A, 'k2', False), (A, 'k3', True),
                    (B, 'k1', False), (C, 'k1', False), (D, 'k1', True)]
        with self._writing() as connection:
            for name in ('backup_metadata', 'backups', 'quota_usages'):
                connection.execute(sa.delete(self.tables[name]))
            for values in backups:
                connection.execute(sa.insert(self.tables['backups']).values({
                    key: value for key, value in {**backup, **values}.items()
                    if key in columns}))
            for values in usages:
                connection.execute(sa.insert(
                    self.tables['quota_usages']).values(**{
                        **usage, **values}))
            for backup_id, key, deleted in metadata:
                connection.execute(sa.insert(
                    self.tables['backup_metadata']).values(
                        backup_id=backup_id, key=key, value='v',
                        deleted=deleted))

    def _writing(self):
        return self.engine.begin()

    def _dump(self):
        """All rows of all tables, by table and primary key."""
        with self.engine.connect() as connection:
            return {name: {row.id: dict(row._mapping) for row in
                           connection.execute(sa.select(table))}
                    for name, table in self.tables.items()}

    def _usage(self, project_id):
        return {row['resource']: row['in_use']
                for row in self._dump()['quota_usages'].values()
                if row['project_id'] == project_id and not row['deleted']}


class RowsCases(RowsFixture):
    """The cases themselves, for every kind of database."""

    def _refused(self, error, *args, **kwargs):
        before = self._dump()
        method = kwargs.pop('method', self.rows.lose)
        err = self.assertRaises(error, method, base.BACKUP, *args, **kwargs)
        self.assertEqual(before, self._dump())
        self.assertNotIn('\n', str(err))
        return str(err)

    def test_check_changes_nothing(self):
        before = self._dump()
        self.rows.check(base.BACKUP)
        self.assertEqual(before, self._dump())

    def test_exists(self):
        self.assertEqual({A: 'live', D: 'soft-deleted', ABSENT: 'absent'},
                         self.rows.states(base.BACKUP, [A, D, ABSENT, A]))

    def test_hard_loss_removes_the_rows_and_nothing_else(self):
        expected = self._dump()
        outcome = self.rows.lose(base.BACKUP, [A, B], project_id='p1')
        for one in (A, B):
            del expected['backups'][one]
        expected['backup_metadata'] = {
            key: row for key, row in expected['backup_metadata'].items()
            if row['backup_id'] not in (A, B)}
        for row in expected['quota_usages'].values():
            if row['project_id'] == 'p1' and not row['deleted'] and (
                    row['resource'] != 'volumes'):
                row['in_use'] = 0
        self.assertEqual(expected, self._dump())
        self.assertEqual({A: 'absent', B: 'absent'},
                         self.rows.states(base.BACKUP, [A, B]))
        self.assertEqual(base.Loss(
            base.BACKUP, (A, B), 'hard',
            {'backups': 2, 'backup_metadata': 4}, (
                base.QuotaChange('p1', 'backups', 2, 0),
                base.QuotaChange('p1', 'backup_gigabytes', 5, 0))), outcome)

    def test_soft_loss_marks_the_rows_and_nothing_else(self):
        expected = self._dump()
        begin = datetime.datetime.now(datetime.UTC).replace(
            tzinfo=None, microsecond=0)
        outcome = self.rows.lose(base.BACKUP, [A], kind='soft')
        found = self._dump()
        moment = found['backups'][A]['deleted_at']
        self.assertTrue(
            begin <= moment <= begin + datetime.timedelta(minutes=1))
        expected['backups'][A].update(status='deleted', deleted=True,
                                      deleted_at=moment)
        for row in expected['backup_metadata'].values():
            if row['backup_id'] == A and not row['deleted']:
                row.update(deleted=True, deleted_at=moment)
        for row in expected['quota_usages'].values():
            if row['project_id'] == 'p1' and not row['deleted']:
                row['in_use'] = {'backups': 1, 'backup_gigabytes': 3,
                                 'volumes': 7}[row['resource']]
        self.assertEqual(expected, found)
        self.assertEqual('soft-deleted', self.rows.state(base.BACKUP, A))
        self.assertEqual(
            ('soft', (A,), {'backups': 1, 'backup_metadata': 2}),
            (outcome.kind, outcome.ids, outcome.rows))

    def test_several_projects(self):
        self.rows.lose(base.BACKUP, [A, C])
        self.assertEqual({'backups': 1, 'backup_gigabytes': 3, 'volumes': 7},
                         self._usage('p1'))
        # Never below zero: the usage was wrong before.
        self.assertEqual({'backups': 3, 'backup_gigabytes': 0},
                         self._usage('p2'))

    def test_backup_without_size_and_project_without_usage(self):
        outcome = self.rows.lose(base.BACKUP, [E])
        self.assertEqual(({'backups': 1, 'backup_metadata': 0}, ()),
                         (outcome.rows, outcome.quota_changes))
        self.assertEqual({E: 'absent'}, self.rows.states(base.BACKUP, [E]))

    def test_id_that_no_request_reaches(self):
        """An import takes it from a record, and only this removes it."""
        with self._writing() as connection:
            connection.execute(sa.update(self.tables['backups']).where(
                self.tables['backups'].c.id == E).values(id='a/b'))
        self._refused(exceptions.NotInLedger, ['a/b'])
        for other in ('../x', '-a/b', 'a/', 'a b/c', 'a/b,c', 'x'):
            self._refused(exceptions.InvalidConfiguration, [other])
        rows = database.DatabaseRows(self.url, Owner('a/b'))
        rows.lose_if_live('a/b', 'p3')
        self.assertEqual(base.ABSENT, rows.state(base.BACKUP, 'a/b'))
        self.assertRaises(exceptions.InvalidConfiguration, rows.save,
                          base.VOLUME, ['a/b'])

    def test_lost_only_if_live(self):
        self.rows.lose(base.BACKUP, [B], base.SOFT, project_id='p1')
        for backup_id in (A, B, ABSENT):
            self.rows.lose_if_live(backup_id, 'p1')
        self.assertEqual(
            {A: base.ABSENT, B: base.SOFT_DELETED, ABSENT: base.ABSENT},
            self.rows.states(base.BACKUP, [A, B, ABSENT]))

    def test_lost_and_restored(self):
        before = self._dump()
        for kind in base.KINDS:
            saved = self.rows.save(base.BACKUP, [A, B])
            self.rows.lose(base.BACKUP, [A, B], kind, 'p1', saved)
            self.assertNotEqual(before, self._dump())
            for _ in range(2):
                self.rows.restore(base.BACKUP, [A, B], saved)
                self.assertEqual(before, self._dump())

    def test_restored_otherwise_than_saved(self):
        saved = self.rows.save(base.BACKUP, [A])
        self.rows.lose(base.BACKUP, [A])
        with mock.patch.object(database, '_write'):
            self.assertIn('would not reproduce', self._refused(
                exceptions.RowsMismatch, [A], saved,
                method=self.rows.restore))

    def test_ids_given_twice_count_once(self):
        outcome = self.rows.lose(base.BACKUP, [A, A])
        self.assertEqual((A,), outcome.ids)
        self.assertEqual(1, self._usage('p1')['backups'])

    def test_foreign_to_the_ledger(self):
        self.rows = database.DatabaseRows(self.url, Owner(A))
        self.assertIn(B, self._refused(exceptions.NotInLedger, [A, B]))
        self._refused(exceptions.NotInLedger, [D], method=self.rows.purge)
        self._refused(exceptions.NotInLedger, [B],
                      self.rows.save(base.BACKUP, [B]),
                      method=self.rows.restore)

    def test_ledger_is_asked_before_the_database(self):
        rows = database.DatabaseRows('sqlite:////missing/file', Owner())
        self.assertRaises(exceptions.NotInLedger, rows.lose, base.BACKUP,
                          [A])

    def test_foreign_to_the_project(self):
        self.assertIn(f'backup {C} does not belong to project p1',
                      self._refused(exceptions.ForeignBackup, [A, C],
                                    project_id='p1'))

    def test_missing_or_deleted_row(self):
        self.assertEqual(
            f'row of backup {D} is soft-deleted, row of backup {ABSENT} is '
            f'absent; no row was changed',
            self._refused(exceptions.RowsMismatch, [A, D, ABSENT]))
        for kind in base.KINDS:
            self._refused(exceptions.RowsMismatch, [D], kind=kind)

    def test_nonsense(self):
        for args in (([],), (A,), (['x'],), ([None],), ([A], 'gentle'),
                     ([A.replace('-', '')],)):
            self._refused(exceptions.InvalidConfiguration, *args)

    def test_other_rows_touched_by_mistake_are_rolled_back(self):
        real = database._change_usage
        backups, usages = self.tables['backups'], self.tables['quota_usages']
        for statement in (
                sa.delete(backups).where(backups.c.id == E),
                sa.update(backups).where(backups.c.id == E).values(
                    deleted=True),
                sa.update(backups).where(backups.c.id == D).values(
                    deleted=False),
                sa.delete(usages).where(usages.c.project_id == 'p2')):
            def broken(connection, *args, statement=statement):
                connection.execute(statement)
                return real(connection, *args)

            with mock.patch.object(database, '_change_usage', broken):
                for kind in base.KINDS:
                    self.assertIn('rolled back', self._refused(
                        exceptions.RowsMismatch, [A], kind=kind))

    def test_failure_in_the_middle_is_rolled_back(self):
        with mock.patch.object(database, '_change_usage',
                               side_effect=KeyError):
            self._refused_by(KeyError)

    def _refused_by(self, error):
        before = self._dump()
        self.assertRaises(error, self.rows.lose, base.BACKUP,
                          [A])
        self.assertEqual(before, self._dump())

    def test_purge(self):
        self.rows.lose(base.BACKUP, [A], kind='soft')
        self.assertEqual(2, self.rows.purge(base.BACKUP, [A, D, ABSENT]))
        self.assertEqual({A: 'absent', D: 'absent', B: 'live'},
                         self.rows.states(base.BACKUP, [A, D, B]))
        self.assertEqual([B, C], [
            row['backup_id'] for _, row in sorted(
                self._dump()['backup_metadata'].items())])
        self.assertEqual(0, self.rows.purge(base.BACKUP, [A, D]))

    def test_purge_refuses_live_rows(self):
        self.assertIn(f'row of backup {B} is live', self._refused(
            exceptions.RowsMismatch, [D, B], method=self.rows.purge))

    def test_not_the_database_of_cinder(self):
        for rename, missing in (
                ('backups RENAME COLUMN size TO size_x',
                 'no column backups.size'),
                ('backup_metadata RENAME TO gone', 'no table backup_metadata'),
                ('alembic_version RENAME TO gone',
                 'no table alembic_version or migrate_version')):
            words = rename.split()
            back = (f'{words[0]} RENAME COLUMN size_x TO size'
                    if 'COLUMN' in words else f'gone RENAME TO {words[0]}')
            with self._writing() as connection:
                connection.exec_driver_sql(f'ALTER TABLE {rename}')
            try:
                for call, *args in (
                        (self.rows.check,), (self.rows.lose, [A]),
                        (self.rows.states, [A]), (self.rows.purge, [A])):
                    err = self.assertRaises(exceptions.NotCinderDatabase,
                                            call, base.BACKUP, *args)
                    self.assertIn(missing, str(err))
            finally:
                with self._writing() as connection:
                    connection.exec_driver_sql(f'ALTER TABLE {back}')
        self.rows.check(base.BACKUP)
