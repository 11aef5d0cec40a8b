# SPDX-License-Identifier: Apache-2.0

"""Histories in which Cinder broke a promise, on this cloud.

Random ones in one process have found them, see ``cinder-backup-histories``.
"""

import functools
from typing import Any

from tempest import config
from tempest.lib import decorators

from backup_model import history
from backup_model import known
from backup_model import running
from backup_model import telling
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.cloud import services
from cinder_backup_recovery_tests.scenario import history_engine
from cinder_backup_recovery_tests.scenario import stores
from cinder_backup_recovery_tests.stores import damaging

CONF = config.CONF

_ACTORS = {'admin-1': 'project_admin', 'member-1': 'project_member',
           'admin-2': 'project_alt_admin', 'member-2': 'project_alt_member'}


class HistoryScenario(stores.StoreScenario):
    """Base: one history, in two projects that have nothing else.

    What a history leaves of the quota's usage is not what the next one would
    begin with.
    """

    credentials = list(_ACTORS.values())
    # Only a store that can be copied names the parts of a backup: that of
    # Ceph does not.
    needed_features = ('row_loss_hard', 'second_store')

    def check(self, name: str) -> None:
        """Carry a history out, and judge each step by the model.

        :param name: of its file in :data:`.known.CORPUS`
        :raises AssertionError: a promise was broken, with the story
        """
        steps = history.read(known.CORPUS / f'{name}.json')
        with self.story.step('carry out: ' + '; '.join(
                map(telling.step, steps))):
            failures = list(running.run(self._engine(), steps))
        causes = known.causes()
        for one in failures:
            if one.cause not in causes:
                self.fail(telling.story(one))
        # Others may have come before the one that it was kept for.
        for one in sorted(failures, key=lambda one: (
                one.cause != known.cause(name))):
            # A driver may stop it.
            with self.known_defect(causes[one.cause], shows=False):
                self.fail(telling.story(one))

    def _engine(self) -> history_engine.CloudEngine:
        actors = {actor: clients.CloudApi(getattr(self, f'os_{name}'))
                  for actor, name in _ACTORS.items()}
        projects = {}
        for actor in ('admin-1', 'admin-2'):
            api = actors[actor]
            projects[history.project_of(actor)] = history_engine.Project(
                api, functools.partial(self._quota, api.project_id),
                self._make_resources(self.addCleanup, self.story, api), CONF)
        able = CONF.cinder_backup_recovery_feature_enabled
        return history_engine.CloudEngine(
            projects, actors, self.rows, damaging.Damager(
                self.store, CONF.cinder_backup_recovery.backup_store,
                self.ledger, self.project_id),
            self.patience, self.addCleanup,
            services.BackupService.from_config(CONF) if able.service_kill
            else None, able.import_verify)

    def _quota(self, project_id: str) -> dict[str, Any]:
        quotas = self.os_project_admin.volume_quotas_client_latest
        return quotas.show_quota_set(
            project_id, params={'usage': True})['quota_set']




class DeletedParentTest(HistoryScenario):
    @decorators.idempotent_id('c99d6278-61b8-4770-bf36-52496657934d')
    def test_history(self) -> None:
        """The parent of a backup stays until its child is deleted.

        If it fails, an administrator of another project takes the parent of a
        backup away, which cannot be restored any more.
        """
        self.check('nothing-needed-is-taken-live-child')


class DeletedParentOfLostTest(HistoryScenario):
    @decorators.idempotent_id('97dce223-bbd0-420d-8115-b8c40b5a4ff2')
    def test_history(self) -> None:
        """The parent of a backup whose row is lost stays.

        If it fails, a backup that was lost and has a record cannot be restored
        any more.
        """
        self.check('nothing-needed-is-taken-lost-child')


class OtherImporterTest(HistoryScenario):
    @decorators.idempotent_id('98d783c8-1f53-4199-9c90-86e68a96c3ce')
    def test_history(self) -> None:
        """A backup is that of its project, whichever project imports it.

        If it fails, its owner does not reach it after a recovery, and another
        project does.
        """
        self.check('reached-by-the-same-import')


class ReasonOfRestoreTest(HistoryScenario):
    @decorators.idempotent_id('4980d942-08f2-4a30-be42-39f86458a8ac')
    def test_history(self) -> None:
        """A restore that fails says why.

        If it fails, a user of a damaged backup is not told that it is damaged.
        """
        self.check('restored-as-it-was-no-reason')


class ReasonOfImportTest(HistoryScenario):
    @decorators.idempotent_id('f3bcd8e6-0718-42ff-a4b9-eb544964b916')
    def test_history(self) -> None:
        """A backup that is available has no reason of a failure.

        If it fails, a backup that was recovered looks like one that was not.
        """
        self.check('told-as-it-is-import-fail_reason')


class LostChildrenTest(HistoryScenario):
    @decorators.idempotent_id('f434e4e5-29ab-430e-8133-8236182baded')
    def test_history(self) -> None:
        """An imported backup has the children that are there.

        If it fails, it is refused to delete a backup without any child.
        """
        self.check('told-as-it-is-import-has_dependent_backups')


class QuotaOfFailedImportTest(HistoryScenario):
    @decorators.idempotent_id('01230172-b3a1-4b7d-a2b4-8110398c78f9')
    def test_history(self) -> None:
        """An import that fails takes none of the quota.

        If it fails, each import that fails costs a project a part of its quota
        that it does not get back.
        """
        self.check('usage-is-that-of-rows-import-backup_gigabytes')
