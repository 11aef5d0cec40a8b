# SPDX-License-Identifier: Apache-2.0

"""Where backups are stored, as far as a verification has to know."""

from collections.abc import Iterable
from collections.abc import Iterator
import errno
import itertools
import os
import re
import stat
from typing import Any
from typing import NamedTuple
import urllib.parse

from reference_drivers.verification import errors

PIECE = 1024 * 1024
"""The bytes of an object read at once where the store can do that."""

#: Details of a bad location: no text at all, a control character, a path that
#: leads out of the store, a prefix that is no prefix of the backup.
EMPTY, CONTROL, OUTSIDE, OF_ANOTHER = (
    'empty', 'control', 'outside', 'of another')

# Names have up to 255 bytes in the row, and control characters in none.
_LONGEST = 255
#: The prefix of all backups in a directory, until 2017 (bug 1628768).
OLD_PREFIX = 'backup'
_CONTROL = re.compile(r'[\x00-\x1f\x7f]')
_ID = re.compile(r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}')
#: What follows the prefix in the name of an object.
SUFFIX = re.compile(r'-[0-9]+|_metadata|_sha256file')
_OBJECT = re.compile(
    rf'(.*_backup_[0-9a-f-]{{36}})({SUFFIX.pattern})\Z')


class Entry(NamedTuple):
    """One object of a listing.

    A tuple: of the kinds of small objects the one that is made fastest.

    :ivar size: its stored length, None where the listing does not say
    :ivar md5: the MD5 of the stored bytes, None where the listing does not
        say, or does not say it of every object
    """

    name: str
    size: int | None = None
    md5: str | None = None


def check_names(container: Any, prefix: Any, backup_id: str) -> None:
    """Refuse names that cannot be those of this backup, on any store.

    Every chunked driver of Cinder ends the prefix with ``backup_<id>``. A
    shorter one, or another's, would list, restore and delete the objects of
    other backups, since a listing asks for all that begins with it. Only
    :data:`OLD_PREFIX` is as short: each backup had a directory of its own.
    Where several shared one, the metadata tells whose it is.

    :param backup_id: the backup that they should belong to
    :raises BadLocation: naming which, and why
    """
    check_name('container', container, backup_id)
    check_name('service_metadata', prefix, backup_id)
    if prefix == OLD_PREFIX:
        directory = container.rpartition('/')[2]
        if _ID.fullmatch(directory) and directory != backup_id:
            raise errors.BadLocation(
                f'container {container[:100]!r} is the directory of another '
                f'backup', 'container', backup_id, OF_ANOTHER)
    elif not re.search(
            rf'(^|[^0-9a-zA-Z-])backup_{re.escape(backup_id)}$', prefix):
        raise errors.BadLocation(
            f'service_metadata {prefix[:100]!r} is not a prefix of backup '
            f'{backup_id}', 'service_metadata', backup_id, OF_ANOTHER)


def check_name(field: str, value: Any, backup_id: str | None) -> None:
    """Refuse a name that no store may be asked for.

    :param field: of the row that has it
    :raises BadLocation: with the reason
    """
    reason, rule = None, None
    if not isinstance(value, str):
        reason, rule = 'is not text', EMPTY
    elif not value:
        reason, rule = 'is empty', EMPTY
    elif _CONTROL.search(value):
        reason, rule = 'has a control character', CONTROL
    elif len(value) > _LONGEST:
        reason = f'is longer than {_LONGEST} characters'
    elif value.startswith('/'):
        reason, rule = 'is absolute', OUTSIDE
    elif any(part in ('.', '..') for part in value.split('/')):
        reason, rule = 'leads outside the store', OUTSIDE
    if reason:
        raise errors.BadLocation(f'{field} {repr(value)[:100]} {reason}',
                                 field, backup_id, rule)


