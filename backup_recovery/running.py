# SPDX-License-Identifier: Apache-2.0

"""Runs of a plan: its projects, and several backups at a time."""

from collections import deque
from collections.abc import Callable
from concurrent import futures
import dataclasses
import threading
from typing import Any

from backup_recovery import exceptions
from backup_recovery import journals
from backup_recovery import plans
from backup_recovery import quotas
from backup_recovery import work

#: Called with what is done, and with all.
Progress = Callable[[int, int], None]
#: Seconds between two reports of a progress that does not change.
_LOOK = 5.0


@dataclasses.dataclass
class Report:
    """The outcome of a run, as far as all kinds have it.

    :ivar failed: the reason by the id of each backup that failed
    :ivar projects: the reason by the id of each project that gets nothing
    :ivar left: ids of those that an interruption has left for the next run
    :ivar limits: quotas that are not what they were
    """

    failed: dict[str, str] = dataclasses.field(default_factory=dict)
    projects: dict[str, str] = dataclasses.field(default_factory=dict)
    left: list[str] = dataclasses.field(default_factory=list)
    limits: list[quotas.Change] = dataclasses.field(default_factory=list)


class Run:
    """One run of a plan.

    :param cloud: :class:`clouds.Cloud`
    :param journal: of the plan, entered
    :param stop: set it to end the run
    :param workers: how many items are worked on at a time
    """

    def __init__(self, cloud: Any, plan: plans.Plan,
                 journal: journals.Journal, report: Any,
                 stop: threading.Event, workers: int, progress: Progress):
        self._cloud = cloud
        self._plan = plan
        self._journal = journal
        self._stop = stop
        self._workers = workers
        self._progress = progress
        self.report = report

    def check_cloud(self) -> None:
        """Check that the cloud is the one of the plan, and can be used.

        :raises CloudError: it is not
        """
        place = self._cloud.place
        if place != self._plan.place:
            raise exceptions.CloudError(
                f'the plan is for region {self._plan.place["region"]} of '
                f'{self._plan.place["auth_url"]}, and not for '
                f'{place["region"]} of {place["auth_url"]}; make another one')
        self._cloud.require_administrator()

    def sessions(self, items: list[plans.Item]) -> dict[str, Any]:
        """Authenticate for each project that gets something."""
        sessions = {}
        for project in dict.fromkeys(item.project for item in items):
            try:
                sessions[project] = self._cloud.session(project)
            except exceptions.NotAuthorized:
                self._refuse(project, plans.NO_ROLE
                             if self._cloud.project(project) else
                             plans.NO_PROJECT)
        return sessions

    def _refuse(self, project: str, why: str) -> None:
        self.report.projects[project] = plans.PROJECT_REASONS[why].format(
            project=project, user=self._cloud.admin.user_id)

    def fail(self, item: plans.Item, reason: str) -> None:
        """Note an item that failed."""
        self.report.failed[item.id] = reason
        self._journal.write('failed', backup=item.id, reason=reason)

    def succeed(self, item: plans.Item, result: Any) -> None:
        """Note the result of an item."""
        raise NotImplementedError

    def so_far(self) -> tuple[int, int]:
        """The numbers of those that are done, and of all."""
        raise NotImplementedError

    def carry_out(self, work: Callable[[plans.Item], Any],
                  ready: deque[plans.Item]) -> None:
        """Work on what is ready, until nothing is or the run is stopped.

        :param ready: :meth:`succeed` may add to it
        """
        running: dict[futures.Future[Any], plans.Item] = {}
        with futures.ThreadPoolExecutor(self._workers) as pool:
            while True:
                while (ready and len(running) < self._workers and
                       not self._stop.is_set()):
                    item = ready.popleft()
                    reason = self.report.projects.get(item.project)
                    if reason:
                        self.fail(item, reason)
                        continue
                    running[pool.submit(work, item)] = item
                if not running:
                    return
                ended, _ = futures.wait(
                    running, _LOOK, return_when=futures.FIRST_COMPLETED)
                for future in ended:
                    self._ended(running.pop(future), future)
                self._progress(*self.so_far())

    def _ended(self, item: plans.Item, future: futures.Future[Any]) -> None:
        try:
            result = future.result()
        except work.Interrupted:
            return
        except work.NotAllowed:
            # Nor are the other ones of this project.
            self._refuse(item.project, plans.NO_ROLE)
            self.fail(item, self.report.projects[item.project])
            return
        except (work.Failed, exceptions.Refused) as error:
            self.fail(item, str(error))
            return
        except Exception:
            # The cloud does not answer, or the file has changed: so would all
            # others end, after a long time each.
            self._stop.set()
            raise
        self.succeed(item, result)


class OfVolumes(Run):
    """A run whose work grows with the size of the volumes."""

    # GiB that are done, and of all.
    _gigabytes = _all = 0

    def succeed(self, item: plans.Item, result: Any) -> None:
        """Note the result of an item."""
        self._gigabytes += item.size

    def fail(self, item: plans.Item, reason: str) -> None:
        """Note an item that failed."""
        super().fail(item, reason)
        self._gigabytes += item.size

    def so_far(self) -> tuple[int, int]:
        """The GiB that are done, and of all."""
        return self._gigabytes, self._all
