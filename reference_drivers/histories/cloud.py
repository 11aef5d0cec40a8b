# SPDX-License-Identifier: Apache-2.0

"""A cloud in one process: Cinder's API, scheduler, backup manager, database.

What is real: the WSGI application with its schemas and policies, the
scheduler's and the backup service's managers, the driver and its storage, the
quota, the database with the schema of Cinder's migrations, oslo.messaging's
serializers and dispatcher. What is not: the volumes are files, and no
service runs, so that each run of a history is the same.
"""

from collections.abc import Callable
from collections.abc import Sequence
import contextlib
import functools
import inspect
import os
from typing import Any

from cinder import context as cinder_context
from cinder import objects
from cinder import policy
from cinder import rpc
from cinder.api.middleware import auth
from cinder.api.middleware import fault
from cinder.api.v3 import router
from cinder.api.validation import validators
from cinder.common import constants
from cinder.scheduler import manager as scheduler_manager
import fixtures
from oslo_db.sqlalchemy import engines as engines_of_oslo
from oslo_serialization import jsonutils
from sqlalchemy import Engine
from sqlalchemy import event
import webob

from backup_model import engine as engines
from backup_model import history
from reference_drivers import options
from reference_drivers.contract import base
from reference_drivers.contract import binding
from reference_drivers.contract import environment
from reference_drivers.histories import away
from reference_drivers.histories import bus
from reference_drivers.histories import disasters
from reference_drivers.histories import parts
from reference_drivers.histories import turns
from reference_drivers.histories import volumes


class _Application(fault.FaultWrapper):
    """The API, which keeps the last error that it has answered with 500."""

    error: Exception | None = None

    def _error(self, inner: Exception, req: Any) -> Any:
        self.error = inner
        return super()._error(inner, req)


def _begin(connection: Any) -> None:
    """Begin as oslo.db does, without SQLAlchemy: for half of the time."""
    if 'in_transaction' not in connection.info:
        connection.connection.driver_connection.execute('BEGIN')
        connection.info['in_transaction'] = True


def _cache_statements(dialect: Any, record: Any, arguments: Any,
                      parameters: dict[str, Any]) -> None:
    """Prepare each of Cinder's statements once, which takes as long as it.

    oslo.db forbids it: Python may give one prepared statement to two threads
    that run at once (python/cpython#118172). Those of a history take turns.
    """
    parameters['cached_statements'] = 1000


class _Validators:
    """Makes one validator for a schema, in place of one for a request."""

    def __init__(self, make: Callable[[Any], Any]):
        self._make = make
        # With its schema, or another one could get the same id.
        self._made: dict[int, tuple[Any, Any]] = {}

    def __call__(self, schema: Any) -> Any:
        if id(schema) not in self._made:
            self._made[id(schema)] = schema, self._make(schema)
        return self._made[id(schema)][1]


class _Router(router.APIRouter):
    """Finds the way of a request that came before without trying all."""

    def __init__(self) -> None:
        super().__init__()
        match = self.map._match

        @functools.lru_cache(maxsize=1000)
        def found(url: str, method: str) -> Any:
            return match(url, {'REQUEST_METHOD': method})

        def copied(url: str, environ: Any) -> Any:
            # What is found gets more keys.
            method = (environ or self.map.environ)['REQUEST_METHOD']
            values, *others = found(url, method)
            return values and dict(values), *others

        self.map._match = copied


