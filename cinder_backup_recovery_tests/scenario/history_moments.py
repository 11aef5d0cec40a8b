# SPDX-License-Identifier: Apache-2.0

"""Moments of a history at which requests meet, or cinder-backup dies.

Where a cloud holds requests, they are chosen as in one process. Two requests
at once have both passed the checks of the API before either changes a status,
and cinder-backup then serves one after the other. It dies when it has taken a
request, or at the later of its steps.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from concurrent import futures
import contextlib
import dataclasses
import functools

from backup_model import engine as engines
from backup_model import promises
from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import steps
from cinder_backup_recovery_tests.cloud import at_once
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.cloud import ledger as resource_ledger
from cinder_backup_recovery_tests.cloud import services
from cinder_backup_recovery_tests.cloud import waiters
from cinder_backup_recovery_tests.scenario import history_requests

# Seconds that a request has to come to a point: then it does not get there.
_ARRIVAL = 60
# Seconds for what follows the end of a status in the same process.
_AT_LEAST = 5


@dataclasses.dataclass(frozen=True)
class _Points:
    """Where requests of a kind are held.

    :ivar checked: in the API, which has changed nothing
    :ivar served: in cinder-backup, before it does the work that counts
    :ivar taken: in cinder-backup, before it does anything
    :ivar late: in cinder-backup, after a part of its work
    """

    checked: str
    served: str
    taken: str
    late: str


_POINTS = {
    'create': _Points(services.CREATE_REQUEST, services.CREATE_DATA,
                      services.CREATE, services.CREATE_DATA),
    'delete': _Points(services.DELETE_REQUEST, services.DELETE,
                      services.DELETE, services.DELETE_QUOTA),
    'import': _Points(services.IMPORT_REQUEST, services.IMPORT,
                      services.IMPORT, services.IMPORT_SAVED),
    'restore': _Points(services.RESTORE_REQUEST, services.RESTORE,
                       services.RESTORE, services.RESTORE),
}


@dataclasses.dataclass(frozen=True)
class _Place:
    """The points of a request, and what they are found by.

    :ivar held_by: id of a backup, or of the volume that is backed up
    """

    points: _Points
    held_by: str


Send = Callable[[engines.Request], engines.Answer]
#: Lists the backups, of those with these ids, that are on their way.
Busy = Callable[[set[str]], set[str]]


class Moments:
    """Brings the moments of a history about.

    :param hold: None where the cloud holds no requests: then requests are
        sent at the same time, and the service is killed at once
    :ivar missed: moments that did not come, in sentences
    """

    def __init__(self, hold: services.RequestHold | None,
                 ledger: resource_ledger.Ledger, patience: waiters.Patience,
                 busy: Busy, story: steps.Story) -> None:
        self._hold = hold
        self._story = story
        self._ledger = ledger
        self._patience = patience
        self._busy = busy
        self._killing = contextlib.ExitStack()
        self.missed: list[str] = []

    def together(self, requests: Sequence[engines.Request], send: Send
                 ) -> list[engines.Answer]:
        """Send requests so that they meet."""
        hold = self._hold
        places = [place for place in map(self._place, requests) if place]
        if hold is None or len(places) < len(requests):
            return at_once.at_once([functools.partial(send, one)
                                    for one in requests])

        def enter(stack: contextlib.ExitStack, point: str
                  ) -> dict[_Place, services.HeldRequests]:
            return {place: stack.enter_context(hold.at(
                getattr(place.points, point), place.held_by))
                for place in dict.fromkeys(places)}

        with (futures.ThreadPoolExecutor(len(requests)) as pool,
              contextlib.ExitStack() as in_service):
            with contextlib.ExitStack() as in_api:
                checked = enter(in_api, 'checked')
                sent = [pool.submit(send, one) for one in requests]

                def arrived() -> int:
                    # One that is refused does not get there.
                    return sum(held.number for held in checked.values()) + (
                        sum(one.done() for one in sent))

                # A Cinder without the defect may let in one after the other.
                if not self._until('both requests have passed the checks of '
                                   'the API', lambda: arrived() >= len(sent)
                                   ) and not arrived():
                    self.missed.append('no request has come to its point in '
                                       'the API')
                served = enter(in_service, 'served')
            answers = [one.result() for one in sent]
            self._serve([(place, answer) for place, answer in zip(
                places, answers, strict=True) if answer.accepted], served)
        return answers

    def _serve(self, accepted: list[tuple[_Place, engines.Answer]],
               served: dict[_Place, services.HeldRequests]) -> None:
        """Have cinder-backup do the work of requests one after the other."""
        places = [place for place, _ in accepted]
        if len(accepted) < 2 or not self._until(
                'cinder-backup has taken both requests',
                lambda: all(held.number >= places.count(place)
                            for place, held in served.items())):
            return
        backups = {_made(place, answer) for place, answer in accepted}
        for place in places[:-1]:
            before = self._busy(backups)
            served[place].release_first()
            self._until('one request has ended',
                        lambda before=before:  # type: ignore[misc]
                        self._busy(backups) < before, self._patience.restore)

    @contextlib.contextmanager
    def killing(self, request: engines.Request, after: int
                ) -> Iterator[Callable[[engines.Answer], None]]:
        """Hold a request in cinder-backup, until :meth:`killed`.

        :param after: 0 before it does anything
        :returns: is called with the answer, and waits until it is held
        """
        place = self._place(request)
        if self._hold is None or place is None:
            yield lambda answer: None
            return
        held = self._killing.enter_context(self._hold.at(
            place.points.late if after else place.points.taken,
            place.held_by))

        def wait(answer: engines.Answer) -> None:
            if not answer.accepted:
                return
            backups = {_made(place, answer)}
            # It may end before it gets there.
            self._until('cinder-backup has begun with the request',
                        lambda: held.number > 0 or not self._busy(backups),
                        self._patience.backup)
            if not held.arrived(1, _AT_LEAST):
                self.missed.append('the request has ended before the kill')

        yield wait

    def killed(self) -> None:
        """Hold no request any more, before the service is started again."""
        self._killing.close()

    def _until(self, what: str, condition: Callable[[], bool],
               limit: float | None = None) -> bool:
        """Wait for a condition, and return whether it was met."""
        try:
            with self._story.step(what):
                waiters.wait_until(condition, f'it is not so that {what}',
                                   self._patience,
                                   _ARRIVAL if limit is None else limit)
        except exceptions.WaitTimeout:
            return False
        return True

    def _place(self, request: engines.Request) -> _Place | None:
        """Where a request can be held, None for one that cannot."""
        kind, held_by = history_requests.kind(request)
        owner = clients.VOLUME if kind == 'create' else clients.BACKUP
        if kind not in _POINTS or not self._ledger.owns(owner, held_by):
            return None
        return _Place(_POINTS[kind], held_by)


def _made(place: _Place, answer: engines.Answer) -> str:
    """The id of the backup that an accepted request is about."""
    return answer.body.get('backup', {}).get('id', place.held_by)


def under_way(view: engines.View) -> set[tuple[str, ...]]:
    """All that is on its way to another status."""
    return {
        (one, told['status']) for one, told in view.backups.items()
        if told['status'] in promises.UNDER_WAY} | {
        (one, f'volume {status}') for one, status in view.volumes.items()
        if status in promises.UNDER_WAY}


def late(view: engines.View) -> set[tuple[str, ...]]:
    """All that Cinder corrects after a status is the last one."""
    return {(*key, str(off)) for key, off in promises.drift(view).items()
            if off} | {
        (one, 'children') for one, told in view.backups.items()
        if bool(told['has_dependent_backups']) != any(
            other['parent_id'] == one for other in view.backups.values())}
