# SPDX-License-Identifier: Apache-2.0

"""Options of the plugin, and the check of their values.

Two groups, never mixed: how to connect, and the capabilities of the cloud.
A test is skipped only for the second group; a mistake in the first one ends
the run.
"""

from collections.abc import Iterable
import pathlib
from typing import Any

from oslo_config import cfg

from backup_model import history
from backup_model import running
from cinder_backup_recovery_tests import capabilities
from cinder_backup_recovery_tests import connecting
from cinder_backup_recovery_tests import deprecated
from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import known_defects

# The newest microversion whose answers the tests understand: os-reimage.
MICROVERSION = '3.68'

# Options without which tests of a capability cannot run.
_NEEDED = {
    'whole_database_loss': ('database_loss_command',),
    'service_kill': ('service_kill_command', 'service_start_command'),
    'request_hold': ('request_hold_command',),
    'store_stop': ('store_stop_command', 'store_start_command'),
    'store_pause': ('store_pause_command', 'store_resume_command'),
    'second_backup_service': ('second_backup_zone',),
    'second_region': ('second_region',),
    'second_store': ('backup_store',),
    'encrypted_volumes': ('encrypted_volume_type',),
    'key_manager_stop': ('key_manager_stop_command',
                         'key_manager_start_command'),
}


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """Groups and options, for the generator of the sample file."""
    return [
        (connecting.GROUP.name, connecting.OPTIONS),
        (capabilities.GROUP.name, capabilities.OPTIONS),
    ]


def _microversion(text: str) -> tuple[float, float]:
    if text == 'latest':
        return (float('inf'), 0)
    major, _, minor = text.partition('.')
    return (int(major), int(minor or 0))


def problems(conf: Any, with_rows: bool = True) -> Iterable[str]:
    """Find mistakes in the configuration.

    :param with_rows: whether the tests delete rows, which a tenant cannot
    :returns: one line for each mistake
    """
    group = conf.cinder_backup_recovery
    able = conf.cinder_backup_recovery_feature_enabled
    if not conf.service_available.cinder:
        yield "[service_available] cinder is false, but nothing else is tested"
    if not group.ledger_dir:
        yield ("[cinder_backup_recovery] ledger_dir is not set: no record "
               "could be kept of what the tests create")
    ways = [name for name in ('database_connection', 'row_command',
                              'row_removal_command') if group[name]]
    if len(ways) > 1:
        yield (f"[cinder_backup_recovery] {' and '.join(ways)} are set: keep "
               f"one")
    if with_rows and not ways:
        yield ("[cinder_backup_recovery] neither database_connection nor "
               "row_command is set: no row could be deleted")
    yield from deprecated.problems(group, able.source_row_loss)
    for feature, options in _NEEDED.items():
        unset = [name for name in options if not group[name]]
        if able[feature] and unset:
            yield (f"[cinder_backup_recovery_feature_enabled] {feature} is "
                   f"true, but [cinder_backup_recovery] {' and '.join(unset)} "
                   f"is not set")
    if able.second_store and not able.second_region:
        yield ("[cinder_backup_recovery_feature_enabled] second_store is "
               "true, but second_region is false")
    lacking = [name for name in ('second_region', 'separate_keys')
               if not able[name]]
    if able.second_key_manager and lacking:
        yield (f"[cinder_backup_recovery_feature_enabled] second_key_manager "
               f"is true, but {' and '.join(lacking)} is false")
    if able.encrypted_volumes and group.content_access == connecting.IMAGE:
        yield ("[cinder_backup_recovery_feature_enabled] encrypted_volumes "
               "is true, but [cinder_backup_recovery] content_access is "
               "image, by which no key is used: set it to attachment")
    missing = [field for field in ('{action}', '{point}', '{id}')
               if field not in group.request_hold_command]
    if group.request_hold_command and missing:
        yield (f"[cinder_backup_recovery] request_hold_command lacks "
               f"{', '.join(missing)}: it could not hold the requests about "
               f"one backup")
    if group.content_access == connecting.IMAGE:
        if not conf.service_available.glance:
            yield ("[cinder_backup_recovery] content_access is image, but "
                   "[service_available] glance is false")
        if not able.image_upload:
            yield ("[cinder_backup_recovery] content_access is image, but "
                   "[cinder_backup_recovery_feature_enabled] image_upload is "
                   "false: no volume could be read")
    for path in group.history_files:
        try:
            running.read(pathlib.Path(path))
        except history.HistoryError as error:
            yield f"[cinder_backup_recovery] history_files: {error}"
    yield from known_defects.problems(group.known_defects,
                                      group.cinder_release)
    newest = conf.volume.max_microversion
    try:
        enough = newest and _microversion(newest) >= _microversion(
            MICROVERSION)
    except ValueError:
        enough = False
    if not enough:
        yield (f"[volume] max_microversion is {newest or 'not set'}: the "
               f"tests send {MICROVERSION}, so it must be at least that or "
               f"'latest'")


def declared_defects(conf: Any) -> frozenset[str]:
    """The names of the known defects that the configuration declares."""
    group = conf.cinder_backup_recovery
    return known_defects.declared(group.known_defects, group.cinder_release,
                                  group.backup_driver,
                                  conf.volume.storage_protocol)


def check(conf: Any, with_rows: bool = True) -> None:
    """Refuse a configuration with mistakes.

    :param with_rows: see :func:`problems`
    :raises InvalidConfiguration: with one line that names every mistake
    """
    found = list(problems(conf, with_rows))
    if found:
        raise exceptions.InvalidConfiguration('; '.join(found))
