# SPDX-License-Identifier: Apache-2.0

"""Requests of a history, to the API of a cloud."""

import json
from typing import Any

from tempest.lib import exceptions as lib_exc

from backup_model import engine as engines
from cinder_backup_recovery_tests import record as backup_record
from cinder_backup_recovery_tests.cloud import clients


def send(api: clients.CloudApi, method: str, path: str, body: Any = None
         ) -> engines.Answer:
    """Send a request below the API's project, and return its answer."""
    try:
        resp, text = api.backups.request(
            method, path, body=None if body is None else json.dumps(body))
    except lib_exc.RestClientException as exc:
        if exc.resp is None:
            raise
        said = exc.resp_body
        return engines.Answer(
            int(exc.resp.status),
            {'error': said if isinstance(said, dict) else
             {'message': str(said)}})
    return engines.Answer(int(resp.status), json.loads(text) if text else {})


def kind(request: engines.Request) -> tuple[str, str]:
    """The kind of a request, and the id that it is held by."""
    if request.path == 'backups':
        return 'create', request.body['backup']['volume_id']
    if request.path == 'backups/import_record':
        fields = backup_record.BackupRecord(
            **request.body['backup-record']).fields
        return 'import', str(fields.get('id'))
    parts = request.path.split('/')
    if request.method == 'DELETE':
        return 'delete', parts[1]
    return parts[-1], parts[1]
