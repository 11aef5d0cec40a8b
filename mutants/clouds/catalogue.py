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
"""What a faulty cloud is: a function of Cinder with one defect.

Nothing of Cinder is imported here or with the modules of the defects, since
Tempest runs in a process that has none.
"""

from collections.abc import Callable
import dataclasses
import importlib
from typing import Any

from mutants import model

#: The modules that have the defects.
# Those of a lost database come first: its test wants a cloud in which no other
# defect has left a backup.
MODULES = ('losses', 'fields', 'imports', 'quotas', 'exports', 'restores',
           'removal', 'hanging', 'known')
#: The profile of the local cloud that can have most of them.
DEFAULT = 'default'
#: The drivers that bring them into a cloud, by its profile.
DRIVERS = {
    DEFAULT: 'mutants.clouds.driver.SwitchedBackupDriver',
    'swift': 'mutants.clouds.driver.SwitchedSwiftBackupDriver',
}
#: The tests have their names without this.
PACKAGE = 'cinder_backup_recovery_tests'

_FOUND: list['Defect'] = []


@dataclasses.dataclass(frozen=True)
class Defect:
    """A function that takes the place of one of Cinder's.

    Or one that Cinder itself has, and that is not put up with.

    :ivar mutant: what it is, for the matrix
    :ivar target: module and name of the function, with a colon between them
    :ivar function: called with the original one, and with its arguments
    :ivar backup: the profile of the local cloud that can have it
    :ivar undeclared: a known defect of Cinder that is not declared while the
        tests run; there is no function then
    """

    mutant: model.Mutant
    target: str = ''
    function: Callable[..., Any] | None = None
    backup: str = DEFAULT
    undeclared: str = ''


def defect(target: str, *meant: str, resembles: str = '',
           backup: str = DEFAULT
           ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter a defect into the catalogue.

    Its docstring is what it does wrong.

    :param target: what it is called instead of, as ``module:Class.method``
    :param meant: names of the tests, without that of the package
    :param resembles: a defect of this kind that a real Cinder had
    :param backup: the profile of the local cloud that can have it
    """
    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        _FOUND.append(Defect(
            model.Mutant(f'{function.__module__}.{function.__name__}',
                         model.sentence(function), meant, resembles),
            target, function, backup))
        return function

    return enter


def known(name: str, what: str, *meant: str) -> None:
    """Enter a defect that Cinder itself has.

    :param name: its name in the option ``known_defects``
    :param what: what goes wrong
    :param meant: names of the tests, without that of the package
    """
    _FOUND.append(Defect(
        model.Mutant(f'{__package__}.known.{name.replace("-", "_")}',
                     f'Cinder as it is: {what}.', meant), undeclared=name))


def defects() -> list[Defect]:
    """All defects."""
    for name in MODULES:
        importlib.import_module(f'{__package__}.{name}')
    return sorted(_FOUND, key=lambda one: MODULES.index(
        one.mutant.path.split('.')[-2]))


def mutants(backup: str | None = None) -> list[model.Mutant]:
    """All faulty clouds.

    :param backup: only those of this profile
    """
    return [one.mutant for one in defects()
            if backup in (None, one.backup)]


def find(name: str) -> Defect | None:
    """The defect of a faulty cloud.

    :param name: of it, in the matrix
    """
    return next((one for one in defects() if one.mutant.name == name), None)
