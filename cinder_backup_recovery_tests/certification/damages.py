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

"""Which damages were tried, and what the imports answered."""

from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses
import re

# As the tests of scenario/test_import_verify tell it.
_STEP = re.compile(r' *(?P<seconds>\d+\.\d) s  (?P<text>.*)$')
_WHILE = re.compile(r'while (?P<victim>.*) has this damage: '
                    r'(?P<damage>.*?)(?P<failed>: failed)?$')
_IMPORT = re.compile(r'import (?P<what>(?:(?!backup [0-9a-f-]{36} from its '
                     r'record).)*) [0-9a-f-]{36}$')
_ANSWER = re.compile(r'it ends in an error: (?:fail_reason: )?(?P<text>.*)$')


@dataclasses.dataclass(frozen=True)
class Step:
    """One line of a story."""

    seconds: float
    text: str


@dataclasses.dataclass(frozen=True)
class Answer:
    """What one import said of a damage.

    :ivar victim: what was damaged
    :ivar damage: how
    :ivar imported: what was imported then
    :ivar text: the reason of the error, None where there was none
    """

    victim: str
    damage: str
    imported: str
    text: str | None


def steps(story: Iterable[str]) -> list[Step]:
    """Take a story apart.

    :param story: its lines; one that is no step continues the one before
    """
    found: list[Step] = []
    for line in story:
        step = _STEP.match(line)
        if step:
            found.append(Step(float(step['seconds']), step['text']))
        elif found:
            found[-1] = dataclasses.replace(
                found[-1], text=f'{found[-1].text}\n{line}')
        else:
            found.append(Step(0.0, line))
    return found


def answers(story: Sequence[str]) -> list[Answer]:
    """The damages that a test tried.

    A step is told at its end, and so the damage after what it led to.
    """
    found: list[Answer] = []
    imports: list[tuple[str, str | None]] = []
    for step in steps(story):
        text = step.text
        begun, answer, end = (pattern.match(text) for pattern in (
            _IMPORT, _ANSWER, _WHILE))
        if end:
            found += [Answer(end['victim'], end['damage'], *one)
                      for one in imports]
            imports = []
        elif answer and imports:
            imports[-1] = (imports[-1][0], answer['text'])
        elif begun:
            imports.append((begun['what'], None))
        else:
            # Of a part of the story that is about no damage.
            imports = []
    return found
