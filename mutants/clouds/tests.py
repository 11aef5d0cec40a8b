# SPDX-License-Identifier: Apache-2.0

"""A cloud whose defect can be switched, and Tempest's tests against it."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import dataclasses
import importlib
import os
import pathlib
import pkgutil
import tempfile
import time
from typing import Any
import unittest

import testtools

from cinder_backup_recovery_tests import config as recovery_config
from cinder_backup_recovery_tests import connecting
from cinder_backup_recovery_tests import facts
from local_cloud import backups
from local_cloud import exceptions
from local_cloud import fixture
from local_cloud.machine import cloud_state
from mutants import catalogue
from mutants import matrix
from mutants import processes
from mutants.clouds import switch

_ROOT = pathlib.Path(__file__).parents[2]
#: The tests have their names without this.
_PACKAGE = 'cinder_backup_recovery_tests'
_ROOMS = ('api', 'scenario')
# A healthy cloud of this size takes seconds. A faulty one may never answer,
# and is not waited for as long as a user's.
_PATIENCE = {'wait_timeout': 60, 'backup_timeout': 60, 'restore_timeout': 90}


def cases() -> dict[str, Any]:
    """All tests of the plugin.

    :returns: test cases by name, without the name of the package and without
        the attributes that Tempest appends
    """
    loader = unittest.TestLoader()
    found: dict[str, Any] = {}
    for room in _ROOMS:
        package = importlib.import_module(f'{_PACKAGE}.{room}')
        for info in pkgutil.iter_modules(package.__path__):
            if not info.name.startswith('test_'):
                continue
            module = importlib.import_module(
                f'{package.__name__}.{info.name}')
            if hasattr(module, 'load_tests'):
                # Those that a configuration asks for: there is none yet.
                continue
            for case in testtools.iterate_tests(
                    loader.loadTestsFromModule(module)):
                # A base class of another module is no test of this one.
                if type(case).__module__ == module.__name__:
                    name = case.id().partition('[')[0]
                    found[name.removeprefix(f'{_PACKAGE}.')] = case
    return found


def checks() -> list[str]:
    """The names of all tests."""
    return list(cases())


@contextlib.contextmanager
def running(backup: str = catalogue.DEFAULT, member: bool = False,
            content_access: str = connecting.ATTACHMENT
            ) -> Iterator[Callable[..., Any]]:
    """Start a local cloud, and take it down at the end.

    It has what the tests of a defect may need: a second region, and where the
    driver is the default one, a second cinder-backup and a Barbican.

    :param backup: the profile, of :data:`catalogue.SWITCHED`
    :param member: whether the cloud has only what tests of tenant mode need
    :param content_access: how the tests write and read volumes
    :returns: runs tests while the cloud has a defect: called with the mutant,
        or None, with the tests, those of a class one after the other, and with
        the seconds that one may take
    :raises MatrixError: the cloud does not start
    """
    try:
        with contextlib.ExitStack() as stack:
            stack.callback(_set_environment, dict(os.environ))
            # Without another cloud, which must not be changed.
            _set_environment({
                name: value for name, value in os.environ.items()
                if not name.startswith(('OS_', 'TEMPEST_')) and
                name != cloud_state.ENVIRONMENT})
            path = pathlib.Path(stack.enter_context(
                tempfile.TemporaryDirectory(prefix='mutant-'))) / 'defect'
            os.environ[switch.ENVIRONMENT] = str(path)
            os.environ['PYTHONPATH'] = os.pathsep.join(
                [str(_ROOT), *filter(None, [os.environ.get('PYTHONPATH')])])
            profile = backups.BACKENDS[backup]
            stack.callback(backups.BACKENDS.__setitem__, backup, profile)
            backups.BACKENDS[backup] = dataclasses.replace(
                profile, driver=catalogue.SWITCHED[backup])
            more = backup == catalogue.DEFAULT and not member
            local = stack.enter_context(fixture.started(
                backup, timeout=180, second_region=not member,
                second_backup=more, key_manager='barbican' if more else None))
            os.environ.update(local.environment)
            for name, value in {**_PATIENCE,
                                'content_access': content_access}.items():
                _override(name, value)
            yield lambda mutant, names, limit: _run(path, mutant, names, limit)
    except exceptions.LocalCloudError as error:
        raise matrix.MatrixError(str(error)) from error


def _set_environment(variables: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(variables)


def _override(name: str, value: Any) -> None:
    from tempest import config

    config.CONF.set_override(name, value, 'cinder_backup_recovery')


def _run(path: pathlib.Path, mutant: catalogue.Mutant | None,
         names: Sequence[str], limit: float) -> Iterator[matrix.Outcome]:
    yield from processes.run(lambda: _session(path, mutant), names, limit)


class _Classes:
    """The fixtures of the classes of tests, one at a time."""

    def __init__(self) -> None:
        self._current: Any = None

    def use(self, cls: Any) -> None:
        """Set a class up, unless it is."""
        if cls is self._current:
            return
        # Of the test before, whose result is known.
        with contextlib.suppress(Exception):
            self.end()
        cls.setUpClass()
        self._current = cls

    def end(self) -> None:
        """Tear down the last class."""
        current, self._current = self._current, None
        if current is not None:
            current.tearDownClass()


@contextlib.contextmanager
def _session(path: pathlib.Path, mutant: catalogue.Mutant | None
             ) -> Iterator[Callable[[str], processes.Answer]]:
    """Have a defect, in the process that runs the tests."""
    found = cases()
    classes = _Classes()
    if mutant and mutant.undeclared:
        from tempest import config

        _override('known_defects', sorted(
            recovery_config.declared_defects(config.CONF) -
            {mutant.undeclared}))

    def answer(check: str) -> processes.Answer:
        started = time.monotonic()
        case = found[check]
        # Also while the class is set up: a cloud has its defects all the
        # time. Only that no test has found it by then.
        with switch.on(path, mutant.name if mutant else ''):
            classes.use(type(case))
            problem = case.class_problem
            if problem and not isinstance(problem, unittest.SkipTest):
                text = f'{type(problem).__name__}: {problem}'
                return ('broken', processes.in_a_line(f'no set-up: {text}'),
                        time.monotonic() - started)
            return judged(case)

    yield answer
    with contextlib.suppress(Exception):
        classes.end()


def judged(case: Any) -> processes.Answer:
    """Run a test; a refusal of the kit is no kill."""
    refusals: list[facts.Refusal | None] = []
    case.addOnException(
        lambda exc_info: refusals.append(facts.Refusal.of(exc_info[1])))
    how, reason, seconds = processes.ask(case, time.monotonic)
    return 'broken' if any(refusals) else how, reason, seconds
