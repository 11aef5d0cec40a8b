# SPDX-License-Identifier: Apache-2.0

"""The plan of a recovery, and the file that it is kept in.

A line of JSON for each backup, below a head and a line for each project. A
person may delete lines, and change what the schema says may be changed.
"""

import dataclasses
import json
import pathlib
from typing import Any

from backup_recovery import exceptions
from backup_recovery import files
from backup_recovery import records as records_

VERSION = 1
_SCHEMA = 'plan'
IMPORT, LEAVE = 'import', 'leave'

#: Why a backup is left alone.
EXISTS, ELSEWHERE, DIFFERS = 'exists', 'elsewhere', 'differs'
GONE, NO_PARENT, CIRCLE = 'gone', 'no-parent', 'circle'
NO_PROJECT, DISABLED, NO_ROLE = 'no-project', 'disabled-project', 'no-role'
NO_OWNER, DAMAGED, DELETED = 'no-owner', 'damaged', 'deleted'
INCOMPLETE, UNREAD = 'incomplete', 'unread'
#: The reason by the class that a scan has given a backup.
CLASSES = {'damaged': DAMAGED, 'deleted': DELETED, 'unread': UNREAD,
           'unfinished': INCOMPLETE}
#: Why there is a row already, and it is imported all the same.
FAILED, UNFINISHED = 'failed', 'unfinished'

#: About all backups of a project.
PROJECT_REASONS = {
    NO_PROJECT: 'project {project} does not exist: create it, or map it to '
                'another one with --map',
    DISABLED: 'project {project} is disabled: openstack project set --enable '
              '{project}',
    NO_ROLE: 'user {user} has no role in project {project}: openstack role '
             'add --user {user} --project {project} admin',
}
#: About one backup.
REASONS = {
    ELSEWHERE: 'is in the cloud, but not in project {project}',
    DIFFERS: 'is in the cloud with another volume or size; compare both',
    GONE: 'had gone from the cloud before: it was deleted, or lost with the '
          'others (--lost-since)',
    NO_PARENT: 'builds on backup {parent}, which neither is in the cloud nor '
               'will be',
    CIRCLE: 'builds on itself, by backup {parent}',
    NO_OWNER: 'has an owner that the storage does not know: --owner PROJECT, '
              'or write the project into the plan',
    DAMAGED: 'is damaged on the storage; --damaged imports it all the same',
    DELETED: 'is what a deletion has left on the storage; --damaged imports '
             'it all the same',
    INCOMPLETE: 'has no metadata on the storage, and cannot be restored; '
                '--damaged imports it all the same',
    UNREAD: 'could not be read on the storage; scan again, or --damaged',
    FAILED: 'is in the cloud in status error, from an import that failed: '
            'apply needs --retry',
    UNFINISHED: 'is in the cloud in status creating, from an import that '
                'has not ended: apply waits for it',
}


@dataclasses.dataclass(frozen=True, slots=True)
class Item:
    """A backup, and what is to be done with it."""

    action: str
    why: str | None
    id: str
    project: str
    parent: str | None
    name: str | None
    size: int
    volume: str | None
    created: str
    service: str
    record: str


@dataclasses.dataclass(frozen=True)
class Project:
    """A project that gets backups.

    :ivar quotas: limit, used and needed, by the name of the quota
    """

    project: str
    name: str | None
    imports: int
    gigabytes: int
    quotas: dict[str, dict[str, int]]


@dataclasses.dataclass
class Plan:
    """A plan.

    :ivar place: of the cloud: ``auth_url`` and ``region``
    :ivar records: the file of records
    :ivar items: a parent before its children
    :ivar remains: findings of a scan that are not in the cloud, and not in
        the file of the plan
    """

    place: dict[str, str]
    records: pathlib.Path
    made: str = dataclasses.field(default_factory=files.now)
    projects: list[Project] = dataclasses.field(default_factory=list)
    items: list[Item] = dataclasses.field(default_factory=list)
    remains: list[records_.Remains] = dataclasses.field(default_factory=list)

    @property
    def imports(self) -> list[Item]:
        """The backups that are to be imported."""
        return [item for item in self.items if item.action == IMPORT]

    def write(self, path: pathlib.Path) -> None:
        """Write the file.

        :raises BadFile: it exists, or cannot be written
        """
        if path.exists():
            raise exceptions.BadFile(
                f'{path} exists, and may be edited or half applied; move it '
                f'away, or choose another name')
        with files.replacing(path) as stream:
            stream.write(files.line({
                'plan': VERSION, 'made': self.made, **self.place,
                'records': str(self.records)}))
            lines: list[Project | Item] = [*self.projects, *self.items]
            for one in lines:
                stream.write(files.line({
                    field.name: getattr(one, field.name)
                    for field in dataclasses.fields(one)}))


def read(path: pathlib.Path) -> Plan:
    """Read a plan, as a person may have changed it.

    :raises BadFile: a line of it is wrong
    """
    plan = None
    seen = set()
    with files.reading(path) as stream:
        for number, raw in enumerate(stream, 1):
            if not raw.strip():
                continue
            content = _content(path, number, raw)
            if plan is None:
                if 'plan' not in content:
                    raise exceptions.BadFile(f'{path}: the first line is not '
                                             f'the head of a plan')
                plan = Plan({name: content[name] for name in
                             ('auth_url', 'region')},
                            pathlib.Path(content['records']), content['made'])
            elif 'imports' in content:
                plan.projects.append(Project(**content))
            elif 'id' not in content or content['id'] in seen:
                raise exceptions.BadFile(f'{path}:{number}: a second head or '
                                         f'a second line of a backup; remove '
                                         f'one')
            else:
                seen.add(content['id'])
                plan.items.append(Item(**content))
    if plan is None:
        raise exceptions.BadFile(f'{path} is empty; make a plan')
    return plan


def _content(path: pathlib.Path, number: int, raw: bytes) -> Any:
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise exceptions.BadFile(f'{path}:{number}: not JSON; correct or '
                                 f'delete this line') from error
    reason = files.check(_SCHEMA, content)
    if reason:
        raise exceptions.BadFile(f'{path}:{number}: {reason}; correct or '
                                 f'delete this line')
    return content
