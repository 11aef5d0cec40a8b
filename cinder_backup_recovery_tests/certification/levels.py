# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""What a certification consists of: levels, and the tests that earn them.

A level is earned by all of its tests. Which ones these are is written down in
a file of this package, by the idempotent id, and not taken from the suite that
runs: a test that somebody has taken out is missed by it.
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

PATH = pathlib.Path(__file__).parent / 'data' / 'levels.json'

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
class Level:
    """Something that can be said of a driver.

    :ivar name: one word
    :ivar title: the same for a reader who does not know the word
    :ivar proves: what it means to a user, in a sentence
    :ivar required: whether there is no certification without it
    :ivar essential: capabilities without which there is nothing to show
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
    """All levels, from the one that says least.

    :ivar levels: in that order
    """

    levels: tuple[Level, ...]

    def level_of(self, test_id: str) -> Level | None:
        """The level that a test belongs to, None if it is in none."""
        uuid, name = idempotent_id(test_id), plain(test_id)
        for level in self.levels:
            if name in level.tests.get(uuid, ()):
                return level
        return None

    def gone(self, suite: Iterable[str]) -> list[tuple[Level, str]]:
        """The tests that a suite lacks.

        :param suite: the ids of all tests that it has
        """
        there = {(idempotent_id(t), plain(t)) for t in suite}
        return [(level, name) for level in self.levels
                for uuid, names in level.tests.items() for name in names
                if (uuid, name) not in there]

    def unknown(self, suite: Iterable[str]) -> list[str]:
        """The tests of a suite that are in no level."""
        return [t for t in suite if self.level_of(t) is None]

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of what the manifest says, however it is written."""
        return hashlib.sha256(json.dumps(
            self.as_document(), sort_keys=True).encode()).hexdigest()

    def as_document(self) -> dict[str, Any]:
        """The manifest as it is written to its file."""
        return {'levels': [{
            'name': level.name, 'title': level.title,
            'proves': level.proves, 'required': level.required,
            'essential': list(level.essential),
            'tests': {uuid: list(names) for uuid, names in sorted(
                level.tests.items(), key=lambda item: item[1])},
        } for level in self.levels]}


def load(path: pathlib.Path | None = None) -> Manifest:
    """Read a manifest.

    :param path: its file; the one of this package without
    :raises ManifestError: if it cannot be read
    """
    path = path or PATH
    try:
        return Manifest(tuple(Level(
            entry['name'], entry['title'], entry['proves'],
            entry['required'], tuple(entry['essential']),
            {uuid: tuple(names) for uuid, names in entry['tests'].items()},
        ) for entry in json.loads(path.read_text())['levels']))
    except OSError as error:
        raise ManifestError(f'{path}: {error.strerror}') from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ManifestError(f'{path} is no manifest of levels: '
                            f'{type(error).__name__}: {error}') from error


def refresh(manifest: Manifest, suite: Sequence[str]
            ) -> tuple[Manifest, list[str]]:
    """Bring a manifest up to date with a suite.

    What is gone is taken out. A new test goes where all others of its class
    are; where these are in several levels, or there are none, somebody has to
    choose.

    :param suite: the ids of all tests
    :returns: the manifest, and the tests that a level is to be chosen for
    """
    # An id says which test it is, also after it was renamed or moved.
    level_of = {uuid: level.name for level in manifest.levels
                for uuid in level.tests}
    of_class: dict[str, set[str]] = {}
    for level in manifest.levels:
        for names in level.tests.values():
            for name in names:
                of_class.setdefault(
                    name.rpartition('.')[0], set()).add(level.name)
    tests: dict[str, dict[str, list[str]]] = {
        level.name: {} for level in manifest.levels}
    open_ = []
    for test_id in sorted(suite):
        uuid, name = idempotent_id(test_id), plain(test_id)
        choice = ({level_of[uuid]} if uuid in level_of else
                  of_class.get(name.rpartition('.')[0], set()))
        if len(choice) == 1:
            tests[next(iter(choice))].setdefault(uuid, []).append(name)
        else:
            open_.append(test_id)
    return Manifest(tuple(dataclasses.replace(level, tests={
        uuid: tuple(names) for uuid, names in tests[level.name].items()
    }) for level in manifest.levels)), open_
