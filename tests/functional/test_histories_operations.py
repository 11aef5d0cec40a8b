# SPDX-License-Identifier: Apache-2.0

"""Each operation of histories finds a fault that no other one finds."""

from unittest import mock

from cinder import context as cinder_context
from cinder import objects
from cinder.backup.drivers import posix

from backup_model import telling
from reference_drivers.histories import search
from tests.functional import test_histories

# Of histories that have the operation.
_TRIES = 40


def _has(steps, operation):
    return any(operation in (step.operation, *(
        one['operation'] for one in step.arguments.get('steps', ())))
        for step in steps)


class OperationCase(test_histories.HistoriesCase):
    def drawn_with(self, operation):
        """Random histories that have an operation, the same ones always."""
        number = found = 0
        while found < _TRIES:
            steps = search.drawn(7, number)
            number += 1
            if _has(steps, operation):
                found += 1
                yield steps

    def assert_found(self, operation, cause):
        """A random history with an operation shows a cause.

        That it does not without a fault is what the reference driver's tests
        are for.
        """
        failure = next((
            one for steps in self.drawn_with(operation)
            for one in self.run_steps(steps) if one.cause == cause), None)
        self.assertIsNotNone(failure)
        return failure

    def fault(self, owner, name, replacement):
        original = getattr(owner, name)

        def faulty(*args, **kwargs):
            return replacement(original, *args, **kwargs)

        patch = mock.patch.object(owner, name, faulty)
        patch.start()
        self.addCleanup(patch.stop)


def _wants_the_row_of_the_volume(original, self, backup, *args):
    """It survives the deletion of the volume."""
    objects.Volume.get_by_id(cinder_context.get_admin_context(
        read_deleted='yes'), backup.volume_id)
    return original(self, backup, *args)


class DatabaseTest(OperationCase):
    """Nothing of a backup may be left in the database only."""

    def test_row_of_the_volume(self):
        self.fault(posix.PosixBackupDriver, 'restore',
                   _wants_the_row_of_the_volume)
        for operation in ('lose database', 'ship'):
            failure = self.assert_found(operation,
                                        ('restored-as-it-was', 'not'))
            self.assertTrue(_has(failure.steps, operation),
                            telling.story(failure))
