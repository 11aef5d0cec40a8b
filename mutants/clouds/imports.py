# SPDX-License-Identifier: Apache-2.0
"""Clouds whose import does something wrong with the row or the request."""

import threading
import time
from typing import Any
import uuid

from mutants import catalogue

_CALLS = 'api.test_export_import.ExportImportTest'
_EXPORT = 'api.test_export_states.ExportTest'
_BAD = 'api.test_bad_records.BadRecordTest'
_QUOTA = 'api.test_quota.QuotaTest'
_CHAIN = 'scenario.test_row_loss.ChainRowLossTest'
_LOSS = 'scenario.test_row_loss.FullBackupRowLossTest'
_DAMAGE = 'scenario.test_import_verify'
_SHIPPED = 'scenario.test_shipping'
_DRIVERS = 'scenario.test_two_drivers.TwoDriversTest'

_API = 'cinder.backup.api:API.import_record'
_DECODE = 'cinder.objects.backup:Backup.decode_record'
_MANAGER = 'cinder.backup.manager:BackupManager.import_record'
_ROW = 'cinder.backup.api:API._get_import_backup'
_ERROR = 'cinder.volume.volume_utils:update_backup_error'

_LOCK = threading.Lock()
_LAST: dict[str, str] = {}
_FIRST: dict[str, dict[str, Any]] = {}

_TYPED = ('id', 'size', 'object_count', 'container', 'service_metadata',
          'volume_id', 'parent_id', 'snapshot_id')


def _encoded(record):
    from oslo_serialization import base64
    from oslo_serialization import jsonutils
    return base64.encode_as_text(jsonutils.dump_as_bytes(record))


def _live(context, backup_id):
    """The row of a backup, in whatever project, or None."""
    from cinder import exception
    from cinder import objects
    try:
        return objects.BackupImport.get_by_id(
            context.elevated(), backup_id, project_only=False)
    except exception.BackupNotFound:
        return None


@catalogue.defect(_API, 'api.test_clients.ClientsTest.test_cinder_command',
                  'api.test_clients.ClientsTest.test_openstack_command')
def under_a_new_id(original, api, context, service, url):
    """An imported backup has another id than its record."""
    from cinder import objects
    record = objects.Backup.decode_record(url)
    return original(api, context, service,
                    _encoded({**record, 'id': str(uuid.uuid4())}))


@catalogue.defect(_ROW, f'{_CALLS}.test_import_of_live_backup_is_refused',
                  resembles='LP 1965847')
def destroys_live_row(original, api, context, url):
    """An import of a backup that exists is refused, and destroys it."""
    from cinder import exception
    from cinder import objects
    try:
        return original(api, context, url)
    except exception.InvalidBackup:
        _live(context, objects.Backup.decode_record(url)['id']).destroy()
        raise


@catalogue.defect(_ROW, f'{_CALLS}.test_import_of_live_backup_is_refused')
def takes_live_row(original, api, context, url):
    """An import of a backup that exists is accepted."""
    from cinder import objects
    return (_live(context, objects.Backup.decode_record(url)['id']) or
            original(api, context, url))


@catalogue.defect(_ROW, f'{_LOSS}.test_soft_loss_restored_to_new_volume',
                  resembles='LP 1696361')
def sees_deleted_row(original, api, context, url):
    """A row that is marked deleted keeps its backup from being imported."""
    from cinder import exception
    from cinder import objects
    try:
        objects.Backup.get_by_id(
            context.elevated(read_deleted='only'),
            objects.Backup.decode_record(url)['id'])
    except exception.BackupNotFound:
        return original(api, context, url)
    raise exception.InvalidBackup(reason='Backup already exists in database.')


@catalogue.defect(_ROW, f'{_QUOTA}.test_same_record_at_once')
def both_imports_win(original, api, context, url):
    """Of two imports of one record at the same time both are accepted."""
    from cinder import objects
    backup_id = objects.Backup.decode_record(url)['id']
    with _LOCK:
        begun = _LAST.get('begun') == backup_id
        _LAST['begun'] = backup_id
        return ((begun and _live(context, backup_id)) or
                original(api, context, url))


