# SPDX-License-Identifier: Apache-2.0

"""Make the plan of a recovery: a file of records against a cloud."""

from collections.abc import Mapping
from concurrent import futures
import dataclasses
import pathlib
from typing import Any

import yaml

from backup_recovery import books
from backup_recovery import clouds
from backup_recovery import exceptions
from backup_recovery import files
from backup_recovery import plans
from backup_recovery import quotas


@dataclasses.dataclass(frozen=True)
class Names:
    """The names in the cloud of what has others in the records.

    :ivar projects: ids by ids
    :ivar services: classes of drivers by those in the records
    :ivar types: volume types by those of the originals, or by the ids of these
    :ivar zones: the same for availability zones of volumes
    """

    projects: Mapping[str, str] = dataclasses.field(default_factory=dict)
    services: Mapping[str, str] = dataclasses.field(default_factory=dict)
    types: Mapping[str, str] = dataclasses.field(default_factory=dict)
    zones: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @classmethod
    def read(cls, path: pathlib.Path) -> 'Names':
        """Read it from a file in YAML.

        :raises BadFile: it cannot be understood
        """
        with files.reading(path) as stream:
            try:
                content = yaml.safe_load(stream)
            except (yaml.YAMLError, UnicodeDecodeError) as error:
                raise exceptions.BadFile(f'{path} is not YAML') from error
        names = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(content, dict) or set(content) - names or not all(
                isinstance(part, dict) and all(
                    isinstance(text, str) for pair in part.items()
                    for text in pair) for part in content.values()):
            raise exceptions.BadFile(
                f'{path} is not a map; it may have "projects", "services", '
                f'"types" and "zones", each with old: new (quote ids of '
                f'digits only)')
        return cls(**content)


def make(cloud: Any, book: books.Book, names: Names | None = None,
         lost_since: str | None = None, workers: int = 4,
         damaged: bool = False) -> plans.Plan:
    """Make a plan. It changes nothing.

    :param cloud: :class:`clouds.Cloud`
    :param book: the records
    :param names: those that are others in the cloud
    :param lost_since: a time, of which a beginning is enough; a backup that
        had gone before was deleted, and not lost. None: all that had gone
    :param workers: requests at a time
    :param damaged: import also those of which a scan has not found all
    :raises CloudError: the cloud cannot be read
    """
    cloud.require_administrator()
    names = names or Names()
    existing = {backup.id: backup for backup in cloud.backups()}
    plan = plans.Plan(cloud.place, book.path.resolve())
    # Of one that has a record, the line of that tells.
    plan.remains = [one for one in book.remains if one.id not in existing and
                    one.id not in book.records]
    classes = {} if damaged else _classes(book)
    depths = _depths(book.records)
    owners = {one.id: names.projects.get(project, project)
              for one in book.records.values()
              for project in [one.facts.project_id or '']}
    reasons = {one.id: _reason(one, owners[one.id], existing.get(one.id),
                               lost_since, classes.get(one.id))
               for one in book.records.values()}
    wanted = {owners[one] for one, why in reasons.items()
              if why in (None, plans.FAILED, plans.UNFINISHED)}
    projects = _projects(cloud, sorted(wanted), workers)
    importable: set[str] = set()
    for one in sorted(book.records.values(),
                      key=lambda one: (depths.get(one.id, 0),
                                       one.facts.created_at, one.id)):
        why = reasons[one.id]
        if why in (None, plans.FAILED, plans.UNFINISHED):
            why = projects[owners[one.id]][1] or why
        if why in (None, plans.FAILED, plans.UNFINISHED):
            if one.id not in depths:
                why = plans.CIRCLE
            elif not _has_parent(one.parent_id, importable, existing):
                why = plans.NO_PARENT
            else:
                importable.add(one.id)
        plan.items.append(_item(one, owners[one.id], why, names,
                                one.id in importable))
    plan.projects = [
        dataclasses.replace(need, name=projects[need.project][0])
        for need in quotas.needs(cloud, plan.imports)]
    return plan


def _item(one: books.Summary, owner: str, why: str | None,
          names: Names, is_import: bool) -> plans.Item:
    return plans.Item(
        plans.IMPORT if is_import else plans.LEAVE, why, one.id, owner,
        one.parent_id, one.facts.name, one.facts.size, one.facts.volume_id,
        one.facts.created_at,
        names.services.get(one.service, one.service), one.digest)


def _classes(book: books.Book) -> dict[str, str]:
    """The reason by each record that the storage does not have all of."""
    found = {one.id: one.remains for one in book.remains if one.id}
    found |= {one.id: one.found for one in book.records.values() if one.found}
    return {one: plans.CLASSES[kind] for one, kind in found.items()
            if kind in plans.CLASSES}


def _reason(one: books.Summary, owner: str, found: clouds.Backup | None,
            lost_since: str | None, remains: str | None) -> str | None:
    """The reason not to import a backup, by itself and the cloud alone."""
    if found is None:
        if one.gone and (lost_since is None or one.gone < lost_since):
            return plans.GONE
        return remains or (None if owner else plans.NO_OWNER)
    # The owner of a scanned one is that of its volume.
    if found.facts.project_id != owner and not one.scanned:
        return plans.ELSEWHERE
    if found.imported_in_part:
        return (plans.FAILED if found.status == 'error' else
                plans.UNFINISHED)
    if (found.facts.volume_id, found.facts.size) != (one.facts.volume_id,
                                                     one.facts.size):
        return plans.DIFFERS
    return plans.EXISTS


def _has_parent(parent: str | None, importable: set[str],
                existing: Mapping[str, clouds.Backup]) -> bool:
    return parent is None or parent in importable or (
        parent in existing and not existing[parent].imported_in_part)


def _depths(found: Mapping[str, books.Summary]) -> dict[str, int]:
    """The number of parents of each backup in the file.

    :returns: without those that build on themselves
    """
    depths: dict[str, int] = {}
    for one in found:
        way: dict[str, None] = {}
        while one in found and one not in depths and one not in way:
            way[one] = None
            one = found[one].parent_id or ''
        if one in way:
            # A circle, and all that leads to it.
            continue
        depth = depths.get(one, -1)
        for step in reversed(way):
            depth += 1
            depths[step] = depth
    return depths


def _projects(cloud: Any, wanted: list[str], workers: int
              ) -> dict[str, tuple[str | None, str | None]]:
    """The name of each project, and the reason why it gets nothing."""
    def look(project: str) -> tuple[str | None, str | None]:
        found = cloud.project(project)
        if found is None:
            return None, plans.NO_PROJECT
        name, enabled = found
        if not enabled:
            return name, plans.DISABLED
        return name, None if cloud.has_role(project) else plans.NO_ROLE

    with futures.ThreadPoolExecutor(workers) as pool:
        return dict(zip(wanted, pool.map(look, wanted), strict=True))
