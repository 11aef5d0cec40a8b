# SPDX-License-Identifier: Apache-2.0

"""The moments that promises judge, and what they say of them."""

from collections.abc import Iterator
import dataclasses

from backup_model import engine as engines
from backup_model import history
from backup_model import world as worlds

#: Statuses that are on their way to another one.
UNDER_WAY = ('backing-up', 'creating', 'deleting', 'restoring',
             'restoring-backup')


@dataclasses.dataclass(frozen=True)
class Broken:
    """A promise that was not kept.

    :ivar promise: its name
    :ivar key: short, the same for the same fault
    :ivar text: for people
    """

    promise: str
    key: str
    text: str

    def __str__(self) -> str:
        return f'{self.promise}: {self.text}'


@dataclasses.dataclass(frozen=True)
class Moment:
    """A step, and what came of it."""

    world: worlds.World
    step: history.Step
    answer: engines.Answer
    before: engines.View
    after: engines.View
    #: The operation that the step is a part of, if it is.
    together: str = ''
    #: The operations of the requests at the same time.
    others: tuple[str, ...] = ()
    #: The name of the backup that the step was for, and its id.
    target: str = ''
    target_id: str = ''

    @property
    def by_request(self) -> bool:
        return self.step.operation not in (
            'lose rows', 'lose database', 'damage', 'remove', 'repair')


#: Broken promises, each with a key and a text.
Found = Iterator[tuple[str, str]]
