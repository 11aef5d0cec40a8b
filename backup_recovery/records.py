# SPDX-License-Identifier: Apache-2.0

"""Files of backup records.

Each line is one record, as JSON with a version and a digest, and the last line
says how many there are. A scan of a storage also writes lines about what no
record can be made of. Files of four columns are read as well: id, project,
driver, record. A line that cannot be used is a problem, and the next one is
read.
"""

import base64
import binascii
from collections.abc import Iterable
import dataclasses
import hashlib
import json
import pathlib
from typing import Any
from typing import NamedTuple
import uuid

from backup_recovery import exceptions
from backup_recovery import files
from backup_recovery import signing

VERSION = 1
_REMAINS = {
    'unfinished': 'backup {id} was not finished, for it has no metadata: '
                  '{objects} at {place}',
    'deleted': 'backup {id} was deleted, but for {objects} at {place}',
    'damaged': 'backup {id} is damaged{reason}',
    'foreign': '{objects} of no backup, such as {place}{reason}',
    'copy': 'backup {id} was found again at {place}; the other one is used',
    'unread': '{place} cannot be read{reason}; scan again',
}
_FORMAT = 'backup {id} is not one of a known format{reason}'
_SCHEMA = 'records'
#: What Cinder demands of a record.
_TEXT = str, type(None)
_DEMANDED: dict[str, Any] = {
    'id': str, 'size': int, 'container': _TEXT, 'display_name': _TEXT,
    'display_description': _TEXT, 'object_count': (int, type(None)),
    'service_metadata': _TEXT}
_USED: dict[str, Any] = {
    'volume_id': str, 'parent_id': _TEXT, 'created_at': _TEXT,
    'updated_at': _TEXT, 'metadata': (dict, type(None))}


class BadLine(exceptions.RecoveryError):
    """A line that is not a usable record."""


class _Line:
    """A line of a file; its fields are those of a dataclass."""

    __slots__ = ()

    def line(self) -> tuple[bytes, str]:
        """The line in a file, and the line's digest."""
        content: dict[str, Any] = {'version': VERSION}
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            content[field.name] = getattr(self, field.name)
        if content.get('scan', content) is None:
            del content['scan']
        content['digest'] = _digest_of(content)
        return files.line(content), content['digest']


@dataclasses.dataclass(frozen=True, slots=True)
class Remains(_Line):
    """Objects that a scan has found, of which no record can be made.

    :ivar remains: its class
    :ivar place: where, as a URL
    :ivar objects: how many
    :ivar bytes: their length, None if the storage does not list it
    """

    remains: str
    id: str | None
    volume_id: str | None
    place: str
    objects: int
    bytes: int | None
    problems: list[dict[str, Any]]
    exported: str

    def __str__(self) -> str:
        text = (_FORMAT if self.remains == 'foreign' and self.id else
                _REMAINS[self.remains])
        return text.format(
            id=self.id or 'without an id', place=self.place,
            objects=f'{self.objects} object{"s" * (self.objects != 1)}',
            reason=''.join(f': {one["message"]}'
                           for one in self.problems[:1]))


