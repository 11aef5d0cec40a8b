# SPDX-License-Identifier: Apache-2.0

"""Histories on a cloud, through its public API."""

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import dataclasses
import functools
import hashlib
import json
import time
from typing import Any

from tempest.lib import exceptions as lib_exc

from backup_model import engine as engines
from backup_model import history
from backup_model import promises
from backup_stores import base as stores_base
from cinder_backup_recovery_tests import content as contents
from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import record as backup_record
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.cloud import resources as test_resources
from cinder_backup_recovery_tests.cloud import services
from cinder_backup_recovery_tests.cloud import waiters
from cinder_backup_recovery_tests.rows import base as rows_base
from cinder_backup_recovery_tests.scenario import history_blocks
from cinder_backup_recovery_tests.scenario import history_in_process
from cinder_backup_recovery_tests.scenario import history_moments
from cinder_backup_recovery_tests.scenario import history_requests
from cinder_backup_recovery_tests.stores import damaging

# Seconds for what Cinder does after the status of a backup is its last one:
# the quota, and what a parent says of its children.
_LATE = 8
# Seconds that what is known to stay is waited for at least. The longest work
# of the history tells how fast the cloud is.
_LEAST = 2

_RESOURCES = ('backups', 'backup_gigabytes')


@dataclasses.dataclass(frozen=True)
class Stays:
    """Things known to stay as they are after a step, for a defect of Cinder.

    :ivar statuses: that something keeps, "volume" before those of volumes
    :ivar drifts: the usage differs from the backups that there are, or what
        the API says of a backup's children from the children
    """

    statuses: Collection[str] = ()
    drifts: bool = False


class Project:
    """One of the projects, as an engine uses it.

    :ivar api: the requests of its administrator
    :ivar quota: reads its quota set with the usage
    """

    def __init__(self, api: clients.CloudApi, quota: Callable[[], Any],
                 resources: test_resources.Resources, conf: Any) -> None:
        self.api = api
        self.quota = quota
        self.resources = resources
        self.content = contents.make(conf, resources)


