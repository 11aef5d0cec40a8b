# SPDX-License-Identifier: Apache-2.0

"""Histories that the configuration asks for: of files, and random ones."""

from collections.abc import Callable
from collections.abc import Mapping
import pathlib
import random
import re
from typing import Any
import unittest

from tempest import config
from tempest.lib import decorators

from backup_model import drawing
from backup_model import history
from backup_model import running
from cinder_backup_recovery_tests import features
from cinder_backup_recovery_tests.scenario import histories
from cinder_backup_recovery_tests.scenario import history_in_process

CONF = config.CONF

_ID_OF_FILE = '43b180cd-e20a-46cc-953b-eba223f20126'
_ID_OF_RANDOM = 'f85aa2c0-d874-4179-8de8-f004fda92cb2'


class HistoryFileTest(histories.HistoryScenario):
    """A test for each of [cinder_backup_recovery] history_files."""


@decorators.serial
class KillingHistoryFileTest(histories.HistoryScenario):
    """Those in which cinder-backup is killed."""


@decorators.serial
class RandomHistoryTest(histories.HistoryScenario):
    """[cinder_backup_recovery] history_count tests."""


_Test = Callable[[histories.HistoryScenario], None]


def _of_file(path: pathlib.Path) -> _Test:
    def test(self: histories.HistoryScenario) -> None:
        """A history from a file keeps each promise.

        If it fails, a user relies on what this cloud does not keep.
        """
        steps = running.read(path)
        kinds = {step.operation for step in steps}
        reason = features.missing(CONF, [
            *['request_hold'] * bool(kinds & {'at once', 'killed'}),
            *['service_kill'] * ('killed' in kinds)])
        if reason:
            raise reason
        self.carry_out(steps)

    return decorators.idempotent_id(_ID_OF_FILE)(test)


def _random(number: int) -> _Test:
    def test(self: histories.HistoryScenario) -> None:
        """A random history keeps each promise.

        If it fails, a user relies on what this cloud does not keep.
        """
        seed = CONF.cinder_backup_recovery.history_seed
        if seed is None:
            seed = random.SystemRandom().randrange(10**6)
        able = CONF.cinder_backup_recovery_feature_enabled
        # What is damaged and then deleted could not be put back.
        lacks = ['import_verify', *(
            name for name in ('incremental', 'restore_to_existing_volume')
            if not able[name])]
        self.story.note(f'seed {seed}, history {number}')
        self.carry_out([
            step for step in drawing.without(drawing.drawn(seed, number),
                                             lacks)
            if step.operation not in history_in_process.OPERATIONS and (
                step.operation != 'killed' or able.service_kill)], seed=seed)

    return decorators.attr(type=['serial'])(
        decorators.idempotent_id(_ID_OF_RANDOM)(test))


def _made() -> Mapping[type[histories.HistoryScenario], dict[str, Any]]:
    """The tests that the configuration asks for, by class and name."""
    made: dict[type[histories.HistoryScenario], dict[str, Any]] = {
        HistoryFileTest: {}, KillingHistoryFileTest: {},
        RandomHistoryTest: {}}
    for number, name in enumerate(
            CONF.cinder_backup_recovery.history_files, 1):
        path = pathlib.Path(name)
        test, owner = _of_file(path), HistoryFileTest
        try:
            if any(one.operation == 'killed' for one in history.read(path)):
                test = decorators.attr(type=['serial'])(test)
                owner = KillingHistoryFileTest
        except history.HistoryError:
            # The check of the configuration says so in one line.
            pass
        stem = re.sub(r'\W', '_', path.stem)
        made[owner][f'test_{number:02}_{stem}'] = test
    for number in range(CONF.cinder_backup_recovery.history_count):
        made[RandomHistoryTest][f'test_{number:03}'] = _random(number)
    return made


def load_tests(loader: unittest.TestLoader, standard: unittest.TestSuite,
               pattern: str | None) -> unittest.TestSuite:
    """The tests of this module, with those of the configuration."""
    for owner, tests in _made().items():
        for name, test in tests.items():
            test.__name__ = name
            setattr(owner, name, test)
        standard.addTests(map(owner, tests))
    return standard
