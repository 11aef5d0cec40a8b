# SPDX-License-Identifier: Apache-2.0

"""Make the fields of a record from what a backup's metadata says."""

from collections.abc import Mapping
import datetime
import json
import re
from typing import Any

from reference_drivers import driver_info
from reference_drivers import stored_record
from reference_drivers.scanning import found as found_
from reference_drivers.verification import errors
from reference_drivers.verification import layout
from reference_drivers.verification import presence
from reference_drivers.verification import store as stores

_PROJECT = re.compile(r'[\w-]{1,64}\Z', re.ASCII)
_MOMENT = re.compile(r'_([0-9]{14})_backup_|/([0-9]{14})/')
#: What the storage of Cinder's drivers has only in a record: the snapshot that
#: was backed up, the properties that a user gave the backup, and, where it is
#: of a snapshot, the time of that.
ONLY_IN_RECORD = ('snapshot_id', 'metadata', 'data_timestamp')
#: Fields that are taken from a record, and their types.
_RECORDED: dict[str, tuple[type, ...]] = {
    'snapshot_id': (str, type(None)), 'metadata': (dict,),
    'data_timestamp': (str,), 'project_id': (str,), 'user_id': (str,),
    'encryption_key_id': (str, type(None)), 'size': (int,),
    'created_at': (str,)}


def fill(found: found_.Found, link: layout.Link) -> None:
    """Add the fields of the record, and the names of those that lack."""
    volume, without = describe_volume(link.metadata.get('volume_meta'))
    size, created = volume['size'], _created(link)
    if created is None:
        without.append('created_at')
    if link.sha256_name not in link.entries:
        # It can be restored, and not be the parent of a new backup.
        without.append('sha256file')
    found.without = without
    found.fields = {
        'id': link.backup_id,
        'display_name': _text(link.metadata.get('backup_name')),
        'display_description': _text(
            link.metadata.get('backup_description')),
        'container': link.container,
        'service_metadata': link.prefix,
        'size': size or max(1, -(-_end(link) // presence.GIB)),
        'object_count': len(link.chunks),
        'volume_id': link.volume_id,
        'parent_id': link.parent_id,
        'snapshot_id': None,
        'project_id': volume['project_id'],
        'user_id': volume['user_id'],
        'encryption_key_id': None,
        'created_at': created,
        'updated_at': created,
        # Never null: Cinder looks for the newest parent by it.
        'data_timestamp': created,
        'num_dependent_backups': 0,
    }
    _take_recorded(found, stored_record.read(link.metadata, link.backup_id))


def _take_recorded(found: found_.Found, recorded: Mapping[str, Any]) -> None:
    """Take what the record in the metadata knows better.

    Where the data is, and whose child it is, the storage itself tells.
    """
    if found.fields is None:
        return
    for name, types in _RECORDED.items():
        value = recorded.get(name)
        if name not in recorded or type(value) not in types:
            continue
        if name == 'project_id' and not _PROJECT.match(str(value)):
            continue
        found.fields[name] = value
        if name in found.without:
            found.without.remove(name)


def describe_volume(volume_meta: Any) -> tuple[dict[str, Any], list[str]]:
    """Describe a backup by the volume's row that is stored with it.

    :param volume_meta: as Cinder's drivers store it
    :returns: ``id``, ``project_id``, ``user_id`` and ``size``, each of which
        may be None, and the names of all fields that lack
    """
    volume, is_known = volume_of(volume_meta)
    without = list(ONLY_IN_RECORD)
    project, size = volume.get('project_id'), volume.get('size')
    if not isinstance(project, str) or not _PROJECT.match(project):
        project = None
        without.append('project_id')
    # The key of a backup is a copy of the volume's.
    if not is_known or volume.get('encryption_key_id') is not None:
        without.append('encryption_key_id')
    if type(size) is not int or size < 1:
        size = None
        without.append('size')
    return {'id': volume.get('id'), 'project_id': project, 'size': size,
            'user_id': _text(volume.get('user_id'))}, without


def volume_of(volume_meta: Any) -> tuple[dict[str, Any], bool]:
    """The row of the volume, and whether there is one."""
    try:
        found = json.loads(volume_meta)['volume-base-metadata']
    except (TypeError, ValueError, KeyError, RecursionError):
        found = None
    return (found, True) if isinstance(found, dict) else ({}, False)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _end(link: layout.Link) -> int:
    return link.chunks[-1].end if link.chunks else 0


def _created(link: layout.Link) -> str | None:
    """When the backup was made, in the form of a record."""
    text = link.metadata.get('created_at')
    try:
        found = datetime.datetime.fromisoformat(str(text))
    except ValueError:
        match = _MOMENT.search(link.prefix)
        if not match:
            return None
        try:
            found = datetime.datetime.strptime(match[1] or match[2],
                                               '%Y%m%d%H%M%S')
        except ValueError:
            return None
    if found.tzinfo is not None:
        found = found.astimezone(datetime.UTC)
    return found.strftime('%Y-%m-%dT%H:%M:%SZ')


def link_up(found: Mapping[str, found_.Found]) -> None:
    """Complete what only parents and children tell.

    :param found: the backups with fields, by their ids
    """
    for one in found.values():
        parent_id = _parent(one)
        parent = found.get(parent_id or '')
        if parent_id is None:
            continue
        if parent is None:
            one.add([errors.BrokenChain(
                f'parent {parent_id} is not on this storage', parent_id)])
        elif parent.volume_id != one.volume_id:
            one.kind = found_.DAMAGED
            one.add([errors.BrokenChain(
                f'parent {parent_id} is a backup of another volume, '
                f'{parent.volume_id}', parent_id)])
        elif parent.fields:
            parent.fields['num_dependent_backups'] += 1
    for one in found.values():
        # A volume can only grow.
        if one.fields and 'size' in one.without:
            one.fields['size'] = max(
                link.fields['size'] for link in chain(one, found)
                if link.fields)


def chain(one: found_.Found, found: Mapping[str, found_.Found]
          ) -> list[found_.Found]:
    """A backup, its parent and so on, as far as they exist."""
    links, seen = [one], {one.backup_id}
    while (parent_id := _parent(links[-1])) and parent_id not in seen and (
            parent_id in found):
        seen.add(parent_id)
        links.append(found[parent_id])
    return links


def _parent(one: found_.Found) -> str | None:
    return one.fields['parent_id'] if one.fields else None


def describe(one: found_.Found, found: Mapping[str, found_.Found],
             store: stores.Store, driver: str) -> dict[str, Any]:
    """The driver's own part of a record.

    :param driver: a name for the kind of store
    :returns: empty where a parent is missing, of which it has to tell
    """
    links = chain(one, found)
    described = [link.described for link in links if link.described]
    if (one.fields is None or _parent(links[-1]) is not None or
            len(described) < len(links)):
        return {}
    return driver_info.of_chain(
        described, store, driver, one.fields['size'])
