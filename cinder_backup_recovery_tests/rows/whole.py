# SPDX-License-Identifier: Apache-2.0

"""Loss of all rows at once: Cinder gets a new, empty database."""

import shlex

from cinder_backup_recovery_tests import commands
from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.cloud import ledger as resource_ledger

_KINDS = (clients.VOLUME, clients.SNAPSHOT, clients.BACKUP)


class WholeDatabase:
    """The database of a cloud without other users.

    :param command: the operator's program; split like in a shell, but no
        shell is used
    :param timeout: seconds after which the program is killed
    :raises InvalidConfiguration: the command cannot be split, or is empty
    """

    def __init__(self, command: str, api: clients.CloudApi,
                 ledger: resource_ledger.Ledger, timeout: float = 300
                 ) -> None:
        self._command = commands.split(command)
        self._api = api
        self._ledger = ledger
        self._timeout = timeout

    def check(self) -> None:
        """Refuse a program that is not installed; it is not run."""
        commands.require(self._command)

    def lose(self) -> None:
        """Replace the database, and prove that all rows are gone.

        :raises NotInLedger: the cloud has a volume, snapshot or backup that
            the suite did not create; nothing was lost
        :raises DatabaseLossFailed: the program failed or took too long, or
            something still exists after it
        """
        for kind in _KINDS:
            foreign = [one for one in self._api.list_ids(kind)
                       if not self._ledger.owns(kind, one)]
            if foreign:
                raise exceptions.NotInLedger(
                    f'refusing to drop the database of a cloud that is in '
                    f'use: it has {len(foreign)} of kind {kind} that this '
                    f'suite did not create, {foreign[0]} for one')
        commands.run(self._command, self._timeout, shlex.join(self._command),
                     exceptions.DatabaseLossFailed,
                     'whether the database was lost')
        for kind in _KINDS:
            left = self._api.list_ids(kind)
            if left:
                raise exceptions.DatabaseLossFailed(
                    f'{shlex.join(self._command)} exited 0, but {kind} '
                    f'{left[0]} still exists')
