# SPDX-License-Identifier: Apache-2.0

"""Make a file of records from what the storage alone has."""

import base64
from collections import Counter
from collections.abc import Callable
from collections.abc import Iterator
import dataclasses
import json
import pathlib
from typing import Any

from backup_recovery import exceptions
from backup_recovery import files
from backup_recovery import records
from backup_recovery import signing
from reference_drivers.scanning import found as found_
from reference_drivers.scanning import source as sources


@dataclasses.dataclass
class Report:
    """The outcome of a scan.

    :ivar classes: how many were found of each class
    :ivar remains: all that is not complete
    :ivar unknown: how many have no owner
    :ivar unscanned: the reason by the id of each project whose account could
        not be looked at
    """

    classes: Counter[str] = dataclasses.field(default_factory=Counter)
    remains: list[records.Remains] = dataclasses.field(default_factory=list)
    unknown: int = 0
    unscanned: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def good(self) -> bool:
        """There are complete backups, and nothing else."""
        return bool(self.classes) and not (self.remains or self.unscanned)


def scan(path: pathlib.Path, config_files: list[str], containers: list[str],
         cloud: Callable[[], Any],
         progress: Callable[[int], None] = lambda done: None,
         signer: signing.Signer | None = None) -> Report:
    """Scan a storage, and write what was found.

    :param path: the file of records
    :param config_files: of Cinder
    :param containers: those to look at, all that there are by default
    :param cloud: connects to the cloud, which is needed only where each
        project has an account of its own
    :param progress: called with the number of backups that were looked at
    :param signer: signs the file
    :raises RecoveryError: nothing is written
    """
    if path.exists():
        raise exceptions.BadFile(f'{path} exists; move it away, or choose '
                                 f'another name')
    report = Report()
    try:
        source = sources.Source(config_files)
        if source.per_user:
            _scan_accounts(source, cloud(), containers, progress, report)
        else:
            source.scan(containers, progress)
        source.finish()
    except sources.ScanError as error:
        raise exceptions.RecoveryError(str(error)) from error
    records.write(path, _lines(source, report), signer)
    return report


def _scan_accounts(source: sources.Source, cloud: Any, containers: list[str],
                   progress: Callable[[int], None], report: Report) -> None:
    """Scan the account of each project."""
    own, others = cloud.projects()
    report.unscanned = dict.fromkeys(
        others, f'user {cloud.admin.user_id} has no role in it')
    done = latest = 0

    def add(number: int) -> None:
        nonlocal latest
        latest = number
        progress(done + number)

    for project in own:
        done, latest = done + latest, 0
        try:
            session = cloud.session(project)
            source.scan(containers, add, token=session.token, project=project,
                        endpoint=session.account)
        except sources.ScanError as error:
            report.unscanned[project] = str(error)


def _lines(source: sources.Source, report: Report
           ) -> Iterator[records.Record | records.Remains]:
    """Yield the lines of the file, and fill the report."""
    now = files.now()
    for found in sorted(source.backups.values(), key=_order):
        report.classes[found.kind] += 1
        fields = found.fields or {}
        if found.kind != found_.COMPLETE:
            report.remains.append(_remains(found, now))
        if fields['project_id'] is None:
            report.unknown += 1
        url = base64.b64encode(json.dumps({
            **fields, 'driver_info': source.driver_info(found)}).encode())
        yield records.Record(
            fields['id'], fields['project_id'] or '', source.name,
            url.decode(), now, None, {
                'class': found.kind, 'place': found.place,
                'objects': found.objects, 'bytes': found.stored,
                'problems': found.problems, 'without': found.without})
    for found in source.remains:
        report.classes[found.kind] += 1
        report.remains.append(_remains(found, now))
        yield report.remains[-1]


def _order(found: found_.Found) -> tuple[str, str]:
    fields = found.fields or {}
    return fields['created_at'] or '', fields['id']


def _remains(found: found_.Found, now: str) -> records.Remains:
    return records.Remains(
        found.kind, found.backup_id, found.volume_id, found.place,
        found.objects, found.stored, found.problems, now)
