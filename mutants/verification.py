# SPDX-License-Identifier: Apache-2.0

"""Drivers that verify too little, or find faults that do not exist."""

from collections.abc import Iterator
import dataclasses
from typing import Any

from mutants import catalogue
from reference_drivers import default
from reference_drivers import driver_info as driver_infos
from reference_drivers.verification import content
from reference_drivers.verification import errors
from reference_drivers.verification import layout
from reference_drivers.verification import running
from reference_drivers.verification import store as stores
from reference_drivers.verification import verifier

_PLAIN = 'every_damage'
_COMPRESSED = 'every_damage_of_compressed_chunks'
_STOPPED = 'a_store_that_is_stopped'
_HANGS = 'a_store_that_hangs'
_FALSE_ALARM = 'no_false_alarm_at_any_level'


class _Judged(default.DefaultBackupDriver):
    """Verifies with another verifier when it imports."""

    judge: type[verifier.Verifier]

    def _verifier(self, find: verifier.FindParent, stop: Any = None
                  ) -> verifier.Verifier:
        made = super()._verifier(find, stop)
        # Only an import can be stopped. Restores verify as they should, so
        # that there is one defect and not two.
        if stop is not None:
            made.__class__ = self.judge
        return made


# Content


class _Fewer(_Judged):
    """Reads fewer chunks than it should."""

    class judge(verifier.Verifier):
        def _problems(self, target: verifier.Target, level: str,
                      report: verifier.Report) -> Iterator[errors.Problem]:
            readers = self._readers()
            run = readers.run
            readers.run = lambda jobs: run(  # type: ignore[method-assign]
                self.store.driver.fewer(jobs))
            self._readers = lambda: readers
            yield from super()._problems(target, level, report)

    def fewer(self, jobs: list[content.Job]) -> list[content.Job]:
        raise NotImplementedError


@catalogue.mutant(_PLAIN, _COMPRESSED)
class ReadsFirstChunk(_Fewer):
    """At level content only the first chunk is read."""

    def fewer(self, jobs: list[content.Job]) -> list[content.Job]:
        return jobs[:1]


@catalogue.mutant(_PLAIN, _COMPRESSED)
class SkipsLastChunk(_Fewer):
    """At level content the last chunk is not read."""

    def fewer(self, jobs: list[content.Job]) -> list[content.Job]:
        return jobs[:-1]


@catalogue.mutant(_PLAIN, _COMPRESSED)
class SkipsFirstChunk(_Fewer):
    """At level content the first chunk of the backup is not read."""

    def fewer(self, jobs: list[content.Job]) -> list[content.Job]:
        last = jobs[-1][0] if jobs else None
        skipped = next((job for job in jobs if job[0] is last), None)
        return [job for job in jobs if job is not skipped]


@catalogue.mutant(_PLAIN)
class TrustsLength(_Judged):
    """At level content the length is compared, and no checksum."""

    class judge(verifier.Verifier):
        class _Readers(content.Readers):
            def _check(self, watch: running.Watch, store: stores.Store,
                       link: layout.Link, chunk: layout.Chunk) -> None:
                for _ in content.checked(store, link, chunk, False, watch):
                    pass

        def _problems(self, target: verifier.Target, level: str,
                      report: verifier.Report) -> Iterator[errors.Problem]:
            self._readers = lambda: self._Readers(self.store, 2,
                                                  self.timeout)
            yield from super()._problems(target, level, report)


class _Ignoring(_Judged):
    """Accepts some of the problems."""

    class judge(verifier.Verifier):
        def _problems(self, target: verifier.Target, level: str,
                      report: verifier.Report) -> Iterator[errors.Problem]:
            for problem in super()._problems(target, level, report):
                if not self.store.driver.ignores(problem, report):
                    yield problem

    def ignores(self, problem: errors.Problem, report: verifier.Report
                ) -> bool:
        raise NotImplementedError


@catalogue.mutant(_PLAIN)
class SkipsLastBlock(_Ignoring):
    """At level content the last block of a chunk is not compared."""

    def ignores(self, problem: errors.Problem, report: verifier.Report
                ) -> bool:
        if problem.detail is None:
            return False
        size = report.chain[0].hashes.block_size  # type: ignore[union-attr]
        return problem.detail in [
            (chunk.end - 1) // size for link in report.chain
            for chunk in link.chunks if chunk.name == problem.name]


