# SPDX-License-Identifier: Apache-2.0

"""Backups of encrypted volumes, in a directory, with a real Barbican."""

import base64
import json
import logging
import threading
import time
from unittest import mock

from castellan.key_manager import barbican_key_manager
from cinder import exception
from cinder import objects

# Before anything else registers its option.
from cinder.keymgr import conf_key_mgr
import fixtures
import testtools

from local_cloud.machine import daemons
from reference_drivers.contract import base
from tests import barbican
from tests import keys_cases
from tests.functional import test_contract_default


class PosixTest(test_contract_default.Directory, keys_cases.OfCinder,
                base.Contract, testtools.TestCase):
    driver = 'cinder.backup.drivers.posix.PosixBackupDriver'


class DefaultTest(test_contract_default.Directory, keys_cases.OfReference,
                  base.Contract, testtools.TestCase):

    def exported(self):
        """An encrypted backup whose row is lost.

        :returns: the volume, its backup, the id of its type, the record
        """
        volume, backup, type_id = self.encrypted()
        record = self.cinder.export(backup)
        self.cinder.lose_row(backup.id)
        return volume, backup, type_id, record

    def info(self, record):
        """The driver_info of a record."""
        return json.loads(base64.b64decode(record['backup_url']))[
            'driver_info']

    def assert_no_more_keys(self, wanted):
        """A key that came too late is deleted, when it comes."""
        deadline = time.monotonic() + 60
        while (found := self.keys()) != wanted and (
                time.monotonic() < deadline):
            time.sleep(0.05)
        self.assertEqual(wanted, found)

    def test_chain(self):
        """No key is lost, none is left over, and none is ever shown."""
        # As Cinder logs with "debug": without the requests of keystoneauth.
        log = self.useFixture(fixtures.FakeLogger(level=logging.DEBUG))
        self.useFixture(fixtures.FakeLogger('keystoneauth', logging.WARNING,
                                            nuke_handlers=False))
        volume, full, type_id = self.encrypted()
        key = self.keys()[volume.encryption_key_id]
        child = self.cinder.create_backup(volume, full)
        records = [self.cinder.export(one) for one in (full, child)]
        for backup, record in zip((full, child), records, strict=True):
            self.cinder.lose_row(backup.id)
            self.imports(record)
            # One field differs: the copy has a key of its own.
            self.assertEqual(self.info(record), self.info(
                self.cinder.export(self.cinder.backup(backup.id))))
        self.assertEqual(5, len(self.keys()))
        target = self.cinder.create_volume(type_id=type_id)
        self.assert_readable(child, target, key)
        # The key that the target had is gone.
        self.assertEqual(6, len(self.keys()))
        self.assertEqual({key}, set(self.keys().values()))
        seen = [log.output, *(json.dumps(self.info(one)) for one in records),
                *(str(self.cinder.row(one.id)) for one in (full, child))]
        for form in (key.hex(), base64.b64encode(key).decode(), str(key)):
            for text in seen:
                self.assertNotIn(form[2:-2].lower(), text.lower())
        info = self.info(records[0])['encryption']
        self.assertEqual(('LUKS', 'luks', 'aes-xts-plain64', 256),
                         (info['type'], info['provider'], info['cipher'],
                          info['key_size']))
        # Of the same key, and not to be recognised as such.
        self.assertNotEqual(info['fingerprint'],
                            self.info(records[1])['encryption']['fingerprint'])
        for one in (child, full):
            self.cinder.delete(one.id)
        self.assertEqual(4, len(self.keys()))

    def test_record_without_a_fingerprint(self):
        """An older record imports, with a key of its own."""
        _, backup, type_id, record = self.exported()
        key = self.keys()[backup.encryption_key_id]
        old = self.edited(record, {'encryption': None})
        self.imports(old)
        self.assert_readable(backup,
                             self.cinder.create_volume(type_id=type_id), key)

    def test_record_without_the_key(self):
        _, backup, _, record = self.exported()
        self.refused(self.edited(record, encryption_key_id=None), backup,
                     'names no key')
        for wrong in ('../secrets', '', 1, ['x'], 'x' * 37):
            self.refused(self.edited(record, encryption_key_id=wrong), backup,
                         'which is not an id', wrong)

    def test_record_of_a_plain_volume_with_a_key(self):
        volume, _, _ = self.encrypted()
        plain = self.cinder.create_backup(self.cinder.create_volume(b'x'))
        record = self.cinder.export(plain)
        self.assertNotIn('encryption', self.info(record))
        self.cinder.lose_row(plain.id)
        self.refused(self.edited(
            record, encryption_key_id=volume.encryption_key_id), plain,
            'is of a plain volume')

    def test_malformed_descriptions(self):
        _, backup, _, record = self.exported()
        good = self.info(record)['encryption']
        for bad in ({}, {'fingerprint': 1}, {**good, 'fingerprint': 'x'},
                    {**good, 'key_size': 'x'}, {**good, 'cipher': 'x' * 256},
                    {**good, 'provider': None}):
            self.refused(self.edited(record, {'encryption': bad}), backup,
                         'driver_info: encryption has ', bad)

    def test_missing_key(self):
        """Refused by each, and by a restore before it writes."""
        _, backup, type_id, record = self.exported()
        self.imports(record)
        row = self.cinder.backup(backup.id)
        for key_id in (row.encryption_key_id, backup.encryption_key_id):
            self.delete_key(key_id)
        words = f'the key manager has no key {row.encryption_key_id}'
        err = self.rejected('the export', self.cinder.export, row)
        self.assertIn(words, str(err))
        target = self.cinder.create_volume(base.noise(self.chunk, 7),
                                           type_id=type_id)
        err = self.not_restored('no key', row.id, target)
        self.assertIn(words, str(err))
        self.assertIn(words, self.cinder.backup(row.id).fail_reason)
        self.assertEqual(base.noise(self.chunk, 7),
                         self.cinder.read_volume(target.id))
        self.cinder.lose_row(row.id)
        self.refused(record, backup, 'the key manager has no key '
                     f'{backup.encryption_key_id}')

    def test_reason_of_a_restore_goes_with_the_next(self):
        _, backup, type_id = self.encrypted()
        self.not_restored('a plain type', backup.id,
                          self.cinder.create_volume())
        self.assertIn('type LUKS', self.cinder.backup(backup.id).fail_reason)
        self.cinder.restore(backup.id,
                            self.cinder.create_volume(type_id=type_id))
        self.assertFalse(self.cinder.backup(backup.id).fail_reason)

    def test_key_manager_that_hangs(self):
        """An error within the configured time, and nothing half made."""
        _, backup, type_id, record = self.exported()
        self.imports(record)
        row = self.cinder.backup(backup.id)
        target = self.cinder.create_volume(base.noise(self.chunk, 7),
                                           type_id=type_id)
        before = self.keys()
        self.cinder.configure(backup_import_verify__timeout=1)
        words = 'the key manager did not answer within 1 s: key '
        daemons.suspend(self.barbican.process)
        try:
            begin = time.monotonic()
            err = self.rejected('the export', self.cinder.export, row)
            self.assertIn(words, str(err))
            err = self.not_restored('it hangs', row.id, target)
            self.assertIn(words, str(err))
            self.cinder.lose_row(row.id)
            self.refused(record, backup, words)
            self.assertLess(time.monotonic() - begin, 30)
        finally:
            self.barbican.process.resume()
        self.assertEqual(base.noise(self.chunk, 7),
                         self.cinder.read_volume(target.id))
        self.assert_no_more_keys(before)

    def test_key_that_is_made_too_late(self):
        _, backup, _, record = self.exported()
        before = self.keys()
        gate, stored = threading.Event(), threading.Event()
        manager = barbican_key_manager.BarbicanKeyManager
        real_get, real_store = manager.get, manager.store

        def get(*args):
            key = real_get(*args)
            self.cinder.configure(backup_import_verify__timeout=0.5)
            return key

        def store(*args):
            gate.wait(60)
            made = real_store(*args)
            stored.set()
            return made

        with mock.patch.multiple(manager, get=get, store=store):
            self.refused(record, backup,
                         'did not answer within 0.5 s: key of the copy')
        self.cinder.configure(backup_import_verify__timeout=60)
        gate.set()
        self.assertTrue(stored.wait(60))
        self.assert_no_more_keys(before)

    def test_row_that_cannot_be_saved(self):
        _, _, _, record = self.exported()
        before = self.keys()
        with mock.patch.object(objects.Backup, 'save',
                               side_effect=OSError('no database')):
            self.assertRaises(OSError, self.cinder.import_record, record)
        self.assertEqual(before, self.keys())


    def test_plain_volume(self):
        """It costs no request to the key manager."""
        with mock.patch('castellan.key_manager.API',
                        side_effect=AssertionError('asked')):
            plain = self.cinder.create_backup(
                self.cinder.create_volume(b'x' * 100))
            record = self.cinder.export(plain)
            self.cinder.lose_row(plain.id)
            self.imports(record)
            self.assertEqual(b'x' * 100, self.cinder.restore(plain.id))
            self.cinder.delete(plain.id)

    def test_plain_volume_to_an_encrypted_type(self):
        """Cinder leaves a volume of that type without a key."""
        type_id = self.cinder.create_encrypted_type('LUKS')
        plain = self.cinder.create_backup(self.cinder.create_volume(b'x'))
        target = self.cinder.create_volume(type_id=type_id)
        err = self.not_restored('an encrypted type', plain.id, target)
        self.assertIn('encrypted type LUKS', str(err))
        target.refresh()
        self.assertIn(target.encryption_key_id, self.keys())

    def test_row_that_was_marked_as_deleted(self):
        """It has the key still, and needs no other."""
        _, backup, _ = self.encrypted()
        record = self.cinder.export(backup)
        before = self.keys()
        self.cinder.lose_row(backup.id, soft=True)
        self.imports(record)
        self.assertEqual(before, self.keys())
        self.assertEqual(backup.encryption_key_id,
                         self.cinder.backup(backup.id).encryption_key_id)

    def test_row_without_its_key(self):
        """Cinder takes that of the volume, and deletes it with the row."""
        volume, backup, type_id = self.encrypted()
        key = self.keys()[volume.encryption_key_id]
        backup.encryption_key_id = None
        backup.save()
        self.assert_readable(backup,
                             self.cinder.create_volume(type_id=type_id), key)
        self.assertNotEqual(
            volume.encryption_key_id,
            self.cinder.backup(backup.id).encryption_key_id)
        self.cinder.delete(backup.id)
        self.assertIn(volume.encryption_key_id, self.keys())

    def test_row_with_the_key_of_another(self):
        """As an import by Cinder's own driver leaves it."""
        volume, backup, _ = self.encrypted()
        other = self.cinder.create_backup(volume)
        for row, key_id in ((backup, volume.encryption_key_id),
                            (other, other.encryption_key_id)):
            row.encryption_key_id = key_id
            row.save()
        before = self.keys()
        self.cinder.delete(backup.id)
        self.assertEqual(before, self.keys())
        self.cinder.delete(other.id)
        self.assertEqual(before.keys() - {other.encryption_key_id},
                         self.keys().keys())

    def test_restore_that_gets_no_key(self):
        """The key manager ends between the data and the target's key.

        The target is deleted then. If it fails, the original volume becomes
        unreadable with it: until its end a restore gives the target the id
        of that volume's key.
        """
        _, backup, type_id = self.encrypted()
        target = self.cinder.create_volume(type_id=type_id)
        with mock.patch('cinder.volume.volume_utils.clone_encryption_key',
                        side_effect=exception.Invalid('away')):
            self.rejected('the restore', self.cinder.restore, backup.id,
                          target, errors=exception.Invalid)
        target.refresh()
        self.assertNotIn(target.encryption_key_id, self.keys())

    def test_restore_over_the_volume_itself(self):
        """It keeps its key, which its snapshots need."""
        volume, backup, _ = self.encrypted()
        key_id = volume.encryption_key_id
        self.cinder.restore(backup.id, volume)
        volume.refresh()
        self.assertEqual(key_id, volume.encryption_key_id)

    def test_user_of_another_project(self):
        """An administrator exports all, and imports what it can read."""
        _, backup, type_id = self.encrypted()
        key = self.keys()[backup.encryption_key_id]
        before = self.keys()
        with mock.patch.object(self.cinder.context, 'user_auth_plugin',
                               barbican.Headers('other')):
            record = self.cinder.export(backup)
            info = self.info(record)['encryption']
            self.assertIsNone(info['fingerprint'])
            self.assertEqual('aes-xts-plain64', info['cipher'])
            self.cinder.lose_row(backup.id)
            self.refused(record, backup, 'denies key '
                         f'{backup.encryption_key_id} to project')
        self.assertEqual(before, self.keys())
        self.imports(record)
        self.assert_readable(backup,
                             self.cinder.create_volume(type_id=type_id), key)

    def test_fixed_key_of_another_configuration(self):
        """The key of Cinder's conf_key_mgr has the same id everywhere."""
        self.cinder.configure(
            key_manager__backend=f'{conf_key_mgr.__name__}.ConfKeyManager',
            key_manager__fixed_key='a' * 64)
        _, backup, type_id, record = self.exported()
        self.cinder.configure(key_manager__fixed_key='b' * 64)
        self.refused(record, backup, 'is not the one')
        self.cinder.configure(key_manager__fixed_key='a' * 64)
        self.imports(record)
        self.cinder.restore(backup.id,
                            self.cinder.create_volume(type_id=type_id))
        self.cinder.delete(backup.id)

    def test_type_with_the_old_name_of_its_provider(self):
        """A provider has had more than one name."""
        _, backup, _ = self.encrypted()
        key = self.keys()[backup.encryption_key_id]
        old = self.cinder.create_encrypted_type(
            'old', provider='os_brick.encryptors.luks.LuksEncryptor')
        self.assert_readable(backup, self.cinder.create_volume(type_id=old),
                             key)
