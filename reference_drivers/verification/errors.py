# SPDX-License-Identifier: Apache-2.0

"""Faults of a backup, one class for each kind.

Every message names the object (or the backup, container or field) and what
is wrong with it: Cinder shows it as the ``fail_reason`` of the backup, a
column of 255 characters, and an operator has nothing else to go by.
"""

from typing import Any

from cinder import exception


class Problem(exception.InvalidBackup):
    """Something is wrong with a backup.

    :param what: what is wrong, with the name in it
    :param name: the object, container or field that is wrong
    :param detail: what a program may want to know beyond its class, where
        the message has it in words: the rule that a location breaks, the
        number of a block
    """

    kind = 'damaged'

    def __init__(self, what: str, name: str | None = None,
                 backup_id: str | None = None, detail: Any = None):
        super().__init__(reason=what)
        self.what = what
        self.name = name
        self.backup_id = backup_id
        self.detail = detail

    def to_dict(self) -> dict[str, str | None]:
        """The problem as JSON shows it."""
        return {'kind': self.kind, 'backup_id': self.backup_id,
                'name': self.name, 'message': self.what}


class Missing(Problem):
    """An object, or the container, is not on the storage."""

    kind = 'missing'


class Extra(Problem):
    """An object is on the storage that the metadata does not know."""

    kind = 'extra'


class Foreign(Problem):
    """An object belongs to another backup."""

    kind = 'foreign'


class WrongLength(Problem):
    """An object has another length than recorded."""

    kind = 'length'


class WrongContent(Problem):
    """Bytes differ from their checksum, or are not what they should be."""

    kind = 'content'


class WrongRecord(Problem):
    """The record contradicts itself or the storage."""

    kind = 'record'


class BrokenChain(Problem):
    """A parent is missing, foreign, or leads back to its own child."""

    kind = 'chain'


class Needed(Problem):
    """Another backup cannot be restored without this one."""

    kind = 'needed'


class BadLocation(Problem):
    """A container or prefix that no backup of this store can have."""

    kind = 'location'


class Unreadable(Problem):
    """The storage answered with an error."""

    kind = 'unreadable'


class TimedOut(Problem):
    """The storage did not answer in time."""

    kind = 'timeout'


class Stopped(Problem):
    """The verification was told to stop; it says nothing about the backup."""

    kind = 'stopped'
