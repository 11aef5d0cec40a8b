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


class Status(enum.Enum):
    """What one test showed, in the order from best to worst."""

    PASS = 'pass'  # noqa: S105
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
    """

    test_id: str
    status: Status
    seconds: float
    reason: str = ''
    story: str = ''

    @property
    def name(self) -> str:
        """The class and the method, without package and idempotent id."""
        return '.'.join(self.test_id.split('[')[0].split('.')[-2:])


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
    failed = [r for r in results if r.status is Status.FAIL]
    broken = [r for r in results if r.status is Status.ERROR]
    skipped = [r for r in results if r.status is Status.SKIP]
    seen = {_plain(r.test_id) for r in results}
    missing = [t for t in map(_plain, required) if t not in seen]
    if not required:
        return Verdict(ExitCode.ERROR, ('no test was found',))
    if broken:
        return Verdict(ExitCode.ERROR, tuple(
            f'{r.name} is broken: {_last_line(r.reason)}' for r in broken))
    if failed:
        return Verdict(ExitCode.FAILED, tuple(
            f'{r.name} failed: {_last_line(r.reason)}' for r in failed))
    reasons = [f'{r.name} was skipped: {_last_line(r.reason)}'
               for r in skipped]
    if interrupted:
        reasons.append('the run was interrupted')
    reasons += [f'{t} did not run' for t in missing]
    if reasons:
        return Verdict(ExitCode.NOT_CERTIFIABLE, tuple(reasons))
    return Verdict(ExitCode.CERTIFIED)


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else 'no reason was given'