@catalogue.mutant(_PLAIN, _COMPRESSED)
class ReadsNothing(default.DefaultBackupDriver):
    """Level content does no more than level presence."""

    def _verify_import(self, backup: Any, target: verifier.Target,
                       level: str, find: verifier.FindParent
                       ) -> verifier.Report:
        return super()._verify_import(backup, target, 'presence', find)


# Presence


class _NoDigest(verifier.Verifier):
    @staticmethod
    def _compare_digest(target: verifier.Target, link: layout.Link
                        ) -> Iterator[errors.Problem]:
        return iter(())


@catalogue.mutant(_PLAIN, _COMPRESSED, 'driver_info_that_is_damaged')
class TrustsMetadata(_Judged):
    """The metadata is trusted as it is, whatever the record's digest says."""

    judge = _NoDigest


class _Alone(verifier.Verifier):
    def verify(self, target: verifier.Target, level: str = 'presence',
               all_problems: bool = False) -> verifier.Report:
        return super().verify(
            dataclasses.replace(target, chain_digest=None), level,
            all_problems)

    def _parent(self, link: layout.Link, seen: set[str]
                ) -> verifier.Target | None:
        return None


@catalogue.mutant(_PLAIN, _COMPRESSED)
class IgnoresParent(_Judged):
    """The parents of an incremental backup are not verified."""

    judge = _Alone


class _Near(_Alone):
    def _parent(self, link: layout.Link, seen: set[str]
                ) -> verifier.Target | None:
        if len(seen) > 8:
            return None
        return verifier.Verifier._parent(self, link, seen)


@catalogue.mutant('driver_info_stays_small')
class VerifiesEightLinks(_Judged):
    """Of a chain the newest eight links are verified, and no others."""

    judge = _Near


@catalogue.mutant(_PLAIN, _COMPRESSED)
class VerifiesEnds(_Ignoring):
    """Between a backup and the full one of its chain no fault is found."""

    def ignores(self, problem: errors.Problem, report: verifier.Report
                ) -> bool:
        return problem.backup_id in [
            one.backup_id for one in report.chain[1:-1]]


@catalogue.mutant(_PLAIN, _COMPRESSED,
                  resembles="what it imports, a restore by Cinder's chunked "
                            "drivers refuses")
class AcceptsExtra(_Ignoring):
    """An object that the metadata does not know is accepted."""

    def ignores(self, problem: errors.Problem, report: verifier.Report
                ) -> bool:
        return isinstance(problem, errors.Extra)


@catalogue.mutant(_PLAIN, _COMPRESSED)
class IgnoresLength(_Ignoring):
    """A chunk of another length is accepted."""

    def ignores(self, problem: errors.Problem, report: verifier.Report
                ) -> bool:
        return isinstance(problem, errors.WrongLength)


@catalogue.mutant(_COMPRESSED)
class ForgetsStoredLength(default.DefaultBackupDriver):
    """The stored lengths of compressed chunks are not in the record."""

    def export_record(self, backup: Any) -> dict[str, Any]:
        info = super().export_record(backup)
        return {**info, 'lengths': None, 'parents': [
            [*one[:3], None] for one in info['parents']]}


class _Accepted(Exception):
    """It goes on as if nothing had been found."""


class _Accepting(default.DefaultBackupDriver):
    """Imports as the record says when it has accepted a backup."""

    def import_verify(self, backup: Any, driver_info: Any
                      ) -> dict[str, Any]:
        try:
            return super().import_verify(backup, driver_info)
        except _Accepted:
            return driver_infos.model_update(driver_info, None)


@catalogue.mutant(_PLAIN, _COMPRESSED)
class LooksAtNames(_Accepting):
    """Objects are counted, and no look is taken at whose they are."""

    def _verify_import(self, backup: Any, target: verifier.Target,
                       level: str, find: verifier.FindParent
                       ) -> verifier.Report:
        try:
            return super()._verify_import(backup, target, level, find)
        except (errors.Foreign, errors.WrongContent):
            place = verifier.Target(backup.id, target.container,
                                    target.prefix)
            names = list(self.get_store().entries(place.container,
                                                  place.prefix))
            if len(names) - 2 != target.object_count:
                raise
            raise _Accepted from None


@catalogue.mutant(_STOPPED, _HANGS)
class SaysYesWhenInDoubt(default.DefaultBackupDriver):
    """An import succeeds when the storage answers with an error."""

    def import_verify(self, backup: Any, driver_info: Any
                      ) -> dict[str, Any]:
        try:
            return super().import_verify(backup, driver_info)
        except (errors.Unreadable, errors.TimedOut):
            return driver_infos.model_update(driver_info, None)


