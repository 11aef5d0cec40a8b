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

"""Defects of Cinder that the tests have found, by name.

Nothing here excuses a cloud. A test that meets one of them fails, unless the
cloud's operator has declared the name in the option ``known_defects``; then
the test ends as an expected failure, which a report shows. One that was
declared and does not show any more fails the test too, or the option would
hide its return.
"""

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
import contextlib
import dataclasses
from typing import Any

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import facts

OPTION = '[cinder_backup_recovery] known_defects'


@dataclasses.dataclass(frozen=True)
class Defect:
    """What is wrong in Cinder, for people.

    :ivar what: what goes wrong, in one sentence
    :ivar bug: its number on Launchpad, None where none is known
    :ivar releases: those that it was seen in
    :ivar drivers: class paths of the backup drivers that have it, or their
        beginnings; empty where it does not depend on the driver
    """

    what: str
    bug: int | None
    releases: str
    drivers: tuple[str, ...] = ()

    @property
    def number(self) -> str:
        """The bug's number, or that there is none."""
        return f'LP {self.bug}' if self.bug else 'no number known'


# The releases that most of them were seen in.
_SINCE_2025_1 = '2025.1, 2025.2, 2026.1, 2026.2'

DEFECTS = {
    'import-id-without-text': Defect(
        'the import of a record whose id is null, a list or an object is '
        'answered with 500',
        None, _SINCE_2025_1),
    'import-deep-json': Defect(
        'the import of a record that is JSON of very many levels is answered '
        'with 500',
        None, _SINCE_2025_1),
    'import-id-not-uuid': Defect(
        'the import of a record whose id is not a UUID is accepted, and makes '
        'a row that no request can name if there is a slash in the id',
        None, _SINCE_2025_1),
    'import-twice-at-once': Defect(
        'of two imports of the same record at the same time one is answered '
        'with 500, and takes away the row that the other one has made',
        None, _SINCE_2025_1),
    'import-stays-creating': Defect(
        'the import of a record with a field of the wrong type leaves the '
        'backup in status creating for ever, without a reason',
        None, _SINCE_2025_1),
    'import-killed-stays-creating': Defect(
        'a backup whose import was interrupted by the death of cinder-backup '
        'stays in status creating for ever',
        None, _SINCE_2025_1),
    'import-keeps-fail-reason': Defect(
        'a backup that is imported after a failed import of it was deleted '
        'is available and still says why the other one failed',
        None, _SINCE_2025_1),
    'import-negative-size': Defect(
        'the import of a record with a negative size is accepted, and gives '
        'the project more quota than it has',
        None, _SINCE_2025_1),
    'import-failed-keeps-quota': Defect(
        'what a failed import has taken of the quota of backup gigabytes is '
        'never given back, also when the backup is deleted',
        None, _SINCE_2025_1),
    'zeros-of-incremental': Defect(
        'the restore of an incremental backup to a new volume leaves data of '
        'its parent where it has zeros, and is called a success',
        None, '2025.1, 2025.2, 2026.1',
        tuple(f'cinder.backup.drivers.{name}.'
              for name in ('gcs', 'nfs', 'posix', 's3', 'swift'))),
    # Not of Cinder, but of what its users import with.
    'openstack-import-sent-to-export': Defect(
        'openstack volume backup record import sends its request to the path '
        'of the export (openstacksdk 4.22.0), and imports nothing',
        None, '2026.2'),
}

_SYMPTOMS = (AssertionError, exceptions.ContentMismatch,
             exceptions.ResourceFailed, exceptions.WaitTimeout)


def says(words: str) -> Callable[[BaseException], bool]:
    """Make what tells a defect from others by what a failure says.

    :param words: what is in its text
    """
    return lambda exc: words in str(exc)


@contextlib.contextmanager
def expected(test: Any, found: facts.Facts, declared: Collection[str],
             name: str,
             shows: bool = True,
             looks: Callable[[BaseException], bool] | None = None
             ) -> Iterator[None]:
    """Check what a known defect breaks.

    With the defect declared, the test ends here as an expected failure when
    it shows, and fails when it does not.

    :param test: the test
    :param found: gets the defect when it shows and is declared
    :param declared: the names in the option
    :param name: one of DEFECTS
    :param shows: whether it shows in every cloud that has it; where it is
        False, a check that passes is none that contradicts the option
    :param looks: whether a failure is how the defect looks, where not every
        failure is
    :raises AssertionError: the defect shows and is not declared, or the
        other way round
    """
    defect = DEFECTS[name]
    try:
        yield
    except _SYMPTOMS as exc:
        if looks is not None and not looks(exc):
            raise
        if name not in declared:
            raise test.failureException(
                f'{exc}\nThis is how the defect {name} of Cinder looks: '
                f'{defect.what} ({defect.number}; seen in '
                f'{defect.releases}). Where it is to be put up with, add it '
                f'to {OPTION}.') from exc
        found.defect = facts.Defect(
            name, f'{defect.what} ({defect.number})', bool(defect.drivers),
            str(exc))
        test.expectFailure(str(found.defect), test.fail, str(exc))
    if shows and name in declared:
        test.fail(f'the defect {name} is declared but does not show any '
                  f'more: remove it from {OPTION}')
