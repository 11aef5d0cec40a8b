# SPDX-License-Identifier: Apache-2.0
"""Decode, check and encode exported backup records (level L0).

What Cinder's ``export_record`` returns has two parts: ``backup_service``, the
class path of the driver, and ``backup_url``, base64 of JSON of the fields of
the Backup object plus ``driver_info``, the driver's own part. This module
reads that string without Cinder, makes changed ones for negative tests, and
says everything that is wrong with one. It sends no request.
"""

import base64
import binascii
from collections.abc import Mapping
import dataclasses
import datetime
import json
import string
from typing import Any
import uuid

from cinder_backup_recovery_tests import exceptions

DROP: Any = object()
"""Value for :meth:`BackupRecord.edited` that takes a field out."""

PLACEHOLDER_VOLUME_ID = '00000000-0000-0000-0000-000000000000'
"""The ``volume_id`` of a row during import, before the record is applied."""

_ALPHABET = frozenset(string.ascii_letters + string.digits + '+/')
# Cinder's columns for text have 255 characters; what is longer cannot be
# imported, or comes back cut off.
_LONGEST = 255

# What the manager demands of a record in import_record(), and "id" and
# "size" also the API. A record without driver_info is imported as if the
# driver had nothing to say, which no export of Cinder looks like.
_REQUIRED = ('id', 'size', 'display_name', 'display_description', 'container',
             'service_metadata', 'object_count', 'driver_info')

# The fields of cinder.objects.backup.Backup 1.7 as their primitives. A field
# that is not here may come from a newer Cinder and is not checked.
_TEXT = ('user_id', 'project_id', 'host', 'availability_zone', 'container',
         'fail_reason', 'display_name', 'display_description',
         'service_metadata', 'service',
         # Not a UUID everywhere: Castellan's Vault uses 32 hex digits.
         'encryption_key_id')
_UUIDS = ('volume_id', 'parent_id', 'temp_volume_id', 'temp_snapshot_id',
          'snapshot_id', 'restore_volume_id')
_COUNTS = ('object_count', 'num_dependent_backups')
_TIMES = ('data_timestamp', 'created_at', 'updated_at', 'deleted_at')


def decode(backup_url: str) -> dict[str, Any]:
    """Decode an exported ``backup_url``.

    Stricter than Cinder, whose base64 decoder skips what it does not know
    and may so accept a string that was damaged on its way.

    :raises InvalidRecord: not text, not base64 (naming the character), not
        JSON (naming the position), or not an object
    """
    if not isinstance(backup_url, str):
        raise exceptions.InvalidRecord(
            f'backup_url is not text but {_type_name(backup_url)}')
    raw = _unbase64(backup_url)
    try:
        text = raw.decode('utf-8')
    except UnicodeDecodeError as err:
        raise exceptions.InvalidRecord(
            'backup_url is base64 of something that is not UTF-8: byte '
            f'0x{raw[err.start]:02x} at offset {err.start}') from None
    try:
        fields = json.loads(text, object_pairs_hook=_unique,
                            parse_constant=_no_constant)
    except json.JSONDecodeError as err:
        raise exceptions.InvalidRecord(
            f'backup_url is base64 of something that is not JSON: {err.msg} '
            f'at character {err.pos} of {len(text)}') from None
    except RecursionError:
        raise exceptions.InvalidRecord(
            'backup_url is JSON that is nested too deeply') from None
    if not isinstance(fields, dict):
        raise exceptions.InvalidRecord(
            f'backup_url is not a JSON object but {_type_name(fields)}')
    return fields


def encode(fields: Mapping[str, Any]) -> str:
    """Encode fields in the form of Cinder's ``Backup.encode_record``.

    :param fields: what :func:`decode` returned, changed or not; the order
        is kept, so that an unchanged record gives the same string
    :raises InvalidRecord: a value cannot be written as JSON
    """
    try:
        text = json.dumps(dict(fields))
    except (TypeError, ValueError) as err:
        raise exceptions.InvalidRecord(
            f'the fields cannot be written as JSON: {err}') from None
    return base64.b64encode(text.encode('utf-8')).decode('ascii')


@dataclasses.dataclass(frozen=True)
class BackupRecord:
    """The result of ``export_record``, which ``import_record`` takes."""

    backup_service: str
    backup_url: str

    @classmethod
    def from_api(cls, body: Mapping[str, Any]) -> 'BackupRecord':
        """Read the record from an answer of the export call.

        :param body: the answer, with or without its ``backup-record`` level
        :raises InvalidRecord: one of the two parts is missing
        """
        inner = body.get('backup-record', body)
        missing = [key for key in ('backup_service', 'backup_url')
                   if not isinstance(inner, Mapping) or key not in inner]
        if missing:
            raise exceptions.InvalidRecord(
                f"the answer to the export has no {' and no '.join(missing)}")
        return cls(inner['backup_service'], inner['backup_url'])

    def to_api(self) -> dict[str, str]:
        """The two parts as the import call takes them."""
        return {'backup_service': self.backup_service,
                'backup_url': self.backup_url}

    @property
    def fields(self) -> dict[str, Any]:
        """The decoded fields, a new dict each time.

        :raises InvalidRecord: see :func:`decode`
        """
        return decode(self.backup_url)

    @property
    def driver_info(self) -> Any:
        """The driver's own part; None when the record has none."""
        return self.fields.get('driver_info')

    def edited(self, **changes: Any) -> 'BackupRecord':
        """Make a changed record, for tests that an import refuses it.

        :param changes: new values of fields by name; ``DROP`` takes one out;
            ``backup_service`` changes that part instead of a field
        :raises InvalidRecord: see :func:`decode` and :func:`encode`
        """
        service = changes.pop('backup_service', self.backup_service)
        if not changes:
            return BackupRecord(service, self.backup_url)
        fields = self.fields
        fields.update(changes)
        kept = {key: value for key, value in fields.items()
                if value is not DROP}
        return BackupRecord(service, encode(kept))