@catalogue.mutant(_HANGS)
class SaysYesAfterAWhile(default.DefaultBackupDriver):
    """An import succeeds when the storage has not answered in time."""

    def import_verify(self, backup: Any, driver_info: Any
                      ) -> dict[str, Any]:
        try:
            return super().import_verify(backup, driver_info)
        except errors.TimedOut:
            return driver_infos.model_update(driver_info, None)


@catalogue.mutant(_HANGS)
class WaitsForEver(default.DefaultBackupDriver):
    """An import waits for the storage without a limit."""

    def _verifier(self, find: verifier.FindParent, stop: Any = None
                  ) -> verifier.Verifier:
        made = super()._verifier(find, stop)
        made.timeout = None
        return made


class _NoLoop(verifier.Verifier):
    def _parent(self, link: layout.Link, seen: set[str]
                ) -> verifier.Target | None:
        if link.parent_id in seen:
            return None
        return super()._parent(link, seen)


@catalogue.mutant('a_wrong_parent_in_the_row_and_in_the_metadata')
class GoesInCircles(default.DefaultBackupDriver):
    """A chain that leads back to its own child is not noticed."""

    def _verifier(self, find: verifier.FindParent, stop: Any = None
                  ) -> verifier.Verifier:
        made = super()._verifier(find, stop)
        made.__class__ = _NoLoop
        return made


@catalogue.mutant(_PLAIN, _COMPRESSED)
class Remembers(_Accepting):
    """A backup that was good once is not verified again."""

    _good: set[tuple[str, str]] = set()

    def _verify_import(self, backup: Any, target: verifier.Target,
                       level: str, find: verifier.FindParent
                       ) -> verifier.Report:
        if (backup.id, level) in self._good:
            raise _Accepted
        report = super()._verify_import(backup, target, level, find)
        self._good.add((backup.id, level))
        return report


@catalogue.mutant(_PLAIN, _COMPRESSED)
class AlwaysLooks(default.DefaultBackupDriver):
    """At level record the storage is asked, too."""

    def import_verify(self, backup: Any, driver_info: Any
                      ) -> dict[str, Any]:
        verified = super().import_verify(backup, driver_info)
        if driver_info:
            self._verify_import(
                backup, driver_infos.target(driver_info), 'presence',
                self._find_row())
        return verified


# False alarms


class _Alarming(_Judged):
    """Reports a problem of a good backup."""

    class judge(verifier.Verifier):
        def _problems(self, target: verifier.Target, level: str,
                      report: verifier.Report) -> Iterator[errors.Problem]:
            yield from super()._problems(target, level, report)
            link = report.chain[0]
            if self.store.driver.alarms(link):
                yield errors.WrongContent(
                    f'object {link.metadata_name} looks wrong',
                    link.metadata_name, link.backup_id)

    def alarms(self, link: layout.Link) -> bool:
        raise NotImplementedError


@catalogue.mutant(_FALSE_ALARM)
class RefusesEmptyIncremental(_Alarming):
    """False alarm: an incremental backup has no chunk."""

    def alarms(self, link: layout.Link) -> bool:
        return not link.chunks


@catalogue.mutant(_FALSE_ALARM)
class RefusesZeros(_Alarming):
    """False alarm: all blocks of the volume are zero."""

    def alarms(self, link: layout.Link) -> bool:
        sums = link.hashes
        return sums is not None and len(sums) > 1 and all(
            sums.at(one) == sums.at(0) for one in range(len(sums) - 1))


@catalogue.mutant(_FALSE_ALARM, 'every_compression')
class RefusesCompression(_Alarming):
    """False alarm: a compressed chunk is shorter than its extent."""

    def alarms(self, link: layout.Link) -> bool:
        return any(link.entries[one.name].size != one.length
                   for one in link.chunks)


@catalogue.mutant(_FALSE_ALARM, 'every_size')
class RefusesTail(_Alarming):
    """False alarm: the last chunk is no multiple of a sector."""

    def alarms(self, link: layout.Link) -> bool:
        return any(one.length % 512 for one in link.chunks)


@catalogue.mutant(_FALSE_ALARM)
class RefusesGap(_Alarming):
    """False alarm: an incremental backup leaves blocks to its parent."""

    def alarms(self, link: layout.Link) -> bool:
        return any(one.end != other.offset for one, other in
                   zip(link.chunks, link.chunks[1:], strict=False))
