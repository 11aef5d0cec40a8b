# SPDX-License-Identifier: Apache-2.0

"""Keys that travel in records, from one real Barbican to another."""

import base64
import dataclasses
import json
import pathlib
from unittest import mock

from cinder import exception
from cinder.backup.drivers import posix
import fixtures
import testtools

from backup_recovery import books
from backup_recovery import clouds
from backup_recovery import exceptions
from backup_recovery import keys
from backup_recovery import records
from backup_recovery import work
from reference_drivers.contract import base
from reference_drivers.recovery_keys import wrapping
from tests import recovery_project
from tests import travel_cases
from tests.functional import test_contract_default


class Killed(BaseException):
    """The end of the process."""


class TravelCase(test_contract_default.Directory, travel_cases.Travel,
                 base.Contract, testtools.TestCase):
    """Backups in a directory."""


class RecoveryKeysTest(TravelCase, travel_cases.TravelTests):

    def test_assertion_finds_what_is_planted(self):
        wrapped = wrapping.wrap(b'k' * 32, 'id', 'proof', [
            wrapping.public_key(self.public)])
        record = base64.b64encode(json.dumps(
            {'driver_info': {'encryption': {'wrapped': wrapped}}}).encode())
        for text in (f'url {record.decode()}.', json.dumps(wrapped),
                     f'key {(b"k" * 32).hex()}'):
            self.assertRaises(AssertionError, self.assert_secret, text,
                              b'k' * 32, wrapped)
        self.assert_secret('nothing', b'k' * 32, wrapped)

    def test_off_by_default(self):
        self.recipients()
        record, _, _ = self.exported()
        self.assertNotIn('wrapped', self.encryption(record))

    def test_wrong_private_key(self):
        record, _, _ = self.exported()
        self.second_site()
        private, _ = self.pairs.make('wrong')
        self.refused_import(record, 'the key is wrapped for ', private)
        self.run_import(record)

    def test_revoked_recipient(self):
        """One that was taken out of the configuration opens no new record."""
        private, public = self.pairs.make('other')
        self.recipients(public)
        record, _, _ = self.exported()
        self.second_site()
        self.refused_import(record, f'which {self.private} is')
        self.run_import(record, private)

    def test_truncated(self):
        record, _, _ = self.exported()
        wrapped = self.encryption(record)['wrapped']
        self.second_site()
        for change in ({'ciphertext': wrapped['ciphertext'][:-4]},
                       {'tag': ''}, {'recipients': []}):
            self.refused_import(self.with_encryption(
                record, wrapped={**wrapped, **change}), 'was cut off')
        self.run_import(record)

    def test_swapped(self):
        """Each backup of a volume has a key of its own, and its own wrap."""
        one, _, _ = self.exported()
        other, _, _ = self.exported()
        self.second_site()
        self.refused_import(self.with_encryption(
            one, wrapped=self.encryption(other)['wrapped']),
            'is not that of this backup')
        self.refused_import(self.with_encryption(one, **{
            name: self.encryption(other)[name]
            for name in ('wrapped', 'fingerprint')}),
            'is not that of this backup')
        for record in (one, other):
            self.run_import(record)

    def test_key_of_one_who_has_the_public_key(self):
        record, _, _ = self.exported()
        self.second_site()
        self.refused_import(self.with_encryption(record, wrapped=wrapping.wrap(
            b'm' * 32, record.id, self.encryption(record)['fingerprint'],
            [wrapping.public_key(self.public)])), 'is not the one that')

    def test_import_that_is_refused(self):
        """Of a damaged backup no secret is left."""
        record, _, _ = self.exported()
        self.second_site()
        container = pathlib.Path(self.cinder.directory, 'backup',
                                 record.fields['container'])
        away = container.rename(container.with_name('away'))
        exc = self.assertRaises(work.Failed, self.run_import, record)
        self.assertIn('the import failed', str(exc))
        self.assertEqual(self.before, self.there())
        away.rename(container)
        self.cinder.lose_row(record.id)
        self.run_import(record)
        self.assertEqual(len(self.before) + 1, len(self.there()))

    def test_key_manager_that_is_away(self):
        record, _, _ = self.exported()
        self.second_site()
        self.useFixture(fixtures.MockPatchObject(clouds, '_RETRIES', 0))
        self.project.session._clients['key-manager'].endpoint_override = (
            'http://127.0.0.1:1')
        self.assertRaises(exceptions.CloudError, self.run_import, record)
        self.assertIsNone(self.project.backup(record.id))

    def test_killed_before_the_import(self):
        """The next run deletes the secret."""
        self.killed_at('POST', '/backups/import_record')

    def test_killed_before_the_secret_has_a_key(self):
        self.killed_at('PUT', '/secrets/')

    def killed_at(self, when, where):
        record, _, _ = self.exported()
        self.second_site()
        request = self.project.request

        def end(*args):
            raise Killed

        def killed(method, path, service='', **arguments):
            if method == when and path.startswith(where):
                # And no more is done.
                self.project.backup = end
                end()
            return request(method, path, service, **arguments)

        self.project.request = killed
        self.assertRaises(Killed, self.run_import, record)
        left = {*self.there()} - {*self.before}
        self.assertEqual(1, len(left))
        self.project = recovery_project.Project(self.cinder, self.other)
        self.run_import(record)
        row = self.cinder.backup(record.id)
        self.assertEqual({*self.before, row.encryption_key_id},
                         {*self.there()})
        self.assertNotIn(row.encryption_key_id, left)
        # A third one has nothing to do.
        self.run_import(record)
        self.assertIn(row.encryption_key_id, self.there())

    def test_driver_that_takes_the_secret(self):
        """Cinder's own gives the row what the record names: it stays."""
        record, _, key = self.exported()
        self.second_site()
        own = posix.PosixBackupDriver
        name = f'{own.__module__}.{own.__name__}'
        with mock.patch.multiple(self.cinder.manager, driver_name=name,
                                 service=own):
            self.run_import(dataclasses.replace(record, backup_service=name))
        row = self.cinder.backup(record.id)
        self.assertEqual(key, self.there()[row.encryption_key_id])
        self.assertEqual(len(self.before) + 1, len(self.there()))

    def test_row_that_was_marked_as_deleted(self):
        """It keeps the key that it has, and the secret goes.

        If it fails, an import leaves a key in the key manager that no row
        and no record names.
        """
        _, backup, _ = self.encrypted()
        found = self.cinder.export(backup)
        self.cinder.lose_row(backup.id, soft=True)
        self.project = recovery_project.Project(self.cinder, self.barbican)
        before = self.keys()
        self.run_import(records.Record(
            backup.id, self.cinder.project_id, found['backup_service'],
            found['backup_url']))
        row = self.cinder.backup(backup.id)
        self.assertEqual('available', row.status)
        self.assertEqual(backup.encryption_key_id, row.encryption_key_id)
        self.assertEqual(before, self.keys())

    def test_rotation(self):
        """Neither the storage nor a key manager is asked."""
        found = [self.exported() for _ in range(2)]
        book = self.path / 'records'
        self.recipients()
        plain, _, _ = self.exported()
        records.write(book, [one for one, _, _ in found] + [plain])
        private, public = self.pairs.make('new')
        report = keys.rewrap(book, keys.read(self.private), [public])
        self.assertEqual([one.id for one, _, _ in found], report.rewrapped)
        self.assertEqual(({}, [], 3), (report.failed, report.problems,
                                       report.count))
        self.second_site()
        loaded = books.Book(book).load()
        with loaded.reader() as read:
            for old, _, key in found:
                new = read(loaded.records[old.id])
                self.refused_import(new, 'the key is wrapped for ')
                # Nothing else is changed.
                self.assertEqual(keys.without_wrap(old),
                                 keys.without_wrap(new))
                self.run_import(new, private)
                self.assertEqual(
                    key, self.there()[self.cinder.backup(
                        old.id).encryption_key_id])
                self.project.imported.clear()
                self.before = self.there()
            self.assertEqual(plain, read(loaded.records[plain.id]))


