# SPDX-License-Identifier: Apache-2.0

"""The program ``cinder-backup-results-table``.

It puts the reports of several runs side by side: what is proved, by line, and
what each backup driver showed of it.
"""

from collections.abc import Iterable
from collections.abc import Sequence
import json
import pathlib
import sys
import textwrap
from typing import Any

from cinder_backup_recovery_tests import facts
from cinder_backup_recovery_tests.certification.report import compact
from cinder_backup_recovery_tests.certification.run import suite
from cinder_backup_recovery_tests.certification.verdict import results
from cinder_backup_recovery_tests.cmd import programs

_DESCRIPTION = """\
Make a table of reStructuredText from the results.json of several
certifications, one column for each.
"""

# What a table needs of a report, and no more.
_KEPT = ('verdict', 'date', 'kit', 'backup', 'versions', 'seconds', 'suite')
_BAD = (results.Status.FAIL, results.Status.ERROR)


class TableError(Exception):
    """There is no table of these reports."""


class Report:
    """One run, read again.

    :param path: its results.json
    :raises TableError: it cannot be read, or is none
    """

    def __init__(self, path: pathlib.Path):
        try:
            document = json.loads(path.read_text())
            self.document: dict[str, Any] = {
                name: document[name] for name in _KEPT}
            # Of a condensed report there are no facts, and whole reasons.
            self.results = [
                results.Result(test['id'], results.Status(test['status']),
                               0.0, test['reason'], facts.Facts.of(test))
                for test in document['tests']]
            self.cinder: str = document['versions']['cinder']
            self.backup: str = document['backup']
            for about in document['suite'].values():
                about['proves'], about['tests'] + 0
        except OSError as error:
            raise TableError(f'{path}: {error.strerror}') from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise TableError(
                f'{path} is not a results.json written by this version of '
                f'cinder-backup-certify ({type(error).__name__}: {error})'
            ) from error

    @property
    def name(self) -> str:
        """A name that no other report of the table has."""
        return f'{self.backup}-{self.cinder}'

    def count(self, cls: str) -> dict[results.Status | None, int]:
        """The statuses of a class's tests; None for those that did not run."""
        counts: dict[results.Status | None, int] = {}
        left = self.document['suite'].get(cls, {'tests': 0})['tests']
        whole = None
        for result in self.results:
            if suite.class_of(result.test_id) != cls:
                continue
            if _is_set_up(result):
                whole = result.status
                continue
            counts[result.status] = counts.get(result.status, 0) + 1
            left -= 1
        if left > 0:
            # The set-up speaks for each test that it kept from running.
            counts[whole] = counts.get(whole, 0) + left
        elif whole in _BAD:
            # Of a tidying up, after the tests.
            counts[whole] = counts.get(whole, 0) + 1
        return counts

    def weight(self, result: results.Result) -> int:
        """For how many tests a result speaks."""
        if not _is_set_up(result):
            return 1
        return self.count(suite.class_of(result.test_id))[result.status]

    def condensed(self) -> dict[str, Any]:
        """The same report without stories, tracebacks and times."""
        return {**self.document, 'tests': [
            {'id': result.test_id, 'status': result.status.value,
             'reason': _why(result)} for result in self.results]}


def _is_set_up(result: results.Result) -> bool:
    return result.test_id.endswith(')')


def _why(result: results.Result) -> str:
    """The reason in one line."""
    if result.status is results.Status.PASS:
        return ''
    return result.why or 'no reason was given'


def _words(counts: dict[results.Status | None, int]) -> str:
    words = [f'{counts[status]} {status.value}' for status in results.Status
             if counts.get(status)]
    if counts.get(None):
        words.append(f'{counts[None]} not run')
    return ', '.join(words) or 'not in its suite'