class CloudEngine(history_in_process.OnlyInProcess):
    """An engine for one history, in two projects that have nothing yet.

    :param projects: by the name that the model gives them
    :param actors: the requests of each
    :param damager: of the store of the backups
    :param add_cleanup: of the test
    :param kill: the service, None where it cannot be killed
    :param hold: makes requests meet, None where they are not held
    :param stays: what is known to stay after a step: its end is not waited
        for as long
    :param finds: the kinds of damage that are found at exports and imports
    :param apart: the storage keeps the projects apart
    """

    def __init__(self, projects: Mapping[str, Project],
                 actors: Mapping[str, clients.CloudApi],
                 rows: rows_base.Rows, damager: damaging.Damager,
                 patience: waiters.Patience,
                 add_cleanup: Callable[..., Any],
                 kill: services.BackupService | None = None,
                 hold: services.RequestHold | None = None,
                 stays: Callable[[history.Step], Stays] = (
                     lambda step: Stays()),
                 finds: Collection[str] = (),
                 apart: bool = False) -> None:
        self.finds = finds
        self.apart = apart
        self._projects = projects
        self._names = {one.api.project_id: name
                       for name, one in projects.items()}
        self._actors = actors
        self._rows = rows
        self._damager = damager
        self._ledger = damager.ledger
        self._patience = patience
        self._add_cleanup = add_cleanup
        self._kill = kill
        self._stays = stays
        self.moments = history_moments.Moments(
            hold, self._ledger, patience, self._busy,
            projects['project-1'].resources.story)
        self._main = projects['project-1']
        # The project of each volume.
        self._owners: dict[str, Project] = {}
        self._records: dict[str, backup_record.BackupRecord] = {}
        self._parents: dict[str, str | None] = {}
        self._damaged = contextlib.ExitStack()
        add_cleanup(self._damaged.close)
        # What was not at rest when all work had ended.
        self._rest: set[tuple[str, ...]] = set()
        self._seen: engines.View | None = None
        #: The step that is carried out, None before the first one.
        self._step: history.Step | None = None
        # Seconds of the longest work.
        self._longest = 0.0

    def begin(self, step: history.Step) -> None:
        """Know the step that is carried out next."""
        self._step = step

    # Requests

    def request(self, actor: str, method: str, path: str,
                body: Any = None) -> engines.Answer:
        self._seen = None
        api = self._actors[actor]
        if method == 'GET':
            return history_requests.send(api, method, path)
        step = self._step
        if step is not None and step.operation == 'killed':
            with self.moments.killing(
                    engines.Request(actor, method, path, body),
                    step.arguments['after']) as wait:
                answer = self._change(api, method, path, body)
                wait(answer)
                return answer
        return self._change(api, method, path, body)

    def _change(self, api: clients.CloudApi, method: str, path: str,
                body: Any) -> engines.Answer:
        body = json.loads(json.dumps(body or {}))
        if path == 'backups':
            return self._create(clients.BACKUP, api, path, body,
                                body['backup'], ('backup', 'id'))
        if path.endswith('/restore') and not body['restore'].get('volume_id'):
            return self._create(clients.VOLUME, api, path, body,
                                body['restore'], ('restore', 'volume_id'))
        if path == 'backups/import_record':
            return self._import(api, path, body)
        return history_requests.send(api, method, path, body or None)

    def _create(self, kind: str, api: clients.CloudApi, path: str,
                body: Any, inner: dict[str, Any], where: tuple[str, str]
                ) -> engines.Answer:
        """Send a request that makes something, listed in the ledger first."""
        # By its name it is found when the answer is lost.
        inner['name'] = self._main.resources.name(
            inner.get('name') or f'history-{kind}')
        token = self._ledger.intend(kind, inner['name'])
        self._add_cleanup(self._main.resources.remove_intended, token)
        answer = history_requests.send(api, 'POST', path, body)
        if answer.accepted:
            made = answer.body[where[0]][where[1]]
            self._ledger.created(token, made)
            self._add_cleanup(self._main.resources.remove, kind, made)
            if kind == clients.VOLUME:
                self._owners[made] = self._projects[
                    self._names[api.project_id]]
        return answer

    def _import(self, api: clients.CloudApi, path: str, body: Any
                ) -> engines.Answer:
        answer = history_requests.send(api, 'POST', path, body)
        if not answer.accepted:
            return answer
        made = answer.body['backup']['id']
        if not self._ledger.owns(clients.BACKUP, made):
            self._ledger.add(clients.BACKUP, made)
            self._add_cleanup(self._ledger.gone, clients.BACKUP, made)
        self._add_cleanup(self._forget_marked, made)
        old = self._records.get(made)
        if old is None or old.to_api() != body['backup-record']:
            # A request would remove what a wrong row names.
            self._add_cleanup(self._rows.lose_if_live, made, api.project_id)
        return answer

    def _forget_marked(self, backup_id: str) -> None:
        """Remove a row that two imports have left.

        Marked deleted and available, it is in the way of the import by which
        the stored data is removed.
        """
        if (self._rows.state(clients.BACKUP, backup_id) ==
                rows_base.SOFT_DELETED):
            self._rows.purge(clients.BACKUP, [backup_id])

    def together(self, requests: Sequence[engines.Request], seed: int
                 ) -> list[engines.Answer]:
        return self.moments.together(requests, lambda one: self.request(
            one.actor, one.method, one.path, one.body))

    # Looking

    def settle(self, killed_after: int | None = None) -> None:
        if killed_after is not None:
            self._die()
        stays = self._stays(self._step) if self._step else Stays()
        begun = time.monotonic()
        self._wait(lambda view: {one for one in history_moments.under_way(view)
                                 if one[1] not in stays.statuses},
                   self._patience.backup)
        self._longest = max(self._longest, time.monotonic() - begun)
        known = max(_LEAST, self._longest)
        if stays.statuses:
            self._wait(history_moments.under_way, known)
        self._wait(history_moments.late,
                   min(known, _LATE) if stays.drifts else _LATE)
        stay = history_moments.under_way(self.view())
        for one, _ in stay - self._rest:
            self._add_cleanup(self._free, one)
        self._rest = stay | history_moments.late(self.view())

    def _wait(self, restless: Callable[[engines.View], set[Any]],
              limit: float) -> None:
        """Wait until nothing is on its way that was not before the step."""
        # A look takes a dozen requests.
        if restless(self.view()) <= self._rest:
            return
        # One that stays is for the promises to say.
        with contextlib.suppress(exceptions.WaitTimeout):
            waiters.wait_until(
                lambda: self._look_again(restless) <= self._rest,
                'work is under way', self._patience, limit)

    def _die(self) -> None:
        if self._kill is None:
            raise exceptions.InvalidConfiguration(
                'cinder-backup cannot be killed here: set '
                '[cinder_backup_recovery_feature_enabled] service_kill')
        self._add_cleanup(self._kill.start)
        self._kill.kill()
        self.moments.killed()
        self._kill.start()

    def _free(self, resource_id: str) -> None:
        """Make something removable that stays in a status."""
        view = self._look_again(lambda view: view)
        if view.volumes.get(resource_id) in promises.UNDER_WAY:
            owner = self._owners.get(resource_id)
            if owner is None:
                self._main.api.reset(clients.SNAPSHOT, resource_id)
            else:
                owner.api.reset(clients.VOLUME, resource_id)
        backup = view.backups.get(resource_id)
        if backup is None or backup['status'] not in promises.UNDER_WAY:
            return
        api = self._projects[backup['project']].api
        if resource_id in self._records:
            # By the import of its record, a reset of which does nothing.
            self._rows.lose_if_live(resource_id, api.project_id)
        else:
            api.reset(clients.BACKUP, resource_id)

    def _busy(self, backups: set[str]) -> set[str]:
        """Those of the backups that are on their way."""
        return {one['id'] for project in self._projects.values() for one in
                project.api.backups.list_backups(detail=True)['backups']
                if one['status'] in promises.UNDER_WAY} & backups

    def _look_again(self, restless: Callable[[engines.View], Any]) -> Any:
        self._seen = None
        return restless(self.view())

    def view(self) -> engines.View:
        if self._seen is None:
            self._seen = self._look()
        return self._seen

    def _look(self) -> engines.View:
        backups: dict[str, dict[str, Any]] = {}
        volumes: dict[str, str] = {}
        usage: dict[str, dict[str, int]] = {}
        for name, project in self._projects.items():
            for one in project.api.backups.list_backups(
                    detail=True)['backups']:
                backups[one['id']] = {**one, 'project': name}
            for kind, listed in (
                    ('volumes', project.api.volumes.list_volumes),
                    ('snapshots', project.api.snapshots.list_snapshots)):
                volumes.update((one['id'], one['status']) for one in
                               listed(detail=True)[kind])
            quota = project.quota()
            usage[name] = {f'{resource}{suffix}': quota[resource][key]
                           for resource in _RESOURCES for suffix, key in
                           (('', 'in_use'), (' reserved', 'reserved'))}
        for one in backups.values():
            one['parent_id'] = self._parent(one)
        return engines.View(backups, volumes, usage, self._stored())

    def _parent(self, backup: dict[str, Any]) -> str | None:
        """The id of the parent of a backup, which the API does not tell."""
        record = self._record(backup)
        if record is not None:
            return record.fields.get('parent_id')
        backup_id = backup['id']
        if backup['is_incremental'] and backup_id not in self._parents:
            # One that has failed, or is not finished, has no record.
            self._parents[backup_id] = None
            with contextlib.suppress(exceptions.RowsMismatch):
                self._parents[backup_id] = self._rows.save(
                    clients.BACKUP, [backup_id])['backups'][0]['parent_id']
        return self._parents.get(backup_id)

    def _record(self, backup: dict[str, Any]
                ) -> backup_record.BackupRecord | None:
        """The record of a backup, which has what the API does not tell."""
        backup_id = backup['id']
        if (backup_id not in self._records and '/' not in backup_id and
                backup['status'] == 'available'):
            # It may have gone since it was listed.
            with contextlib.suppress(lib_exc.RestClientException):
                self._records[backup_id] = (
                    self._main.resources.export_record(backup_id))
        return self._records.get(backup_id)

    def _parts(self) -> Iterator[tuple[str, stores_base.Part]]:
        """The parts that the backups of the history have on the storage."""
        for backup_id, record in self._records.items():
            # A row of a record that was changed may say anything.
            with contextlib.suppress(exceptions.StoreRefused):
                for part in self._damager.store.parts(
                        stores_base.Backup.from_fields(record.fields)):
                    if not part.is_container:
                        yield backup_id, part

    def _stored(self) -> dict[str, str]:
        found = {}
        for _, part in self._parts():
            state = self._damager.store.state(part.kind, part.where)
            found[part.title] = hashlib.sha256(
                state if isinstance(state, bytes) else
                str(state).encode()).hexdigest()
        return found

    # Volumes

    def create_volume(self, actor: str, size: int) -> str:
        self._seen = None
        project = self._projects[history.project_of(actor)]
        made = project.resources.create_volume(size=size)['id']
        self._owners[made] = project
        return made

    def _usable(self, volume: str) -> Project:
        """The project of a volume that can be changed.

        :raises EngineError: the volume has another status for good
        """
        status = self.view().volumes.get(volume)
        if status != 'available':
            raise engines.EngineError(f'volume {volume} is {status}')
        self._seen = None
        return self._owners[volume]

    def write(self, volume: str, content: engines.Content) -> None:
        self._usable(volume)
        self._owners[volume].content.rewrite(
            volume, history_blocks.layout(content))

    def read(self, volume: str) -> engines.Content:
        with self._owners[volume].content.read(volume) as stream:
            return history_blocks.read(stream)

    def snapshot(self, actor: str, volume: str) -> str:
        self._usable(volume)
        project = self._projects[history.project_of(actor)]
        return project.resources.create_snapshot(volume)['id']

    def extend_volume(self, volume: str, size: int) -> None:
        project = self._usable(volume)
        project.api.volumes.extend_volume(volume, new_size=size)
        project.resources.wait(clients.VOLUME, volume, 'available')

    def delete_volume(self, volume: str) -> None:
        self._seen = None
        project = self._owners[volume]
        for one in project.api.snapshots.list_snapshots(
                detail=True, volume_id=volume)['snapshots']:
            project.resources.remove(clients.SNAPSHOT, one['id'])
        project.resources.remove(clients.VOLUME, volume)

    # Disasters

    def lose(self, backups: list[str], soft: bool) -> None:
        # With its record what a lost one has on the storage is removed.
        live = [one for one in backups if one in self.view().backups]
        self._seen = None
        if live:
            self._rows.lose(clients.BACKUP, live,
                            rows_base.SOFT if soft else rows_base.HARD)

    def damage(self, objects: list[str], gone: bool = False) -> None:
        self._seen = None
        wanted = set(objects)
        hit = {backup_id: [part for owner, part in self._parts()
                           if owner == backup_id and part.title in wanted]
               for backup_id in self._records}
        for backup_id, parts in hit.items():
            if not parts:
                continue
            one = stores_base.Backup.from_fields(
                self._records[backup_id].fields)
            self._damaged.enter_context(self._damager.damaged(
                stores_base.Damage(
                    'objects gone' if gone else 'every object changed',
                    stores_base.DATA_MISSING if gone else stores_base.CHANGED,
                    functools.partial(history_blocks.changed, parts, gone)),
                one, one))

    def repair(self) -> None:
        self._seen = None
        self._damaged.close()
