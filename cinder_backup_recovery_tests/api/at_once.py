# SPDX-License-Identifier: Apache-2.0
"""Base of the tests that send several requests at the same time."""

from concurrent import futures
import time
from typing import ClassVar

from tempest import config

from cinder_backup_recovery_tests.api import lost_backup
from cinder_backup_recovery_tests.api import refusals
from cinder_backup_recovery_tests.cloud import at_once as meeting
from cinder_backup_recovery_tests.cloud import services

CONF = config.CONF

# Seconds that the second import has to come to the point where the first one
# is held, before it is taken for one that waits for it.
_OTHER = 30


class AtOnceTest(lost_backup.LostBackupTest):
    """Base: requests that meet inside Cinder."""

    hold: ClassVar[services.RequestHold | None]
    #: Whether an import was answered with 500.
    broke = False

    @classmethod
    def setup_clients(cls) -> None:
        """Check the program that holds requests."""
        super().setup_clients()
        cls.hold = services.RequestHold.from_config(CONF, cls.ledger)

    def import_twice(self) -> tuple[bool, list[str]]:
        """Import the same record twice, each before the other is finished.

        :returns: whether both were under way at the same time, and what
            each was answered
        """
        times: list[tuple[float, float]] = []

        def attempt() -> str:
            begun = time.monotonic()
            try:
                return self.cloud.import_record(self.record)['id']
            except refusals.ERRORS as exc:
                try:
                    refusals.check(exc, 'one record, twice at once,')
                except refusals.BrokeCinder as broke:
                    self.broke = True
                    return str(broke)
                return ('refused' if 'already exists' in str(exc) else
                        str(exc))
            finally:
                times.append((begun, time.monotonic()))

        if self.hold is None:
            answers = meeting.at_once([attempt, attempt])
            (begun, ended), (other_begun, other_ended) = times
            return begun < other_ended and other_begun < ended, answers
        with futures.ThreadPoolExecutor(2) as pool:
            with self.hold.at(services.IMPORT_REQUEST, self.backup_id) as held:
                requests = [pool.submit(attempt), pool.submit(attempt)]
                held.require(self.patience.timeout)
                # A Cinder without the defect may let in one after the other.
                together = held.arrived(2, _OTHER)
            with self.story.step(
                    'two imports have seen that there is no such backup'
                    if together else
                    'an import waits for the end of the other one'):
                return together, [request.result() for request in requests]
