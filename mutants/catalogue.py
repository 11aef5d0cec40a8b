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
"""The faulty drivers, and the checks of the contract."""

from collections.abc import Callable
import importlib
from typing import Any

import testtools

from mutants import model
from reference_drivers.contract import binding

#: The driver that has no defect. All others extend it.
UNHARMED = 'reference_drivers.default.DefaultBackupDriver'
#: The adapter to its directory, which is in that of a test.
STORE = 'mutants.stores.HangingDirectory'
#: The modules that have the faulty drivers.
MODULES = ('records', 'verification', 'restores', 'removal')

_FOUND: list[model.Mutant] = []


def mutant(*meant: str, resembles: str = '') -> Callable[[type], type]:
    """Enter a faulty driver into the catalogue.

    Its docstring is the defect.

    :param meant: names of the checks, without ``test_``
    :param resembles: a defect of this kind that a real driver had
    """
    def enter(cls: type) -> type:
        _FOUND.append(model.Mutant(
            f'{cls.__module__}.{cls.__qualname__}', model.sentence(cls),
            meant, resembles))
        return cls

    return enter


def mutants() -> list[model.Mutant]:
    """All faulty drivers."""
    for name in MODULES:
        importlib.import_module(f'mutants.{name}')
    return sorted(_FOUND, key=lambda one: MODULES.index(
        one.name.partition('.')[0]))


def checks() -> list[str]:
    """The names of all tests of the contract, without ``test_``."""
    return [name.removeprefix('test_') for name in binding.NAMES]


def bound(driver: str) -> binding.Binding:
    """The contract's binding for a driver, with a directory of its own."""
    return binding.Binding(driver, store=STORE)


def cases(driver: str) -> dict[str, Any]:
    """The contract, bound to a driver.

    :param driver: its class
    :returns: test cases by the names of the checks
    """
    found = {one.id().rpartition('.test_')[2]: one for one in
             testtools.iterate_tests(bound(driver).tests())}
    for one in found.values():
        # A driver that waits for its store is ended after this.
        one.patience = 20.0
    return {name: found[name] for name in checks()}
