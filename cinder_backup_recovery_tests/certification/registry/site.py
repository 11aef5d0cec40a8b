# SPDX-License-Identifier: Apache-2.0

"""The files of a site, and how they get to their places."""

from collections.abc import Iterable
import os
import pathlib
import re
import tempfile

from cinder_backup_recovery_tests.certification.registry import collect
from cinder_backup_recovery_tests.certification.report import digests

INDEX = 'index.html'
DATA = 'registry.json'
# All that a site consists of. A list of digests with another name is of
# something else.
_OURS = re.compile(r'(index\.html|registry\.json|'
                   r'(drivers|reports)/[a-z0-9][a-z0-9.-]*\.html)')


class Site:
    """The directory of a site.

    Files are made beside the old ones, and take their places when all of them
    are there. A reader who starts at the index finds each page at any time:
    what pages lead to is replaced before them, and removed after them.

    :param directory: it is made; files in it that are of no site are left
        alone
    :raises RegistryError: if it has such a file under a name of the site's,
        or cannot be written
    """

    def __init__(self, directory: pathlib.Path):
        self.directory = directory
        self._names: list[str] = []
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._old = self._listed()
            self._refuse((INDEX, DATA))
            # Beside them, as a file is renamed in one file system only.
            self._new = tempfile.TemporaryDirectory(prefix='.registry-',
                                                    dir=directory)
        except OSError as error:
            raise self._error(error) from error

    def __enter__(self) -> 'Site':
        return self

    def __exit__(self, *_: object) -> None:
        self._new.cleanup()

    def put(self, name: str, text: str) -> None:
        """Make a file of the new site.

        :param name: its path in the site
        :raises RegistryError: if it cannot be written
        """
        path = pathlib.Path(self._new.name, name)
        try:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding='utf-8', newline='')
        except OSError as error:
            raise self._error(error) from error
        self._names.append(name)

    def publish(self) -> None:
        """Replace the old site by the new one.

        :raises RegistryError: if it cannot be written; nothing is replaced
            then where a file of others is in the way
        """
        self._refuse(self._names)
        new = pathlib.Path(self._new.name)
        try:
            digests.write(new, self._names)
            listed = digests.read(new)
            # Both sites, so that a run that is killed leaves no file that the
            # next one would take for one of others.
            both = pathlib.Path(self._new.name, 'both')
            both.write_text(''.join(
                f'{digest}  {name}\n'
                for name, digest in {**self._old, **listed}.items()))
            both.replace(self.directory / digests.NAME)
            # What leads to others comes after them.
            for name in sorted(self._names, key=lambda one: (
                    one == INDEX, one == DATA, one.startswith('drivers/'))):
                path = self.directory / name
                path.parent.mkdir(exist_ok=True)
                (new / name).replace(path)
            for name in sorted(set(self._old) - set(listed)):
                (self.directory / name).unlink(missing_ok=True)
            (new / digests.NAME).replace(self.directory / digests.NAME)
        except OSError as error:
            raise self._error(error) from error

    def _listed(self) -> dict[str, str]:
        """The digests of the old site's files, by name."""
        try:
            old = digests.read(self.directory)
        except FileNotFoundError:
            return {}
        except ValueError:
            old = {'': ''}
        if not all(_OURS.fullmatch(name) for name in old):
            raise self._foreign(digests.NAME)
        return old

    def _refuse(self, names: Iterable[str]) -> None:
        """Refuse to replace what is not of a site."""
        for name in names:
            parent = (self.directory / name).parent
            if parent.is_symlink() and parent != self.directory:
                raise self._foreign(parent.name)
            if name not in self._old and os.path.lexists(
                    self.directory / name):
                raise self._foreign(name)

    def _foreign(self, name: str) -> collect.RegistryError:
        return collect.RegistryError(
            f'{self.directory / name} was not written by this program; '
            f'refusing to overwrite it (choose another --output)')

    def _error(self, error: OSError) -> collect.RegistryError:
        return collect.RegistryError(
            f'the site cannot be written to {self.directory}: '
            f'{error.strerror}')
