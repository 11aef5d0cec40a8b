# SPDX-License-Identifier: Apache-2.0

"""Raise the quotas of projects while backups are imported or restored."""

from collections import defaultdict
from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses
from typing import Any

from backup_recovery import clouds
from backup_recovery import exceptions
from backup_recovery import journals
from backup_recovery import plans


@dataclasses.dataclass(frozen=True)
class Change:
    """A quota that is not what it was.

    :ivar was: the limit before
    :ivar now: the limit, None where the request was refused
    """

    project: str
    name: str
    was: int
    now: int | None

    def __str__(self) -> str:
        if self.now is None:
            return (f'quota {self.name} of project {self.project} could not '
                    f'be restored to {self.was}; run again')
        return (f'quota {self.name} of project {self.project} is now '
                f'{self.now}, as much as is used; it was {self.was}')


def needs(cloud: Any, items: Iterable[plans.Item],
          names: tuple[str, str] = clouds.OF_BACKUPS
          ) -> Iterator[plans.Project]:
    """Yield the need of each project, without the project's name.

    :param names: of the quotas, that of the number first
    """
    sizes: dict[str, list[int]] = defaultdict(list)
    for item in items:
        sizes[item.project].append(item.size)
    for project, own in sizes.items():
        yield plans.Project(project, None, len(own), sum(own), {
            name: {'limit': quota.limit, 'used': quota.used,
                   'needed': quota.used + added}
            for (name, quota), added in zip(
                cloud.quotas(project, names).items(), (len(own), sum(own)),
                strict=True)})


class Limits:
    """The quotas of the projects of a plan.

    :param cloud: :class:`clouds.Cloud`
    :param journal: remembers the limits, also after a kill
    :param names: of the quotas, that of the number first
    """

    def __init__(self, cloud: Any, journal: journals.Journal,
                 names: tuple[str, str] = clouds.OF_BACKUPS):
        self._cloud = cloud
        self._journal = journal
        self._names = names

    def raise_for_all(self, items: Iterable[plans.Item]) -> None:
        """Raise the limits that are too low for what will be made."""
        for need in needs(self._cloud, items, self._names):
            limits = {name: quota['limit']
                      for name, quota in need.quotas.items()}
            wanted = {name: limit if limit == -1 else
                      max(limit, need.quotas[name]['needed'])
                      for name, limit in limits.items()}
            if wanted != limits:
                self._journal.raise_(need.project, limits)
                self._cloud.set_quotas(need.project, wanted)

    def put_back(self) -> list[Change]:
        """Put the limits back; Cinder accepts none below the use.

        :returns: those that are different
        """
        changes = []
        for project, limits in list(self._journal.raised.items()):
            now: dict[str, int | None]
            try:
                used = {name: quota.used for name, quota in
                        self._cloud.quotas(project, tuple(limits)).items()}
                wanted = {name: limit if limit == -1 else
                          max(limit, used[name])
                          for name, limit in limits.items()}
                self._cloud.set_quotas(project, wanted)
                self._journal.restore(project)
                now = dict(wanted)
            except exceptions.RecoveryError:
                now = dict.fromkeys(limits)
            changes += [Change(project, name, limit, now[name])
                        for name, limit in limits.items()
                        if now[name] != limit]
        return changes
