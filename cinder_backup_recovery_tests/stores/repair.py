# SPDX-License-Identifier: Apache-2.0

"""Undo the damages and remove the copies that a killed run has left."""

from collections.abc import Mapping
from typing import Any

from backup_stores import base
from cinder_backup_recovery_tests import stores
from cinder_backup_recovery_tests.cloud import ledger as resource_ledger
from cinder_backup_recovery_tests.cloud import membership
from cinder_backup_recovery_tests.stores import copying
from cinder_backup_recovery_tests.stores import damaging


class Repair:
    """Undoes damages and removes copies, as an administrator."""

    def __init__(self, conf: Any, members: membership.Membership,
                 ledger: resource_ledger.Ledger) -> None:
        self._conf = conf
        self._members = members
        self._ledger = ledger

    def __call__(self, change: resource_ledger.Change) -> None:
        """Undo a damage.

        :param change: one of the ledger's, of damaging.KIND
        :raises BackupRecoveryError: it could not be undone
        :raises tempest.lib.exceptions.TempestException: the administrator
            cannot take part in the backup's project
        """
        damaging.put_back(self._ledger, self._store(change.before), change)

    def remove(self, entry: resource_ledger.Entry) -> None:
        """Remove the rest of a stored backup.

        :param entry: one of the ledger's, of copying.KIND
        :raises BackupRecoveryError: it could not be removed
        :raises tempest.lib.exceptions.TempestException: the administrator
            cannot take part in the backup's project
        """
        copying.remove(self._ledger, self._store(entry.details), entry)

    def _store(self, noted: Mapping[str, Any]) -> base.Store:
        project_id = noted['project_id']
        make = stores.make_second if noted.get('second') else stores.make
        return make(self._conf, noted['store'],
                    lambda: self._members.manager(project_id))
