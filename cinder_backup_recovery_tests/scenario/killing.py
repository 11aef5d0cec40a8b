# SPDX-License-Identifier: Apache-2.0

"""Base of the tests in which cinder-backup dies in the middle of its work."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from concurrent import futures
import contextlib
import threading
from typing import Any
from typing import ClassVar

from tempest import config
from tempest.lib import exceptions as lib_exc
import urllib3

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.cloud import services
from cinder_backup_recovery_tests.scenario import backups
from cinder_backup_recovery_tests.scenario import base

CONF = config.CONF

TRIES = 8
"""The tries to kill the service at a moment that is met by chance."""

# What a request may raise whose service was killed.
_NO_ANSWER = (lib_exc.RestClientException, urllib3.exceptions.HTTPError)


class KillingScenario(base.RecoveryScenario):
    """One backup, and a cinder-backup that is killed during a request.

    A test proves that it was, and raises MomentMissed where the kill has
    only met a service that had nothing to do.
    """

    needed_features: tuple[str, ...] = ('service_kill',)
    makes = backups.FULL

    service: ClassVar[services.BackupService]
    hold: ClassVar[services.RequestHold | None]

    @classmethod
    def setup_clients(cls) -> None:
        """Check the programs before anything is created."""
        super().setup_clients()
        cls.service = services.BackupService.from_config(CONF)
        cls.service.check()
        cls.hold = services.RequestHold.from_config(CONF, cls.ledger)

    def kill(self) -> None:
        """Kill the service."""
        # Whatever the kill has come to, the next test finds it up.
        self.addCleanup(self.service.start)
        with self.story.step('cinder-backup is killed'):
            self.service.kill()

    def start(self) -> None:
        """Start the service again."""
        with self.story.step('cinder-backup is started again'):
            self.service.start()

    def settled(self, kind: str, resource_id: str,
                statuses: tuple[str, ...], timeout: float | None = None
                ) -> dict[str, Any]:
        """Wait for the final status of an interrupted resource.

        :param statuses: those that it may end in
        :param timeout: seconds, when it is not that of a restore
        """
        return self.resources.wait(
            kind, resource_id, statuses,
            timeout=self.patience.restore if timeout is None else timeout)

    def crash_during(self, point: str, once: Callable[[], Any],
                     again: Sequence[Callable[[threading.Event], Any]]
                     ) -> bool:
        """Kill the service during a request about the backup; start it again.

        Where requests can be held, it is killed when the request has started.
        Elsewhere requests are repeated, so that the kill may meet one.

        :param again: send it again and again at the same time, until they
            learn that the service was killed
        :returns: whether one was under way: it was held, or got no answer or
            that of an error
        :raises MomentMissed: the request does not come to the point
        """
        killed = threading.Event()
        with futures.ThreadPoolExecutor(len(again)) as pool:
            try:
                # It must not hold what comes after the start.
                with self._held(point) as wait:
                    answers = ([pool.submit(once)] if self.hold else
                               [pool.submit(send, killed) for send in again])
                    wait()
                    self.kill()
            finally:
                killed.set()
            self.start()
            errors = [answer.exception() for answer in answers]
        for error in errors:
            if error and not isinstance(error, _NO_ANSWER):
                raise error
        return self.hold is not None or any(errors)

    @contextlib.contextmanager
    def _held(self, point: str) -> Iterator[Callable[[], None]]:
        if self.hold is None:
            yield lambda: None
            return
        with self.hold.at(point, self.full.backup_id) as held:
            yield lambda: self._wait(held, point)

    def _wait(self, held: services.HeldRequests, what: str) -> None:
        with self.story.step(f'cinder-backup has started the {what}'):
            held.require(self.patience.backup)

    def until_interrupted(self, what: str, attempt: Callable[[], bool]
                          ) -> None:
        """Kill the service again until it was in the middle of its work.

        :param attempt: kills it, checks the result, and returns whether
            the work was interrupted
        :raises MomentMissed: it never was
        """
        for _ in range(TRIES):
            if attempt():
                return
            self.story.note(f'the kill has not met the {what}')
        raise exceptions.MomentMissed(
            f'cinder-backup was killed {TRIES} times and never during the '
            f'{what}: set [cinder_backup_recovery] request_hold_command, or '
            f'use a faster service_kill_command')
