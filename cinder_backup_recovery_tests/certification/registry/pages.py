# SPDX-License-Identifier: Apache-2.0

"""The pages of a registry, and the same as data."""

from collections import Counter
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Any

from cinder_backup_recovery_tests.certification.registry import collect
from cinder_backup_recovery_tests.certification.registry import site
from cinder_backup_recovery_tests.certification.report import compact
from cinder_backup_recovery_tests.certification.report import page
from cinder_backup_recovery_tests.certification.verdict import (
    document as document_,
)
from cinder_backup_recovery_tests.certification.verdict import verify_report

#: The version of registry.json. It grows when a field changes its meaning or
#: goes away.
VERSION = 1
# Of a reason, how many are read; the rest is in the report.
_REASONS = 3


def newest_first(rows: Iterable[collect.Row]) -> list[collect.Row]:
    """The reports in the order of a history."""
    return sorted(rows, key=lambda row: (row.date, row.digest), reverse=True)


def newest(rows: Sequence[collect.Row]) -> list[collect.Row]:
    """The newest report of each driver, release of Cinder and way.

    A newer report counts, whatever its verdict is.

    :returns: by the name of the driver, from the newest release
    """
    found: dict[tuple[str, str, str], collect.Row] = {}
    for row in newest_first(rows):
        found.setdefault((row.driver, row.cinder, row.way), row)
    by_release = sorted(found.values(), key=lambda row: (row.release, row.way),
                        reverse=True)
    return sorted(by_release, key=lambda row: (row.driver.lower(), row.driver))


def report(row: collect.Row, document: Mapping[str, Any]) -> str:
    """The page of a report, made again from its verified document."""
    return page.render(document, verify_report.manifest_of(document),
                       (f'../{row.driver_address}', row.driver))


def driver(rows: Sequence[collect.Row], refused: Sequence[collect.Refused],
           source: str | None = None) -> str:
    """The page of a driver.

    :param rows: all of its reports that were verified
    :param refused: those that name it and were not
    """
    return _render('driver.html', '../', newest_first(rows), refused, source,
                   driver=rows[0].driver)


def index(rows: Sequence[collect.Row], refused: Sequence[collect.Refused],
          source: str | None = None) -> str:
    """The page with the table of all drivers."""
    found = newest(rows)
    return _render(site.INDEX, '', found, refused, source,
                   drivers=len({row.driver for row in found}),
                   total=len(rows), verdicts=Counter(
                       row.verdict for row in found),
                   of_driver=Counter(row.driver for row in rows))


def data(rows: Sequence[collect.Row], refused: Sequence[collect.Refused]
         ) -> str:
    """The document registry.json."""
    return compact.dumps({
        'schema': VERSION, 'kit': document_.version(),
        'reports': [{**dataclasses.asdict(row), 'page': row.address,
                     'driver_page': row.driver_address}
                    for row in newest_first(rows)],
        'refused': [dataclasses.asdict(one) for one in refused]})


def _render(name: str, root: str, rows: Sequence[collect.Row],
            refused: Sequence[collect.Refused], source: str | None,
            **more: Any) -> str:
    return page.template(f'registry/{name}').render(
        root=root, rows=rows, refused=refused, source=source, ways=page.WAYS,
        kit=document_.version(), reasons=_REASONS, **more)
