# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.


"""How the tests look into the directory of files, without the driver."""

from reference_drivers.contract import stores


class FileObjects(stores.DirectoryStore):
    """The directory of all backups.

    :param conf: Cinder's configuration
    """

    def __init__(self, conf):
        super().__init__(conf.backup_vault)
        self.conf = conf

    def locate(self, backup):
        return '', f'{backup.id}.image'

    def stopped(self):
        return stores.replaced(self.conf, 'backup_vault',
                               f'{self.root}.not-mounted')