@catalogue.defect(_API, f'{_QUOTA}.test_twenty_imports_at_once')
def mixes_requests(original, api, context, service, url):
    """An import may take the record of one that comes at the same time."""
    _LAST['url'] = url
    time.sleep(0.05)
    return original(api, context, service, _LAST['url'])


@catalogue.defect(_API, f'{_CALLS}.test_import_after_row_loss')
def answers_first(original, api, context, service, url):
    """An import is answered before there is a row of it."""
    from cinder import objects
    record = objects.Backup.decode_record(url)
    threading.Timer(2, original, (api, context, service, url)).start()
    return {'id': record['id'], 'display_name': None}


@catalogue.defect('cinder.backup.rpcapi:BackupAPI.import_record',
                  f'{_CALLS}.test_import_after_row_loss')
def goes_nowhere(original, *arguments):
    """An import that was accepted reaches no cinder-backup."""


@catalogue.defect(_MANAGER, f'{_CALLS}.test_import_after_row_loss')
def available_too_early(original, manager, context, backup, *arguments):
    """An imported backup is available before its fields are there."""
    backup.status = 'available'
    backup.save()
    time.sleep(2)
    return original(manager, context, backup, *arguments)


@catalogue.defect('reference_drivers.import_verify:ImportVerifyMixin.import_record',
                  *(f'{_DAMAGE}.DamagedBackupTest.test_{name}' for name in (
                      'description_missing', 'data_missing',
                      'something_added', 'length_changed',
                      'part_of_another_backup', 'bytes_changed',
                      'parts_swapped')),
                  f'{_DAMAGE}.DamagedParentTest.test_parent_missing',
                  f'{_DAMAGE}.DamagedParentTest.test_parent_damaged',
                  f'{_BAD}.test_count_differs_from_storage_1_size',
                  f'{_BAD}.test_count_differs_from_storage_2_object_count',
                  f'{_BAD}.test_data_of_another_backup',
                  f'{_BAD}.test_id_is_no_uuid_2_not_a_uuid_',
                  f'{_BAD}.test_path_traversal_1_container',
                  f'{_BAD}.test_path_traversal_2_service_metadata',
                  *(f'{_BAD}.test_bit_flipped_in_{name}' for name in (
                      '1_id', '2_volume_id', '3_size', '4_container',
                      '5_service_metadata', '6_object_count')),
                  'scenario.test_faults.StorageAwayTest.'
                  'test_away_during_import',
                  f'{_SHIPPED}.ShippedBackupTest.'
                  'test_a_part_that_is_missing_there')
def asks_no_driver(original, driver, backup, driver_info):
    """An import makes an available backup without asking the driver."""


@catalogue.defect('reference_drivers.import_verify:ImportVerifyMixin.import_record',
                  f'{_DAMAGE}.DamagedBackupTest.test_unharmed')
def finds_damage_where_is_none(original, driver, backup, driver_info):
    """An import takes each backup for damaged."""
    from reference_drivers.verification import errors
    raise errors.Missing('object volume_metadata is missing')


@catalogue.defect('cinder.backup.manager:BackupManager._is_our_backup',
                  f'{_EXPORT}.test_unknown_service',
                  f'{_DRIVERS}.test_driver_that_nobody_runs',
                  f'{_DRIVERS}.test_each_record_finds_its_host')
def takes_any_service(original, manager, backup):
    """A backup of another driver is imported as one of its own driver."""
    return True


@catalogue.defect(_MANAGER, f'{_DRIVERS}.test_each_record_finds_its_host')
def asks_one_host(original, manager, context, backup, service, url, hosts):
    """A host that does not run the driver of a record asks no other one."""
    return original(manager, context, backup, service, url, [])


@catalogue.defect(_ERROR, f'{_EXPORT}.test_unknown_service',
                  f'{_BAD}.test_field_is_missing_3_container')