class Cloud(volumes.Volumes, disasters.Disasters):
    """An engine for histories in this process.

    :param bound: the driver, as for its contract
    :raises BindingError: its storage cannot list objects
    """

    # No driver here asks Keystone for the account of a project.
    apart = False

    def __init__(self, bound: binding.Binding):
        super().__init__()
        if not bound.has_store:
            raise binding.BindingError(
                f'{bound.driver} needs a store adapter that lists its '
                f'objects; name one with --store')
        self.binding = bound
        self.finds = [] if not bound.verifies else [
            engines.GONE, *([engines.CHANGED] if bound.level == (
                base.Contract.levels[-1]) else [])]
        self.turns = turns.Turns()
        # Points until the service dies, None if it does not.
        self._left: int | None = None
        # Connections in use.
        self._open = 0

    def _setUp(self) -> None:
        cached = Engine, 'do_connect', _cache_statements
        event.listen(*cached)
        self.addCleanup(event.remove, *cached)
        self.cinder = self.useFixture(self.binding.make_environment())
        self.store = self.binding.make_objects()
        conf = environment.CONF
        self.cinder.configure(quota_backups=20, quota_backup_gigabytes=40,
                              service_down_time=10**6,
                              # In a thread of its own it would be done at
                              # any time.
                              backup_service_inithost_offload=False)
        if self.finds:
            self.cinder.configure(
                **{f'{options.GROUP}__level': self.binding.level})
        self.bus = bus.Bus(conf)
        self.useFixture(fixtures.MockPatchObject(
            rpc, 'TRANSPORT', self.bus.transport()))
        self.useFixture(fixtures.MockPatch(
            'cinder.volume.api.API.create', self._create_of_restore))
        # Nor has cinder-volume anything to do for a transfer.
        self.useFixture(fixtures.MockPatch(
            'cinder.volume.api.API.accept_transfer'))
        self.useFixture(fixtures.MockPatch(
            'cinder.volume.volume_utils.brick_get_connector_properties',
            return_value={}))
        # No machine loses its power here, and a disk takes its time.
        self.useFixture(fixtures.MockPatch('os.fsync'))
        # Each request would check whether the files of rules have changed.
        policy.init()
        policy.set_rules(policy.get_rules())
        self.addCleanup(policy.reset)
        # Nor does what it makes for each of them change: a validator of the
        # body, and the arguments that a rule takes.
        for name, made in (
                ('cinder.api.validation.validators._SchemaValidator',
                 _Validators(validators._SchemaValidator)),
                ('inspect.getfullargspec',
                 functools.cache(inspect.getfullargspec))):
            self.useFixture(fixtures.MockPatch(name, made))
        self._application = _Application(
            auth.CinderKeystoneContext(_Router()))
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
        self._type_id = self.cinder._volume_type()
        engine = environment.db.get_engine()
        # It yields to other threads, which takes long on a busy machine.
        yields = (engine, 'checkin', engines_of_oslo._thread_yield)
        if event.contains(*yields):
            event.remove(*yields)
            self.addCleanup(event.listen, *yields)
        # In place of oslo.db's own, as it cannot be had before that.
        for emit in [one for one in engine.dispatch.begin
                     if one.__module__ == engines_of_oslo.__name__]:
            event.remove(engine, 'begin', emit)
            self.addCleanup(event.listen, engine, 'begin', emit)
        event.listen(engine, 'begin', _begin)
        self.addCleanup(event.remove, engine, 'begin', _begin)
        for name, listener in (('checkout', self._checked_out),
                               ('checkin', self._checked_in),
                               ('begin', self._may_die)):
            event.listen(engine, name, listener)
            self.addCleanup(event.remove, engine, name, listener)
        self.bus.on_message = self._on_message
        pool = engine.pool
        connect = pool.connect

        def connect_in_turn() -> Any:
            self._may_switch()
            return connect()

        self.useFixture(fixtures.MockPatchObject(
            pool, 'connect', connect_in_turn))
        self._remember_empty_database()
        self.addCleanup(Cloud.clear, self)

    def clear(self) -> None:
        """Begin with an empty cloud again."""
        self._seen = None
        self.bus.cleanup()
        self.bus.errors.clear()
        self.repair()
        for container, name in list(self._objects()):
            self.store.delete(container, name)
        self._places.clear()
        self.lose_database()
        for name in os.listdir(self.cinder.directory):
            if name.startswith('volume-'):
                os.unlink(os.path.join(self.cinder.directory, name))

    # Requests

    def request(self, actor: str, method: str, path: str,
                body: Any = None) -> engines.Answer:
        self._seen = None
        project = parts.PROJECTS[history.project_of(actor)]
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
        try:
            response = request.get_response(self._application)
        except away.Endless as error:
            return engines.Answer(504, {'error': {'message': str(error)}})
        decoded = {}
        if response.body:
            with contextlib.suppress(ValueError):
                decoded = jsonutils.loads(response.body)
        return engines.Answer(response.status_int, decoded)

    def transfer(self, volume: str, giver: str, taker: str) -> None:
        offered = self.request(giver, 'POST', 'os-volume-transfer', {
            'transfer': {'volume_id': volume, 'name': None}})
        if offered.accepted:
            offer = offered.body['transfer']
            offered = self.request(
                taker, 'POST', f'os-volume-transfer/{offer["id"]}/accept',
                {'accept': {'auth_key': offer['auth_key']}})
        if not offered.accepted:
            raise engines.EngineError(
                f'a volume cannot be transferred: {offered.text}')

    def set_quota(self, actor: str, project: str, resource: str, limit: int
                  ) -> engines.Answer:
        return self.request(
            actor, 'PUT', f'os-quota-sets/{parts.PROJECTS[project]}',
            {'quota_set': {resource: limit}})

    def together(self, requests: Sequence[engines.Request], seed: int
                 ) -> list[engines.Answer]:
        return self.turns.run([
            functools.partial(self.request, one.actor, one.method, one.path,
                              one.body) for one in requests], seed)

    def settle(self, killed_after: int | None = None) -> None:
        self._seen = None
        self._left = killed_after
        try:
            while self._deliver():
                pass
        except bus.Killed:
            self._left = None
            self._open = 0
            self._start_backup_service()
            self.settle()
        finally:
            self._left = None

    def _deliver(self) -> bool:
        try:
            return self.bus.deliver()
        except away.Endless:
            # The service never gets to what comes after it.
            return True

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

    def _get_device(self, context: Any, backup: Any, volume: Any) -> None:
        """The answer of cinder-volume to cinder-backup."""
        device = (objects.Snapshot.get_by_id(context, backup.snapshot_id)
                  if backup.snapshot_id else volume)
        self._manager.backup_rpcapi.continue_backup(
            context, backup, objects.BackupDeviceInfo.from_primitive({
                'backup_device': device, 'secure_enabled': True,
                'is_snapshot': bool(backup.snapshot_id)}, context))

    def view(self) -> engines.View:
        if self._seen is None:
            self._seen = self._look()
        return self._seen

    def _listed_backups(self) -> list[dict[str, Any]]:
        """The list of the API, which reads nothing but these rows."""
        rows = [self._database.execute(statement).fetchall()
                for statement in ('SELECT * FROM backups',
                                  'SELECT * FROM backup_metadata')]
        if self._listed is None or self._listed[0] != rows:
            answer = self.request('admin-1', 'GET',
                                  'backups/detail?all_tenants=1')
            if not answer.accepted:
                raise engines.EngineError(
                    f'the backups cannot be listed: {answer.text} '
                    f'({self._application.error!r})')
            self._listed = rows, answer.body['backups']
        return self._listed[1]

    def _look(self) -> engines.View:
        listed = self._listed_backups()
        database = self._database
        parents, containers = {}, {}
        for one, parent, container in database.execute(
                'SELECT id, parent_id, container FROM backups '
                'WHERE deleted = 0'):
            parents[one], containers[one] = parent, container
        volumes = dict(database.execute(
            'SELECT id, status FROM volumes WHERE deleted = 0 '
            'UNION SELECT id, status FROM snapshots WHERE deleted = 0'))
        usage: dict[str, dict[str, int]] = {
            project: dict.fromkeys((
                'backups', 'backups reserved', 'backup_gigabytes',
                'backup_gigabytes reserved'), 0)
            for project in parts.PROJECTS}
        for project, resource, in_use, reserved in database.execute(
                'SELECT project_id, resource, in_use, reserved '
                'FROM quota_usages WHERE deleted = 0'):
            if resource in ('backups', 'backup_gigabytes'):
                found = usage[parts.NAMES[project]]
                found[resource] = in_use
                found[f'{resource} reserved'] = reserved
        backups = {
            one['id']: {**one, 'parent_id': parents.get(one['id']),
                        'project': parts.NAMES.get(
                            one['os-backup-project-attr:project_id'])}
            for one in listed}
        self._find_places(containers)
        return engines.View(backups, volumes, usage, {
            f'{container}/{name}': digest
            for (container, name), digest in self._objects().items()})
