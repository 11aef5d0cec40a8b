# SPDX-License-Identifier: Apache-2.0

"""Choose the backups of a drill."""

from collections.abc import Collection
from collections.abc import Iterator
import random

from backup_recovery import books
from backup_recovery import exceptions


def newest(book: books.Book, number: int, seed: int) -> list[str]:
    """Draw volumes, and choose the newest backup of each.

    :param number: of the volumes; all, where there are fewer
    :param seed: of the draw, which can be made again with it
    :returns: ids of backups
    :raises BadFile: the file has none that should be restorable
    """
    found: dict[str, books.Summary] = {}
    for one in book.records.values():
        volume = one.facts.volume_id
        # What has gone was deleted, or is lost; what a scan has not found all
        # of is known to be damaged.
        if volume is None or one.gone or one.found not in (None, 'complete'):
            continue
        other = found.get(volume)
        if other is None or _age(one) > _age(other):
            found[volume] = one
    if not found:
        raise exceptions.BadFile(f'{book.path} has no record of a backup that '
                                 f'is there')
    drawn = random.Random(seed).sample(sorted(found),  # noqa: S311
                                       min(number, len(found)))
    return [found[volume].id for volume in sorted(drawn)]


def _age(one: books.Summary) -> tuple[str, str]:
    return one.facts.created_at, one.id


def chains(book: books.Book, chosen: Collection[str]) -> list[books.Summary]:
    """The records of some backups, with those that they build on.

    A parent whose record is missing is left out: the plan will name it.

    :returns: a parent before its children
    :raises BadFile: the file has no record of a chosen one
    """
    found: dict[str, books.Summary] = {}
    for backup in chosen:
        if backup not in book.records:
            raise exceptions.BadFile(f'{book.path} has no record of backup '
                                     f'{backup} that can be used')
        for one in reversed(list(_upwards(book, backup))):
            found[one.id] = one
    return list(found.values())


def _upwards(book: books.Book, backup: str | None
             ) -> Iterator[books.Summary]:
    seen = set()
    while backup in book.records and backup not in seen:
        seen.add(backup)
        yield book.records[backup]
        backup = book.records[backup].parent_id
