# SPDX-License-Identifier: Apache-2.0

"""Check a published report, without the cloud that it is of."""

import argparse
from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
import json
import pathlib
from typing import Any

import subunit
import testtools

from cinder_backup_recovery_tests.certification.report import digests
from cinder_backup_recovery_tests.certification.report import junit
from cinder_backup_recovery_tests.certification.report import page
from cinder_backup_recovery_tests.certification.report import writer
from cinder_backup_recovery_tests.certification.run import runner
from cinder_backup_recovery_tests.certification.verdict import (
    document as document_,
)
from cinder_backup_recovery_tests.certification.verdict import results
from cinder_backup_recovery_tests.certification.verdict import tiers

_DESCRIPTION = """\
Check that the files of a report belong together, that its verdict follows
from its results, and its results from what the workers said.
"""

_EPILOG = """\
exit status: 0 the report holds, whatever its verdict is; 1 it does not; 3 it
cannot be read.
"""

# What follows must be able to calculate with each number.
_LARGE = 1e300
_DEPTH = 50


class Unreadable(Exception):
    """There is no report that could be checked."""


def add_parser(verbs: Any) -> None:
    """Add the verb ``verify-report`` to a program."""
    parser = verbs.add_parser(
        'verify-report', help='check a published report',
        description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument('directory', type=pathlib.Path, metavar='DIRECTORY',
                        help='where results.json is')
    parser.set_defaults(function=run)


def run(arguments: argparse.Namespace) -> int:
    """Check a report, and print its problems.

    :raises Unreadable: if it cannot be read
    """
    found, document, notes = check(arguments.directory)
    for line in notes:
        print(f'note: {line}')
    for line in found:
        print(line)
    if found:
        print(f'{arguments.directory}: verification failed, {len(found)} '
              f'{"problem" if len(found) == 1 else "problems"}')
        return 1
    print(f'{arguments.directory}: {summary(document)}')
    return 0


def summary(document: Mapping[str, Any]) -> str:
    """Sum up a report that was verified, in one line."""
    earned = [tier['name'] for tier in document['tiers']
              if tier['state'] == results.State.EARNED.value]
    way = f'; the way: {document["way"]}' if 'way' in document else ''
    return (f'verified: {document["backup"]}, Cinder '
            f'{document["versions"]["cinder"]}: {document["verdict"]}; tiers '
            f'earned: {", ".join(earned) or "none"}{way}')


def check(directory: pathlib.Path
          ) -> tuple[list[str], dict[str, Any], list[str]]:
    """Check a report.

    :returns: what does not hold, one line each; the document; and what could
        not be checked
    :raises Unreadable: if it cannot be read
    """
    document = _read(directory / writer.RESULTS)
    found: list[str] = []
    notes: list[str] = []
    try:
        found += digests.differences(directory)
        listed = digests.read(directory)
        found += [f'{name} is not in {digests.NAME}' for name in (
            writer.RESULTS, writer.TIERS, writer.STREAM, writer.JUNIT,
            writer.PAGE) if name not in listed and (
                name != writer.TIERS or document.get('manifest'))]
    except FileNotFoundError:
        found.append(f'{digests.NAME} is missing')
    except (OSError, ValueError) as error:
        found.append(str(error))
    wrong = [f'{writer.RESULTS}: {one}'
             for one in document_.problems(document)]
    if wrong:
        # What follows would only say the same in worse words.
        return found + wrong, document, notes
    manifest, wrong = _manifest(directory, document)
    found += wrong
    found += _verdict(document, manifest)
    found += _stream(directory, document)
    # Between releases a version stays the same for many commits.
    if (document['kit'], document['commit']) == (document_.version(),
                                                 document_.commit()):
        found += _rendered(directory, writer.JUNIT,
                           lambda: junit.render(document))
        found += _rendered(directory, writer.PAGE,
                           lambda: page.render(document, manifest))
    else:
        notes.append(
            f'{writer.JUNIT} and {writer.PAGE} were made by version '
            f'{document["kit"]} ({document["commit"] or "no commit known"}) '
            f'of the kit, and were not compared with {writer.RESULTS}: only '
            f'that version can')
    return found, document, notes


def _read(path: pathlib.Path) -> dict[str, Any]:
    try:
        document = json.loads(
            path.read_text(encoding='utf-8'), parse_constant=_number,
            parse_float=_number, parse_int=_number)
        _refuse_deep(document)
        # Half of a character, which no file can be written with.
        json.dumps(document, ensure_ascii=False).encode()
    except OSError as error:
        raise Unreadable(f'{path}: {error.strerror}') from error
    except (ValueError, RecursionError) as error:
        raise Unreadable(f'{path} is not JSON: {error}') from error
    if not isinstance(document, dict) or 'verdict' not in document:
        raise Unreadable(f'{path} is not a results.json of '
                         f'cinder-backup-certify')
    if document.get('schema') != document_.VERSION:
        raise Unreadable(
            f'{path} has version {document.get("schema")} of the schema; '
            f'this kit reads {document_.VERSION}: use the version of the kit '
            f'that made it, {document.get("kit")}')
    return document


def _refuse_deep(document: Any) -> None:
    """Refuse a document that no function could walk through.

    :raises ValueError: if it is nested more deeply than any report
    """
    level = [document]
    for _ in range(_DEPTH):
        level = [inner for one in level if isinstance(one, (dict, list))
                 for inner in (one.values() if isinstance(one, dict) else one)]
    if level:
        raise ValueError(f'it is nested more deeply than {_DEPTH} levels')


def _number(text: str) -> int | float:
    """Read a number of JSON.

    :raises ValueError: if no page could show it
    """
    number = float(text)
    if not abs(number) < _LARGE:
        raise ValueError(f'the number {text[:20]} is too large')
    return number if {'.', 'e', 'E'} & set(text) else int(text)


def manifest_of(document: Mapping[str, Any]) -> tiers.Manifest | None:
    """The tiers of this kit that a report is judged by, None without any."""
    if document['manifest'] is None:
        return None
    return tiers.of_way(document.get('way', ''))


def _manifest(directory: pathlib.Path, document: dict[str, Any]
              ) -> tuple[tiers.Manifest | None, list[str]]:
    """The tiers of this kit, and how those of the report differ."""
    ours = manifest_of(document)
    if ours is None:
        return None, [f'{writer.RESULTS}: no tiers; a certification '
                      f'requires them'
                      ] if document['exit_code'] == 0 else []
    found = []
    try:
        theirs = tiers.load(directory / writer.TIERS)
    except tiers.ManifestError as error:
        return ours, [str(error)]
    if theirs.digest != document['manifest']:
        found.append(f'{writer.TIERS} is not the manifest that '
                     f'{writer.RESULTS} was made with')
    if theirs.digest != ours.digest:
        lacks = sorted(_names(ours) - _names(theirs))
        more = sorted(_names(theirs) - _names(ours))
        found.append(
            f"{writer.TIERS} differs from this kit's ({document_.version()}; "
            f'the report was made by {document["kit"]})' +
            ''.join(f'; it lacks {name}' for name in lacks) +
            ''.join(f'; it has {name} more' for name in more))
    return ours, found


def _names(manifest: tiers.Manifest) -> set[str]:
    return {f'{name} ({tier.name})' for tier in manifest.tiers
            for names in tier.tests.values() for name in names}


def _verdict(document: dict[str, Any], manifest: tiers.Manifest | None
             ) -> list[str]:
    """List the differences from the verdict that the results give."""
    ours = document_.judgement(document, manifest)
    found = []
    if (document['verdict'], document['exit_code']) != (
            ours['verdict'], ours['exit_code']):
        found.append(f'the report says {document["verdict"]} (exit status '
                     f'{document["exit_code"]}), but its results give '
                     f'{ours["verdict"]} (exit status {ours["exit_code"]})')
    found += [f'the reasons lack: {one}' for one in ours['reasons']
              if one not in document['reasons']]
    found += [f'no result gives the reason: {one}'
              for one in document['reasons'] if one not in ours['reasons']]
    if document['not_run'] != ours['not_run']:
        found.append('the tests that did not run are not those without a '
                     'result')
    earned = {one['name']: one for one in ours['tiers']}
    for tier in document['tiers']:
        follows = earned.pop(tier['name'], None)
        if follows is None:
            found.append(f'unknown tier {tier["name"]}')
        elif follows != tier:
            found.append(
                f'tier {tier["name"]}: the report says {_tier(tier)}, '
                f'but its results give {_tier(follows)}')
    found += [f'the tier {name} is missing' for name in earned]
    if document['known_defects'] != ours['known_defects']:
        found.append('the known defects are not those of the results')
    return found


def _tier(tier: dict[str, Any]) -> str:
    counts = ', '.join(f'{number} {name}'
                       for name, number in tier['counts'].items())
    without = ''.join(f', without {name} ({number})'
                      for name, number in tier['without'].items())
    return f'{tier["state"]} ({counts}{without})'


def read_stream(path: pathlib.Path, interrupted: bool
                ) -> list[results.Result]:
    """The results of a recorded stream, as a run takes them.

    :param interrupted: whether the run was, so that what has no end is none
    :raises OSError: if it cannot be read
    """
    found = []

    def take(case: dict[str, Any]) -> None:
        result = runner.result_of(case)
        if result is not None and (not interrupted or
                                   case['status'] in runner.STATUSES):
            found.append(result)

    into = testtools.StreamToDict(take)
    with path.open('rb') as file:
        into.startTestRun()
        subunit.ByteStreamToStreamResult(
            file, non_subunit_name='stdout').run(into)
        into.stopTestRun()
    return found


def _stream(directory: pathlib.Path, document: dict[str, Any]) -> list[str]:
    """Where the results are not what the workers said."""
    try:
        said = read_stream(directory / writer.STREAM,
                           document['interrupted'])
    except OSError as error:
        return [f'{writer.STREAM}: {error.strerror}']
    except Exception as error:
        # The parser reads lengths, types of content and texts as they are,
        # and fails in many ways where a byte of these was changed.
        return [f'{writer.STREAM} cannot be read: {error}']
    left: dict[str, list[results.Result]] = {}
    for result in said:
        left.setdefault(result.test_id, []).append(result)
    found = []
    for result in document_.outcome_of(document):
        of_it = left.get(result.test_id)
        if not of_it:
            found.append(f'{result.name} is missing from {writer.STREAM} '
                         f'(present in {writer.RESULTS})')
            continue
        other = of_it.pop(0)
        if other.status is not result.status:
            found.append(
                f'{result.name}: {writer.RESULTS} says '
                f'{result.status.value}, and {writer.STREAM} '
                f'{other.status.value}')
        elif _without_time(other) != _without_time(result):
            found.append(f'{result.name}: its reason, facts or requests are '
                         f'not those of {writer.STREAM}')
    found += [f'{result.name} is missing from {writer.RESULTS} '
              f'(present in {writer.STREAM})' for of_it in left.values()
              for result in of_it]
    return found


def _without_time(result: results.Result) -> results.Result:
    return dataclasses.replace(result, seconds=0)


def _rendered(directory: pathlib.Path, name: str,
              render: Callable[[], str]) -> list[str]:
    """Compare a file with the one that the document gives."""
    try:
        # Without translation: what a test has said may have a line's end of
        # another system in it.
        with (directory / name).open(encoding='utf-8', newline='') as file:
            there = file.read()
    except (OSError, ValueError) as error:
        return [f'{name} cannot be read: {error}']
    return [] if there == render() else [
        f'{name} differs from what {writer.RESULTS} gives']
