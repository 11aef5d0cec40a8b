# SPDX-License-Identifier: Apache-2.0
"""Clouds that count imported backups wrong."""


from mutants import catalogue

_IN_AND_OUT = 'api.test_quota.QuotaTest.' \
    'test_import_takes_and_deletion_gives_back'
_OVER = 'api.test_quota.QuotaTest.test_import_over_quota'

_ROW = 'cinder.backup.api:API._get_import_backup'
_DELETE = 'cinder.backup.manager:BackupManager.delete_backup'


def _count(context, project_id, backups, gigabytes):
    from cinder import quota
    quota.QUOTAS.commit(context, quota.QUOTAS.reserve(
        context, project_id=project_id, backups=backups,
        backup_gigabytes=gigabytes), project_id=project_id)


def _size(url):
    from cinder import objects
    return objects.Backup.decode_record(url)['size']


def _make(context, url):
    """Make the row of an import as Cinder does, and count nothing."""
    from cinder import objects
    from cinder.backup import api
    backup = objects.BackupImport(
        context=context, id=objects.Backup.decode_record(url)['id'],
        user_id=context.user_id, project_id=context.project_id,
        volume_id=api.IMPORT_VOLUME_ID, status='creating', metadata={})
    backup.create()
    return backup


@catalogue.defect(_ROW, _IN_AND_OUT, resembles='LP 1783525')
def import_takes_nothing(original, api, context, url):
    """An imported backup takes nothing of the quota of its project."""
    backup = original(api, context, url)
    _count(context, context.project_id, -1, -_size(url))
    return backup


@catalogue.defect(_ROW, _IN_AND_OUT)
def import_takes_no_gigabytes(original, api, context, url):
    """An imported backup is counted without its size."""
    backup = original(api, context, url)
    _count(context, context.project_id, 0, -_size(url))
    return backup


@catalogue.defect(_ROW, _OVER)
def import_knows_no_limit(original, api, context, url):
    """An import over the quota is accepted."""
    from cinder import exception
    try:
        return original(api, context, url)
    except exception.QuotaError:
        return _make(context, url)


@catalogue.defect(_ROW, _OVER)
def refusal_leaves_a_row(original, api, context, url):
    """An import that is refused for the quota leaves a row."""
    from cinder import exception
    try:
        return original(api, context, url)
    except exception.QuotaError:
        _make(context, url)
        raise


@catalogue.defect(_DELETE, _IN_AND_OUT,
                  'api.test_quota.QuotaTest.test_failed_import_gives_back')
def deletion_gives_nothing(original, manager, context, backup):
    """A backup that is deleted gives nothing of the quota back."""
    size = backup.size
    original(manager, context, backup)
    _count(context, backup.project_id, 1, size)


@catalogue.defect(_DELETE, _IN_AND_OUT)
def deletion_gives_twice(original, manager, context, backup):
    """A backup that is deleted gives its quota back twice."""
    size = backup.size
    _count(context, backup.project_id, -1, -size)
    original(manager, context, backup)
