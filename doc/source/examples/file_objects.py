# SPDX-License-Identifier: Apache-2.0

"""How the tests look into the directory of files, without the driver."""

from backup_stores import filesystem


class FileObjects(filesystem.Directory):
    """The directory of all backups."""

    has_containers = False
    path_option = 'backup_vault'

    @classmethod
    def from_cinder(cls, conf):
        return cls(conf.backup_vault)

    def locate(self, backup):
        return '', f'{backup.id}.image'
