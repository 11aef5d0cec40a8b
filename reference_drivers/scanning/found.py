# SPDX-License-Identifier: Apache-2.0

"""The classes of what is found, and what is told of each."""

from collections.abc import Iterable
import dataclasses
from typing import Any

from reference_drivers import driver_info
from reference_drivers.verification import errors

#: All that a restore needs exists, but perhaps for the parents.
COMPLETE = 'complete'
#: It was completed once, and parts are missing or wrong.
DAMAGED = 'damaged'
#: It has no metadata, which is written last.
UNFINISHED = 'unfinished'
#: Parts are missing as a deletion leaves them that was interrupted.
DELETED = 'deleted'
#: Not a backup of Cinder, or of a format that is not known here.
FOREIGN = 'foreign'
#: One more place with the objects of a backup.
COPY = 'copy'
#: The storage ends a request for it in an error.
UNREAD = 'unread'

#: So many problems of one backup are kept.
_PROBLEMS = 10


@dataclasses.dataclass(slots=True)
class Found:
    """A finding.

    :ivar kind: one of the classes above
    :ivar place: where, as a URL
    :ivar objects: how many
    :ivar stored: their length in bytes, None if that is not listed
    :ivar problems: each with kind, name and message
    :ivar fields: of a record, None where none can be made
    :ivar without: names of the fields, and of objects, that the storage does
        not have
    :ivar info: the driver's own part of the record, where that is known
        without the records of children
    :ivar described: what the records of its children say of it
    """

    kind: str
    place: str
    objects: int = 0
    stored: int | None = None
    backup_id: str | None = None
    volume_id: str | None = None
    problems: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    fields: dict[str, Any] | None = None
    without: list[str] = dataclasses.field(default_factory=list)
    info: dict[str, Any] | None = None
    described: driver_info.Described | None = None

    def add(self, problems: Iterable[errors.Problem]) -> None:
        """Add problems, of which the first ones are kept."""
        for problem in problems:
            if len(self.problems) >= _PROBLEMS:
                return
            self.problems.append({'kind': problem.kind, 'name': problem.name,
                                  'message': problem.what})
