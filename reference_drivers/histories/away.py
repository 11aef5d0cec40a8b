# SPDX-License-Identifier: Apache-2.0

"""Keep a driver from its storage, at any of its accesses."""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import functools
import itertools
from typing import Any
from unittest import mock

from cinder.backup import chunkeddriver
from oslo_utils import importutils

# By which a driver of Cinder's kind reaches its storage.
_ACCESSES = ('put_container', 'get_container_entries', 'get_object_reader',
             'get_object_writer', 'delete_object')
# Accesses that are refused in one request, before it is said to try them
# without an end. A driver may try each a few times.
_PATIENCE = 100


class Endless(BaseException):
    """Work does not end."""


def kept_away(driver: str, after: int
              ) -> contextlib.AbstractContextManager[None] | None:
    """Refuse the accesses of a driver in a context.

    :param driver: its class path
    :param after: so many are not refused
    :returns: None for a driver that is not of Cinder's kind, which cuts
        volumes into chunks
    """
    owner = importutils.import_class(driver)
    if not issubclass(owner, chunkeddriver.ChunkedBackupDriver):
        return None
    return _patched(owner, after)


@contextlib.contextmanager
def _patched(owner: type, after: int) -> Iterator[None]:
    count = itertools.count(1)

    def refused(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def access(*args: Any, **kwargs: Any) -> Any:
            number = next(count)
            if number > after + _PATIENCE:
                raise Endless(
                    f'the storage was asked {_PATIENCE} times, and refused')
            if number > after:
                raise OSError('the storage does not answer')
            return original(*args, **kwargs)

        return access

    with contextlib.ExitStack() as stack:
        for name in _ACCESSES:
            stack.enter_context(mock.patch.object(
                owner, name, refused(getattr(owner, name))))
        yield