class Store:
    """The store behind a chunked driver.

    This class needs no more than what every chunked driver has. What it
    cannot know, a vendor's subclass adds: lengths and checksums in
    :meth:`entries`, reading in pieces in :meth:`pieces`, finding a backup by
    its id in :meth:`locate`.
    """

    def __init__(self, driver: Any):
        self.driver = driver

    def clone(self) -> 'Store':
        """A store for one more reader that reads at the same time.

        :returns: this one; a subclass whose connection serves one reader at
            a time returns another
        """
        return self

    def close(self) -> None:
        """Let go of what :meth:`clone` has opened."""

    def check_available(self) -> None:
        """Refuse a store that does not exist at all.

        An empty answer of such a store would look like a lost backup.

        :raises Unreadable: the store is not there
        """

    def check_container(self, container: str,
                        backup_id: str | None = None) -> None:
        """Refuse a container from which no backup would be read.

        Cinder takes nearly any name from a user who creates a backup.

        :raises BadLocation: with the reason
        """
        check_name('container', container, backup_id)

    def same_container(self, one: str, other: str) -> bool:
        """Check whether two names are those of one container."""
        return one == other

    def check_location(self, container: str, prefix: str,
                       backup_id: str) -> None:
        """Refuse a location that is not one of this very backup.

        :raises BadLocation: naming the field
        """
        check_names(container, prefix, backup_id)
        self.check_container(container, backup_id)

    def url(self, container: str, prefix: str) -> str:
        """A location that a person can read."""
        return f'backup:{urllib.parse.quote(f"{container}/{prefix}")}'

    def entries(self, container: str, prefix: str) -> Iterator[Entry]:
        """All objects whose name begins with a prefix.

        :returns: the objects, fetched page by page where there are pages
        """
        for name in self.driver.get_container_entries(container, prefix):
            yield Entry(name)

    def pieces(self, container: str, name: str,
               extra_metadata: Any = None) -> Iterator[bytes]:
        """The bytes of an object.

        :returns: pieces in order; this class has just one
        """
        with self.driver.get_object_reader(
                container, name, extra_metadata=extra_metadata) as reader:
            yield reader.read()

    def read(self, container: str, name: str) -> bytes:
        """A small object as a whole."""
        return b''.join(self.pieces(container, name))

    def locate(self, backup_id: str, volume_id: str | None = None
               ) -> tuple[str, str] | None:
        """Find a backup of which only the id is known.

        :param volume_id: its volume, where that is known too
        :returns: container and prefix, or None where the store cannot tell
        """
        return None

    def containers(self) -> Iterator[str]:
        """The containers in which there may be backups.

        :returns: all that the store can list, or just that of the
            configuration
        """
        return iter(())

    def listing(self, containers: Iterable[str] = ()
                ) -> Iterator[tuple[str, Entry | errors.Problem]]:
        """List all objects, those with one prefix one after the other.

        :param containers: those to list, all that there are by default
        :returns: the container and the object, or what cannot be listed
        """
        for container in containers or self.containers():
            for entry in self.entries(container, ''):
                yield container, entry

    def siblings(self, container: str, volume_id: str) -> Iterator[str]:
        """Find the backups of a volume in one container.

        :returns: their prefixes, and perhaps some of other volumes
        """
        return iter(())

    def is_missing(self, err: BaseException) -> bool:
        """Check whether an error means a missing object or container."""
        if isinstance(err, FileNotFoundError):
            return True
        response = getattr(err, 'response', None)
        code = (response.get('Error', {}).get('Code')
                if isinstance(response, dict) else None)
        return (code in ('404', 'NoSuchKey', 'NoSuchBucket') or
                getattr(err, 'http_status', None) == 404)


