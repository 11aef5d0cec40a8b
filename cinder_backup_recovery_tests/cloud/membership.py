# SPDX-License-Identifier: Apache-2.0

"""Membership of an administrator in the projects of a run that has ended.

The password of a user that Tempest has made dies with the run. What lies in
an account of the project's, as backups in Swift can, is reached only by a
user of that project.
"""

from collections.abc import Iterator
import contextlib
from typing import Any

from tempest import clients
from tempest.common import credentials_factory
from tempest.lib import exceptions as lib_exc


class Membership:
    """Makes the administrator a member of projects for a while."""

    def __init__(self, admin_role: str, manager: Any) -> None:
        self._admin_role = admin_role
        self._manager = manager
        self._managers: dict[str, Any] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> 'Membership':
        """Start; :meth:`manager` may be used until the exit."""
        return self

    def __exit__(self, *args: Any) -> None:
        """Leave all projects."""
        self._managers.clear()
        self._stack.close()

    def manager(self, project_id: str) -> Any:
        """Make clients whose requests are of a project.

        :returns: a manager of clients, the same one each time
        :raises tempest.lib.exceptions.TempestException: the administrator
            cannot take part in it
        """
        if project_id == self._manager.credentials.project_id:
            return self._manager
        if project_id not in self._managers:
            self._managers[project_id] = self._stack.enter_context(
                self._joined(project_id))
        return self._managers[project_id]

    @contextlib.contextmanager
    def _joined(self, project_id: str) -> Iterator[Any]:
        roles = self._manager.roles_v3_client
        own = self._manager.credentials
        role_id = next(
            (one['id'] for one in roles.list_roles()['roles']
             if one['name'] == self._admin_role), None)
        where = (project_id, own.user_id, role_id)
        joined = False
        try:
            roles.check_user_role_existence_on_project(*where)
        except lib_exc.NotFound:
            roles.create_user_role_on_project(*where)
            joined = True
        try:
            yield clients.Manager(credentials_factory.get_credentials(
                identity_version='v3', username=own.username,
                password=own.password, project_id=project_id,
                user_domain_name=own.user_domain_name))
        finally:
            if joined:
                # With its project the role is gone already.
                with contextlib.suppress(lib_exc.NotFound):
                    roles.delete_role_from_user_on_project(*where)
