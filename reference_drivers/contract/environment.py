# SPDX-License-Identifier: Apache-2.0

"""Cinder without a cloud: its database, objects and backup manager.

A backup driver meets real parts of cinder-backup here: the rows in SQLite
with the schema that Cinder's migration makes, ``objects.Backup``, and
``BackupManager`` for export, import, restore and delete. Only the volume is
a regular file, and no message leaves the process.
"""

from collections.abc import Sequence
import contextlib
import gc
import os
import sqlite3
from typing import Any
from unittest import mock
import uuid

from castellan import key_manager
from cinder import context as cinder_context
from cinder import coordination
from cinder import exception
from cinder import objects
from cinder import rpc
from cinder import utils
from cinder.backup import api
from cinder.backup import manager as backup_manager
from cinder.db import migration
from cinder.objects import fields
from cinder.volume import volume_types
from cinder.volume import volume_utils
import fixtures
from oslo_concurrency import lockutils
from oslo_config import cfg
from oslo_config import fixture as config_fixture
from oslo_messaging import conffixture
from oslo_utils import importutils

# It moved in 2026.2.
db: Any = (importutils.try_import('cinder.db.sqlalchemy.api') or
           importutils.import_module('cinder.db.api'))
CONF = cfg.CONF

# The length of the shortest secret that is looked for.
_SECRET = 8
_SCHEMA: list[str] = []


def _schema(connection: sqlite3.Connection) -> str:
    """The schema as SQL, made once in a process."""
    if not _SCHEMA:
        migration.db_sync()
        _SCHEMA.append(''.join(connection.iterdump()))
    return _SCHEMA[0]


def _handed(device: Any) -> Any:
    """The device as the manager hands it to a driver.

    On eventlet it is in a proxy, in which some drivers look for the path.
    """
    wrap = getattr(utils, 'tpool_wrap', None)
    if wrap is None:
        # Older releases have nothing but eventlet.
        wrap = importutils.import_module('eventlet.tpool').Proxy
    return wrap(device)


class Database(fixtures.Fixture):
    """An empty database with Cinder's schema, in memory."""

    def _setUp(self) -> None:
        engine = db.get_engine()
        engine.dispose()
        self.addCleanup(engine.dispose)
        raw = engine.connect().connection
        fresh = not _SCHEMA
        script = _schema(raw.driver_connection)
        if not fresh:
            # A driver with a database of its own may have every engine of
            # the process check foreign keys; the script has rows before the
            # tables that these refer to.
            raw.driver_connection.executescript(
                f'PRAGMA foreign_keys = OFF; {script}')


