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
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
import contextlib
import dataclasses
import hashlib
import json
import pathlib
from typing import Any
from typing import NamedTuple
import uuid

from backup_recovery import exceptions
from backup_recovery import files

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


@dataclasses.dataclass(frozen=True)
class Problem:
    """Something wrong in a file of records.

    :ivar code: corrupt, copy, crlf or end
    :ivar line: where, from one; zero where it is about the whole file
    """

    code: str
    line: int
    text: str
    path: pathlib.Path

    def __str__(self) -> str:
        place = f'{self.path}:{self.line}' if self.line else str(self.path)
        return f'{place}: {self.text}'


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


@dataclasses.dataclass(frozen=True, slots=True)
class Summary:
    """A record without its content, of which there are many in memory.

    :ivar line: its number in the file
    :ivar place: of its line in the file, in bytes
    :ivar digest: of the record
    :ivar scanned: it was made by a scan
    :ivar found: the class that a scan has given the backup
    """

    id: str
    line: int
    place: int
    exported: str | None
    gone: str | None
    digest: str
    service: str
    parent_id: str | None
    updated_at: str
    facts: Facts
    scanned: bool = False
    found: str | None = None


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


def _parse(raw: bytes) -> Record | Remains | dict[str, Any]:
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


def _summary(record: Record, line: int, place: int) -> Summary:
    fields = record.fields
    return Summary(
        record.id, line, place, record.exported, record.gone, record.digest,
        record.backup_service, fields.get('parent_id'),
        fields.get('updated_at') or '',
        Facts.of(fields, record.project_id, 'display_name',
                 'display_description', 'num_dependent_backups'),
        record.scan is not None, (record.scan or {}).get('class'))


class Book:
    """The records of a file, without their contents.

    :ivar records: by the id of the backup
    :ivar remains: what scans have found besides
    :ivar problems: in the order of the lines
    """

    def __init__(self, path: pathlib.Path):
        self.path = path
        self.records: dict[str, Summary] = {}
        self.remains: list[Remains] = []
        self.problems: list[Problem] = []

    @property
    def corrupt(self) -> bool:
        """There are lines that could not be read."""
        return any(problem.code == 'corrupt' for problem in self.problems)

    def _problem(self, code: str, line: int, text: str) -> None:
        self.problems.append(Problem(code, line, text, self.path))

    def load(self) -> 'Book':
        """Read all lines.

        :raises BadFile: the file cannot be read
        """
        place = 0
        since, digests = 0, hashlib.sha256()
        carriage_return = 0
        number, open_end = 0, False
        with files.reading(self.path) as stream:
            for number, raw in enumerate(stream, 1):
                start, place = place, place + len(raw)
                if raw.endswith(b'\r\n'):
                    carriage_return = carriage_return or number
                raw = raw.strip()
                if not raw:
                    continue
                # Files of four columns have no end.
                open_end = open_end or raw.startswith(b'{')
                try:
                    found = _parse(raw)
                    if not isinstance(found, dict):
                        since += 1
                        digests.update(found.line()[1].encode())
                        if isinstance(found, Record):
                            self._add(_summary(found, number, start))
                        else:
                            self.remains.append(found)
                        continue
                except BadLine as error:
                    since += 1
                    self._problem('corrupt', number, f'{error}; passed over')
                    continue
                self._check_end(number, found, since, digests.hexdigest())
                since, digests, open_end = 0, hashlib.sha256(), False
        if carriage_return:
            self._problem('crlf', carriage_return, 'lines end with CR and LF, '
                          'which were accepted')
        if open_end:
            self._problem('end', number, 'the last line is missing: the file '
                          'was cut off')
        return self

    def _check_end(self, number: int, end: dict[str, Any], found: int,
                   digest: str) -> None:
        if found != end['records']:
            self._problem('end', number, f'{end["records"]} records were '
                          f'written, and {found} are there')
        elif digest != end['digest'].removeprefix('sha256:'):
            self._problem('end', number, 'the records are not those that '
                          'were written')

    def _add(self, new: Summary) -> None:
        old = self.records.get(new.id)
        if old is None:
            self.records[new.id] = new
            return
        if new.scanned != old.scanned:
            # An export has all fields, and the scan knows the storage.
            first, second = (old, new) if new.scanned else (new, old)
            self.records[new.id] = dataclasses.replace(first,
                                                       found=second.found)
            return
        # Without a time the later line is the newer one.
        newer = (new.exported or '', new.updated_at) >= (
            old.exported or '', old.updated_at)
        first, second = (new, old) if newer else (old, new)
        what = ('the same' if first.digest == second.digest else
                'another, older')
        self.records[new.id] = first
        self._problem('copy', new.line, f'backup {new.id} is in line '
                      f'{old.line} too; line {first.line} is used, line '
                      f'{second.line} has {what} record')

    @contextlib.contextmanager
    def reader(self) -> Iterator[Callable[[Summary], Record]]:
        """Open the file for reading whole records.

        :raises BadFile: the file cannot be read, or was changed meanwhile
        """
        with files.reading(self.path) as stream:
            def read(summary: Summary) -> Record:
                stream.seek(summary.place)
                try:
                    record = _parse(stream.readline().strip())
                except BadLine:
                    record = {}
                if not isinstance(record, Record) or (
                        record.digest != summary.digest):
                    raise exceptions.BadFile(
                        f'{self.path} was changed meanwhile; start again')
                return record
            yield read


def write(path: pathlib.Path, records: Iterable[Record | Remains]) -> int:
    """Write a file of records; it is replaced when all are written.

    :param records: read one at a time
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
        stream.write(files.line({
            'version': VERSION, 'records': count,
            'digest': f'sha256:{digests.hexdigest()}'}))
    return count
