# SPDX-License-Identifier: Apache-2.0
"""Clouds that cannot begin again from nothing but records."""


from mutants import catalogue

_ROW = 'cinder.backup.api:API._get_import_backup'


@catalogue.defect(
    _ROW,
    'scenario.test_database_loss.DatabaseLossTest.'
    'test_every_backup_restored_from_its_record',
    'scenario.test_shipping.ShippedToOtherProjectTest.'
    'test_another_project_at_the_other_site')
def needs_quota_usage(original, api, context, url):
    """An import is refused to a project that has never used anything."""
    from cinder import exception
    from cinder.db import api as db
    if 'backups' not in db.quota_usage_get_all_by_project(
            context, context.project_id):
        raise exception.InvalidInput(reason='this project has no quota usage')
    return original(api, context, url)
