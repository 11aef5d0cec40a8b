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
"""Run checks of the contract on a driver."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib

from mutants import catalogue
from mutants import model
from mutants import processes


@contextlib.contextmanager
def _contract(driver: str) -> Iterator[Callable[[str], processes.Answer]]:
    """Run checks of the contract on a driver."""
    cases = catalogue.cases(driver)
    yield lambda check: processes.ask(cases[check])


def prepare() -> None:
    """Make once what each process would else make again: Cinder's schema."""
    # As a test makes it: the schema has default quotas of the configuration.
    with catalogue.bound(catalogue.UNHARMED).make_environment():
        pass


def run(driver: str, checks: Sequence[str], limit: float = 300
        ) -> Iterator[model.Outcome]:
    """Run checks of the contract on a driver.

    Cinder is imported before, and what a driver does to its process ends
    with it.

    :param driver: its class
    :param checks: their names
    :param limit: seconds that one check may take; one that takes longer has
        found that something is wrong
    :returns: what they said, one by one
    """
    yield from processes.run(lambda: _contract(driver), checks, limit)
