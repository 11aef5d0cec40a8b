# SPDX-License-Identifier: Apache-2.0

"""Pages of the documentation, as tests follow them."""

from collections.abc import Iterator
import dataclasses
import itertools
import pathlib
import re
import textwrap

DOCUMENTS = pathlib.Path(__file__).parents[1] / 'doc' / 'source'

_DIRECTIVE = re.compile(
    r'^(?P<indent> *)\.\. (?P<kind>code-block|literalinclude):: '
    r'(?P<what>\S+)\n'
    r'(?P<options>(?:(?P=indent)   :.*\n)*)\n?'
    r'(?P<body>(?:(?:(?P=indent)   .*)?\n)*)', re.M)
_LITERAL = re.compile(
    r'(?<!\.\.)::\n\n(?P<body>(?:(?: +.*)?\n)+)')


@dataclasses.dataclass(frozen=True)
class Block:
    """A part of a page that is code.

    :ivar kind: code-block, literalinclude, or literal for what stands
        behind two colons
    :ivar what: the language, or the path of what is included
    """

    kind: str
    what: str
    caption: str | None
    body: str

    @property
    def commands(self) -> list[str]:
        """The commands alone, also of a block that has no prompts."""
        if '$ ' in self.body:
            return [command for command, _ in self.steps]
        found: list[str] = []
        for line in self.body.splitlines():
            if line.startswith(' ') and found:
                found[-1] += f'\n{line}'
            elif line.strip():
                found.append(line)
        return found

    @property
    def steps(self) -> list[tuple[str, str]]:
        """The commands with what they are said to print."""
        found = []
        for step in re.split(r'^\$ ', self.body, flags=re.M)[1:]:
            lines = step.splitlines()
            end = 1
            # A command goes on in what is indented below it.
            while end < len(lines) and lines[end].startswith(' '):
                end += 1
            found.append(('\n'.join(lines[:end]),
                          '\n'.join(lines[end:]).rstrip('\n')))
        return found


def blocks(path: pathlib.Path) -> list[Block]:
    """The blocks of a page, from its beginning to its end."""
    text = path.read_text()
    found = []
    for match in _DIRECTIVE.finditer(text):
        body = textwrap.dedent(match['body'])
        if match['kind'] == 'literalinclude':
            place = (DOCUMENTS / match['what'][1:]
                     if match['what'].startswith('/') else
                     path.parent / match['what'])
            body = place.read_text()
            start = re.search(r':start-at: (.*)', match['options'])
            if start:
                lines = body.splitlines(keepends=True)
                first = next(number for number, line in enumerate(lines)
                             if start[1] in line)
                body = ''.join(lines[first:])
        caption = re.search(r':caption: (.+)', match['options'])
        found.append((match.start(), Block(
            match['kind'], match['what'], caption and caption[1], body)))
    for match in _LITERAL.finditer(text):
        lines = match['body'].splitlines()
        margin = len(lines[0]) - len(lines[0].lstrip())
        inside = itertools.takewhile(
            lambda line, margin=margin: not line[:margin].strip(), lines)
        found.append((match.start(), Block(
            'literal', '', None, textwrap.dedent('\n'.join(inside)))))
    return [block for _, block in sorted(found, key=lambda one: one[0])]


def pages() -> Iterator[pathlib.Path]:
    """All pages of the documentation."""
    return iter(sorted(DOCUMENTS.rglob('*.rst')))


def expected(said: str, seen: str) -> str | None:
    """Compare what a command is said to print with what it printed.

    Three dots stand for whatever there is, and other lines may be between.

    :returns: the first missing line, or None
    """
    where = 0
    for line in said.splitlines():
        if not line.strip('. '):
            continue
        pattern = '.*'.join(map(re.escape, line.split('...')))
        found = re.compile(f'^{pattern}$', re.M).search(seen, where)
        if found is None:
            return line
        where = found.end()
    return None
