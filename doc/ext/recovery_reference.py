# SPDX-License-Identifier: Apache-2.0

"""Directives that write the reference from what it is a reference of."""

from collections.abc import Iterator
import importlib
import inspect
import json
import pathlib
import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import docutils

from backup_model import promises
import cinder_backup_recovery_tests
from cinder_backup_recovery_tests import known_defects
from cinder_backup_recovery_tests.certification.report import table
from cinder_backup_recovery_tests.certification.verdict import tiers
from mutants import histories
from mutants import matrix
from mutants import tenant

_PACKAGE = cinder_backup_recovery_tests.__name__
_PLACE = pathlib.Path(cinder_backup_recovery_tests.__file__).parents[1]


def _proves(doc: str | None) -> str:
    """The first paragraph of a test's docstring.

    :raises ValueError: where it says nothing
    """
    # Tempest's decorator puts the id in front of it.
    own = re.sub(r'^Test idempotent id: \S+\s*', '', inspect.cleandoc(
        doc or ''))
    if not own:
        raise ValueError('has no docstring')
    return ' '.join(own.split('\n\n')[0].split())


def _item(name: str, uuid: str, cases: int) -> str:
    """A line of the list, for all tests that share an id."""
    module, cls, test = name.rsplit('.', 2)
    found = getattr(importlib.import_module(f'{_PACKAGE}.{module}'), cls)
    try:
        proves = _proves(getattr(found, test).__doc__)
    except ValueError as error:
        raise ValueError(f'{name} {error}') from None
    more = ''
    if cases > 1:
        # What ddt has appended tells one case from another.
        test = re.sub(r'_[0-9]+_.*$', '', test)
        more = f', {cases} cases'
    return f'* ``{test}``{more}: {proves}\n  ``{uuid}``\n'


def _tests() -> Iterator[str]:
    for tier in tiers.load().tiers:
        title = f'{tier.name}: {tier.title}'
        yield f'{title}\n{"=" * len(title)}\n\n{tier.proves}\n'
        before = ''
        for uuid, names in sorted(tier.tests.items(),
                                  key=lambda item: item[1][0]):
            cls = names[0].rpartition('.')[0]
            if cls != before:
                before = cls
                yield f'``{cls}``\n{"-" * (len(cls) + 4)}\n'
            yield _item(names[0], uuid, len(names))


def _kind(schema: dict[str, Any]) -> str:
    """The type of a value, in words."""
    if 'const' in schema:
        return f'``{json.dumps(schema["const"])}``'
    if 'enum' in schema:
        return ', '.join(f'``{json.dumps(one)}``' for one in schema['enum'])
    kind = schema.get('type', 'any')
    return ' or '.join(kind) if isinstance(kind, list) else str(kind)


def _fields(schema: dict[str, Any], path: str = ''
            ) -> Iterator[tuple[str, str, str]]:
    """Each field that a schema describes, with what is in it."""
    if path:
        yield path, _kind(schema), schema.get('description', '')
    prefix = f'{path}.' if path else ''
    for name, inner in schema.get('properties', {}).items():
        yield from _fields(inner, prefix + name)
    more = schema.get('additionalProperties')
    if isinstance(more, dict):
        yield from _fields(more, f'{prefix}*')
    if isinstance(schema.get('items'), dict):
        yield from _fields(schema['items'], f'{path}[]')


