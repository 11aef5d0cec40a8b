# SPDX-License-Identifier: Apache-2.0

"""Defects of Cinder that the tests have found, by name.

Nothing here excuses a cloud. A test that meets one of them fails, unless the
cloud's operator has declared the name in the option ``known_defects``; then
the test ends as an expected failure, which a report shows. One that was
declared and no longer occurs fails the test too, or the option would
hide its return.
"""

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
import contextlib
import dataclasses
import pathlib
from typing import Any

import yaml

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import facts

OPTION = '[cinder_backup_recovery] known_defects'
#: Where they are written down.
TABLE = pathlib.Path(__file__).with_suffix('.yaml')
#: Stands for all that the table has for a release and a driver.
ALL = 'all'
#: The release that is not yet one: the newest of the table is taken for it.
MASTER = 'master'


@dataclasses.dataclass(frozen=True)
class Defect:
    """A defect of Cinder, described for people.

    :ivar detail: more of it, in the markup of the manual
    :ivar bug: its number on Launchpad, None where none is known
    :ivar drivers: class paths of the backup drivers that have it, or their
        prefixes; empty where it does not depend on the driver
    :ivar protocols: storage protocols of the volumes that have it; empty
        where it does not depend on them
    """

    what: str
    detail: str
    releases: tuple[str, ...]
    bug: int | None = None
    drivers: tuple[str, ...] = ()
    protocols: tuple[str, ...] = ()

    @property
    def number(self) -> str:
        """The bug's number, or that there is none."""
        return f'LP {self.bug}' if self.bug else 'no number known'

    def of(self, driver: str, protocol: str) -> bool:
        """Check whether a cloud of this release has it.

        :param driver: its backup driver
        :param protocol: the storage protocol of its volumes
        """
        return (f'{driver}.'.startswith(self.drivers or '') and
                (not self.protocols or protocol.lower() in self.protocols))


def _load() -> dict[str, Defect]:
    table: dict[str, dict[str, Any]] = yaml.safe_load(
        TABLE.read_text(encoding='utf-8'))
    return {name: Defect(
        entry['what'], entry['detail'], tuple(entry['releases']),
        entry.get('bug'), tuple(entry.get('drivers', ())),
        tuple(entry.get('protocols', ())))
        for name, entry in table.items()}


DEFECTS = _load()
#: All releases that the table knows, the oldest first.
RELEASES = tuple(sorted({release for defect in DEFECTS.values()
                         for release in defect.releases}))


def problems(entries: Iterable[str], release: str) -> Iterator[str]:
    """Find mistakes of a declaration.

    :param entries: of the option: NAME, NAME@RELEASE, ``all`` or
        ``all@RELEASE``
    :param release: the cloud's, empty where it is not known
    :returns: one line for each mistake
    """
    if release and release not in (MASTER, *RELEASES):
        yield (f'[cinder_backup_recovery] cinder_release is {release}; known: '
               f'{", ".join(RELEASES)}, {MASTER}')
    for entry in entries:
        name, at, when = entry.partition('@')
        if name not in (ALL, *DEFECTS):
            yield (f'{OPTION} has {name}, but the known names are '
                   f'{", ".join(sorted(DEFECTS))}')
        elif at and when not in RELEASES:
            yield (f'{OPTION} has {entry}; known releases: '
                   f'{", ".join(RELEASES)}')
        elif at and name != ALL and when not in DEFECTS[name].releases:
            yield (f'{OPTION} has {entry}, but {name} was seen in '
                   f'{", ".join(DEFECTS[name].releases)} only')
        elif (at or name == ALL) and not release:
            yield (f'{OPTION} has {entry}: set [cinder_backup_recovery] '
                   f'cinder_release to the release that the cloud runs')


def declared(entries: Iterable[str], release: str, driver: str,
             protocol: str = '') -> frozenset[str]:
    """The names of the defects that a configuration declares.

    :param driver: the backup driver
    :param protocol: the storage protocol of the volumes
    """
    if release == MASTER:
        release = RELEASES[-1]
    found: set[str] = set()
    for entry in entries:
        name, _, when = entry.partition('@')
        if when and when != release:
            continue
        found |= {one for one, defect in DEFECTS.items()
                  if release in defect.releases and
                  defect.of(driver, protocol)
                  } if name == ALL else {name}
    return frozenset(found)


_SYMPTOMS = (AssertionError, exceptions.ContentMismatch,
             exceptions.ResourceFailed, exceptions.WaitTimeout)


@contextlib.contextmanager
def expected(test: Any, found: facts.Facts, names: Collection[str],
             name: str,
             shows: bool = True,
             looks: Callable[[BaseException], bool] | None = None
             ) -> Iterator[None]:
    """Check a behavior that a known defect breaks.

    With the defect declared, the test ends here as an expected failure when
    it shows, and fails when it does not.

    :param found: gets the defect when it shows and is declared
    :param name: one of DEFECTS
    :param shows: whether it shows in every cloud that has it; where it is
        False, a check that passes does not contradict the option
    :param looks: whether a failure is a symptom of the defect, where not
        every failure is
    :raises AssertionError: the defect shows and is not declared, or the
        other way round
    """
    defect = DEFECTS[name]
    try:
        yield
    except _SYMPTOMS as exc:
        if looks is not None and not looks(exc):
            raise
        if name not in names:
            raise test.failureException(
                f'{exc}\nThis looks like the known Cinder defect {name}: '
                f'{defect.what} ({defect.number}; seen in '
                f'{", ".join(defect.releases)}). To accept it, add {name} to '
                f'{OPTION}.') from exc
        found.defect = facts.Defect(
            name, f'{defect.what} ({defect.number})', bool(defect.drivers),
            str(exc))
        test.expectFailure(str(found.defect), test.fail, str(exc))
    if shows and name in names:
        test.fail(f'the defect {name} is declared but no longer occurs; '
                  f'remove it from {OPTION}')
