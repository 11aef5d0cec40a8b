# SPDX-License-Identifier: Apache-2.0

"""Read a file of records: what is used of it, and what is wrong with it.

A file may have several parts, each with an end, as several files make one.
"""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import dataclasses
import hashlib
import pathlib
from typing import Any

from backup_recovery import exceptions
from backup_recovery import files
from backup_recovery import records
from backup_recovery import sealing
from backup_recovery import signing


@dataclasses.dataclass(frozen=True)
class Problem:
    """Something wrong in a file of records.

    :ivar code: corrupt, copy, crlf, end or signature
    :ivar line: where, from one; zero where it is about the whole file
    """

    code: str
    line: int
    text: str
    path: pathlib.Path

    def __str__(self) -> str:
        place = f'{self.path}:{self.line}' if self.line else str(self.path)
        return f'{place}: {self.text}'


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
    facts: records.Facts
    scanned: bool = False
    found: str | None = None


def _summary(record: records.Record, line: int, place: int) -> Summary:
    fields = record.fields
    return Summary(
        record.id, line, place, record.exported, record.gone, record.digest,
        record.backup_service, fields.get('parent_id'),
        fields.get('updated_at') or '',
        records.Facts.of(fields, record.project_id, 'display_name',
                         'display_description', 'num_dependent_backups'),
        record.scan is not None, (record.scan or {}).get('class'))


class _Part:
    """The lines of a file up to one that ends it, or to that of the file.

    :ivar count: of its lines
    :ivar found: what was read of them
    :ivar needs_end: files of four columns have none
    """

    def __init__(self) -> None:
        self.count = 0
        self.found: list[Summary | records.Remains] = []
        self.needs_end = False
        self._digests = hashlib.sha256()

    def add(self, found: records.Record | records.Remains, number: int,
            place: int) -> None:
        """Add a line that could be read.

        :raises BadLine: it is not a usable record
        """
        self._digests.update(found.line()[1].encode())
        self.found.append(_summary(found, number, place) if
                          isinstance(found, records.Record) else found)

    def reason(self, end: dict[str, Any] | None) -> str | None:
        """The reason why its end is not that of these lines."""
        if end is None:
            return ('the last line is missing: the file was cut off'
                    if self.needs_end else None)
        if self.count != end['records']:
            return (f'{end["records"]} records were written, and '
                    f'{self.count} are there')
        if f'sha256:{self._digests.hexdigest()}' != end['digest']:
            return 'the records are not those that were written'
        return None


class Book:
    """The records of a file, without their contents.

    :param signers: what is not signed by one of them is not used; None uses
        all
    :ivar records: by the id of the backup
    :ivar remains: what scans have found besides
    :ivar problems: in the order of the lines
    :ivar signed: the times at which its parts were signed, where they were
    """

    def __init__(self, path: pathlib.Path,
                 signers: signing.Signers | None = None):
        self.path = path
        self.records: dict[str, Summary] = {}
        self.remains: list[records.Remains] = []
        self.problems: list[Problem] = []
        self.signed: list[str] = []
        self._signers = signers
        self._is_accepted = signers is None

    @property
    def lossy(self) -> bool:
        """There are lines that are not used, and not older copies."""
        return any(problem.code in ('corrupt', 'signature')
                   for problem in self.problems)

    def _problem(self, code: str, line: int, text: str) -> None:
        self.problems.append(Problem(code, line, text, self.path))

    def load(self) -> 'Book':
        """Read all lines.

        :raises BadFile: the file cannot be read, or no part of it is signed
            as it has to be
        """
        place = number = carriage_return = ends = 0
        part = _Part()
        with files.reading(self.path) as stream:
            for number, raw in enumerate(stream, 1):
                start, place = place, place + len(raw)
                if raw.endswith(b'\r\n'):
                    carriage_return = carriage_return or number
                raw = raw.strip()
                if not raw:
                    continue
                if raw.startswith(sealing.START):
                    raise exceptions.BadFile(
                        f'{self.path} is encrypted: cinder-backup-records '
                        f'decrypt {self.path} FILE --recovery-key KEY')
                part.needs_end |= raw.startswith(b'{')
                try:
                    found = records.parse(raw)
                    if isinstance(found, dict):
                        self._close(number, part, found)
                        part = _Part()
                        ends += 1
                        continue
                    part.add(found, number, start)
                except records.BadLine as error:
                    self._problem('corrupt', number, f'{error}; passed over')
                part.count += 1
        if part.count or not ends:
            self._close(number, part, None)
        if carriage_return:
            self._problem('crlf', carriage_return, 'lines end with CR and LF, '
                          'which were accepted')
        self.problems.sort(key=lambda problem: problem.line)
        if not self._is_accepted:
            raise exceptions.BadFile(str(next(
                problem for problem in self.problems
                if problem.code == 'signature')))
        return self

    def _close(self, number: int, part: _Part, end: dict[str, Any] | None
               ) -> None:
        """Use the lines of a part, unless they have to be signed."""
        reason = part.reason(end)
        if self._signers is not None:
            reason = reason or self._signers.refused(end or {})
            if reason:
                self._problem('signature', number, f'{reason}; none of its '
                              f'{part.count} lines is used')
                return
        elif reason:
            self._problem('end', number, reason)
        self._is_accepted = True
        if end and 'signed' in end:
            self.signed.append(end['signed'])
        for found in part.found:
            if isinstance(found, records.Remains):
                self.remains.append(found)
            else:
                self._add(found)

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
    def reader(self) -> Iterator[Callable[[Summary], records.Record]]:
        """Open the file for reading whole records.

        :raises BadFile: the file cannot be read, or was changed meanwhile
        """
        with files.reading(self.path) as stream:
            def read(summary: Summary) -> records.Record:
                stream.seek(summary.place)
                try:
                    record = records.parse(stream.readline().strip())
                except records.BadLine:
                    record = {}
                if not isinstance(record, records.Record) or (
                        record.digest != summary.digest):
                    raise exceptions.BadFile(
                        f'{self.path} was changed meanwhile; start again')
                return record
            yield read
