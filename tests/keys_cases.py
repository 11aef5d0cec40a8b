# SPDX-License-Identifier: Apache-2.0

"""Encrypted volumes, with a real Barbican: four cases that Cinder loses."""

import contextlib

from castellan import key_manager
from cinder import exception
from cinder.volume import volume_types

from reference_drivers.contract import base
from reference_drivers.contract import records
from tests import barbican


class Encrypted(records.Records):
    """Encrypted volumes, for a driver that is bound to a store."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.barbican = barbican.Barbican()
        cls.barbican.setUp()
        cls.addClassCleanup(cls.barbican.cleanUp)

    def setUp(self):
        super().setUp()
        self.type_id = None
        self.barbican.use(self.cinder)

    def encrypted(self):
        """Back up an encrypted volume.

        :returns: the volume, its backup, and the id of its type
        """
        if self.type_id is None:
            self.type_id = self.cinder.create_encrypted_type('LUKS')
        type_id = self.type_id
        volume = self.cinder.create_volume(base.text(2 * self.chunk),
                                           type_id=type_id)
        return volume, self.cinder.create_backup(volume), type_id

    def keys(self):
        """All keys, by their ids."""
        return self.barbican.keys(self.cinder.project_id)

    def forget_type(self, volume, type_id):
        """Delete a volume and its type, as at a site that has neither."""
        volume.destroy()
        volume_types.destroy(self.cinder.context, type_id)

    def assert_readable(self, backup, target, key):
        """Restore a backup, and have the bytes and the key of its volume."""
        restored = self.cinder.restore(backup.id, target)
        content = base.text(2 * self.chunk)
        self.assertEqual(content, restored[:len(content)])
        target.refresh()
        found = self.keys()
        self.assertEqual(key, found[target.encryption_key_id])
        # Each has its own.
        row = self.cinder.backup(backup.id)
        self.assertNotEqual(row.encryption_key_id, target.encryption_key_id)
        self.assertEqual(key, found[row.encryption_key_id])

    def assert_not_written(self, target, before):
        # Cinder itself empties a regular file, when it opens it.
        after = self.cinder.read_volume(target.id).rstrip(b'\0')
        self.assertEqual(True, after in (before.rstrip(b'\0'), b''),
                         'the volume was written to')

    def delete_key(self, key_id):
        key_manager.API(self.cinder.config.conf).delete(
            self.cinder.context, key_id)


class FourCases(Encrypted):

    def test_restore_to_a_type_that_does_not_encrypt(self):
        """The command that every user tries first.

        If it fails, all is written before the restore ends in an error that
        does not say what to do.
        """
        _, backup, _ = self.encrypted()
        target = self.cinder.create_volume(base.noise(self.chunk, 7))
        before = self.cinder.read_volume(target.id)
        err = self.rejected('a plain target: the restore',
                            self.cinder.restore, backup.id, target,
                            errors=exception.CinderException)
        self.assert_not_written(target, before)
        row = self.cinder.backup(backup.id)
        self.assertEqual('available', row.status)
        for words in ('type LUKS (provider luks, cipher aes-xts-plain64, key '
                      'size 256, front-end)', target.id):
            self.assertIn(words, str(err))
            self.assertIn(words, row.fail_reason)

    def test_restore_to_an_equal_type_of_another_id(self):
        """A second site, or one whose whole database was lost.

        If it fails, no encrypted backup can be restored there, since no
        request can give a type the id of the lost one.
        """
        volume, backup, type_id = self.encrypted()
        key = self.keys()[volume.encryption_key_id]
        record = self.cinder.export(backup)
        self.cinder.lose_row(backup.id)
        self.forget_type(volume, type_id)
        other = self.cinder.create_encrypted_type('other', key_size=128)
        self.imports(record)
        err = self.rejected(
            'another key size: the restore', self.cinder.restore, backup.id,
            self.cinder.create_volume(type_id=other),
            errors=exception.CinderException)
        equal = self.cinder.create_encrypted_type('equal')
        self.assert_readable(backup,
                             self.cinder.create_volume(type_id=equal), key)
        # Before there was one, its parameters were named.
        self.assertIn('a new type like LUKS (provider luks, cipher '
                      'aes-xts-plain64, key size 256, front-end)', str(err))

    def test_delete_of_a_copy(self):
        """Two sites with one key manager.

        If it fails, a delete of the copy at the one makes the original at
        the other unreadable, and the other way round.
        """
        volume, backup, type_id = self.encrypted()
        own = backup.encryption_key_id
        key = self.keys()[own]
        record = self.cinder.export(backup)
        self.cinder.lose_row(backup.id)
        self.imports(record)
        before = self.keys()
        self.cinder.delete(backup.id)
        self.assertEqual(key, self.keys().get(own),
                         'the key of the original was deleted')
        # The copy had one, and took it with it.
        self.assertEqual(len(before) - 1, len(self.keys()))
        # And now that of the original goes, as with its delete there.
        backup = self.cinder.create_backup(volume)
        record = self.cinder.export(backup)
        self.cinder.lose_row(backup.id)
        self.imports(record)
        self.delete_key(backup.encryption_key_id)
        self.assert_readable(backup,
                             self.cinder.create_volume(type_id=type_id), key)

    def test_key_of_another_volume_in_the_record(self):
        """Nothing protects a record from changes.

        If it fails, a delete of what was imported makes a volume unreadable
        that has nothing to do with it.
        """
        _, backup, type_id = self.encrypted()
        other = self.cinder.create_volume(b'x', type_id=type_id)
        foreign = other.encryption_key_id
        record = self.cinder.export(backup)
        self.cinder.lose_row(backup.id)
        with contextlib.suppress(exception.InvalidBackup):
            self.cinder.import_record(self.edited(record,
                                                  encryption_key_id=foreign))
        row = self.cinder.backup(backup.id)
        before = self.keys()
        self.cinder.delete(backup.id)
        self.assertEqual(before, self.keys(), 'a key was deleted')
        self.assertIn(f'key {foreign}, which is not the one', row.fail_reason)


class OfReference(FourCases):
    """The reference drivers."""

    def test_key_manager_that_is_away(self):
        """Each request ends in an error, and can be repeated.

        If it fails, a key manager that is restarted costs data: a delete
        would take it, and leave the backup in deleting.
        """
        volume, backup, type_id = self.encrypted()
        key = self.keys()[volume.encryption_key_id]
        record = self.cinder.export(backup)
        target = self.cinder.create_volume(base.noise(self.chunk, 7),
                                           type_id=type_id)
        before = self.keys()
        words = f'the key manager did not give key {backup.encryption_key_id}'
        self.cinder.configure(
            barbican__barbican_endpoint='http://127.0.0.1:1')
        self.assertIn(words, str(self.rejected(
            'the export', self.cinder.export, backup)))
        self.assertIn(words, str(self.not_restored(
            'no key manager', backup.id, target)))
        self.assert_not_written(target, base.noise(self.chunk, 7))
        self.assertIn(words, str(self.rejected(
            'the delete', self.cinder.delete, backup.id)))
        row = self.cinder.backup(backup.id)
        self.assertEqual(('error', backup.encryption_key_id),
                         (row.status, row.encryption_key_id))
        self.assertIn(words, row.fail_reason)
        self.cinder.lose_row(backup.id)
        self.refused(record, backup, words)
        self.barbican.use(self.cinder)
        self.assertEqual(before, self.keys())
        self.imports(record)
        self.assert_readable(backup, target, key)
        self.cinder.delete(backup.id)


class OfCinder(FourCases):
    """Cinder's own driver, which fails in each of the cases."""

    def fails(self, test, words):
        err = self.rejected('the test', test, errors=(
            AssertionError, exception.CinderException))
        self.assertIn(words, str(err))

    def test_restore_to_a_type_that_does_not_encrypt(self):
        self.fails(super().test_restore_to_a_type_that_does_not_encrypt,
                   'the volume was written to')

    def test_restore_to_an_equal_type_of_another_id(self):
        self.fails(super().test_restore_to_an_equal_type_of_another_id,
                   'is different than the destination volume type')

    def test_delete_of_a_copy(self):
        self.fails(super().test_delete_of_a_copy,
                   'the key of the original was deleted')

    def test_key_of_another_volume_in_the_record(self):
        self.fails(super().test_key_of_another_volume_in_the_record,
                   'a key was deleted')
