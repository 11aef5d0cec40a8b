# SPDX-License-Identifier: Apache-2.0

"""Wait for a status of a resource, and explain why it is not reached.

A wait ends at once when the resource is in an error status, and quotes
Cinder's reasons. The waiters of Tempest name only the status.
"""

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
import dataclasses
import time
from typing import Any
from typing import Protocol

from oslo_log import log as logging
from tempest.lib import exceptions as lib_exc
from tempest.lib.common.utils import test_utils

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.cloud import clients

LOG = logging.getLogger(__name__)

DELETED = 'deleted'
GONE = 'gone'
"""The end that a test waits for where the cloud may have removed it."""


class Api(Protocol):
    """Requests of the waiters; :class:`clients.CloudApi` has them."""

    def show(self, kind: str, resource_id: str) -> dict[str, Any]:
        """Request a resource."""

    def messages(self, resource_id: str) -> list[str]:
        """Read Cinder's user messages about a resource."""


@dataclasses.dataclass(frozen=True)
class Patience:
    """Intervals and timeouts of polling."""

    interval: float = 1.0
    timeout: float = 300
    backup: float = 600
    restore: float = 600

    def pause(self, waited: float, limit: float) -> float:
        """Return the seconds until the next poll.

        A tenth of the time waited so far, within bounds: a short operation
        is noticed soon, and a long one is not slowed down by polls.

        :param waited: seconds since the first poll
        :param limit: seconds after which the last one is made
        """
        longer = min(waited / 10, 10 * self.interval)
        return min(max(self.interval, longer), max(limit - waited, 0.01))

    @classmethod
    def from_config(cls, conf: Any) -> 'Patience':
        """Take the times of the configuration."""
        group = conf.cinder_backup_recovery
        return cls(interval=group.poll_interval, timeout=group.wait_timeout,
                   backup=group.backup_timeout, restore=group.restore_timeout)


def status_of(kind: str, resource: dict[str, Any]) -> str:
    """Read the status of a resource, whatever the field is called."""
    if kind == clients.ATTACHMENT:
        return resource.get('status') or resource.get('attach_status') or ''
    return resource['status']


def reasons(api: Api, kind: str, resource_id: str,
            resource: dict[str, Any] | None = None) -> str:
    """Collect the cloud's reasons of a failure.

    :returns: fail_reason and user messages, or that there are none
    """
    said = []
    fail_reason = (resource or {}).get('fail_reason')
    if fail_reason:
        said.append(f'fail_reason: {fail_reason}')
    if kind in (clients.VOLUME, clients.BACKUP, clients.SNAPSHOT):
        said.extend(f'message: {text}'
                    for text in dict.fromkeys(api.messages(resource_id)))
    return '; '.join(said) or 'Cinder gives no reason'


def _quote(api: Api, kind: str, resource_id: str, resource: dict[str, Any],
           related: Iterable[tuple[str, str]]) -> str:
    text = reasons(api, kind, resource_id, resource)
    for other_kind, other_id in related:
        try:
            other = api.show(other_kind, other_id)
        except lib_exc.NotFound:
            text += f'; {other_kind} {other_id} is gone'
            continue
        text += (f'; {other_kind} {other_id} is '
                 f'{status_of(other_kind, other)}: '
                 f'{reasons(api, other_kind, other_id, other)}')
    return text


def _caller() -> str:
    return test_utils.find_test_caller() or 'the suite'


def _failed_status(status: str) -> bool:
    return status.startswith('error') or status in ('killed', 'deleted')


class _Poll:
    """Pauses between polls, until the time is over."""

    def __init__(self, patience: Patience, timeout: float | None) -> None:
        self._patience = patience
        self._limit = patience.timeout if timeout is None else timeout
        self._started = time.monotonic()

    def pause(self) -> bool:
        """Sleep until the next poll; False when the time is over."""
        self._waited = time.monotonic() - self._started
        if self._waited >= self._limit:
            return False
        time.sleep(self._patience.pause(self._waited, self._limit))
        return True

    def timeout(self, goal: str) -> exceptions.WaitTimeout:
        return exceptions.WaitTimeout(
            f'{_caller()} waited {self._waited:.0f} s{goal}')


def wait_for_status(api: Api, kind: str, resource_id: str,
                    wanted: str | Collection[str], patience: Patience,
                    timeout: float | None = None,
                    related: Iterable[tuple[str, str]] = ()
                    ) -> dict[str, Any]:
    """Wait until a resource has a status.

    :param wanted: the status, or several of which one is enough; GONE is
        one of them, for a resource that the API does not find
    :param timeout: seconds, when it is not the patience's
    :param related: other resources that know why it may fail
    :returns: the resource's fields then, only its status where it is GONE
    :raises ResourceFailed: as soon as it is in an error status or gone, where
        that is not wanted
    :raises WaitTimeout: when the time is over
    """
    statuses = [wanted] if isinstance(wanted, str) else list(wanted)
    goal = f'for {kind} {resource_id} to be {" or ".join(statuses)}, but it'
    poll = _Poll(patience, timeout)
    while True:
        try:
            resource = api.show(kind, resource_id)
        except lib_exc.NotFound:
            if GONE in statuses:
                return {'status': GONE}
            raise exceptions.ResourceFailed(
                f'{_caller()} waits {goal} is gone: '
                f'{reasons(api, kind, resource_id)}') from None
        status = status_of(kind, resource)
        if status in statuses:
            return resource
        if _failed_status(status):
            raise exceptions.ResourceFailed(
                f'{_caller()} waits {goal} is {status}: '
                f'{_quote(api, kind, resource_id, resource, related)}')
        if not poll.pause():
            raise poll.timeout(
                f' {goal} is still {status}: '
                f'{_quote(api, kind, resource_id, resource, related)}')


def wait_for_deletion(api: Api, kind: str, resource_id: str,
                      patience: Patience, timeout: float | None = None
                      ) -> None:
    """Wait until a resource whose deletion was accepted is gone.

    :param timeout: seconds, when it is not the patience's
    :raises ResourceFailed: as soon as the deletion has failed
    :raises WaitTimeout: when the time is over
    """
    goal = f'for {kind} {resource_id} to be deleted, but it'
    poll = _Poll(patience, timeout)
    while True:
        try:
            resource = api.show(kind, resource_id)
        except lib_exc.NotFound:
            return
        status = status_of(kind, resource)
        if status == DELETED:
            return
        # Cinder sets the status to deleting before it answers the request,
        # and back to available when the driver is busy.
        if _failed_status(status) or (
                status == 'available' and kind != clients.ATTACHMENT):
            raise exceptions.ResourceFailed(
                f'{_caller()} waits {goal} is {status}: '
                f'{reasons(api, kind, resource_id, resource)}')
        if not poll.pause():
            raise poll.timeout(f' {goal} is still {status}: '
                            f'{reasons(api, kind, resource_id, resource)}')


def wait_until(met: Callable[[], bool], what: str, patience: Patience,
               timeout: float | None = None) -> None:
    """Wait for a condition that no status shows.

    Cinder sets a status, or removes a row, before it has done the rest: the
    quota and the parent of a backup are changed after that.

    :param what: the missing condition, for a failure
    :param timeout: seconds, when it is not the patience's
    :raises WaitTimeout: when the time is over
    """
    poll = _Poll(patience, timeout)
    while not met():
        if not poll.pause():
            raise poll.timeout(f', but {what}')
