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
"""The tests of the Tempest plugin, by their names."""

import importlib
import pkgutil
from typing import Any
import unittest

import testtools

from mutants.clouds import catalogue

_ROOMS = ('api', 'scenario')


def cases() -> dict[str, Any]:
    """All tests of the plugin.

    :returns: test cases by name, which is without that of the package, and
        without the attributes that Tempest adds to it
    """
    loader = unittest.TestLoader()
    found: dict[str, Any] = {}
    for room in _ROOMS:
        package = importlib.import_module(f'{catalogue.PACKAGE}.{room}')
        for info in pkgutil.iter_modules(package.__path__):
            if not info.name.startswith('test_'):
                continue
            module = importlib.import_module(
                f'{package.__name__}.{info.name}')
            for case in testtools.iterate_tests(
                    loader.loadTestsFromModule(module)):
                # A base class of another module is no test of this one.
                if type(case).__module__ == module.__name__:
                    found[name(case)] = case
    return found


def name(case: Any) -> str:
    """The name of a test.

    :param case: the test
    """
    return case.id().partition('[')[0].removeprefix(f'{catalogue.PACKAGE}.')
