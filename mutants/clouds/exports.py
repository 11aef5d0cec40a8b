# SPDX-License-Identifier: Apache-2.0
"""Clouds whose export does something wrong, or lets the wrong ones do it."""


from mutants import catalogue

_CALLS = 'api.test_export_import.ExportImportTest'
_EXPORT = 'api.test_export_states.ExportTest'

_AGREES = f'{_CALLS}.test_export_agrees_with_api'
_INCREMENTAL = f'{_EXPORT}.test_incremental_while_creating_and_deleting'

_API = 'cinder.backup.api:API.export_record'
_AUTHORIZE = 'cinder.context:RequestContext.authorize'
_ENCODE = 'cinder.objects.backup:Backup.encode_record'
_MANAGER = 'cinder.backup.manager:BackupManager.export_record'


def _encode(original, backup, driver_info, **wrong):
    from oslo_serialization import base64
    from oslo_serialization import jsonutils
    record = backup.decode_record(original(backup, driver_info=driver_info))
    return base64.encode_as_text(
        jsonutils.dump_as_bytes({**record, **wrong}))


@catalogue.defect(_ENCODE, _AGREES)
def drops_metadata(original, backup, **more):
    """A record has no metadata."""
    return _encode(original, backup, **more, metadata={})


@catalogue.defect(_ENCODE, _AGREES)
def drops_description(original, backup, **more):
    """A record has no description."""
    return _encode(original, backup, **more, display_description=None)


@catalogue.defect(_ENCODE, _AGREES)
def lies_about_size(original, backup, **more):
    """A record says that the volume was larger."""
    return _encode(original, backup, **more, size=backup.size + 1)


@catalogue.defect(_ENCODE, _AGREES)
def drops_object_count(original, backup, **more):
    """A record says that there are no objects."""
    return _encode(original, backup, **more, object_count=0)


@catalogue.defect(_ENCODE, _INCREMENTAL)
def drops_parent(original, backup, **more):
    """A record of an incremental backup does not name its parent."""
    return _encode(original, backup, **more, parent_id=None)


@catalogue.defect(
    _ENCODE, 'scenario.test_containers.ContainerTest.'
             'test_containers_that_users_name')
def strips_container(original, backup, **more):
    """A record has no white space around the name of the container."""
    return _encode(original, backup, **more,
                   container=backup.container.strip())


@catalogue.defect(_ENCODE, f'{_EXPORT}.test_of_snapshot')
def drops_snapshot(original, backup, **more):
    """A record of a backup of a snapshot does not name the snapshot."""
    return _encode(original, backup, **more, snapshot_id=None)


@catalogue.defect(_ENCODE, _AGREES)
def drops_data_timestamp(original, backup, **more):
    """A record does not tell the time of the data."""
    return _encode(original, backup, **more, data_timestamp=None)


@catalogue.defect(
    _MANAGER,
    f'{_CALLS}.test_export_twice_is_the_same_and_changes_nothing')
def changes_row(original, manager, context, backup):
    """An export changes the description of the backup."""
    backup.display_description = 'exported'
    backup.save()
    return original(manager, context, backup)


@catalogue.defect(_MANAGER, _INCREMENTAL)
def exports_parent(original, manager, context, backup):
    """The export of an incremental backup gives the record of its parent."""
    return original(manager, context, backup.parent or backup)


@catalogue.defect(_API, f'{_EXPORT}.test_in_error',
                  f'{_EXPORT}.test_while_restoring')
def in_any_status(original, api, context, backup_id):
    """A backup is exported that is not available."""
    backup = api.get(context, backup_id)
    context.authorize('backup:export-import', target_obj=backup)
    # On the way to the manager only, which looks again.
    backup.status = 'available'
    return api.backup_rpcapi.export_record(context, backup)


@catalogue.defect(_API, f'{_EXPORT}.test_unknown')
def of_what_is_not_there(original, api, context, backup_id):
    """A backup that does not exist is exported, too."""
    from cinder import exception
    try:
        return original(api, context, backup_id)
    except exception.BackupNotFound:
        return {'backup_service': 'none', 'backup_url': 'e30='}


@catalogue.defect(_AUTHORIZE,
                  f'{_CALLS}.test_export_by_member_is_refused',
                  f'{_EXPORT}.test_refused_to_others')
def by_any_member(original, context, action, *arguments, **more):
    """A user who sees a backup may export its record."""
    if action == 'backup:export-import':
        return True
    return original(context, action, *arguments, **more)


@catalogue.defect(_AUTHORIZE,
                  f'{_CALLS}.test_import_by_member_is_refused',
                  f'{_EXPORT}.test_refused_to_others')
def imported_by_any_member(original, context, action, *arguments, **more):
    """A user who has a record may import it."""
    if action == 'backup:backup-import':
        return True
    return original(context, action, *arguments, **more)


@catalogue.defect('cinder.api.views.backups:ViewBuilder.detail', _INCREMENTAL)
def shows_no_increments(original, builder, request, backup):
    """The API says of each backup that it is a full one."""
    view = original(builder, request, backup)
    view['backup']['is_incremental'] = False
    return view
