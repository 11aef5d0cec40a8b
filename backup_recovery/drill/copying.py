# SPDX-License-Identifier: Apache-2.0

"""Copy the data of some backups off their storage, which is only read."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import threading
from typing import Any

from backup_recovery import exceptions
from backup_recovery import files
from backup_recovery import records
from reference_drivers.scanning import source as sources
from reference_drivers.verification import store as stores

#: What the copies are listed in.
MANIFEST = 'manifest'
#: The local cloud's name of the driver, by the reference driver.
KINDS = {
    'reference_drivers.default.DefaultBackupDriver': 'default',
    'reference_drivers.nfs.NFSBackupDriver': 'nfs',
    'reference_drivers.s3.S3BackupDriver': 's3',
    'reference_drivers.swift.SwiftBackupDriver': 'swift',
}


@dataclasses.dataclass(frozen=True, slots=True)
class Object:
    """One object of a backup.

    :ivar project: of the backup
    :ivar file: with the bytes, beside the manifest
    """

    backup: str
    project: str
    container: str
    name: str
    file: str


@dataclasses.dataclass
class Report:
    """The outcome of a copy.

    :ivar failed: the reason by the id of each backup that is not copied
    """

    objects: int = 0
    bytes: int = 0
    failed: dict[str, str] = dataclasses.field(default_factory=dict)


def open_source(config_files: list[str]) -> tuple[sources.Source, str]:
    """Open a storage by the configuration of its cinder-backup.

    :returns: the storage, and the local cloud's name of such a driver
    :raises RecoveryError: it cannot be used, or not be copied
    """
    try:
        source = sources.Source(config_files)
    except sources.ScanError as error:
        raise exceptions.RecoveryError(str(error)) from error
    for one in source.kind.__mro__:
        kind = KINDS.get(f'{one.__module__}.{one.__qualname__}')
        if kind:
            return source, kind
    raise exceptions.RecoveryError(
        f'backups of {source.name} cannot be copied for a drill; those in a '
        f'directory, NFS, S3 and Swift can be')


class Copier:
    """Copies backups into a directory.

    :param source: their storage
    :param cloud: connects to their cloud, which is needed only where each
        project has an account of its own
    :param directory: is made
    :param room: the bytes that have to be free when all is copied
    :param stop: ends it
    :param progress: called with the number of objects that are copied, and
        with that of all
    """

    def __init__(self, source: sources.Source, cloud: Callable[[], Any],
                 directory: pathlib.Path, room: int, stop: threading.Event,
                 progress: Callable[[int, int], None]):
        self._source = source
        self._cloud = cloud
        self._directory = directory
        self._room = room
        self._stop = stop
        self._progress = progress
        self.report = Report()

    def copy(self, wanted: Iterable[records.Record]) -> Report:
        """Copy the objects of backups, and write the manifest.

        :raises RecoveryError: the storage cannot be read at all, or there is
            no room
        """
        by_project: dict[str, list[records.Record]] = {}
        for record in wanted:
            project = record.project_id if self._source.per_user else ''
            by_project.setdefault(project, []).append(record)
        self._directory.mkdir(mode=0o700)
        with open(self._directory / MANIFEST, 'wb') as manifest:
            for project, found in by_project.items():
                try:
                    with self._source.opened(
                            **self._account(project)) as driver:
                        self._copy(driver.get_store(), found, manifest)
                except (sources.ScanError, exceptions.CloudError) as error:
                    if not project:
                        raise exceptions.RecoveryError(str(error)) from error
                    self.report.failed |= {one.id: str(error)
                                           for one in found}
        return self.report

    def _account(self, project: str) -> dict[str, str | None]:
        if not project:
            return {}
        session = self._cloud().session(project)
        return {'token': session.token, 'project': project,
                'endpoint': session.account}

    def _copy(self, store: stores.Store, found: list[records.Record],
              manifest: Any) -> None:
        listed: dict[str, tuple[str, list[stores.Entry]]] = {}
        for record in found:
            with self._failing(record.id):
                listed[record.id] = self._list(store, record)
        self._check_room(listed.values())
        number = sum(len(entries) for _, entries in listed.values())
        done = 0
        for record in found:
            container, entries = listed.get(record.id, ('', []))
            with self._failing(record.id):
                for entry in entries:
                    if self._stop.is_set():
                        raise KeyboardInterrupt
                    name = f'{self.report.objects:08d}'
                    self._read(store, container, entry.name, name)
                    manifest.write(files.line(dataclasses.asdict(Object(
                        record.id, record.project_id, container, entry.name,
                        name))))
                    self.report.objects += 1
                    done += 1
                    self._progress(done, number)

    @contextlib.contextmanager
    def _failing(self, backup: str) -> Iterator[None]:
        """Go on with the next backup where one cannot be read."""
        try:
            yield
        except Exception as error:
            # What a driver and its client may raise has no common class.
            self.report.failed[backup] = (
                ' '.join(str(error).split()).rstrip('.') or
                type(error).__name__)

    @staticmethod
    def _list(store: stores.Store, record: records.Record
              ) -> tuple[str, list[stores.Entry]]:
        """The container and the objects of a backup.

        :raises Problem: it names what may not be its own
        """
        # What they are is checked, also that they are texts.
        container: Any = record.fields.get('container')
        prefix: Any = record.fields.get('service_metadata')
        store.check_location(container, prefix, record.id)
        return container, [
            entry for entry in store.entries(container, prefix)
            if stores.SUFFIX.fullmatch(entry.name[len(prefix):])]

    def _check_room(self, listed: Iterable[tuple[str, list[stores.Entry]]]
                    ) -> None:
        """Leave a disk that others use its room.

        :raises RecoveryError: there is too little
        """
        need = self._room + sum(entry.size or 0 for _, entries in listed
                                for entry in entries)
        free = shutil.disk_usage(self._directory).free
        if need > free:
            raise exceptions.RecoveryError(
                f'{self._directory.parent} has {free >> 20} MiB free, and '
                f'the copies and the volumes that are restored from them may '
                f'need {need >> 20}: name another directory, or fewer '
                f'backups with --volumes or --backup')

    def _read(self, store: stores.Store, container: str, name: str,
              file: str) -> None:
        with open(self._directory / file, 'wb', opener=_private) as stream:
            for piece in store.pieces(container, name):
                stream.write(piece)
                self.report.bytes += len(piece)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def listed(directory: pathlib.Path) -> Iterator[Object]:
    """The objects of a manifest."""
    with open(directory / MANIFEST, 'rb') as stream:
        for line in stream:
            yield Object(**json.loads(line))
