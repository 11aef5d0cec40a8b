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
"""A cloud whose defect can be switched, and Tempest's tests against it."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import dataclasses
import functools
import os
import pathlib
import tempfile
import time
from typing import Any
import unittest

import fixtures

from cinder_backup_recovery_tests import config as recovery_config
from cinder_backup_recovery_tests import facts
from local_cloud import backups
from local_cloud import fixture
from local_cloud.machine import state as cloud_state
from mutants import model
from mutants import processes
from mutants.clouds import catalogue
from mutants.clouds import switch
from mutants.clouds import tests

_ROOT = pathlib.Path(__file__).parents[2]
# A healthy cloud of this size takes seconds. A faulty one may never come to
# an end, and is not waited for as long as somebody else's.
_PATIENCE = {'wait_timeout': 60, 'backup_timeout': 60, 'restore_timeout': 90}


class FaultyCloud:
    """A local cloud of its own, taken down at the end of the context.

    It has what the tests of a defect may want: a second region, and where the
    driver is the default one, a second cinder-backup.

    :param backup: the profile, of :data:`catalogue.DRIVERS`
    """

    def __init__(self, backup: str = catalogue.DEFAULT) -> None:
        self._backup = backup
        self._stack = contextlib.ExitStack()
        self._switch = pathlib.Path()

    def __enter__(self) -> 'FaultyCloud':
        with contextlib.ExitStack() as stack:
            stack.callback(_set_environment, dict(os.environ))
            # Of another cloud, to which nothing may be done.
            _set_environment({
                name: value for name, value in os.environ.items()
                if not name.startswith(('OS_', 'TEMPEST_')) and
                name != cloud_state.ENVIRONMENT})
            self._switch = pathlib.Path(stack.enter_context(
                tempfile.TemporaryDirectory(prefix='mutant-'))) / 'defect'
            os.environ[switch.ENVIRONMENT] = str(self._switch)
            os.environ['PYTHONPATH'] = os.pathsep.join(
                [str(_ROOT), *filter(None, [os.environ.get('PYTHONPATH')])])
            profile = backups.BACKENDS[self._backup]
            stack.callback(backups.BACKENDS.__setitem__, self._backup,
                           profile)
            backups.BACKENDS[self._backup] = dataclasses.replace(
                profile, driver=catalogue.DRIVERS[self._backup])
            local = stack.enter_context(_started(self._backup))
            os.environ.update(local.environment)
            self._stack = stack.pop_all()
        _be_impatient()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def run(self, name: str, checks: Sequence[str], limit: float
            ) -> Iterator[model.Outcome]:
        """Run tests while the cloud has a defect.

        :param name: of the defect, nothing for none
        :param checks: the tests, those of a class one after the other
        :param limit: seconds that one may take
        :returns: what they said, one by one
        """
        yield from processes.run(
            functools.partial(_session, self._switch, name), checks, limit)


def _set_environment(variables: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(variables)


@contextlib.contextmanager
def _started(backup: str) -> Iterator[fixture.LocalCloud]:
    """Have a cloud; one that is stopped half-way is removed, too.

    :param backup: the profile
    :raises LocalCloudError: it does not start
    """
    local = fixture.LocalCloud(
        backup, timeout=180, second_region=True,
        second_backup=backup == catalogue.DEFAULT)
    try:
        local.setUp()
    except fixtures.MultipleExceptions as error:
        # What went wrong, and then what the clean-up had to say.
        raise error.args[0][1] from None
    try:
        yield local
    finally:
        local.cleanUp()


def _be_impatient() -> None:
    from tempest import config

    for name, seconds in _PATIENCE.items():
        config.CONF.set_override(name, seconds, 'cinder_backup_recovery')


def _put_up_with_all_but(name: str) -> None:
    from tempest import config

    declared = recovery_config.declared_defects(config.CONF)
    config.CONF.set_override('known_defects', sorted(declared - {name}),
                             'cinder_backup_recovery')


class _Classes:
    """The fixtures of the classes of tests, one at a time."""

    def __init__(self) -> None:
        self._current: Any = None

    def use(self, cls: Any) -> None:
        """Set a class up, unless it is."""
        if cls is self._current:
            return
        # Of the test before, which has said what it found.
        with contextlib.suppress(Exception):
            self.end()
        cls.setUpClass()
        self._current = cls

    def end(self) -> None:
        """Tear down what was set up last."""
        current, self._current = self._current, None
        if current is not None:
            current.tearDownClass()


@contextlib.contextmanager
def _session(path: pathlib.Path, name: str
             ) -> Iterator[Callable[[str], processes.Answer]]:
    """Have a defect, in the process that runs the tests."""
    cases = tests.cases()
    classes = _Classes()
    defect = catalogue.find(name)
    if defect and defect.undeclared:
        _put_up_with_all_but(defect.undeclared)

    def answer(check: str) -> processes.Answer:
        begin = time.monotonic()
        case = cases[check]
        # Also while the class is set up: a cloud has its defects all the
        # time. Only that a test has found it by then is not said.
        with switch.on(path, name):
            classes.use(type(case))
            problem = case.class_problem
            if problem and not isinstance(problem, unittest.SkipTest):
                return ('broken', f'no set-up: {_line(problem)}',
                        time.monotonic() - begin)
            return judged(case)

    yield answer
    with contextlib.suppress(Exception):
        classes.end()


def judged(case: Any) -> processes.Answer:
    """Run a test, and take what the kit refuses for no kill.

    :param case: the test
    """
    refusals: list[facts.Refusal | None] = []
    case.addOnException(
        lambda exc_info: refusals.append(facts.Refusal.of(exc_info[1])))
    how, reason, seconds = processes.ask(case, time.monotonic)
    return 'broken' if any(refusals) else how, reason, seconds


def _line(error: BaseException) -> str:
    return ' '.join(f'{type(error).__name__}: {error}'.split())[:300]
