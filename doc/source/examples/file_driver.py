# SPDX-License-Identifier: Apache-2.0

"""A backup driver that keeps each backup as one file, always a full one."""

import hashlib
import os
import re

from cinder import exception
from cinder import interface
from cinder.backup import driver
from oslo_config import cfg

from reference_drivers import import_verify
from reference_drivers import options
from reference_drivers.verification import errors
from reference_drivers.verification import running

CONF = cfg.CONF
OPTIONS = [cfg.StrOpt('backup_vault', help='The directory of all backups.')]
CONF.register_opts(OPTIONS)
PIECE = 1024 * 1024
FIELDS = {'version': int, 'location': str, 'volume_id': str, 'size': int,
          'length': int, 'sha256': str}


@interface.backupdriver
class FileBackupDriver(import_verify.ImportVerifyMixin, driver.BackupDriver):

    @staticmethod
    def get_driver_options():
        return OPTIONS

    def check_for_setup_error(self):
        if not os.path.isdir(CONF.backup_vault or ''):
            raise ValueError('backup_vault is not a directory')

    def backup(self, backup, volume_file, backup_metadata=False):
        if backup.parent_id:
            raise exception.InvalidBackup(
                reason='this driver makes no incremental backups')
        length, sha256 = 0, hashlib.sha256()
        with open(self._path(backup.id), 'wb') as stream:
            while piece := volume_file.read(PIECE):
                stream.write(piece)
                length += len(piece)
                sha256.update(piece)
        # In the row, for the restore. There are no containers, though a user
        # may name one.
        return {'service_metadata': f'{length} {sha256.hexdigest()}',
                'container': None}

    def restore(self, backup, volume_id, volume_file, volume_is_new):
        length, sha256 = self._recorded(backup)
        self._check_length(backup.id, length)
        for piece in self._pieces(backup.id, sha256):
            volume_file.write(piece)

    def delete_backup(self, backup):
        self.check_for_setup_error()
        if os.path.exists(self._path(backup.id)):
            os.remove(self._path(backup.id))

    # Export and import

    def export_record(self, backup):
        length, sha256 = self._recorded(backup)
        self._check_length(backup.id, length)
        return {'version': 1, 'location': f'file://{self._path(backup.id)}',
                'volume_id': backup.volume_id, 'size': backup.size,
                'length': length, 'sha256': sha256}

    def import_verify(self, backup, driver_info):
        if not driver_info:
            self._need_driver_info(backup)
            return {}
        for name, kind in FIELDS.items():
            if type(driver_info.get(name)) is not kind:
                raise errors.WrongRecord(f'driver_info: invalid {name}',
                                         name, backup.id)
        if driver_info['version'] != 1:
            raise errors.WrongRecord('driver_info has an unknown version',
                                     'version', backup.id)
        length, sha256 = driver_info['length'], driver_info['sha256']
        level = CONF[options.GROUP].level
        if level != 'record':
            self._check_length(backup.id, length)
        if level == 'content':
            for _ in self._pieces(backup.id, sha256):
                pass
        return {'volume_id': driver_info['volume_id'], 'parent_id': None,
                'size': driver_info['size'], 'container': None,
                'service_metadata': f'{length} {sha256}'}

    def _compare(self, backup_id, values, verified):
        self._check_parent(backup_id, values)
        self._check_size(backup_id, values)
        for field, value in verified.items():
            if values.get(field) != value:
                raise errors.WrongRecord(
                    f'the record says {field} {values.get(field)}, verified '
                    f'was {value}', field, backup_id)

    # Storage

    def _path(self, backup_id):
        # By the id alone: no field of a record can lead to another place.
        return os.path.join(CONF.backup_vault, f'{backup_id}.image')

    def _ask(self, backup_id, function, *args):
        """Call what uses the storage, which may fail or never answer."""
        path = self._path(backup_id)
        try:
            return running.within(CONF[options.GROUP].timeout, path,
                                  function, *args)
        except OSError as error:
            # Without its directory nothing is known of a backup.
            missing = (isinstance(error, FileNotFoundError) and
                       os.path.isdir(CONF.backup_vault))
            kind = errors.Missing if missing else errors.Unreadable
            raise kind(f'{path}: {error.strerror}', path,
                       backup_id) from error

    def _check_length(self, backup_id, length):
        path = self._path(backup_id)
        found = self._ask(backup_id, os.path.getsize, path)
        if found != length:
            raise errors.WrongLength(
                f'{path} has {found} bytes instead of {length}', path,
                backup_id)

    def _pieces(self, backup_id, sha256):
        """The content, which was right if this comes to its end."""
        path, found = self._path(backup_id), hashlib.sha256()
        with self._ask(backup_id, open, path, 'rb') as stream:
            while piece := self._ask(backup_id, stream.read, PIECE):
                found.update(piece)
                yield piece
        if found.hexdigest() != sha256:
            raise errors.WrongContent(f'{path} differs from its SHA-256',
                                      path, backup_id)

    @staticmethod
    def _recorded(backup):
        found = re.fullmatch('([0-9]+) ([0-9a-f]{64})',
                             backup.service_metadata or '')
        if found is None:
            raise errors.WrongRecord(
                'service_metadata is not a length and a SHA-256',
                'service_metadata', backup.id)
        return int(found[1]), found[2]
