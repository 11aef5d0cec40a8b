# SPDX-License-Identifier: Apache-2.0

"""The export of records, with a cloud that is a table.

``tests/functional/test_records.py`` has a real one.
"""

import dataclasses
import pathlib
from unittest import mock

import fixtures
import testtools

from backup_recovery import books
from backup_recovery import clouds
from backup_recovery import exceptions
from backup_recovery import exporting
from backup_recovery import records
from tests import records_cases as cases


class Cloud:
    """Backups by their records."""

    def __init__(self, *found):
        self.table = {one.id: (cases.backup(one), one) for one in found}
        self.exported = []
        self.refused = {}

    def require_administrator(self):
        pass

    def backups(self):
        return [backup for backup, _ in self.table.values()]

    def export(self, backup):
        backup_id = backup.id
        self.exported.append(backup_id)
        if backup_id in self.refused:
            raise exceptions.Refused(400, self.refused[backup_id])
        record = self.table[backup_id][1]
        return record.backup_service, record.backup_url


class ExportTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.path = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path) / 'records'
        self.found = [cases.record(display_name=f'backup {number}')
                      for number in range(20)]
        self.cloud = Cloud(*self.found)

    def export(self, good=True, **arguments):
        self.cloud.exported.clear()
        report = exporting.export(self.cloud, self.path, **arguments)
        self.assertEqual(good, report.good)
        self.book = books.Book(self.path).load()
        self.assertEqual([], self.book.problems)
        self.assertEqual(report.count, len(self.book.records))
        return report

    def ids(self):
        return list(self.book.records)

    def test_record_that_cannot_prove_its_key(self):
        """The user may not read it; the others are not named."""
        for proof in (None, 'x'):
            one = cases.record(driver_info={
                'encryption': {'fingerprint': proof}})
            self.cloud.table[one.id] = (cases.backup(one), one)
            report = self.export()
            self.assertEqual({one.id: cases.RED} if proof is None else {},
                             report.unproven)

    def test_all(self):
        report = self.export()
        self.assertEqual((20, 20, 0), (report.count, report.exported,
                                       report.kept))
        # In the order of the cloud, with several workers.
        self.assertEqual([one.id for one in self.found], self.ids())

    def test_only_what_is_new_or_changed(self):
        self.export()
        renamed = self.found[3]
        self.cloud.table[renamed.id] = (
            cases.backup(renamed, name='renamed'), renamed)
        new = cases.record()
        self.cloud.table[new.id] = cases.backup(new), new
        report = self.export()
        self.assertEqual({renamed.id, new.id}, set(self.cloud.exported))
        self.assertEqual((21, 2, 19), (report.count, report.exported,
                                       report.kept))
        self.export(everything=True)
        self.assertEqual(21, len(self.cloud.exported))

    def test_each_fact_counts(self):
        self.export()
        for name, value in (
                ('project_id', cases.BLUE), ('name', 'x'),
                ('description', 'x'), ('container', 'x'),
                ('metadata', (('a', 'b'),)), ('has_dependents', True)):
            one = self.found[0]
            self.cloud.table[one.id] = cases.backup(one, **{name: value}), one
            self.export()
            self.assertEqual([one.id], self.cloud.exported, name)

    def test_refused_one_is_passed_over(self):
        self.export()
        bad = self.found[5].id
        self.cloud.refused[bad] = 'damaged'
        report = self.export(good=False, everything=True)
        self.assertEqual({bad: 'damaged'}, report.failed)
        # The older record is better than none.
        self.assertEqual(20, report.count)
        self.path.unlink()
        self.assertEqual(19, self.export(good=False).count)
        self.assertNotIn(bad, self.ids())

    def test_record_that_could_not_be_imported(self):
        bad = self.found[5]
        self.cloud.table[bad.id] = cases.backup(bad), self.found[6]
        report = self.export(good=False)
        self.assertIn('another backup', report.failed[bad.id])

    def test_not_available(self):
        self.export()
        one = self.found[0]
        self.cloud.table[one.id] = (
            cases.backup(one, 'restoring'), one)
        report = self.export(everything=True)
        self.assertEqual({one.id: 'restoring'}, report.unavailable)
        self.assertNotIn(one.id, self.cloud.exported)
        self.assertIn(one.id, self.ids())

    def test_gone(self):
        """The night after the loss loses nothing."""
        self.export()
        table = dict(self.cloud.table)
        self.cloud.table.clear()
        report = self.export()
        self.assertEqual((20, 20), (len(report.gone), report.count))
        self.assertNotIn(None, {one.gone for one in
                                self.book.records.values()})
        # The time of the first night stays.
        with self.book.reader() as read:
            found = [dataclasses.replace(read(one), gone='2026-01-01T02:00Z')
                     for one in self.book.records.values()]
        records.write(self.path, found)
        self.assertEqual([], self.export().gone)
        self.assertEqual({'2026-01-01T02:00Z'}, {
            one.gone for one in self.book.records.values()})
        self.cloud.table = table
        self.export()
        self.assertEqual({None}, {one.gone for one in
                                  self.book.records.values()})

    def test_four_columns(self):
        self.path.write_text(''.join(map(cases.of_columns, self.found)))
        report = self.export()
        self.assertEqual((20, 0), (report.count, report.exported))

    def test_damaged_file(self):
        self.export()
        self.path.write_bytes(self.path.read_bytes().replace(
            self.found[2].id.encode(), b'x', 1))
        before = self.path.read_bytes()
        report = self.export(good=False)
        self.assertEqual(20, report.count)
        self.assertEqual([self.found[2].id], self.cloud.exported)
        self.assertEqual(before, report.damaged.read_bytes())

    def test_cloud_that_does_not_answer(self):
        self.export()
        before = self.path.read_bytes()

        def export(backup):
            raise exceptions.CloudError('no answer')

        self.cloud.export = export
        self.assertRaises(exceptions.CloudError, exporting.export, self.cloud,
                          self.path, True)
        self.assertEqual(before, self.path.read_bytes())


