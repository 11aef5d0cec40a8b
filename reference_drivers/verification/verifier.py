# SPDX-License-Identifier: Apache-2.0

"""Verify a backup and the chain below it."""

from collections.abc import Callable
from collections.abc import Iterator
import dataclasses
import time
from typing import Any

from reference_drivers.verification import content
from reference_drivers.verification import errors
from reference_drivers.verification import layout
from reference_drivers.verification import presence
from reference_drivers.verification import running
from reference_drivers.verification import store as stores

LEVELS = ('record', 'presence', 'content')
#: The detail of a broken chain: it differs from the digest in the record.
CHAIN_DIGEST = 'chain digest'

_UNKNOWN: Any = object()


def chain_digest(digests: list[str]) -> str:
    """One digest over the backups of a chain.

    :param digests: of the backup, its parent and so on to the full one
    """
    total = layout.Digest()
    total.add(' '.join(digests).encode())
    total.add(None)
    return str(total)


@dataclasses.dataclass(frozen=True)
class Target:
    """A backup to verify, and what is known of it from elsewhere.

    Only the first three are needed. What else is given is compared.
    """

    backup_id: str
    container: str
    prefix: str
    volume_id: str | None = None
    parent_id: str | None = _UNKNOWN
    size: int | None = None
    object_count: int | None = None
    of_snapshot: bool = False
    digest: str | None = None
    chain_digest: str | None = None
    lengths: tuple[str, ...] | None = None


