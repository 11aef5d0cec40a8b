# SPDX-License-Identifier: Apache-2.0

"""The drivers' own part of an exported record.

It is the anchor of trust: where the backup is, and a digest of what it is.
A version that was exported once can be read indefinitely.
"""

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
import dataclasses
import json
import re
from typing import Any

from reference_drivers.recovery_keys import wrapping
from reference_drivers.verification import errors
from reference_drivers.verification import layout
from reference_drivers.verification import presence
from reference_drivers.verification import store as stores
from reference_drivers.verification import verifier

VERSION = 1
LIMIT = 4096
"""The largest driver_info as JSON, in bytes, whatever the volume's size."""

_GROUPS = 64
DIGEST = re.compile(r'sha256:[0-9a-f]{64}\Z')
_SUM = re.compile(r'[0-9a-f]{8}\Z')
UUID = re.compile(r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z')

_FIELDS = {
    'version': int, 'driver': str, 'location': str, 'backup_id': str,
    'volume_id': str, 'container': str, 'prefix': str, 'size': int,
    'object_count': int, 'digest': str, 'chain_digest': str,
}
_OPTIONAL = {'parent_id': str, 'snapshot_id': str, 'lengths': list,
             'parents': list, 'encryption': dict}

Wrong = Callable[[str, str], errors.WrongRecord]


@dataclasses.dataclass(frozen=True, slots=True)
class Described:
    """One backup of a chain, as a record describes it.

    :ivar chunks: how many it has
    :ivar lengths: checksums over groups of them, with spaces between
    :ivar total: the checksum over all of them
    """

    backup_id: str
    volume_id: str
    parent_id: str | None
    container: str
    prefix: str
    digest: str
    chunks: int
    lengths: str | None
    total: str | None

    @classmethod
    def of(cls, link: layout.Link, groups: int = _GROUPS) -> 'Described':
        """Describe a backup as its storage does."""
        lengths, total = presence.lengths(link, groups, 1) or (None, None)
        return cls(link.backup_id, link.volume_id, link.parent_id,
                   link.container, link.prefix, link.digest, len(link.chunks),
                   None if lengths is None else ' '.join(lengths),
                   total[0] if total else None)


def make(backup: Any, report: verifier.Report, store: stores.Store,
         driver: str, encryption: dict[str, Any] | None = None
         ) -> dict[str, Any]:
    """Describe a backup that was verified.

    :param driver: a name for the kind of store
    :param encryption: a description of its key, None without one
    :returns: what can be written as JSON, the same each time
    """
    first, *parents = report.chain
    return of_chain(
        [Described.of(first),
         *(Described.of(parent, 1) for parent in parents)],
        store, driver, backup.size, backup.snapshot_id, backup.object_count,
        encryption)


def of_chain(chain: list[Described], store: stores.Store, driver: str,
             size: int, snapshot_id: str | None = None,
             object_count: int | None = None,
             encryption: dict[str, Any] | None = None) -> dict[str, Any]:
    """Describe a backup.

    :param chain: the backup, its parent and so on to the full one
    :param driver: a name for the kind of store
    :param size: in GiB
    :param object_count: as the row has it, None where there is none
    :param encryption: a description of its key, None without one
    :returns: what can be written as JSON, the same each time
    """
    link = chain[0]
    info: dict[str, Any] = {
        'version': VERSION,
        'driver': driver,
        'location': store.url(link.container, link.prefix),
        'backup_id': link.backup_id,
        'volume_id': link.volume_id,
        'parent_id': link.parent_id,
        'snapshot_id': snapshot_id,
        'container': link.container,
        'prefix': link.prefix,
        'size': size,
        # Verified, and maybe one more: layout.counts().
        'object_count': (link.chunks if object_count is None
                         else object_count),
        'digest': link.digest,
        'chain_digest': verifier.chain_digest([one.digest for one in chain]),
        'lengths': None if link.lengths is None else link.lengths.split(),
        'parents': [],
    }
    if encryption is not None:
        info['encryption'] = encryption
    # As many parents as there is room for; what is above is found by its id
    # when it is needed, and chain_digest covers it anyway.
    for parent in chain[1:]:
        entry = [parent.backup_id,
                 shorten(parent.container, parent.backup_id,
                         link.volume_id),
                 shorten(parent.prefix, parent.backup_id, link.volume_id),
                 parent.total]
        info['parents'].append(entry)
        if len(json.dumps(info)) > room(encryption):
            info['parents'].pop()
            break
    return limited(info)


def room(encryption: Mapping[str, Any] | None) -> int:
    """The bytes up to which a driver_info is filled with parents.

    What a wrapped key does not use of its room stays free: wrapped again for
    other recipients, it may be longer.
    """
    wrapped = (encryption or {}).get('wrapped')
    free = wrapping.ROOM - len(json.dumps(wrapped)) if wrapped else 0
    return LIMIT - 64 - free


def limited(info: dict[str, Any]) -> dict[str, Any]:
    """Refuse a wrapped key for which long names have left no room.

    :raises WrongRecord: saying what helps
    """
    length = len(json.dumps(info))
    if length > LIMIT and (info.get('encryption') or {}).get('wrapped'):
        raise errors.WrongRecord(
            f'driver_info has {length} bytes with the wrapped key, and '
            f'{LIMIT} at most: name fewer recovery_recipients', 'wrapped',
            info['backup_id'])
    return info


def shorten(text: str, backup_id: str, volume_id: str) -> str:
    """Leave ids out of a name, so that more of them have room.

    :returns: the name with ``{b}``, ``{v}`` for the ids, ``{c}`` for the
        container that the driver chooses itself
    """
    own = f'{backup_id[0:2]}/{backup_id[2:4]}/{backup_id}'
    if '{' in text or text.startswith('='):
        # As it is.
        return f'={text}'
    return (text.replace(own, '{c}').replace(backup_id, '{b}')
            .replace(volume_id, '{v}'))


def lengthen(text: str, backup_id: str, volume_id: str) -> str:
    """Undo :func:`shorten`."""
    if text.startswith('='):
        return text[1:]
    own = f'{backup_id[0:2]}/{backup_id[2:4]}/{backup_id}'
    return (text.replace('{c}', own).replace('{b}', backup_id)
            .replace('{v}', volume_id))


def check_form(info: Any, backup_id: str, fields: Mapping[str, type],
               optional: Mapping[str, type],
               versions: Collection[int] = (VERSION,)) -> Wrong:
    """Check what the driver_info of every kind of store has in common.

    :param fields: those that it must have, with their types
    :returns: what makes an error of a field's name and what is wrong with it
    :raises WrongRecord: naming the field
    """
    def wrong(field: str, what: str) -> errors.WrongRecord:
        return errors.WrongRecord(f'driver_info: {field} {what}', field,
                                  backup_id)

    if not isinstance(info, dict):
        raise wrong('', 'is not an object')
    version = info.get('version')
    if type(version) is not int or version not in versions:
        raise wrong('version', f'{str(version)[:20]} is not known, only '
                    f'{" and ".join(map(str, versions))} is')
    for field, kind in {**fields, **optional}.items():
        value = info.get(field)
        if value is None and field in optional:
            continue
        if not isinstance(value, kind) or isinstance(value, bool):
            raise wrong(field, 'is missing' if field not in info else
                        f'is not of type {kind.__name__}')
    if info['backup_id'] != backup_id:
        raise wrong('backup_id', f'{info["backup_id"][:40]} is not the '
                    f'backup {backup_id} that is imported')
    for field in ('volume_id', 'parent_id'):
        value = info.get(field)
        if value is not None and not UUID.match(value):
            raise wrong(field, f'{value[:40]!r} is not an id')
    if info.get('parent_id') == backup_id:
        raise wrong('parent_id', 'is the backup itself')
    if info['size'] < 1:
        raise wrong('size', f'{info["size"]} is not a size in GiB')
    return wrong


def check(info: Any, backup_id: str) -> None:
    """Check that a driver_info agrees with itself (level ``record``).

    :raises WrongRecord: naming the field
    """
    wrong = check_form(info, backup_id, _FIELDS, _OPTIONAL)
    if info['object_count'] < 0:
        raise wrong('object_count', f'{info["object_count"]} is negative')
    for field in ('digest', 'chain_digest'):
        if not DIGEST.match(info[field]):
            raise wrong(field, 'is not a SHA-256')
    stores.check_names(info['container'], info['prefix'], backup_id)
    if not all(isinstance(one, str) and _SUM.match(one)
               for one in info.get('lengths') or []):
        raise wrong('lengths', 'are not checksums')
    _check_parents(info, wrong)


def _check_parents(info: dict[str, Any], wrong: Wrong) -> None:
    seen = {info['backup_id']}
    for entry in info.get('parents') or []:
        if not (isinstance(entry, list) and len(entry) == 4 and
                all(isinstance(one, str) for one in entry[:3]) and
                (entry[3] is None or (isinstance(entry[3], str) and
                                      _SUM.match(entry[3])))):
            raise wrong('parents', 'has an entry that is not a parent')
        if entry[0] in seen:
            raise wrong('parents', f'leads back to backup {entry[0][:40]}')
        seen.add(entry[0])
    parents = info.get('parents') or []
    if parents and parents[0][0] != info.get('parent_id'):
        raise wrong('parents', 'does not begin with parent_id')


def target(info: dict[str, Any]) -> verifier.Target:
    """The entry of the backup itself."""
    lengths = info.get('lengths')
    return verifier.Target(
        info['backup_id'], info['container'], info['prefix'],
        volume_id=info['volume_id'], parent_id=info.get('parent_id'),
        size=info['size'], object_count=info['object_count'],
        of_snapshot=info.get('snapshot_id') is not None,
        digest=info['digest'], chain_digest=info['chain_digest'],
        lengths=None if lengths is None else tuple(lengths))


def parent_target(info: dict[str, Any], parent_id: str
                  ) -> verifier.Target | None:
    """The entry of one of the parents."""
    for found, container, prefix, total in info.get('parents') or []:
        if found == parent_id:
            return verifier.Target(
                parent_id, lengthen(container, parent_id, info['volume_id']),
                lengthen(prefix, parent_id, info['volume_id']),
                lengths=None if total is None else (total,))
    return None


def model_update(info: dict[str, Any], link: layout.Link | None
                 ) -> dict[str, Any]:
    """The fields of the row that a record must agree with.

    :param link: what was seen on the storage, None if it was not asked
    """
    return {
        'volume_id': link.volume_id if link else info['volume_id'],
        'parent_id': link.parent_id if link else info.get('parent_id'),
        'container': info['container'],
        'service_metadata': info['prefix'],
        'size': info['size'],
        'object_count': info['object_count'],
        'snapshot_id': info.get('snapshot_id'),
        'volume_meta': link.metadata.get('volume_meta') if link else None,
    }
