# SPDX-License-Identifier: Apache-2.0

"""The defects of Cinder that histories have found, each with a short one.

The promises know nothing of them.
"""

from collections.abc import Mapping
import json
import pathlib

#: A short history of each, as a file of :mod:`.history`.
CORPUS = pathlib.Path(__file__).with_name('corpus')

_CAUSES = pathlib.Path(__file__).with_suffix('.json')


def causes() -> Mapping[tuple[str, str], str]:
    """The causes that are known, each with the name of its defect."""
    return {(promise, key): name
            for name, causes in json.loads(_CAUSES.read_text()).items()
            for promise, key in causes}


def cause(name: str) -> tuple[str, str]:
    """The cause that a history of the corpus was kept for."""
    promise, key = json.loads((CORPUS / f'{name}.json').read_text())['cause']
    return promise, key