class Environment(fixtures.Fixture):
    """One backup host with one driver.

    :param driver: class path, as ``backup_driver`` in cinder.conf
    :param options: more options, by name, those of a group as
        ``group__option``
    :param config_files: of Cinder, for the driver's options; no database, no
        bus and no lock that they name is used
    """

    def __init__(self, driver: str, options: dict[str, Any] | None = None,
                 config_files: Sequence[str] = ()):
        super().__init__()
        self.driver_name = driver
        self.options = options or {}
        self.config_files = list(config_files)
        #: All backups that were begun, as they were then.
        self.made: list[Any] = []

    def _setUp(self) -> None:
        self.directory = self.useFixture(fixtures.TempDir()).path
        #: Where a driver puts what is temporary.
        self.temporary = os.path.join(self.directory, 'temporary')
        os.mkdir(self.temporary)
        self.useFixture(fixtures.MonkeyPatch('tempfile.tempdir',
                                             self.temporary))
        self.config = self.useFixture(config_fixture.Config(CONF))
        CONF([], project='cinder', default_config_files=self.config_files,
             default_config_dirs=[])
        # These override the files: no real database, no real bus and no lock
        # of a real service may be used. Nothing has to survive the process.
        self.config.config(connection='sqlite://', slave_connection=None,
                           sqlite_synchronous=False,
                           # With its one connection the database would go.
                           connection_recycle_time=-1, group='database')
        lockutils.set_defaults(self.directory)
        self.config.config(lock_path=self.directory,
                           group='oslo_concurrency')
        messaging = self.useFixture(conffixture.ConfFixture(CONF))
        messaging.transport_url = 'fake:/'
        self.config.config(driver=['noop'],
                           group='oslo_messaging_notifications')
        # Registers its options.
        importutils.import_class(self.driver_name)
        rpc.init(CONF)
        self.addCleanup(rpc.cleanup)
        # Rows are lost without Cinder's knowledge, so that its count of
        # them only grows.
        self.config.config(quota_backups=-1, quota_backup_gigabytes=-1)
        self.config.config(state_path=self.directory,
                           backup_driver=self.driver_name,
                           host='contract-host')
        self.configure(**self.options)
        self.useFixture(Database())
        # Cinder's NFS driver mounts under a lock.
        self.config.config(backend_url=f'file://{self.directory}',
                           group='coordination')
        coordination.COORDINATOR.start()
        self.addCleanup(coordination.COORDINATOR.stop)
        self.project_id = uuid.uuid4().hex
        self.context = cinder_context.RequestContext(
            user_id=uuid.uuid4().hex, project_id=self.project_id,
            is_admin=True)
        self.manager = self._manager()
        self.api = api.API()

    def configure(self, **options: Any) -> None:
        """Set options of cinder.conf.

        :param options: by name, those of a group as ``group__option``
        """
        for name, value in options.items():
            group, _, option = name.rpartition('__')
            if group:
                self.config.config(group=group, **{option: value})
            else:
                self.config.config(**{name: value})
        if 'backup_driver' in options:
            # A running service would go on with the other one.
            self.driver_name = options['backup_driver']
            self.manager = self._manager()

    def _manager(self) -> Any:
        made = backup_manager.BackupManager(host=CONF.host)
        made.is_initialized = True
        made._attach_device = self._attach
        made._detach_device = self._detach
        made.volume_rpcapi = mock.Mock(spec=made.volume_rpcapi)
        made.volume_rpcapi.secure_file_operations_enabled.return_value = True
        return made

    def driver(self) -> Any:
        """A driver as the manager makes one for each request."""
        return self.manager.service(self.context)

    # Volumes

    def path(self, volume_id: str) -> str:
        """The file that is a volume."""
        return os.path.join(self.directory, f'volume-{volume_id}')

    def _attach(self, context: Any, volume: Any, *args: Any,
                **kwargs: Any) -> dict[str, Any]:
        return {'device': {'path': self.attached(volume.id)}, 'conn': {}}

    def _detach(self, context: Any, attach_info: dict[str, Any],
                *args: Any, **kwargs: Any) -> None:
        device = attach_info['device']['path']
        if not isinstance(device, str):
            device.close()

    def attached(self, volume_id: str) -> Any:
        """Return the path of a volume, or a device that is open already.

        As a connector returns it to the manager.
        """
        path = self.path(volume_id)
        # The manager truncates a file when it opens it. A device keeps data
        # that is not overwritten, and so does a volume with content here.
        return open(path, 'r+b') if os.path.getsize(path) else path

    def device(self, volume_id: str) -> Any:
        """Open a volume for a driver that backs it up."""
        return open(self.path(volume_id), 'rb')

    def create_volume(self, content: bytes = b'', size: int = 1,
                      status: str = 'available',
                      type_id: str | None = None) -> Any:
        """Make a volume.

        :param content: what it has; its true size, that of the row is GiB
        :param type_id: its type; one that encrypts makes it a key
        :returns: the volume's object
        """
        key_id = None
        if type_id and volume_types.is_encrypted(self.context, type_id):
            key_id = volume_utils.create_encryption_key(
                self.context, key_manager.API(CONF), type_id)
        volume = objects.Volume(
            self.context, size=size, status=status, host=CONF.host,
            user_id=self.context.user_id, project_id=self.project_id,
            attach_status='detached', availability_zone='nova',
            volume_type_id=type_id or self._volume_type(),
            encryption_key_id=key_id, use_quota=False)
        volume.create()
        self.write_volume(volume.id, content)
        return volume

    def describe_volume(self, volume_id: str, values: dict[str, Any]
                        ) -> None:
        """Give a volume what :meth:`description_of` returns."""
        values = dict(values)
        db.volume_metadata_update(self.context, volume_id,
                                  values.pop('metadata'), True)
        db.volume_glance_metadata_delete_by_volume(self.context, volume_id)
        for key, value in values.pop('glance_metadata').items():
            db.volume_glance_metadata_create(self.context, volume_id, key,
                                             value)
        db.volume_update(self.context, volume_id, values)

    def description_of(self, volume_id: str) -> dict[str, Any]:
        """Return the fields of a volume that users see beside its content."""
        volume = objects.Volume.get_by_id(self.context, volume_id)
        try:
            image = {one['key']: one['value'] for one in
                     db.volume_glance_metadata_get(self.context, volume_id)}
        except exception.GlanceMetadataNotFound:
            image = {}
        metadata = db.volume_metadata_get(self.context, volume_id)
        # Of the manager, for each volume that a backup was restored to.
        metadata.pop('src_backup_id', None)
        return {'display_name': volume.display_name,
                'display_description': volume.display_description,
                'metadata': metadata,
                'glance_metadata': image, 'bootable': volume.bootable}

    def held(self) -> dict[str, list[str]]:
        """List what this process holds, of each kind."""
        gc.collect()
        files = []
        for name in os.listdir('/proc/self/fd'):
            with contextlib.suppress(OSError):
                files.append(os.readlink(f'/proc/self/fd/{name}'))
        return {'open files and sockets': sorted(files),
                'threads': os.listdir('/proc/self/task'),
                'temporary files': os.listdir(self.temporary)}

    @staticmethod
    def secrets() -> list[tuple[str, str]]:
        """The options that are secret, with their values.

        Short ones may be a part of any text, and a default is known to all.
        The place of the locks is that of all files here, and the database is
        in memory.
        """
        found = []
        groups = {'DEFAULT': CONF._opts, **{
            name: group._opts for name, group in CONF._groups.items()}}
        for group, options in groups.items():
            for name, option in options.items():
                if option['opt'].secret and group not in (
                        'coordination', 'database'):
                    value = CONF[name] if group == 'DEFAULT' else CONF[
                        group][name]
                    if (isinstance(value, str) and len(value) >= _SECRET and
                            value != option['opt'].default):
                        found.append((f'[{group}]{name}', value))
        return found

    def _volume_type(self) -> str:
        name = '__DEFAULT__'
        for one in objects.VolumeTypeList.get_all(self.context):
            if one.name == name:
                return one.id
        made = objects.VolumeType(self.context, name=name)
        made.create()
        return made.id

    def create_encrypted_type(self, name: str, **parameters: Any) -> str:
        """Make a volume type that encrypts, with LUKS by default.

        :returns: its id
        """
        type_id = volume_types.create(self.context, name)['id']
        db.volume_type_encryption_create(self.context, type_id, {
            'provider': 'luks', 'cipher': 'aes-xts-plain64', 'key_size': 256,
            'control_location': 'front-end', **parameters})
        return type_id

    def write_volume(self, volume_id: str, content: bytes) -> None:
        """Give a volume another content."""
        with open(self.path(volume_id), 'wb') as stream:
            stream.write(content)

    def write_blocks(self, volume_id: str, size: int,
                     blocks: dict[int, bytes]) -> None:
        """Give a volume a few blocks, and a size that fits in no memory.

        :param size: bytes of the volume, which takes no room for its zeros
        :param blocks: what to write, by the bytes before it
        """
        with open(self.path(volume_id), 'r+b') as stream:
            stream.truncate(size)
            for offset, block in blocks.items():
                stream.seek(offset)
                stream.write(block)

    def read_volume(self, volume_id: str) -> bytes:
        """The content of a volume."""
        with open(self.path(volume_id), 'rb') as stream:
            return stream.read()

    # Backups

    def create_backup(self, volume: Any, parent: Any = None,
                      snapshot_id: str | None = None, **values: Any) -> Any:
        """Back a volume up through the driver.

        :param volume: the volume's object
        :param parent: the backup that it is incremental to
        :param snapshot_id: given, it is the backup of a snapshot
        :returns: the backup's object, available
        """
        volume.status = 'backing-up'
        volume.save()
        key_id = volume.encryption_key_id
        if key_id is not None:
            key_id = volume_utils.clone_encryption_key(
                self.context, key_manager.API(CONF), key_id)
        backup = objects.Backup(
            self.context, volume_id=volume.id, size=volume.size,
            host=CONF.host, service=self.driver_name,
            availability_zone='nova', snapshot_id=snapshot_id,
            parent_id=parent.id if parent else None,
            status=fields.BackupStatus.CREATING,
            **{'user_id': self.context.user_id, 'project_id': self.project_id,
               'display_name': 'contract', 'display_description': None,
               'encryption_key_id': key_id, **values})
        backup.create()
        self.made.append(backup)
        with self.device(volume.id) as stream:
            try:
                updates = self.driver().backup(backup, _handed(stream))
            except Exception:
                backup.status = fields.BackupStatus.ERROR
                backup.save()
                raise
        backup.update({**(updates or {}),
                       'status': fields.BackupStatus.AVAILABLE})
        backup.save()
        if parent:
            parent.refresh()
            parent.num_dependent_backups = (
                (parent.num_dependent_backups or 0) + 1)
            parent.save()
        volume.status = 'available'
        volume.save()
        return self.backup(backup.id)

    def backup(self, backup_id: str) -> Any:
        """A backup's row, read anew."""
        return objects.Backup.get_by_id(self.context, backup_id)

    def row(self, backup_id: str) -> dict[str, Any]:
        """Return all columns of a backup's row."""
        with db.get_engine().connect() as connection:
            found, = connection.exec_driver_sql(
                'SELECT * FROM backups WHERE id = ?', (backup_id,))
            return dict(found._mapping)

    def export(self, backup: Any) -> dict[str, str]:
        """Export a record through the manager."""
        return self.manager.export_record(self.context, backup)

    def lose_row(self, backup_id: str, soft: bool = False) -> None:
        """Delete a backup's row, as after a loss of the database.

        :param soft: mark it as deleted, and leave it
        """
        if soft:
            self.backup(backup_id).destroy()
            return
        with db.get_engine().begin() as connection:
            connection.exec_driver_sql(
                'DELETE FROM backup_metadata WHERE backup_id = ?',
                (backup_id,))
            connection.exec_driver_sql('DELETE FROM backups WHERE id = ?',
                                       (backup_id,))

    def import_record(self, record: dict[str, str]) -> Any:
        """Import a record through API and manager.

        :returns: the backup's object, available or with a fail_reason
        :raises InvalidBackup: the manager refuses it
        """
        backup = self.api._get_import_backup(self.context,
                                             record['backup_url'])
        self.manager.import_record(self.context, backup,
                                   record['backup_service'],
                                   record['backup_url'], [])
        return self.backup(backup.id)

    def restore(self, backup_id: str, volume: Any = None) -> bytes:
        """Restore a backup through the manager.

        :param volume: the target, a new one by default
        :returns: the content of the volume
        """
        return self.read_volume(self.restore_volume(backup_id, volume).id)

    def restore_volume(self, backup_id: str, volume: Any = None,
                       size: int = 1) -> Any:
        """Restore a backup through the manager, and read nothing.

        :param volume: the target, a new one by default
        :param size: GiB of a new one
        :returns: the volume's object
        """
        new = volume is None
        if new:
            volume = self.create_volume(size=size, status='creating')
        else:
            volume.status = 'restoring-backup'
            volume.save()
        backup = self.backup(backup_id)
        backup.status = fields.BackupStatus.RESTORING
        backup.save()
        with mock.patch('cinder.volume.volume_utils.'
                        'brick_get_connector_properties', return_value={}):
            self.manager.restore_backup(self.context, backup, volume.id, new)
        volume.refresh()
        if volume.status != 'available':
            raise AssertionError(f'the volume became {volume.status}')
        return volume

    def delete(self, backup_id: str) -> None:
        """Delete a backup through the manager."""
        backup = self.backup(backup_id)
        backup.status = fields.BackupStatus.DELETING
        backup.save()
        self.manager.delete_backup(self.context, backup)