class FlatStore(Store):
    """A store without directories, such as Swift, S3 or Google's.

    Cinder's drivers for these name objects
    ``volume_<volume>/<time>/az_<zone>_backup_<backup>-00001``, so that a
    backup is found by its id where a subclass can list in two more ways.
    """

    def directories(self, container: str, prefix: str) -> Iterator[str]:
        """Names below a prefix up to the next slash, without repetition.

        :returns: the prefix with what follows it and the slash
        """
        raise NotImplementedError

    def first(self, container: str, prefix: str, after: str) -> str | None:
        """The first object with a prefix whose name is above another.

        :returns: its name, None if there is no such backup
        """
        raise NotImplementedError

    def locate(self, backup_id: str, volume_id: str | None = None
               ) -> tuple[str, str] | None:
        # Walked as directories, so that no more than one object of a
        # backup is ever listed.
        for container in self._places():
            volumes = ([f'volume_{volume_id}/'] if volume_id else
                       self.directories(container, 'volume_'))
            for volume in volumes:
                for moment in self.directories(container, volume):
                    for prefix in self._backups(container, moment):
                        if prefix.endswith(f'_backup_{backup_id}'):
                            return container, prefix
        return None

    def _places(self) -> Iterator[str]:
        """The containers, first the one that most backups are in."""
        yield self.driver.backup_default_container
        for container in self.containers():
            if container != self.driver.backup_default_container:
                yield container

    def containers(self) -> Iterator[str]:
        yield self.driver.backup_default_container

    def siblings(self, container: str, volume_id: str) -> Iterator[str]:
        for moment in self.directories(container, f'volume_{volume_id}/'):
            yield from self._backups(container, moment)

    def _backups(self, container: str, moment: str) -> Iterator[str]:
        """The prefixes of the backups that were begun in one second."""
        after = ''
        while name := self.first(container, moment, after):
            found = _OBJECT.match(name)
            if found:
                yield found[1]
            # After all objects of this backup.
            after = f'{found[1]}~' if found else name


