# SPDX-License-Identifier: Apache-2.0

"""The storage of a cinder-backup, by its configuration."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
import contextlib
from typing import Any

from cinder import coordination
from oslo_config import cfg

from reference_drivers import import_verify
from reference_drivers import options
from reference_drivers import programs
from reference_drivers import verify
from reference_drivers.scanning import found as found_
from reference_drivers.scanning import rebuilding
from reference_drivers.scanning import walk
from reference_drivers.verification import store as stores

CONF = cfg.CONF

_OWN = 'cinder.backup.drivers'
#: The reference drivers that read what Cinder's own drivers store.
_READERS = {
    f'{_OWN}.ceph.CephBackupDriver': 'reference_drivers.ceph.CephBackupDriver',
    f'{_OWN}.posix.PosixBackupDriver':
        'reference_drivers.default.DefaultBackupDriver',
    f'{_OWN}.nfs.NFSBackupDriver': 'reference_drivers.nfs.NFSBackupDriver',
    f'{_OWN}.s3.S3BackupDriver': 'reference_drivers.s3.S3BackupDriver',
    f'{_OWN}.swift.SwiftBackupDriver':
        'reference_drivers.swift.SwiftBackupDriver',
}


def reader_of(name: str) -> str:
    """The driver that reads what a driver has stored.

    :param name: of the class, as ``backup_driver`` has it
    """
    return _READERS.get(name, name)


class ScanError(Exception):
    """The storage cannot be scanned; one line says why."""


@contextlib.contextmanager
def _one_line() -> Iterator[None]:
    # What a driver, its client or Cinder may raise has no common class.
    try:
        yield
    except Exception as error:
        raise ScanError(' '.join(str(error).split()).rstrip('.') or
                        type(error).__name__) from error


class Source:
    """The storage of the driver that ``backup_driver`` names.

    :param config_files: Cinder's configuration; where Cinder looks by itself
        if there are none
    :ivar name: of the driver, as a record has it
    :raises ScanError: it cannot be used, or is of a driver that cannot list
        its backups
    """

    def __init__(self, config_files: list[str]):
        with _one_line():
            programs.configure(config_files)
            self.name: str = CONF.backup_driver
            self._reader = reader_of(self.name)
            programs.import_driver(self.name)
            #: The reference driver that reads it.
            self.kind: Any = programs.import_driver(self._reader)
        if not (issubclass(self.kind, import_verify.ImportVerifyMixin) and
                (hasattr(self.kind, 'get_store') or
                 hasattr(self.kind, 'scan'))):
            raise ScanError(f'the storage of {self.name} cannot be scanned; '
                            f'that of the drivers for a directory, NFS, S3, '
                            f'Swift and Ceph can be')
        # Cinder's own drivers do not read the driver's part of a record.
        self._describes = self._reader == self.name
        self._driver: Any = None
        #: Backups by their ids, those with the fields of a record.
        self.backups: dict[str, found_.Found] = {}
        #: All the rest.
        self.remains: list[found_.Found] = []

    @property
    def per_user(self) -> bool:
        """The backups of each project are in an account of its own."""
        return programs.has_accounts(self.kind)

    @contextlib.contextmanager
    def opened(self, token: str | None = None, project: str | None = None,
               endpoint: str | None = None) -> Iterator[Any]:
        """The storage, by a reference driver that is connected to it.

        :param token: see :func:`.programs.context_of`, as of the others
        :returns: a context manager with the driver
        :raises ScanError: it cannot be connected
        """
        context = programs.context_of(token, project, endpoint)
        with _one_line():
            # Cinder's NFS driver mounts under a lock.
            coordination.COORDINATOR.start()
        try:
            with _one_line():
                driver = verify.open_driver(self._reader, context)
            yield driver
        finally:
            coordination.COORDINATOR.stop()

    def scan(self, containers: Iterable[str] = (),
             progress: Callable[[int], None] = lambda done: None,
             **account: str | None) -> None:
        """Look at all that there is.

        :param containers: those to look at, all that there are by default
        :param progress: called with the number of backups that were looked at
        :param account: see :meth:`opened`
        :raises ScanError: it cannot be done
        """
        with _one_line(), self.opened(**account) as self._driver:
            if hasattr(self._driver, 'scan'):
                for found in self._driver.scan(containers, progress):
                    self._add(found)
                return
            store = self._driver.get_store()
            if type(store).containers is stores.Store.containers:
                raise ScanError(f'the storage of {self.name} cannot list its '
                                f'backups')
            for found in walk.Walk(
                    store, CONF[options.GROUP].timeout, containers,
                    self._describes, progress).run():
                self._add(found)

    def _add(self, new: found_.Found) -> None:
        if new.fields is None or new.backup_id is None:
            self.remains.append(new)
            return
        old = self.backups.get(new.backup_id)
        if old is not None:
            if _rank(new) <= _rank(old):
                new, old = old, new
            old.kind, old.fields, old.described = found_.COPY, None, None
            self.remains.append(old)
        self.backups[str(new.backup_id)] = new

    def finish(self) -> None:
        """Complete the backups by their parents, when all is scanned."""
        rebuilding.link_up(self.backups)

    def driver_info(self, found: found_.Found) -> dict[str, Any]:
        """The driver's own part of the record of a backup."""
        if not self._describes:
            return {}
        if found.info is not None:
            return found.info
        return rebuilding.describe(found, self.backups,
                                   self._driver.get_store(),
                                   self._driver.store_kind)


def _rank(found: found_.Found) -> tuple[bool, bool]:
    """The higher one is used of two copies."""
    backup: str = found.backup_id or ''
    own = f'{backup[0:2]}/{backup[2:4]}/{backup}'
    return (found.kind == found_.COMPLETE,
            (found.fields or {}).get('container') == own)
