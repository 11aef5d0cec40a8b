# SPDX-License-Identifier: Apache-2.0

"""The reports of a directory, and what a table has of each.

They come from strangers: nothing in them is trusted, but that their verdict
follows from their results.
"""

from collections import Counter
from collections.abc import Mapping
import dataclasses
import functools
import hashlib
import os
import pathlib
import re
import stat
from typing import Any

from cinder_backup_recovery_tests.certification.report import page
from cinder_backup_recovery_tests.certification.report import writer
from cinder_backup_recovery_tests.certification.verdict import (
    document as document_,
)
from cinder_backup_recovery_tests.certification.verdict import results
from cinder_backup_recovery_tests.certification.verdict import verify_report

# Of a digest, what is in an address: more than can be searched for.
_DIGITS = 16


class RegistryError(Exception):
    """There is no registry to be made, or none can be written."""


def line(text: str) -> str:
    """A text of a stranger as one line, without characters that do not show.

    Neither a terminal nor a page is to be deceived by what reverses the order
    of letters or ends a line.
    """
    return ''.join(one if one.isprintable() else '\ufffd'
                   for one in ' '.join(text.split()))


def page_of(driver: str) -> str:
    """The address of a driver's page, which no other driver has.

    :returns: the path in the site; the same for the same name in all sites
    """
    name = re.sub(r'[^a-z0-9.]+', '-', driver.lower())[:60].strip('.-')
    if not name or name != driver or re.search(r'-[0-9a-f]{16}$', name):
        digest = hashlib.sha256(driver.encode()).hexdigest()[:_DIGITS]
        name = f'{name}-{digest}'.lstrip('-')
    return f'drivers/{name}.html'


@dataclasses.dataclass(frozen=True)
class Refused:
    """A report that is not counted.

    :ivar place: its directory, below that of the registry
    :ivar driver: the driver that it names, empty if none can be read
    :ivar reasons: one line each
    """

    place: str
    driver: str
    reasons: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Row:
    """A report that was verified.

    :ivar place: its directory, below that of the registry
    :ivar digest: the SHA-256 of its results.json, which tells reports apart
    :ivar date: when the run ended, in UTC
    :ivar tiers: name, state and ``without`` of each, as the report has them
    :ivar counts: how many tests have each status
    :ivar defects: the known defects that were met
    """

    place: str
    digest: str
    driver: str
    cinder: str
    way: str
    verdict: str
    date: str
    kit: str
    commit: str
    tiers: tuple[Mapping[str, Any], ...]
    counts: Mapping[str, int]
    defects: tuple[str, ...]
    reasons: tuple[str, ...]

    @property
    def address(self) -> str:
        """The path of the report's page in the site."""
        return f'reports/{self.digest[:_DIGITS]}.html'

    @property
    def driver_address(self) -> str:
        """The path of its driver's page in the site."""
        return page_of(self.driver)

    @functools.cached_property
    def release(self) -> str:
        """The release of Cinder, so that 29.10 comes after 29.9."""
        return re.sub(r'\d+', lambda found: found[0].zfill(9), self.cinder)

    @property
    def bar(self) -> list[page.Part]:
        """Its tests by status, as a picture."""
        return page.bar(self.counts)


def find(directory: pathlib.Path) -> list[pathlib.Path]:
    """Find the reports below a directory.

    A report is a directory with one of the files that reports have. What is
    hidden is left out, and what a link leads to.

    :raises RegistryError: if the directory cannot be read, or has no report
    """
    def refuse(error: OSError) -> None:
        raise RegistryError(f'{error.filename}: {error.strerror}') from error

    found = []
    for root, directories, files in os.walk(directory, onerror=refuse):
        if set(files) & set(writer.FILES):
            found.append(pathlib.Path(root))
            directories.clear()
        # In this order they are walked.
        directories[:] = sorted(one for one in directories
                                if not one.startswith('.'))
    if not found:
        raise RegistryError(
            f'{directory} has no report; put directories into it that '
            f'cinder-backup-certify wrote, with their {writer.RESULTS}')
    return found


def examine(directory: pathlib.Path, report: pathlib.Path
            ) -> tuple[Row | Refused, dict[str, Any], list[str]]:
    """Verify a report.

    :param directory: that of the registry
    :returns: the row; the document, empty if it cannot be read; and what could
        not be checked
    """
    place = line(str(report.relative_to(directory)))
    try:
        found = _not_files(report)
        if found:
            return Refused(place, '', tuple(found)), {}, []
        found, document, notes = verify_report.check(report)
        content = (report / writer.RESULTS).read_bytes()
    except (verify_report.Unreadable, OSError) as error:
        return Refused(place, '', (_without(report, str(error)),)), {}, []
    if found:
        driver = document.get('backup')
        return Refused(place, line(driver) if isinstance(driver, str) else '',
                       tuple(_without(report, one) for one in found)), {}, []
    return _row(place, hashlib.sha256(content).hexdigest(), document
                ), document, notes


def _not_files(report: pathlib.Path) -> list[str]:
    """List what is neither a file nor a directory.

    A link would let a stranger have any file of this machine read.
    """
    found = []
    for root, directories, files in os.walk(report):
        for name in sorted(directories + files):
            path = pathlib.Path(root, name)
            mode = path.lstat().st_mode
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                found.append(line(f'{path.relative_to(report)} is not a file '
                                  f'but a link or a device'))
    return found


def _without(report: pathlib.Path, text: str) -> str:
    """A reason without the path of this machine, which is of no interest."""
    return line(text.replace(f'{report}/', ''))


def _row(place: str, digest: str, document: Mapping[str, Any]) -> Row:
    counts = Counter(result.status.value
                     for result in document_.outcome_of(document))
    return Row(
        place, digest, line(document['backup']),
        line(document['versions']['cinder']), line(document.get('way', '')),
        document['verdict'], document['date'], line(document['kit']),
        line(document['commit']),
        tuple({name: tier[name] for name in ('name', 'state', 'without')}
              for tier in document['tiers']),
        {status.value: counts[status.value] for status in results.Status
         if counts[status.value]},
        tuple(one['name'] for one in document['known_defects']),
        tuple(map(line, document['reasons'])))