@dataclasses.dataclass
class Report:
    """The result of a verification.

    :ivar problems: what is wrong; empty for a good backup
    :ivar chain: the backup, its parent and so on to the full one
    :ivar read: bytes of the volume that were read and compared
    :ivar total: bytes of the volume that all chunks have
    """

    backup_id: str
    level: str
    problems: list[errors.Problem] = dataclasses.field(default_factory=list)
    chain: list[layout.Link] = dataclasses.field(default_factory=list)
    read: int = 0
    total: int = 0
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        return not self.problems

    @property
    def digest(self) -> str:
        """One digest over all backups of the chain."""
        return chain_digest([link.digest for link in self.chain])

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON shows it."""
        return {
            'backup_id': self.backup_id,
            'level': self.level,
            'ok': self.ok,
            'problems': [one.to_dict() for one in self.problems],
            'chain': [link.backup_id for link in self.chain],
            'objects': sum(len(link.entries) for link in self.chain),
            'stored_bytes': sum(link.stored_bytes for link in self.chain),
            'bytes_read': self.read,
            'bytes_total': self.total,
            'seconds': round(self.seconds, 3),
        }


FindParent = Callable[[str, layout.Link], 'Target | None']


class Verifier:
    """Verifies backups on one store. Reads only.

    :param readers: how many chunks are read at a time
    :param timeout: seconds that the store may take for an answer
    :param part: n and t: read the n-th of t parts of the chunks
    :param budget: how many bytes of the volume to read at most
    :param find_parent: gives the place of a parent by its id and its child,
        None if it does not know; the store is asked then
    :param should_stop: asked once a second; a reason to stop, or None
    :param progress: called with the bytes read and all bytes
    """

    def __init__(self, store: stores.Store, readers: int = 2,
                 timeout: float | None = None,
                 part: tuple[int, int] = (1, 1), budget: int | None = None,
                 find_parent: FindParent | None = None,
                 should_stop: Callable[[], str | None] | None = None,
                 progress: Callable[[int, int], None] | None = None):
        number, total = part
        if not 1 <= number <= total:
            raise ValueError(f'there is no part {number} of {total}')
        self.store = store
        self.timeout = timeout
        self._part = part
        self._budget = budget
        self._find_parent = find_parent or (lambda parent_id, link: None)
        self._stop = should_stop or (lambda: None)
        self._readers = lambda: content.Readers(store, readers, timeout,
                                                should_stop, progress)

    def verify(self, target: Target, level: str = 'presence',
               all_problems: bool = False) -> Report:
        """Verify a backup with all its parents.

        :raises TimedOut: the store does not answer
        :raises Stopped: the verification was told to stop
        """
        begin = time.monotonic()
        report = Report(target.backup_id, level)
        for problem in self._problems(target, level, report):
            report.problems.append(problem)
            if not all_problems:
                break
        report.seconds = time.monotonic() - begin
        return report

    def describe(self, target: Target
                 ) -> tuple[layout.Link, list[errors.Problem]]:
        """Read one backup without its parents and its chunks.

        :returns: the backup, and what is not as is known from elsewhere
        :raises Problem: it cannot be read
        """
        link = self._read(target, None)
        target = dataclasses.replace(target, lengths=None)
        return link, [*self._compare_digest(target, link),
                      *self._compare(target, link)]

    def readable(self, target: Target
                 ) -> tuple[list[layout.Link], list[errors.Problem]]:
        """Read a damaged backup and its parents, as far as they go.

        :returns: those that could be read, and what is wrong with all
        :raises TimedOut: the store does not answer
        """
        links: list[layout.Link] = []
        problems: list[errors.Problem] = []
        seen: set[str] = set()
        current: Target | None = target
        child: layout.Link | None = None
        try:
            while current is not None:
                seen.add(current.backup_id)
                try:
                    link = self._read(current, child)
                except (errors.TimedOut, errors.Stopped):
                    raise
                except errors.Problem as problem:
                    if problem.name != f'{current.prefix}_sha256file':
                        raise
                    # It can be restored without them.
                    problems.append(problem)
                    link = self._read(current, child, False)
                links.append(link)
                problems += self._compare_digest(current, link)
                problems += presence.check_link(link)
                if child is not None:
                    problems += presence.check_parent(child, link)
                current, child = self._parent(link, seen), link
        except (errors.TimedOut, errors.Stopped):
            raise
        except errors.Problem as problem:
            problems.append(problem)
        return links, problems

    def end_of_volume(self, link: layout.Link, size: int) -> int:
        """The length of the volume that was backed up.

        An incremental backup tells it to the block, and the parent to which
        it has left the last block to the byte.

        :param size: of the volume in GiB
        :returns: bytes, in the last block
        :raises Problem: the parent that knows it cannot be read
        """
        if not link.hashes:
            return 0
        last = (len(link.hashes) - 1) * link.hashes.block_size
        end = last + link.hashes.block_size
        seen: set[str] = set()
        while True:
            if link.chunks and link.chunks[-1].end > last:
                return min(link.chunks[-1].end, end)
            if last < size * presence.GIB <= end:
                return size * presence.GIB
            seen.add(link.backup_id)
            parent = self._parent(link, seen)
            if parent is None:
                # A full backup of fewer bytes than it has hashes of.
                return end
            link = self._read(parent, link)

    def _problems(self, target: Target, level: str, report: Report
                  ) -> Iterator[errors.Problem]:
        broken = False
        try:
            for problem in self._presence(target, report):
                broken = True
                yield problem
        except (errors.TimedOut, errors.Stopped):
            raise
        except errors.Problem as problem:
            broken = True
            yield problem
        report.total = sum(chunk.length for link in report.chain
                           for chunk in link.chunks)
        if level != 'content':
            return
        jobs = [(link, chunk) for link in reversed(report.chain)
                for chunk in link.chunks]
        if broken:
            # What is missing was named already.
            jobs = [(link, chunk) for link, chunk in jobs
                    if chunk.name in link.entries]
        jobs = content.select(jobs, self._part, self._budget)
        yield from self._readers().run(jobs)
        report.read = sum(chunk.length for _, chunk in jobs)

    def _presence(self, target: Target, report: Report
                  ) -> Iterator[errors.Problem]:
        seen: set[str] = set()
        current: Target | None = target
        child: layout.Link | None = None
        while current is not None:
            reason = self._stop()
            if reason:
                raise errors.Stopped(
                    f'the verification was stopped: {reason}')
            seen.add(current.backup_id)
            link = self._read(current, child)
            report.chain.append(link)
            # First: what the metadata says of the chunks is not worth a
            # look if it is not the metadata that was exported.
            yield from self._compare_digest(current, link)
            yield from presence.check_link(link)
            yield from self._compare(current, link)
            if child is not None:
                yield from presence.check_parent(child, link)
                if child.hashes is not None:
                    # Others would need a thousandth of the volume for each
                    # backup of the chain.
                    child.hashes.keep(layout.joined(
                        [(chunk.offset, chunk.end) for chunk in child.chunks]))
            current, child = self._parent(link, seen), link
        if (target.chain_digest is not None and
                target.chain_digest != report.digest):
            # With the digest of the backup itself compared before.
            yield errors.BrokenChain(
                'the parents of the backup are not what they were when it '
                'was exported', target.backup_id, target.backup_id,
                CHAIN_DIGEST)

    def _read(self, target: Target, child: layout.Link | None,
              with_hashes: bool = True) -> layout.Link:
        try:
            return running.watched(
                self.timeout, f'metadata of backup {target.backup_id}',
                presence.read_link, self.store, target.backup_id,
                target.container, target.prefix, with_hashes)
        except (errors.TimedOut, errors.Stopped):
            raise
        except errors.Problem as err:
            if child is None:
                raise
            raise type(err)(f'in parent {target.backup_id}: {err.what}',
                            err.name, err.backup_id, err.detail) from err

    def _parent(self, link: layout.Link, seen: set[str]) -> Target | None:
        parent_id = link.parent_id
        if parent_id is None:
            return None
        if parent_id in seen:
            raise errors.BrokenChain(
                f'the chain leads back to backup {parent_id}', parent_id,
                link.backup_id)
        found = self._find_parent(parent_id, link)
        if found is None:
            place = running.within(
                self.timeout, f'parent {parent_id}', self.store.locate,
                parent_id, link.volume_id)
            if place is None:
                raise errors.BrokenChain(
                    f'parent {parent_id} is not found: no row, no record '
                    'and no object in the store tells where it is',
                    parent_id, link.backup_id)
            found = Target(parent_id, *place)
        return found

    @staticmethod
    def _compare_digest(target: Target, link: layout.Link
                        ) -> Iterator[errors.Problem]:
        if target.digest is None or target.digest == link.digest:
            return
        if link.hashes is None:
            yield errors.Missing(
                f'object {link.metadata_name} is not what it was at export, '
                f'or its _sha256file is missing',
                link.sha256_name, link.backup_id)
        else:
            yield errors.WrongContent(
                f'objects {link.prefix}_metadata or _sha256file are not '
                'what they were at export', link.metadata_name,
                link.backup_id)

    def _compare(self, target: Target, link: layout.Link
                 ) -> Iterator[errors.Problem]:
        """Compare the storage with what is known from elsewhere."""
        if target.volume_id not in (None, link.volume_id):
            yield errors.WrongRecord(
                f'the record says volume_id {target.volume_id}, the storage '
                f'{link.volume_id}', 'volume_id', link.backup_id)
        if target.object_count is not None and not layout.counts(
                target.object_count, len(link.chunks)):
            yield errors.WrongRecord(
                f'the record says object_count {target.object_count}, the '
                f'storage {len(link.chunks)}', 'object_count',
                link.backup_id)
        if (target.parent_id is not _UNKNOWN and
                target.parent_id != link.parent_id):
            yield errors.WrongRecord(
                f'the record says parent_id {target.parent_id}, the storage '
                f'{link.parent_id}', 'parent_id', link.backup_id)
        if target.size is not None:
            yield from presence.check_size(link, target.size,
                                           target.of_snapshot)
        yield from self._compare_lengths(target, link)

    def _compare_lengths(self, target: Target, link: layout.Link
                         ) -> Iterator[errors.Problem]:
        if target.lengths is None:
            return
        found = presence.lengths(link, len(target.lengths))
        if found is None or list(target.lengths) == found[0]:
            return
        groups = presence.grouped(
            sorted(link.chunks, key=lambda chunk: chunk.name),
            len(target.lengths))
        for wanted, got, group in zip(target.lengths, found[0], groups,
                                      strict=False):
            if wanted == got:
                continue
            jobs = [(link, chunk) for chunk in group if not chunk.plain]
            named = False
            if len(group) > 1:
                # One of these: only reading tells which. The number of
                # groups bounds how many are read, and a good backup never
                # comes here.
                for problem in self._readers().run(jobs):
                    named = True
                    yield problem
            if not named:
                what = (f'object {group[0].name} has'
                        if len(group) == 1 else
                        f'one of {group[0].name} to {group[-1].name} has')
                yield errors.WrongLength(
                    f'{what} another length than at export', group[0].name,
                    link.backup_id)
