# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.


"""Undo the damages that a killed run has left, by its ledger."""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
from typing import Any

from tempest import clients
from tempest.common import credentials_factory
from tempest.lib import exceptions as lib_exc

from cinder_backup_recovery_tests import ledger as resource_ledger
from cinder_backup_recovery_tests import stores
from cinder_backup_recovery_tests.stores import damaging


class Repair:
    """Puts back what a damage has changed, as an administrator."""

    def __init__(self, conf: Any, manager: Any,
                 ledger: resource_ledger.Ledger) -> None:
        """Take what is needed.

        :param conf: Tempest's configuration
        :param manager: the administrator's manager of clients
        :param ledger: what says how a damage is undone
        """
        self._conf = conf
        self._manager = manager
        self._ledger = ledger

    def __call__(self, change: resource_ledger.Change) -> None:
        """Undo a damage.

        :param change: one of the ledger's, of damaging.KIND
        :raises BackupRecoveryError: it could not be undone
        :raises tempest.lib.exceptions.TempestException: no user of the
            backup's project could be had
        """
        with contextlib.ExitStack() as stack:
            def manager() -> Any:
                return stack.enter_context(
                    self._in_project(change.before['project_id']))

            store = stores.make(self._conf, change.before['store'], manager)
            damaging.put_back(self._ledger, store, change)

    @contextlib.contextmanager
    def _in_project(self, project_id: str) -> Iterator[Any]:
        """Take part in a project whose own users have no password any more.

        :param project_id: the project that owns the backup
        """
        auth = self._conf.auth
        roles = self._manager.roles_v3_client
        user_id = self._manager.credentials.user_id
        role_id = next(
            (one['id'] for one in roles.list_roles()['roles']
             if one['name'] == self._conf.identity.admin_role), None)
        where = (project_id, user_id, role_id)
        undo: Callable[..., Any] | None = None
        try:
            roles.check_user_role_existence_on_project(*where)
        except lib_exc.NotFound:
            roles.create_user_role_on_project(*where)
            undo = roles.delete_role_from_user_on_project
        try:
            yield clients.Manager(credentials_factory.get_credentials(
                identity_version='v3', username=auth.admin_username,
                password=auth.admin_password, project_id=project_id,
                user_domain_name=(auth.admin_user_domain_name
                                  or auth.admin_domain_name)))
        finally:
            if undo:
                undo(*where)
