# SPDX-License-Identifier: Apache-2.0

"""Results of tests, and the verdict on them."""

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import enum
import re
from typing import Any

from cinder_backup_recovery_tests import facts as facts_
from cinder_backup_recovery_tests.certification.verdict import tiers

# How unittest names what fails or is skipped before the first test.
_SET_UP = re.compile(r'setUp(?:Class|Module) \((?P<scope>.+)\)$')
_AROUND = re.compile(r'(?P<what>\w+(?:Class|Module)) \((?P<scope>.+)\)$')


class Status(enum.Enum):
    """The result of one test, from best to worst."""

    PASS = 'pass'  # noqa: S105
    # A defect of Cinder that the cloud's configuration declares, which is
    # no fault of the driver.
    KNOWN = 'known'
    SKIP = 'skip'
    # The driver or the cloud is wrong.
    FAIL = 'fail'
    # The kit or its set-up is wrong.
    ERROR = 'error'


class ExitCode(enum.IntEnum):
    """The verdict on a whole run."""

    CERTIFIED = 0
    FAILED = 1
    NOT_CERTIFIABLE = 2
    ERROR = 3


@dataclasses.dataclass(frozen=True)
class Request:
    """One answer of the cloud, as Tempest has logged it.

    :ivar url: with the rest of the line, which has the seconds
    """

    time: str
    status: int
    method: str
    url: str

    def __str__(self) -> str:
        return f'{self.time} {self.status} {self.method} {self.url}'


@dataclasses.dataclass
class Result:
    """One test, or the set-up or clean-up of a class.

    :param reason: why it did not pass: the tracebacks, or the reason of the
        skip
    :param requests: what it asked of the cloud, where it did not pass
    """

    test_id: str
    status: Status
    seconds: float
    reason: str = ''
    facts: facts_.Facts = dataclasses.field(default_factory=facts_.Facts)
    requests: tuple[Request, ...] = ()

    @property
    def name(self) -> str:
        """The class and the method, without package and idempotent id."""
        around = _AROUND.match(self.test_id)
        if around:
            return f'{around["scope"].split(".")[-1]} ({around["what"]})'
        return '.'.join(_plain(self.test_id).split('.')[-2:])

    @property
    def why(self) -> str:
        """Why it did not pass, in a line."""
        if self.facts.defect:
            return str(self.facts.defect)
        text = ('; '.join(one.message for one in self.facts.refusals) if
                self.status is Status.ERROR else '') or self.reason
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if self.facts.refusals:
            return ' '.join(lines)
        return lines[-1] if lines else ''

    @property
    def story(self) -> str:
        """The steps of the recovery, or the histories, one line each."""
        histories = self.facts.histories
        return '\n'.join(map(str, [
            *self.facts.steps, *([histories] if histories else [])]))

    @property
    def configuration(self) -> bool:
        """Return True if the configuration is wrong, the same for all."""
        return self.status is Status.ERROR and any(
            one.configuration for one in self.facts.refusals)

    @property
    def of_driver(self) -> bool:
        """Return True if the known defect that it met is the driver's.

        Others are Cinder's, whichever driver runs.
        """
        return bool(self.status is Status.KNOWN and self.facts.defect and
                    self.facts.defect.driver)

    def covers(self, test_id: str) -> bool:
        """Return True if this is the result of a test.

        A failed or skipped set-up says it of every test of its class.
        """
        set_up = _SET_UP.match(self.test_id)
        if set_up:
            return test_id.startswith(set_up['scope'] + '.')
        return _plain(test_id) == _plain(self.test_id)

    @property
    def scope(self) -> str:
        """The dotted name of the class, or of the module, that it is of."""
        around = _AROUND.match(self.test_id)
        return (around['scope'] if around else
                _plain(self.test_id).rpartition('.')[0])

    @property
    def lacks(self) -> str | None:
        """The capability whose lack a test was skipped for, if that is it."""
        return self.facts.lacks if self.status is Status.SKIP else None

    def as_document(self) -> dict[str, Any]:
        """The same as ``results.json`` has it."""
        return {'id': self.test_id, 'status': self.status.value,
                'seconds': round(max(self.seconds, 0), 2),
                'reason': self.reason, **self.facts.as_document(),
                'requests': [dataclasses.asdict(one)
                             for one in self.requests]}

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> 'Result':
        """Read what :meth:`as_document` gave."""
        return cls(
            document['id'], Status(document['status']), document['seconds'],
            document['reason'], facts_.Facts.of(document),
            tuple(Request(**one) for one in document['requests']))


