# SPDX-License-Identifier: Apache-2.0
"""Row loss of volumes and snapshots, the same on each database."""

import copy
import datetime

import sqlalchemy as sa

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.rows import base
from cinder_backup_recovery_tests.rows import database
from tests import databases

# In an order in which no row hangs on one that comes later.
TABLES = ('volumes', 'snapshots', 'volume_metadata', 'volume_admin_metadata',
          'volume_glance_metadata', 'volume_attachment', 'attachment_specs',
          'snapshot_metadata')
VOLUME, OTHER, SNAPSHOT, ATTACHMENT, FOREIGN, DELETED = (
    f'6f1f7b3e-8f6b-4a52-9c0f-00000000001{number}' for number in range(6))
NOW = datetime.datetime(2026, 1, 2, 3, 4, 5)


class Owner:
    """A ledger that owns two volumes and a snapshot."""

    def require(self, kind, ids):
        if (kind, *ids) not in (('volume', VOLUME), ('volume', OTHER),
                                ('snapshot', SNAPSHOT), ('volume', DELETED)):
            raise exceptions.NotInLedger(f'{kind} {ids}')


class SourceRowsCases(databases.FilledTables):
    """Mixed into a test case that sets ``url`` to Cinder's schema."""

    TABLES = TABLES

    def make_rows(self):
        return database.DatabaseRows(self.url, Owner())

    def fill(self):
        row = {'created_at': NOW, 'updated_at': NOW, 'deleted': False}
        volume = {**row, 'project_id': 'p1', 'size': 1, 'host': 'h@b#p',
                  'status': 'available', 'volume_type_id': OTHER,
                  'display_name': 'été \U0001d11e'[:3], 'bootable': True,
                  'use_quota': True, 'multiattach': False,
                  'provider_auth': 'CHAP user secret', 'launched_at': NOW}
        rows = {
            'volumes': [{**volume, 'id': one} for one in
                        (VOLUME, OTHER, FOREIGN)] + [
                {**volume, 'id': DELETED, 'deleted': True,
                 'deleted_at': NOW, 'status': 'deleted'}],
            'volume_metadata': [
                {**row, 'volume_id': one, 'key': 'k', 'value': one[-2:]}
                for one in (OTHER, VOLUME)],
            'volume_admin_metadata': [
                {**row, 'volume_id': VOLUME, 'key': 'readonly',
                 'value': 'False'}],
            'volume_glance_metadata': [
                {**row, 'volume_id': VOLUME, 'key': 'i', 'value': 'v'},
                {**row, 'snapshot_id': SNAPSHOT, 'key': 'i', 'value': 'v'}],
            'volume_attachment': [
                {**row, 'id': ATTACHMENT, 'volume_id': VOLUME,
                 'deleted': True, 'deleted_at': NOW,
                 'connection_info': '{"a": "secret"}'}],
            'attachment_specs': [
                {**row, 'attachment_id': ATTACHMENT, 'key': 'a',
                 'value': 'b'}],
            'snapshots': [
                {**row, 'id': SNAPSHOT, 'volume_id': VOLUME,
                 'project_id': 'p1', 'status': 'available',
                 'volume_size': 1, 'volume_type_id': OTHER,
                 'use_quota': True}],
            'snapshot_metadata': [
                {**row, 'snapshot_id': SNAPSHOT, 'key': 'k', 'value': 'v'}],
        }
        with self.engine.begin() as connection:
            for name in reversed(TABLES):
                connection.execute(sa.delete(self.tables[name]))
            for name in TABLES:
                for values in rows[name]:
                    connection.execute(sa.insert(
                        self.tables[name]).values(**values))

    def _dump(self):
        with self.engine.connect() as connection:
            return {name: {row.id: dict(row._mapping) for row in
                           connection.execute(sa.select(table))}
                    for name, table in self.tables.items()}

    def _lose(self, what, one, kind, project_id='p1'):
        saved = self.rows.save(what, [one])
        self.rows.lose(what, [one], kind, project_id, saved)
        return saved

    def _refused(self, error, word, method, *args):
        before = self._dump()
        err = self.assertRaises(error, method, *args)
        self.assertIn(word, str(err))
        self.assertNotIn('\n', str(err))
        self.assertNotIn('secret', str(err))
        self.assertEqual(before, self._dump())

    def test_check_changes_nothing(self):
        before = self._dump()
        self.rows.check(base.VOLUME, base.SNAPSHOT)
        self.assertEqual(before, self._dump())

    def test_state(self):
        self.assertEqual(
            [base.LIVE, base.SOFT_DELETED, base.ABSENT, base.LIVE],
            [self.rows.state(base.VOLUME, one) for one in
             (VOLUME, DELETED, SNAPSHOT)] +
            [self.rows.state(base.SNAPSHOT, SNAPSHOT)])

    def test_lost_and_put_back(self):
        before = self._dump()
        for kind, state in ((base.HARD, base.ABSENT),
                            (base.SOFT, base.SOFT_DELETED)):
            lost = [(what, one, self._lose(what, one, kind)) for what, one in
                    ((base.SNAPSHOT, SNAPSHOT),
                     (base.VOLUME, VOLUME))]
            after = self._dump()
            for what, one, _ in lost:
                self.assertEqual(state, self.rows.state(what, one))
            # Only what is theirs was touched.
            self.assertEqual(before['volumes'][FOREIGN],
                             after['volumes'][FOREIGN])
            self.assertEqual(
                {OTHER: False}, {
                    row['volume_id']: row['deleted']
                    for row in after['volume_metadata'].values()
                    if not row['deleted']})
            for _ in range(2):
                for what, one, saved in reversed(lost):
                    self.rows.restore(what, [one], saved)
                self.assertEqual(before, self._dump())

    def test_hard_loss_leaves_nothing(self):
        self._lose(base.SNAPSHOT, SNAPSHOT, base.HARD)
        self._lose(base.VOLUME, VOLUME, base.HARD)
        self.assertEqual(
            {'volumes': 3, 'volume_metadata': 1}, {
                name: len(rows) for name, rows in self._dump().items()
                if rows})

    def test_soft_loss_says_what_cinder_says(self):
        self._lose(base.VOLUME, VOLUME, base.SOFT)
        dump = self._dump()
        row = dump['volumes'][VOLUME]
        self.assertEqual(('deleted', True), (row['status'], row['deleted']))
        self.assertTrue(row['deleted_at'] > NOW)
        # What was deleted before keeps its time.
        self.assertEqual(NOW, dump['volume_attachment'][ATTACHMENT][
            'deleted_at'])

    def test_number_taken_meanwhile(self):
        saved = self._lose(base.VOLUME, OTHER, base.HARD)
        number = saved['volume_metadata'][0]['id']
        with self.engine.begin() as connection:
            connection.execute(sa.insert(self.tables['volume_metadata'])
                               .values(id=number, volume_id=VOLUME, key='n',
                                       value='new', deleted=False))
        self.rows.restore(base.VOLUME, [OTHER], saved)
        rows = self._dump()['volume_metadata']
        self.assertEqual('new', rows[number]['value'])
        self.assertEqual(
            {'10', '11', 'new'}, {row['value'] for row in rows.values()})

    def test_refusals(self):
        lose, save, restore = (self.rows.lose, self.rows.save,
                               self.rows.restore)
        saved = save(base.VOLUME, [VOLUME])
        hard = (base.HARD, 'p1', saved)
        self._refused(exceptions.NotInLedger, FOREIGN, lose, base.VOLUME,
                      [FOREIGN], *hard)
        self._refused(exceptions.NotInLedger, FOREIGN, restore,
                      base.VOLUME, [FOREIGN], saved)
        self._refused(exceptions.ForeignBackup, 'to project p2', lose,
                      base.VOLUME, [VOLUME], base.HARD, 'p2', saved)
        self._refused(exceptions.RowsMismatch, 'have changed since', lose,
                      base.VOLUME, [OTHER], *hard)
        self._refused(exceptions.RowsMismatch, '1 rows in snapshots refer',
                      lose, base.VOLUME, [VOLUME], *hard)
        self._refused(exceptions.RowsMismatch, 'is soft-deleted', lose,
                      base.VOLUME, [DELETED], *hard)
        self._refused(exceptions.RowsMismatch, 'is absent', save,
                      base.VOLUME, [SNAPSHOT])
        self._refused(exceptions.InvalidConfiguration, 'not a UUID', save,
                      base.VOLUME, ['x'])
        self._refused(exceptions.InvalidConfiguration, 'unknown kind of r',
                      save, 'volumes', [VOLUME])
        self._refused(exceptions.InvalidConfiguration, 'without saved', lose,
                      base.VOLUME, [VOLUME], base.HARD, 'p1')

    def test_what_was_saved_is_looked_at(self):
        saved = self.rows.save(base.VOLUME, [VOLUME])
        for wrong in (('volumes', 'id', FOREIGN),
                      ('volume_metadata', 'volume_id', FOREIGN),
                      ('attachment_specs', 'attachment_id', FOREIGN)):
            bad = copy.deepcopy(saved)
            bad[wrong[0]][0][wrong[1]] = wrong[2]
            self._refused(exceptions.RowsMismatch, 'have other rows of',
                          self.rows.restore, base.VOLUME, [VOLUME], bad)
        for bad, word in (({}, 'other rows of volumes'),
                          ({**saved, 'services': []}, 'other tables')):
            self._refused(exceptions.RowsMismatch, word, self.rows.restore,
                          base.VOLUME, [VOLUME], bad)