class RecipientsTest(TravelCase):

    def test_checked_when_the_service_starts(self):
        """As the export does: no record silently lacks its key."""
        _, backup, _ = self.encrypted()
        plain = self.cinder.create_backup(self.cinder.create_volume(b'x'))
        self.cinder.driver().check_for_setup_error()
        for paths, words in (
                ([self.private], 'has a private key'),
                ([self.path / 'gone'], 'No such file'),
                ([self.public] * 2, 'is named twice'),
                ([self.pairs.make(f'{number}')[1] for number in range(5)],
                 'take 1858 bytes of a record, which has 1600: name fewer')):
            self.recipients(*paths)
            err = self.assertRaises(
                exception.InvalidConfigurationValue,
                self.cinder.driver().check_for_setup_error)
            self.assertIn('[backup_import_verify]recovery_recipients: ',
                          str(err))
            self.assertIn(words, str(err))
            err = self.rejected('the export', self.cinder.export, backup)
            self.assertIn(words, str(err))
            self.cinder.export(plain)

    def test_driver_info_stays_small(self):
        """With all recipients, a long chain and long names."""
        pairs = [self.pairs.make(f'{number}') for number in range(4)]
        self.recipients(*(public for _, public in pairs))
        volume, backup, _ = self.encrypted()
        for _ in range(20):
            backup = self.cinder.create_backup(volume, backup)
        info = json.loads(base64.b64decode(
            self.cinder.export(backup)['backup_url']))['driver_info']
        self.assertLess(len(json.dumps(info)), 4096)
        self.assertEqual(4, len(info['encryption']['wrapped']['recipients']))
        self.recipients(pairs[0][1])
        fewer = json.loads(base64.b64decode(
            self.cinder.export(backup)['backup_url']))['driver_info']
        # There is room for as many again, after a rotation.
        self.assertEqual(info['parents'], fewer['parents'])
        self.assertLess(5, len(info['parents']))
