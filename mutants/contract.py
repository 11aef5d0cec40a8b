# SPDX-License-Identifier: Apache-2.0

"""Faulty drivers, and the checks of the contract."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
from typing import Any

import testtools

from mutants import catalogue
from mutants import matrix
from mutants import processes
from reference_drivers.contract import binding

#: The driver without a defect. All others extend it.
UNHARMED = 'reference_drivers.default.DefaultBackupDriver'
#: The adapter to its directory, which is in that of a test.
STORE = 'mutants.stores.HangingDirectory'


def checks() -> list[str]:
    """The names of all tests of the contract, without ``test_``."""
    return [name.removeprefix('test_') for name in binding.NAMES]


@contextlib.contextmanager
def running(backup: str = '') -> Iterator[Callable[..., Any]]:
    """Make Cinder's schema once, which each process would make otherwise.

    :returns: :func:`run`
    """
    # As a test makes it: the schema has default quotas of the configuration.
    with binding.Binding(UNHARMED, store=STORE).make_environment():
        pass
    yield run


def run(mutant: catalogue.Mutant | None, names: Sequence[str],
        limit: float = 300) -> Iterator[matrix.Outcome]:
    """Run checks on a driver, or on the one without a defect.

    Cinder is imported before, and the changes of a driver to its process end
    with it.

    :param limit: seconds that one check may take
    """
    driver = mutant.path if mutant else UNHARMED
    yield from processes.run(lambda: _session(driver), names, limit)


@contextlib.contextmanager
def _session(driver: str) -> Iterator[Callable[[str], processes.Answer]]:
    cases: dict[str, Any] = {
        case.id().rpartition('.test_')[2]: case for case in
        testtools.iterate_tests(
            binding.Binding(driver, store=STORE).tests())}
    for case in cases.values():
        # A driver that waits for its store is ended after this.
        case.patience = 20.0
    yield lambda check: processes.ask(cases[check])
