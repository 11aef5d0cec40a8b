# SPDX-License-Identifier: Apache-2.0

"""The file that a scan writes.

``tests/functional/test_records_scan.py`` has real storages.
"""

import pathlib
from types import SimpleNamespace
from unittest import mock

import fixtures
import testtools

from backup_recovery import books
from backup_recovery import exceptions
from backup_recovery.scan import scanning
from reference_drivers.scanning import found as found_
from reference_drivers.scanning import source
from tests import records_cases as cases


class Source(source.Source):
    """A storage in memory, with an account for each project."""

    name = cases.SERVICE
    per_user = True

    def __init__(self, config_files):
        self.backups, self.remains = {}, []
        self.asked = []

    def scan(self, containers=(), progress=lambda done: None, token=None,
             project=None, endpoint=None):
        self.asked.append((token, project))
        if project == 'bad':
            raise source.ScanError('the storage does not answer')
        # The second one is older, and of no known owner.
        for number, owner in enumerate((project, None)):
            content = cases.fields(project=owner,
                                   created_at=f'2026-11-2{9 - number}')
            self._add(found_.Found(
                found_.COMPLETE, 'file:///a', 3, 7, content['id'],
                fields=content, without=['snapshot_id']))
            progress(number + 1)
        for kind, backup in ((found_.UNFINISHED, content['volume_id']),
                             (found_.FOREIGN, None)):
            self._add(found_.Found(kind, 'file:///b', 1, None, backup))

    def driver_info(self, found):
        return {'digest': found.backup_id}


class Cloud:
    admin = SimpleNamespace(user_id='admin')

    def projects(self):
        return [cases.RED, 'bad', cases.BLUE], ['other']

    def session(self, project):
        return SimpleNamespace(token=f'token of {project}', account='url')


class ScanTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.path = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path) / 'records'
        self.useFixture(fixtures.MonkeyPatch(
            'reference_drivers.scanning.source.Source', Source))
        self.seen = []

    def scan(self, progress=None):
        return scanning.scan(self.path, [], [], Cloud,
                             progress or self.seen.append)

    def test_accounts(self):
        report = self.scan()
        self.assertEqual({'complete': 4, 'unfinished': 2, 'foreign': 2},
                         report.classes)
        self.assertEqual((2, False), (report.unknown, report.good))
        self.assertEqual({'bad': 'the storage does not answer',
                          'other': 'user admin has no role in it'},
                         report.unscanned)
        self.assertEqual([1, 2, 3, 4], self.seen)
        book = books.Book(self.path).load()
        self.assertEqual([], book.problems)
        found = list(book.records.values())
        self.assertEqual(['', '', cases.RED, cases.BLUE], sorted(
            (one.facts.project_id for one in found),
            key=['', cases.RED, cases.BLUE].index))
        # The oldest one first.
        self.assertEqual(['', ''], [one.facts.project_id
                                    for one in found[:2]])
        self.assertEqual(report.remains, book.remains)
        with book.reader() as read:
            for one in found:
                record = read(one)
                self.assertEqual(
                    ({'digest': one.id}, cases.SERVICE, True),
                    (record.fields['driver_info'], record.backup_service,
                     one.scanned))

    def test_driver_that_needs_no_account(self):
        with mock.patch.object(Source, 'per_user', False):
            report = scanning.scan(self.path, [], [], None)
        self.assertEqual({}, report.unscanned)
        self.assertEqual(2, report.classes['complete'])

    def test_error(self):
        with mock.patch.object(Source, 'per_user', False), \
                mock.patch.object(Source, 'scan', side_effect=(
                    source.ScanError('no such server'))):
            error = self.assertRaises(exceptions.RecoveryError, self.scan)
        self.assertEqual('no such server', str(error))
        self.assertFalse(self.path.exists())

    def test_interrupted(self):
        """It leaves nothing."""
        def stop(done):
            if done == 3:
                raise KeyboardInterrupt

        self.assertRaises(KeyboardInterrupt, self.scan, stop)
        self.assertEqual([], list(self.path.parent.iterdir()))

    def test_file_exists(self):
        self.path.write_text('precious')
        self.assertRaises(exceptions.BadFile, self.scan)
        self.assertEqual('precious', self.path.read_text())
