# SPDX-License-Identifier: Apache-2.0

"""Facts about a test, as data for programs that judge a run.

It is attached to the test's result as JSON, under the name :data:`DETAIL`.
Text for people is made from it and never parsed.
"""

from collections.abc import Mapping
import dataclasses
from typing import Any

from cinder_backup_recovery_tests import exceptions

#: The name of the attachment.
DETAIL = 'facts'

# Kinds of steps whose time is of interest.
FULL, INCREMENTAL, RESTORE = 'full backup', 'incremental backup', 'restore'
IMPORT, EXPORT, COMPARE = 'import', 'export', 'compare every byte'
WRITE, CREATE = 'write', 'create a volume'
KINDS = (FULL, INCREMENTAL, RESTORE, IMPORT, EXPORT, COMPARE, WRITE, CREATE)


@dataclasses.dataclass(frozen=True)
class Step:
    """One step of a recovery.

    :ivar kind: one of KINDS, or empty
    :ivar set_up: whether it is of the set-up of the test's class, whose
        seconds are not the test's
    """

    what: str
    seconds: float = 0.0
    kind: str = ''
    failed: bool = False
    set_up: bool = False

    def __str__(self) -> str:
        failed = ': failed' if self.failed else ''
        return f'{self.seconds:6.1f} s  {self.what}{failed}'


@dataclasses.dataclass(frozen=True)
class Answer:
    """The result of one import of a damaged backup.

    :ivar imported: the backup that was imported then
    :ivar error: the reason of the error that it ended in, None where it
        was accepted
    """

    victim: str
    damage: str
    imported: str
    error: str | None


@dataclasses.dataclass(frozen=True)
class Defect:
    """A known defect that a test met.

    :ivar driver: whether it is of the backup driver, and not of Cinder
    :ivar seen: how it looked in this test
    """

    name: str
    what: str
    driver: bool
    seen: str

    def __str__(self) -> str:
        return f'known defect {self.name}: {self.what}'


@dataclasses.dataclass(frozen=True)
class Refusal:
    """An action that the kit refused, or failed at.

    :ivar configuration: whether it is the same for each test
    """

    error: str
    message: str
    configuration: bool

    @classmethod
    def of(cls, exc: BaseException) -> 'Refusal | None':
        """The refusal of an exception, None for other exceptions."""
        if not isinstance(exc, exceptions.KitError):
            return None
        return cls(type(exc).__name__, str(exc), exc.configuration)

    @classmethod
    def of_traceback(cls, text: str) -> 'Refusal | None':
        """The refusal that ended the clean-up of a class.

        A class has no attachments. Python writes the class of an exception
        before its text, with its module, at the beginning of a line.
        """
        mark = f'{exceptions.__name__}.'
        for line in reversed(text.splitlines()):
            name, _, message = line.removeprefix(mark).partition(': ')
            kind = getattr(exceptions, name, None)
            if line.startswith(mark) and isinstance(kind, type):
                return (cls(name, message, kind.configuration)
                        if issubclass(kind, exceptions.KitError) else None)
        return None


@dataclasses.dataclass(frozen=True)
class Cause:
    """A promise that histories broke, and that no known defect explains.

    :ivar key: says how it was broken, the same for the same fault
    :ivar whose: what is at fault: ``driver``; ``cinder``, where the reference
        driver does the same; ``not again``, where it was kept when the history
        was repeated
    :ivar times: how many histories broke it
    :ivar story: the steps of one history, in sentences
    :ivar history: the same history as ``cinder-backup-histories --replay``
        reads it from a file
    """

    promise: str
    key: str
    text: str
    whose: str
    times: int
    story: list[str]
    history: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Histories:
    """The histories that a test ran.

    :ivar seed: that they were drawn by, None of those that are written down
    :ivar wanted: how many were to run; fewer did where the time was over
    :ivar steps: of all of them
    :ivar defects: how often each known defect of Cinder was met, by its name
    :ivar corpus: the name of the one that it was, in the corpus, or ''
    """

    seed: int | None
    wanted: int
    histories: int
    steps: int
    defects: dict[str, int]
    causes: list[Cause]
    corpus: str = ''

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> 'Histories':
        """Read what JSON has."""
        return cls(**{**document, 'causes': [
            Cause(**one) for one in document['causes']]})

    def __str__(self) -> str:
        number = (str(self.histories) if self.histories == self.wanted else
                  f'{self.histories} of {self.wanted}')
        seed = '' if self.seed is None else f' of seed {self.seed}'
        met = ', '.join(sorted(self.defects)) or 'none'
        one = 'history' if number == '1' else 'histories'
        return (f'{number} {one}{seed} with {self.steps} steps; known '
                f'defects met: {met}')


_LISTS: dict[str, Any] = {
    'steps': Step, 'answers': Answer, 'refusals': Refusal}


@dataclasses.dataclass
class Facts:
    """All that one test hands over.

    :ivar answers: the damages that it tried, and what came of each
    :ivar lacks: the capability for whose lack it was skipped
    :ivar contradictions: capabilities that the configuration denies, and
        that were seen
    :ivar histories: those that it ran, None of a test of another kind
    """

    steps: list[Step] = dataclasses.field(default_factory=list)
    answers: list[Answer] = dataclasses.field(default_factory=list)
    lacks: str | None = None
    defect: Defect | None = None
    refusals: list[Refusal] = dataclasses.field(default_factory=list)
    contradictions: list[str] = dataclasses.field(default_factory=list)
    histories: Histories | None = None

    def as_document(self) -> dict[str, Any]:
        """The same as JSON has it."""
        return dataclasses.asdict(self)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> 'Facts':
        """Read the result of :meth:`as_document`; missing facts are empty.

        :param document: other keys may be in it
        :raises TypeError: if a field has another form
        """
        names = [field.name for field in dataclasses.fields(cls)]
        known: dict[str, Any] = {
            name: document[name] for name in names if name in document}
        for name, made in _LISTS.items():
            if name in known:
                known[name] = [made(**entry) for entry in known[name]]
        if known.get('defect'):
            known['defect'] = Defect(**known['defect'])
        if known.get('histories'):
            known['histories'] = Histories.of(known['histories'])
        return cls(**known)
