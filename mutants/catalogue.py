# SPDX-License-Identifier: Apache-2.0

"""The faulty drivers and the faulty clouds.

Nothing of Cinder is imported here or with the modules of the clouds, since
Tempest runs in a process that has none.
"""

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import importlib
from typing import Any

#: The modules of the faulty drivers.
DRIVERS = ('records', 'verification', 'restores', 'removal', 'leaks')
#: The modules of the faulty clouds.
# Those of a lost database come first: its test wants a cloud in which no other
# defect has left a backup.
CLOUDS = ('losses', 'fields', 'imports', 'quotas', 'exports', 'restores',
          'removal', 'keys', 'hanging', 'known')

#: The profile of the local cloud that most faulty clouds have.
DEFAULT = 'default'
#: The drivers that bring the defects into a cloud, by its profile.
SWITCHED = {
    DEFAULT: 'mutants.clouds.driver.SwitchedBackupDriver',
    'swift': 'mutants.clouds.driver.SwitchedSwiftBackupDriver',
}


@dataclasses.dataclass(frozen=True)
class Mutant:
    """A driver or a cloud with one defect.

    :ivar path: where it is defined, as ``mutants.MODULE.NAME``
    :ivar defect: its defect, in one sentence
    :ivar meant: the checks that are there to find just that; each must
    :ivar resembles: a defect of this kind that real software had
    :ivar target: of a cloud, the function of Cinder that is replaced, as
        ``module:Class.method``
    :ivar function: called with the original one, and with its arguments
    :ivar backup: the profile of the local cloud that can have it
    :ivar undeclared: a known defect of Cinder that is not declared while the
        tests run; there is no function then
    """

    path: str
    defect: str
    meant: tuple[str, ...]
    resembles: str = ''
    # The recorded results lack these.
    target: str = dataclasses.field(default='', compare=False)
    function: Callable[..., Any] | None = dataclasses.field(
        default=None, compare=False)
    backup: str = dataclasses.field(default=DEFAULT, compare=False)
    undeclared: str = dataclasses.field(default='', compare=False)

    @property
    def name(self) -> str:
        """Module and name, without the name of this room."""
        return self.path.partition('.')[2]


_FOUND: list[Mutant] = []


def _enter(found: Any, meant: tuple[str, ...], **others: Any) -> Any:
    _FOUND.append(Mutant(
        f'{found.__module__}.{found.__qualname__}',
        # Joined, since a docstring may have two lines.
        ' '.join(str(found.__doc__).split()), meant, **others))
    return found


def mutant(*meant: str, resembles: str = '') -> Callable[[type], type]:
    """Enter a faulty driver, whose docstring is its defect.

    :param meant: names of the checks of the contract, without ``test_``
    """
    return lambda cls: _enter(cls, meant, resembles=resembles)


def defect(target: str, *meant: str, resembles: str = '',
           backup: str = DEFAULT
           ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter a function with a defect, which its docstring describes.

    :param meant: names of the tests, without the name of their package
    """
    return lambda function: _enter(
        function, meant, resembles=resembles, target=target,
        function=function, backup=backup)


def known(name: str, what: str, *meant: str) -> None:
    """Enter a defect that Cinder itself has.

    :param name: its name in the option ``known_defects``
    """
    _FOUND.append(Mutant(
        f'mutants.clouds.known.{name.replace("-", "_")}',
        f'Cinder unchanged: {what}.', meant, undeclared=name))


def _of(package: str, modules: Sequence[str]) -> list[Mutant]:
    places = [f'{package}.{name}' for name in modules]
    for place in places:
        importlib.import_module(place)
    return sorted(
        (found for found in _FOUND
         if found.path.rpartition('.')[0] in places),
        key=lambda found: places.index(found.path.rpartition('.')[0]))


def drivers() -> list[Mutant]:
    """All faulty drivers."""
    return _of('mutants', DRIVERS)


def clouds(backup: str | None = None) -> list[Mutant]:
    """All faulty clouds, or those of a profile."""
    return [found for found in _of('mutants.clouds', CLOUDS)
            if backup in (None, found.backup)]
