# SPDX-License-Identifier: Apache-2.0

"""A cloud in one process: Cinder's API, scheduler, backup manager, database.

What is real: the WSGI application with its schemas and policies, the
scheduler's and the backup service's managers, the driver and its storage, the
quota, the database with the schema of Cinder's migrations, oslo.messaging's
serializers and dispatcher. What is not: the volumes are files, and no
service runs, so that each run of a history is the same.
"""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import functools
import hashlib
import os
import sqlite3
from typing import Any

from cinder import context as cinder_context
from cinder import objects
from cinder import rpc
from cinder.api.middleware import auth
from cinder.api.middleware import fault
from cinder.api.v3 import router
from cinder.common import constants
from cinder.scheduler import manager as scheduler_manager
import fixtures
from oslo_db.sqlalchemy import engines as engines_of_oslo
from oslo_serialization import jsonutils
from sqlalchemy import event
import webob

from backup_model import engine as engines
from backup_model import history
from backup_stores import base as stores_base
from backup_stores import objects as object_stores
from reference_drivers.contract import binding
from reference_drivers.contract import environment
from reference_drivers.histories import bus
from reference_drivers.histories import turns

# Ids of projects by name; Cinder takes hexadecimal digits.
_PROJECTS = {f'project-{digit}': digit * 32 for digit in '12'}
_NAMES = {value: key for key, value in _PROJECTS.items()}
_BLOCK = 32768


class _Application(fault.FaultWrapper):
    """The API, which keeps the last error that it has answered with 500."""

    error: Exception | None = None

    def _error(self, inner: Exception, req: Any) -> Any:
        self.error = inner
        return super()._error(inner, req)


