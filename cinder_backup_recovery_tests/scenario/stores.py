# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""The base of the scenarios that reach the storage of the backups."""

from typing import ClassVar

from tempest import config

from backup_stores import base as stores_base
from cinder_backup_recovery_tests import stores
from cinder_backup_recovery_tests.scenario import base

CONF = config.CONF


class StoreScenario(base.RecoveryScenario):
    """Base of the tests that reach the storage without Cinder."""

    store: ClassVar[stores_base.Store]

    @classmethod
    def skip_checks(cls) -> None:
        """Skip where no store is configured."""
        super().skip_checks()
        if not CONF.cinder_backup_recovery.backup_store:
            raise cls.skipException(
                f'{cls.__name__}: [cinder_backup_recovery] backup_store is '
                f'not set')

    @classmethod
    def setup_clients(cls) -> None:
        """Prove that the storage can be reached, before a volume is made."""
        super().setup_clients()
        cls.store = stores.make(CONF, CONF.cinder_backup_recovery.backup_store,
                                lambda: cls.os_project_admin)
        cls.store.check()