def fails_without_reason(original, backup, err, *arguments):
    """A backup whose import has failed does not say why."""
    return original(backup, '', *arguments)


@catalogue.defect(_ERROR, f'{_BAD}.test_field_is_missing_3_container',
                  f'{_BAD}.test_wrong_type_of_ignored')
def fails_with_others(original, backup, *arguments):
    """An import that fails takes the metadata of the project's backups."""
    from cinder import objects
    for other in objects.BackupList.get_all_by_project(
            backup._context, backup.project_id):
        other.metadata = {}
        other.save()
    return original(backup, *arguments)


@catalogue.defect(_DECODE, f'{_BAD}.test_not_a_record',
                  f'{_BAD}.test_truncated',
                  f'{_BAD}.test_bit_flipped_in_structure')
def breaks_on_junk(original, url):
    """A string that is no record is answered with 500."""
    from cinder import exception
    try:
        return original(url)
    except exception.InvalidInput as error:
        raise ValueError(str(error)) from error


@catalogue.defect('oslo_middleware.sizelimit:'
                  'RequestBodySizeLimiter._conf_get',
                  f'{_BAD}.test_junk_of_a_mebibyte')
def breaks_on_much_junk(original, limiter, *arguments):
    """A request that is too large is answered with 500."""
    limit = original(limiter, *arguments)

    class Limit(int):
        def __lt__(self, length):
            if int(self) < length:
                raise ValueError('too large')
            return False

    return Limit(limit)


@catalogue.defect(_DECODE,
                  f'{_BAD}.test_field_is_missing_6_display_name',
                  f'{_BAD}.test_field_is_missing_7_display_description',
                  f'{_BAD}.test_bit_flipped_in_name_of_5_display_name',
                  f'{_BAD}.test_bit_flipped_in_name_of_6_display_description')
def needs_no_field(original, url):
    """A record that lacks a field is imported without it."""
    record = original(url)
    if isinstance(record, dict) and 'id' in record:
        record = {'display_name': None, 'display_description': None,
                  **record}
    return record


@catalogue.defect(_DECODE, f'{_BAD}.test_deep_json')
def takes_deep_json(original, url):
    """JSON that is nested too deeply is taken for a record of nothing."""
    try:
        return original(url)
    except RecursionError:
        return {'id': str(uuid.uuid4()), 'size': 1}


@catalogue.defect(_DECODE,
                  f'{_BAD}.test_size_is_negative_1_0',
                  f'{_BAD}.test_size_is_negative_2__1',
                  *(f'{_BAD}.test_size_is_no_number_{name}' for name in (
                      '1_1', '2_huge', '3_None', '4___', '5')),
                  f'{_BAD}.test_size_is_huge_1_2147483648',
                  f'{_BAD}.test_size_is_huge_2_9223372036854775808',
                  f'{_BAD}.test_size_is_huge_3_10' + 29 * '0')
def makes_up_size(original, url):
    """A size that no volume has is taken for one GiB."""
    record = original(url)
    if isinstance(record, dict) and 'size' in record and not (
            isinstance(record['size'], int) and
            0 < record['size'] < 2 ** 31):
        record['size'] = 1
    return record


def _fits(name, value):
    if name == 'id':
        return isinstance(value, str) and len(value) == 36
    if name in ('size', 'object_count'):
        return isinstance(value, int) and value > 0
    return value is None or isinstance(value, str)


def _first(record):
    """The first record with this id, or the one that came last with a new."""
    backup_id = str(record.get('id'))
    with _LOCK:
        if _fits('id', backup_id) and backup_id not in _FIRST:
            _FIRST[backup_id] = _FIRST['any'] = record
        return _FIRST.get(backup_id, _FIRST['any'])


@catalogue.defect(_DECODE,
                  *(f'{_BAD}.test_field_is_missing_{name}' for name in (
                      '1_id', '2_size', '4_service_metadata',
                      '5_object_count')),
                  *(f'{_BAD}.test_bit_flipped_in_name_of_{name}' for name in (
                      '1_container', '2_service_metadata', '3_object_count',
                      '4_size')))
