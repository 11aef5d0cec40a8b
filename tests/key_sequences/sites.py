# SPDX-License-Identifier: Apache-2.0

"""Two sites in one process, each with a database and a storage of its own.

One backup host is at one of them at a time: it changes the rows in its
database, the directory of the backups and the key manager.
"""

import contextlib
import pathlib
import shutil
import uuid

from castellan import key_manager
from cinder import objects

# Before anything else registers its option.
from cinder.keymgr import conf_key_mgr
from cinder.volume import volume_utils
import fixtures
from oslo_config import cfg

from backup_recovery import records
from reference_drivers.contract import environment
from tests import recovery_keys
from tests import recovery_project

REFERENCE = 'reference_drivers.default.DefaultBackupDriver'

SHARED, SEPARATE, FIXED = 'shared', 'separate', 'fixed'
#: One Barbican for both sites, one each, and one key for all volumes.
KINDS = (SHARED, SEPARATE, FIXED)

_BLOCK = 32768
_FIXED_KEY = 'a' * 64
# Nothing listens there.
_AWAY = 'http://127.0.0.1:1'


class Site:
    """One site, as its users know it.

    :ivar volumes: what each volume must have, by its id
    :ivar backups: the same of the backups, parents first
    :ivar left: ids of keys whose rows were lost, by which a record may name
        them: nothing may delete these
    """

    def __init__(self, name, manager, store, rows):
        self.name, self.manager, self.store = name, manager, store
        self.rows = rows
        self.volumes, self.backups, self.left = {}, {}, set()
        self.type_id = self.project = None

    def children(self, backup_id):
        """The ids of the backups that need another one."""
        return [one.id for one in self.backups.values()
                if one.parent_id == backup_id]


class Sites(fixtures.Fixture):
    """Two sites, with encrypted volume types of equal parameters.

    :param kind: of :data:`KINDS`
    :param managers: two Barbicans
    :param driver: of the backups
    """

    def __init__(self, kind, managers, driver=REFERENCE):
        super().__init__()
        self.kind, self._driver = kind, driver
        self._managers = managers if kind == SEPARATE else managers[:1] * 2

    def _setUp(self):
        self.cinder = self.useFixture(environment.Environment(
            self._driver, {
                'backup_enable_progress_timer': False,
                'backup_file_size': 4 * _BLOCK,
                'backup_sha_block_size_bytes': _BLOCK}))
        self.directory = pathlib.Path(self.cinder.directory)
        self._empty = self._database(lambda one: one.serialize())
        self.private, public = self.useFixture(
            recovery_keys.Pairs()).make('one')
        if self.kind == SEPARATE and self._driver == REFERENCE:
            self.cinder.configure(
                backup_import_verify__recovery_recipients=[str(public)])
        self.here = None
        self.sites = [
            Site(name, manager, self.directory / f'backups-{name}',
                 self._empty)
            for name, manager in zip(('one', 'two'), self._managers,
                                     strict=True)]
        for site in self.sites:
            self.go(site)
            self._add_type(site)
            if self.kind != FIXED:
                site.project = recovery_project.Project(self.cinder,
                                                        site.manager)

    def _add_type(self, site):
        site.type_id = self.cinder.create_encrypted_type(f'LUKS {site.name}')

    @staticmethod
    def _database(do):
        with environment.db.get_engine().connect() as connection:
            return do(connection.connection.driver_connection)

    def go(self, site):
        """Go on at a site."""
        if self.here is site:
            return
        if self.here is not None:
            self.here.rows = self._database(lambda one: one.serialize())
        self.here = site
        self._database(lambda one: one.deserialize(site.rows))
        self.cinder.configure(backup_posix_path=str(site.store))
        if self.kind != FIXED:
            site.manager.use(self.cinder)
            return
        self.cinder.configure(
            key_manager__backend=f'{conf_key_mgr.__name__}.ConfKeyManager',
            key_manager__fixed_key=_FIXED_KEY)

    @contextlib.contextmanager
    def away(self):
        """Have a key manager that does not answer, for a while."""
        self.cinder.configure(barbican__barbican_endpoint=_AWAY)
        try:
            yield
        finally:
            self.here.manager.use(self.cinder)

    # Keys

    def row_keys(self, site):
        """The ids of the keys in the rows of a site, by the ids of these."""
        self.go(site)
        found = {}
        for table in ('volumes', 'backups'):
            rows = self._database(lambda one, table=table: one.execute(
                f'SELECT id, encryption_key_id FROM {table} '
                f'WHERE NOT deleted').fetchall())
            found.update(rows)
        return found

    def managers(self):
        """Each key manager that has keys, and its sites."""
        if self.kind == FIXED:
            return []
        if self.kind == SHARED:
            return [(self._managers[0], self.sites)]
        return [(one.manager, [one]) for one in self.sites]

    # What cinder-api and cinder-volume do

    def volume(self, volume_id):
        """The object of a volume."""
        return objects.Volume.get_by_id(self.cinder.context, volume_id)

    def delete_volume(self, volume_id):
        """Delete a volume and its key."""
        volume = self.volume(volume_id)
        volume_utils.delete_encryption_key(
            self.cinder.context, key_manager.API(cfg.CONF),
            volume.encryption_key_id)
        volume.destroy()

    def lose_database(self):
        """Lose all rows of this site, and make a volume type of a new id."""
        self._database(lambda one: one.deserialize(self._empty))
        self._add_type(self.here)

    # Records

    def record(self, backup_id):
        """Export a record, as the program writes it into a file."""
        found = self.cinder.export(self.cinder.backup(backup_id))
        return records.Record(backup_id, self.cinder.project_id,
                              found['backup_service'], found['backup_url'])

    def import_alone(self, record):
        """Import a record by a request."""
        return self.cinder.import_record({
            'backup_service': record.backup_service,
            'backup_url': record.backup_url})

    def import_with_key(self, record):
        """Import a record with the private key, as the program does."""
        self.here.project.apply(
            record, self.private,
            self.directory / f'journal-{uuid.uuid4()}')

    def copy(self, record, source, target):
        """Copy the files of a backup from the one storage to the other."""
        container = record.fields['container']
        # A deletion leaves an empty directory.
        shutil.copytree(source.store / container, target.store / container,
                        dirs_exist_ok=True)

    def stored(self):
        """All files on the storages."""
        return [str(path) for site in self.sites
                for path in site.store.rglob('*') if path.is_file()]
