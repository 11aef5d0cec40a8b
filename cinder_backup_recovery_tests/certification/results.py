# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""What the tests said, and what follows from it."""

from collections.abc import Sequence
import dataclasses
import enum
import re

# How unittest names what fails or is skipped before the first test.
_SET_UP = re.compile(r'setUp(?:Class|Module) \((?P<scope>.+)\)$')
_AROUND = re.compile(r'(?P<what>\w+(?:Class|Module)) \((?P<scope>.+)\)$')


class Status(enum.Enum):
    """What one test showed, in the order from best to worst."""

    PASS = 'pass'  # noqa: S105
    # A defect of Cinder that the cloud's configuration declares, which is
    # no fault of the driver.
    KNOWN = 'known'
    SKIP = 'skip'
    FAIL = 'fail'
    ERROR = 'error'


class ExitCode(enum.IntEnum):
    """What the program says of a whole run."""

    CERTIFIED = 0
    FAILED = 1
    NOT_CERTIFIABLE = 2
    ERROR = 3


@dataclasses.dataclass
class Result:
    """One test, or the set-up of a class.

    :param test_id: the dotted name
    :param status: what it showed
    :param seconds: how long it took
    :param reason: why it did not pass: the end of the traceback, or the
        reason of the skip
    :param story: the steps of the recovery, as the test told them
    :param configuration: whether the reason is a wrong configuration, said
        in one line and of no one test
    """

    test_id: str
    status: Status
    seconds: float
    reason: str = ''
    story: str = ''
    configuration: bool = False

    @property
    def name(self) -> str:
        """The class and the method, without package and idempotent id."""
        around = _AROUND.match(self.test_id)
        if around:
            return f'{around["scope"].split(".")[-1]} ({around["what"]})'
        return '.'.join(_plain(self.test_id).split('.')[-2:])

    @property
    def defect(self) -> str:
        """Which known defect a test met: the reason's first line."""
        return self.reason.strip().split('\n')[0]

    def covers(self, test_id: str) -> bool:
        """Whether this says what came of a test.

        A failed or skipped set-up says it of every test of its class.
        """
        set_up = _SET_UP.match(self.test_id)
        if set_up:
            return test_id.startswith(set_up['scope'] + '.')
        return _plain(test_id) == _plain(self.test_id)


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What a run has shown.

    :param code: the exit code
    :param reasons: why it is not a certification, one line each
    """

    code: ExitCode
    reasons: tuple[str, ...] = ()


def _plain(test_id: str) -> str:
    return test_id.split('[')[0]


def judge(required: Sequence[str], results: Sequence[Result],
          interrupted: bool = False) -> Verdict:
    """Compare what ran with what had to run.

    :param required: the ids of all tests that the suite has
    :param results: what came back
    :param interrupted: whether the run was ended before its end
    :returns: ``ERROR`` when there was nothing to run or the kit broke,
        ``FAILED`` when a test failed, ``NOT_CERTIFIABLE`` when one was
        skipped or is missing, and only otherwise ``CERTIFIED``
    """
    if not required:
        return Verdict(ExitCode.ERROR, ('no test was found',))

    def reasons(status: Status, word: str) -> list[str]:
        # A wrong configuration is the same for all, and said once.
        return list(dict.fromkeys(
            f'{r.name} {word}: {_last_line(r.reason)}'
            if not r.configuration else _last_line(r.reason)
            for r in results if r.status is status))

    broken = reasons(Status.ERROR, 'is broken')
    failed = reasons(Status.FAIL, 'failed')
    if broken:
        return Verdict(ExitCode.ERROR, tuple(broken + failed))
    if failed:
        return Verdict(ExitCode.FAILED, tuple(failed))
    incomplete = reasons(Status.SKIP, 'was skipped')
    if interrupted:
        incomplete.append('the run was interrupted')
    missing = [_plain(t) for t in required
               if not any(r.covers(t) for r in results)]
    incomplete += [f'{t} did not run' for t in missing]
    if incomplete:
        return Verdict(ExitCode.NOT_CERTIFIABLE, tuple(incomplete))
    return Verdict(ExitCode.CERTIFIED)


def known(results: Sequence[Result]) -> dict[str, list[str]]:
    """Collect the known defects that the tests have met.

    :param results: what came back
    :returns: names of tests by what the defect is
    """
    found: dict[str, list[str]] = {}
    for result in results:
        if result.status is Status.KNOWN:
            found.setdefault(result.defect, []).append(result.name)
    return found


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else 'no reason was given'