def completes_record(original, url):
    """Missing fields are taken from a record that was imported before."""
    record = original(url)
    return ({**_first(record), **record} if isinstance(record, dict)
            else record)


@catalogue.defect(_DECODE,
                  *(f'{_BAD}.test_id_is_no_text_{name}' for name in (
                      '1_None', '2___', '3___id__', '4', '5')),
                  *(f'{_BAD}.test_wrong_type_of_locating_{name}' for name in (
                      '1_container', '2_object_count', '3_parent_id',
                      '4_service_metadata', '5_snapshot_id', '6_volume_id')))
def mends_types(original, url):
    """Impossible values are taken from a record that was imported before."""
    record = original(url)
    if not isinstance(record, dict):
        return record
    first = _first(record)
    whole = not _fits('id', record.get('id'))
    return {name: first.get(name) if name in _TYPED and (
        whole or not _fits(name, value) or value is None) else value
        for name, value in record.items()}


@catalogue.defect(_MANAGER, f'{_BAD}.test_wrong_driver_info',
                  f'{_BAD}.test_bit_flipped_in_driver_info')
def waits_for_true_info(original, manager, context, backup, service, url,
                        hosts):
    """An import with another driver_info than the one before never ends."""
    record = backup.decode_record(url)
    if record.get('driver_info') != _first(record).get('driver_info'):
        return None
    return original(manager, context, backup, service, url, hosts)


@catalogue.defect(_MANAGER, f'{_BAD}.test_id_is_no_uuid_1_')
def takes_empty_id(original, manager, context, backup, service, url, hosts):
    """A record whose id is empty makes a backup that is available."""
    if backup.decode_record(url)['id']:
        return original(manager, context, backup, service, url, hosts)
    backup.status = 'available'
    backup.save()
    return None


@catalogue.defect(_MANAGER,
                  f'{_DAMAGE}.DamagedParentTest.test_unharmed_in_both_orders',
                  f'{_CHAIN}.test_any_rows_of_a_chain_lost')
def needs_parent_first(original, manager, context, backup, service, url,
                       hosts):
    """An incremental backup is not imported before its parent."""
    from cinder.volume import volume_utils
    parent = backup.decode_record(url).get('parent_id')
    if parent and not _live(context, parent):
        volume_utils.update_backup_error(backup, 'its parent is missing')
        return None
    return original(manager, context, backup, service, url, hosts)


@catalogue.defect(_MANAGER, f'{_LOSS}.test_hard_loss_of_source_volume',
                  f'{_LOSS}.test_soft_loss_of_source_volume')
def needs_source_volume(original, manager, context, backup, service, url,
                        hosts):
    """An import fails where the row of the source volume is lost."""
    from cinder import exception
    from cinder import objects
    from cinder.volume import volume_utils
    try:
        objects.Volume.get_by_id(context,
                                 backup.decode_record(url)['volume_id'])
    except exception.VolumeNotFound as error:
        volume_utils.update_backup_error(backup, str(error))
        raise
    return original(manager, context, backup, service, url, hosts)


@catalogue.defect(
    'cinder.api.contrib.backups:BackupsController.import_record',
    'api.test_clients.ClientsTest.test_microversion_1_3_0')
def needs_new_microversion(original, controller, req, body):
    """An import in an old microversion is refused."""
    from webob import exc
    if not req.api_version_request.matches('3.43'):
        raise exc.HTTPBadRequest(explanation='too old')
    return original(controller, req, body=body)


@catalogue.defect(
    'cinder.api.contrib.backups:BackupsController.import_record',
    'api.test_clients.ClientsTest.test_microversion_2_newest',
    'api.test_clients.ClientsTest.test_library')
def answers_without_id(original, controller, req, body):
    """The answer to an import does not name the backup."""
    answer = original(controller, req, body=body)
    return {'backup': {**answer['backup'], 'id': None}}
