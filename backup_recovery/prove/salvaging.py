# SPDX-License-Identifier: Apache-2.0

"""Salvage one backup into a file or a device of this machine."""

from collections.abc import Callable
import pathlib
from typing import Any

from cinder import coordination
from cinder import exception
from cinder import objects
from oslo_config import cfg

from backup_recovery import books
from backup_recovery import exceptions
from backup_recovery import signing
from reference_drivers import programs
from reference_drivers import verify
from reference_drivers.scanning import source as sources
from reference_drivers.verification import salvage as engine

CONF = cfg.CONF

# What a driver has to know of a backup.
_FIELDS = ('id', 'project_id', 'container', 'service_metadata', 'volume_id',
           'parent_id', 'size', 'object_count', 'snapshot_id')


def _recorded(path: pathlib.Path, signers: signing.Signers | None,
              backup_id: str) -> tuple[Any, dict[str, Any] | None]:
    """The lines of a file of records about a backup.

    :returns: the backup, and the driver's part of its record if there is one
    """
    book = books.Book(path, signers).load()
    if backup_id not in book.records:
        raise exceptions.BadFile(f'{path} has no record of backup '
                                 f'{backup_id} that can be used')
    with book.reader() as read:
        fields = read(book.records[backup_id]).fields
    info = fields.get('driver_info')
    return (objects.Backup(**{name: fields.get(name) for name in _FIELDS}),
            info if isinstance(info, dict) and info else None)


def salvage(backup_id: str, path: pathlib.Path, config_files: list[str],
            cloud: Callable[[], Any], records: pathlib.Path | None = None,
            signers: signing.Signers | None = None, overwrite: bool = False,
            progress: Callable[[int, int], None] = lambda done, of: None
            ) -> engine.Salvaged:
    """Write all that is good of a damaged backup.

    :param path: the file that is made
    :param config_files: of Cinder
    :param cloud: connects to the cloud, which is needed only where each
        project has an account of its own
    :param records: a file with the record of the backup, which may have no
        row then
    :param signers: of that file
    :param overwrite: it is a device, or a file that exists
    :param progress: called with the bytes that were looked at, and with all
    :raises RecoveryError: nothing of it can be salvaged
    """
    if signers and not records:
        raise exceptions.RecoveryError(
            '--signed-by is about a file of records: name it with --records')
    try:
        programs.configure(config_files)
        # Cinder's NFS driver mounts under a lock.
        coordination.COORDINATOR.start()
        try:
            context = programs.context_of()
            backup, info = (
                _recorded(records, signers, backup_id) if records else
                (objects.Backup.get_by_id(context, backup_id), None))
            reader = sources.reader_of(CONF.backup_driver)
            if programs.has_accounts(programs.import_driver(reader)):
                session = cloud().session(backup.project_id)
                context = programs.context_of(
                    session.token, backup.project_id, session.account)
            driver = verify.open_driver(reader, context)
            driver.check_access(backup)
            with engine.Target(str(path), overwrite) as target:
                found: engine.Salvaged = driver.salvage(
                    backup, target, info, progress)
                return found
        finally:
            coordination.COORDINATOR.stop()
    except (exception.CinderException, ValueError) as error:
        raise exceptions.RecoveryError(
            ' '.join(str(error).split()).rstrip('.')) from error
