# SPDX-License-Identifier: Apache-2.0
"""Clouds whose import gets a field of the backup wrong."""

import unicodedata

from mutants import catalogue

_ONE = 'api.test_export_import.ExportImportTest.test_import_after_row_loss'
_BAD = 'api.test_bad_records.BadRecordTest'
_EXPORT = 'api.test_export_states.ExportTest'
_CHAIN = 'scenario.test_row_loss.ChainRowLossTest'

# What the driver has looked at is copied onto the row there.
_COPY = 'cinder.objects.backup:Backup.update'


def _with(original, backup, values, **wrong):
    if 'service_metadata' in values:
        values = {**values, **wrong}
    original(backup, values)


@catalogue.defect(_COPY, _ONE, resembles='LP 1455043')
def loses_volume_id(original, backup, values):
    """An imported backup is of no volume."""
    _with(original, backup, values, volume_id=backup.volume_id)


@catalogue.defect(_COPY, f'{_CHAIN}.test_any_rows_of_a_chain_lost',
                  resembles='LP 1476416')
def loses_parent(original, backup, values):
    """An imported incremental backup has no parent."""
    _with(original, backup, values, parent_id=None)


@catalogue.defect(_COPY, _ONE)
def loses_metadata(original, backup, values):
    """An imported backup has no metadata."""
    _with(original, backup, values, metadata={})


@catalogue.defect(_COPY, f'{_EXPORT}.test_names')
def loses_name(original, backup, values):
    """An imported backup has no name."""
    _with(original, backup, values, display_name=None)


@catalogue.defect(_COPY, f'{_EXPORT}.test_names')
def composes_name(original, backup, values):
    """The letters of an imported backup's name are composed."""
    _with(original, backup, values, display_name=unicodedata.normalize(
        'NFC', values.get('display_name') or ''))


@catalogue.defect(_COPY, f'{_EXPORT}.test_of_snapshot')
def loses_snapshot(original, backup, values):
    """An imported backup of a snapshot is one of the volume."""
    _with(original, backup, values, snapshot_id=None)


@catalogue.defect(_COPY, _ONE)
def loses_data_timestamp(original, backup, values):
    """An imported backup does not tell the time of its data."""
    _with(original, backup, values, data_timestamp=None)


@catalogue.defect(_COPY, _ONE, f'{_BAD}.test_true_record_after_bad_one')
def tells_time_of_import(original, backup, values):
    """An imported backup was made when it was imported."""
    _with(original, backup, values, created_at=backup.created_at)


@catalogue.defect(_COPY, _ONE)
def loses_zone(original, backup, values):
    """An imported backup is in no availability zone."""
    _with(original, backup, values, availability_zone=None)


@catalogue.defect(_COPY, f'{_CHAIN}.test_any_rows_of_a_chain_lost',
                  resembles='LP 2163042')
def counts_no_children(original, backup, values):
    """An imported backup does not know that others build on it."""
    _with(original, backup, values, num_dependent_backups=0)


@catalogue.defect(_COPY, _ONE)
def on_no_host(original, backup, values):
    """An imported backup is on a host that does not exist."""
    _with(original, backup, values, host='nowhere')


@catalogue.defect(_COPY, _ONE)
def keeps_a_reason(original, backup, values):
    """An imported backup that is whole says why it has failed."""
    _with(original, backup, values, fail_reason='imported')


def _owner(backup, values):
    """Whose the volume is: the manager has removed that of the record."""
    from cinder import context
    from cinder import objects
    return objects.Volume.get_by_id(
        context.get_admin_context(read_deleted='yes'), values['volume_id'])


@catalogue.defect(_COPY, f'{_EXPORT}.test_into_another_project')
def in_project_of_record(original, backup, values):
    """An imported backup belongs to the project that the record names."""
    if 'service_metadata' in values:
        values = {**values, 'project_id': _owner(backup, values).project_id}
    original(backup, values)


@catalogue.defect(_COPY, f'{_EXPORT}.test_into_another_project')
def of_user_of_record(original, backup, values):
    """An imported backup belongs to the user whom the record names."""
    if 'service_metadata' in values:
        values = {**values, 'user_id': _owner(backup, values).user_id}
    original(backup, values)


@catalogue.defect(_COPY, f'{_BAD}.test_wrong_type_of_2_metadata')
def forgets_bad_metadata(original, backup, values):
    """A record whose metadata is none loses the count of its objects."""
    if 'service_metadata' in values and not isinstance(
            values.get('metadata'), dict):
        values = {**values, 'metadata': {}, 'object_count': 0}
    original(backup, values)
