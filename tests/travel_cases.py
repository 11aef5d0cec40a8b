# SPDX-License-Identifier: Apache-2.0

"""Keys that travel in records, from one real Barbican to another."""

import base64
import json
import logging
import pathlib
import re

import fixtures

from backup_recovery import keys
from backup_recovery import records
from backup_recovery import work
from tests import barbican
from tests import keys_cases
from tests import recovery_keys
from tests import recovery_project


class Travel(keys_cases.Encrypted):
    """A backup host, which first has one Barbican and then another."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.other = barbican.Barbican()
        cls.other.setUp()
        cls.addClassCleanup(cls.other.cleanUp)

    def setUp(self):
        super().setUp()
        self.pairs = self.useFixture(recovery_keys.Pairs())
        self.private, self.public = self.pairs.make('one')
        self.recipients(self.public)
        self.path = pathlib.Path(self.useFixture(fixtures.TempDir()).path)

    def recipients(self, *paths):
        self.cinder.configure(backup_import_verify__recovery_recipients=[
            str(path) for path in paths])

    def exported(self):
        """An encrypted backup, its record and its key, which is lost.

        :returns: the record as a file has it, the id of the type, the key
        """
        volume, backup, type_id = self.encrypted()
        key = self.keys()[volume.encryption_key_id]
        found = self.cinder.export(backup)
        self.cinder.lose_row(backup.id)
        return (records.Record(backup.id, self.cinder.project_id,
                               found['backup_service'],
                               found['backup_url']), type_id, key)

    def second_site(self):
        """Use a key manager that has none of the keys."""
        self.other.use(self.cinder)
        self.project = recovery_project.Project(self.cinder, self.other)
        self.before = self.there()

    def there(self):
        return self.other.keys(self.cinder.project_id)

    def run_import(self, record, private=None, **options):
        """Import as ``apply`` does, with a new process' journal."""
        self.project.apply(record, private or self.private,
                           self.path / 'journal', **options)

    def refused_import(self, record, words, private=None):
        """It is refused, and nothing is made."""
        exc = self.assertRaises(work.Failed, self.run_import, record,
                                private)
        self.assertIn(words, str(exc))
        self.assertEqual(self.before, self.there())
        self.assertEqual([], self.project.imported)
        self.assertIsNone(self.project.backup(record.id))

    def with_encryption(self, record, **changes):
        """The record with something else said of its key."""
        fields = record.fields
        fields['driver_info']['encryption'] |= changes
        return records.Record(record.id, record.project_id,
                              record.backup_service, keys._url(fields))

    def encryption(self, record):
        return record.fields['driver_info']['encryption']

    def assert_secret(self, text, key, wrapped):
        """A text has neither the key nor its wrapped form, in no form."""
        # What Cinder writes of a record is in base64.
        for found in re.findall(r'[A-Za-z0-9+/]{200,}=*', text):
            text += base64.b64decode(found[:len(found) // 4 * 4]).decode(
                errors='replace')
        for form in (key.hex(), base64.b64encode(key).decode(), str(key)[2:-1],
                     wrapped['ciphertext'],
                     wrapped['recipients'][0]['encrypted_key']):
            self.assertNotIn(form, text)


class TravelTests:
    """Tests that pass on each storage."""

    def test_restored_where_the_key_manager_is_another(self):
        """If it fails, a site that burns down takes all that is encrypted.

        No key and no wrapped key is in any log on the way, of which Cinder
        writes what is imported into its own.
        """
        log = self.useFixture(fixtures.FakeLogger(level=logging.DEBUG))
        self.useFixture(fixtures.FakeLogger('keystoneauth', logging.WARNING,
                                            nuke_handlers=False))
        record, type_id, key = self.exported()
        self.assertLess(len(json.dumps(record.fields['driver_info'])), 4096)
        self.second_site()
        self.run_import(record)
        row = self.cinder.backup(record.id)
        self.assertEqual('available', row.status)
        # The row's own; the secret of the import is gone.
        made = {name: value for name, value in self.there().items()
                if name not in self.before}
        self.assertEqual({row.encryption_key_id: key}, made)
        self.barbican, manager = self.other, self.barbican
        self.assert_readable(row, self.cinder.create_volume(type_id=type_id),
                             key)
        self.cinder.delete(record.id)
        self.assertNotIn(row.encryption_key_id, self.there())
        wrapped = self.encryption(record)['wrapped']
        self.assertIn(record.id, log.output)
        for text in (log.output, *(
                (pathlib.Path(one.home) / name).read_text(errors='replace')
                for one in (self.other, manager)
                for name in ('log', 'barbican.log'))):
            self.assert_secret(text, key, wrapped)
        self.assert_secret((self.path / 'journal').read_text(), key, wrapped)
