# SPDX-License-Identifier: Apache-2.0

"""JSON with one record a line, so that a change of one is one line."""

from collections.abc import Iterator
import json
from typing import Any


def dumps(document: Any, depth: int = 2) -> str:
    """Serialize a document.

    :param depth: levels of arrays and objects that get a line for each item;
        what is deeper is a record, and on one line
    """
    return f'{"".join(_pieces(document, depth, ""))}\n'


def _pieces(value: Any, depth: int, indent: str) -> Iterator[str]:
    if not depth or not value or not isinstance(value, (dict, list)):
        yield json.dumps(value)
        return
    brackets = '{}' if isinstance(value, dict) else '[]'
    before = brackets[0]
    for item in value:
        yield f'{before}\n{indent} '
        before = ','
        if isinstance(value, dict):
            yield f'{json.dumps(item)}: '
            item = value[item]
        yield from _pieces(item, depth - 1, f'{indent} ')
    yield f'\n{indent}{brackets[1]}'
