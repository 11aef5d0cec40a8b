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

"""Draw what a benchmark has measured.

Reads what the other programs write with ``--json``, each of which it knows by
its parts, and writes one picture for the documentation::

    python -m benchmarks.plot measured.json measured.svg

Exit codes: 0 drawn; 3 there is nothing that can be drawn.
"""

import argparse
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import json
import os
import statistics
import sys
from typing import Any
from xml.sax import saxutils

from benchmarks import command
from benchmarks import results

MIB = results.MIB

_WIDTH, _LINE, _TITLE, _MARGIN = 720, 22, 34, 16
#: Where the bars begin and end; their labels are before, the values behind.
_BEGIN, _END = 230, 600
_STYLE = (
    'text{font:13px sans-serif;fill:#222}.title{font-weight:bold}'
    '.value{fill:#555}.label{text-anchor:end}.bar{fill:#4a7ebb}'
    '.range{stroke:#1c3f6e;stroke-width:2}')


@dataclasses.dataclass(frozen=True)
class Bar:
    """One value, with the least and the most of several rounds."""

    label: str
    value: float
    least: float
    most: float

    @classmethod
    def of(cls, label: str, values: Sequence[float]) -> 'Bar':
        """The median of some values."""
        return cls(label, statistics.median(values), min(values), max(values))


@dataclasses.dataclass(frozen=True)
class Panel:
    """Bars that can be compared, since they are of one unit."""

    title: str
    bars: list[Bar]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog='python -m benchmarks.plot',
        description='Draw what a benchmark has measured.')
    made.add_argument('measured', help='what it has written with --json')
    made.add_argument('svg', help='the picture')
    made.set_defaults(directory=None, json=None)
    return made


def check(arguments: Any) -> None:
    """Refuse what cannot be written.

    :raises Failed: with the remedy
    """
    parent = os.path.dirname(os.path.abspath(arguments.svg))
    if os.path.isdir(arguments.svg) or not os.access(parent, os.W_OK):
        raise results.Failed(f'{arguments.svg} cannot be written; name a '
                             'file in a directory that is there')


def _series(title: str, series: dict[str, Any]) -> Panel:
    return Panel(title, [Bar.of(name, one['seconds'])
                         for name, one in series.items()
                         if not name.endswith(results.EMPTY)])


def _backups(found: dict[str, Any]) -> Iterator[Panel]:
    for one in found['backups']:
        yield _series(f'{one["compression"]}, {one["size"] / MIB:.0f} MiB: '
                      'seconds', one['steps'])


def _steps(found: dict[str, Any]) -> Iterator[Panel]:
    yield _series('Ceph: seconds', found['steps'])


def _starts(found: dict[str, Any]) -> Iterator[Panel]:
    for title, part, unit in (('CPU seconds until it is ready', 'cpu', 1),
                              ('MiB of memory then', 'memory', MIB)):
        yield Panel(title, [
            Bar.of(f'{service}, {what}' if what != 'cloud' else service,
                   [one[part][service] / unit for one in starts])
            for service in found['starts']['cloud'][0][part]
            for what, starts in found['starts'].items()
            if all(service in one[part] for one in starts)])
    yield Panel('Seconds until all is ready', [
        Bar.of(what, [one['seconds'] for one in starts])
        for what, starts in found['starts'].items()])


def _phases(found: dict[str, Any]) -> Iterator[Panel]:
    names = list(dict.fromkeys(
        (one['what'], one['workers']) for one in found['phases']))

    def panel(title: str, value: Callable[[dict[str, Any]], float]) -> Panel:
        return Panel(title, [
            Bar.of(f'{what}, {workers} at a time',
                   [value(one) for one in found['phases']
                    if (one['what'], one['workers']) == (what, workers)])
            for what, workers in names])

    yield panel('Records a second', lambda one: one['rate'])
    yield panel('CPU milliseconds a record', lambda one: 1000 * (
        one['client'] + sum(one['cpu'].values())) / one['records'])


def _swift(found: dict[str, Any]) -> Iterator[Panel]:
    return _listed('Swift', found['swift'])


def _nfs(found: dict[str, Any]) -> Iterator[Panel]:
    return _listed('NFS', found['nfs'])


