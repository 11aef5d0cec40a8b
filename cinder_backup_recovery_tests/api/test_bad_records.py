# SPDX-License-Identifier: Apache-2.0

"""Records that are damaged, hostile or of something else.

Each is refused with 400, or ends in ``error`` with a reason; never in a 500,
never in a backup that claims to be available and is not, and never in a
change to another backup. Drivers that read the storage
(``import_verify``) must also notice what only the storage shows.
"""

import base64
from collections.abc import Iterator
import json
import re
from typing import Any
import uuid

import ddt
from tempest.lib import decorators
from tempest.lib import exceptions as lib_exc

from cinder_backup_recovery_tests import features
from cinder_backup_recovery_tests import record as backup_record
from cinder_backup_recovery_tests.api import bad_records
from cinder_backup_recovery_tests.cloud import clients

MIB = 1024 * 1024

# Fields that an import does not take from a record.
IGNORED = ('user_id', 'project_id', 'host', 'availability_zone', 'status',
           'fail_reason', 'service', 'deleted', 'deleted_at')
# By the kind of the column: wrong values, and the fields to give them to.
DESCRIPTIVE = {
    'text': ({'not': 'text'}, (
        'display_name', 'display_description', 'temp_volume_id',
        'temp_snapshot_id', 'restore_volume_id', 'encryption_key_id')),
    'count': ('many', ('num_dependent_backups',)),
    'time': ('yesterday', ('created_at', 'data_timestamp', 'updated_at')),
    'metadata': ('none', ('metadata',)),
}
# The place of the data: a driver that reads it notices before Cinder does.
LOCATING = {
    'container': {'not': 'text'},
    'service_metadata': ['not text'],
    'object_count': 'many',
    'volume_id': None,
    'parent_id': {'not': 'text'},
    'snapshot_id': {'not': 'text'},
}


