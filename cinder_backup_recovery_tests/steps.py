# SPDX-License-Identifier: Apache-2.0

"""The steps of a recovery, for the report and for a failure."""

from collections.abc import Iterator
import contextlib
import dataclasses
import json
import time

from testtools import content
from testtools import content_type

from cinder_backup_recovery_tests import facts

#: The name of the attachment that has the steps as text, for people.
DETAIL = 'story'


class Story:
    """The steps of one test, or of the set-up of a class.

    :ivar facts: the facts found on the way, next to the steps
    :param before: the story so far, which this one continues: that of the
        class, whose resources the test uses
    """

    def __init__(self, before: 'Story | None' = None):
        self._before = before
        self.facts = facts.Facts()

    @contextlib.contextmanager
    def step(self, what: str, kind: str = '') -> Iterator[None]:
        """Record one step when it is done, with the seconds that it took.

        A step that fails is recorded too: it is the last one of its story.

        :param kind: one of :data:`facts.KINDS`, where its time is of interest
        """
        start = time.monotonic()
        failed = True
        try:
            yield
            failed = False
        finally:
            self.facts.steps.append(facts.Step(
                what, round(time.monotonic() - start, 2), kind, failed))

    def note(self, what: str) -> None:
        """Record an event that took no time."""
        with self.step(what):
            pass

    def all_facts(self) -> facts.Facts:
        """The facts so far, with those of the set-up of the class."""
        if self._before is None:
            return self.facts
        before = self._before.all_facts()
        return dataclasses.replace(
            self.facts,
            steps=[dataclasses.replace(step, set_up=True)
                   for step in before.steps] + self.facts.steps,
            contradictions=before.contradictions + self.facts.contradictions)

    def details(self) -> dict[str, content.Content]:
        """The attachments of a test's result: as text, and as data."""
        return {
            DETAIL: content.Content(
                content_type.UTF8_TEXT,
                lambda: ['\n'.join(map(
                    str, self.all_facts().steps)).encode()]),
            facts.DETAIL: content.Content(
                content_type.JSON,
                lambda: [json.dumps(self.all_facts().as_document(),
                                    ensure_ascii=False).encode()])}
