# SPDX-License-Identifier: Apache-2.0

"""The report as a page that a browser opens without asking anybody."""

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import functools
import pathlib
from typing import Any

import jinja2

from cinder_backup_recovery_tests.certification.run import suite
from cinder_backup_recovery_tests.certification.verdict import (
    document as document_,
)
from cinder_backup_recovery_tests.certification.verdict import results
from cinder_backup_recovery_tests.certification.verdict import tiers

_HERE = pathlib.Path(__file__).parents[1]
# How wide a picture is, in units of its own.
_WIDTH = 1000.0
# Of a filter there are as many as tests; these many are read.
_REASONS = 6
_BAD = (results.Status.ERROR, results.Status.FAIL)
_HEADLINES = {
    'certified': 'Volumes are restored from the backup records of this '
                 'driver, within the tiers below.',
    'failed': 'The driver or its cloud did not do what a recovery needs.',
    'not certifiable': 'Nothing failed, but something was skipped, filtered '
                       'or interrupted that a certification requires.',
    'error': 'The kit or its set-up is at fault; the run gives no verdict '
             'on the driver.'}
_OF_TENANT = ('Users make backups and get their volumes back. Whether lost '
              'records are recovered was not asked.')
#: The ways of a certification, for readers.
WAYS = {'driver': 'in one process', 'local': 'on a local cloud',
        'cloud': 'on a cloud', 'tenant': 'on a cloud, by a user of it'}
_WHOSE = {
    'driver': 'The driver is at fault: the reference driver keeps this '
              'promise in the same history.',
    'cinder': 'No fault of this driver: the reference driver does the same. '
              'It is an unknown defect of Cinder, or a mistake of the model.',
    'not again': 'Not judged: the promise was kept when the history was '
                 'repeated.'}
_NOT_RUN = 'not run'


@dataclasses.dataclass(frozen=True)
class Part:
    """A piece of a bar."""

    kind: str
    x: float
    width: float
    label: str


@dataclasses.dataclass(frozen=True)
class Test:
    """A test as a reader sees it."""

    result: results.Result
    title: str
    anchor: str

    @property
    def bad(self) -> bool:
        """Return True if it is shown first."""
        return self.result.status in _BAD


@dataclasses.dataclass(frozen=True)
class Class:
    """A class of tests."""

    name: str
    proves: str
    tests: tuple[Test, ...]
    missing: tuple[str, ...]
    bar: tuple[Part, ...]

    @property
    def seconds(self) -> float:
        """The time of its tests."""
        return sum(test.result.seconds for test in self.tests)

    @property
    def counts(self) -> dict[str, int]:
        """The number of its tests by how they ended."""
        counts = {status.value: sum(test.result.status is status
                                    for test in self.tests)
                  for status in results.Status}
        counts[_NOT_RUN] = len(self.missing)
        return {name: number for name, number in counts.items() if number}

    @property
    def bad(self) -> bool:
        """Return True if it is shown open."""
        return any(test.bad for test in self.tests)


