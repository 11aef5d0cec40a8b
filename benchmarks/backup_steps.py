# SPDX-License-Identifier: Apache-2.0

"""The backups and restores that are timed, and their storages."""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import filecmp
import functools
import shutil
from typing import Any
from unittest import mock

from cinder.objects import fields
from oslo_utils import importutils

from benchmarks import results
from benchmarks import steps
from local_cloud import fixture
from local_cloud import settings
from reference_drivers.contract import base

MIB = results.MIB
#: Pieces of a MiB that a sparse volume has.
DATA = 1024


class Backups:
    """Backups on one storage, and the steps on them.

    :param cinder: with the reference driver
    :param in_tree: Cinder's driver for the same storage
    :param size: bytes of a volume
    :param chain: how many incremental backups are on the full one
    """

    def __init__(self, cinder: Any, in_tree: str, size: int, chain: int):
        self._cinder = cinder
        self._in_tree = importutils.import_class(in_tree)
        gib = -(-size // results.GIB)
        # As it was when the full backup was made, and as the last one was.
        self._first, self._volume, self._noise, self._target = (
            cinder.create_volume(size=gib) for _ in range(4))
        with open(cinder.path(self._noise.id), 'wb') as stream:
            for number in range(size // MIB):
                stream.write(base.noise(MIB, number))
        steps.write_volume(cinder.path(self._first.id), size)
        path = cinder.path(self._volume.id)
        shutil.copyfile(cinder.path(self._first.id), path)
        self._full = self._last = cinder.create_backup(self._volume)
        part = size // results.PARTS
        for number in range(chain):
            with open(path, 'r+b') as stream:
                for at in (0, 1 + number % (results.PARTS - 1)):
                    stream.seek(at * part)
                    stream.write(base.noise(part, 10**6 + 2 * number + at))
            self._last = cinder.create_backup(self._volume, self._last)

    def _back_up(self, driver: Any) -> None:
        with mock.patch.object(self._cinder.manager, 'service', driver):
            self._cinder.create_backup(self._noise)

    def _restore(self, driver: Any, backup: Any) -> None:
        backup.status = fields.BackupStatus.RESTORING
        backup.save()
        # As the manager does: to a device, which open() cuts to nothing.
        with open(self._cinder.path(self._target.id), 'wb') as stream:
            driver(self._cinder.context).restore(backup, self._target.id,
                                                 stream, True)

    def steps(self) -> dict[str, Callable[[], None]]:
        """All steps by name."""
        made: dict[str, Callable[[], None]] = {}
        for driver, backup, full, chain in (
                (self._cinder.manager.service, results.BACKUP,
                 results.REFERENCE, results.CHAIN),
                (self._in_tree, results.IN_TREE_BACKUP,
                 results.IN_TREE, results.IN_TREE_CHAIN)):
            made[backup] = functools.partial(self._back_up, driver)
            made[full] = functools.partial(self._restore, driver, self._full)
            made[chain] = functools.partial(self._restore, driver, self._last)
        return made

    def check(self) -> None:
        """Run each step once, and compare what is restored.

        :raises Failed: it is not the original
        """
        originals = dict.fromkeys((results.REFERENCE, results.IN_TREE),
                                  self._first)
        originals |= dict.fromkeys((results.CHAIN, results.IN_TREE_CHAIN),
                                   self._volume)
        for name, step in self.steps().items():
            step()
            if name in originals and not filecmp.cmp(
                    self._cinder.path(originals[name].id),
                    self._cinder.path(self._target.id), False):
                raise results.Failed(f'{name}: the restored volume differs '
                                     'from the original')


def sparse(cinder: Any, gib: int) -> dict[str, results.Series]:
    """Back a sparse volume up, of which 1 GiB is data, spread over it."""
    volume = cinder.create_volume(size=gib)
    cinder.write_blocks(volume.id, gib * results.GIB, {
        number * gib * results.GIB // DATA: base.noise(MIB, number)
        for number in range(DATA)})
    return results.in_turns({
        results.BACKUP: lambda: cinder.create_backup(volume)}, 1)


@contextlib.contextmanager
def options(storage: str) -> Iterator[dict[str, Any]]:
    """The options of a driver, with its storage as long as they are used."""
    if storage == results.DIRECTORY:
        yield {'backup_enable_progress_timer': False}
        return
    results.progress('starting Swift and Keystone')
    with fixture.LocalCloud('swift', without=('cinder-volume',
                                              'cinder-backup')) as cloud:
        yield {
            'backup_swift_enable_progress_timer': False,
            'backup_swift_auth': 'single_user',
            'backup_swift_auth_version': '3',
            'backup_swift_auth_url':
                f'{settings.url(cloud.state, "keystone")}/v3',
            'backup_swift_user': settings.ADMIN_USER,
            'backup_swift_key':
                cloud.state.record['passwords'][settings.ADMIN_USER],
            'backup_swift_project': settings.ADMIN_PROJECT,
            'backup_swift_user_domain': 'Default',
            'backup_swift_project_domain': 'Default'}
