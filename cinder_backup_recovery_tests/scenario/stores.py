# SPDX-License-Identifier: Apache-2.0

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
