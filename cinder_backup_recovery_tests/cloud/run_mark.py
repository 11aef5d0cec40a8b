# SPDX-License-Identifier: Apache-2.0

"""The mark of a certification in the cloud that it tests.

Tests stop services, change quotas and lose the whole database: two
certifications of one cloud disturb each other, even though each removes only
what is in its own ledger. Their ledgers may be on different machines, so the
lock must be in the cloud: a disabled project with a fixed name, in whose
description the run names itself. Keystone creates only one project of a name
in a domain, which makes its creation atomic.

The mark is in the ledger of its run, so that clean-up removes it, last of all.
"""

import json
from typing import Any

from tempest.lib import exceptions as lib_exc

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.cloud import ledger as resource_ledger
from cinder_backup_recovery_tests.cloud import locks

#: Kind of the ledger's entry.
KIND = 'run-mark'
NAME = 'cinder-backup-recovery-certification'


class Occupied(exceptions.BackupRecoveryError):
    """Another certification has its mark in the cloud."""


class RunMark:
    """Sets the mark of a run, and finds those of others."""

    def __init__(self, projects: Any,
                 ledger: resource_ledger.Ledger) -> None:
        self._projects = projects
        self._ledger = ledger

    def _found(self) -> list[dict[str, Any]]:
        return self._projects.list_projects({'name': NAME})['projects']

    def check(self) -> None:
        """Refuse a cloud with the mark of a run that has another ledger.

        :raises Occupied: naming the run
        """
        try:
            found = self._found()
        except lib_exc.Forbidden:
            return
        ours = {entry.details['run'] for entry in
                self._ledger.entries(KIND, include_gone=True)}
        for project in found:
            if _run_of(project).get('run') not in ours:
                raise Occupied(_occupied(project))

    def set(self, run: locks.Owner) -> bool:
        """Create the mark of a run.

        :returns: whether the administrator may create it
        :raises Occupied: naming the run whose mark the cloud has
        """
        token = self._ledger.intend(KIND, NAME, run=run['run'])
        try:
            made = self._projects.create_project(
                NAME, enabled=False, description=json.dumps(dict(run)))
        except lib_exc.Forbidden:
            self._ledger.abandon(token)
            return False
        except lib_exc.Conflict:
            self._ledger.abandon(token)
            self.check()
            raise Occupied(f'another run has marked this cloud by the project '
                           f'{NAME}; start again when it has ended') from None
        self._ledger.created(token, made['project']['id'])
        # The administrator of another domain may have made one there. Both
        # look after they have created theirs, so that not both go on.
        try:
            self.check()
        except Occupied:
            self._delete(made['project']['id'])
            raise
        return True

    def remove(self, entry: resource_ledger.Entry) -> str:
        """Remove a mark.

        :param entry: of the ledger; where the request's answer was not seen,
            the run in the description says whose mark a project is
        """
        project_id = entry.resource_id
        if project_id is None:
            project_id = next(
                (project['id'] for project in self._found()
                 if _run_of(project).get('run') == entry.details['run']), None)
            if project_id is None:
                self._ledger.abandon(entry.token)
                return 'was never made'
            self._ledger.created(entry.token, project_id)
        return self._delete(project_id)

    def _delete(self, project_id: str) -> str:
        try:
            self._projects.delete_project(project_id)
            done = 'removed'
        except lib_exc.NotFound:
            done = 'was gone already'
        self._ledger.gone(KIND, project_id)
        return done


def _run_of(project: dict[str, Any]) -> dict[str, Any]:
    try:
        found = json.loads(project.get('description') or '')
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _occupied(project: dict[str, Any]) -> str:
    run = _run_of(project)
    who = locks.describe(run)
    again = (f'certify again with the report directory {run.get("report")} '
             f'and the same profile, which removes what it left')
    alive = locks.alive(run)
    if alive:
        return f'another run certifies this cloud ({who}); wait for its end'
    if alive is False:
        return (f'a run that was killed has left its mark on this cloud '
                f'({who}): {again}')
    return (f'another run has marked this cloud ({who}), and whether it '
            f'exists is unknown on this host; wait for its end, or if '
            f'it was killed, {again}; if its ledger {run.get("ledger")} is '
            f'lost, delete the project {project["id"]}')
