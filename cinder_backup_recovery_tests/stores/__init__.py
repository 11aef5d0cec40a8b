# SPDX-License-Identifier: Apache-2.0

"""The stores of :mod:`backup_stores`, configured by Tempest's options."""

from collections.abc import Callable
import functools
import importlib.metadata
from typing import Any

from oslo_utils import importutils

from backup_stores import base
from cinder_backup_recovery_tests import exceptions

NAMESPACE = 'cinder_backup_recovery_tests.backup_stores'
"""The group of entry points that stores are found by."""


def make(conf: Any, name: str, manager: Callable[[], Any]) -> base.Store:
    """Make the store of the backups.

    :param conf: Tempest's configuration
    :param name: of its entry point, or of its class with its module
    :param manager: makes Tempest's clients of a user of the project that
        owns the backups, where the store wants one
    :raises InvalidConfiguration: the store is unknown, it cannot be imported,
        or an option is missing
    """
    return _made(conf, name, 'from_config', manager)


def make_second(conf: Any, name: str, manager: Callable[[], Any]
                ) -> base.Store:
    """Make the second region's own store.

    :param manager: as in :func:`make`, of the project that is to own the
        copies
    :raises InvalidConfiguration: as :func:`make`
    """
    return _made(conf, name, 'second_from_config', manager)


def can_copy(name: str) -> bool:
    """Return whether a store can copy backups to a second one.

    :raises InvalidConfiguration: as :func:`make`
    """
    found = _class(name)
    return getattr(found, 'can_copy', False) and hasattr(
        found, 'second_from_config')


def _class(name: str) -> Any:
    points = importlib.metadata.entry_points(group=NAMESPACE)
    where = f'[cinder_backup_recovery] backup_store = {name}'
    try:
        if name in points.names:
            return points[name].load()
        if '.' in name:
            return importutils.import_class(name)
    except Exception as exc:
        # An import runs whatever the module does.
        raise exceptions.InvalidConfiguration(
            f'{where} cannot be imported: '
            f'{exceptions.one_line(exc)}') from None
    raise exceptions.InvalidConfiguration(
        f'{where}: unknown backup_store; known: '
        f'{", ".join(sorted(points.names))}, and classes as module.Class')


def _made(conf: Any, name: str, method: str, manager: Callable[[], Any]
          ) -> Any:
    found = _class(name)
    options = ('second_' if method.startswith('second') else '') + (
        'backup_store_*')
    where = (f'[cinder_backup_recovery] backup_store = {name}, check the '
             f'options {options}')
    try:
        if hasattr(found, method):
            store = getattr(found, method)(conf, manager)
        else:
            store = found(**conf.cinder_backup_recovery.backup_store_options)
    except exceptions.BackupRecoveryError:
        raise
    except Exception as exc:
        raise exceptions.InvalidConfiguration(
            f'{where}: {exceptions.one_line(exc)}') from None
    return KitStore(store, where)


class KitStore:
    """A store whose errors are those of this kit, and not of the driver.

    :param store: of :mod:`backup_stores`, or a vendor's
    :param where: the options that have led to it
    """

    def __init__(self, store: Any, where: str = '') -> None:
        self.store = store
        self._where = where

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.store, name)
        if not callable(found):
            return found

        @functools.wraps(found)
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return found(*args, **kwargs)
            except exceptions.BackupRecoveryError:
                raise
            except base.StoreRefused as exc:
                raise exceptions.StoreRefused(
                    exceptions.one_line(exc)) from None
            except Exception as exc:
                if name == 'check':
                    raise exceptions.InvalidConfiguration(
                        f'{self._where}: {exceptions.one_line(exc)}') from None
                raise exceptions.StoreFailed(exceptions.one_line(exc)) from exc

        return call