@functools.cache
def template(name: str) -> jinja2.Template:
    """A template of this package, which escapes all that it is given."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / 'templates'),
        autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined).get_template(name)


def _headline(document: Mapping[str, Any]) -> str:
    verdict = document['verdict']
    if (verdict, document.get('way')) == ('certified', 'tenant'):
        return _OF_TENANT
    return _HEADLINES[verdict]


def render(document: Mapping[str, Any],
           manifest: tiers.Manifest | None = None,
           back: tuple[str, str] | None = None) -> str:
    """Make the page.

    :param back: the address and the title of a page that it belongs to
    """
    tests = [_test(result, number) for number, result in
             enumerate(document_.outcome_of(document))]
    return template('report.html').render(
        document=document, ways=WAYS, back=back,
        headline=_headline(document),
        reasons=document['reasons'][:_REASONS],
        more_reasons=document['reasons'][_REASONS:],
        tiers=_tiers(document, manifest), classes=_classes(document, tests),
        groups=_groups(document, tests, manifest),
        bad=[test for test in tests if test.bad],
        histories=[test for test in tests if test.result.facts.histories],
        whose=_WHOSE,
        total=sum(1 for test in tests if not test.anchor.startswith('around')),
        damages=_damages(tests), duration=_duration(document['seconds']),
        options=_options(document['configuration']))


def _test(result: results.Result, number: int) -> Test:
    name = result.name
    if '(' not in name:
        name = name.rpartition('.')[2].removeprefix('test_').replace('_', ' ')
    return Test(result, name,
                f'{"around" if "(" in name else "test"}-{number}')


def _tiers(document: Mapping[str, Any], manifest: tiers.Manifest | None
            ) -> list[dict[str, Any]]:
    about = {one.name: one for one in manifest.tiers} if manifest else {}
    found = []
    for tier in document['tiers']:
        known = about.get(tier['name'])
        parts = bar(tier['counts'])
        found.append({
            **tier, 'title': known.title if known else tier['name'],
            'proves': known.proves if known else '', 'bar': parts,
            'total': sum(tier['counts'].values()),
            'summary': ', '.join(part.label for part in parts)})
    return found


def bar(counts: Mapping[str, int]) -> list[Part]:
    """The pieces of a bar, from best to worst.

    :param counts: how many tests have each status
    """
    total = sum(counts.values())
    parts, x = [], 0.0
    for kind in (*(status.value for status in results.Status), _NOT_RUN):
        number = counts.get(kind, 0)
        if number:
            width = _WIDTH * number / total
            parts.append(Part(kind, x, width, f'{number} {kind}'))
            x += width
    return parts


def _classes(document: Mapping[str, Any], tests: Sequence[Test],
             all_tests: Sequence[Test] | None = None) -> list[Class]:
    """Put tests into their classes."""
    of: dict[str, list[Test]] = {name: [] for name in document['suite']}
    missing: dict[str, list[str]] = {}
    for test in tests:
        of.setdefault(suite.class_of(test.result.test_id), []).append(test)
    for test_id in document['required']:
        if not any(test.result.covers(test_id)
                   for test in all_tests or tests):
            missing.setdefault(suite.class_of(test_id), []).append(
                test_id.split('[')[0].rpartition('.')[2])
    longest = max((sum(test.result.seconds for test in members)
                   for members in of.values()), default=0) or 1
    found = []
    for name, members in of.items():
        bar, x = [], 0.0
        for test in members:
            width = _WIDTH * test.result.seconds / longest
            bar.append(Part(test.result.status.value, x, width,
                            f'{test.title}: {test.result.seconds:.1f} s'))
            x += width
        found.append(Class(
            name, document['suite'].get(name, {}).get('proves', ''),
            tuple(members), tuple(missing.get(name, ())), tuple(bar)))
    return found


def _groups(document: Mapping[str, Any], tests: Sequence[Test],
            manifest: tiers.Manifest | None
            ) -> list[tuple[tiers.Tier | None, list[Class]]]:
    """The classes by tier; of one with tests of several, a part in each."""
    if manifest is None:
        return [(None, _classes(document, tests))]
    of_class: dict[str, tiers.Tier] = {}
    for tier in reversed(manifest.tiers):
        for names in tier.tests.values():
            of_class.update({name.rpartition('.')[0]: tier
                             for name in names})

    def tier_of(test_id: str) -> tiers.Tier | None:
        # What is said of a whole class is said where it begins.
        return manifest.tier_of(test_id) or (
            of_class.get(suite.class_of(test_id)))

    groups: list[tuple[tiers.Tier | None, list[Class]]] = []
    for group in (*manifest.tiers, None):
        part = {**document, 'required': [
            t for t in document['required'] if tier_of(t) is group]}
        classes = [one for one in _classes(part, [
            test for test in tests if tier_of(test.result.test_id) is group
        ], tests) if one.tests or one.missing]
        if classes:
            groups.append((group, classes))
    return groups


def _damages(tests: Sequence[Test]) -> list[dict[str, Any]]:
    """One row for each damage, with all that was imported with it."""
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for test in tests:
        for one in test.result.facts.answers:
            row = rows.setdefault(
                (test.anchor, one.victim, one.damage),
                {'victim': one.victim, 'damage': one.damage, 'test': test,
                 'answers': []})
            row['answers'].append(one)
    return list(rows.values())


def _options(configuration: Mapping[str, Any]
             ) -> list[tuple[str, list[tuple[str, str]]]]:
    """Nested options as lists of names and values, one for each file."""
    def flat(value: Any, name: str) -> list[tuple[str, str]]:
        if isinstance(value, Mapping):
            return [pair for key, one in value.items()
                    for pair in flat(one, f'{name}.{key}' if name else key)]
        if isinstance(value, list):
            return [(name, ', '.join(map(str, value)))]
        return [(name, '' if value is None else str(value))]
    return [(name, flat(options, '')) for name, options in
            configuration.items()]


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f'{minutes} min {rest} s' if minutes else f'{rest} s'