@dataclasses.dataclass(frozen=True, slots=True)
class Record(_Line):
    """One record, as a file has it.

    :ivar project_id: empty where a scan has not found it
    :ivar scan: what a scan has found, None where the record was exported
    """

    id: str
    project_id: str
    backup_service: str
    backup_url: str
    exported: str | None = None
    gone: str | None = None
    scan: dict[str, Any] | None = None

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of the backup.

        :raises BadLine: it has none that can be imported
        """
        try:
            fields = json.loads(base64.b64decode(self.backup_url,
                                                 validate=True))
        except (binascii.Error, ValueError, RecursionError) as error:
            raise BadLine('the record is not JSON in base64') from error
        if not isinstance(fields, dict):
            raise BadLine('the record is not a JSON object')
        for name in _DEMANDED:
            if name not in fields:
                raise BadLine(f'the record has no field {name}')
        for name, kind in (_DEMANDED | _USED).items():
            if name in fields and (not isinstance(fields[name], kind) or
                                   isinstance(fields[name], bool)):
                raise BadLine(f'the field {name} of the record is a '
                              f'{type(fields[name]).__name__}')
        if fields['id'] != self.id:
            raise BadLine(f'the record is that of another backup, '
                          f'{fields["id"]}')
        if fields['size'] < 1:
            raise BadLine(f'the size in the record is {fields["size"]}')
        return fields

    @property
    def digest(self) -> str:
        """The digest of what is imported, the same in each file."""
        return _digest(f'{self.backup_service} {self.backup_url}'.encode())


class Facts(NamedTuple):
    """The fields that the API shows of a backup and its record has.

    Where it is the same, the record is up to date. The time of the last
    change is not among it: each export changes that.
    """

    project_id: str | None
    name: str | None
    description: str | None
    volume_id: str | None
    container: str | None
    size: int
    object_count: int
    created_at: str
    has_dependents: bool
    metadata: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, fields: dict[str, Any], project_id: str | None,
           name: str, description: str, has_dependents: str) -> 'Facts':
        """Read it from a record or an answer of the API.

        :param name: of this field there, as are the others
        """
        return cls(
            project_id, fields.get(name), fields.get(description),
            fields.get('volume_id'), fields.get('container'),
            fields.get('size') or 0, fields.get('object_count') or 0,
            # To the second: the forms differ behind it.
            (fields.get('created_at') or '')[:19],
            bool(fields.get(has_dependents)),
            tuple(sorted((fields.get('metadata') or {}).items())))


def _digest(content: bytes) -> str:
    return f'sha256:{hashlib.sha256(content).hexdigest()}'


def _digest_of(content: dict[str, Any]) -> str:
    rest = {name: value for name, value in content.items()
            if name != 'digest'}
    return _digest(json.dumps(rest, sort_keys=True,
                              separators=(',', ':')).encode())


def _columns(text: str) -> Record:
    columns = text.split()
    if len(columns) != 4:
        raise BadLine(f'neither JSON nor four columns but {len(columns)}')
    backup, project, service, url = columns
    return Record(backup, project, service, url)


def _json(text: str) -> Record | Remains | dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadLine('not JSON: the line was cut off or changed') from error
    version = content.get('version')
    if version != VERSION:
        raise BadLine(f'version {version!r} is not known; this program '
                      f'reads {VERSION}')
    reason = files.check(_SCHEMA, content)
    if reason:
        raise BadLine(reason)
    if 'records' in content:
        return content
    if content['digest'] != _digest_of(content):
        raise BadLine('the digest is wrong: the line was changed')
    kind = Remains if 'remains' in content else Record
    return kind(**{name: value for name, value in content.items()
                   if name not in ('version', 'digest')})


def parse(raw: bytes) -> Record | Remains | dict[str, Any]:
    """Read a line.

    :returns: a record, what is left of a backup, or a file's end
    :raises BadLine: it is neither
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise BadLine('not UTF-8') from error
    found = _json(text) if text.startswith('{') else _columns(text)
    if not isinstance(found, dict) and found.id is not None:
        try:
            canonical = str(uuid.UUID(found.id)) == found.id
        except ValueError:
            canonical = False
        if not canonical:
            raise BadLine('the id of the backup is not a UUID')
    return found


def write(path: pathlib.Path, records: Iterable[Record | Remains],
          signer: signing.Signer | None = None) -> int:
    """Write a file of records; it is replaced when all are written.

    :param records: read one at a time
    :param signer: signs it
    :returns: how many lines there are
    :raises BadFile: it cannot be written
    """
    count, digests = 0, hashlib.sha256()
    with files.replacing(path) as stream:
        for record in records:
            line, digest = record.line()
            stream.write(line)
            digests.update(digest.encode())
            count += 1
        end: dict[str, Any] = {'version': VERSION, 'records': count,
                               'digest': f'sha256:{digests.hexdigest()}'}
        if signer is not None:
            end['signed'] = files.now()
            end['signature'] = signer.sign(end)
        stream.write(files.line(end))
    return count