def _encode(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.b64encode(data).decode()


def _flip(data: bytes, position: int) -> bytes:
    """Flip the lowest bit of one byte."""
    return (data[:position] + bytes([data[position] ^ 1]) +
            data[position + 1:])


def _structure(data: bytes) -> Iterator[int]:
    """Find the bytes of JSON that hold it together, outside of texts."""
    texts = [match.span() for match in
             re.finditer(rb'"(?:[^"\\]|\\.)*"', data)]
    inside = {position for start, end in texts
              for position in range(start, end)}
    yield from (position for position, byte in enumerate(data)
                if byte in b'{}[]:,' and position not in inside)


def _spread(length: int, count: int) -> Iterator[int]:
    """Spread positions over a length, its first and its last one too."""
    yield from sorted({round(number * (length - 1) / (count - 1))
                       for number in range(count)})


@ddt.ddt
class BadRecordTest(bad_records.BadRecordTest):
    """Bad records, imported in the place of a backup that has lost its row."""

    # Strings that are no record, or that were damaged on their way.

    @decorators.attr(type=['negative'])
    @decorators.idempotent_id('0b0f4b6c-7f0e-4a5c-9a4e-0b3a9d1d5f11')
    def test_not_a_record(self) -> None:
        """A string that is not a record is refused at once.

        If it fails, importing a wrong file breaks the API, or creates a backup
        without data that a user relies upon.
        """
        self.assert_malformed([
            ('an empty string', ''),
            ('what is not base64', '!!!!'),
            ('a file name', '/var/lib/records/backup.txt'),
            ('base64 that is cut off', 'abc'),
            ('base64 of nothing', '===='),
            ('base64 of what is not UTF-8', _encode(b'\xff\xfe\x00\x80')),
            ('base64 of text', _encode(b'backup')),
            ('base64 of half an object', _encode(b'{"id":')),
            ('base64 of two objects', _encode(b'{} {}')),
            ('a JSON number', _encode(5)),
            ('a JSON fraction', _encode(0.5)),
            ('a JSON text', _encode('id and size')),
            ('JSON null', _encode(None)),
            ('JSON true', _encode(True)),
            ('what only Python takes for JSON', _encode(b'NaN')),
            ('an empty list', _encode([])),
            ('a list of the fields', _encode(list(self.record.fields))),
            ('a list with the record', _encode([self.record.fields])),
            ('an empty object', _encode({})),
            ('an object of other things', _encode({'name': 'backup'})),
        ])

    @decorators.attr(type=['negative'])
    @decorators.idempotent_id('6e0c9f5d-3a42-4a57-9d4e-8c1b2fd3a611')
    def test_deep_json(self) -> None:
        """JSON that is nested too deeply is refused like other junk.

        If it fails, an administrator suspects the cloud, and not the string.
        """
        with self.known_as('import-deep-json'):
            self.assert_malformed([('deep JSON', _encode(b'[' * 20000))])

    @decorators.attr(type=['negative'])
    @decorators.idempotent_id('3f7e8c12-55a1-4f6e-8e2c-6f2d10c4b7a9')
    def test_junk_of_a_mebibyte(self) -> None:
        """A large wrong file is refused, too.

        If it fails, one careless request keeps the API from serving others.
        """
        self.assert_malformed([
            ('1 MiB of junk', _encode(bytes(range(256)) * 3 * 1024)),
            ('1 MiB of one letter', 'A' * MIB)], large=True)

    @decorators.attr(type=['negative'])
    @decorators.idempotent_id('5f0a2f7e-6d0b-4a43-a6a4-5a3b7c1e9d20')
    def test_truncated(self) -> None:
        """A record that was cut off is refused, wherever that was.

        If it fails, a record that was written to a full disk, or pasted in
        part, is imported as something else than it was.
        """
        url = self.record.backup_url
        data = base64.b64decode(url)
        self.assert_malformed(
            [(f'the first {length} characters', url[:length])
             for length in _spread(len(url.rstrip('=')) - 1, 24) if length] +
            [(f'base64 of the first {length} bytes', _encode(data[:length]))
             for length in _spread(len(data) - 1, 24)])

    @decorators.attr(type=['negative'])
    @decorators.idempotent_id('84a0b9d3-3c0c-4c7e-8f55-1f0b7ac1ee31')
    def test_bit_flipped_in_structure(self) -> None:
        """A bit that flips in what holds a record together is noticed.

        If it fails, a record that rotted on a disk is imported in part.
        """
        data = base64.b64decode(self.record.backup_url)
        places = list(_structure(data))
        self.assert_malformed(
            (f'a record with a bit flipped in byte {places[number]}',
             _encode(_flip(data, places[number])))
            for number in _spread(len(places), 24))

    @decorators.attr(type=['negative'])
    @decorators.idempotent_id('d0a9a1e0-8a8b-4a10-bb2b-2f2f5e0c9b42')
    @ddt.data('container', 'service_metadata', 'object_count', 'size',
              'display_name', 'display_description')
    def test_bit_flipped_in_name_of(self, field: str) -> None:
        """A field whose name was damaged counts as missing.

        If it fails, a backup is imported without the place of its data.
        """
        data = base64.b64decode(self.record.backup_url)
        # The last one: the driver's own part comes first.
        position = data.rindex(json.dumps(field).encode()) + 2
        self.assert_refused(backup_record.BackupRecord(
            self.record.backup_service, _encode(_flip(data, position))))

    @decorators.attr(type=['negative'])
    @decorators.idempotent_id('f4f2c9a5-92bb-4b18-9a11-7b1d6f1c0e53')
    @ddt.data('id', 'volume_id', 'size', 'container', 'service_metadata',
              'object_count')
    @features.needs('import_verify')
    def test_bit_flipped_in(self, field: str) -> None:
        """A flipped bit in the place of the data is noticed.

        If it fails, a user restores or deletes another backup in place of this
        one, or finds on the day of the disaster that there is none.
        """
        value = json.dumps(self.record.fields[field]).encode()
        # Of an id a digit, so that it stays one.
        position = next((n for n, byte in enumerate(value[2:-2], 2)
                         if chr(byte) in '0123456789'), len(value) // 2)
        self.assert_refused(self.record.edited(
            **{field: json.loads(_flip(value, position))}))

    @decorators.attr(type=['negative'])
    @decorators.idempotent_id('1c5f7d7e-5c38-4e6c-8b7a-0d5a4a6fb864')
    @features.needs('import_verify')
    def test_bit_flipped_in_driver_info(self) -> None:
        """A driver does not believe its own part of a record, either.

        If it fails, damage in the part that proves the backup whole makes
        another one pass for it.
        """
        info = self.record.driver_info
        for field in info:
            value = json.dumps(info[field]).encode()
            try:
                flipped = json.loads(_flip(value, len(value) // 2))
            except ValueError:
                # Noticed by its reader.
                continue
            self.assert_harmless(self.record.edited(
                driver_info={**info, field: flipped}))

    # Records that can be read, and are wrong.

    @decorators.attr(type=['negative'])
    @decorators.idempotent_id('71b7f4a0-0f7a-4c58-9b0a-9a7b5d2c1f75')
    @ddt.data('id', 'size', 'container', 'service_metadata', 'object_count',
              'display_name', 'display_description')
    def test_field_is_missing(self, field: str) -> None:
        """A record without a needed field is refused.

        If it fails, a backup is imported whose data cannot be found.
        """
        self.assert_refused(self.record.edited(
            **{field: backup_record.DROP}))

    @decorators.attr(type=['negative'])
    @decorators.idempotent_id('8d1f2f6f-0f0c-4c7a-8d11-6d4c2b7fa186')
    @ddt.data(*sorted(DESCRIPTIVE))
    def test_wrong_type_of(self, kind: str) -> None:
        """A field that cannot be stored ends the import with a reason.

        If it fails, a backup stays in status creating indefinitely: it can be
        neither restored nor deleted, nor imported from the true record.
        """
        value, names = DESCRIPTIVE[kind]
        with self.known_as(bad_records.STAYS):
            for name in names:
                self.assert_refused_or_kept(name, value)

    def assert_refused_or_kept(self, name: str, value: Any) -> None:
        """Import a record with a wrong description of a true backup."""
        self.assert_outcome(
            (bad_records.REFUSAL, bad_records.ERROR, bad_records.GOOD),
            self.outcome(self.record.edited(**{name: value}),
                         bad_records.STAYS))

    @decorators.attr(type=['negative'])
    @decorators.idempotent_id('9e3b1a64-4a0e-4b5a-a6b7-3b8c1d0efa97')
    @ddt.data(*sorted(LOCATING))
    def test_wrong_type_of_locating(self, field: str) -> None:
        """A wrong type in the place of the data is refused.

        If it fails, a backup stays in status creating indefinitely, or is
        available and cannot be restored.
        """
        self.assert_refused(
            self.record.edited(**{field: LOCATING[field]}), bad_records.STAYS,
            shows=not self.verifies)

    @decorators.attr(type=['negative'])
    @decorators.idempotent_id('a6c1b0fb-1c0f-4f5c-8a8e-44c5d1e2fba8')
    def test_wrong_type_of_ignored(self) -> None:
        """A field that an import ignores does no harm with a wrong type.

        If it fails, a record of a newer Cinder, or of another cloud, keeps
        an administrator from a backup that is whole.
        """
        self.assert_harmless(self.record.edited(
            **{name: {'not': 'text'} for name in IGNORED}))

    @decorators.attr(type=['negative'])
    @decorators.idempotent_id('b7d2c1ec-2d10-4a6d-9b9f-55d6e2f3acb9')
    def test_wrong_driver_info(self) -> None:
        """A driver is not broken by a part of the record that is not its.

        If it fails, a record that was written by hand, or by another
        driver, makes a backup that does not exist, or one without an end.
        """
        for info in (None, 5, 'text', [], [1], {'not': 'this'},
                     {'version': 10 ** 30}):
            self.assert_harmless(self.record.edited(driver_info=info))
        self.assert_harmless(self.record.edited(
            driver_info=backup_record.DROP))

    @decorators.attr(type=['negative'])
    @decorators.idempotent_id('c8e3d2dd-3e21-4b7e-8ca0-66e7f3a4bdca')
    @ddt.data(None, [], ['id'], {}, {'id': 'id'})
    def test_id_is_no_text(self, value: Any) -> None:
        """An id that is not text is refused like any other mistake.

        If it fails, an administrator suspects the cloud, and not the record.
        """
        # What a list is in SQL is up to the database's client library: that
        # of MariaDB writes one text in parentheses, which can be compared
        # with an id, that of PostgreSQL '{}' for an empty one.
        with self.known_as('import-id-without-text',
                           shows=not isinstance(value, list)):
            self.assert_refused(self.record.edited(id=value))

    @decorators.attr(type=['negative'])
    @decorators.idempotent_id('d9f4e3ce-4f32-4c8f-9db1-77f8a4b5cedb')
    @ddt.data('', 'not-a-uuid-')
    def test_id_is_no_uuid(self, begin: str) -> None:
        """An id that is no UUID is refused.

        If it fails, the cloud has a backup that no tool can name, and that
        was never made.
        """
        # It names no data as its own: Cinder can delete its backup.
        record = self.record.edited(
            id=begin and begin + uuid.uuid4().hex[:8],
            volume_id=str(uuid.uuid4()), container=None,
            service_metadata=None, object_count=0)
        # Instead of an empty one Cinder makes its own, and notices.
        self.assert_refused(record, 'import-id-not-uuid' if
                            begin and not self.verifies else None)

    @decorators.attr(type=['negative'])
    @decorators.idempotent_id('ea05f4bf-5043-4d90-8ec2-8809b5c6dfec')
    @ddt.data('1', 'huge', None, [], {})
    def test_size_is_no_number(self, value: Any) -> None:
        """A size that is none is refused.

        If it fails, one record breaks the sums by which a project's quota
        is kept.
        """
        self.assert_refused(self.record.edited(size=value))

    @decorators.attr(type=['negative'])
    @decorators.idempotent_id('4a6b5bf5-b6a9-43f6-a804-ee6f1b2c3542')
    @ddt.data(2 ** 31, 2 ** 63, 10 ** 30)
    def test_size_is_huge(self, value: int) -> None:
        """A size that no volume has is refused.

        If it fails, one record uses up the quota of its project.
        """
        self.assert_refused(self.record.edited(size=value), over_quota=True)

    @decorators.attr(type=['negative'])
    @decorators.idempotent_id('fb1605a0-6154-4ea1-9fd3-991ac6d7e0fd')
    @ddt.data(0, -1)
    def test_size_is_negative(self, value: int) -> None:
        """A size of nothing, or of less, is refused.

        If it fails, a backup is available that restores to no volume.
        """
        self.assert_refused(self.record.edited(size=value),
                            None if self.verifies else 'import-negative-size')

    @decorators.attr(type=['negative'])
    @decorators.idempotent_id('0c2716b1-7265-4fb2-a0e4-aa2bd7e8f10e')
    @features.needs('import_verify')
    @ddt.data('size', 'object_count')
    def test_count_differs_from_storage(self, field: str) -> None:
        """A size that is not that of the data is refused.

        If it fails, the backup is restored to a volume that is too small
        for it, or too large, and the rest of it is lost or foreign.
        """
        for more in (1, 9):
            self.assert_refused(self.record.edited(
                **{field: self.record.fields[field] + more}))

    @decorators.attr(type=['negative'])
    @decorators.idempotent_id('1d3827c2-8376-40c3-b1f5-bb3ce8f9021f')
    @features.needs('import_verify')
    def test_data_of_another_backup(self) -> None:
        """The data of another backup is not imported under this id.

        If it fails, a user gets the data of another user, and the deletion of
        one backup deletes the other one, too.
        """
        other = self.neighbour_record
        place = {name: other.fields[name] for name in (
            'container', 'service_metadata', 'object_count', 'volume_id')}
        self.assert_refused(other.edited(id=self.backup_id))
        self.assert_refused(self.record.edited(**place))
        self.assert_refused(self.record.edited(
            driver_info=other.driver_info))
        self.assert_refused(self.record.edited(
            driver_info=other.driver_info, **place))

    @decorators.attr(type=['negative'])
    @decorators.idempotent_id('2e4938d3-9487-41d4-82a6-cc4df90a1320')
    @features.needs('import_verify')
    @ddt.data('container', 'service_metadata')
    def test_path_traversal(self, field: str) -> None:
        """A name that leads out of the backup's own place is refused.

        If it fails, a user who may write a record reads, and by a deletion
        removes, other data on the storage or on the host.
        """
        name = self.record.fields[field]
        nowhere = f'backup-recovery-{uuid.uuid4()}'
        # Few, as a driver may read the whole backup before it checks them.
        for value in (f'../{name}', f'./{name}', f'/{nowhere}',
                      f'{name}/../../../../{nowhere}', f'{name}\x00',
                      name[:-1]):
            self.assert_refused(self.record.edited(**{field: value}))

    @decorators.idempotent_id('3f5a49e4-a598-42e5-93b7-dd5e0a1b2431')
    def test_true_record_after_bad_one(self) -> None:
        """After a bad record the true one can be imported.

        If it fails, an administrator who has once imported a wrong string can
        no longer import the right one.
        """
        bad = self.record.edited(container=backup_record.DROP)
        self.cloud.import_record(bad)
        failed = self.resources.wait(
            clients.BACKUP, self.backup_id, ('error', 'available'),
            timeout=self.patience.backup)
        self.assertEqual('error', failed['status'])
        # Cinder's own words, or those of a driver that looked before it.
        self.assertTrue(failed['fail_reason'])
        refused = self.assertRaises(lib_exc.BadRequest,
                                    self.cloud.import_record, self.record)
        self.assertIn('already exists', str(refused))
        self.remove_failed_import()
        self.resources.import_record(self.record)
        restored = self.resources.restore(self.backup_id)
        self.assert_content(restored, self.content_before,
                            f'backup {self.backup_id}, imported after a bad '
                            f'record of it')
        reason = self.cloud.show(clients.BACKUP,
                                 self.backup_id)['fail_reason']
        self.assert_recovered({**self.view, 'fail_reason': reason},
                              self.record)
        with self.known_defect('import-keeps-fail-reason'):
            self.assert_recovered(self.view, self.record)
