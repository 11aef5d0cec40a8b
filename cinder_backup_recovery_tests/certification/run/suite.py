# SPDX-License-Identifier: Apache-2.0

"""The classes of the suite, for readers of a report without it."""

import ast
from collections.abc import Iterable
import functools
from importlib import util
import pathlib
import re
from typing import Any

import cinder_backup_recovery_tests

_PACKAGE = cinder_backup_recovery_tests.__name__


def class_of(test_id: str) -> str:
    """The class of a test or of a set-up, with its module, without package."""
    around = re.match(r'\w+ \((?P<scope>.+)\)$', test_id)
    name = (around['scope'] if around else
            test_id.split('[')[0].rpartition('.')[0])
    return name.removeprefix(f'{_PACKAGE}.')


def describe(required: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Describe each class, and count its tests.

    :returns: by class, ``proves``, the first sentence of its docstring, and
        ``tests``
    """
    classes: dict[str, dict[str, Any]] = {}
    for test_id in required:
        name = class_of(test_id)
        entry = classes.setdefault(
            name, {'proves': _sentence(name), 'tests': 0})
        entry['tests'] += 1
    return classes


def _sentence(name: str) -> str:
    module, _, cls = name.rpartition('.')
    doc = _docstrings(module).get(cls) or ''
    text = ' '.join(doc.split())
    return re.split(r'(?<=[.!?]) ', text)[0]


@functools.cache
def _docstrings(module: str) -> dict[str, str | None]:
    # Read and not imported: a test module may want what is not here.
    try:
        found = util.find_spec(f'{_PACKAGE}.{module}')
    except ImportError:
        found = None
    if found is None or found.origin is None:
        return {}
    tree = ast.parse(pathlib.Path(found.origin).read_text())
    return {node.name: ast.get_docstring(node) for node in tree.body
            if isinstance(node, ast.ClassDef)}
