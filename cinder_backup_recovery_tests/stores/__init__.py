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

"""Damage and copy backups on their storage, by an adapter for each kind."""

from collections.abc import Callable
import importlib.metadata
from typing import Any

from stevedore import driver
from stevedore import exception

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.stores import base

NAMESPACE = 'cinder_backup_recovery_tests.backup_stores'
"""The group of entry points that adapters are found by."""


def make(conf: Any, name: str, manager: Callable[[], Any]
         ) -> base.BackupStore:
    """Make an adapter.

    :param conf: Tempest's configuration
    :param name: of its entry point
    :param manager: makes Tempest's clients of a user of the project that
        owns the backups, where the storage wants one
    :raises InvalidConfiguration: there is no such adapter, it cannot be
        imported, or an option of it is missing
    """
    return _adapter(name).from_config(conf, manager)


def make_second(conf: Any, name: str, manager: Callable[[], Any]
                ) -> base.BackupStore:
    """Make the adapter of the second region's own storage.

    :param conf: Tempest's configuration
    :param name: of its entry point
    :param manager: makes Tempest's clients of a user of the project that
        is to own the copies, where the storage wants one
    :raises InvalidConfiguration: as :func:`make`
    """
    return _adapter(name).second_from_config(conf, manager)


def can_copy(name: str) -> bool:
    """Say whether an adapter can copy backups to another storage.

    :param name: of its entry point
    :raises InvalidConfiguration: there is no such adapter, or it cannot be
        imported
    """
    # One that is not derived from ours may not say it.
    return getattr(_adapter(name), 'can_copy', False)


def _adapter(name: str) -> Any:
    def failed(_: Any, entry_point: Any, error: BaseException) -> None:
        raise exceptions.InvalidConfiguration(
            f'[cinder_backup_recovery] backup_store = {name}: '
            f'{entry_point.value} cannot be imported: {error}')

    try:
        return driver.DriverManager(
            NAMESPACE, name, on_load_failure_callback=failed).driver
    except exception.NoMatches:
        known = importlib.metadata.entry_points(group=NAMESPACE).names
        raise exceptions.InvalidConfiguration(
            f'[cinder_backup_recovery] backup_store = {name} is none of '
            f'{", ".join(sorted(known))}') from None
