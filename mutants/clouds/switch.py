# SPDX-License-Identifier: Apache-2.0
"""Which of the defects a cloud has at the moment.

It is asked at each call, so that a cloud goes on while its defect changes.
"""

from collections.abc import Iterable
from collections.abc import Iterator
import contextlib
import functools
import importlib
import inspect
import os
import pathlib
from typing import Any

from mutants import catalogue

#: Names the file that has the name of the active defect. Without it, or
#: without the file, a cloud has none.
ENVIRONMENT = 'FAULTY_CLOUD_SWITCH'


def active() -> str:
    """The name of the defect that the cloud has now, or nothing."""
    path = os.environ.get(ENVIRONMENT)
    if path:
        with contextlib.suppress(FileNotFoundError):
            return pathlib.Path(path).read_text()
    return ''


@contextlib.contextmanager
def on(path: pathlib.Path, name: str) -> Iterator[None]:
    """Have a defect, or none, as long as the context lasts."""
    # In one step: a service may be reading.
    new = path.with_name(f'{path.name}.new')
    new.write_text(name)
    new.replace(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def place(target: str) -> tuple[Any, str]:
    """Find the module or class that has a function, and the name there.

    :raises AttributeError: there is no such function
    """
    module, _, path = target.partition(':')
    owner: Any = importlib.import_module(module)
    *parts, name = path.split('.')
    for part in parts:
        owner = getattr(owner, part)
    if not callable(getattr(owner, name)):
        raise AttributeError(f'{target} is not a function')
    return owner, name


def _switched(original: Any, defects: dict[str, Any]) -> Any:
    signature = inspect.signature(original)

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        function = defects.get(active())
        if function is None:
            return original(*args, **kwargs)
        # A request over the bus names each argument; a defect does not.
        bound = signature.bind(*args, **kwargs)
        return function(original, *bound.args, **bound.kwargs)

    return call


def install(mutants: Iterable[catalogue.Mutant]) -> None:
    """Replace the functions that they break; no defect is active yet."""
    by_target: dict[str, dict[str, Any]] = {}
    for mutant in mutants:
        if mutant.target:
            by_target.setdefault(mutant.target, {})[
                mutant.name] = mutant.function
    for target, functions in by_target.items():
        owner, name = place(target)
        found = inspect.getattr_static(owner, name)
        made = _switched(getattr(owner, name), functions)
        # A class method that was looked up has its class already.
        setattr(owner, name, staticmethod(made) if isinstance(
            found, (staticmethod, classmethod)) else made)
