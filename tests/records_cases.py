# SPDX-License-Identifier: Apache-2.0

"""Records of backups that were never made, for tests of their files."""

import base64
import json
import uuid

from backup_recovery import clouds
from backup_recovery import records

SERVICE = 'reference_drivers.default.DefaultBackupDriver'
RED, BLUE = 'a' * 32, 'b' * 32


def fields(backup_id=None, project=RED, **others):
    """The fields of a record, as Cinder encodes them."""
    backup_id = backup_id or str(uuid.uuid4())
    return {'id': backup_id, 'project_id': project, 'size': 1,
            'display_name': 'monday', 'display_description': None,
            'container': 'a/b', 'service_metadata': 'prefix',
            'object_count': 1, 'volume_id': str(uuid.uuid4()),
            'parent_id': None, 'created_at': '2026-11-29T02:00:00Z',
            'updated_at': '2026-11-29T02:00:05Z', 'metadata': {},
            'num_dependent_backups': 0, 'driver_info': {}, **others}


def encode(content):
    """The string that an export returns."""
    return base64.b64encode(json.dumps(content).encode()).decode()


def record(backup_id=None, exported='2026-11-29T03:00:00Z', gone=None,
           scan=None, **others):
    """A record as a file has it.

    :param scan: the class that a scan has given it
    """
    content = fields(backup_id, **others)
    return records.Record(
        content['id'], content['project_id'], SERVICE, encode(content),
        exported, gone, scan and {
            'class': scan, 'place': 'file:///a', 'objects': 3, 'bytes': None,
            'problems': [], 'without': ['snapshot_id']})


def remains(kind, backup_id=None):
    """A finding of a scan that is not a backup."""
    return records.Remains(
        kind, backup_id, None, 'file:///a', 1, 7, [
            {'kind': 'missing', 'name': None, 'message': 'gone'}],
        '2026-11-29T03:00:00Z')


def of_columns(one):
    """The line that the file of four columns has."""
    return (f'{one.id} {one.project_id} {one.backup_service} '
            f'{one.backup_url}\n')


def backup(one, status='available', **others):
    """A backup in a cloud, of which this is the record."""
    facts = records.Facts.of(one.fields, one.project_id, 'display_name',
                             'display_description', 'num_dependent_backups')
    return clouds.Backup(one.id, status, None, facts._replace(**others))