class SessionTest(testtools.TestCase):
    """The user that a backup is exported as."""

    def setUp(self):
        super().setUp()
        self.record = cases.record()
        self.cloud = object.__new__(clouds.Cloud)
        self.cloud.admin = self.answering('admin')

    def answering(self, name):
        session = mock.Mock(project_id=name)
        session.request.return_value = {'backup-record': {
            'backup_service': name, 'backup_url': ''}}
        return session

    def exported_as(self, found, key_id='key'):
        """The name of the session.

        :param found: that of the project, or an error
        """
        with mock.patch.object(clouds.Cloud, 'session',
                               side_effect=[found]) as session:
            name, _ = self.cloud.export(dataclasses.replace(
                cases.backup(self.record), key_id=key_id))
        self.assertEqual(key_id is not None, session.called)
        return name

    def test_encrypted(self):
        """As its project, whose users may read the key."""
        self.assertEqual('red', self.exported_as(self.answering('red')))

    def test_plain(self):
        self.assertEqual('admin', self.exported_as(None, None))

    def refuse(self):
        """As a driver that looks into the account of the request."""
        self.cloud.admin.request.side_effect = exceptions.Refused(
            400, 'no object is there')

    def test_account_of_the_project(self):
        self.refuse()
        with mock.patch.object(clouds.Cloud, 'session',
                               return_value=self.answering('red')):
            self.assertEqual('red', self.cloud.export(
                cases.backup(self.record))[0])

    def test_account_without_a_role(self):
        """The reason is not that the objects are missing."""
        self.refuse()
        with mock.patch.object(
                clouds.Cloud, 'session',
                side_effect=exceptions.NotAuthorized('no role')):
            error = self.assertRaises(exceptions.Refused, self.cloud.export,
                                      cases.backup(self.record))
        self.assertIn('no object is there (user', str(error))
        self.assertIn(f'no role in its project {cases.RED})', str(error))

    def test_damaged(self):
        """It is requested once where the project is the administrator's."""
        self.refuse()
        self.cloud.admin.project_id = cases.RED
        error = self.assertRaises(exceptions.Refused, self.cloud.export,
                                  cases.backup(self.record))
        self.assertEqual('no object is there', str(error))
        self.cloud.admin.request.assert_called_once()

    def test_without_a_role(self):
        """Better a record that proves no key than none."""
        self.assertEqual('admin', self.exported_as(
            exceptions.NotAuthorized('no role')))
