# SPDX-License-Identifier: Apache-2.0

"""Digests of the files of a report, as ``sha256sum --check`` reads them."""

from collections.abc import Iterable
import hashlib
import pathlib

NAME = 'SHA256SUMS'


def _digest(path: pathlib.Path) -> str:
    with path.open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()


def write(directory: pathlib.Path, names: Iterable[str]) -> None:
    """Write down the digests of files.

    :param names: files, and directories for all that is in them
    """
    files: list[pathlib.Path] = []
    for name in names:
        path = directory / name
        files += ([one for one in path.rglob('*') if one.is_file()]
                  if path.is_dir() else [path])
    (directory / NAME).write_text(''.join(
        f'{_digest(path)}  {path.relative_to(directory)}\n'
        for path in sorted(files)))


def read(directory: pathlib.Path) -> dict[str, str]:
    """The digests by the names of files.

    :raises OSError: if there are none
    :raises ValueError: if they cannot be read
    """
    found = {}
    for line in (directory / NAME).read_text().splitlines():
        digest, separator, name = line.partition('  ')
        path = pathlib.PurePosixPath(name)
        if not separator or path.is_absolute() or '..' in path.parts:
            raise ValueError(f'{NAME} cannot be read: {line}')
        found[name] = digest
    return found


def differences(directory: pathlib.Path) -> list[str]:
    """List the files that differ from their digests, one line each.

    :raises OSError: if there are none
    :raises ValueError: if they cannot be read
    """
    found = []
    for name, digest in read(directory).items():
        try:
            if _digest(directory / name) != digest:
                found.append(f'{name} is not the file that {NAME} was made '
                             f'of')
        except FileNotFoundError:
            found.append(f'{name} is in {NAME} and not here')
    return found
