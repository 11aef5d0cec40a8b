# SPDX-License-Identifier: Apache-2.0

"""The base of the tests that carry histories out on this cloud."""

from collections.abc import Sequence
import functools
import json
from typing import Any

from tempest import config

from backup_model import engine as engines
from backup_model import history
from backup_model import known
from backup_model import operations
from backup_model import running
from backup_model import telling
from cinder_backup_recovery_tests import config as recovery_config
from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import facts
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
    needed_features: tuple[str, ...] = ('row_loss_hard', 'second_store')

    hold: services.RequestHold | None

    @classmethod
    def setup_clients(cls) -> None:
        """Check the programs before anything is created."""
        super().setup_clients()
        cls.hold = services.RequestHold.from_config(CONF, cls.ledger) if (
            CONF.cinder_backup_recovery_feature_enabled.request_hold) else (
                None)

    def check(self, name: str) -> None:
        """Carry a history of the corpus out, and judge each step.

        :param name: of its file in :data:`.known.CORPUS`
        :raises AssertionError: a promise was broken, with the story
        """
        self.carry_out(history.read(known.CORPUS / f'{name}.json'), name)

    def carry_out(self, steps: Sequence[history.Step],
                  corpus: str = '', seed: int | None = None) -> None:
        """Carry a history out, and judge each step by the model.

        :param corpus: its name there, '' for others
        :param seed: that it was drawn by
        :raises AssertionError: a promise was broken, with the story
        :raises MomentMissed: requests of a history that was kept did not
            meet, or the service was not killed in its work
        """
        engine = self._engine()
        with self.story.step('carry out: ' + '; '.join(
                map(telling.step, steps))):
            failures = []
            try:
                for failure in running.run(engine, steps, engine.begin):
                    failures.append(failure)
            except engines.EngineError as error:
                # A defect that is among the failures has made it useless.
                if not failures:
                    raise
                self.story.note(f'the history ends there: {error}')
        causes = known.causes()
        self.story.facts.histories = facts.Histories(
            seed, 1, 1, len(steps), {
                causes[one.cause]: 1 for one in failures
                if one.cause in causes}, [], corpus)
        for missed in engine.moments.missed:
            self.story.note(missed)
        for one in failures:
            if one.cause not in causes:
                self.fail('\n'.join([telling.story(one), json.dumps({
                    'version': history.VERSION, 'steps': [
                        step.to_data() for step in one.steps]})]))
        # Others may have come before the one that it was kept for.
        cause = known.cause(corpus) if corpus else None
        for one in sorted(failures, key=lambda one: one.cause != cause):
            # A driver may stop it.
            with self.known_defect(causes[one.cause], shows=False):
                self.fail(telling.story(one))
        if engine.moments.missed and seed is None:
            raise exceptions.MomentMissed('; '.join(engine.moments.missed))

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
            else None, self.hold, stays,
            # Not each level finds bytes that have changed.
            [engines.GONE] if able.import_verify else [],
            not able.other_project)

    def _quota(self, project_id: str) -> dict[str, Any]:
        quotas = self.os_project_admin.volume_quotas_client_latest
        return quotas.show_quota_set(
            project_id, params={'usage': True})['quota_set']


def stays(step: history.Step) -> history_engine.Stays:
    """Read from the declared defects what stays as it is after a step."""
    operation = operations.ALL[step.operation]
    asked = operations.Inner.steps(step) if 'steps' in step.arguments else (
        [step] if operation.request else [])
    if not asked:
        # Cinder has been asked for nothing that it does later.
        return history_engine.Stays(drifts=True)
    together = f'{step.operation} ' if 'steps' in step.arguments else ''
    declared = recovery_config.declared_defects(CONF)
    causes = [cause for cause, defect in known.causes().items()
              if defect in declared]
    begins = [(f'{together}{one.operation} ', f'{one.operation} ')
              for one in asked]
    return history_engine.Stays(
        {key.removeprefix(exact) for promise, key in causes
         for exact, _ in begins
         if promise == 'work-ends' and key.startswith(exact) and (
             # What was not changed is slow, and ends.
             together or 'field' in step.arguments)},
        any(promise in _DRIFTS and key.startswith(pair)
            for promise, key in causes for pair in begins))


# The promises that Cinder may still have to keep when a status is the last.
_DRIFTS = ('usage-is-that-of-rows', 'told-as-it-is')