def _rows(reports: Sequence[Report]) -> list[list[str]]:
    names = ([report.backup for report in reports]
             if len({report.cinder for report in reports}) == 1 else
             [f'{report.backup}, Cinder {report.cinder}'
              for report in reports])
    classes: dict[str, str] = {}
    for report in reports:
        for cls, about in report.document['suite'].items():
            classes.setdefault(cls, about['proves'])
    rows = [['what is proved', *names]]
    for cls in sorted(classes):
        rows.append([f'{classes[cls]} ``{cls}``'.strip(),
                     *(_words(report.count(cls)) for report in reports)])
    totals = []
    for report in reports:
        total: dict[results.Status | None, int] = {}
        for cls in classes:
            for status, number in report.count(cls).items():
                total[status] = total.get(status, 0) + number
        totals.append(_words(total))
    return [*rows, ['all', *totals]]


def _literal(text: str) -> str:
    """Text of others, of which nothing is to be taken for markup."""
    # Characters that would end the literal, or start nothing at its edge.
    return f'``{" ".join(text.replace("`", chr(39)).split())}``'


def _wrapped(text: str) -> list[str]:
    # A literal may be longer than a line, and is not to be torn.
    return textwrap.wrap(text, 79, subsequent_indent='  ',
                         break_long_words=False, break_on_hyphens=False)


def _remarks(report: Report) -> list[str]:
    """The remarks of a report, beside its numbers."""
    document = report.document
    lines = _wrapped(
        f'**{report.backup}**, Cinder {report.cinder}, kit '
        f'{document["kit"]}, {document["date"][:10]}: '
        f'{document["verdict"]}.')
    lines = [line.strip() for line in lines]
    lines.append('')
    reasons: dict[tuple[results.Status, str], list[results.Result]] = {}
    for result in report.results:
        if result.status is not results.Status.PASS:
            key = result.status, _why(result)
            reasons.setdefault(key, []).append(result)
    for status in results.Status:
        for (of, why), found in sorted(
                reasons.items(), key=lambda item: item[0][1]):
            if of is not status:
                continue
            number = sum(report.weight(result) for result in found)
            text = f'* {number} {status.value}: {_literal(why)}'
            if status in _BAD:
                text += ' (' + ', '.join(
                    f'``{result.name}``' for result in found) + ')'
            lines += _wrapped(text)
    if not reasons:
        lines.append('* nothing but passes')
    return [*lines, '']


def list_table(rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table of reStructuredText, and an empty one.

    :param rows: the head first
    """
    lines = ['.. list-table::', '   :header-rows: 1', '']
    for row in rows:
        for number, cell in enumerate(row):
            lines += textwrap.wrap(
                cell, 79, break_long_words=False, break_on_hyphens=False,
                initial_indent='   * - ' if number == 0 else '     - ',
                subsequent_indent='       ') or ['     -']
    return [*lines, '']


def table(reports: Sequence[Report]) -> str:
    """Put reports side by side.

    :param reports: in the order of the columns
    :returns: the table, and below it what failed, what was skipped and which
        defects were met, as reStructuredText
    :raises TableError: if two of them cannot be told apart
    """
    if len({report.name for report in reports}) != len(reports):
        raise TableError('two reports are of the same driver and the same '
                         'Cinder; leave one of them out')
    lines = list_table(_rows(reports))
    for report in reports:
        lines += _remarks(report)
    return '\n'.join(lines).rstrip('\n') + '\n'


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program.

    :param argv: the arguments without the program's name
    :returns: the exit status
    """
    parser = programs.Parser(prog='cinder-backup-results-table',
                             description=_DESCRIPTION)
    parser.add_argument('reports', nargs='+', type=pathlib.Path,
                        metavar='REPORT', help='a results.json, in the order '
                                               'of the columns')
    parser.add_argument('--condense', type=pathlib.Path, metavar='DIRECTORY',
                        help='also write each report there, without what no '
                             'table needs, to make the table again from it')
    arguments = parser.parse_args(argv)
    try:
        reports = [Report(path) for path in arguments.reports]
        text = table(reports)
        if arguments.condense:
            arguments.condense.mkdir(parents=True, exist_ok=True)
            for report in reports:
                (arguments.condense / f'{report.name}.json').write_text(
                    compact.dumps(report.condensed()))
    except (TableError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return results.ExitCode.ERROR
    sys.stdout.write(text)
    return 0


if __name__ == '__main__':
    sys.exit(main())