class Cloud(fixtures.Fixture):
    """An engine for histories in this process.

    :param bound: the driver, as for its contract
    :raises BindingError: its storage cannot list objects
    """

    def __init__(self, bound: binding.Binding):
        super().__init__()
        if not bound.has_store:
            raise binding.BindingError(
                f'{bound.driver} needs a store adapter that lists its '
                f'objects; name one with --store')
        self.binding = bound
        self.verifies = bound.verifies
        self._blocks: dict[bytes, int] = {}
        self._damaged: dict[tuple[str, str], bytes] = {}
        self.turns = turns.Turns()
        # Points until the service dies, None if it does not.
        self._left: int | None = None
        # Connections in use.
        self._open = 0
        # Where each backup is stored, by its first row.
        self._places: dict[str, tuple[str, str]] = {}
        # The last view, as long as it is true.
        self._seen: engines.View | None = None

    def _setUp(self) -> None:
        self.cinder = self.useFixture(self.binding.make_environment())
        self.store: object_stores.ObjectStore = self.binding.make_objects()
        conf = environment.CONF
        self.cinder.configure(quota_backups=20, quota_backup_gigabytes=40,
                              service_down_time=10**6,
                              # In a thread of its own it would be done at
                              # any time.
                              backup_service_inithost_offload=False)
        self.bus = bus.Bus(conf)
        self.useFixture(fixtures.MockPatchObject(
            rpc, 'TRANSPORT', self.bus.transport()))
        self.useFixture(fixtures.MockPatch(
            'cinder.volume.api.API.create', self._create_of_restore))
        self.useFixture(fixtures.MockPatch(
            'cinder.volume.volume_utils.brick_get_connector_properties',
            return_value={}))
        self._application = _Application(
            auth.CinderKeystoneContext(router.APIRouter()))
        scheduler = scheduler_manager.SchedulerManager(host='scheduler')
        scheduler.driver.update_service_capabilities(
            'backup', conf.host, {
                'backend_state': True, 'availability_zone': 'nova',
                'driver_name': conf.backup_driver}, None, None)
        self._start_backup_service()
        self.bus.serve(constants.SCHEDULER_TOPIC, [scheduler])
        objects.Service(
            cinder_context.get_admin_context(), host=conf.host,
            binary='cinder-backup', topic=constants.BACKUP_TOPIC,
            availability_zone='nova', report_count=0, disabled=False
        ).create()
        self.cinder._volume_type()
        # It yields to other threads, which takes long on a busy machine.
        yields = (environment.db.get_engine(), 'checkin',
                  engines_of_oslo._thread_yield)
        if event.contains(*yields):
            event.remove(*yields)
            self.addCleanup(event.listen, *yields)
        for name, listener in (('checkout', self._checked_out),
                               ('checkin', self._checked_in),
                               ('begin', self._may_die)):
            event.listen(yields[0], name, listener)
            self.addCleanup(event.remove, yields[0], name, listener)
        self.bus.on_message = self._on_message
        pool = environment.db.get_engine().pool
        connect = pool.connect

        def connect_in_turn() -> Any:
            self._may_switch()
            return connect()

        self.useFixture(fixtures.MockPatchObject(
            pool, 'connect', connect_in_turn))
        self._empty = sqlite3.connect(':memory:', check_same_thread=False)
        self._database().backup(self._empty)
        self.addCleanup(self._empty.close)
        self.addCleanup(Cloud.clear, self)

    @staticmethod
    def _database() -> sqlite3.Connection:
        connection: Any = environment.db.get_engine().raw_connection()
        return connection.driver_connection

    def clear(self) -> None:
        """Begin with an empty cloud again."""
        self._seen = None
        self.bus.cleanup()
        self.bus.errors.clear()
        self.repair()
        for container, name in list(self._objects()):
            self.store.delete(container, name)
        self._places.clear()
        self._empty.backup(self._database())
        for name in os.listdir(self.cinder.directory):
            if name.startswith('volume-'):
                os.unlink(os.path.join(self.cinder.directory, name))

    # Requests

    def request(self, actor: str, method: str, path: str,
                body: Any = None) -> engines.Answer:
        self._seen = None
        project = _PROJECTS[history.project_of(actor)]
        request = webob.Request.blank(
            f'/{project}/{path}', base_url='http://localhost/v3',
            method=method, headers={
                'X-User-Id': actor, 'X-Project-Id': project,
                'X-Roles': ('admin,member,reader' if history.is_admin(actor)
                            else 'member,reader'),
                'OpenStack-API-Version': 'volume 3.64'})
        if body is not None:
            request.content_type = 'application/json'
            request.body = jsonutils.dump_as_bytes(body)
        response = request.get_response(self._application)
        decoded = {}
        if response.body:
            with contextlib.suppress(ValueError):
                decoded = jsonutils.loads(response.body)
        return engines.Answer(response.status_int, decoded)

    def together(self, requests: Sequence[engines.Request], seed: int
                 ) -> list[engines.Answer]:
        return self.turns.run([
            functools.partial(self.request, one.actor, one.method, one.path,
                              one.body) for one in requests], seed)

    def settle(self, killed_after: int | None = None) -> None:
        self._seen = None
        self._left = killed_after
        try:
            while self.bus.deliver():
                pass
        except bus.Killed:
            self._left = None
            self._open = 0
            self._start_backup_service()
            self.settle()
        finally:
            self._left = None

    def _may_die(self, *args: Any) -> None:
        """Before each transaction and each message."""
        if (self._left is None or
                self.bus.receiver != constants.BACKUP_TOPIC):
            return
        if self._left == 0:
            # Nor does it clean up what it was doing.
            raise bus.Killed
        self._left -= 1

    def lives_on(self) -> None:
        """Do not die in the work that is being done."""
        self._left = None

    def _on_message(self, message: bus.Message) -> None:
        self._may_die()
        self._may_switch()

    def _checked_out(self, *args: Any) -> None:
        self._open += 1

    def _may_switch(self) -> None:
        # Not in a transaction: the one of another thread would be a part of
        # it, for all connections are the same.
        if not self._open:
            self.turns.switch()

    def _checked_in(self, *args: Any) -> None:
        self._open -= 1

    def _start_backup_service(self) -> None:
        """A new manager, which cleans up what another one has left."""
        self._manager = self.cinder._manager()
        self._manager.volume_rpcapi.get_backup_device = self._get_device
        self.bus.serve(constants.BACKUP_TOPIC, [self._manager])
        self._manager._cleanup_incomplete_backup_operations(
            cinder_context.get_admin_context())

    def view(self) -> engines.View:
        if self._seen is None:
            self._seen = self._look()
        return self._seen

    def _look(self) -> engines.View:
        listed = self.request('admin-1', 'GET',
                              'backups/detail?all_tenants=1')
        if not listed.accepted:
            raise engines.EngineError(
                f'the backups cannot be listed: {listed.text} '
                f'({self._application.error!r})')
        with environment.db.get_engine().connect() as connection:
            def rows(statement: str) -> list[Mapping[str, Any]]:
                return [one._mapping for one in
                        connection.exec_driver_sql(statement)]

            parents = {one['id']: one['parent_id'] for one in rows(
                'SELECT id, parent_id FROM backups WHERE deleted = 0')}
            volumes = {one['id']: one['status'] for one in rows(
                'SELECT id, status FROM volumes WHERE deleted = 0 '
                'UNION SELECT id, status FROM snapshots WHERE deleted = 0')}
            usage: dict[str, dict[str, int]] = {
                project: dict.fromkeys((
                    'backups', 'backups reserved', 'backup_gigabytes',
                    'backup_gigabytes reserved'), 0)
                for project in _PROJECTS}
            for one in rows(
                    'SELECT project_id, resource, in_use, reserved '
                    'FROM quota_usages WHERE deleted = 0'):
                if one['resource'] in ('backups', 'backup_gigabytes'):
                    found = usage[_NAMES[one['project_id']]]
                    found[one['resource']] = one['in_use']
                    found[f'{one["resource"]} reserved'] = one['reserved']
        backups = {
            one['id']: {**one, 'parent_id': parents.get(one['id']),
                        'project': _NAMES.get(
                            one['os-backup-project-attr:project_id'])}
            for one in listed.body['backups']}
        self._find_places(parents)
        return engines.View(backups, volumes, usage, {
            f'{container}/{name}': digest
            for (container, name), digest in self._objects().items()})

    def _objects(self) -> dict[tuple[str, str], str]:
        """The objects of the backups that were made here, and no others."""
        return {(container, name): hashlib.md5(
                    self.store.read(container, name) or b'',
                    usedforsecurity=False).hexdigest()
                for container, prefix in self._places.values()
                for name in self.store.list(container, prefix)}

    def _find_places(self, backups: Iterable[str]) -> None:
        for one in backups:
            if one in self._places:
                continue
            backup = objects.Backup.get_by_id(
                cinder_context.get_admin_context(), one)
            if backup.container or not self.store.has_containers:
                # A row of a record that was changed may say anything.
                with contextlib.suppress(stores_base.StoreRefused):
                    self._places[one] = self.store.locate(backup)

    # Volumes

    def create_volume(self, actor: str, size: int) -> str:
        return self._volume(_PROJECTS[history.project_of(actor)], actor,
                            size).id

    def _volume(self, project: str, user: str, size: int) -> objects.Volume:
        context = cinder_context.RequestContext(
            user_id=user, project_id=project, is_admin=True)
        volume = objects.Volume(
            context, size=size, status='available', user_id=user,
            project_id=project, host=environment.CONF.host,
            attach_status='detached', availability_zone='nova',
            volume_type_id=self.cinder._volume_type(), use_quota=False)
        volume.create()
        self.cinder.write_volume(volume.id, b'')
        self._seen = None
        return volume

    def _create_of_restore(self, context: Any, size: int, *names: Any
                           ) -> Any:
        """In place of cinder-volume."""
        return self._volume(context.project_id, context.user_id, size)

    def _get_device(self, context: Any, backup: Any, volume: Any) -> None:
        """The answer of cinder-volume to cinder-backup."""
        device = (objects.Snapshot.get_by_id(context, backup.snapshot_id)
                  if backup.snapshot_id else volume)
        self._manager.backup_rpcapi.continue_backup(
            context, backup, objects.BackupDeviceInfo.from_primitive({
                'backup_device': device, 'secure_enabled': True,
                'is_snapshot': bool(backup.snapshot_id)}, context))

    def write(self, volume: str, content: engines.Content) -> None:
        self.cinder.write_volume(volume, b''.join(map(self._block, content)))

    def read(self, volume: str) -> engines.Content:
        data = self.cinder.read_volume(volume)
        data = data.ljust(engines.BLOCKS * _BLOCK, b'\0')
        return tuple(
            self._blocks.get(data[start:start + _BLOCK], engines.GARBAGE)
            for start in range(0, len(data), _BLOCK))

    def _block(self, number: int) -> bytes:
        made = hashlib.sha256(b'%d' % number).digest() * (_BLOCK // 32)
        made = made if number else bytes(_BLOCK)
        self._blocks[made] = number
        return made

    def snapshot(self, actor: str, volume: str) -> str:
        self._seen = None
        context = cinder_context.RequestContext(
            user_id=actor, project_id=_PROJECTS[history.project_of(actor)],
            is_admin=True)
        snapshot = objects.Snapshot(
            context, volume_id=volume, status='available', volume_size=1,
            user_id=actor, project_id=context.project_id,
            display_name='snapshot', use_quota=False,
            volume_type_id=self.cinder._volume_type())
        snapshot.create()
        self.cinder.write_volume(snapshot.id,
                                 self.cinder.read_volume(volume))
        return snapshot.id

    def extend_volume(self, volume: str, size: int) -> None:
        self._seen = None
        one = objects.Volume.get_by_id(
            cinder_context.get_admin_context(), volume)
        one.size = size
        one.save()

    def delete_volume(self, volume: str) -> None:
        self._seen = None
        context = cinder_context.get_admin_context()
        for one in objects.SnapshotList.get_all_for_volume(context, volume):
            one.destroy()
        objects.Volume.get_by_id(context, volume).destroy()

    # Disasters

    def lose(self, backups: list[str], soft: bool) -> None:
        self._seen = None
        for one in backups:
            row = self._project_and_size(one)
            if row is None:
                continue
            project, size = row
            self.cinder.lose_row(one, soft)
            with environment.db.get_engine().begin() as connection:
                for resource, amount in (('backups', 1),
                                         ('backup_gigabytes', size or 0)):
                    connection.exec_driver_sql(
                        'UPDATE quota_usages SET in_use = in_use - ? WHERE '
                        'project_id = ? AND resource = ?',
                        (amount, project, resource))

    @staticmethod
    def _project_and_size(backup: str) -> tuple[str, int | None] | None:
        """Of the row of a backup, None if there is none."""
        with environment.db.get_engine().connect() as connection:
            found = connection.exec_driver_sql(
                'SELECT project_id, size FROM backups WHERE id = ? AND '
                'deleted = 0', (backup,)).first()
            return tuple(found) if found else None

    def damage(self, objects: list[str], gone: bool = False) -> None:
        self._seen = None
        for name in objects:
            for key in self._objects():
                if '/'.join(key) == name and key not in self._damaged:
                    content = self.store.read(*key) or b''
                    self._damaged[key] = content
                    if gone:
                        self.store.delete(*key)
                        continue
                    self.store.write(*key, content[:-1] + bytes(
                        [content[-1] ^ 1]) if content else b'x')

    def repair(self) -> None:
        self._seen = None
        for key, content in self._damaged.items():
            self.store.write(*key, content)
        self._damaged.clear()