def check(record: BackupRecord) -> list[str]:
    """Find all mistakes of a record (level L0).

    :returns: one line for each mistake
    """
    problems = []
    if not isinstance(record.backup_service, str):
        problems.append('backup_service is '
                        f'{_type_name(record.backup_service)} and should be '
                        'str')
    elif not record.backup_service:
        problems.append('backup_service is empty')
    try:
        fields = record.fields
    except exceptions.InvalidRecord as err:
        return [*problems, str(err)]
    problems.extend(f'field {name} is missing' for name in _REQUIRED
                    if name not in fields)
    problems.extend(_check_identity(fields))
    problems.extend(_check_types(fields))
    # The manager writes the same row's value into both; an import goes to
    # the driver of the one and stores the other.
    service = fields.get('service')
    if (isinstance(service, str) and isinstance(record.backup_service, str)
            and record.backup_service
            and service != record.backup_service):
        problems.append(f'field service is {service!r} but backup_service '
                        f'is {record.backup_service!r}')
    return problems


def _unbase64(backup_url: str) -> bytes:
    if not backup_url:
        raise exceptions.InvalidRecord('backup_url is empty')
    body = backup_url.rstrip('=')
    for position, character in enumerate(body):
        if character not in _ALPHABET:
            raise exceptions.InvalidRecord(
                f'backup_url is not base64: {character!r} at character '
                f'{position} of {len(backup_url)}')
    padding = len(backup_url) - len(body)
    # One character left over holds six bits, of which no byte can be made.
    if len(body) % 4 == 1 or padding != -len(body) % 4:
        raise exceptions.InvalidRecord(
            'backup_url is not base64: it is cut off or wrongly padded at '
            f'character {len(backup_url)}')
    try:
        return base64.b64decode(backup_url, validate=True)
    except binascii.Error as err:  # pragma: no cover - all is found above
        raise exceptions.InvalidRecord(
            f'backup_url is not base64: {err}') from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for key, value in pairs:
        # json would take the last one without a word, another reader of
        # the same record the first.
        if key in fields:
            raise exceptions.InvalidRecord(
                f'backup_url has the field {key} twice')
        fields[key] = value
    return fields


def _no_constant(name: str) -> Any:
    raise exceptions.InvalidRecord(
        f'backup_url is not JSON: {name} is not a JSON value')


def _check_identity(fields: Mapping[str, Any]) -> list[str]:
    """Check the fields that need a value, not only a type."""
    problems = []
    if 'id' in fields:
        problems.extend(_check_uuid('id', fields['id']))
    if 'size' in fields:
        size = fields['size']
        if not _is_int(size):
            problems.append(f'field size is {_type_name(size)} and should '
                            'be int')
        elif size <= 0:
            problems.append(f'field size is {size} and should be above 0')
    if 'driver_info' in fields and not isinstance(fields['driver_info'],
                                                  dict):
        problems.append('field driver_info is '
                        f'{_type_name(fields["driver_info"])} and should be '
                        'dict')
    if 'volume_id' in fields and fields['volume_id'] is None:
        problems.append('field volume_id is null and should be str')
    # LP 1455043: the import lost the id of the volume and left zeros.
    if fields.get('volume_id') == PLACEHOLDER_VOLUME_ID:
        problems.append('field volume_id is the placeholder of an import')
    # Only an available backup can be exported.
    status = fields.get('status')
    if 'status' in fields and status != 'available':
        problems.append(f'field status is {status!r} and should be available')
    if fields.get('deleted'):
        problems.append('field deleted is set')
    if fields.get('parent_id') is not None and (
            fields.get('parent_id') == fields.get('id')):
        problems.append('field parent_id is the id of the backup itself')
    return problems


def _check_types(fields: Mapping[str, Any]) -> list[str]:
    problems = []
    for name in (*_TEXT, *_UUIDS, *_COUNTS, *_TIMES):
        value = fields.get(name)
        if value is None:
            continue
        if name in _COUNTS:
            if not _is_int(value):
                problems.append(f'field {name} is {_type_name(value)} and '
                                'should be int')
            elif value < 0:
                problems.append(f'field {name} is {value} and should not be '
                                'negative')
        elif not isinstance(value, str):
            problems.append(f'field {name} is {_type_name(value)} and '
                            'should be str')
        elif name in _UUIDS:
            problems.extend(_check_uuid(name, value))
        elif name in _TIMES:
            problems.extend(_check_time(name, value))
        elif len(value) > _LONGEST:
            problems.append(f'field {name} has {len(value)} characters and '
                            f'should have at most {_LONGEST}')
    metadata = fields.get('metadata')
    if metadata is not None and not (
            isinstance(metadata, dict)
            and all(isinstance(value, str) for value in metadata.values())):
        problems.append('field metadata should be a dict of str')
    return problems


def _check_uuid(name: str, value: Any) -> list[str]:
    if not isinstance(value, str):
        return [f'field {name} is {_type_name(value)} and should be str']
    try:
        canonical = str(uuid.UUID(value))
    except ValueError:
        canonical = None
    # Without dashes or in braces it would be another key of the table.
    if canonical != value.lower() or len(value) != 36:
        return [f'field {name} is {value!r} and should be a UUID']
    return []


def _check_time(name: str, value: str) -> list[str]:
    try:
        datetime.datetime.fromisoformat(value)
    except ValueError:
        return [f'field {name} is {value!r} and should be a time in ISO 8601']
    return []


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _type_name(value: Any) -> str:
    return 'null' if value is None else type(value).__name__
