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

"""What a recovery did, step by step, for the report and for a failure."""

from collections.abc import Iterator
import contextlib
import time

from testtools import content
from testtools import content_type

#: The name of the attachment that a test gives its result.
DETAIL = 'story'


class Story:
    """The steps of one test, or of the set-up of a class.

    :param before: the story so far, which this one continues: that of the
        class, whose resources the test uses
    """

    def __init__(self, before: 'Story | None' = None):
        self._before = before
        self._steps: list[str] = []

    @contextlib.contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Tell one step when it is done, with the seconds that it took.

        A step that fails is told too: it is the last one of its story.

        :param text: what is done, in a few words, with the ids
        """
        start = time.monotonic()
        try:
            yield
        except BaseException:
            self._add(f'{text}: failed', start)
            raise
        self._add(text, start)

    def _add(self, text: str, start: float) -> None:
        self._steps.append(f'{time.monotonic() - start:6.1f} s  {text}')

    def lines(self) -> list[str]:
        """The steps so far, one line each, those of the class first."""
        before = self._before.lines() if self._before else []
        return before + self._steps

    def as_content(self) -> content.Content:
        """The story as an attachment of a test's result."""
        return content.Content(
            content_type.UTF8_TEXT,
            lambda: ['\n'.join(self.lines()).encode()])
