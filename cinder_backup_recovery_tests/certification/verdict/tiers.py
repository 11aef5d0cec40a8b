# SPDX-License-Identifier: Apache-2.0

"""The tiers of a certification, and the tests that earn them.

A tier is earned by all of its tests. Which ones these are is written down in
a file of this package, by the idempotent id, and not taken from the suite that
runs: a test that was taken out is missed by it.
"""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import functools
import hashlib
import json
import pathlib
import re
from typing import Any

import cinder_backup_recovery_tests

PATH = pathlib.Path(__file__).parents[1] / 'data' / 'tiers.json'
#: That of a driver without a cloud.
CONTRACT = PATH.with_name('contract.json')
#: The tiers that a user can earn, without an administrator.
OF_TENANT = ('backup', 'restore')

_PACKAGE = cinder_backup_recovery_tests.__name__
_ID = re.compile(r'\[(?:.*,)?id-(?P<id>[0-9a-f-]{36})[],]')


class ManifestError(Exception):
    """The manifest cannot be read."""


def plain(test_id: str) -> str:
    """The dotted name of a test, without package and attributes."""
    return test_id.split('[')[0].removeprefix(f'{_PACKAGE}.')


def idempotent_id(test_id: str) -> str:
    """The UUID of a test, its plain name where it has none."""
    found = _ID.search(test_id)
    return found['id'] if found else plain(test_id)


@dataclasses.dataclass(frozen=True)
class Tier:
    """Something that can be said of a driver.

    :ivar title: the same for a reader who does not know the word
    :ivar proves: what it means to a user, in a sentence
    :ivar tests: names of tests by idempotent id; several where one test is
        run with several data
    """

    name: str
    title: str
    proves: str
    required: bool
    essential: tuple[str, ...]
    tests: Mapping[str, tuple[str, ...]]


@dataclasses.dataclass(frozen=True)
class Manifest:
    """All tiers, from the one that says least.

    :ivar configured: the tests that a configuration asks for, by idempotent
        id, with the option; they are in no tier, and there may be none
    """

    tiers: tuple[Tier, ...]
    configured: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def tier_of(self, test_id: str) -> Tier | None:
        """The tier that a test belongs to, None if it is in none."""
        uuid, name = idempotent_id(test_id), plain(test_id)
        for tier in self.tiers:
            if name in tier.tests.get(uuid, ()):
                return tier
        return None

    def gone(self, suite: Iterable[str]) -> list[tuple[Tier, str]]:
        """The tests that a suite lacks."""
        there = {(idempotent_id(t), plain(t)) for t in suite}
        return [(tier, name) for tier in self.tiers
                for uuid, names in tier.tests.items() for name in names
                if (uuid, name) not in there]

    def unknown(self, suite: Iterable[str]) -> list[str]:
        """The tests of a suite that are in no tier, and should be."""
        return [t for t in suite if self.tier_of(t) is None and
                idempotent_id(t) not in self.configured]

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of what the manifest says, however it is written."""
        return hashlib.sha256(json.dumps(
            self.as_document(), sort_keys=True).encode()).hexdigest()

    def as_document(self) -> dict[str, Any]:
        """The manifest as it is written to its file."""
        return {'tiers': [{
            'name': tier.name, 'title': tier.title,
            'proves': tier.proves, 'required': tier.required,
            'essential': list(tier.essential),
            'tests': {uuid: list(names) for uuid, names in sorted(
                tier.tests.items(), key=lambda item: item[1])},
        } for tier in self.tiers],
            **({'configured': dict(self.configured)} if self.configured
               else {})}


def load(path: pathlib.Path | None = None, only: Sequence[str] = ()
         ) -> Manifest:
    """Read a manifest.

    :param only: the names of its tiers that are wanted; all without any
    :raises ManifestError: if it cannot be read
    """
    path = path or PATH
    try:
        document = json.loads(path.read_text())
        return Manifest(tuple(Tier(
            _text(entry['name']), _text(entry['title']),
            _text(entry['proves']), bool(entry['required']),
            tuple(map(_text, entry['essential'])),
            {uuid: tuple(map(_text, names))
             for uuid, names in entry['tests'].items()},
        ) for entry in document['tiers']
            if not only or entry['name'] in only), {
                _text(name): _text(value) for name, value in
                document.get('configured', {}).items()})
    except OSError as error:
        raise ManifestError(f'{path}: {error.strerror}') from error
    except (ValueError, KeyError, TypeError, AttributeError,
            RecursionError) as error:
        raise ManifestError(f'{path} is no manifest of tiers: '
                            f'{type(error).__name__}: {error}') from error


def of_way(way: str) -> Manifest:
    """Read the manifest of a way of a certification.

    :param way: ``local``, ``cloud``, ``tenant`` or ``driver``
    :raises ManifestError: if it cannot be read
    """
    if way == 'driver':
        return load(CONTRACT)
    return load(only=OF_TENANT if way == 'tenant' else ())


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f'not a text: {str(value)[:40]}')
    return value


def refresh(manifest: Manifest, suite: Sequence[str]
            ) -> tuple[Manifest, list[str]]:
    """Bring a manifest up to date with a suite.

    What is gone is taken out. A new test goes where all others of its class
    are; where these are in several tiers, or there are none, a person has to
    choose.

    :returns: the manifest, and the tests that a tier is to be chosen for
    """
    # An id says which test it is, also after it was renamed or moved.
    tier_of = {uuid: tier.name for tier in manifest.tiers
                for uuid in tier.tests}
    of_class: dict[str, set[str]] = {}
    for tier in manifest.tiers:
        for names in tier.tests.values():
            for name in names:
                of_class.setdefault(
                    name.rpartition('.')[0], set()).add(tier.name)
    tests: dict[str, dict[str, list[str]]] = {
        tier.name: {} for tier in manifest.tiers}
    open_ = []
    for test_id in sorted(suite):
        uuid, name = idempotent_id(test_id), plain(test_id)
        choice = ({tier_of[uuid]} if uuid in tier_of else
                  of_class.get(name.rpartition('.')[0], set()))
        if uuid in manifest.configured:
            continue
        if len(choice) == 1:
            tests[next(iter(choice))].setdefault(uuid, []).append(name)
        else:
            open_.append(test_id)
    return Manifest(tuple(dataclasses.replace(tier, tests={
        uuid: tuple(names) for uuid, names in tests[tier.name].items()
    }) for tier in manifest.tiers), manifest.configured), open_
