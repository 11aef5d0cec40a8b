# SPDX-License-Identifier: Apache-2.0

"""The record of a backup in its own metadata on the storage.

The metadata object has nearly all that an import needs, but not the owner of
the backup, the id of its key, the snapshot, the time and the properties. Where
database and exported records are lost together, a scan finds these here.
Cinder's own drivers ignore the entry.
"""

from collections.abc import Mapping
import json
from typing import Any

from cinder import exception
from cinder import objects
from oslo_config import cfg
from oslo_log import log as logging

from reference_drivers import options

LOG = logging.getLogger(__name__)
CONF = cfg.CONF
options.register(CONF)

#: The entry of the metadata object.
ENTRY = 'record'


class _Writer:
    """A writer of a metadata object, to which an entry is added.

    :param real: the writer of the driver
    :param value: of the entry
    """

    def __init__(self, real: Any, value: str):
        self._real = real
        # As Cinder writes the other ones.
        self._line = f'{{\n  "{ENTRY}": {json.dumps(value)},'.encode()

    def __enter__(self) -> '_Writer':
        self._open = self._real.__enter__()
        return self

    def __exit__(self, *args: Any) -> Any:
        return self._real.__exit__(*args)

    def write(self, data: bytes) -> Any:
        """Write all of the object."""
        return self._open.write(
            self._line + data[1:] if data.startswith(b'{\n') else data)


class StoredRecordMixin:
    """In front of a ``ChunkedBackupDriver``."""

    _record: str | None = None

    def _write_metadata(self, backup: Any, *args: Any, **kwargs: Any) -> None:
        usual: Any = super()
        if CONF[options.GROUP].store_record:
            try:
                self._record = backup.encode_record()
            except Exception as err:
                # No backup may fail for it.
                LOG.warning('The record of backup %(id)s is not stored with '
                            'it: %(reason)s', {'id': backup.id,
                                               'reason': err})
        try:
            usual._write_metadata(backup, *args, **kwargs)
        finally:
            self._record = None

    def _get_object_writer(self, *args: Any, **kwargs: Any) -> Any:
        usual: Any = super()
        writer = usual._get_object_writer(*args, **kwargs)
        return writer if self._record is None else _Writer(
            writer, self._record)


def read(metadata: Mapping[str, Any], backup_id: str) -> dict[str, Any]:
    """Read the record that a metadata object has.

    :returns: its fields; an empty dict where it has no record, or that of
        another backup
    """
    try:
        found = objects.Backup.decode_record(metadata[ENTRY])
    except (KeyError, TypeError, exception.InvalidInput):
        return {}
    # A copy of another one's metadata has its id, too.
    return found if isinstance(found, dict) and (
        found.get('id') == backup_id) else {}
