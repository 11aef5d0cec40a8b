# SPDX-License-Identifier: Apache-2.0

"""Files that are complete or unchanged, whenever the program is killed."""

from collections.abc import Iterator
import contextlib
import datetime
import fcntl
import functools
from importlib import resources
import json
import os
import pathlib
from typing import Any
from typing import BinaryIO

import jsonschema

from backup_recovery import exceptions


def now() -> str:
    """The time, in ISO 8601 and UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).strftime('%Y-%m-%dT%H:%M:%SZ')


@contextlib.contextmanager
def reading(path: pathlib.Path) -> Iterator[BinaryIO]:
    """Open a file for reading.

    :raises BadFile: it cannot be read
    """
    try:
        with open(path, 'rb') as stream:
            yield stream
    except OSError as error:
        raise exceptions.BadFile(f'{path}: {error.strerror}') from error


@contextlib.contextmanager
def locked(path: pathlib.Path) -> Iterator[BinaryIO]:
    """Open a file for appending, which no other process has open so.

    The lock is the kernel's, and ends with the process. Only the owner can
    read the file.

    :raises BadFile: another process has it, or it cannot be written
    """
    try:
        while True:
            with open(path, 'ab', opener=functools.partial(
                    os.open, mode=0o600)) as stream:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Another process may have renamed it before it was locked.
                with contextlib.suppress(FileNotFoundError):
                    if os.path.samestat(os.stat(path),
                                        os.fstat(stream.fileno())):
                        yield stream
                        return
    except BlockingIOError as error:
        raise exceptions.BadFile(
            f'{path} is in use by another process; wait for its end'
        ) from error
    except OSError as error:
        raise exceptions.BadFile(f'{path}: {error.strerror}') from error


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[BinaryIO]:
    """Write a file that takes another one's place when it is complete.

    Until then the other one is unchanged, also after an exception or a kill.

    :raises BadFile: it cannot be written
    """
    # What a link points to is replaced, and not the link.
    path = path.resolve()
    new = path.with_name(f'{path.name}.new')
    with locked(new) as stream:
        try:
            # A killed process may have left a part, and others a file that
            # everyone can read.
            stream.truncate(0)
            os.fchmod(stream.fileno(), 0o600)
            yield stream
            sync(stream)
            os.replace(new, path)
            directory = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        except BaseException:
            new.unlink(missing_ok=True)
            raise


def sync(stream: BinaryIO) -> None:
    """Write what is buffered to the disk itself."""
    stream.flush()
    os.fsync(stream.fileno())


def line(content: dict[str, Any]) -> bytes:
    """One line of JSON."""
    # Half of a surrogate pair is text in JSON, and none in UTF-8.
    return json.dumps(content, ensure_ascii=False).encode(
        errors='backslashreplace') + b'\n'


@functools.cache
def _schema(name: str) -> Any:
    text = resources.files('backup_recovery').joinpath(
        f'{name}.schema.json').read_text(encoding='utf-8')
    return jsonschema.Draft202012Validator(json.loads(text))


def check(name: str, content: Any) -> str | None:
    """Compare the content of a line with its schema.

    :param name: of the schema
    :returns: the first difference, or None
    """
    error = next(_schema(name).iter_errors(content), None)
    if error is None:
        return None
    place = '.'.join(map(str, error.absolute_path))
    # The whole of a wrong value may be long.
    reason = error.message if len(error.message) < 160 else (
        f'does not match "{error.validator}"')
    return f'{place}: {reason}' if place else reason