def _listed(store: str, listed: Any) -> Iterator[Panel]:
    yield Panel(f'Requests of L1 to {store}, by number of chunks', [
        Bar.of(f'{one["chunks"]:,}', [one['requests']]) for one in listed])
    yield Panel('Seconds, by number of chunks', [
        Bar.of(f'{one["chunks"]:,}, {label}', one[part]['seconds'])
        for one in listed
        for part, label in (('presence', 'L1'), ('in_tree', 'in-tree'))])


def _kinds(found: dict[str, Any]) -> Iterator[Panel]:
    yield Panel('Seconds of a certification', [
        Bar.of(kind, [one['seconds']])
        for kind, one in found['kinds'].items()])


#: By the part of the JSON that only that program writes.
_KNOWN = {'backups': _backups, 'starts': _starts, 'phases': _phases,
          'swift': _swift, 'nfs': _nfs, 'kinds': _kinds, 'steps': _steps}


def panels(found: Any) -> list[Panel]:
    """What to draw.

    :param found: what a program has written
    :raises Failed: nothing of it is known
    """
    made: list[Panel] = []
    try:
        for part, draw in _KNOWN.items():
            if part in found:
                made += draw(found)
    except (KeyError, TypeError, ValueError, IndexError,
            AttributeError) as err:
        raise results.Failed('it lacks a part of what this program draws; '
                             'measure again') from err
    if not any(one.bars for one in made):
        raise results.Failed('it has nothing that can be drawn; name what a '
                             'benchmark has written with --json')
    return [one for one in made if one.bars]


def svg(made: Sequence[Panel]) -> str:
    """The picture.

    Each panel has a scale of its own, from nothing to its largest value; a
    line shows the least and the most.
    """
    lines: list[str] = []
    top = _MARGIN
    for panel in made:
        lines.append(_text(_MARGIN, top + 16, 'title', panel.title))
        top += _TITLE - 6
        scale = (_END - _BEGIN) / (max(one.most for one in panel.bars) or 1)
        for one in panel.bars:
            lines += _bar(one, top, scale)
            top += _LINE
        top += _MARGIN
    # White behind it: a page can be dark.
    return '\n'.join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} '
        f'{top}" width="{_WIDTH}" height="{top}" role="img">',
        f'<style>{_STYLE}</style>',
        f'<rect width="{_WIDTH}" height="{top}" fill="#fff"/>',
        *lines, '</svg>', ''])


def _bar(one: Bar, top: float, scale: float) -> Iterator[str]:
    middle = top + _LINE / 2
    yield _text(_BEGIN - 8, middle + 4, 'label', one.label)
    yield (f'<rect class="bar" x="{_BEGIN}" y="{top + 3}" '
           f'width="{one.value * scale:.1f}" height="{_LINE - 6}"/>')
    if one.least != one.most:
        yield (f'<path class="range" d="M{_BEGIN + one.least * scale:.1f} '
               f'{middle}H{_BEGIN + one.most * scale:.1f}"/>')
    yield _text(_BEGIN + one.most * scale + 8, middle + 4, 'value',
                f'{one.value:.3g}' if one.value < 1000
                else f'{one.value:,.0f}')


def _text(x: float, y: float, kind: str, text: str) -> str:
    return (f'<text class="{kind}" x="{x:.0f}" y="{y:.0f}">'
            f'{saxutils.escape(text)}</text>')


def measure(arguments: Any) -> dict[str, Any]:
    """Draw.

    :param arguments: of :func:`parser`
    :returns: nothing more
    """
    path = arguments.measured
    try:
        with open(path, encoding='utf-8') as stream:
            found = json.load(stream)
    except OSError as err:
        raise results.Failed(f'{path} cannot be read: {err.strerror}') from err
    except ValueError as err:
        raise results.Failed(f'{path} is not JSON: {err}') from err
    try:
        drawn = svg(panels(found))
    except results.Failed as err:
        raise results.Failed(f'{path}: {err}') from err
    with open(arguments.svg, 'w', encoding='utf-8') as stream:
        stream.write(drawn)
    return {}


def main(argv: list[str] | None = None) -> int:
    """The program.

    :param argv: arguments without the program's name
    :returns: the exit code
    """
    return command.main(parser(), check, measure, argv)


if __name__ == '__main__':
    sys.exit(main())