class State(enum.Enum):
    """The state of a tier after a run."""

    EARNED = 'earned'
    # The profile denies the capability that the tier is about.
    NOT_CLAIMED = 'not claimed'
    NOT_SHOWN = 'not shown'
    FAILED = 'failed'
    ERROR = 'error'


@dataclasses.dataclass(frozen=True)
class Earned:
    """A tier and what came of it.

    :ivar counts: how many of its tests ended how; those that did not run
        under None
    :ivar without: the capabilities that the profile denies, and how many of
        the tests are not asked for by that
    """

    tier: str
    state: State
    counts: dict[Status | None, int]
    without: dict[str, int]


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The outcome of a run.

    :param reasons: why it is not a certification, one line each
    :param missing: the names of the tests that did not run, where that is
        the reason, or one
    """

    code: ExitCode
    reasons: tuple[str, ...] = ()
    earned: tuple[Earned, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def word(self) -> str:
        """The exit code in words."""
        return self.code.name.lower().replace('_', ' ')


def _plain(test_id: str) -> str:
    return test_id.split('[')[0]


def judge(required: Sequence[str], results: Sequence[Result],
          interrupted: bool = False,
          manifest: tiers.Manifest | None = None,
          denied: Collection[str] = (),
          contradictions: Sequence[str] = ()) -> Verdict:
    """Compare what ran with what had to run.

    :param required: the ids of all tests that the suite has
    :param manifest: the tests that each tier asks for; without one there
        are no tiers, and only the suite is compared
    :param denied: the capabilities that the driver's profile denies, which
        explain a skip
    :returns: ``ERROR`` when there was nothing to run or the kit broke,
        ``FAILED`` when a test failed, ``NOT_CERTIFIABLE`` when one is
        missing, was skipped for no reason that the profile gives or met a
        known defect of the driver, and only otherwise ``CERTIFIED``
    """
    if not required:
        return Verdict(ExitCode.ERROR, ('no test was found',))

    def reasons(status: Status, word: str) -> list[str]:
        # A wrong configuration is the same for all, and reported once.
        return list(dict.fromkeys(
            r.why if r.configuration else
            f'{r.name}{word}: {r.why or "no reason was given"}'
            for r in results
            if r.status is status and r.lacks not in denied))

    earned = assess(manifest, results, denied) if manifest else ()
    broken = reasons(Status.ERROR, ': error')
    failed = reasons(Status.FAIL, ' failed')
    if broken:
        return Verdict(ExitCode.ERROR, tuple(broken + failed), earned)
    if failed:
        return Verdict(ExitCode.FAILED, tuple(failed), earned)
    incomplete = [f'the profile denies {name}, which the driver plainly has'
                  for name in contradictions]
    incomplete += reasons(Status.SKIP, ' was skipped')
    # Declared, it fails no gate; but it is what a certification is about.
    incomplete += [f'{r.name} met a defect of the driver itself: {r.why}'
                   for r in results if r.of_driver]
    if interrupted:
        incomplete.append('the run was interrupted')
    missing = [_plain(t) for t in required
               if not any(r.covers(t) for r in results)]
    if missing:
        incomplete.append(f'{len(missing)} of {len(required)} tests did not '
                          f'run')
    if manifest:
        incomplete += _against(manifest, required, results, earned)
    if incomplete:
        return Verdict(ExitCode.NOT_CERTIFIABLE, tuple(incomplete), earned,
                       tuple(missing))
    return Verdict(ExitCode.CERTIFIED, (), earned)


def judge_quick(selected: Sequence[str], results: Sequence[Result],
                interrupted: bool = False) -> Verdict:
    """Judge what has validated a set-up, which certifies nothing.

    :param selected: the ids of the tests that were to run
    """
    verdict = judge(selected, results, interrupted)
    if verdict.code is not ExitCode.CERTIFIED:
        return verdict
    return Verdict(ExitCode.NOT_CERTIFIABLE, (
        'the set-up works: quick has run one recovery, and certifies '
        'nothing',))


def in_trouble(verdict: Verdict, trouble: Sequence[str]) -> Verdict:
    """Make a verdict of one where something went wrong around the tests.

    :param trouble: what it was, one line each; without any nothing changes
    """
    if not trouble:
        return verdict
    return dataclasses.replace(verdict, code=ExitCode.ERROR,
                               reasons=(*trouble, *verdict.reasons))


def _against(manifest: tiers.Manifest, required: Sequence[str],
             results: Sequence[Result], earned: Sequence[Earned]
             ) -> list[str]:
    """List what a manifest requires and the suite or the run lacks."""
    found = [f'the suite has no {name}, which the tier {tier.name} asks for'
             for tier, name in manifest.gone(required)]
    found += [f'{tiers.plain(t)} is in no tier'
              for t in manifest.unknown(required)]
    # Who runs what is not of the suite has not run the suite.
    found += [f'{result.name} is not of the suite' for result in results
              if not any(result.covers(t) or t.startswith(f'{result.scope}.')
                         for t in required)]
    for tier, one in zip(manifest.tiers, earned, strict=True):
        if tier.required and one.state is State.NOT_CLAIMED:
            denied = ', '.join(sorted(set(tier.essential) &
                                      set(one.without)))
            found.append(f'the profile denies tier {tier.name}, which every '
                         f'certification requires: {denied}')
        elif (one.state is State.NOT_SHOWN and
              not one.counts.get(Status.PASS) and not one.counts.get(None)):
            found.append(f'no test of the tier {tier.name} passed')
    return found


def assess(manifest: tiers.Manifest, results: Sequence[Result],
           denied: Collection[str] = ()) -> tuple[Earned, ...]:
    """Say of each tier whether it was earned."""
    # Under its whole name, which stories and set-ups have.
    around = [r for r in results if _AROUND.match(r.test_id)]
    single = {tiers.plain(r.test_id): r for r in results}
    return tuple(_earned(tier, single, around, denied)
                 for tier in manifest.tiers)


def _earned(tier: tiers.Tier, single: dict[str, Result],
            around: Sequence[Result], denied: Collection[str]) -> Earned:
    counts: dict[Status | None, int] = {}
    without = {name: 0 for name in tier.essential if name in denied}
    classes = set()
    of_driver = False
    for name in (name for names in tier.tests.values() for name in names):
        classes.add(name.rpartition('.')[0])
        result = single.get(name) or next(
            (r for r in around if _SET_UP.match(r.test_id) and
             name.startswith(f'{tiers.plain(r.scope)}.')), None)
        status = result.status if result else None
        of_driver |= bool(result and result.of_driver)
        counts[status] = counts.get(status, 0) + 1
        if result and result.lacks in denied and result.lacks:
            without[result.lacks] = without.get(result.lacks, 0) + 1
    # What goes wrong when a class is tidied up is said of all its tests.
    bad = {r.status for r in around
           if any(f'{cls}.'.startswith(f'{tiers.plain(r.scope)}.')
                  for cls in classes)} | set(counts)
    if Status.ERROR in bad:
        state = State.ERROR
    elif Status.FAIL in bad:
        state = State.FAILED
    elif any(name in denied for name in tier.essential):
        state = State.NOT_CLAIMED
    elif (of_driver or counts.get(None, 0) or not counts.get(Status.PASS) or
          counts.get(Status.SKIP, 0) > sum(without.values())):
        state = State.NOT_SHOWN
    else:
        state = State.EARNED
    return Earned(tier.name, state, counts, without)


def known(results: Sequence[Result]) -> dict[str, list[str]]:
    """Collect the known defects that the tests have met.

    :returns: names of tests by the name of the defect
    """
    found: dict[str, list[str]] = {}
    for result in results:
        if result.status is Status.KNOWN and result.facts.defect:
            found.setdefault(result.facts.defect.name, []).append(result.name)
    return found