class PosixStore(Store):
    """A directory, of ``PosixBackupDriver`` or a driver that mounts it."""

    scheme = 'file'

    @property
    def root(self) -> str:
        """The directory of all containers."""
        return self.driver.backup_path

    def url(self, container: str, prefix: str) -> str:
        path = os.path.join(os.path.abspath(self.root), container, prefix)
        return f'{self.scheme}://{urllib.parse.quote(path)}'

    def check_available(self) -> None:
        # Also where a backup is looked for in an empty directory: it is
        # the store that is missing then, and not the backup.
        if not os.path.isdir(self.root):
            raise errors.Unreadable(
                f'the directory of the backups {self.root} is not there',
                self.root)

    def check_container(self, container: str,
                        backup_id: str | None = None) -> None:
        super().check_container(container, backup_id)
        self.directory(container, backup_id)

    def same_container(self, one: str, other: str) -> bool:
        # A user may have named it with one slash more.
        return self.directory(one) == self.directory(other)

    def check_location(self, container: str, prefix: str,
                       backup_id: str) -> None:
        super().check_location(container, prefix, backup_id)
        if '/' in prefix:
            raise errors.BadLocation(
                f'service_metadata {prefix[:100]!r} has a directory in it',
                'service_metadata', backup_id)

    def directory(self, container: str, backup_id: str | None = None) -> str:
        """The directory of a container, inside the store.

        :returns: a path without symbolic links below the root
        :raises BadLocation: it is, or leads over a link, outside the store
        """
        root = os.path.realpath(self.root)
        path = os.path.realpath(os.path.join(root, container))
        if not path.startswith(root.rstrip('/') + '/'):
            raise errors.BadLocation(
                f'container {container[:100]!r} leads outside the store',
                'container', backup_id, OUTSIDE)
        return path

    def entries(self, container: str, prefix: str) -> Iterator[Entry]:
        # By the directory itself, so that no file's length is looked up
        # through all the directories above it.
        directory = os.open(self.directory(container),
                            os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with os.scandir(directory) as found:
                for one in found:
                    name = one.name
                    if not name.startswith(prefix):
                        continue
                    status = one.stat(follow_symlinks=False)
                    if not stat.S_ISREG(status.st_mode):
                        raise errors.BadLocation(
                            f'object {name} is not a regular file', name)
                    yield Entry(name, status.st_size)
        finally:
            os.close(directory)

    def open(self, container: str, name: str) -> Any:
        """Open an object for reading.

        :raises BadLocation: the name is a path, or of a symbolic link
        """
        if '/' in name or name in ('', '.', '..'):
            raise errors.BadLocation(f'object {name!r} is not a name', name)
        path = os.path.join(self.directory(container), name)
        try:
            number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW |
                             os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as err:
            if err.errno != errno.ELOOP:
                raise
            raise errors.BadLocation(
                f'object {name} is not a regular file', name) from None
        if not stat.S_ISREG(os.fstat(number).st_mode):
            os.close(number)
            raise errors.BadLocation(
                f'object {name} is not a regular file', name)
        return os.fdopen(number, 'rb', buffering=0)

    def pieces(self, container: str, name: str,
               extra_metadata: Any = None) -> Iterator[bytes]:
        with self.open(container, name) as stream:
            while piece := stream.read(PIECE):
                yield piece

    def locate(self, backup_id: str, volume_id: str | None = None
               ) -> tuple[str, str] | None:
        self.check_available()
        # What update_container_name() of the driver gives a backup without
        # a container of its own, then the container of the configuration,
        # then those that users have named.
        places = [os.path.join(backup_id[0:2], backup_id[2:4], backup_id)]
        if self.driver.backup_default_container:
            places.append(self.driver.backup_default_container)
        for container in itertools.chain(places, self.containers()):
            try:
                names = os.listdir(self.directory(container))
            except (OSError, errors.BadLocation):
                continue
            tail = f'_backup_{backup_id}_metadata'
            found = [name for name in names if name.endswith(tail) or
                     (name == f'{OLD_PREFIX}_metadata' and
                      container.endswith(backup_id))]
            if len(found) == 1:
                return container, found[0][:-len('_metadata')]
        return None

    def containers(self) -> Iterator[str]:
        for path, _, names in os.walk(self.root):
            if any(name.endswith('_metadata') for name in names):
                yield os.path.relpath(path, self.root)

    def listing(self, containers: Iterable[str] = ()
                ) -> Iterator[tuple[str, Entry | errors.Problem]]:
        self.check_available()
        unread: list[OSError] = []
        for top in containers or ('',):
            if top and not os.path.isdir(self.directory(top)):
                raise errors.Missing(f'container {top} is missing', top)
            for path, directories, names in os.walk(
                    os.path.join(self.root, top), onerror=unread.append):
                container = os.path.relpath(path, self.root)
                if container == '.':
                    # No container, so that no backup is in it.
                    container = ''
                for name in sorted(names + [
                        one for one in directories
                        if os.path.islink(os.path.join(path, one))]):
                    try:
                        status = os.lstat(os.path.join(path, name))
                    except FileNotFoundError:
                        # Deleted meanwhile.
                        continue
                    if stat.S_ISREG(status.st_mode):
                        yield container, Entry(name, status.st_size)
                    else:
                        yield container, errors.BadLocation(
                            f'{os.path.join(path, name)} is not a regular '
                            f'file; links are not followed', name)
            for err in unread:
                if not isinstance(err, FileNotFoundError):
                    place = os.path.relpath(err.filename, self.root)
                    yield place, errors.Unreadable(
                        f'{err.filename} cannot be listed: {err.strerror}',
                        place)
            unread.clear()

    def siblings(self, container: str, volume_id: str) -> Iterator[str]:
        for name in os.listdir(self.directory(container)):
            prefix = name.removesuffix('_metadata')
            if prefix != name and (
                    prefix.startswith(f'volume_{volume_id}_') or
                    prefix == OLD_PREFIX):
                yield prefix
