# SPDX-License-Identifier: Apache-2.0

"""The report of a recovery: what came back, how it was proved, what did not.

It is made of the plan and its journal, and can be made again from these by
anybody who wants to verify it. No cloud is asked.
"""

from collections import Counter
from collections.abc import Mapping
import dataclasses
import hashlib
from importlib import resources
import json
import pathlib
from typing import Any

import jinja2

from backup_recovery import applying
from backup_recovery import exceptions
from backup_recovery import files
from backup_recovery import journals
from backup_recovery import plans
from backup_recovery import volumes

VERSION = 1
#: States of a backup, the best one first.
PROVED, DIFFERS = 'proved', 'differs'
RESTORED, IMPORTED, FAILED = 'restored', 'imported', 'failed'
PLANNED, LEFT = 'planned', 'left out'
STATES = (PROVED, RESTORED, IMPORTED, PLANNED, LEFT, FAILED, DIFFERS)
#: Those in which nothing is missing.
GOOD = (PROVED, RESTORED, IMPORTED)
_PROOF = ('anchored', 'extents', 'extents_omitted', 'bytes_read', 'seconds')


@dataclasses.dataclass
class Backup:
    """A backup, and what became of it.

    :ivar why: the reason of a failure, or why it is left out
    :ivar restored_to: the id of the volume that was made of it
    :ivar times: when it was imported, restored and compared
    :ivar proof: the facts of the comparison
    """

    id: str
    name: str | None
    project: str
    size: int
    volume: str | None
    created: str
    state: str = PLANNED
    why: str | None = None
    restored_to: str | None = None
    times: dict[str, str] = dataclasses.field(default_factory=dict)
    proof: dict[str, Any] | None = None

    def take(self, entry: Mapping[str, Any]) -> None:
        """Go on to what an entry of the journal says."""
        event, at = entry['event'], entry['at']
        if event in (applying.IMPORTED, applying.EXISTS):
            self._reach(IMPORTED, at)
        elif event == volumes.COMPLETE:
            self._reach(RESTORED, at)
            self.restored_to, self.proof = entry['volume'], None
        elif event == volumes.DROPPED and self.restored_to:
            self._reach(IMPORTED, self.times.get(IMPORTED, at))
            self.restored_to = self.proof = None
        elif event in (volumes.PROVED, volumes.DIFFERS) and (
                entry['volume'] == self.restored_to):
            self._reach(PROVED if event == volumes.PROVED else DIFFERS, at)
            self.proof = {name: entry[name] for name in _PROOF}
        elif event == FAILED:
            self.state, self.why = FAILED, entry['reason']

    def _reach(self, state: str, at: str) -> None:
        self.state, self.why = state, None
        self.times[state] = at


def make(path: pathlib.Path, journal: journals.Journal) -> dict[str, Any]:
    """Make the report of a plan.

    :param journal: of the plan, entered
    :returns: the report, as its file has it
    :raises BadFile: the plan or the records cannot be read
    """
    plan = plans.read(path)
    backups = {item.id: _planned(item) for item in plan.items}
    for entry in journal.entries:
        found = backups.get(entry.get('backup', ''))
        if found is not None:
            found.take(entry)
    times = sorted(time for one in backups.values()
                   for time in one.times.values())
    return {
        'report': VERSION, 'made': files.now(),
        'plan': {**plan.place, 'made': plan.made, 'digest': _digest(path)},
        'records': _digest(plan.records),
        'journal': _digest(journal.path),
        'begun': times[0] if times else None,
        'ended': times[-1] if times else None,
        'states': dict(Counter(one.state for one in backups.values())),
        'projects': [dataclasses.asdict(one) for one in plan.projects],
        'backups': [dataclasses.asdict(one) for one in backups.values()],
    }


def _planned(item: plans.Item) -> Backup:
    made = Backup(item.id, item.name, item.project, item.size, item.volume,
                  item.created)
    if item.action == plans.LEAVE:
        if item.why == plans.EXISTS:
            made.state = IMPORTED
        else:
            made.state = LEFT
            made.why = {**plans.PROJECT_REASONS, **plans.REASONS}.get(
                item.why or '', 'deleted from the plan').format(
                    project=item.project, parent=item.parent,
                    user='of the plan')
    return made


def _digest(path: pathlib.Path) -> str:
    found = hashlib.sha256()
    with files.reading(path) as stream:
        while piece := stream.read(1 << 20):
            found.update(piece)
    return f'sha256:{found.hexdigest()}'


def good(report: Mapping[str, Any]) -> bool:
    """Check whether each backup came back."""
    return set(report['states']) <= set(GOOD)


def differences(report: Mapping[str, Any], path: pathlib.Path) -> list[str]:
    """Compare a report with one that was written before.

    :returns: the parts that are others, empty if it is the same one
    :raises BadFile: the file is no report
    """
    with files.reading(path) as stream:
        try:
            written = json.loads(stream.read())
            if written['report'] != VERSION:
                raise ValueError
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            raise exceptions.BadFile(
                f'{path} is no report of this version of '
                f'cinder-backup-records') from error
    return [name for name in report
            if name != 'made' and report[name] != written.get(name)]


def write(report: Mapping[str, Any], path: pathlib.Path) -> pathlib.Path:
    """Write a report, and the page of it beside that.

    :param path: the file, in JSON
    :returns: the page
    :raises BadFile: one of them cannot be written
    """
    page = path.with_suffix('.html')
    if page == path:
        raise exceptions.BadFile(f'{path} is the name of the page; choose '
                                 f'one that ends in .json')
    text = json.dumps(report, indent=1, ensure_ascii=False)
    for place, content in ((path, f'{text}\n'), (page, _page(report))):
        with files.replacing(place) as stream:
            stream.write(content.encode(errors='backslashreplace'))
    return page


def _page(report: Mapping[str, Any]) -> str:
    template = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined).from_string(
            resources.files('backup_recovery').joinpath(
                'report.html').read_text(encoding='utf-8'))
    names = {one['project']: one['name'] for one in report['projects']}
    return template.render(
        report=report, good=good(report), names=names, states=[
            (name, report['states'][name]) for name in STATES
            if name in report['states']],
        bad=[one for one in report['backups'] if one['state'] not in GOOD],
        rest=[one for one in report['backups'] if one['state'] in GOOD])