def _forms(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The schemas of which a value matches one, each with a title."""
    if 'else' in schema:
        yield from _forms(schema['then'])
        yield from _forms(schema['else'])
    else:
        yield schema


def _schema(place: pathlib.Path) -> Iterator[str]:
    forms = list(_forms(json.loads(place.read_text())))
    for form in forms:
        title = f' {form["title"]}' if len(forms) > 1 else ''
        yield (f'.. list-table::{title}\n   :header-rows: 1\n'
               f'   :widths: 30 25 45\n\n'
               f'   * - field\n     - value\n     - meaning')
        for path, kind, meaning in _fields(form):
            yield f'   * - ``{path}``\n     - {kind}\n     - {meaning}'
        yield ''


def _known_defects() -> Iterator[str]:
    for name, defect in known_defects.DEFECTS.items():
        number = defect.number[0].upper() + defect.number[1:]
        releases = ', '.join(defect.releases)
        yield (f'``{name}``\n    {defect.detail} {number}; seen in '
               f'{releases}.\n')


def _history_outcomes(document: dict[str, Any]) -> list[str]:
    """The table of outcomes, from the JSON of tools/history_outcomes.py."""
    drivers = document['drivers']
    rows = [['history', 'defect', *(
        f'``{one["driver"].rpartition(".")[2]}``, {where}'
        for one in drivers for where in ('in process', 'on a cloud'))]]
    for name, defect in document['histories'].items():
        rows.append([name, f'``{defect}``', *(
            _met(defect, one[where].get(name))
            for one in drivers for where in ('in process', 'cloud'))])
    return table.list_table(rows)


def _met(defect: str, met: list[str] | None) -> str:
    """The defects that a history has met."""
    if met is None:
        return 'not run'
    others = [f'``{one}``' for one in met if one != defect]
    return ', '.join(['found' if defect in met else 'not found',
                      *others])


class Tests(docutils.SphinxDirective):
    """All tests of the suite by tier, with what they say they prove."""

    def run(self) -> list[nodes.Node]:
        """Make the sections."""
        self.env.note_dependency(tiers.PATH)
        return self.parse_text_to_nodes('\n'.join(_tests()),
                                        allow_section_headings=True)


class Schema(docutils.SphinxDirective):
    """The fields that a JSON schema of a package describes."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Make the table."""
        place = _PLACE / self.arguments[0]
        self.env.note_dependency(place)
        return self.parse_text_to_nodes('\n'.join(_schema(place)))


class KnownDefects(docutils.SphinxDirective):
    """The defects of Cinder that the suite knows by name."""

    def run(self) -> list[nodes.Node]:
        """Make the list."""
        self.env.note_dependency(known_defects.TABLE)
        return self.parse_text_to_nodes('\n'.join(_known_defects()))


class Promises(docutils.SphinxDirective):
    """The promises to users, as the model of histories has them."""

    def run(self) -> list[nodes.Node]:
        """Make the list."""
        return self.parse_text_to_nodes('\n'.join(
            f'``{name}``\n    {inspect.getdoc(promise)}\n'
            for name, promise in promises.ALL.items()))


class Mutants(docutils.SphinxDirective):
    """A table of mutants and their killers, from their program's JSON."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Make the tables."""
        place = pathlib.Path(self.env.relfn2path(self.arguments[0])[1])
        self.env.note_dependency(place)
        return self.parse_text_to_nodes(matrix.rst(
            matrix.Matrix.from_dict(json.loads(place.read_text()))))


class UnseenByTenant(docutils.SphinxDirective):
    """A table of the mutants that no user sees, and why."""

    def run(self) -> list[nodes.Node]:
        """Make the table."""
        self.env.note_dependency(tenant.__file__)
        return self.parse_text_to_nodes('\n'.join(table.list_table([
            ['mutants', 'no user finds them, for'],
            *([', '.join(f'``{name}``' for name in names), reason]
              for reason, names in tenant.UNSEEN.items())])))


class HistoryMutants(docutils.SphinxDirective):
    """A table of mutants and what histories say, from their JSON."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Make the table."""
        place = pathlib.Path(self.env.relfn2path(self.arguments[0])[1])
        self.env.note_dependency(place)
        return self.parse_text_to_nodes(histories.rst(
            histories.from_dict(json.loads(place.read_text()))))


class HistoryOutcomes(docutils.SphinxDirective):
    """The corpus of histories, in one process and on clouds, by driver."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Make the table."""
        place = pathlib.Path(self.env.relfn2path(self.arguments[0])[1])
        self.env.note_dependency(place)
        return self.parse_text_to_nodes('\n'.join(
            _history_outcomes(json.loads(place.read_text()))))


class Results(docutils.SphinxDirective):
    """The results of several certifications, side by side."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Make the table, and the list of reasons below it."""
        pattern = pathlib.Path(self.env.relfn2path(self.arguments[0])[1])
        places = sorted(pattern.parent.glob(pattern.name))
        for place in places:
            self.env.note_dependency(place)
        return self.parse_text_to_nodes(table.table(
            [table.Report(place) for place in places]))


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx of the directives."""
    app.add_directive('recovery-tests', Tests)
    app.add_directive('recovery-schema', Schema)
    app.add_directive('recovery-history-mutants', HistoryMutants)
    app.add_directive('recovery-histories', HistoryOutcomes)
    app.add_directive('recovery-known-defects', KnownDefects)
    app.add_directive('recovery-mutants', Mutants)
    app.add_directive('recovery-promises', Promises)
    app.add_directive('recovery-results', Results)
    app.add_directive('recovery-unseen-by-tenant', UnseenByTenant)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
