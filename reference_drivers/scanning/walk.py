# SPDX-License-Identifier: Apache-2.0

"""Walk through a store, and look at the objects of one backup at a time."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
import itertools
import re
from typing import Any

from reference_drivers import driver_info
from reference_drivers.scanning import found as found_
from reference_drivers.scanning import rebuilding
from reference_drivers.verification import errors
from reference_drivers.verification import layout
from reference_drivers.verification import presence
from reference_drivers.verification import running
from reference_drivers.verification import store as stores

_ID = r'[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}'
_BACKUP = re.compile(rf'.*_backup_({_ID})')
_VOLUME = re.compile(rf'volume_({_ID})[_/]')
_CHUNK = re.compile(r'-([0-9]+)\Z')
#: Entries of a listing that are waited for at a time.
_BATCH = 1000

Entries = dict[str, stores.Entry]


def _is_text(name: str) -> bool:
    return name == _text(name)


def _text(name: str) -> str:
    """A name without the bytes that are not UTF-8."""
    return name.encode(errors='surrogateescape').decode(errors='replace')


def _take(stream: Iterator[Any]) -> list[Any]:
    return list(itertools.islice(stream, _BATCH))


class Walk:
    """A walk through a store. Reads only.

    One backup at a time is in memory, and what is told of the others. In a
    directory that many backups share, so are the names of its files.

    :param timeout: seconds that the store may take for an answer
    :param containers: those to look at, all that there are by default
    :param digests: also read what the digest of a record needs
    :param progress: called with the number of backups that were looked at
    """

    def __init__(self, store: stores.Store, timeout: float | None = None,
                 containers: Iterable[str] = (), digests: bool = True,
                 progress: Callable[[int], None] = lambda done: None):
        self._store = store
        self._timeout = timeout
        self._containers = tuple(containers)
        self._digests = digests
        self._progress = progress
        # No other store has ever had names as short as the old ones.
        self._old_names = isinstance(store, stores.PosixStore)

    def run(self) -> Iterator[found_.Found]:
        """Look at everything.

        :returns: what was found, with one entry for all that is foreign in a
            container
        :raises Problem: the store cannot be listed, or does not answer
        """
        foreign: dict[str, found_.Found] = {}
        done = 0
        for (container, prefix), group in itertools.groupby(
                self._listed(), self._key):
            if prefix is None:
                for _, entry in group:
                    if isinstance(entry, errors.Problem):
                        yield self._unlisted(container, entry)
                    else:
                        self._add_foreign(foreign, container, entry)
                continue
            yield self._look(container, prefix,
                             {entry.name: entry for _, entry in group
                              if not isinstance(entry, errors.Problem)})
            done += 1
            self._progress(done)
        yield from foreign.values()

    def _listed(self) -> Iterator[tuple[str, Any]]:
        stream = self._store.listing(self._containers)
        while True:
            try:
                # As many as one request returns, more or less.
                batch = running.within(self._timeout, 'the listing', _take,
                                       stream)
            except errors.Problem:
                raise
            except Exception as err:
                if self._store.is_missing(err):
                    raise errors.Missing(f'the container is missing: '
                                         f'{err}') from err
                raise errors.Unreadable(
                    f'the storage cannot be listed: '
                    f'{err or type(err).__name__}') from err
            if not batch:
                return
            yield from batch

    def _key(self, listed: tuple[str, Any]) -> tuple[str, str | None]:
        container, entry = listed
        if not isinstance(entry, errors.Problem) and _is_text(
                container + entry.name):
            match = _BACKUP.match(entry.name)
            if match:
                return container, match[0]
            if self._old_names and stores.SUFFIX.fullmatch(
                    entry.name.removeprefix(stores.OLD_PREFIX)):
                return container, stores.OLD_PREFIX
        return container, None

    def _unlisted(self, container: str, problem: errors.Problem
                  ) -> found_.Found:
        kind = (found_.UNREAD if isinstance(problem, errors.Unreadable) else
                found_.FOREIGN)
        found = found_.Found(kind, self._store.url(_text(container), ''), 1)
        found.problems.append({'kind': problem.kind,
                               'name': _text(problem.name or ''),
                               'message': _text(problem.what)})
        return found

    def _add_foreign(self, foreign: dict[str, found_.Found], container: str,
                     entry: stores.Entry) -> None:
        if container not in foreign:
            foreign[container] = found_.Found(
                found_.FOREIGN,
                self._store.url(_text(container), _text(entry.name)),
                stored=0)
        found = foreign[container]
        found.objects += 1
        found.stored = (None if None in (found.stored, entry.size) else
                        (found.stored or 0) + (entry.size or 0))

    # One backup

    def _look(self, container: str, prefix: str, entries: Entries
              ) -> found_.Found:
        sizes = [entry.size for entry in entries.values()]
        found = found_.Found(
            '', self._store.url(container, prefix), len(entries),
            sum(size or 0 for size in sizes) if None not in sizes else None)
        backup = _BACKUP.match(prefix)
        volume = _VOLUME.match(prefix)
        found.backup_id = backup[1] if backup else None
        found.volume_id = volume[1] if volume else None
        try:
            if f'{prefix}_metadata' not in entries:
                found.kind = _without_metadata(prefix, entries)
                found.backup_id = found.backup_id or _directory(container)
            else:
                running.watched(
                    self._timeout, f'object {prefix}_metadata', self._read,
                    found, container, prefix, entries)
        except (errors.TimedOut, errors.Stopped):
            raise
        except errors.Problem as err:
            found.kind = _kind_of(err)
            found.add([err])
        return found

    def _read(self, watch: running.Watch, found: found_.Found, container: str,
              prefix: str, entries: Entries) -> None:
        """Read the metadata of a backup, and compare the listing with it.

        :raises Problem: it cannot be read, or is not that of a backup
        """
        name = f'{prefix}_metadata'
        digest = layout.Digest()
        with watch.asked():
            raw = self._content(container, name)
        digest.add(raw)
        backup_id = found.backup_id or layout.kinship(raw)[0]
        if not isinstance(backup_id, str) or not re.fullmatch(_ID, backup_id):
            raise errors.Foreign(f'object {name} is not that of a backup',
                                 name)
        found.backup_id = backup_id
        with watch.asked():
            self._store.check_location(container, prefix, backup_id)
        metadata, chunks = layout.parse_metadata(
            layout.as_text(raw, name, backup_id), prefix, backup_id, entries)
        found.volume_id = metadata['volume_id']
        self._add_hashes(watch, digest, container, prefix, entries)
        link = layout.Link(backup_id, container, prefix, metadata, chunks,
                           None, entries, str(digest))
        problems = list(presence.check_link(link))
        found.add(problems)
        found.kind = (found_.COMPLETE if not problems else
                      found_.DELETED if _begun(prefix, entries, problems) else
                      found_.DAMAGED)
        rebuilding.fill(found, link)
        found.described = driver_info.Described.of(link)

    def _content(self, container: str, name: str) -> bytes:
        try:
            return self._store.read(container, name)
        except errors.Problem:
            raise
        except Exception as err:
            raise presence.read_error(self._store, err, name, '') from err

    def _add_hashes(self, watch: running.Watch, digest: layout.Digest,
                    container: str, prefix: str, entries: Entries) -> None:
        """Add the object with the hashes to a digest, piece by piece.

        Of a volume of 1 TiB it has 2.4 GiB.
        """
        name = f'{prefix}_sha256file'
        if not self._digests:
            return
        if name not in entries:
            digest.add(None)
            return
        try:
            digest.add_pieces(
                entries[name].size or 0,
                watch.answers(self._store.pieces, container, name))
        except errors.Problem:
            raise
        except ValueError as err:
            raise errors.WrongLength(
                f'object {name} has another length than listed', name
            ) from err
        except Exception as err:
            raise presence.read_error(self._store, err, name, '') from err


def _kind_of(problem: errors.Problem) -> str:
    """The class of what cannot be read as a backup."""
    if isinstance(problem, errors.Unreadable):
        return found_.UNREAD
    if (isinstance(problem, (errors.BadLocation, errors.Foreign)) or
            problem.detail == layout.VERSION):
        return found_.FOREIGN
    return found_.DAMAGED


def _directory(container: str) -> str | None:
    """The backup that a directory is named after."""
    name = container.rpartition('/')[2]
    return name if re.fullmatch(_ID, name) else None


def _numbers(prefix: str, names: Iterable[str]) -> list[int]:
    """The numbers of chunks."""
    found = (_CHUNK.match(name, len(prefix)) for name in names)
    return sorted(int(match[1]) for match in found if match)


def _without_metadata(prefix: str, entries: Entries) -> str:
    """The class of a backup without metadata.

    A backup writes its chunks in order, then the hashes, then the metadata.
    So a gap is none that a backup leaves, and a deletion does: Cinder's
    drivers delete in the order of the listing, the reference drivers the
    metadata first and the hashes last.
    """
    numbers = _numbers(prefix, entries)
    if not numbers and f'{prefix}_sha256file' not in entries:
        return found_.FOREIGN
    in_order = bool(numbers) and numbers == list(range(1, len(numbers) + 1))
    return found_.UNFINISHED if in_order else found_.DELETED


def _begun(prefix: str, entries: Entries, problems: list[errors.Problem]
           ) -> bool:
    """Check for a deletion in the order of names, that was interrupted."""
    if not all(isinstance(problem, errors.Missing) for problem in problems):
        return False
    missing = _numbers(prefix, (str(problem.name) for problem in problems))
    left = _numbers(prefix, entries)
    return bool(missing) and missing[0] == 1 and (
        not left or missing[-1] < left[0])
