# SPDX-License-Identifier: Apache-2.0

"""Do a damage, and undo it whatever happens in between.

Before anything is changed, the originals are written to files beside the
ledger, and how the damage is undone to the ledger.
"""

from collections.abc import Iterator
import contextlib
import hashlib
import os
import shutil
from typing import Any
import uuid

from oslo_log import log as logging

from backup_stores import base
from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.cloud import ledger as resource_ledger

LOG = logging.getLogger(__name__)

KIND = 'damage'
"""The kind of the ledger's changes that :func:`put_back` undoes."""

_KEPT = 'kept'


class Damager:
    """Damages backups of the suite, and no others.

    :param store_name: by which a clean-up makes the same store
    :param project_id: the project that owns the backups
    """

    def __init__(self, store: base.Store, store_name: str,
                 ledger: resource_ledger.Ledger, project_id: str) -> None:
        self.store = store
        self.ledger = ledger
        self._store_name = store_name
        self._project_id = project_id

    @contextlib.contextmanager
    def damaged(self, damage: base.Damage, backup: base.Backup,
                other: base.Backup) -> Iterator[base.Plan]:
        """Damage a backup for a while.

        :param other: another backup, of another content
        :raises NotInLedger: the suite has not made both backups
        :raises StoreRefused: the record names what may not be its backup's
        """
        self.ledger.require(clients.BACKUP, [backup.id, other.id])
        plan = self.store.plan(damage, backup, other)
        key = f'{backup.id} {damage.name} {uuid.uuid4().hex[:8]}'
        steps = [self._keep(step) for step in plan.changes]
        self.ledger.note(
            KIND, key,
            {'store': self._store_name, 'project_id': self._project_id,
             'backup_ids': [backup.id, other.id], 'steps': steps},
            damage.name)
        try:
            for step in plan.changes:
                self.store.change(step.kind, step.where, step.state)
            yield plan
        finally:
            for change in self.ledger.changes(KIND):
                if change.key == key:
                    put_back(self.ledger, self.store, change)

    def _keep(self, change: base.Change) -> dict[str, Any]:
        state = self.store.state(change.kind, change.where)
        if state == change.state:
            raise exceptions.StoreFailed(
                f'no-op damage: {change.kind} {"/".join(change.where)} is '
                f'already in that state')
        step: dict[str, Any] = {'kind': change.kind,
                                'where': list(change.where)}
        if isinstance(state, bytes):
            return {**step, 'file': self._save(state),
                    'sha256': hashlib.sha256(state).hexdigest()}
        return {**step, 'state': state}

    def _save(self, data: bytes) -> str:
        directory = os.path.join(self.ledger.directory, _KEPT)
        os.makedirs(directory, mode=0o700, exist_ok=True)
        name = uuid.uuid4().hex
        number = os.open(os.path.join(directory, name),
                         os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(number, 'wb') as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        return name


def put_back(ledger: resource_ledger.Ledger, store: base.Store,
             change: resource_ledger.Change) -> None:
    """Undo a damage, also one that was done only in part.

    :param change: one of the ledger's, of :data:`KIND`
    :raises StoreFailed: an original cannot be read, or not be written
    """
    files = []
    for step in reversed(change.before['steps']):
        state = step.get('state')
        if 'file' in step:
            # Only a file of this directory, whatever the ledger names.
            path = os.path.join(ledger.directory, _KEPT,
                                os.path.basename(step['file']))
            state = _load(path, step['sha256'])
            files.append(path)
        store.change(step['kind'], step['where'], state)
        if store.state(step['kind'], step['where']) != state:
            raise exceptions.StoreFailed(
                f'{step["kind"]} {"/".join(step["where"])} was not restored: '
                f'it differs from what was written')
    ledger.restored(change.kind, change.key)
    for path in files:
        os.remove(path)


def forget(ledger: resource_ledger.Ledger) -> None:
    """Remove the originals for damages that a kill has prevented.

    :param ledger: of a run that has ended
    """
    if ledger.changes(KIND):
        return
    shutil.rmtree(os.path.join(ledger.directory, _KEPT), ignore_errors=True)


def _load(path: str, checksum: str) -> bytes:
    try:
        with open(path, 'rb') as stream:
            data = stream.read()
    except OSError as exc:
        raise exceptions.StoreFailed(
            f'the saved original cannot be read; cannot undo the damage: '
            f'{path}: {exc.strerror}') from None
    if hashlib.sha256(data).hexdigest() != checksum:
        raise exceptions.StoreFailed(
            f'the saved original has been modified; cannot undo the damage: '
            f'{path}')
    return data
