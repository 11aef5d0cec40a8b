# SPDX-License-Identifier: Apache-2.0

"""The verb ``registry`` of ``cinder-backup-certify``."""

import argparse
import pathlib
from typing import Any
from urllib import parse

from cinder_backup_recovery_tests.certification.registry import collect
from cinder_backup_recovery_tests.certification.registry import pages
from cinder_backup_recovery_tests.certification.registry import site
from cinder_backup_recovery_tests.certification.verdict import verify_report

_DESCRIPTION = """\
Make a site of the reports of any number of drivers: a table of all, the
history of each driver, and a page of each report. Each report is checked as
verify-report does. One that does not verify is listed with its reasons, and
without a verdict.
"""

_EPILOG = """\
exit status: 0 the site was written, or with --check, each report was
verified; 1 with --check, one was not, or is a copy; 3 there is no
report, or the site cannot be written.
"""


def add_parser(verbs: Any) -> None:
    """Add the verb ``registry`` to a program."""
    parser = verbs.add_parser(
        'registry', help='make a site of the reports of many drivers',
        description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument('directory', type=pathlib.Path, metavar='DIRECTORY',
                        help='where reports are, at any depth')
    do = parser.add_mutually_exclusive_group(required=True)
    do.add_argument('--output', type=pathlib.Path, metavar='SITE',
                    help='the directory of the site; no file in it that is '
                         'not of a site is changed')
    do.add_argument('--check', action='store_true',
                    help='write nothing; fail if a report is not verified')
    parser.add_argument('--source', type=_address, metavar='URL',
                        help='where DIRECTORY can be read, to lead readers '
                             'from a page to the report')
    parser.set_defaults(function=run)


def _address(text: str) -> str:
    if parse.urlsplit(text).scheme not in ('http', 'https'):
        raise argparse.ArgumentTypeError(
            f'{text} is not an address of http or https')
    return text.rstrip('/')


def run(arguments: argparse.Namespace) -> int:
    """Make a site, or check the reports for one.

    :raises RegistryError: if there is no report, or the site cannot be
        written
    """
    directory: pathlib.Path = arguments.directory
    reports = collect.find(directory)
    if arguments.check:
        rows, refused = _examine(directory, reports, None)
        print(f'{directory}: {_number(rows)} verified, {len(refused)} not')
        return 1 if refused else 0
    with site.Site(arguments.output) as new:
        rows, refused = _examine(directory, reports, new)
        drivers = sorted({row.driver for row in rows})
        for name in drivers:
            new.put(collect.page_of(name), pages.driver(
                [row for row in rows if row.driver == name],
                [one for one in refused if one.driver == name],
                arguments.source))
        new.put(site.INDEX, pages.index(rows, refused, arguments.source))
        new.put(site.DATA, pages.data(rows, refused))
        new.publish()
    print(f'{_number(rows)} of {len(drivers)} '
          f'{"driver" if len(drivers) == 1 else "drivers"}, {len(refused)} '
          f'not counted: {arguments.output / site.INDEX}')
    return 0


def _number(rows: list[collect.Row]) -> str:
    return f'{len(rows)} {"report" if len(rows) == 1 else "reports"}'


def _examine(directory: pathlib.Path, reports: list[pathlib.Path],
             new: site.Site | None
             ) -> tuple[list[collect.Row], list[collect.Refused]]:
    """Verify reports, and print the result of each.

    :param new: where the page of each goes, None for no page
    """
    rows: dict[str, collect.Row] = {}
    refused: list[collect.Refused] = []
    for report in reports:
        one, document, notes = collect.examine(directory, report)
        if isinstance(one, collect.Row) and one.digest in rows:
            one = collect.Refused(one.place, one.driver, (
                f'the same results as {rows[one.digest].place}, which are '
                f'counted there',))
        # A line begins with what is not a stranger's: a runner of jobs takes
        # some beginnings for commands.
        place = f'{directory}/{one.place}'
        for note in notes if new is None else ():
            print(f'note: {place}: {collect.line(note)}')
        if isinstance(one, collect.Refused):
            refused.append(one)
            for reason in one.reasons:
                print(f'{place}: {reason}')
            print(f'{place}: not counted', flush=True)
            continue
        rows[one.digest] = one
        if new:
            new.put(one.address, pages.report(one, document))
        print(f'{place}: '
              f'{collect.line(verify_report.summary(document))}', flush=True)
    return list(rows.values()), refused
